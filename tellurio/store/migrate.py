"""Brings a database to the schema of this release."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, inspect

from afnio.errors import StoreError

__all__ = ["HEAD", "migrate", "upgrade"]

HEAD = "0003"
"""The newest revision in ``migrations/versions``.  Written down here so that opening a database needs no Alembic."""

MIGRATIONS = Path(__file__).parent / "migrations"


def migrate(engine: Engine, path: Path) -> None:
    """Bring the database to `HEAD`, in one transaction.

    Raises:
        StoreError: it is a newer release's, or none of ours.
    """
    with engine.connect() as connection:
        stored = _stored(connection, path)
    if stored != HEAD:
        _refuse_unknown(stored, path)
        with engine.begin() as connection:
            upgrade(connection)


def upgrade(connection: Connection, revision: str = "head") -> None:
    """Run the migrations up to ``revision`` in the connection's transaction."""
    from alembic import command

    config = alembic_config()
    config.attributes["connection"] = connection
    command.upgrade(config, revision)


def alembic_config() -> Any:
    """What Alembic has to know: there is no ``alembic.ini``."""
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config


def _stored(connection: Connection, path: Path) -> str | None:
    tables = inspect(connection).get_table_names()
    if "alembic_version" in tables:
        return connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar()
    if tables:
        raise StoreError(
            f"The database {path} is no Tellurio database: expected an empty one or our own, found the tables "
            f"{', '.join(sorted(tables)[:5])}. Name another folder with --home or TELLURIO_HOME."
        )
    return None


def _refuse_unknown(stored: str | None, path: Path) -> None:
    from alembic.script import ScriptDirectory

    known = {script.revision for script in ScriptDirectory.from_config(alembic_config()).walk_revisions()}
    if stored is not None and stored not in known:
        raise StoreError(
            f"The database {path} was written by a newer release (its schema is {stored}, this release knows {HEAD}). "
            "Upgrade with `pip install --upgrade afnio-studio`."
        )
