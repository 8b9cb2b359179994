"""Journals of processes of this machine: those of killed ones, and those of recorders, stored without being sent."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from tellurio.client import folders
from tellurio.client.feeding import Feed, recorders
from tellurio.client.orphans import send_local
from tellurio.client.shipping import NoSuchRun, Refused, Unordered
from tellurio.server.hooks import Hook
from tellurio.server.live import Hub
from tellurio.server.log import log
from tellurio.server.settings import ServerSettings
from tellurio.store import runs
from tellurio.store.blobs import note_blob
from tellurio.store.ingest import IngestGap, IngestRefused, Subrun, ingest
from tellurio.store.recordings import begin_recording
from tellurio.store.store import Store

__all__ = ["Feeding", "collecting"]

PIECE = 1 << 20

LIVE = 0.2
"""Seconds between two looks at the journals of recorders that live, and at the folder that new ones come to."""

AGAIN = 5.0
"""Seconds after which a recorder is tried again whose journal could not be stored."""


def collecting(store: Store, settings: ServerSettings, hub: Hub) -> Hook:
    """Sweeps the journals below ``settings.journals_home``."""
    keeper = _StoreHost(store, settings.blob_limit, hub)

    async def collect() -> None:
        if settings.journals_home is not None:
            done = await asyncio.to_thread(send_local, settings.journals_home, store.server_id, keeper)
            if done:
                log("journals_collected", runs=done)

    return collect


class Feeding:
    """Feeds the store from the journals of the recorders of this machine, while they are written.

    A recorder that begins makes a folder: that is all it has to do to be found.
    """

    def __init__(self, store: Store, settings: ServerSettings, hub: Hub) -> None:
        self._home, self._url = settings.journals_home, settings.url
        self._host = _StoreHost(store, settings.blob_limit, hub)
        self._feeds: dict[Path, Feed] = {}
        self._seen = -1
        self._again = 0.0
        self._task: asyncio.Task[None] | None = None
        self._stepping: asyncio.Future[None] | None = None

    async def start(self) -> None:
        """Begin; where no clients are beside this server there is nothing to do."""
        if self._home is not None:
            self._task = asyncio.create_task(self._for_ever(), name="feeding")

    async def stop(self) -> None:
        """Store what is there, and end."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
            if self._stepping is not None:
                await self._stepping  # its thread goes on, and two at once would read and close the same journals
            await asyncio.to_thread(self._step)
        for feed in self._feeds.values():
            feed.close()

    async def _for_ever(self) -> None:
        while True:
            changed = self._changed()
            if changed or self._feeds:
                self._stepping = asyncio.ensure_future(asyncio.to_thread(self._step, look=changed))
                await asyncio.shield(self._stepping)
            await asyncio.sleep(LIVE)

    def _changed(self) -> bool:
        """Whether there may be recorders that are not known: a folder was made, or one was given up for a while."""
        assert self._home is not None
        try:
            now = (self._home / "journals").stat().st_mtime_ns
        except OSError:
            return False
        changed = now != self._seen or time.monotonic() > self._again
        if changed:
            self._seen, self._again = now, time.monotonic() + AGAIN
        return changed

    def _step(self, *, look: bool = True) -> None:
        if look:
            self._look()
        for folder, feed in list(self._feeds.items()):
            try:
                going_on = feed.step()
            except NoSuchRun:
                folders.forget(folder)
                going_on = False  # it was deleted: what its script goes on to say is kept nowhere
            except Exception as error:  # noqa: BLE001 - one bad journal does not hold up the others
                log("recording_not_stored", folder=str(folder), reason=str(error))
                going_on = False  # until it is looked for again
            if not going_on:
                feed.close()
                del self._feeds[folder]

    def _look(self) -> None:
        assert self._home is not None
        for folder, meta in recorders(self._home):
            if folder not in self._feeds and not meta["server_id"] and meta["url"] in ("", self._url):
                self._feeds[folder] = Feed(folder, meta, self._host)


class _StoreHost:
    """The store, as journals are brought to it: see ``tellurio.client.feeding.Host``."""

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

    def begin(self, run: Mapping[str, Any]) -> None:
        made = self._store.write(begin_recording, run, durable=True)
        self._hub.tell(made["project_id"], made["id"], ["status"], made["status"])

    def beat(self, run_id: str) -> None:
        try:
            self._store.write(runs.beat, run_id, time.time())
        except LookupError as error:
            raise NoSuchRun(str(error)) from error

    def gone(self, run_id: str, reason: str) -> None:
        ended = self._store.write(_gone, run_id, reason)
        if ended is not None:
            self._hub.tell(ended["project_id"], run_id, ["status"], ended["status"])


def _gone(connection: Connection, run_id: str, reason: str) -> dict[str, Any] | None:
    if runs.status(connection, run_id) != "RUNNING":
        return None
    return runs.end_run(connection, run_id, "CRASHED", reason=reason, by_client=False, now=time.time())


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
