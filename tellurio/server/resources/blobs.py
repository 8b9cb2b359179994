"""Blobs: the bytes of artifacts, sent before the record that names them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Annotated

from fastapi import Path
from sqlalchemy import Connection, select
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from tellurio.server.answers import answer
from tellurio.server.doors import Permission, Resource
from tellurio.server.models import Stored
from tellurio.server.refusals import Refused, unknown
from tellurio.server.settings import ServerSettings
from tellurio.store import tables
from tellurio.store.blobs import note_blob

__all__ = ["blobs"]

PATH = "/runs/{run_id}/blobs/{sha256}"
CLOSE = {"Connection": "close"}  # the rest of the body is not read
STALLED = 60.0  # seconds without a byte

Sha256 = Annotated[str, Path(pattern="^[0-9a-f]{64}$", description="of the content, in lower case")]

_BODY = {
    "requestBody": {
        "required": True,
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    }
}


def blobs(settings: ServerSettings) -> Resource:
    """The resource."""
    resource = Resource("blobs")
    uploads = _Uploads(settings)
    resource.route(
        "PUT", PATH, permission=Permission.WRITE, answer=Stored, body_limit=settings.blob_limit, refusals=[408, 429],
        extra=_BODY, name="put_blob",
    )(uploads.put)  # fmt: skip
    resource.route("HEAD", PATH, permission=Permission.WRITE, name="head_blob")(head_blob)
    return resource


async def head_blob(request: Request, sha256: Sha256) -> Response:
    """Whether the blob is stored: 200, or 404."""
    store = request.app.state.store
    size = await store.aread(_size, sha256)
    if size is None or not await asyncio.to_thread(store.blobs.has, sha256):
        raise unknown("blob", sha256)
    return Response()


# Neither is an OSError, which would be a failure of the disk to the store.


class _GoneError(Exception):
    """The client went away."""


class _StalledError(Exception):
    """The client sends nothing."""


class _Uploads:
    """Receives blobs, a few at once, each in a thread that the event loop feeds."""

    def __init__(self, settings: ServerSettings) -> None:
        self._limit, self._most, self._now = settings.blob_limit, settings.blob_uploads, 0
        self._threads = ThreadPoolExecutor(settings.blob_uploads, thread_name_prefix="tellurio-blob")

    async def put(self, request: Request, sha256: Sha256) -> Response:
        """Store a blob: all of it or nothing, and only if its content has that digest."""
        if self._now >= self._most:
            message = f"{self._most} files are being received already. Send this one again later."
            raise Refused(429, message, headers={"Retry-After": "1", **CLOSE})
        store, loop = request.app.state.store, asyncio.get_running_loop()
        chunks = _from_loop(request.stream(), loop)
        self._now += 1
        try:
            size = await loop.run_in_executor(self._threads, lambda: store.blobs.put(chunks, sha256, limit=self._limit))
        except _GoneError as error:
            raise ClientDisconnect from error
        except _StalledError as error:
            raise Refused(408, f"Nothing came for {STALLED:.0f} s. Send the file again.", headers=CLOSE) from error
        except ValueError as error:
            raise Refused(422, str(error), headers=CLOSE) from error
        finally:
            self._now -= 1
        await store.awrite(note_blob, sha256, size, time.time(), durable=True)
        return answer({"sha256": sha256, "size": size})


def _from_loop(stream: AsyncIterator[bytes], loop: asyncio.AbstractEventLoop) -> Iterator[bytes]:
    """The chunks of ``stream``, for another thread than the loop's."""

    async def following() -> bytes | None:
        return await anext(stream, None)

    while True:
        waiting = asyncio.run_coroutine_threadsafe(following(), loop)
        try:
            chunk = waiting.result(STALLED)
        except TimeoutError as error:
            waiting.cancel()
            raise _StalledError from error
        except ClientDisconnect as error:
            raise _GoneError from error
        if chunk is None:
            return
        yield chunk


def _size(connection: Connection, sha256: str) -> int | None:
    size: int | None = connection.scalar(select(tables.blobs.c.size).where(tables.blobs.c.sha256 == sha256))
    return size
