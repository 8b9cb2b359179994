"""Feeding: the journal of a recorder is brought to the server while the recorder writes it.

A recorder only appends to its journal; it makes no Run and sends nothing.  A local server feeds itself from the
journals of this machine; for a server elsewhere a process of its own does (``python -m tellurio.client.feeding``).
"""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import quote

from afnio.errors import ServerError, TellurioError
from tellurio.client import folders, paths
from tellurio.client.http import Client
from tellurio.client.journal import lock_file
from tellurio.client.login import connect
from tellurio.client.project import create_project, get_project
from tellurio.client.shipping import HTTPKeeper, Keeper, NoSuchRun, Tail, catch_up, ship
from tellurio.schemas.records import fitting
from tellurio.schemas.slugs import slugify

__all__ = ["RECORDER", "Feed", "Host", "feed", "recorders"]

RECORDER = "recorder"
"""Key in a folder's ``meta.json``: a recorder made it."""

VERSION = 1
"""Of a recorder's folder; one of a later recorder waits for a server that knows it."""

BEAT = 5.0  # seconds between two signs of life
PAUSE = 0.2  # seconds between two looks at a journal that nobody else tells about

_log = logging.getLogger("afnio.tellurio")


class Host(Keeper, Protocol):
    """Who keeps recordings: a keeper of journals that can also begin and end their Runs."""

    def begin(self, run: Mapping[str, Any]) -> None:
        """Make the Run that a ``b`` record tells of, unless it is there.

        Raises:
            ValueError, TellurioError: it cannot be made.
        """

    def beat(self, run_id: str) -> None:
        """A sign of life.

        Raises:
            NoSuchRun: it was deleted.
        """

    def gone(self, run_id: str, reason: str) -> None:
        """Its process is gone without having said how it ended."""


class Feed:
    """One recorder's folder on its way to a server.

    Args:
        folder: of the recorder.
        meta: its ``meta.json``.
        host: where to.
    """

    def __init__(self, folder: Path, meta: Mapping[str, Any], host: Host) -> None:
        self.folder, self.run_id, self._host = folder, str(meta["run_id"]), host
        self._tails: dict[Path, Tail] = {}
        self._begun = False
        self._beaten = 0.0

    def step(self) -> bool:
        """Bring what is there; returns whether the recorder lives, or something is left to bring.

        Raises:
            TellurioError, OSError: the server or the disk does not take it; the same comes next time.
        """
        alive = self.alive()  # before: what a process wrote last is there when it is found dead
        if not self._begun and not self._begin():
            return alive or self._give_up()
        for tail in self._opened():
            while ship(tail, self.run_id, self._host):
                pass
        if alive:
            self._beat()
            return True
        self._host.gone(self.run_id, "its process ended without saying how")
        done = folders.remove_if_done(self.folder, {path: tail.offset for path, tail in self._tails.items()})
        self.close()
        return not done

    def alive(self) -> bool:
        """Whether a process still writes one of its journals."""
        return any(_locked(path) for path in folders.journals_in(self.folder))

    def close(self) -> None:
        """Close its files."""
        for tail in self._tails.values():
            tail.close()
        self._tails = {}

    def _begin(self) -> bool:
        run = next((run for path in folders.journals_in(self.folder) if (run := _begin_in(path, self.run_id))), None)
        if run is None:
            return False
        self._host.begin(run)
        self._begun = True
        return True

    def _give_up(self) -> bool:
        """A process that died before it wrote its first line leaves nothing to keep."""
        empty = all(path.stat().st_size == 0 for path in folders.journals_in(self.folder))
        return not (empty and folders.remove_if_done(self.folder, {}))

    def _opened(self) -> list[Tail]:
        for path in folders.journals_in(self.folder):
            if path not in self._tails:
                self._tails[path] = tail = Tail(path)
                catch_up(tail, self.run_id, self._host)
        return list(self._tails.values())

    def _beat(self) -> None:
        now = time.monotonic()
        if now - self._beaten >= BEAT:
            self._beaten = now
            self._host.beat(self.run_id)


