"""Artifacts: listed, and their files handed out, always as something to save and never as something to show."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated, Any, BinaryIO
from urllib.parse import quote

from fastapi import Path
from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from tellurio.server.answers import answer
from tellurio.server.doors import Permission, Resource
from tellurio.server.gate import caller
from tellurio.server.models import Artifact
from tellurio.server.refusals import unknown
from tellurio.store import artifacts as stored

__all__ = ["artifacts"]

artifacts = Resource("artifacts")

ALL = "/runs/{run_id}/artifacts"
CHUNK = 1 << 18

Index = Annotated[int, Path(ge=0, lt=2**31)]

_FILE: dict[int | str, dict[str, Any]] = {
    200: {"description": "The file's bytes", "content": {"application/octet-stream": {}}}
}


@artifacts.route("GET", ALL, permission=Permission.READ, answer=list[Artifact])
async def list_artifacts(request: Request) -> Response:
    """All versions of a Run's artifacts."""
    return answer(await request.app.state.store.aread(stored.artifacts, caller(request).run_key))


@artifacts.route("GET", ALL + "/{name}/{version}/files/{number}", permission=Permission.READ, answers=_FILE)
async def get_artifact_file(request: Request, name: str, version: Index, number: Index) -> Response:
    """The file at that place in the artifact's list of files."""
    store, who = request.app.state.store, caller(request)
    found = await store.aread(_artifact, who.run_key, name, version)
    if found is None or number >= len(found["files"]):
        raise unknown("file", f"{name}/{version}/files/{number}")
    file = found["files"][number]
    try:
        source = store.blobs.open(file["sha256"])
    except FileNotFoundError as error:
        raise unknown("file", f"{name}/{version}/files/{number}") from error
    headers = {
        "Content-Length": str(file["size"]),
        "Content-Disposition": _attachment(file["path"]),
        "Content-Security-Policy": "sandbox; default-src 'none'",
        "Cache-Control": "private, no-cache",
        "ETag": f'"{file["sha256"]}"',
    }
    return StreamingResponse(_chunks(source), headers=headers, media_type="application/octet-stream")


def _artifact(connection: Connection, run_key: int, name: str, version: int) -> dict[str, Any] | None:
    return stored.artifact(connection, run_key, name, version)


def _attachment(path: str) -> str:
    """The header that makes a browser save the file, under the last part of its path."""
    name = path.rpartition("/")[2]
    plain = re.sub(r"[^\w.-]", "_", name, flags=re.ASCII)
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"


def _chunks(source: BinaryIO) -> Iterator[bytes]:
    with source:
        while chunk := source.read(CHUNK):
            yield chunk
