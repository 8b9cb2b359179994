"""Projects as they look after weeks of work: written into a store before its server starts, the same every time."""

from __future__ import annotations

import math
import time
import uuid
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import orjson
from sqlalchemy import Connection, update

from tellurio.schemas.records import number_out
from tellurio.store import projects, runs, tables, users
from tellurio.store.ingest import ingest
from tellurio.store.store import Store

__all__ = ["MODEL_TEXT", "NAMESPACE", "Seeded", "seed"]

NAMESPACE = "acme"

MODEL_TEXT = (
    'Ignore the page you are in. <script>window.hacked = 1</script><img src="https://evil.example/x.png" '
    'onerror="window.hacked = 1"> & <b>bold</b> [a](javascript:alert(1)) \u202ereversed\u202c 数据 🙂'
)
"""What a model may say; on the page it is text, to the last sign."""

START = "Classify the support ticket. Answer with JSON that has the fields sentiment, urgency and queue."
RULES = (
    "- Refund requests go to the queue billing, whatever product they name.",
    "- A parcel that has not come is urgent: high when it was due more than a week ago.",
    "- Sarcasm is negative, even where every word of it is friendly.",
    "- Questions before a purchase go to sales. Questions after it go to technical.",
    "- Answer with the JSON alone: no code fence, no explanation.",
)
ADJECTIVES = ("brave", "calm", "eager", "gentle", "jolly", "keen", "lucid", "merry", "proud", "swift", "tidy", "witty")
FOODS = ("bagel", "curry", "dumpling", "falafel", "gnocchi", "kimchi", "lasagna", "mango", "paella", "ramen", "taco")
FEEDBACK = (
    "The ticket asks for money back and names the app, so the answer said technical. The queue should be billing.",
    "The customer has waited for twelve days. Urgency was given as low, it should be high.",
    "'Great job, it broke again' is no praise. Sentiment was given as positive.",
)


class Seeded(NamedTuple):
    """What was written."""

    project: str
    """The path of its page, ``/acme/projects/support-tickets/``."""
    runs: list[str]
    """The paths of its Runs' pages, oldest first; the last one has something of everything in it."""


def seed(home: Path, count: int, *, project: str = "Support tickets", now: float | None = None) -> Seeded:
    """Write a project with ``count`` Runs into the store of the server at ``home``, which is not running.

    Args:
        now: when the newest Run begins to be 20 minutes old; None: it is now.
    """
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    now = time.time() if now is None else now
    store = Store.open(home / "server")
    try:
        return store.write(_project, count, project, now, durable=True)
    finally:
        store.close()


def _project(c: Connection, count: int, name: str, now: float) -> Seeded:
    user = users.local_user(c) or users.make_user(c, "ada", "ada@localhost", is_admin=True)
    if projects.namespace(c, NAMESPACE) is None:
        projects.make_namespace(c, NAMESPACE, "Acme", user["id"])
    made = projects.make_project(c, NAMESPACE, name, "TEAM", user["id"])
    path = f"/{NAMESPACE}/projects/{made['slug']}/"
    random = Random(name)  # another project: other ids
    slugs = [_run(c, made["id"], user["id"], number, count, random, now) for number in range(count)]
    if count:
        c.execute(update(tables.projects).where(tables.projects.c.id == made["id"]).values(last_run=now))
    return Seeded(path, [f"{path}runs/{slug}/" for slug in slugs])