def _begin_in(path: Path, run_id: str) -> dict[str, Any] | None:
    """The ``b`` record of the Run itself: it is the first line of the first journal."""
    import orjson

    with contextlib.suppress(OSError, ValueError), path.open("rb") as file:
        record = orjson.loads(file.readline())
        run = record.get("run") if isinstance(record, dict) and record.get("k") == "b" else None
        if isinstance(run, dict) and run.get("id") == run_id:
            return run
    return None


def _locked(path: Path) -> bool:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        return not lock_file(fd, shared=True)  # `ao-tool` looks, too
    finally:
        os.close(fd)


def recorders(home: Path | None = None) -> Iterator[tuple[Path, dict[str, Any]]]:
    """The folders of recorders on this machine, each with its ``meta.json``."""
    top = paths.journals() if home is None else home / "journals"
    with contextlib.suppress(OSError):
        for folder in sorted(top.iterdir()):
            meta = folders.read_meta(folder)
            if meta is not None and meta.get(RECORDER) and meta.get("v") == VERSION and not folders.forgotten(folder):
                yield folder, meta


# a server elsewhere


class _HTTPHost(HTTPKeeper):
    """A server, by HTTP."""

    def begin(self, run: Mapping[str, Any]) -> None:
        """Make the Run, and its project where that is not there."""
        run = fitting(run)
        namespace = run["namespace"] or self.client.get("/api/v1/me")["user"]["slug"]
        name = run["project"] or "Recordings"
        project = get_project(namespace, slugify(name), self.client)
        if project is None:
            project = create_project(namespace, name, "RESTRICTED", self.client)
        known = ("id", "name", "kind", "parent_id", "command", "client", "lease")
        body = {each: run[each] for each in known if run.get(each) is not None}
        self.client.post(f"/api/v1/namespaces/{quote(namespace)}/projects/{quote(project.slug)}/runs", json=body)

    def beat(self, run_id: str) -> None:
        """A sign of life."""
        with _no_such_run():
            self.client.post(f"/api/v1/runs/{run_id}/beat")

    def gone(self, run_id: str, reason: str) -> None:
        """Its process is gone: a Run that has not ended has crashed."""
        with _no_such_run():
            if self.client.get(f"/api/v1/runs/{run_id}")["status"] == "RUNNING":
                self.client.patch(f"/api/v1/runs/{run_id}", json={"status": "CRASHED", "reason": reason})


@contextlib.contextmanager
def _no_such_run() -> Iterator[None]:
    try:
        yield
    except ServerError as error:
        raise NoSuchRun(str(error)) if error.status_code == 404 else error from error


def feed(folder: Path, client: Client | None = None, *, follow: bool = True) -> bool:
    """Bring a recorder's folder to the configured server until the recorder has ended; whether all of it is stored.

    Args:
        follow: go on while its script runs, and wait for a server that is away; else bring what there is, once.

    Raises:
        TellurioError, ValueError: there is no server to send to.
    """
    meta = folders.read_meta(folder)
    if meta is None:
        return True
    with folders.held(folder) as free:
        if not free:
            return False  # somebody does it already
        one = Feed(folder, meta, _HTTPHost(connect() if client is None else client))
        try:
            return _fed(one) if follow else not one.step()
        finally:
            one.close()


def _fed(one: Feed) -> bool:
    patience = 60.0
    failing_since: float | None = None
    while True:
        try:
            if not one.step():
                return True
            failing_since = None
        except NoSuchRun:
            folders.forget(one.folder)
            return False
        except (TellurioError, ServerError, OSError) as error:
            failing_since = failing_since or time.monotonic()
            if not one.alive() and time.monotonic() - failing_since > patience:
                _log.warning("The recording in %s waits: %s. `tellurio sync` sends it.", one.folder, error)
                return False
            time.sleep(1.0)
        time.sleep(PAUSE)


def main(folder: Path) -> int:
    """Bring the folder to the configured server, then what others left whose feeder is gone; an exit status."""
    client = connect()
    done = feed(folder, client)
    for other, meta in recorders():
        if other != folder and meta["url"] in ("", client.url):
            with contextlib.suppress(TellurioError, OSError, ValueError):
                feed(other, client)
    return 0 if done else 1


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
