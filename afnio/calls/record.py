"""A call as it is stored: one flat JSON object with everything but headers and keys."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from afnio.calls.request import Cost, Reply, Request, Usage
from afnio.errors import APIResponseError

__all__ = ["VERSION", "record_of", "reply_of"]

VERSION = 1


def record_of(reply: Reply, phase: str, job: str) -> dict[str, Any]:
    """The record of a reply."""
    request = reply.request
    return {
        "v": VERSION,
        "key": request.key,
        "job": job,
        "phase": phase,
        "node": request.node,
        "role": request.role,
        "provider": request.provider,
        "host": _host(request.endpoint),
        "path": request.path,
        "model": request.model,
        "request": request.body,
        "status": 200,
        "response": reply.body,
        "usage": reply.usage.as_dict(),
        "cost": reply.cost.as_dict(),
        "attempts": reply.attempts,
        "started": reply.started,
        "seconds": reply.seconds,
        "request_id": reply.request_id,
        "source": reply.source,
    }


def reply_of(record: dict[str, Any], request: Request, line: int) -> Reply:
    """The reply a record holds, as an answer to ``request``."""
    reply = Reply(
        request=request,
        text="",
        body=record["response"],
        usage=Usage.from_dict(record["usage"]),
        cost=Cost.from_dict(record["cost"]),
        source="log",
        attempts=record["attempts"],
        started=record["started"],
        seconds=record["seconds"],
        request_id=record.get("request_id"),
        line=line,
    )
    try:
        reply.text = request.format.text(reply.body)
    except APIResponseError as fault:
        reply.fault = fault
    return reply


def _host(endpoint: str) -> str:
    return urlsplit(endpoint).netloc.rpartition("@")[2]
