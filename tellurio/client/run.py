"""Runs: ``te.init`` begins one, ``run.log`` notes what happens in it, ``run.finish`` ends it."""

from __future__ import annotations

import contextlib
import logging
import os
import re
import threading
import uuid as uuids
import weakref
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self
from urllib.parse import quote

from afnio import _dispatch
from afnio.calls import Budget
from afnio.calls.redact import redacted
from afnio.errors import JournalError, RunError, ServerError
from tellurio.client import folders, orphans, paths
from tellurio.client.about import about_client
from tellurio.client.context import active_run, get_active_run, set_active_run
from tellurio.client.ending import Safeguard, outcome
from tellurio.client.engine import RemoteEngine
from tellurio.client.http import Client
from tellurio.client.journal import Journal, to_json
from tellurio.client.lines import show_lines
from tellurio.client.login import connect
from tellurio.client.project import Project, create_project, get_project
from tellurio.client.sender import Sender
from tellurio.client.shipping import FILES
from tellurio.client.tracker import RunTracker
from tellurio.client.upload import artifact_name, checked_artifact_name, spooled, spooled_bytes
from tellurio.client.values import checked_name, checked_step, image_type, records_of
from tellurio.schemas.slugs import slugify

__all__ = ["Run", "RunOrg", "RunProject", "RunStatus", "RunUser", "init", "log"]

PATIENCE = 10.0  # seconds in which nothing moves, after which `finish` leaves the rest to be sent later
LEASE = 30.0  # seconds without a sign of life after which a server takes a Run for crashed
RUN = "TELLURIO_RUN"  # tells child processes that share no memory which Run they are part of

_NAMESPACE = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
PLAIN = 1e15  # numbers below it are written as they are; above it, and NaN, they are looked at
_STEPS = (int, type(None))

_log = logging.getLogger("afnio.tellurio")


class RunStatus(StrEnum):
    """The states of a Run."""

    RUNNING = "RUNNING"
    COMPLETED = "COMPLETED"
    CRASHED = "CRASHED"
    FAILED = "FAILED"


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
        found, files = spooled(source, self.folder)
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
        end = RunStatus(status)
        if end is RunStatus.RUNNING:
            raise ValueError("run.finish(status=...): expected COMPLETED, FAILED or CRASHED; RUNNING is no end.")
        self._end(end, None, PATIENCE)

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


def init(
    namespace_slug: str,
    project_display_name: str,
    name: str | None = None,
    description: str | None = None,
    status: RunStatus | str = RunStatus.RUNNING,
    client: Client | None = None,
    *,
    config: Mapping[str, Any] | None = None,
    tags: Iterable[str] | None = None,
    parent: str | Run | None = None,
    budget: Budget | float | str | Decimal | None = None,
    lm_calls: Literal["server", "client"] = "server",
) -> Run:
    """Begin a Run; it is the active one of this process until it is finished.

    Nothing needs to be set up: without a server of your own the local one is started.  A Run that is still open is
    ended as FAILED.  The script's end ends the Run: COMPLETED, or CRASHED if it ends by an exception.

    Args:
        namespace_slug: yours or your team's; lower-case letters, digits, ``_`` and ``-``.  On the local server it is
            made if it is not there.
        project_display_name: made with RESTRICTED visibility if it is not there.
        name: of the Run; ``_1``, ``_2``, ... is appended where it is taken.  A random one if not given.
        description: in words.
        status: RUNNING; there for scripts that give it.
        client: of the server; the one that ``te.login`` found if not given.
        config: what the Run is made with: learning rates, model names; anything JSON can hold.
        tags: words to find it by.
        parent: the Run it is a part or a repetition of, or its uuid.
        budget: what all LM calls of the Run together may cost: dollars, or a `Budget`.
        lm_calls: who makes the LM calls of ``backward()`` and ``step()``: the server, or (``"client"``) this process.

    Raises:
        TypeError, ValueError: an argument is none that can be used; nothing was made.
        ServerUnreachableError, ServerStartError, InvalidAPIKeyError: there is no server to use.
        ServerError: it refused; among others: there is no such namespace.
        JournalError: nothing can be written on this machine.
    """
    slug = _checked(namespace_slug, project_display_name, status)
    limit = _budget(budget)
    if lm_calls not in ("server", "client"):
        raise ValueError(f"te.init(lm_calls={lm_calls!r}): expected 'server' or 'client'.")
    lease = _lease()
    body = {
        "id": str(uuids.uuid4()),
        "name": _text(name, "name"),
        "description": _text(description, "description"),
        "config": _config(config),
        "tags": _tags(tags),
        "parent_id": _parent(parent),
        "budget": _told(limit),
        "client": about_client(),
        "lease": lease,
    }
    show_lines()
    client = connect() if client is None else client
    server_id = client.get("/api/v1/me")["server"]["server_id"]
    _end_previous()
    project = _project(namespace_slug, project_display_name, slug, client)
    run = _begun(body, project, client, server_id, lease / 6)
    _install(run, RemoteEngine(run.uuid, client, budget=limit, lm_calls=lm_calls))
    _log.info("Run '%s' created successfully at: %s", run.name, run.url)
    return run


