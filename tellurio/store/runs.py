"""Runs, and the law of their states.

A Run is RUNNING until somebody says how it ended.  What its client says is final.  A Run that has given no sign of
life for longer than its lease is taken for CRASHED; that is a guess: a sign of life makes it RUNNING again, and an end
that its client tells later wins.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, cast, overload

import orjson
from sqlalchemy import Connection, Select, and_, bindparam, delete, insert, select, update

from tellurio.schemas.records import ENDS, KINDS
from tellurio.store import tables as t
from tellurio.store._sql import execute
from tellurio.store.calls import sum_of
from tellurio.store.garbage import release_blobs
from tellurio.store.listing import Filter, page_of
from tellurio.store.metrics import last_values
from tellurio.store.names import LONGEST_SLUG, numbered, random_name, slugify
from tellurio.store.prepared import Prepared

__all__ = [
    "ENDS",
    "WHOLE",
    "beat",
    "begin_subrun",
    "command_of",
    "delete_run",
    "end_parts",
    "end_run",
    "expire_runs",
    "make_run",
    "own_runs",
    "reopen",
    "run",
    "run_by_key",
    "run_by_slug",
    "runs",
    "runs_by_keys",
    "status",
    "subruns",
    "update_run",
    "with_parts",
]

_AT_ONCE = 500  # keys in a statement
_LONGEST_NAME = 200
_SUMS = ("calls", "reused", "input_tokens", "output_tokens", "unpriced")
_JSON = ("config", "tags", "budget", "client")
_PLAIN = (
    *("key", "id", "project_id", "slug", "name", "description", "notes", "status", "reason", "parent_id", "kind"),
    *("created", "updated", "ended", "heartbeat"),
)
_RUN = (
    *(t.runs.c[name] for name in (*_PLAIN, *_JSON, *_SUMS, "usd_pico")),
    t.projects.c.slug.label("project_slug"),
    t.namespaces.c.slug.label("namespace_slug"),
    t.users.c.id.label("user_id"),
    t.users.c.username.label("user_username"),
    t.users.c.slug.label("user_slug"),
)


def make_run(
    c: Connection,
    project_id: str,
    user_id: str,
    *,
    id: str,
    name: str | None = None,
    description: str | None = None,
    config: Mapping[str, Any] | None = None,
    tags: Sequence[str] = (),
    parent_id: str | None = None,
    budget: Any = None,
    client: Mapping[str, Any] | None = None,
    lease: float = 30.0,
    kind: str = "run",
    command: Mapping[str, Any] | None = None,
    status: str = "RUNNING",
    created: float | None = None,
) -> dict[str, Any]:
    """A new Run, RUNNING or a DRAFT.  The same ``id`` again (a request that was sent twice) is the same Run, as it is.

    Args:
        id: a UUID, made by the client.
        name: None: a random one; where it is taken in the project it gets ``_1``, ``_2``, ...
        lease: seconds without a sign of life after which it counts as crashed.
        kind: one of `KINDS`.
        command: how the script was started, if it is recorded.
        created: when it began, if that was told later; in the future it is now.

    Raises:
        ValueError: the id is no UUID or another project's, or another value cannot be what it is for.
    """
    id = _uuid(id)
    known = run(c, id)
    if known is not None:
        if known["project_id"] != project_id:
            raise ValueError(f"the Run id {id} is taken: make another")
        return known
    free = _free_name(c, project_id, name) if kind != "subrun" else _name_of_part(c, name, parent_id)
    values = {"name": free, "description": _text("description", description)}
    values |= {"config": _json("config", config or {}), "tags": _tags(tags), "client": _json("client", client or {})}
    if not 0 < lease <= 86_400:
        raise ValueError(f"expected a lease of up to 86400 seconds, got {lease!r}")
    if kind not in KINDS:
        raise ValueError(f"expected a kind of Run, {', '.join(KINDS)}, got {str(kind)[:100]!r}")
    now = time.time()
    row = {
        **values,
        "slug": _free_slug(c, project_id, free) if kind == "subrun" else _slug(free),
        "id": id,
        "project_id": project_id,
        "user_id": user_id,
        "parent_id": None if parent_id is None else _uuid(parent_id),
        "budget": None if budget is None else orjson.dumps(budget).decode(),
        "status": status,
        "kind": kind,
        "command": None if command is None else _json("command", command),
        "ended_by_client": False,
        "created": now if created is None else max(0.0, min(created, now)),
        **dict.fromkeys(("updated", "heartbeat"), now),
        "lease": lease,
        **dict.fromkeys((*_SUMS, "usd_pico"), 0),
    }
    c.execute(insert(t.runs), row)
    c.execute(update(t.projects).where(t.projects.c.id == project_id).values(last_run=now))
    return _there(run(c, id), id)


def run(c: Connection, id: str) -> dict[str, Any] | None:
    """The Run with that id."""
    return _run(_BY_ID.first(c, id))


def status(c: Connection, id: str) -> str | None:
    """The status of the Run with that id."""
    found: str | None = execute(c, "SELECT status FROM runs WHERE id = ?", (id,)).scalar()
    return found


def command_of(c: Connection, id: str) -> dict[str, Any] | None:
    """How the recorded script was started (`tellurio.schemas.records.Command`); None if it is no recording."""
    found = execute(c, "SELECT command FROM runs WHERE id = ?", (id,)).scalar()
    return None if found is None else orjson.loads(found)


def run_by_key(c: Connection, key: int) -> dict[str, Any] | None:
    """The Run with that key."""
    return _run(_BY_KEY.first(c, key))


def runs_by_keys(c: Connection, keys: Sequence[int]) -> list[dict[str, Any]]:
    """The Runs with those keys, in that order; those that there are."""
    found: dict[int, dict[str, Any]] = {}
    for first in range(0, len(keys), _AT_ONCE):
        some = _runs().where(t.runs.c.key.in_(keys[first : first + _AT_ONCE]))
        found |= {row["key"]: _run(cast(Mapping[str, Any], row)) for row in c.execute(some).mappings()}
    return [found[key] for key in keys if key in found]


def run_by_slug(c: Connection, project_id: str, slug: str) -> dict[str, Any] | None:
    """The project's Run with that slug."""
    return _run(_BY_SLUG.first(c, project_id, slug))


