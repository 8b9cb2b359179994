"""Who is calling, and what they may do.  Nobody gets past it without the permission that the route declares."""

from __future__ import annotations

import dataclasses
import hashlib
import logging
import time
from collections.abc import Callable
from typing import Any

from sqlalchemy import Connection
from starlette.requests import Request
from starlette.types import Scope

from tellurio.server.doors import Permission
from tellurio.server.log import log
from tellurio.server.refusals import Refused, unknown
from tellurio.server.sessions import secret_in
from tellurio.store import jobs, projects, runs, sessions, users
from tellurio.store.store import Store

__all__ = ["Caller", "Gate", "caller"]

RANKS = {"VIEWER": 1, "EDITOR": 2, "OWNER": 3}
NEEDED = {Permission.READ: 1, Permission.WRITE: 2, Permission.OWN: 3}
SAFE = ("GET", "HEAD", "OPTIONS")
MOST = 10_000  # entries of each cache


@dataclasses.dataclass(slots=True)
class Caller:
    """Who calls, and what the path names.

    Attributes:
        user: the user's row.
        role: the user's role in the project: VIEWER, EDITOR or OWNER.
        project: the project in the path, or that of the Run in the path.
        run_key: the key of the Run in the path.
        run_id: its id.
    """

    user: dict[str, Any]
    role: str | None = None
    project: dict[str, Any] = dataclasses.field(default_factory=dict)
    run_key: int = 0
    run_id: str = ""


def caller(request: Request) -> Caller:
    """Who sent ``request``."""
    found = request.scope["tellurio.caller"]
    assert isinstance(found, Caller)
    return found