def log(name: str, value: Any, step: int | None = None, client: Client | None = None) -> None:
    """`Run.log` of the active Run.

    Raises:
        RunError: there is none; and all that `Run.log` raises.
    """
    run = active_run() or _of_parent() or get_active_run()
    run.log(name, value, step)


def _checked(namespace: object, project: object, status: RunStatus | str) -> str:
    """The project's slug, if all three can be used."""
    for value, what in ((namespace, "namespace_slug"), (project, "project_display_name")):
        if not isinstance(value, str):
            raise TypeError(f"te.init: {what} must be a string, got {type(value).__name__}: {value!r:.100}.")
    if not _NAMESPACE.fullmatch(str(namespace)):
        raise ValueError(
            f"te.init(namespace_slug={namespace!r:.100}): expected 1 to 64 lower-case letters, digits, '_' and '-', "
            f"the first one a letter or digit, e.g. {_suggestion(str(namespace))!r}."
        )
    slug = slugify(str(project))
    if not slug or len(str(project)) > 200:
        raise ValueError(
            f"te.init(project_display_name={project!r:.100}): expected a name of 1 to 200 characters with a letter a "
            f"to z or a digit in it, e.g. 'My Project': its address is made of these."
        )
    if RunStatus(status) is not RunStatus.RUNNING:
        raise ValueError(f"te.init(status={status!r}): a Run begins RUNNING; run.finish(status=...) ends it.")
    return slug


def _suggestion(namespace: str) -> str:
    return re.sub(r"[^a-z0-9_-]+", "-", namespace.lower()).lstrip("_-").rstrip("-")[:64] or "my-team"


def _text(value: object, what: str) -> str | None:
    if value is not None and not isinstance(value, str):
        raise TypeError(f"te.init: {what} must be a string or None, got {type(value).__name__}: {value!r:.100}.")
    return value or None


def _tags(tags: object) -> list[str]:
    if tags is None:
        return []
    if isinstance(tags, (str, bytes)) or not isinstance(tags, Iterable):
        raise TypeError(f"te.init(tags=...): expected a list of strings, got {tags!r:.100}.")
    given = list(tags)
    if not all(isinstance(tag, str) and tag for tag in given):
        raise TypeError(f"te.init(tags=...): each tag must be a string that is not empty, got {given!r:.100}.")
    return given


def _config(config: object) -> dict[str, Any] | None:
    if config is None:
        return None
    if not isinstance(config, Mapping):
        raise TypeError(f"te.init(config=...): expected a dict, got {type(config).__name__}: {config!r:.100}.")
    import orjson

    plain: dict[str, Any] = orjson.loads(redacted(to_json(config)))
    return plain


def _parent(parent: object) -> str | None:
    if parent is None or isinstance(parent, Run):
        return None if parent is None else parent.uuid
    try:
        return str(uuids.UUID(str(parent)))
    except ValueError:
        raise ValueError(f"te.init(parent={parent!r:.100}): expected a Run, or the uuid of one.") from None


def _budget(budget: Any) -> Budget | None:
    if budget is None or isinstance(budget, Budget):
        return budget
    if isinstance(budget, bool) or not isinstance(budget, (int, float, str, Decimal)):
        raise TypeError(f"te.init(budget=...): expected dollars or a Budget, got {budget!r:.100}.")
    try:
        return Budget(usd=budget)
    except ArithmeticError:
        raise ValueError(f"te.init(budget={budget!r:.100}): expected dollars, e.g. 2.50.") from None


def _told(budget: Budget | None) -> dict[str, Any] | None:
    if budget is None:
        return None
    limits = {name: getattr(budget, name) for name in ("usd", "tokens", "calls", "seconds")}
    return {name: str(limit) if name == "usd" else limit for name, limit in limits.items() if limit is not None}


def _lease() -> float:
    """Short ones are for tests."""
    try:
        return max(1.0, float(os.environ.get("TELLURIO_LEASE", LEASE)))
    except ValueError:
        return LEASE


def _end_previous() -> None:
    run = active_run()
    if run is None or run._sender is None:
        return
    _log.warning(
        "Run '%s' is still open, and another one begins: it ends as FAILED. run.finish() ends it well.", run.name
    )
    run.finish(status=RunStatus.FAILED)