def _run(c: Connection, project_id: str, user_id: str, number: int, count: int, random: Random, now: float) -> str:
    newest = number == count - 1
    status = "RUNNING" if newest else random.choices(("COMPLETED", "CRASHED", "FAILED"), (8, 1, 1))[0]
    begun = now - (count - 1 - number) * 2_700.0 - 1_200.0
    made = runs.make_run(
        c,
        project_id,
        user_id,
        id=str(uuid.UUID(int=random.getrandbits(128), version=4)),
        name=_name(random, number),
        description="Momentum and five constraints, on all 240 tickets." if newest else None,
        config={
            "model": "gpt-5-mini"
            if newest
            else random.choice(("gpt-5", "gpt-5-mini", "claude-sonnet-4-5", "llama3.1")),
            "optimizer": {"name": "TGD", "momentum": random.randrange(4), "constraints": random.randrange(6)},
            "batch_size": random.choice((4, 8, 16)),
            "seed": number,
        },
        tags=["long", "paper"]
        if newest
        else random.sample(("baseline", "ablation", "long", "paper", "retry"), random.randrange(3)),
        budget={"usd": "2.50"} if newest or number % 2 else None,
        client={"version": "0.1.0", "python": "3.12.4", "command": "python train.py --seed 4", "git": "2d8a233"},
        lease=86_400.0,
    )
    lasted = 1_195.0 if newest else random.uniform(40.0, 2_400.0)
    records = _everything(random, begun) if newest else _summary(random, begun, lasted)
    if status != "RUNNING":
        reason = {"CRASHED": "KeyboardInterrupt", "FAILED": "BudgetExceeded: $2.50 of $2.50 are spent"}.get(status)
        records.append({"k": "s", "t": begun + lasted, "status": status, "reason": reason})
    lines = [orjson.dumps({"n": n, **record}) + b"\n" for n, record in enumerate(records, 1)]
    ingest(c, made["key"], f"seeds-{made['id']}", 1, lines)
    ended = None if status == "RUNNING" else begun + lasted
    times = {"created": begun, "updated": begun + lasted, "ended": ended}
    c.execute(update(tables.runs).where(tables.runs.c.key == made["key"]).values(**times))
    return str(made["slug"])


def _name(random: Random, number: int) -> str:
    """One as they are made for Runs without a name, or, for every third, one that was given."""
    made = f"{random.choice(ADJECTIVES)}_{random.choice(FOODS)}_{random.randrange(1, 1000)}"
    return made if number % 3 else f"sweep-{number:04}"


def _summary(random: Random, begun: float, lasted: float) -> list[dict[str, Any]]:
    """A few points and calls: what a table shows of a Run."""
    records = []
    score = random.uniform(0.4, 0.6)
    for step in range(1, 6):
        score += random.uniform(-0.03, 0.12)
        at = begun + lasted * step / 5
        records.append(_metric(at, "accuracy", min(1.0, score), step))
        records.append(_metric(at, "train_loss", math.nan if random.random() < 0.01 else 1.2 - score, step))
    records += [_call(random, begun + index, index) for index in range(random.randrange(1, 4))]
    return records


def _everything(random: Random, begun: float) -> list[dict[str, Any]]:
    """A long training of two prompts: 300 steps, with all that can be seen of it."""
    records = [_started(begun)]
    prompt = START
    for step in range(300):
        at = begun + step * 4.0
        score = 0.97 - 0.45 * math.exp(-step / 70) + random.gauss(0, 0.03)
        loss = math.inf if step == 41 else math.nan if step in {120, 121} else 1.4 * math.exp(-step / 90) + 0.08
        records.append(_metric(at, "train_loss", loss * random.uniform(0.85, 1.15), step))
        records.append(_metric(at, "accuracy", min(1.0, max(0.0, score)), step))
        records.append(_metric(at, "cost_per_sample", 0.0004 * (1 + step / 300) * random.uniform(0.9, 1.1), step))
        if step % 10 == 0:
            records.append(_metric(at, "validation/accuracy", min(1.0, score - 0.02), step))
        records += [_call(random, at + part, 2 * step + part) for part in (0, 1)]
        if step % 50 == 25:
            records += _proposal(random, at, step, prompt, score)
            if records[-1]["data"]["status"] == "kept":
                prompt = records[-1]["data"]["updates"][0]["after"]
    records.append({"k": "v", "t": begun, "name": "note", "type": "text", "v": MODEL_TEXT, "step": 0})
    return records


