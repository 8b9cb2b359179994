"""Migrations: they lead to the tables as they are, from every schema that was released."""

from __future__ import annotations

import ast
import re
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine

from afnio.errors import StoreError
from tellurio.store import Store
from tellurio.store.database import engine_of
from tellurio.store.migrate import HEAD, MIGRATIONS, alembic_config, migrate, upgrade
from tellurio.store.runs import runs
from tellurio.store.tables import metadata

RELEASED = Path(__file__).parent / "released"
"""A database of each schema that was released, as SQL."""


def schema_of(path: Path) -> dict[str, list[str]]:
    """The words of each table's and index's definition, sorted."""
    with sqlite3.connect(path) as db:
        rows = db.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL AND name != 'alembic_version'")
        found = {name: sorted(re.findall(r"\w+", sql)) for name, sql in rows}
    db.close()
    return found


def test_head_is_the_newest_migration() -> None:
    script = ScriptDirectory.from_config(alembic_config())
    assert script.get_heads() == [HEAD]
    assert sorted(each.revision for each in script.walk_revisions()) == [f"{n:04}" for n in range(1, int(HEAD) + 1)]


def test_migrations_make_the_tables_as_they_are(tmp_path: Path) -> None:
    engine = engine_of(tmp_path / "migrated.db")
    migrate(engine, tmp_path / "migrated.db")
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        assert compare_metadata(context, metadata) == []
    made = create_engine(f"sqlite:///{tmp_path / 'made.db'}")
    metadata.create_all(made)
    made.dispose()
    # Alembic does not compare all (WITHOUT ROWID, cascades).  Constraints may be in another order.
    assert schema_of(tmp_path / "migrated.db") == schema_of(tmp_path / "made.db")


@pytest.mark.parametrize("number", range(1, int(HEAD) + 1))
def test_every_released_schema_comes_up_with_its_data(number: int, tmp_path: Path) -> None:
    path = tmp_path / "tellurio.db"
    with sqlite3.connect(path) as db:
        db.executescript((RELEASED / f"{number:04}.sql").read_text(encoding="utf-8"))
    db.close()
    with Store.open(tmp_path) as store:
        assert store.server_id == "00000000-0000-4000-8000-000000000000"
        project = "00000000-0000-4000-8000-000000000003"
        found = store.read(lambda c: runs(c, project, filters=[("metrics.accuracy", ">", 0.5)]))["runs"]
        assert [(run["name"], run["status"], run["cost"]["usd"]) for run in found] == [
            ("hungry_brownie_557", "COMPLETED", "0.000123")
        ]
        assert store.read(lambda c: c.exec_driver_sql("PRAGMA foreign_key_check").all()) == []
    with sqlite3.connect(path) as db:
        assert db.execute("SELECT version_num FROM alembic_version").fetchall() == [(HEAD,)]
    db.close()


def test_a_database_of_a_newer_release_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    Store.open(tmp_path).close()
    with sqlite3.connect(tmp_path / "tellurio.db") as db:
        db.execute("UPDATE alembic_version SET version_num = '9999'")
    db.close()
    with pytest.raises(StoreError, match=r"newer release \(its schema is 9999.*pip install --upgrade afnio-studio"):
        Store.open(tmp_path)
    with sqlite3.connect(tmp_path / "tellurio.db") as db:
        assert db.execute("SELECT version_num FROM alembic_version").fetchall() == [("9999",)]
    db.close()


def test_a_migration_that_fails_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "tellurio.db"
    engine = engine_of(path)
    with pytest.raises(ZeroDivisionError), engine.begin() as connection:
        upgrade(connection)
        raise ZeroDivisionError
    assert schema_of(path) == {}
    migrate(engine, path)
    assert "runs" in schema_of(path)


def test_opening_a_database_of_this_release_needs_no_alembic(tmp_path: Path) -> None:
    Store.open(tmp_path).close()
    script = (
        "import sys; from pathlib import Path; from tellurio.store import Store; "
        "Store.open(Path(sys.argv[1])).close(); assert 'alembic' not in sys.modules"
    )
    subprocess.run([sys.executable, "-B", "-c", script, str(tmp_path)], check=True)


def test_a_migration_is_frozen_it_does_not_follow_the_tables() -> None:
    for path in (MIGRATIONS / "versions").glob("v*.py"):
        names = {
            alias.name if isinstance(node, ast.Import) else f"{node.module}.{alias.name}"
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
            if isinstance(node, (ast.Import, ast.ImportFrom))
            for alias in node.names
        }
        assert not [name for name in names if name.startswith(("tellurio", "afnio"))], path


def test_the_wheel_holds_the_migrations(tmp_path: Path) -> None:
    repo = Path(__file__).parents[3]
    build = "from hatchling.builders.wheel import WheelBuilder; import sys; "
    build += "print([f.distribution_path for f in WheelBuilder(sys.argv[1]).recurse_included_files()])"
    done = subprocess.run([sys.executable, "-c", build, str(repo)], capture_output=True, text=True, check=True)
    files = ast.literal_eval(done.stdout)
    ours = {path.relative_to(repo).as_posix() for path in MIGRATIONS.rglob("*.py")}
    assert len(ours) >= 4
    assert ours <= set(files)
