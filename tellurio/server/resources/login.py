"""Logging in a browser: a program that has a key gets a code, and the browser turns it into a session, once."""

from __future__ import annotations

import logging
from typing import Annotated

from fastapi import Query
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from tellurio.server.answers import answer
from tellurio.server.doors import Permission, Resource
from tellurio.server.gate import caller
from tellurio.server.log import log
from tellurio.server.models import LoginCode, NewLoginCode
from tellurio.server.refusals import Refused
from tellurio.server.sessions import COOKIE, path_of_ours, secret_in
from tellurio.store.sessions import end_session, make_session

__all__ = ["login", "once"]

once = Resource("login")
login = Resource("login", prefix="")


@once.route("POST", "/once", permission=Permission.USER, answer=LoginCode)
async def make_login_code(request: Request, given: NewLoginCode) -> Response:
    """A code that logs a browser in, within a minute and once."""
    if not path_of_ours(given.next):
        raise Refused(422, "next: expected a path on this server, beginning with one '/'.")
    return answer({"code": request.app.state.codes.make(caller(request).user["id"])})


@once.route("DELETE", "/session", permission=Permission.USER, status=204)
async def log_out(request: Request) -> Response:
    """End the browser's session; one that sent a key has none."""
    secret = secret_in(request.headers.get("cookie", ""))
    if secret is not None:
        await request.app.state.store.awrite(end_session, secret, durable=True)
        request.app.state.gate.forget()
    response = Response(status_code=204)
    response.delete_cookie(COOKIE, httponly=True, samesite="strict", secure=request.url.scheme == "https")
    return response


@login.route("GET", "/login", permission=Permission.PUBLIC, status=303, listed=False)
async def log_in(
    request: Request, code: Annotated[str, Query(max_length=200)] = "", next: Annotated[str, Query()] = "/"
) -> Response:
    """Use a code up: the browser gets its cookie and is sent on."""
    if not path_of_ours(next):
        raise Refused(400, "A login can only lead to a page of this server. Type in a terminal: tellurio open")
    state = request.app.state
    user_id = state.codes.use(code)
    client = request.client.host if request.client else ""
    if user_id is None:
        log("login_refused", logging.WARNING, reason="code unknown, used or too old", client=client)
        raise Refused(403, "This login link was used already, or is too old. Type in a terminal: tellurio open")
    seconds = state.settings.session_seconds
    secret = await state.store.awrite(make_session, user_id, seconds, durable=True)
    log("login", client=client)
    response = RedirectResponse(next, 303)
    response.set_cookie(
        COOKIE, secret, max_age=int(seconds), httponly=True, samesite="strict",
        secure=request.url.scheme == "https",
    )  # fmt: skip
    return response