def runs(
    c: Connection,
    project_id: str,
    *,
    status: str | None = None,
    search: str | None = None,
    filters: Sequence[Filter] = (),
    sort: str = "-created",
    limit: int = 100,
    cursor: str | None = None,
    parent_id: str | None = None,
    metrics: Sequence[str] | None = None,
) -> dict[str, Any]:
    """A page of the project's Runs: ``runs``, the ``cursor`` of the next page (None: this is the last), and the
    ``total`` over all pages.

    Args:
        search: words that all are in the name, the description, the notes or the tags.
        filters: ``(what, op, value)``, all of which hold; see `tellurio.store.listing.FIELDS`.
        sort: what to sort by, with ``-`` before it for the highest first.  Runs without it come last.
        parent_id: only the children of that Run.
        metrics: names of metrics: each Run gets ``metrics``, their last values as far as it has them.

    Raises:
        ValueError: something is asked for that there is not; says what there is.
    """
    if status is not None:
        filters = [("status", "=", status), *filters]
    where = t.runs.c.project_id == project_id
    if parent_id is not None:
        where = and_(where, t.runs.c.parent_id == parent_id)
    keys, next_cursor, total = page_of(c, where, search, filters, sort, limit, cursor)
    rows = {row["key"]: row for row in c.execute(_runs().where(t.runs.c.key.in_(keys))).mappings()}
    found = [_run(cast(Mapping[str, Any], rows[key])) for key in keys]
    if metrics is not None:
        last = last_values(c, keys, metrics)
        found = [{**run, "metrics": last[run["key"]]} for run in found]
    return {"runs": found, "cursor": next_cursor, "total": total}


def update_run(c: Connection, id: str, **changes: Any) -> dict[str, Any]:
    """Change ``name``, ``description``, ``notes`` or ``tags``; the slug stays, and links to it with it.

    Raises:
        LookupError: there is no such Run.
        ValueError: something else was to be changed, or to a value it cannot have.
    """
    if unknown := sorted(set(changes) - set(_CHANGES)):
        raise ValueError(f"expected changes of {', '.join(_CHANGES)}, got {', '.join(unknown)}")
    values = {field: _CHANGES[field](value) for field, value in changes.items()}
    c.execute(update(t.runs).where(t.runs.c.id == id).values(**values, updated=time.time()))
    return _there(run(c, id), id)


def beat(c: Connection, id: str, now: float) -> str:
    """A sign of life.  Returns the status: RUNNING again where CRASHED was only guessed.

    Raises:
        LookupError: there is no such Run.
    """
    row = execute(
        c, "UPDATE runs SET heartbeat = ? WHERE id = ? RETURNING status, ended_by_client", (now, id)
    ).one_or_none()
    if row is None:
        raise LookupError(f"there is no Run {id!r}")
    if row.status == "CRASHED" and not row.ended_by_client:
        again = {"status": "RUNNING", "reason": None, "ended": None, "updated": now}
        c.execute(update(t.runs).where(t.runs.c.id == id).values(**again))
        execute(c, _TREE + _AGAIN, (id, now))
        return "RUNNING"
    return str(row.status)


