"""The outermost layer: what holds for every request and every answer, whatever the resource."""

from __future__ import annotations

import itertools
import logging
import re
import secrets
from functools import lru_cache

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from afnio.errors import ServerVersionError, StoreError
from tellurio.schemas.version import HEADER, check_versions, our_version
from tellurio.server.hosts import Hosts
from tellurio.server.log import log
from tellurio.server.refusals import Refused, refusal
from tellurio.server.settings import ServerSettings

__all__ = ["CSP", "Edge"]

CSP = (
    "default-src 'self'; base-uri 'none'; object-src 'none'; frame-ancestors 'none'; form-action 'self'; "
    "img-src 'self' data:"
)
"""The policy of every page: nothing from elsewhere, nothing inline, in nobody's frame."""

_REQUEST_ID = re.compile(rb"[A-Za-z0-9_.-]{1,64}\Z")
_VERSION = HEADER.lower().encode()
_LOOKED_AT = frozenset({b"host", b"origin", b"x-request-id", _VERSION})


class Edge:
    """Checks Host, Origin and the client's version; numbers requests; makes every failure an answer.

    Args:
        app: what is inside.
        settings: of the server.
    """

    def __init__(self, app: ASGIApp, settings: ServerSettings) -> None:
        self._app, self._hosts = app, Hosts(settings)
        self._start, self._numbers = secrets.token_hex(4), itertools.count(1)
        self._always = [
            (_VERSION, our_version().encode()),
            (b"x-content-type-options", b"nosniff"),
            (b"referrer-policy", b"no-referrer"),
            (b"cross-origin-resource-policy", b"same-origin"),
        ]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._app(scope, receive, send)
            return  # there are no WebSockets here
        given = {name: value for name, value in scope["headers"] if name in _LOOKED_AT}
        request_id = self._request_id(given.get(b"x-request-id"))
        scope["tellurio.request_id"] = request_id.decode()
        started = False

        async def answer(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                message["headers"] = self._headers(message.get("headers", ()), request_id)
            await send(message)

        try:
            self._hosts.check(given.get(b"host"), given.get(b"origin"))
            _check_bytes(scope)
            if _VERSION in given and scope["path"] != "/healthz":
                _check_version(given[_VERSION])
            await self._app(scope, receive, answer)
        except ClientDisconnect:
            return
        except Exception as error:
            if started:
                log("answer_broken", logging.ERROR, error, request=scope["tellurio.request_id"], path=scope["path"])
                raise
            await refusal(_as_refusal(error, scope), scope["path"])(scope, receive, answer)

    def _request_id(self, given: bytes | None) -> bytes:
        if given is not None and _REQUEST_ID.match(given):
            return given
        return f"{self._start}-{next(self._numbers)}".encode()

    def _headers(self, headers: list[tuple[bytes, bytes]], request_id: bytes) -> list[tuple[bytes, bytes]]:
        headers = [*headers, *self._always, (b"x-request-id", request_id)]
        names = {name for name, _ in headers}
        if b"cache-control" not in names:
            headers.append((b"cache-control", b"no-store"))
        if b"content-security-policy" not in names and any(
            name == b"content-type" and b"html" in value for name, value in headers
        ):
            headers.append((b"content-security-policy", CSP.encode()))
        return headers


def _check_bytes(scope: Scope) -> None:
    if b"%00" in scope["raw_path"] or b"%00" in scope["query_string"]:
        raise Refused(400, "An address cannot contain a NUL character.")


@lru_cache(maxsize=100)
def _fault_of_version(version: bytes) -> str | None:
    try:
        check_versions(version[:50].decode("latin-1"), our_version())
    except ServerVersionError as error:
        return str(error)
    except ValueError:
        return None
    return None


def _check_version(version: bytes) -> None:
    fault = _fault_of_version(version[:50])
    if fault is not None:
        raise Refused(426, fault)


def _as_refusal(error: Exception, scope: Scope) -> HTTPException:
    if isinstance(error, HTTPException):
        return error
    if isinstance(error, StoreError):
        log("store_failed", logging.ERROR, error, request=scope["tellurio.request_id"], path=scope["path"])
        return Refused(503, str(error), code="store_failed", headers={"Retry-After": "5"})
    log("failed", logging.ERROR, error, request=scope["tellurio.request_id"], path=scope["path"])
    message = f"The server failed; its log has the details under request {scope['tellurio.request_id']}."
    return Refused(500, message, code="internal")
