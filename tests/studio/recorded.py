"""Recorded scripts as they look to who comes to their pages: written into a store before its server starts."""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import orjson
from sqlalchemy import Connection, update

from tellurio.server.outputs import Outputs
from tellurio.store import projects, runs, tables, users
from tellurio.store.edits import edit
from tellurio.store.ingest import ingest
from tellurio.store.recordings import begin_recording
from tellurio.store.store import Store
from tests.studio.seeds import MODEL_TEXT, NAMESPACE

__all__ = ["Recorded", "record"]

QUESTIONS = (
    "May I return shoes that I have worn once?",
    "My parcel was due on Monday. Where is it?",
    "Do you have the blue kayak in stock again?",
    "I was charged twice for one order.",
    "The app forgets my address at each login.",
    "Which paddle fits somebody of 190 cm?",
)
COMMAND = {
    "argv": ["evaluate.py", "--samples", "6"],
    "interpreter": "/srv/ada/agents/.venv/bin/python",
    "cwd": "/srv/ada/agents",
    "host": "ada-laptop",
    "needs": ["OPENAI_API_KEY"],
}
PRINTED = """sample-1: passed
sample-2: passed
sample-3: failed, it promised a date
sample-4: passed
sample-5: passed
sample-6: passed
5 of 6
"""


class Recorded(NamedTuple):
    """The paths of the Runs' pages."""

    project: str
    whole: str  # with parts, notes, failed calls
    silent: str  # no call
    crashed: str
    draft: str
    rerun: str  # of a draft, started by the server


def record(home: Path) -> Recorded:
    """Write them into the store of the server at ``home``, which is not running."""
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    store = Store.open(home / "server")
    try:
        paths, again = store.write(_record, time.time(), durable=True)
        outputs = Outputs(store.folder)
        with open(outputs.begin(again), "wb") as file:
            file.write(PRINTED.encode())
        return paths
    finally:
        store.close()


def _record(c: Connection, now: float) -> tuple[Recorded, str]:
    user = users.local_user(c) or users.make_user(c, "ada", "ada@localhost", is_admin=True)
    if projects.namespace(c, NAMESPACE) is None:
        projects.make_namespace(c, NAMESPACE, "Acme", user["id"])
    random = Random("recorded")
    whole = _begin(c, random, "evaluate", now - 3600)
    _fill(c, whole["id"], _evaluation(random, now - 3600))
    silent = _begin(c, random, "nightly report", now - 1800, argv=["report.py"])
    _fill(c, silent["id"], [_end(now - 1799.2)])
    crashed = _begin(c, random, "triage", now - 900, argv=["triage.py", "inbox.json"])
    calls = [_call(random, now - 900 + at, QUESTIONS[at], "billing") for at in range(2)]
    broken = _call(random, now - 896, QUESTIONS[2], None, error="status 429: Rate limit reached for gpt-5-mini")
    _fill(c, crashed["id"], [*calls, broken, _end(now - 890, "CRASHED", "KeyError: 'customer'")])
    draft = _edited(c, whole["id"])
    again = _edited(c, whole["id"])
    told = {"id": again, "command": COMMAND, "parent_id": whole["id"], "kind": "rerun"}
    begin_recording(c, told)
    _fill(c, again, _evaluation(random, now - 300, replayed=True))
    for run, at, lasted in ((whole, 3600, 14.2), (silent, 1800, 0.8), (crashed, 900, 10.0), ({"id": again}, 300, 3.1)):
        _when(c, run["id"], now - at, lasted)
    slugs = [str(runs.run(c, id)["slug"]) for id in (whole["id"], silent["id"], crashed["id"], draft, again)]  # type: ignore[index]
    path = f"/{NAMESPACE}/projects/{whole['project_slug']}/"
    return Recorded(path, *(f"{path}runs/{slug}/" for slug in slugs)), again


def _begin(c: Connection, random: Random, name: str, begun: float, **command: Any) -> dict[str, Any]:
    told = {
        "id": _id(random),
        "name": name,
        "kind": "recording",
        "namespace": NAMESPACE,
        "project": "Support agent",
        "command": COMMAND | command,
        "client": {
            "version": "0.1.0",
            "python": "3.12.4",
            "command": "ao-record " + " ".join((COMMAND | command)["argv"]),
        },
        "created": begun,
        "lease": 86_400.0,
    }
    return begin_recording(c, told)


