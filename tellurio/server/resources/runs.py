"""Runs: begun, listed, changed, ended, deleted."""

from __future__ import annotations

import re
import time
from typing import Annotated, Any

from fastapi import Query
from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import Response

from tellurio.server.answers import answer
from tellurio.server.doors import Permission, Resource
from tellurio.server.faults import of_input
from tellurio.server.gate import Caller, caller
from tellurio.server.log import log
from tellurio.server.models import Beat, NewRun, Run, RunChange, RunPage, Status
from tellurio.server.refusals import Refused, unknown
from tellurio.server.resources.projects import delete_blobs
from tellurio.store import runs as stored

__all__ = ["runs"]

runs = Resource("runs")

ALL, ONE = "/namespaces/{ns}/projects/{project}/runs", "/runs/{run_id}"

_FILTER = re.compile(r"(.+?):(=|!=|<=|>=|<|>|~):(.*)\Z", re.DOTALL)
_WORD = Query(max_length=1000)


@runs.route("GET", ALL, permission=Permission.READ, answer=RunPage)
async def list_runs(
    request: Request,
    status: Status | None = None,
    search: Annotated[str | None, _WORD] = None,
    filter: Annotated[
        list[Annotated[str, Query(max_length=1000)]],
        Query(max_length=20, description="what:op:value, as in metrics.acc:>:0.5; op is one of = != < <= > >= ~"),
    ] = [],  # noqa: B006 - FastAPI copies it
    sort: Annotated[str, _WORD] = "-created",
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    cursor: Annotated[str | None, _WORD] = None,
    columns: Annotated[
        list[Annotated[str, Query(max_length=1000)]],
        Query(max_length=50, description="metrics.<name>: each Run then has the last value of that metric"),
    ] = [],  # noqa: B006 - FastAPI copies it
) -> Response:
    """A page of a project's Runs, filtered and sorted."""
    filters = [_filter(each) for each in filter]
    options: dict[str, Any] = {"status": status, "search": search, "filters": filters, "sort": sort}
    options |= {"limit": limit, "cursor": cursor, "metrics": [_column(each) for each in columns]}
    return answer(await _page(request, options))


@runs.route("GET", ONE + "/children", permission=Permission.READ, answer=RunPage)
async def list_children(
    request: Request,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    cursor: Annotated[str | None, _WORD] = None,
) -> Response:
    """The Runs of the same project that are a part or a repetition of this one."""
    options = {"parent_id": caller(request).run_id, "sort": "created", "limit": limit, "cursor": cursor, "metrics": ()}
    return answer(await _page(request, options))


@runs.route("POST", ALL, permission=Permission.WRITE, answer=Run, status=201, refusals=[409, 429])
async def make_run(request: Request, given: NewRun) -> Response:
    """Begin a Run.  The same id again is the same Run."""
    who = caller(request)
    with of_input():
        made = await request.app.state.store.awrite(_make, who, given.model_dump(), durable=True)
    _tell(request, made, ["status"])
    return answer(_shown(made), 201)


@runs.route("GET", ALL + "/{run_slug}", permission=Permission.READ, answer=Run)
async def get_run_by_slug(request: Request, run_slug: str) -> Response:
    """One Run, by its name in the address of its page."""
    project = caller(request).project
    found = await request.app.state.store.aread(stored.run_by_slug, project["id"], run_slug)
    if found is None:
        raise unknown("Run", f"{project['namespace_slug']}/{project['slug']}/{run_slug}")
    return answer(_shown(found))


@runs.route("GET", ONE, permission=Permission.READ, answer=Run)
async def get_run(request: Request) -> Response:
    """One Run."""
    who = caller(request)
    found = await request.app.state.store.aread(stored.run, who.run_id)
    if found is None:
        raise unknown("Run", who.run_id)
    return answer(_shown(found))


