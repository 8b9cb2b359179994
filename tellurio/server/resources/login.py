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
from tellurio.server.sessions import COOKIE, path_of_ours

__all__ = ["login", "once"]

once = Resource("login")
login = Resource("login", prefix="")


@once.route("POST", "/once", permission=Permission.USER, answer=LoginCode)
async def make_login_code(request: Request, given: NewLoginCode) -> Response:
    """A code that logs a browser in, within a minute and once."""
    if not path_of_ours(given.next):
        raise Refused(422, "next: expected a path on this server, beginning with one '/'.")
    return answer({"code": request.app.state.sessions.code(caller(request).user)})


@login.route("GET", "/login", permission=Permission.PUBLIC, status=303, listed=False)
async def log_in(
    request: Request, code: Annotated[str, Query(max_length=200)] = "", next: Annotated[str, Query()] = "/"
) -> Response:
    """Use a code up: the browser gets its cookie and is sent on."""
    if not path_of_ours(next):
        raise Refused(400, "A login can only lead to a page of this server. Type in a terminal: tellurio open")
    sessions = request.app.state.sessions
    secret = sessions.open(code)
    client = request.client.host if request.client else ""
    if secret is None:
        log("login_refused", logging.WARNING, reason="code unknown, used or too old", client=client)
        raise Refused(403, "This login link was used already, or is too old. Type in a terminal: tellurio open")
    log("login", client=client)
    response = RedirectResponse(next, 303)
    response.set_cookie(
        COOKIE, secret, max_age=int(sessions.session_seconds), httponly=True, samesite="strict",
        secure=request.url.scheme == "https",
    )  # fmt: skip
    return response
