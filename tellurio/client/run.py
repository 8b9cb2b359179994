"""Runs: ``run.log`` notes what happens in one, ``run.finish`` ends it.  ``begin.py`` begins it."""

from __future__ import annotations

import contextlib
import logging
import os
import threading
import uuid as uuids
import weakref
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

from afnio import _dispatch
from afnio.errors import RunError
from tellurio.client import folders
from tellurio.client.context import active_run, get_active_run, set_active_run
from tellurio.client.ending import outcome
from tellurio.client.http import Client
from tellurio.client.journal import Journal
from tellurio.client.login import connect
from tellurio.client.sender import Sender
from tellurio.client.shipping import FILES
from tellurio.client.tracker import RunTracker
from tellurio.client.upload import artifact_name, checked_artifact_name, spooled, spooled_bytes
from tellurio.client.values import checked_name, checked_step, image_type, records_of
from tellurio.schemas.slugs import slugify

__all__ = ["PARENT", "Run", "RunOrg", "RunProject", "RunStatus", "RunUser", "log"]

PATIENCE = 10.0  # seconds in which nothing moves, after which `finish` leaves the rest to be sent later
PARENT = "TELLURIO_RUN"  # tells child processes that share no memory which Run they are part of

PLAIN = 1e15  # numbers below it are written as they are; above it, and NaN, they are looked at
_STEPS = (int, type(None))

_log = logging.getLogger("afnio.tellurio")


class RunStatus(StrEnum):
    """The states of a Run."""

    RUNNING = "RUNNING"
    COMPLETED = "COMPLETED"
    CRASHED = "CRASHED"
    FAILED = "FAILED"
    DRAFT = "DRAFT"  # an edited copy of a recording that was not run yet


ENDS = (RunStatus.COMPLETED, RunStatus.FAILED, RunStatus.CRASHED)


@dataclass(frozen=True)
class RunOrg:
    """The namespace of a Run."""

    slug: str


@dataclass(frozen=True)
class RunProject:
    """The project of a Run."""

    uuid: str
    display_name: str
    slug: str


@dataclass(frozen=True)
class RunUser:
    """Whose Run it is."""

    uuid: str
    username: str
    slug: str