def end_run(
    c: Connection, id: str, status: str, *, reason: str | None = None, by_client: bool, now: float
) -> dict[str, Any]:
    """End the Run.  The first end that its client tells is final; a guess never changes an end.

    What is open of its parts ends with it.  Only a recording's end does that: of two parts, one in the other, the inner
    one may go on in a thread.

    Raises:
        LookupError: there is no such Run.
        ValueError: the status is no end.
    """
    if status not in ENDS:
        raise ValueError(f"expected an end, {', '.join(ENDS)}, got {status!r}")
    execute(c, _END_TOLD if by_client else _END_GUESSED, (status, _text("reason", reason), by_client, now, now, id))
    ended = _there(run(c, id), id)
    if ended["kind"] != "subrun":
        end_parts(c, id, ended["status"], now)
    return ended


_END = "UPDATE runs SET status = ?, reason = ?, ended_by_client = ?, ended = ?, updated = ? WHERE id = ? AND "
_END_TOLD, _END_GUESSED = _END + "NOT ended_by_client", _END + "status = 'RUNNING'"


def begin_subrun(
    c: Connection, project_id: str, user_id: str, root: str, id: str, told: Mapping[str, Any] | None
) -> int:
    """The key of a part of a recording, which is made if it is not there.

    Another process may write of it before the line is read that begins it: it is made without a name then, and gets
    it when that line comes.

    Args:
        root: the recording.
        told: what the line that begins it says (`tellurio.schemas.records.Begin`); None: it was not read yet.

    Raises:
        ValueError: the id is another project's, or what was told cannot be.
    """
    query = "SELECT key, project_id, kind, client FROM runs WHERE id = ?"
    known = execute(c, query, (id,)).first()
    if known is None:
        client = _UNTOLD if told is None else told.get("client")
        given = told or {}
        parent = _parent_of_part(c, project_id, user_id, root, id, given.get("parent_id"))
        name = given.get("name")
        options: dict[str, Any] = {"id": id, "name": name, "parent_id": parent, "client": client, "kind": "subrun"}
        return int(make_run(c, project_id, user_id, **options, created=_time(given.get("created")))["key"])
    if known.project_id != project_id or known.kind != "subrun":
        raise ValueError(f"there is no subrun {id} of this recording")
    if told is not None and orjson.loads(known.client) == _UNTOLD:
        parent = _parent_of_part(c, project_id, user_id, root, id, told.get("parent_id"))
        name = _name_of_part(c, told.get("name"), parent)
        values = {"name": name, "slug": _free_slug(c, project_id, name), "parent_id": parent}
        values |= {"client": _json("client", told.get("client") or {})}
        c.execute(update(t.runs).where(t.runs.c.id == id).values(**values))
    return int(known.key)


def _parent_of_part(c: Connection, project_id: str, user_id: str, root: str, id: str, told: Any) -> str:
    """Of what a part is one: of the recording, or of another part, which is made if nothing was read of it yet."""
    parent = _uuid(told or root)
    if parent == id:
        raise ValueError(f"the subrun {id} cannot be a part of itself")
    found = execute(c, "SELECT project_id FROM runs WHERE id = ?", (parent,)).scalar()
    if found is None:
        begin_subrun(c, project_id, user_id, root, parent, None)
    elif found != project_id:
        raise ValueError(f"there is no Run {parent} in this project that it could be a part of")
    return parent


def _time(told: Any) -> float | None:
    return float(told) if isinstance(told, (int, float)) else None


_UNTOLD = {"untold": True}
"""Stands for the client of a subrun whose beginning was not read yet."""


def reopen(c: Connection, id: str, now: float) -> None:
    """Something more came of a subrun that had ended."""
    execute(c, _REOPEN, (False, now, id))


_REOPEN = """
UPDATE runs SET status = 'RUNNING', reason = NULL, ended = NULL, ended_by_client = ?, updated = ?
WHERE id = ? AND kind = 'subrun' AND status <> 'RUNNING'
"""


_TREE = """
WITH RECURSIVE tree(id) AS (
    SELECT id FROM runs WHERE parent_id = ? AND kind = 'subrun'
    UNION SELECT runs.id FROM runs JOIN tree ON runs.parent_id = tree.id WHERE runs.kind = 'subrun'
)
"""


