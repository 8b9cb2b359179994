"""Lines of a journal, and records of calls, as clients write them; and Runs that they belong to."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from tellurio.store import Store
from tellurio.store.ingest import ingest
from tellurio.store.projects import make_namespace, make_project, project
from tellurio.store.runs import make_run, runs
from tellurio.store.users import make_user


def line(n: int, k: str, **fields: Any) -> bytes:
    """One record; its time is ``1000 + n``."""
    return orjson.dumps({"n": n, "t": 1000.0 + n, "k": k, **fields})


def point(n: int, value: Any = 0.5, name: str = "loss", step: int | None = None) -> bytes:
    """A metric's record."""
    return line(n, "m", name=name, v=value, step=step)


def send(
    store: Store, run: Mapping[str, Any], lines: Sequence[bytes], first: int = 1, client: str | None = None
) -> dict[str, Any]:
    """What the server does with a batch; each Run has a client of its own."""
    return store.write(ingest, run["key"], run["id"] if client is None else client, first, lines)


def new_run(store: Store, **options: Any) -> dict[str, Any]:
    """A Run, of a project that all Runs made here share."""
    home = store.read(project, "alice", "tickets")
    if home is None:
        user = store.write(make_user, "alice", "alice@example.org")
        store.write(make_namespace, "alice", "Alice", user["id"])
        home = store.write(make_project, "alice", "Tickets", "RESTRICTED", user["id"])
        store.write(make_run, home["id"], user["id"], id=str(uuid.uuid4()))
    like = store.read(runs, home["id"], limit=1)["runs"][0]
    return store.write(make_run, home["id"], like["user"]["id"], id=str(uuid.uuid4()), **options)


def call_record(**changes: Any) -> dict[str, Any]:
    """A call as `afnio.calls.record.record_of` writes it."""
    return {
        "v": 1,
        "key": "ab" * 32,
        "job": "",
        "phase": "train",
        "node": "ChatCompletion",
        "role": "forward",
        "words": "",
        "provider": "openai",
        "format": "chat",
        "host": "api.openai.com",
        "path": "/chat/completions",
        "model": "gpt-4.1-nano",
        "request": {"model": "gpt-4.1-nano", "messages": [{"role": "user", "content": "Hello"}]},
        "status": 200,
        "response": {"choices": [{"message": {"content": "Hi"}}]},
        "usage": {"input_tokens": 9, "output_tokens": 2},
        "cost": {"usd": "0.0000017", "table": "genai-prices"},
        "attempts": 1,
        "started": 1000.0,
        "seconds": 0.5,
        "request_id": "req_1",
        "source": "live",
    } | changes