@runs.route("PATCH", ONE, permission=Permission.WRITE, answer=Run, refusals=[429])
async def change_run(request: Request, given: RunChange) -> Response:
    """Change a Run's words, or end it (``status``).  The first end that is told is final."""
    changes = given.model_dump(exclude_unset=True)
    if any(changes.get(name, "") is None for name in ("name", "tags", "status")):
        raise Refused(422, "name, tags and status cannot be null: leave out what is to stay.")
    if changes.get("reason") is not None and "status" not in changes:
        raise Refused(422, "reason: it is said together with a status, and none was given.")
    with of_input():
        changed = await request.app.state.store.awrite(_change, caller(request).run_id, changes, durable=True)
    said = given.model_fields_set
    _tell(request, changed, ["status"] * ("status" in said) + ["facts"] * bool(said - {"status", "reason"}))
    return answer(_shown(changed))


@runs.route("DELETE", ONE, permission=Permission.WRITE, status=204, refusals=[429])
async def delete_run(request: Request) -> Response:
    """Delete a Run with its files, for good: one's own, or any as the project's owner."""
    state, who = request.app.state, caller(request)
    orphans = await state.store.awrite(_delete, who, durable=True)
    state.gate.forget()
    state.hub.tell(who.project["id"], who.run_id, ["deleted"])
    log("run_deleted", run=who.run_id, user=who.user["username"])
    await delete_blobs(state.store, orphans)
    return Response(status_code=204)


@runs.route("POST", ONE + "/beat", permission=Permission.WRITE, answer=Beat, refusals=[429])
async def beat(request: Request) -> Response:
    """A sign of life; says the Run's state."""
    state, who = request.app.state, caller(request)
    with of_input():
        before, status = await state.store.awrite(_beat, who.run_id)
    if status != before:
        state.hub.tell(who.project["id"], who.run_id, ["status"], status)
    return answer({"status": status})


async def _page(request: Request, options: dict[str, Any]) -> dict[str, Any]:
    with of_input():
        page: dict[str, Any] = await request.app.state.store.aread(_listed, caller(request).project["id"], options)
    return {**page, "runs": [_shown(each) for each in page["runs"]]}


def _listed(connection: Connection, project_id: str, options: dict[str, Any]) -> dict[str, Any]:
    return stored.runs(connection, project_id, **options)


def _make(connection: Connection, who: Caller, given: dict[str, Any]) -> dict[str, Any]:
    known = stored.run(connection, given["id"])
    if known is not None and known["project_id"] != who.project["id"]:
        raise Refused(409, f"The Run id {given['id']} is taken. Make another.")
    if given.get("command") is not None:
        given["command"] = {**given["command"], "sent": True}  # told, not seen: this server will not start it
    return stored.make_run(connection, who.project["id"], who.user["id"], **given)


def _change(connection: Connection, run_id: str, changes: dict[str, Any]) -> dict[str, Any]:
    status, reason = changes.pop("status", None), changes.pop("reason", None)
    changed = stored.update_run(connection, run_id, **changes) if changes or status is None else None
    if status is not None:
        changed = stored.end_run(connection, run_id, status, reason=reason, by_client=True, now=time.time())
    assert changed is not None
    return changed


def _beat(connection: Connection, run_id: str) -> tuple[str | None, str]:
    """The status before and after."""
    return stored.status(connection, run_id), stored.beat(connection, run_id, time.time())


def _tell(request: Request, run: dict[str, Any], what: list[str]) -> None:
    status = run["status"] if "status" in what else None
    request.app.state.hub.tell(run["project_id"], run["id"], what, status)


def _delete(connection: Connection, who: Caller) -> list[str]:
    run = stored.run(connection, who.run_id)
    if run is not None and who.role != "OWNER" and run["user"]["id"] != who.user["id"]:
        raise Refused(403, "Only the project's owner can delete another user's Run.")
    return stored.delete_run(connection, who.run_id)


def _filter(text: str) -> tuple[str, str, str]:
    found = _FILTER.match(text)
    if found is None:
        raise Refused(422, "filter: expected what:op:value, as in metrics.acc:>:0.5; op is one of = != < <= > >= ~")
    return found[1], found[2], found[3]


def _column(text: str) -> str:
    kind, _, name = text.partition(".")
    if kind != "metrics" or not name:
        raise Refused(422, f"columns: expected metrics.<name>, as in metrics.accuracy, got {text[:100]!r}.")
    return name


def _shown(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name != "key"}
