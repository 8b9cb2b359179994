"""Journals whose process is gone: what it had logged is brought to the server after it.

A local server does so by itself (`send_local`).  For another server the next ``te.init`` does, and ``tellurio sync``.
"""

from __future__ import annotations

import contextlib
import logging
import shutil
from dataclasses import dataclass, field
from pathlib import Path

from afnio.errors import TellurioError
from tellurio.client import folders, paths
from tellurio.client.feeding import RECORDER, feed
from tellurio.client.http import Client
from tellurio.client.login import connect
from tellurio.client.shipping import HTTPKeeper, Keeper, NoSuchRun, Tail, catch_up, ship

__all__ = ["Orphan", "Sync", "orphans", "send_local", "sync"]

_log = logging.getLogger("afnio.tellurio")


@dataclass(frozen=True)
class Orphan:
    """A Run's folder that no living process sends.

    Attributes:
        folder: where it is.
        run_id: the Run.
        name: of the Run.
        url: of the server it was for, then.
        server_id: of that server, wherever it is now.
        size: bytes of its journals.
        recorder: whether a recorder made it: its Run may not be there yet.
    """

    folder: Path
    run_id: str
    name: str
    url: str
    server_id: str
    size: int
    recorder: bool = False


@dataclass
class Sync:
    """What `sync` did.

    Attributes:
        sent: Runs whose journals are stored now.
        waiting: Runs whose journals still wait, each with the reason.
    """

    sent: list[Orphan] = field(default_factory=list)
    waiting: list[tuple[Orphan, str]] = field(default_factory=list)


def orphans(home: Path | None = None) -> list[Orphan]:
    """The folders of Runs, below the home folder, that wait and that no process sends."""
    found = []
    for folder in _run_folders(home):
        with folders.held(folder) as free:
            orphan = _orphan(folder) if free else None
        if orphan is not None:
            found.append(orphan)
    return found


def sync(client: Client | None = None) -> Sync:
    """Send what killed processes, and Runs whose server was away, have left on this machine.

    Args:
        client: of the server; None: the one that `connect` finds.  Journals for another server stay where they are.

    Raises:
        ValueError, TellurioError: as ``te.login``: no server to send to.
    """
    result = Sync()
    waiting = orphans()
    if not waiting:
        return result
    client = connect() if client is None else client
    server_id, keeper = _server_id(client), HTTPKeeper(client)
    for orphan in waiting:
        elsewhere = orphan.url not in ("", client.url) if orphan.recorder else orphan.server_id != server_id
        if elsewhere:
            result.waiting.append((orphan, f"it is for another server: afnio login --server {orphan.url}"))
            continue
        try:
            if feed(orphan.folder, client, follow=False) if orphan.recorder else _send(orphan, keeper):
                result.sent.append(orphan)
            elif orphan.recorder and orphan.folder.exists():
                result.waiting.append((orphan, "its script still runs, and what it recorded so far was sent"))
        except NoSuchRun:
            folders.forget(orphan.folder)
        except (TellurioError, OSError) as error:
            result.waiting.append((orphan, str(error)))
    return result


def send_local(home: Path, server_id: str, keeper: Keeper) -> int:
    """For the sweeper of a local server: store what processes of this machine left; returns the number of Runs.

    Args:
        home: the home folder of the clients (``~/.tellurio``).
        server_id: whose Runs to take: those of this server.
        keeper: its store.  What it raises beside the documented errors ends one Run's turn, and is logged.
    """
    done = 0
    for folder in _run_folders(home):
        with contextlib.suppress(OSError):
            orphan = _orphan(folder)
            if orphan is None or orphan.server_id != server_id:
                continue
            try:
                done += _send(orphan, keeper)
            except Exception:  # noqa: BLE001  one bad journal does not hold up the others
                _log.exception("The journals in %s could not be stored; they stay.", folder)
    return done


def _run_folders(home: Path | None) -> list[Path]:
    top = paths.journals() if home is None else home / "journals"
    try:
        return sorted(each for each in top.iterdir() if (each / folders.META).is_file() and not folders.forgotten(each))
    except OSError:
        return []


def _orphan(folder: Path) -> Orphan | None:
    meta = folders.read_meta(folder)
    if meta is None:
        return None
    size = sum(path.stat().st_size for path in folders.journals_in(folder))
    return Orphan(folder, meta["run_id"], meta["name"], meta["url"], meta["server_id"], size, bool(meta.get(RECORDER)))


def _send(orphan: Orphan, keeper: Keeper) -> bool:
    """Send all of a folder, unless a living process does; whether it is all stored."""
    with folders.held(orphan.folder) as free:
        if not free:
            return False
        tails = [Tail(path) for path in folders.journals_in(orphan.folder)]
        try:
            for tail in tails:
                catch_up(tail, orphan.run_id, keeper)
                while ship(tail, orphan.run_id, keeper):
                    pass
            return folders.remove_if_done(orphan.folder, {tail.path: tail.offset for tail in tails})
        except NoSuchRun:
            put_aside(orphan.folder)
            return False
        finally:
            for tail in tails:
                tail.close()


def put_aside(folder: Path) -> None:
    """Keep the journals of a Run that was deleted on the server where nobody sends them again."""
    aside = folder.parent / "refused" / folder.name
    with contextlib.suppress(OSError):
        aside.parent.mkdir(mode=0o700, exist_ok=True)
        shutil.move(folder, aside)
        _log.warning(f"The server does not know the Run of the journals in {folder} any more. They were moved: {aside}")


def _server_id(client: Client) -> str:
    return str(client.get("/api/v1/me")["server"]["server_id"])
