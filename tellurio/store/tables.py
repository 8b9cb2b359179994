"""The tables.  One schema for SQLite and PostgreSQL; a change of it is a migration too (``migrations/versions``).

Times are Unix times in UTC.  Rows that a page lists or sorts have an integer ``key``, in the order of their making;
what the outside names has an ``id`` (a UUID).  Dollars are whole picodollars (1e-12 USD), so that sums are exact.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
)

__all__ = ["metadata"]

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)

Key = BigInteger().with_variant(Integer, "sqlite")  # SQLite numbers rows by itself only where the type is INTEGER


def _run_key() -> Column[int]:
    return Column("run_key", Key, ForeignKey("runs.key", ondelete="CASCADE"), nullable=False)


settings = Table("settings", metadata, Column("name", Text, primary_key=True), Column("value", Text, nullable=False))
"""What belongs to the database as a whole: ``server_id``."""

users = Table(
    "users",
    metadata,
    Column("id", Text, primary_key=True),
    Column("username", Text, nullable=False, unique=True),
    Column("slug", Text, nullable=False, unique=True),
    Column("email", Text, nullable=False),
    Column("is_admin", Boolean, nullable=False),
    Column("created", Double, nullable=False),
)

api_keys = Table(
    "api_keys",
    metadata,
    Column("id", Text, primary_key=True),
    Column("user_id", Text, ForeignKey("users.id", ondelete="CASCADE"), nullable=False),
    Column("name", Text, nullable=False),
    Column("prefix", Text, nullable=False),  # the first characters: to tell keys apart in a list
    Column("hash", Text, nullable=False, unique=True),  # SHA-256 of the key: 256 random bits need no salt
    Column("created", Double, nullable=False),
    Column("expires", Double),
    Column("revoked", Double),
)

sessions = Table(
    "sessions",
    metadata,
    Column("hash", Text, primary_key=True),  # SHA-256 of the secret that its browser has
    Column("user_id", Text, ForeignKey("users.id", ondelete="CASCADE"), nullable=False),
    Column("created", Double, nullable=False),
    Column("expires", Double, nullable=False),
    Index(None, "user_id", "created"),
    Index(None, "expires"),
)
"""Browsers that are logged in."""

namespaces = Table(
    "namespaces",
    metadata,
    Column("id", Text, primary_key=True),
    Column("slug", Text, nullable=False, unique=True),
    Column("display_name", Text, nullable=False),
    Column("created", Double, nullable=False),
)

namespace_members = Table(
    "namespace_members",
    metadata,
    Column("namespace_id", Text, ForeignKey("namespaces.id", ondelete="CASCADE"), nullable=False),
    Column("user_id", Text, ForeignKey("users.id", ondelete="CASCADE"), nullable=False),
    Column("role", Text, nullable=False),  # OWNER or MEMBER
    PrimaryKeyConstraint("namespace_id", "user_id"),
)

projects = Table(
    "projects",
    metadata,
    Column("id", Text, primary_key=True),
    Column("namespace_id", Text, ForeignKey("namespaces.id", ondelete="CASCADE"), nullable=False),
    Column("slug", Text, nullable=False),
    Column("display_name", Text, nullable=False),
    Column("description", Text),
    Column("visibility", Text, nullable=False),  # RESTRICTED, TEAM, PUBLIC or OPEN
    Column("created", Double, nullable=False),
    Column("updated", Double, nullable=False),
    Column("last_run", Double),
    UniqueConstraint("namespace_id", "slug"),
)

project_members = Table(
    "project_members",
    metadata,
    Column("project_id", Text, ForeignKey("projects.id", ondelete="CASCADE"), nullable=False),
    Column("user_id", Text, ForeignKey("users.id", ondelete="CASCADE"), nullable=False),
    Column("role", Text, nullable=False),  # OWNER, EDITOR or VIEWER
    PrimaryKeyConstraint("project_id", "user_id"),
)

runs = Table(
    "runs",
    metadata,
    Column("key", Key, primary_key=True, autoincrement=True),
    Column("id", Text, nullable=False, unique=True),
    Column("project_id", Text, ForeignKey("projects.id", ondelete="CASCADE"), nullable=False),
    Column("user_id", Text, ForeignKey("users.id"), nullable=False),
    Column("parent_id", Text),  # the Run it is a part or a repetition of
    Column("slug", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("description", Text),
    Column("notes", Text),
    Column("status", Text, nullable=False),
    Column("reason", Text),  # why it ended as it did, where that needs words
    Column("ended_by_client", Boolean, nullable=False),  # an end that was told wins over one that was guessed
    Column("config", Text, nullable=False),  # JSON
    Column("tags", Text, nullable=False),  # JSON, a list
    Column("budget", Text),  # JSON
    Column("client", Text, nullable=False),  # JSON: version, command, python, git commit
    Column("created", Double, nullable=False),
    Column("updated", Double, nullable=False),
    Column("ended", Double),
    Column("heartbeat", Double, nullable=False),
    Column("lease", Double, nullable=False),  # seconds without a sign of life after which it counts as crashed
    # Sums over its calls, kept by whoever inserts a call: live ones, but for ``reused``.
    Column("calls", Integer, nullable=False),
    Column("reused", Integer, nullable=False),
    Column("input_tokens", BigInteger, nullable=False),
    Column("output_tokens", BigInteger, nullable=False),
    Column("usd_pico", BigInteger, nullable=False),
    Column("unpriced", Integer, nullable=False),
    Column("kind", Text, nullable=False, server_default="run"),  # run, recording, subrun or rerun
    Column("command", Text),  # JSON: what a recorded script was started with, and how it may be started again
    Column("indexed", BigInteger, nullable=False, server_default="0"),  # key of its last call whose edges are known
    UniqueConstraint("project_id", "slug"),
    Index(None, "project_id", "key"),
    Index(None, "parent_id", "name"),
    Index(None, "status", "heartbeat"),
)

metrics = Table(
    "metrics",
    metadata,
    Column("key", Key, primary_key=True, autoincrement=True),
    _run_key(),
    Column("name", Text, nullable=False),
    Column("count", Integer, nullable=False),
    Column("last", Double),  # None: NaN, as in points
    Column("last_step", BigInteger),
    Column("last_time", Double, nullable=False),
    Column("min", Double),  # of the finite values; None: there are none
    Column("max", Double),
    UniqueConstraint("run_key", "name"),
    Index(None, "name", "last"),
)

points = Table(
    "points",
    metadata,
    Column("metric_key", Key, ForeignKey("metrics.key", ondelete="CASCADE"), nullable=False),
    Column("number", Integer, nullable=False),  # from 1, in the order of arrival
    Column("step", BigInteger),
    Column("time", Double, nullable=False),
    Column("value", Double),  # None: NaN, which SQLite does not know
    PrimaryKeyConstraint("metric_key", "number"),
    sqlite_with_rowid=False,
)

texts = Table(
    "texts",
    metadata,
    Column("key", Key, primary_key=True, autoincrement=True),
    _run_key(),
    Column("name", Text, nullable=False),
    Column("type", Text, nullable=False),  # text, table, json or image
    Column("step", BigInteger),
    Column("time", Double, nullable=False),
    Column("value", Text, nullable=False),  # JSON
    Index(None, "run_key", "name", "key"),
)
"""Logged values that are no numbers."""

calls = Table(
    "calls",
    metadata,
    Column("key", Key, primary_key=True, autoincrement=True),
    _run_key(),
    Column("origin", Text, nullable=False),  # who recorded it and as which: says whether it is here already
    Column("job_id", Text),
    Column("request_key", Text, nullable=False),  # SHA-256 over path and body
    Column("role", Text, nullable=False),
    Column("phase", Text, nullable=False),
    Column("node", Text, nullable=False),
    Column("words", Text, nullable=False),
    Column("provider", Text, nullable=False),
    Column("host", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("source", Text, nullable=False),  # live: it was paid for; log, joined, memo: answered by an earlier one
    Column("attempts", Integer, nullable=False),
    Column("started", Double, nullable=False),
    Column("seconds", Double, nullable=False),
    Column("input_tokens", Integer, nullable=False),
    Column("output_tokens", Integer, nullable=False),
    Column("cached_tokens", Integer, nullable=False),
    Column("reasoning_tokens", Integer, nullable=False),
    Column("estimated", Boolean, nullable=False),
    Column("usd_pico", BigInteger),  # None: no price is known
    Column("record", LargeBinary, nullable=False),  # JSON: the whole record, request and response with it
    Column("call_id", Text),  # a recorder's name for it, a UUID
    Column("label", Text),  # what a recorder shows of it
    Column("location", Text),  # the line of the user's script that made it: file:line
    Column("error", Text),  # what it ended with, where it has no answer
    UniqueConstraint("run_key", "origin"),
    Index(None, "run_key", "key"),
    Index(None, "job_id"),
    Index(None, "call_id"),
)

edges = Table(
    "edges",
    metadata,
    _run_key(),
    Column("from_call", Key, nullable=False),  # keys of calls
    Column("to_call", Key, nullable=False),
    Column("kind", Text, nullable=False),  # content, taint or verified: what speaks for it
    Column("confidence", Double, nullable=False),  # 0 to 1
    Column("weak", Boolean, nullable=False),  # too little to be shown without being asked for
    Column("alternative", Boolean, nullable=False),  # the text may have come this way too, and more likely another
    Column("spans", Text, nullable=False),  # JSON: [{"from": {"path", "start", "end"}, "to": {...}}]
    PrimaryKeyConstraint("run_key", "to_call", "from_call", "kind"),
    sqlite_with_rowid=False,
)
"""What went from one call's answer into another one's request."""

edits = Table(
    "edits",
    metadata,
    Column("key", Key, primary_key=True, autoincrement=True),
    _run_key(),  # the edited copy
    Column("call_id", Text, nullable=False),  # of the call of its parent that is to be another
    Column("field", Text, nullable=False),  # input or output
    Column("path", Text, nullable=False),  # JSON pointer
    Column("value", Text, nullable=False),  # JSON
    Column("created", Double, nullable=False),
    Index(None, "run_key", "key"),
)
"""What a rerun is to change."""

events = Table(
    "events",
    metadata,
    Column("key", Key, primary_key=True, autoincrement=True),
    _run_key(),
    Column("kind", Text, nullable=False),
    Column("time", Double, nullable=False),
    Column("data", Text, nullable=False),  # JSON
    Index(None, "run_key", "kind", "key"),
)

prompts = Table(
    "prompts",
    metadata,
    Column("key", Key, primary_key=True, autoincrement=True),
    _run_key(),
    Column("parameter", Text, nullable=False),  # its name in the agent
    Column("role", Text, nullable=False),
    Column("version", Integer, nullable=False),  # from 0, the value training started from
    Column("value", Text, nullable=False),  # JSON
    Column("status", Text, nullable=False),  # initial, proposed (not judged yet), kept or undone
    Column("reasoning", Text, nullable=False),
    Column("gradients", Text, nullable=False),  # JSON: [{"text", "samples"}], those that led to it
    Column("score_before", Double),
    Column("score_after", Double),
    Column("step", BigInteger),
    Column("time", Double, nullable=False),
    UniqueConstraint("run_key", "parameter", "version"),
)

artifacts = Table(
    "artifacts",
    metadata,
    Column("key", Key, primary_key=True, autoincrement=True),
    _run_key(),
    Column("name", Text, nullable=False),
    Column("version", Integer, nullable=False),  # from 0
    Column("kind", Text, nullable=False),  # checkpoint, file or directory
    Column("digest", Text, nullable=False),  # SHA-256 over its files' paths and digests
    Column("size", BigInteger, nullable=False),
    Column("files", Text, nullable=False),  # JSON: [{"path", "sha256", "size"}]
    Column("created", Double, nullable=False),
    UniqueConstraint("run_key", "name", "version"),
)

blobs = Table(
    "blobs",
    metadata,
    Column("sha256", Text, primary_key=True),
    Column("size", BigInteger, nullable=False),
    Column("created", Double, nullable=False),
)

journals = Table(
    "journals",
    metadata,
    Column("client_id", Text, primary_key=True),
    _run_key(),
    Column("acknowledged", BigInteger, nullable=False),  # number of its last record that is stored
    Column("updated", Double, nullable=False),
    Index(None, "run_key"),
)
"""How far each client's journal is stored: what makes sending it twice harmless."""

jobs = Table(
    "jobs",
    metadata,
    Column("id", Text, primary_key=True),
    _run_key(),
    Column("kind", Text, nullable=False),  # backward or step
    Column("state", Text, nullable=False),  # running, waiting (for its client), done, failed or cancelled
    Column("fence", Integer, nullable=False),  # counts who has held it; only the last holder may write
    Column("owner", Text, nullable=False),
    Column("lease_until", Double, nullable=False),
    Column("result", LargeBinary),  # zlib JSON
    Column("error", Text),  # JSON
    Column("created", Double, nullable=False),
    Column("updated", Double, nullable=False),
    Column("ended", Double),
    Index(None, "run_key"),
    Index(None, "state", "lease_until"),
)