def _project(namespace: str, display_name: str, slug: str, client: Client) -> Project:
    found = get_project(namespace, slug, client)
    if found is None:
        _make_namespace(namespace, client)
        _log.info(
            "Project with slug '%s' does not exist in namespace '%s'. Creating it now with RESTRICTED visibility.",
            *(slug, namespace),
        )
        try:
            return create_project(namespace, display_name, "RESTRICTED", client)
        except ServerError as error:
            found = get_project(namespace, slug, client) if error.status_code == 409 else None  # another was faster
            if found is None:
                raise
            return found
    _log.info("Project with slug '%s' already exists in namespace '%s'.", slug, namespace)
    return found


def _make_namespace(namespace: str, client: Client) -> None:
    """On the local server; elsewhere an admin makes them."""
    try:
        client.get(f"/api/v1/namespaces/{quote(namespace, safe='')}")
    except ServerError as error:
        if error.status_code != 404:
            raise
        if not client.is_local:
            answer = client.get("/api/v1/namespaces")
            yours = [each["slug"] for each in (answer["namespaces"] if isinstance(answer, dict) else answer)]
            raise ServerError(
                f"There is no namespace {namespace!r} on {client.url} that you may use. "
                + (f"Yours are: {', '.join(yours)}." if yours else "You have none: ask the server's admin for one."),
                status_code=404,
                body=error.body,
                request_id=error.request_id,
            ) from None
        try:
            client.post("/api/v1/namespaces", json={"slug": namespace})
        except ServerError as refused:
            if refused.status_code != 409:
                raise


def _begun(body: dict[str, Any], project: Project, client: Client, server_id: str, heartbeat: float) -> Run:
    """The journal is opened first: where nothing can be written, no Run is made."""
    folder = paths.private_folder(paths.journals()) / body["id"]
    try:
        journal = Journal(folder, uuids.uuid4().hex)
        lock = folders.claim(folder)
    except OSError as error:
        raise JournalError(
            f"The journal of the Run cannot be written in {folder}: {error.strerror or error}. Free some space, or set "
            f"TELLURIO_HOME to a folder that can be written."
        ) from error
    assert lock is not None, "nobody else knows the folder"
    release = weakref.finalize(journal, os.close, lock)
    namespace = project.org_slug or ""
    try:
        made = client.post(f"/api/v1/namespaces/{quote(namespace)}/projects/{quote(project.slug)}/runs", json=body)
        meta = _meta(made, project, client, server_id)
        folders.write_meta(folder, meta)
    except BaseException:
        journal.close()
        release()
        folders.remove_if_done(folder, {})
        raise
    run = Run(meta, folder)
    run.client, run._journal = client, journal
    run._sender = Sender(folder, run.uuid, run.name, client, _renewal(client), heartbeat, release)
    journal.wake = run._sender.wake
    run._sender.add(journal)
    return run


def _meta(made: Mapping[str, Any], project: Project, client: Client, server_id: str) -> dict[str, Any]:
    user = made["user"]
    return {
        "v": 1,
        "run_id": made["id"],
        "name": made["name"],
        "slug": made["slug"],
        "description": made["description"],
        "created": made["created"],
        "namespace": made["namespace_slug"],
        "project": {"uuid": project.uuid, "display_name": project.display_name, "slug": project.slug},
        "user": {"uuid": user["id"], "username": user["username"], "slug": user["slug"]},
        "url": client.url,
        "server_id": server_id,
    }


def _renewal(client: Client) -> Callable[[], Client]:
    """Finds the server again: a local one may listen elsewhere now, a key may have been renewed."""

    def renew() -> Client:
        found = connect()
        if found is not client and found.is_local == client.is_local and (client.is_local or found.url == client.url):
            client.url, client.key = found.url, found.key  # in place: the engine holds it too
        return client

    return renew


def _install(run: Run, engine: RemoteEngine) -> None:
    """Make ``run`` what the library and the rest of the script use, until it ends."""
    _see_forks()
    assert run._sender is not None
    run._sender.start()
    safeguard = Safeguard(run._end)
    run._undo = [
        safeguard.remove,
        lambda: os.environ.pop(RUN, None),
        lambda: set_active_run(None),
        _dispatch.set_default_tracker(RunTracker(run)),
        _dispatch.set_default_engine(engine),
        engine.open(),
        engine.close,
    ]
    set_active_run(run)
    os.environ[RUN] = str(run.folder)
    if run.client is not None and not run.client.is_local:  # a local server collects them itself
        threading.Thread(target=_collect, args=(run.client,), name="tellurio-orphans", daemon=True).start()


def _collect(client: Client) -> None:
    try:
        done = orphans.sync(client)
        if done.sent:
            _log.info("Sent what %d earlier Runs had left to be sent.", len(done.sent))
    except Exception:  # noqa: BLE001  it is tried again the next time
        _log.debug("Sending what earlier Runs left failed", exc_info=True)


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
    folder = os.environ.get(RUN)
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
    _see_forks()
    return run


def _page(url: str, namespace: str, project: str, run: str) -> str:
    return f"{url}/{quote(namespace)}/projects/{quote(project)}/runs/{quote(run)}/"