class Gate:
    """Checks each request before its handler.

    Keys and roles are remembered for a few seconds, and forgotten at once when something on this server changes them.

    Args:
        store: where users, keys, sessions, projects and Runs are.
        remember: seconds for which an answer of the store is believed.
    """

    def __init__(self, store: Store, remember: float) -> None:
        self._store, self._remember = store, remember
        self._users: dict[bytes, tuple[dict[str, Any], float]] = {}
        self._callers: dict[tuple[str, str, str], tuple[Caller, float]] = {}
        self._forgotten = 0

    def forget(self) -> None:
        """Something changed: ask the store again."""
        self._users.clear()
        self._callers.clear()
        self._forgotten += 1

    async def admit(self, permission: Permission, scope: Scope) -> None:
        """Let the request pass, and say in its scope who sent it.

        Raises:
            Refused: 401 nobody known sent it; 404 they may not see what it names; 403 they may not do that.
        """
        if permission is Permission.PUBLIC:
            return
        user = await self._user(scope)
        if permission is Permission.USER:
            scope["tellurio.caller"] = Caller(user)
        elif permission is Permission.MEMBER:
            scope["tellurio.caller"] = await self._member(user, scope["path_params"]["ns"])
        else:
            scope["tellurio.caller"] = await self._on_project(user, permission, scope)

    # Who.

    async def _user(self, scope: Scope) -> dict[str, Any]:
        authorization, cookies, origin = None, b"", None
        for name, value in scope["headers"]:
            if name == b"authorization":
                authorization = value
            elif name == b"cookie":
                cookies = cookies + b"; " + value if cookies else value
            elif name == b"origin":
                origin = value
        if authorization is not None:
            return await self._of_key(authorization, scope)
        user = await self._of_cookie(cookies) if cookies else None
        if user is None:
            raise _unauthorized(scope, "no key", _how(scope))
        if scope["method"] not in SAFE and origin is None:
            # That it is ours where it is sent, is checked for all requests.
            message = "A request of a browser's session that changes something needs an Origin header."
            raise Refused(403, message, code="origin_refused")
        return user

    async def _of_key(self, authorization: bytes, scope: Scope) -> dict[str, Any]:
        digest, now = hashlib.sha256(authorization).digest(), time.monotonic()
        entry = self._users.get(digest)
        if entry is not None and entry[1] > now:
            return entry[0]
        scheme, _, key = authorization.partition(b" ")
        if scheme.lower() != b"bearer" or not key.isascii() or len(key) > 200:
            message = "The Authorization header is not of the form: Bearer tel_..."
            raise _unauthorized(scope, "malformed header", message)
        asked = self._forgotten
        user = await self._store.aread(users.user_of_key, key.strip().decode())
        if user is None:
            message = "The server does not know this API key, or it has expired or was revoked. Type: afnio login"
            raise _unauthorized(scope, "unknown key", message)
        self._keep(asked, self._users, digest, (user, now + self._remember))
        return user

    async def _of_cookie(self, cookies: bytes) -> dict[str, Any] | None:
        digest, now = hashlib.sha256(b"cookie: " + cookies).digest(), time.monotonic()
        entry = self._users.get(digest)
        if entry is not None and entry[1] > now:
            return entry[0]
        asked = self._forgotten
        secret = secret_in(cookies.decode("latin-1"))
        user = await self._store.aread(sessions.user_of_session, secret) if secret else None
        if user is not None:
            self._keep(asked, self._users, digest, (user, now + self._remember))
        return user

    # What.

    async def _member(self, user: dict[str, Any], namespace: str) -> Caller:
        mine = await self._store.aread(projects.namespaces_of, user["id"])
        if namespace not in {each["slug"] for each in mine}:
            raise unknown("namespace", namespace)
        return Caller(user)

    async def _on_project(self, user: dict[str, Any], permission: Permission, scope: Scope) -> Caller:
        params = scope["path_params"]
        work: _Through
        if "run_id" in params:
            what, work, name = "Run", _through_run, (params["run_id"], "")
        elif "job_id" in params:
            what, work, name = "job", _through_job, (params["job_id"], "job")
        else:
            what, work, name = "project", _through_project, (params["ns"], params["project"])
        known_as, asked, now = (user["id"], *name), self._forgotten, time.monotonic()
        entry = self._callers.get(known_as)
        if entry is not None and entry[1] > now:
            found = entry[0]
        else:
            known = await self._store.aread(work, user, *name)
            if known is None:
                raise unknown(what, "/".join(name) if what == "project" else name[0])
            found = known
            self._keep(asked, self._callers, known_as, (found, now + self._remember))
        if RANKS[found.role or "VIEWER"] < NEEDED[permission]:
            needed = "EDITOR or OWNER" if permission is Permission.WRITE else "OWNER"
            where = f"{found.project['namespace_slug']}/{found.project['slug']}"
            raise Refused(403, f"Your role in project {where} is {found.role}; this needs {needed}. Ask its owner.")
        return found

    def _keep(self, asked: int, cache: dict[Any, Any], name: Any, entry: Any) -> None:
        """Remember an answer of the store, unless something has changed since it was asked: it may be an old one."""
        if asked != self._forgotten:
            return
        if len(cache) >= MOST:
            cache.clear()
        cache[name] = entry


_Through = Callable[[Connection, dict[str, Any], str, str], Caller | None]


def _through_run(connection: Connection, user: dict[str, Any], run_id: str, _: str) -> Caller | None:
    return _of_run(connection, user, runs.run(connection, run_id))


def _through_job(connection: Connection, user: dict[str, Any], job_id: str, _: str) -> Caller | None:
    job = jobs.job(connection, job_id)
    return _of_run(connection, user, job and runs.run_by_key(connection, job["run_key"]))


def _of_run(connection: Connection, user: dict[str, Any], run: dict[str, Any] | None) -> Caller | None:
    if run is None:
        return None
    found = _through_project(connection, user, run["namespace_slug"], run["project_slug"])
    return found and dataclasses.replace(found, run_key=run["key"], run_id=run["id"])


def _through_project(connection: Connection, user: dict[str, Any], namespace: str, slug: str) -> Caller | None:
    project = projects.project(connection, namespace, slug)
    role = project and projects.role_in(connection, user["id"], project)
    return Caller(user, role, project) if project and role else None


def _how(scope: Scope) -> str:
    if scope["path"].startswith("/api/"):
        return "This needs an API key: send the header Authorization: Bearer tel_... (get one: afnio login)."
    return "You are not logged in here. Type in a terminal: tellurio open"


def _unauthorized(scope: Scope, reason: str, message: str) -> Refused:
    client = scope.get("client") or ("", 0)
    log("login_refused", logging.WARNING, reason=reason, client=client[0], method=scope["method"], path=scope["path"])
    return Refused(401, message, headers={"WWW-Authenticate": "Bearer"})
