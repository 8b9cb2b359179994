"""Recordings: the graph of a Run, edits of it, what a rerun needs, and what became of the calls in one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

import orjson
from fastapi import Path, Query
from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import Response

from tellurio.schemas.pointer import pointer_of
from tellurio.server.answers import answer
from tellurio.server.doors import Permission, Resource
from tellurio.server.faults import of_input
from tellurio.server.gate import caller
from tellurio.server.models import (
    Difference,
    Family,
    Found,
    Graph,
    GraphRun,
    MadeEdit,
    NewEdit,
    NewRerun,
    Output,
    Overview,
    Run,
    Stopped,
)
from tellurio.server.outputs import LIMIT
from tellurio.server.processes import Processes
from tellurio.server.refusals import unknown
from tellurio.store import edges, edits
from tellurio.store import recordings as stored
from tellurio.store import runs as stored_runs
from tellurio.store.overview import overview

__all__ = ["recordings"]

recordings = Resource("recordings")

ONE = "/runs/{run_id}"

ATTEMPTS = 2
"""How often a graph is read anew because calls came while it was made."""


@recordings.route("GET", "/recordings", permission=Permission.USER, answer=list[GraphRun])
async def list_recordings(
    request: Request,
    limit: Annotated[int, Query(ge=1, le=1000)] = 20,
    offset: Annotated[int, Query(ge=0, le=10**9)] = 0,
) -> Response:
    """The latest recordings, of all projects that the caller may see."""
    who = caller(request).user["id"]
    return answer(await request.app.state.store.aread(stored.recordings, who, limit, offset))


@recordings.route("GET", "/recordings/{reference:path}", permission=Permission.USER, answer=Found)
async def find_recording(request: Request, reference: Annotated[str, Path(max_length=300)]) -> Response:
    """The Run that a person means by an id, the beginning of one, a name, or ``last``; and how it was started."""
    who = caller(request)
    with of_input():
        found = await request.app.state.store.aread(_found, who.user["id"], reference)
    if found is None:
        raise unknown("Run", reference)
    return answer(found)


@recordings.route("GET", ONE + "/graph", permission=Permission.READ, answer=Graph)
async def get_graph(
    request: Request,
    weak: Annotated[bool, Query(description="edges with little evidence too")] = False,
    alternatives: Annotated[bool, Query(description="edges by which a text may have come as well")] = False,
    bodies: Annotated[bool, Query(description="what was asked and answered, too")] = True,
) -> Response:
    """The calls of a Run and of its parts, and what went from one into another."""
    who = caller(request)
    options = {"weak": weak, "alternatives": alternatives, "bodies": bodies}
    found = None
    for _ in range(ATTEMPTS):
        await request.app.state.edging.catch_up(who.run_id)
        found = await request.app.state.store.aread(_graph, who.run_key, options)
        if found is None:
            raise unknown("Run", who.run_id)
        if found["complete"]:
            break
    return answer(found)


@recordings.route("GET", ONE + "/family", permission=Permission.READ, answer=Family)
async def get_family(request: Request) -> Response:
    """The parts of a Run, theirs too, and other Runs of the same script."""
    who = caller(request)
    found = await request.app.state.store.aread(edges.family, who.run_key)
    if found is None:
        raise unknown("Run", who.run_id)
    return answer(found)


@recordings.route("GET", ONE + "/overview", permission=Permission.READ, answer=Overview)
async def get_overview(request: Request) -> Response:
    """How a script was started, its calls by model, its notes, its edits: with those of its parts."""
    who = caller(request)
    found = await request.app.state.store.aread(overview, who.run_key)
    if found is None:
        raise unknown("Run", who.run_id)
    return answer({**found, "printed": await Processes(request.app).printed(who.user, who.run_id)})


@recordings.route("GET", ONE + "/recording", permission=Permission.READ, listed=False)
async def get_recording(request: Request) -> Response:
    """What another run of the script needs of the calls: a JSON object a line."""
    lines = await request.app.state.store.aread(_recording, caller(request).run_id)
    return Response(b"".join(lines), media_type="application/x-ndjson")


@recordings.route("GET", ONE + "/edits", permission=Permission.READ, answer=list[MadeEdit])
async def list_edits(request: Request) -> Response:
    """What a draft, or a Run that was one, changes, in the order it was noted."""
    found = await request.app.state.store.aread(edits.edits, caller(request).run_key)
    names = ("field", "path", "value", "removed", "created")
    return answer([{"call": each["call_id"], **{name: each[name] for name in names}} for each in found])


@recordings.route("POST", ONE + "/edits", permission=Permission.WRITE, answer=Run, status=201, refusals=[404, 409, 429])
async def make_edit(request: Request, given: NewEdit) -> Response:
    """Note what a rerun is to change; answers with the draft it is noted in, which is this Run if it is one."""
    state, who = request.app.state, caller(request)
    with of_input():
        draft = await state.store.awrite(_edit, who.run_id, given, durable=True)
    if draft is None:
        raise unknown("call", given.call)
    state.hub.tell(draft["project_id"], draft["id"], ["status"], draft["status"])
    return answer({name: value for name, value in draft.items() if name != "key"}, 201)


@recordings.route("GET", ONE + "/diff/{other}", permission=Permission.READ, answer=Difference)
async def get_difference(request: Request, other: str) -> Response:
    """What became of this Run's calls in another run of the same script, a Run of the same project."""
    who = caller(request)
    found = await request.app.state.store.aread(_diff, who.run_id, other)
    if found is None:
        raise unknown("Run", other)
    return answer(found)


