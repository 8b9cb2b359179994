"""Journals of processes of this machine that were killed: stored without anybody doing anything."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from tellurio.client.orphans import send_local
from tellurio.client.shipping import NoSuchRun, Refused, Unordered
from tellurio.server.hooks import Hook
from tellurio.server.live import Hub
from tellurio.server.log import log
from tellurio.server.settings import ServerSettings
from tellurio.store import runs
from tellurio.store.blobs import note_blob
from tellurio.store.ingest import IngestGap, IngestRefused, Subrun, ingest
from tellurio.store.store import Store

__all__ = ["collecting"]

PIECE = 1 << 20


def collecting(store: Store, settings: ServerSettings, hub: Hub) -> Hook:
    """Sweeps the journals below ``settings.journals_home``."""
    keeper = _StoreKeeper(store, settings.blob_limit, hub)

    async def collect() -> None:
        if settings.journals_home is not None:
            done = await asyncio.to_thread(send_local, settings.journals_home, store.server_id, keeper)
            if done:
                log("journals_collected", runs=done)

    return collect


class _StoreKeeper:
    """The store, as a client's journals are brought to it: see ``tellurio.client.shipping.Keeper``."""

    def __init__(self, store: Store, blob_limit: int, hub: Hub) -> None:
        self._store, self._blob_limit, self._hub = store, blob_limit, hub

    def ingest(self, run_id: str, client_id: str, first: int, lines: list[bytes]) -> int:
        try:
            project_id, stored, changed, subruns = self._store.write(
                _ingest, run_id, client_id, first, lines, durable=True
            )
        except IngestGap as gap:
            raise Unordered(gap.acknowledged) from gap
        except IngestRefused as fault:
            raise Refused(fault.n, fault.reason) from fault
        except LookupError as error:
            raise NoSuchRun(str(error)) from error
        if changed:
            self._hub.tell(project_id, run_id, changed, stored["status"] if "status" in changed else None)
        self._hub.tell_subruns(project_id, subruns)
        return int(stored["acknowledged"])

    def put_blob(self, run_id: str, sha256: str, path: Path) -> None:
        if self._store.blobs.has(sha256):
            return
        with path.open("rb") as file:
            size = self._store.blobs.put(iter(lambda: file.read(PIECE), b""), sha256, limit=self._blob_limit)
        self._store.write(note_blob, sha256, size, time.time(), durable=True)


def _ingest(
    connection: Connection, run_id: str, client_id: str, first: int, lines: list[bytes]
) -> tuple[str, dict[str, Any], set[str], dict[str, Subrun]]:
    run = runs.run(connection, run_id)
    if run is None:
        raise LookupError(f"there is no Run {run_id}")
    changed: set[str] = set()
    subruns: dict[str, Subrun] = {}
    stored = ingest(connection, run["key"], client_id, first, lines, changed=changed, subruns=subruns)
    return run["project_id"], stored, changed, subruns
