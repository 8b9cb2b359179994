"""Recorded scripts: Runs with a command, calls with a place in a script, edges between calls, edits."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.add_column("runs", sa.Column("kind", sa.Text(), nullable=False, server_default="run"))
    op.add_column("runs", sa.Column("command", sa.Text()))
    op.add_column("runs", sa.Column("indexed", sa.BigInteger(), nullable=False, server_default="0"))
    op.drop_index(op.f("ix_runs_parent_id"), "runs")
    op.create_index(op.f("ix_runs_parent_id_name"), "runs", ["parent_id", "name"], unique=False)
    for name in ("call_id", "label", "location", "error"):
        op.add_column("calls", sa.Column(name, sa.Text()))
    op.create_index(op.f("ix_calls_call_id"), "calls", ["call_id"], unique=False)
    op.create_table(
        "edges",
        sa.Column("run_key", KEY, nullable=False),
        sa.Column("from_call", KEY, nullable=False),
        sa.Column("to_call", KEY, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("confidence", sa.Double(), nullable=False),
        sa.Column("weak", sa.Boolean(), nullable=False),
        sa.Column("alternative", sa.Boolean(), nullable=False),
        sa.Column("spans", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["run_key"], ["runs.key"], name=op.f("fk_edges_run_key"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("run_key", "to_call", "from_call", "kind", name=op.f("pk_edges")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "edits",
        sa.Column("key", KEY, autoincrement=True, nullable=False),
        sa.Column("run_key", KEY, nullable=False),
        sa.Column("call_id", sa.Text(), nullable=False),
        sa.Column("field", sa.Text(), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("created", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(["run_key"], ["runs.key"], name=op.f("fk_edits_run_key"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_edits")),
    )
    op.create_index(op.f("ix_edits_run_key_key"), "edits", ["run_key", "key"], unique=False)
