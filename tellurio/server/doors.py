"""Routes with a permission.  There is no other kind: `app.make_app` refuses a route that declares none.

A door asks the gate before it reads the body or calls the handler, and bounds the body it then reads.
"""

from __future__ import annotations

import enum
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from typing import Any

import orjson
from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tellurio.server.models import Refusal
from tellurio.server.refusals import Refused

__all__ = ["Door", "Handler", "Permission", "PlainDoor", "Resource", "bounded"]

Handler = Callable[..., Awaitable[Any]]


class Permission(enum.Enum):
    """Who may come in."""

    PUBLIC = "public"  # anybody
    USER = "user"  # whoever has a key or a session
    MEMBER = "member"  # a member of the namespace in the path
    READ = "read"  # VIEWER, EDITOR or OWNER of the project, or the Run's project, in the path
    WRITE = "write"  # EDITOR or OWNER of it
    OWN = "own"  # OWNER of it


class Door(APIRoute):
    """A route of the documented API."""

    permission: Permission
    body_limit: int | None

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Ask the gate, then answer."""
        await _pass(self, scope, receive, send, super().handle)

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """FastAPI's hook: ours reads JSON strictly."""
        handler = super().get_route_handler()

        async def strict(request: Request) -> Response:
            return await handler(_StrictRequest(request.scope, request.receive))

        return strict


class PlainDoor(Route):
    """A route without FastAPI in between: ``endpoint`` is an ASGI app."""

    permission: Permission
    body_limit: int | None

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Ask the gate, then answer."""
        await _pass(self, scope, receive, send, super().handle)


class _StrictRequest(Request):
    """Its JSON is JSON: no NaN, no lone surrogates, no depth that overflows a stack."""

    async def json(self) -> Any:
        return orjson.loads(await self.body())


async def _pass(door: Door | PlainDoor, scope: Scope, receive: Receive, send: Send, on: ASGIApp) -> None:
    methods = door.methods or set()
    if scope["method"] in methods:
        state = scope["app"].state
        await state.gate.admit(door.permission, scope)
        receive = bounded(scope, receive, door.body_limit or state.settings.body_limit)
        await on(scope, receive, send)
        return
    same = {m for r in scope["app"].routes if getattr(r, "path", "") == door.path for m in r.methods}
    raise Refused(
        405, f"{scope['path']} knows {', '.join(sorted(same))} only.", headers={"Allow": ", ".join(sorted(same))}
    )


def bounded(scope: Scope, receive: Receive, limit: int) -> Receive:
    """``receive``, which refuses a body longer than ``limit``: by its announced length, or when it gets there."""
    taken, checked = 0, False

    async def bounded_receive() -> Message:
        nonlocal taken, checked
        if not checked:
            checked = True
            for name, value in scope["headers"]:
                if name == b"content-length" and int(value) > limit:
                    raise _too_large(limit)
        message = await receive()
        taken += len(message.get("body", b""))
        if taken > limit:
            raise _too_large(limit)
        return message

    return bounded_receive


def _too_large(limit: int) -> Refused:
    # The rest of the body is not read, so the connection cannot serve another request.
    message = f"The request's body is longer than the {limit} bytes that are taken here."
    return Refused(413, message, headers={"Connection": "close"})


class Resource:
    """The routes of one resource.

    Args:
        tag: its name in the API's description.
        prefix: what its paths begin with.
    """

    def __init__(self, tag: str, prefix: str = "/api/v1") -> None:
        self.tag, self.prefix = tag, prefix
        self.routes: list[BaseRoute] = []

    def route(
        self,
        method: str,
        path: str,
        *,
        permission: Permission,
        answer: Any = None,
        status: int = 200,
        body_limit: int | None = None,
        refusals: Sequence[int] = (),
        answers: Mapping[int | str, dict[str, Any]] | None = None,
        name: str | None = None,
        extra: dict[str, Any] | None = None,
        listed: bool = True,
    ) -> Callable[[Handler], Handler]:
        """Declare a route.

        Args:
            method: the HTTP method.
            path: below the prefix.
            permission: who may come in.
            answer: the model of its answer.
            status: the status of its answer.
            body_limit: bytes of a body; None: the settings' limit.
            refusals: statuses of refusals beyond those that its permission brings.
            answers: further entries of the description's ``responses``.
            name: the operation's name; by default the handler's.
            extra: further entries of the description.
            listed: whether the description has it.
        """

        def declare(handler: Handler) -> Handler:
            said: dict[int | str, dict[str, Any]] = {
                code: {"model": Refusal} for code in sorted({*_refusals(permission, method), *refusals})
            }
            door = Door(
                self.prefix + path,
                handler,
                methods=[method],
                response_model=answer,
                status_code=status,
                response_class=Response if answer is None else JSONResponse,  # for the description
                responses={**said, **(answers or {})},
                tags=[self.tag],
                operation_id=name or handler.__name__,
                openapi_extra=extra,
                include_in_schema=listed,
            )
            door.permission, door.body_limit = permission, body_limit
            self.routes.append(door)
            return handler

        return declare

    def plain(self, method: str, path: str, app: ASGIApp, *, permission: Permission, body_limit: int) -> None:
        """Declare a route that is an ASGI app; `describe` says what it does."""
        door = PlainDoor(self.prefix + path, app, methods=[method])
        door.permission, door.body_limit = permission, body_limit
        self.routes.append(door)


def _refusals(permission: Permission, method: str) -> set[int]:
    codes = {400, 403, 422, 426}
    if permission is not Permission.PUBLIC:
        codes |= {401, 503}
    if permission in (Permission.MEMBER, Permission.READ, Permission.WRITE, Permission.OWN):
        codes |= {404}
    if method in ("POST", "PUT", "PATCH"):
        codes |= {413}
    return codes