_TREE_OF = _TREE.replace("parent_id = ?", "parent_id = (SELECT id FROM runs WHERE key = ?)")


_AGAIN = """
UPDATE runs SET status = 'RUNNING', reason = NULL, ended = NULL, updated = ?
WHERE status = 'CRASHED' AND NOT ended_by_client AND id IN (SELECT id FROM tree)
"""
"""Parts that had ended because their Run was thought to be dead."""


def end_parts(c: Connection, id: str, status: str, now: float) -> None:
    """What is still open of its parts ends with a Run, and in the same way."""
    end = "UPDATE runs SET status = ?, ended = ?, updated = ? WHERE status = 'RUNNING' AND id IN (SELECT id FROM tree)"
    execute(c, _TREE + end, (id, status, now, now))


def subruns(c: Connection, id: str) -> list[int]:
    """The keys of the Run's parts and of their parts, in the order of their making."""
    found = execute(c, f"{_TREE} SELECT key FROM runs WHERE id IN (SELECT id FROM tree) ORDER BY key", (id,))  # noqa: S608
    return [row[0] for row in found]


_OWN = """SELECT runs.key FROM runs JOIN runs AS above ON above.id = runs.parent_id
WHERE runs.kind = 'run' AND above.kind <> 'run' AND (above.id = ? OR above.id IN (SELECT id FROM tree))
"""


def own_runs(c: Connection, id: str) -> list[int]:
    """The keys of the Runs that a recorded script began by ``te.init`` in that Run or in its parts."""
    return [row[0] for row in execute(c, f"{_TREE} {_OWN} ORDER BY runs.key", (id, id))]


_IN_WHOLE = "SELECT key FROM runs WHERE id = ? OR id IN (SELECT id FROM tree) UNION " + _OWN  # noqa: S608
WHOLE = f"{_TREE.rstrip()}, whole(key) AS ({_IN_WHOLE}) "
"""Begins a statement that knows a table ``whole``: the keys of a Run, of its parts, and of Runs of afnio in them.

It takes the Run's id three times.
"""


def with_parts(c: Connection, key: int) -> tuple[int, dict[str, Any]]:
    """How many parts a Run has in all, Runs of afnio among them, and what its calls and theirs add up to."""
    sums = ", ".join(f"coalesce(sum({name}), 0)" for name in (*_SUMS, "usd_pico"))
    own = _OWN.replace("above.id = ?", "above.key = ?")
    mine = f"id IN (SELECT id FROM tree) OR key IN ({own}) OR key = ?"  # noqa: S608
    query = f"{_TREE_OF} SELECT count(*) - 1, {sums} FROM runs WHERE {mine}"  # noqa: S608
    parts, *found = (int(each) for each in execute(c, query, (key, key, key)).one())
    told = dict(zip((*_SUMS, "usd_pico"), found, strict=True))
    return parts, {"usd": sum_of(told.pop("usd_pico"), told["calls"], told["unpriced"]), **told}


def expire_runs(c: Connection, now: float, since: float) -> list[str]:
    """Take RUNNING Runs for CRASHED that gave no sign of life for longer than their lease; returns their ids.

    Args:
        since: since when somebody listens: silence before that does not count.
    """
    silent = (t.runs.c.status == "RUNNING") & (t.runs.c.heartbeat < now) & (t.runs.c.heartbeat + t.runs.c.lease < now)
    silent = silent & (t.runs.c.kind != "subrun")  # it lives as long as its Run
    query = select(t.runs.c.id, t.runs.c.heartbeat).where(silent, since + t.runs.c.lease < now)
    expired = c.execute(query).all()
    for id, heartbeat in expired:
        end = {"status": "CRASHED", "reason": f"no sign of life for {now - heartbeat:.0f} s"}
        c.execute(update(t.runs).where(t.runs.c.id == id).values(**end, ended=heartbeat, updated=now))
        end_parts(c, id, "CRASHED", heartbeat)
    return [id for id, _ in expired]


def delete_run(c: Connection, id: str) -> list[str]:
    """Delete the Run, its parts and all that they hold; its other children stay, without a parent.

    Returns the SHA-256 of blobs that nobody needs any more.
    """
    mine = t.runs.c.key.in_(subruns(c, id)) | (t.runs.c.id == id)
    orphans = release_blobs(c, select(t.runs.c.key).where(mine))
    gone = [row.id for row in c.execute(select(t.runs.c.id).where(mine))]
    c.execute(update(t.runs).where(t.runs.c.parent_id.in_(gone)).values(parent_id=None))
    c.execute(delete(t.runs).where(t.runs.c.id.in_(gone)))
    return orphans


