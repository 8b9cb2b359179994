"""A call as it is stored: one flat JSON object with everything but headers and keys."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from afnio.calls.request import ApiFormat, Cost, Reply, Request, Usage
from afnio.errors import APIResponseError, CallLogError

__all__ = ["VERSION", "formats", "record_of", "ref_of", "reply_of", "request_of"]

VERSION = 1

formats: dict[str, ApiFormat] = {}
"""Name -> API format: how a record's response is to be read."""


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
        "words": request.words,
        "provider": request.provider,
        "format": request.format.name,
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


def ref_of(reply: Reply, phase: str, job: str) -> dict[str, Any]:
    """The short record of a call that an earlier line answered."""
    request = reply.request
    return {
        "v": VERSION,
        "key": request.key,
        "ref": reply.line,
        "job": job,
        "phase": phase,
        "node": request.node,
        "role": request.role,
        "source": reply.source,
    }


def request_of(record: dict[str, Any], asked: dict[str, Any]) -> Request:
    """The request of a record; role and node are taken from ``asked``, the record or a reference to it.

    Raises:
        CallLogError: its API format is not known here.
    """
    name = record["format"]
    if name not in formats:
        raise CallLogError(
            f"A recorded call has the API format {name!r}; known are {sorted(formats)}. Import its model class first."
        )
    return Request(
        record["provider"],
        record["host"],
        record["path"],
        record["model"],
        record["request"],
        formats[name],
        asked["role"],
        asked["node"],
        _key=record["key"],
    )


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