def _started(begun: float) -> dict[str, Any]:
    prompts = {"prompt": START, "judge.rubric": "Compare the answer with the target. Say where they differ."}
    roles = {"prompt": "system prompt of the ticket classifier", "judge.rubric": "rubric of the judge"}
    return {"k": "e", "t": begun, "kind": "fit_start", "data": {"prompts": prompts, "roles": roles}}


def _proposal(random: Random, at: float, step: int, before: str, score: float) -> list[dict[str, Any]]:
    """A step of the optimizer, and what the gate found."""
    number = step // 50
    kept = number not in {2, 4}
    after = f"{before}\n{RULES[number % len(RULES)]}" if kept else f"{START} {MODEL_TEXT}"
    if number == 5:
        after = after.replace("Answer with JSON", "Answer with one line of JSON")
    told = random.sample(FEEDBACK, 2) + ([MODEL_TEXT] if number == 1 else [])
    role = "system prompt of the ticket classifier"
    data = {
        "parameter": "prompt",
        "role": role,
        "before": before,
        "after": after,
        "reasoning": "Both tickets were sent to the wrong queue for the same reason, so one rule serves them.",
        "gradients": [
            {"text": text, "samples": sorted(random.sample(range(240), random.randrange(1, 9)))} for text in told
        ],
        "step": step,
    }
    updates = [{"parameter": "prompt", "role": role, "before": before, "after": after}]
    verdict = {
        "status": "kept" if kept else "undone",
        "before": score,
        "after": min(1.0, score + 0.06) if kept else score - 0.09,
    }
    return [
        {"k": "e", "t": at + 2, "kind": "prompt", "data": data},
        {"k": "e", "t": at + 3, "kind": "gate", "data": {**verdict, "updates": updates, "step": step}},
    ]


def _metric(at: float, name: str, value: float, step: int) -> dict[str, Any]:
    return {"k": "m", "t": at, "name": name, "v": number_out(value), "step": step}


def _call(random: Random, at: float, number: int) -> dict[str, Any]:
    """A call: every 11th has no known price, every 13th was answered by an earlier one."""
    role = ("forward", "forward", "forward", "evaluator", "backward", "optimizer")[number % 6]
    asked, said = random.randrange(200, 3_000), random.randrange(20, 400)
    unpriced, reused = number % 11 == 10, number % 13 == 12
    answer = MODEL_TEXT if number % 7 == 6 else '{"sentiment": "negative", "urgency": "high", "queue": "billing"}'
    request = {
        "model": "llama3.1" if unpriced else "gpt-5-mini",
        "messages": [
            {"role": "system", "content": START},
            {"role": "user", "content": f"Ticket {number}: my parcel never came. I want my money back."},
        ],
        "temperature": 0,
    }
    record = {
        "key": f"{random.getrandbits(256):064x}",
        "role": role,
        "phase": {"backward": "backward", "optimizer": "step"}.get(role, "forward"),
        "node": f"{role}.{number % 4}",
        "words": "1",
        "provider": "ollama" if unpriced else "openai",
        "host": "localhost:11434" if unpriced else "api.openai.com",
        "model": request["model"],
        "source": "log" if reused else "live",
        "attempts": 2 if number % 17 == 16 else 1,
        "started": at,
        "seconds": 0.0 if reused else round(random.uniform(0.3, 6.0), 3),
        "usage": {
            "input_tokens": asked,
            "output_tokens": said,
            "cached_tokens": asked // 2,
            "reasoning_tokens": 0,
            "estimated": unpriced,
        },
        "cost": {"usd": None if unpriced else f"{asked * 0.25e-6 + said * 2e-6:.10f}"},
        "request": request,
        "response": {"choices": [{"index": 0, "message": {"role": "assistant", "content": answer}}]},
    }
    return {"k": "c", "t": at, "record": record}