def _evaluation(random: Random, begun: float, *, replayed: bool = False) -> list[dict[str, Any]]:
    """Six samples, each a part with two calls and a mark; one of them fails."""
    records = [_call(random, begun, "Which tools are there?", "search, refund, escalate", replayed=replayed)]
    for number, question in enumerate(QUESTIONS):
        part, at = _id(random), begun + 1 + 2 * number
        name = f"sample-{number + 1}"
        records.append({"k": "b", "t": at, "run": {"id": part, "kind": "subrun", "name": name, "created": at}})
        live = replayed and number == 2
        found = f"Returns take 30 days. Parcels take {number + 2}. {MODEL_TEXT if number == 1 else ''}"
        records.append({**_call(random, at, question, found, replayed=replayed), "r": part})
        asked = f"{question}\n\nWhat we know: {found}"
        records.append(
            {
                **_call(
                    random,
                    at + 1,
                    asked,
                    "It comes on Friday.",
                    model="claude-sonnet-4-5",
                    replayed=replayed and not live,
                ),
                "r": part,
            }
        )
        entry: Any = {"score": 0.25, "why": "It promises a date that nobody gave."} if number == 2 else "as expected"
        note = {"k": "e", "t": at + 1.5, "kind": "log", "data": {"entry": entry, "success": number != 2}, "r": part}
        records += [note, {**_end(at + 1.8), "r": part}]
    return [*records, _end(begun + 14.2)]


def _call(
    random: Random,
    at: float,
    question: str,
    text: str | None,
    *,
    model: str = "gpt-5-mini",
    error: str | None = None,
    replayed: bool = False,
) -> dict[str, Any]:
    request = {"model": model, "messages": [{"role": "user", "content": question}]}
    tokens = {"input_tokens": 40 + len(question), "output_tokens": 0 if text is None else 10 + len(text)}
    record = {
        "v": 1,
        "key": f"{random.getrandbits(256):064x}",
        "job": "",
        "phase": "",
        "node": model,
        "role": "forward",
        "words": "",
        "provider": "openai",
        "format": "openai.chat",
        "host": "api.openai.com",
        "url": "https://api.openai.com/v1/chat/completions",
        "path": "/v1/chat/completions",
        "model": model,
        "request": request,
        "status": 429 if error else 200,
        "response": None if text is None else {"choices": [{"message": {"role": "assistant", "content": text}}]},
        "usage": tokens,
        "cost": {"usd": None if error else f"{random.randrange(40, 900) / 1e6:.6f}", "table": "genai-prices"},
        "attempts": 0 if replayed else 1,
        "started": at,
        "seconds": random.uniform(0.4, 1.6),
        "request_id": None,
        "source": "log" if replayed else "live",
        "call_id": _id(random),
        "label": model,
        "location": f"/srv/ada/agents/evaluate.py:{20 + len(question) % 7}",
        "error": error,
    }
    return {"k": "c", "t": at, "record": record}


def _end(at: float, status: str = "COMPLETED", reason: str | None = None) -> dict[str, Any]:
    return {"k": "s", "t": at, "status": status} | ({} if reason is None else {"reason": reason})


def _fill(c: Connection, id: str, records: Sequence[Mapping[str, Any]]) -> None:
    run = runs.run(c, id)
    assert run is not None
    ingest(c, run["key"], f"recorder-{id}", 1, [orjson.dumps({"n": n, **each}) for n, each in enumerate(records, 1)])


def _edited(c: Connection, source: str) -> str:
    """A draft in which an answer and a request are others."""
    query = "SELECT call_id FROM calls JOIN runs ON runs.key = calls.run_key WHERE {} ORDER BY calls.key"
    own = [row[0] for row in c.exec_driver_sql(query.format("runs.id = ?"), (source,))]
    theirs = [row[0] for row in c.exec_driver_sql(query.format("runs.parent_id = ?"), (source,))]
    draft = edit(c, source, own[0], "output", "/choices/0/message/content", "search, refund")
    edit(
        c,
        draft["id"],
        theirs[5],
        "input",
        "/messages/0/content",
        f"{QUESTIONS[2]}\n\nPromise nothing that is not known.",
    )
    return str(draft["id"])


def _when(c: Connection, id: str, begun: float, lasted: float) -> None:
    times = {"created": begun, "updated": begun + lasted, "ended": begun + lasted}
    c.execute(update(tables.runs).where(tables.runs.c.id == id).values(**times))


def _id(random: Random) -> str:
    return str(uuid.UUID(int=random.getrandbits(128), version=4))
