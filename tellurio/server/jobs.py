"""Jobs: one goes up, its events come down as server-sent events, answers to its questions go up beside it."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping
from functools import partial
from typing import Any, Literal

from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response

from afnio.calls import _json
from afnio.errors import JobError
from tellurio.engine.channel import Channel
from tellurio.engine.jobs import Jobs
from tellurio.server.answers import answer
from tellurio.server.doors import Permission, Resource
from tellurio.server.gate import caller
from tellurio.server.refusals import Refused, unknown
from tellurio.server.streams import event_stream
from tellurio.store import jobs as table

__all__ = ["jobs"]

LIMIT = 256 << 20
"""Bytes of a job: a graph with the texts of its calls."""

KINDS = ("backward", "step")
PARTS = {"kind": str, "payload": dict, "settings": dict, "models": list}

jobs = Resource("jobs")


class JobState(BaseModel):
    """A job, as the store knows it."""

    id: str
    kind: str
    state: Literal["running", "waiting", "done", "failed", "cancelled"]
    fence: int
    created: float
    updated: float
    ended: float | None


_BODY = {
    "requestBody": {"required": True, "content": {"application/json": {"schema": {"type": "object"}}}},
}
_EVENTS: dict[int | str, dict[str, Any]] = {
    200: {"description": "The events of the job.", "content": {"text/event-stream": {"schema": {"type": "string"}}}}
}


@jobs.route(
    "POST",
    "/runs/{run_id}/jobs/{job_id}",
    permission=Permission.WRITE,
    body_limit=LIMIT,
    refusals=[409],
    answers=_EVENTS,
    extra=_BODY,
)
async def open_job(request: Request, run_id: str, job_id: str) -> Response:
    """Send a job, or ask again for one that was sent; the answer is the stream of its events.

    With ``Last-Event-ID`` the stream goes on after that event, unless the job began anew in the meantime.
    """
    if not (job_id.isascii() and job_id.isalnum() and len(job_id) <= 64):
        raise Refused(422, f"A job's id is made of at most 64 letters and digits, got {job_id[:100]!r}.")
    body = await _body(request)
    for name, kind in PARTS.items():
        if not isinstance(body.get(name), kind):
            raise Refused(422, f"A job has {name!r}, a JSON {kind.__name__}; got {type(body.get(name)).__name__}.")
    if not isinstance(body.get("secrets"), dict | None):
        raise Refused(422, f"A job's secrets are a JSON object; got {type(body['secrets']).__name__}.")
    if body["kind"] not in KINDS:
        raise Refused(422, f"A job's kind is one of {', '.join(KINDS)}; got {body['kind'][:100]!r}.")
    who, hub = caller(request), request.app.state.hub
    stored = partial(hub.tell, who.project["id"], who.run_id, ("calls",))
    try:
        heard = _heard(request)
        channel = await _held(request).open(who.run_key, job_id, body["kind"], body, stored, _fence_of(heard))
    except JobError as error:
        raise Refused(409, str(error)) from error
    return event_stream(request, _stream(channel, heard))


def _heard(request: Request) -> tuple[str, int]:
    """The last event that the client has: name of its channel, and number.  No event has the number 0."""
    name, _, number = request.headers.get("last-event-id", "").partition(":")
    return name, int(number) if re.fullmatch("[0-9]{1,9}", number) else 0


def _fence_of(heard: tuple[str, int]) -> int:
    """Fence of the holding that told the event, by which its channel's name begins; 0: there was none."""
    fence = re.match("[0-9]{1,15}", heard[0])
    return int(fence[0]) if fence else 0


def _stream(channel: Channel, heard: tuple[str, int]) -> AsyncIterator[bytes]:
    return channel.stream(heard[1] if heard[0] == channel.name else 0)


@jobs.route(
    "POST",
    "/runs/{run_id}/jobs/{job_id}/answers",
    permission=Permission.WRITE,
    body_limit=LIMIT,
    status=204,
    refusals=[409],
    extra=_BODY,
)
async def answer_job(request: Request, run_id: str, job_id: str) -> Response:
    """Answer questions of a job: ``{"fence": ..., "answers": [{"id": ..., "answer": ...}]}``."""
    body = await _body(request)
    answers = body.get("answers")
    if not isinstance(answers, list) or not all(isinstance(each, dict) for each in answers):
        raise Refused(422, 'Expected {"fence": number, "answers": [{"id": ..., "answer": ...}]}.')
    job = _held(request).get(job_id)
    if job is None or job.run_key != caller(request).run_key:
        raise unknown("job", job_id)
    if body.get("fence") != job.fence:
        raise Refused(409, f"The job began anew: its fence is {job.fence}. Ask for it again.")
    try:
        job.channel.answer(answers)
    except (KeyError, TypeError, ValueError) as error:
        raise Refused(422, f"An answer cannot be read: {type(error).__name__}: {error}") from error
    return Response(status_code=204)


@jobs.route("DELETE", "/runs/{run_id}/jobs/{job_id}", permission=Permission.WRITE, status=204)
async def cancel_job(request: Request, run_id: str, job_id: str) -> Response:
    """End a job.  What was paid for is recorded."""
    if not await _held(request).cancel(caller(request).run_key, job_id):
        raise unknown("job", job_id)
    return Response(status_code=204)


@jobs.route("GET", "/runs/{run_id}/jobs/{job_id}", permission=Permission.READ, answer=JobState)
async def get_job(request: Request, run_id: str, job_id: str) -> Response:
    """How a job stands."""
    known = await _known(request, job_id)
    return answer({name: known[name] for name in JobState.model_fields})


async def _known(request: Request, job_id: str) -> dict[str, Any]:
    known: dict[str, Any] | None = await request.app.state.store.aread(table.job, job_id)
    if known is None or known["run_key"] != caller(request).run_key:
        raise unknown("job", job_id)
    return known


def _held(request: Request) -> Jobs:
    held: Jobs = request.app.state.jobs
    return held


async def _body(request: Request) -> Mapping[str, Any]:
    try:
        body = _json.loads(await request.body())
    except (ValueError, RecursionError) as error:
        raise Refused(400, f"The body is no JSON: {error}") from error
    if not isinstance(body, dict):
        raise Refused(422, f"Expected a JSON object, got {type(body).__name__}.")
    return body
