"""A Run's journal, taken in: the hot path.

Lines go to the store as they came, in one piece of work for the writer; nothing here reads them.  There is no FastAPI
and no pydantic in between: ``DESCRIPTION`` says in the API's description what it takes and gives.
"""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import parse_qsl

import orjson
from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope, Send

from afnio.errors import StoreError
from tellurio.server.doors import Permission, Resource
from tellurio.server.models import Acknowledged, Refusal
from tellurio.server.pressure import Pressure
from tellurio.server.refusals import Refused, unknown
from tellurio.server.settings import ServerSettings
from tellurio.store.ingest import IngestGap, IngestRefused, Subrun, ingest
from tellurio.store.store import Store

__all__ = ["DESCRIPTION", "PATH", "Journal", "journal"]

PATH = "/runs/{run_id}/journal"

LONGEST_CLIENT = 200
LARGEST_NUMBER = 2**53


def journal(settings: ServerSettings) -> Resource:
    """The resource; its door is a plain one."""
    resource = Resource("journal")
    door = Journal(settings)
    resource.plain("POST", PATH, door, permission=Permission.WRITE, body_limit=settings.journal_limit)
    return resource


class Journal:
    """Takes batches of lines.

    Attributes:
        pressure: what waits for the database.
    """

    def __init__(self, settings: ServerSettings) -> None:
        self._most_lines = settings.journal_lines
        self.pressure = Pressure(settings.waiting_requests, settings.waiting_bytes)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        client, first = _asked(scope["query_string"])
        store: Store = scope["app"].state.store
        self.pressure.enter()
        held = 0
        try:
            chunks = []
            more = True
            while more:
                message = await receive()
                if message["type"] != "http.request":
                    raise ClientDisconnect
                chunk = message.get("body", b"")
                self.pressure.hold(len(chunk))
                held += len(chunk)
                chunks.append(chunk)
                more = message.get("more_body", False)
            lines = self._lines(b"".join(chunks))
            acknowledged = await _stored(store, scope, client, first, lines)
        finally:
            self.pressure.leave(held)
        body = orjson.dumps(acknowledged)
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    def _lines(self, body: bytes) -> list[bytes]:
        lines = body.split(b"\n")
        if not lines[-1]:
            lines.pop()
        if len(lines) > self._most_lines:
            raise Refused(413, f"A batch may have {self._most_lines} records, and this one has {len(lines)}.")
        return lines


async def _stored(store: Store, scope: Scope, client: str, first: int, lines: list[bytes]) -> dict[str, Any]:
    who = scope["tellurio.caller"]
    try:
        # What is acknowledged may be deleted by the client: it has to survive a power cut here.
        changed: set[str] = set()
        subruns: dict[str, Subrun] = {}
        how: Any = {"durable": True, "changed": changed, "subruns": subruns}
        future = store.submit(ingest, who.run_key, client, first, lines, **how)
        stored = await asyncio.wrap_future(future)
        if changed:
            status = stored["status"] if "status" in changed else None
            scope["app"].state.hub.tell(who.project["id"], who.run_id, changed, status)
        scope["app"].state.hub.tell_subruns(who.project["id"], subruns)
        return stored
    except IngestGap as gap:
        raise Refused(409, str(gap), code="gap", acknowledged=gap.acknowledged) from gap
    except IngestRefused as fault:
        raise Refused(422, fault.reason[:2000], code="refused", n=fault.n) from fault
    except StoreError:
        raise
    except LookupError as error:
        scope["app"].state.gate.forget()
        raise unknown("Run", who.run_id) from error


def _asked(query: bytes) -> tuple[str, int]:
    """Whose journal it is, and the number of the first line."""
    given = dict(parse_qsl(query.decode("latin-1")))
    client, first = given.get("client", ""), given.get("first", "")
    if not 0 < len(client) <= LONGEST_CLIENT:
        raise Refused(422, f"client: expected the journal's client id, of 1 to {LONGEST_CLIENT} characters.")
    number = int(first) if first.isascii() and first.isdigit() and len(first) < 20 else 0
    if not 1 <= number <= LARGEST_NUMBER:
        raise Refused(422, "first: expected the number of the first record, from 1 on.")
    return client, number


def _answer(what: str, model: Any) -> dict[str, Any]:
    schema = {"$ref": f"#/components/schemas/{model.__name__}"}
    return {"description": what, "content": {"application/json": {"schema": schema}}}


_REFUSALS = {
    400: "The request cannot be read",
    401: "Nobody known sent it",
    403: "The caller's role does not allow it",
    404: "No such Run that the caller can see",
    409: "Records before the first are missing; code 'gap'",
    413: "The batch is too large",
    422: "A record cannot be stored, and nothing of the batch was; code 'refused'",
    426: "The client's version does not fit",
    429: "Too much waits for the database",
    503: "The database cannot be written",
}

DESCRIPTION: dict[str, Any] = {
    "post": {
        "tags": ["journal"],
        "operationId": "append_journal",
        "summary": "Append Journal",
        "description": "Store records of a Run's journal, each exactly once, however often they are sent.",
        "parameters": [
            {"name": "run_id", "in": "path", "required": True, "schema": {"type": "string"}},
            {
                "name": "client",
                "in": "query",
                "required": True,
                "schema": {"type": "string", "minLength": 1, "maxLength": LONGEST_CLIENT},
                "description": "names the journal; a journal belongs to one Run",
            },
            {
                "name": "first",
                "in": "query",
                "required": True,
                "schema": {"type": "integer", "minimum": 1, "maximum": LARGEST_NUMBER},
                "description": "number of the first record in the body",
            },
        ],
        "requestBody": {
            "required": True,
            "content": {"application/x-ndjson": {"schema": {"type": "string"}}},
        },
        "responses": {
            "200": _answer("How far the journal is stored", Acknowledged),
            **{str(status): _answer(what, Refusal) for status, what in _REFUSALS.items()},
        },
    }
}