class Run:
    """A tracked execution.  `init` makes it.

    As a context manager it ends COMPLETED, or CRASHED when the block ends by an exception.  May be used by threads and
    by child processes, however they were started; only the process that called `init` ends it.

    Attributes:
        uuid: of the Run.
        name: readable, unique in its project: ``hungry_brownie_557``.
        slug: its name in the address of its page.
        url: of its page.
        description: as given.
        status: a `RunStatus`.
        date_created: when it began.
        date_updated: when it last changed, as far as this process knows.
        organization, project, user: where it is and whose.
        folder: of its journals on this machine.
    """

    def __init__(self, meta: Mapping[str, Any], folder: Path) -> None:
        self._meta = dict(meta)
        self.uuid: str = meta["run_id"]
        self.name: str = meta["name"]
        self.slug: str = meta["slug"]
        self.description: str | None = meta["description"]
        self.status = RunStatus.RUNNING
        self.date_created = self.date_updated = datetime.fromtimestamp(meta["created"], UTC)
        self.organization = RunOrg(meta["namespace"])
        self.project = RunProject(**meta["project"])
        self.user = RunUser(**meta["user"])
        self.url = _page(meta["url"], meta["namespace"], self.project.slug, self.slug)
        self.folder = folder
        self.client: Client | None = None
        self._ended = False
        self._lock = threading.Lock()
        self._journal: Journal | None = None
        self._files: Journal | None = None
        self._sender: Sender | None = None  # only in the process that called `init`
        self._undo: list[Callable[[], object]] = []
        self._warned: set[str] = set()
        _runs.add(self)
        _see_forks()

    # logging

    def log(self, name: str, value: Any, step: int | None = None, client: Client | None = None) -> None:
        """Note that ``name`` is ``value``.  Returns at once: the value is on disk, and is sent by another thread.

        Args:
            name: of the metric, e.g. ``"train_loss"``.
            value: a number (NaN and infinities too), a text, a dict of values (logged as ``name/key``), a table (list
                of dicts, or a data frame), a list, an image (bytes, a path, a figure) or a file (`pathlib.Path`).
            step: of the training.
            client: for scripts that give one; the Run's own is used.

        Raises:
            RunError: the Run has ended.
            TypeError, ValueError: it is nothing that can be logged.
        """
        if self._ended:
            raise self._over("run.log")
        kind = type(value)
        if (kind is float or kind is int) and -PLAIN < value < PLAIN and type(name) is str and type(step) in _STEPS:
            journal = self._journal
            if journal is not None and 0 < len(name) < 500 and "\0" not in name and -PLAIN < (step or 0) < PLAIN:
                with contextlib.suppress(TypeError):  # half characters: the long way cleans them
                    return journal.metric(name, value, step)
        self._log(checked_name(name), value, checked_step(step))
        return None

    def _log(self, name: str, value: Any, step: int | None) -> None:
        for each, kind, content in list(records_of(name, value)):
            if kind == "number":
                self._log_number(each, content, step)
            elif kind in ("image", "file"):
                self._log_file(each, kind, content, step)
            else:
                self.record("v", {"name": each, "type": kind, "v": content, "step": step})

    def _log_number(self, name: str, value: float | str, step: int | None) -> None:
        journal = self._journal or self._open("_journal", "")
        if journal is not None:
            try:
                journal.metric(name, value, step)
            except TypeError:
                journal.append("m", {"name": name, "v": value, "step": step})

    def _log_file(self, name: str, kind: str, content: bytes | Path, step: int | None) -> None:
        try:
            files = self._spooled(name, content)
        except FileNotFoundError:
            raise
        except OSError as error:
            self._warn("files", f"Run '{self.name}': {name!r} could not be kept: {error.strerror}. Training goes on.")
            return
        artifact = artifact_name(name)
        self._record_files(artifact, *files)
        if kind == "image":
            (file,) = files[1]
            image = {"artifact": artifact, "sha256": file["sha256"], "size": file["size"], "file": file["path"]}
            self.record("v", {"name": name, "type": "image", "v": image, "step": step})

    def _spooled(self, name: str, content: bytes | Path) -> tuple[str, list[dict[str, Any]]]:
        self._open("_files", FILES)  # first: who tidies the folder up leaves the copies alone where there is a journal
        if isinstance(content, Path):
            return spooled(content, self.folder)
        file_name = f"{slugify(name.rpartition('/')[2]) or 'image'}.{image_type(content)}"
        return "file", [spooled_bytes(content, file_name, self.folder)]

    def log_artifact(self, path: str | os.PathLike[str], name: str | None = None, *, kind: str | None = None) -> None:
        """Keep a file or folder with the Run, as the next version of the artifact ``name``.

        It is copied before this returns, and uploaded by another thread; what the server has already is not sent.

        Args:
            path: of the file or folder.
            name: of the artifact; that of the file if not given.
            kind: ``"file"``, ``"directory"`` or ``"checkpoint"``; found out if not given.

        Raises:
            RunError: the Run has ended.
            FileNotFoundError: there is nothing at ``path``.
            OSError: it cannot be read, or not be copied.
        """
        if self._ended:
            raise self._over("run.log_artifact")
        source = Path(path)
        name = checked_artifact_name(source.absolute().name if name is None else name)
        found, files = self._spooled(name, source)
        self._record_files(name, kind or found, files)

    def _record_files(self, name: str, kind: str, files: list[dict[str, Any]]) -> None:
        journal = self._open("_files", FILES)
        if journal is not None:
            journal.append("a", {"name": name, "kind": kind, "files": files})
            if self._sender is not None:
                self._sender.wake_files()

    def record(self, kind: str, fields: Mapping[str, Any]) -> None:
        """Append a record of any kind to the journal, see ``tellurio.schemas.records``; for who builds on Runs.

        Raises:
            RunError: the Run has ended.
        """
        if self._ended:
            raise self._over("A Run")
        journal = self._journal or self._open("_journal", "")
        if journal is not None:
            journal.append(kind, fields)

    def _open(self, slot: str, suffix: str) -> Journal | None:
        """A journal of this process; a child process gets its own."""
        with self._lock:
            journal: Journal | None = getattr(self, slot)
            if journal is None:
                sender = self._sender
                wake = sender.wake if sender is not None else lambda: None
                try:
                    journal = folders.open_journal(self.folder, uuids.uuid4().hex + suffix, self._meta, wake)
                except OSError as error:
                    self._warn(
                        "open",
                        f"Run '{self.name}': a journal cannot be made in {self.folder}: {error}. What "
                        f"this process logs is lost.",
                    )
                    return None
                setattr(self, slot, journal)
                if sender is not None:
                    sender.add(journal)
        return journal

    # ending

    def finish(self, client: Client | None = None, status: RunStatus | str = RunStatus.COMPLETED) -> None:
        """End the Run: wait until the server has everything, mark it, and let go of it.  A second call does nothing.

        When the server is away, or stands still for 10 seconds, this returns; what is left is on disk, is sent when the
        server is back, and a warning says where it is.

        Args:
            client: for scripts that give one; the Run's own is used.
            status: COMPLETED, FAILED or CRASHED.

        Raises:
            ValueError: ``status`` is no state a Run can end in.
        """
        if status not in ENDS:
            raise ValueError(f"run.finish(status={status!r:.100}): expected COMPLETED, FAILED or CRASHED.")
        self._end(RunStatus(status), None, PATIENCE)

    def flush(self, patience: float = PATIENCE) -> bool:
        """Wait until the server has what was logged; False once nothing has moved for ``patience`` seconds."""
        return self._sender is not None and self._sender.drain(patience)

    def _end(self, status: str, reason: str | None, patience: float) -> None:
        """Also called at exit and by a signal handler, so it takes no lock that the main thread may hold."""
        if self._ended:
            return
        if self._sender is None:
            _log.warning("Run '%s' is not ended: only the process that called te.init ends it.", self.name)
            return
        self._ended = True
        sender, journal = self._sender, self._journal
        while self._undo:
            self._undo.pop()()
        fields = {"status": status} if reason is None else {"status": status, "reason": reason}
        written = journal is not None and journal.append("s", fields, timeout=1.0)
        self.status, self.date_updated = RunStatus(status), datetime.now(UTC)
        stored = sender.drain(patience) and written
        sender.say()
        lost = sum(each.lost for each in (self._journal, self._files) if each is not None)
        if lost:
            _log.warning("Run '%s': the disk was full, and %d records are lost.", self.name, lost)
        if stored:
            sender.stop()
            _log.info("Run '%s' marked as %s.", self.name, self.status)
            return
        self._left(sender)

    def _left(self, sender: Sender) -> None:
        waiting = sum(len(each.waiting) for each in (self._journal, self._files) if each is not None)
        where = f"What it logged waits in {self.folder}"
        if waiting:
            where += f", but for {waiting} records that the full disk did not take: they are lost with this process"
        _log.warning(
            "Run '%s' ended as %s, but the server at %s could not be told. %s. The next te.init "
            "sends it, and so does: tellurio sync",
            *(self.name, self.status, self._meta["url"], where),
        )
        sender.leave()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._sender is not None:  # a forked child leaves the block too
            self._end(*outcome(error), PATIENCE)

    # reading

    @property
    def cost(self) -> dict[str, Any]:
        """What its LM calls cost up to now, as the server has it: ``usd`` (a Decimal; None: no price is known),
        ``calls``, ``reused``, ``input_tokens``, ``output_tokens``, ``unpriced`` and others.

        Raises:
            TellurioError: the server is away, or refused.
        """
        self.flush()
        total: dict[str, Any] = (self.client or connect()).get(f"/api/v1/runs/{self.uuid}/cost")["total"]
        return {**total, "usd": None if total["usd"] is None else Decimal(total["usd"])}

    def __repr__(self) -> str:
        return f"Run({self.name!r}, {self.status}, {self.url})"

    def __reduce__(self) -> tuple[Callable[[str], Run], tuple[str]]:
        return _attached, (str(self.folder),)

    def _over(self, what: str) -> RunError:
        return RunError(
            f"{what}: Run '{self.name}' has ended ({self.status}). Begin another: te.init(namespace_slug, "
            f"project_display_name)."
        )

    def _warn(self, about: str, text: str) -> None:
        if about not in self._warned:
            self._warned.add(about)
            _log.warning("%s", text)

    def _forked(self) -> None:
        """In a forked child: the files and threads are the parent's."""
        sender, self._sender = self._sender, None
        for journal in (self._journal, self._files):
            if journal is not None:
                journal.abandon()
        self._journal = self._files = None
        self._undo = []
        self._lock = threading.Lock()
        if sender is not None:
            sender.forget()