def _runs() -> Select[Any]:
    return (
        select(*_RUN)
        .join(t.users, t.users.c.id == t.runs.c.user_id)
        .join(t.projects, t.projects.c.id == t.runs.c.project_id)
        .join(t.namespaces, t.namespaces.c.id == t.projects.c.namespace_id)
    )


def _there(run: dict[str, Any] | None, id: str) -> dict[str, Any]:
    if run is None:
        raise LookupError(f"there is no Run {id!r}")
    return run


@overload
def _run(row: Mapping[str, Any]) -> dict[str, Any]: ...


@overload
def _run(row: Mapping[str, Any] | None) -> dict[str, Any] | None: ...


def _run(row: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """A row as the outside sees it."""
    if row is None:
        return None
    return {
        **{name: row[name] for name in (*_PLAIN, "project_slug", "namespace_slug")},
        **{name: None if row[name] is None else orjson.loads(row[name]) for name in _JSON},
        "user": {"id": row["user_id"], "username": row["user_username"], "slug": row["user_slug"]},
        "cost": {"usd": sum_of(row["usd_pico"], row["calls"], row["unpriced"]), **{name: row[name] for name in _SUMS}},
    }


_BY_ID = Prepared(_runs().where(t.runs.c.id == bindparam("id")), "id")
_BY_KEY = Prepared(_runs().where(t.runs.c.key == bindparam("key")), "key")
_BY_SLUG = Prepared(
    _runs().where(t.runs.c.project_id == bindparam("project"), t.runs.c.slug == bindparam("slug")), *("project", "slug")
)


def _free_name(c: Connection, project_id: str, name: str | None) -> str:
    """A name whose slug is free in the project."""

    def taken(name: str) -> bool:
        found = execute(c, "SELECT 1 FROM runs WHERE project_id = ? AND slug = ?", (project_id, _slug(name)))
        return found.first() is not None

    return numbered(random_name() if name is None else _name(name), taken)


def _name_of_part(c: Connection, name: str | None, parent_id: str | None) -> str:
    """A name that no other part of the same Run has; its slug has to be the project's only one, its name has not."""

    def taken(name: str) -> bool:
        query = "SELECT 1 FROM runs WHERE parent_id = ? AND name = ?"
        return execute(c, query, (parent_id, name)).first() is not None

    return numbered(random_name() if name is None else _name(name), taken)


def _free_slug(c: Connection, project_id: str, name: str) -> str:
    return _slug(_free_name(c, project_id, name))


def _slug(name: str) -> str:
    """Never empty, and a number at the name's end is never cut off: ``numbered`` counts on different slugs."""
    base, underscore, number = name.rpartition("_")
    if underscore and number.isascii() and number.isdigit():
        return f"{slugify(base)[: LONGEST_SLUG - len(number) - 1].strip('-') or 'run'}-{number}"
    return slugify(name) or "run"


def _name(name: Any) -> str:
    if not isinstance(name, str) or not 1 <= len(name.strip()) <= _LONGEST_NAME:
        raise ValueError(f"expected a Run name of 1 to {_LONGEST_NAME} characters, got {str(name)[:100]!r}")
    return name.strip()


def _uuid(id: Any) -> str:
    try:
        return str(uuid.UUID(id))
    except (ValueError, AttributeError, TypeError):
        raise ValueError(f"expected a UUID, got {str(id)[:100]!r}") from None


def _text(what: str, text: Any) -> str | None:
    if text is not None and not isinstance(text, str):
        raise ValueError(f"expected the {what} in words, got {type(text).__name__}")
    return text


def _tags(tags: Any) -> str:
    if isinstance(tags, str) or not isinstance(tags, Sequence) or not all(isinstance(tag, str) for tag in tags):
        raise ValueError(f"expected tags as a list of words, got {str(tags)[:100]!r}")
    return orjson.dumps(list(dict.fromkeys(tags))).decode()


def _json(what: str, value: Any) -> str:
    if not isinstance(value, Mapping):
        raise ValueError(f"expected {what} as an object of names and values, got {type(value).__name__}")
    try:
        return orjson.dumps(dict(value)).decode()
    except TypeError as error:
        raise ValueError(f"expected {what} as JSON has it: {error}") from None


_CHANGES: dict[str, Callable[[Any], str | None]] = {
    "name": _name,
    "description": partial(_text, "description"),
    "notes": partial(_text, "notes"),
    "tags": _tags,
}