@recordings.route("POST", ONE + "/stop", permission=Permission.WRITE, answer=Stopped, refusals=[409, 429])
async def stop_run(request: Request) -> Response:
    """Stop the script of a recording that goes on, as Ctrl-C does; after some seconds by SIGTERM."""
    who = caller(request)
    return answer({"pid": await Processes(request.app).stop(who.user, who.run_id)})


@recordings.route("POST", ONE + "/rerun", permission=Permission.WRITE, answer=Run, status=201, refusals=[409, 429])
async def rerun(request: Request, given: NewRerun) -> Response:
    """Run a recording, or a draft, again; answers with the Run it becomes.  One that goes on is stopped first."""
    who = caller(request)
    begun = await Processes(request.app).rerun(who.user, who.run_id, given.env, cache=given.cache)
    return answer({name: value for name, value in begun.items() if name != "key"}, 201)


@recordings.route("GET", ONE + "/output", permission=Permission.READ, answer=Output, refusals=[409])
async def get_output(request: Request, last: Annotated[int, Query(ge=1, le=LIMIT)] = 65_536) -> Response:
    """The end of what a script printed that this server has started, at most so many bytes of it."""
    who = caller(request)
    return answer((await Processes(request.app).output(who.user, who.run_id, last))._asdict())


def _found(connection: Connection, user_id: str, reference: str) -> dict[str, Any] | None:
    run = stored.find(connection, user_id, reference)
    if run is None:
        return None
    command = stored_runs.command_of(connection, run["id"])
    return {"run": {name: value for name, value in run.items() if name != "key"}, "command": command}


def _graph(connection: Connection, run_key: int, options: dict[str, bool]) -> dict[str, Any] | None:
    return edges.graph(connection, run_key, **options)


def _recording(connection: Connection, run_id: str) -> list[bytes]:
    return list(_lines(connection, run_id))


def _lines(connection: Connection, run_id: str) -> Iterator[bytes]:
    for call in stored.recorded_calls(connection, run_id):
        yield orjson.dumps(call) + b"\n"


def _edit(connection: Connection, run_id: str, given: NewEdit) -> dict[str, Any] | None:
    try:
        return edits.edit(
            connection, run_id, given.call, given.field, pointer_of(given.path), given.value, remove=given.remove
        )
    except LookupError:
        return None


def _diff(connection: Connection, run_id: str, other: str) -> dict[str, list[str]] | None:
    before, after = (stored_runs.run(connection, each) for each in (run_id, other))
    if before is None or after is None or before["project_id"] != after["project_id"]:
        return None
    return stored.diff(connection, before, after)