_runs: weakref.WeakSet[Run] = weakref.WeakSet()
_forks_are_seen = False


def log(name: str, value: Any, step: int | None = None, client: Client | None = None) -> None:
    """`Run.log` of the active Run.

    Raises:
        RunError: there is none; and all that `Run.log` raises.
    """
    run = active_run() or _of_parent() or get_active_run()
    run.log(name, value, step)


def _see_forks() -> None:
    global _forks_are_seen
    if not _forks_are_seen and hasattr(os, "register_at_fork"):
        _forks_are_seen = True
        os.register_at_fork(after_in_child=_forked)


def _forked() -> None:
    for run in list(_runs):
        run._forked()


def _of_parent() -> Run | None:
    """The Run of the process that started this one."""
    folder = os.environ.get(PARENT)
    return _attached(folder) if folder and folders.read_meta(Path(folder)) else None


def _attached(folder: str) -> Run:
    """The Run whose journals are in ``folder``, for this process to log into; another one sends and ends it.

    Raises:
        RunError: it has ended.
    """
    active = active_run()
    if active is not None and active.folder == Path(folder):
        return active
    meta = folders.read_meta(Path(folder))
    if meta is None:
        raise RunError(f"The Run of {folder} has ended: the process that began it has finished it.")
    run = Run(meta, Path(folder))
    if active is None:
        set_active_run(run)
        _dispatch.set_default_tracker(RunTracker(run))
    return run


def _page(url: str, namespace: str, project: str, run: str) -> str:
    return f"{url}/{quote(namespace)}/projects/{quote(project)}/runs/{quote(run)}/"
