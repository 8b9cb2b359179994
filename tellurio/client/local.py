"""The local server: found, started when there is none, stopped.  However many processes ask, one is started."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from afnio.errors import ServerError, ServerStartError, ServerUnreachableError, ServerVersionError, TellurioError
from tellurio.client import paths
from tellurio.client.http import Client
from tellurio.schemas.version import check_versions, our_version

__all__ = ["LocalServer", "ensure_local_server", "local_status", "stop_local_server"]

_START_SECONDS = 60.0  # a second or two, but for a machine that is very busy
_STOP_SECONDS = 20.0
_KILL_SECONDS = 20.0
_HEALTH_SECONDS = 5.0
_PAUSE = 0.02
_LOG_LINES = 12
_LEAST_SPACE = 1_000_000  # bytes; with less a new database may not even be able to say so in its log
_LOG_LIMIT = 10_000_000  # bytes; a longer log is put aside at the next start

# What a shell sets for its own Python programs would change or break the server, and keys of providers are handed
# over by each client, after consent: a server must not have those of whoever happened to start it, nor what else their
# SDKs read from the environment (an organization, say).
_NOT_HANDED_ON = re.compile(
    r"PYTHON(WARNINGS|INSPECT|STARTUP|BREAKPOINT|PROFILEIMPORTTIME|VERBOSE)|.*_API_KEY|(OPENAI|ANTHROPIC)_.*"
)

_children: set[int] = set()
"""Servers this process started: it is their parent, and has to reap them."""


@dataclass(frozen=True)
class LocalServer:
    """What the local server says of itself in ``server.json`` while it runs."""

    url: str
    port: int
    pid: int
    key: str = field(repr=False)
    version: str
    server_id: str


def ensure_local_server() -> tuple[str, str]:
    """The URL of this user's local server and the key of its user; the server is started if it does not run.

    Takes about two seconds when it has to start it, some milliseconds else.  The server goes on when this process
    ends; ``tellurio down`` stops it.

    Raises:
        ServerStartError: it did not start; the message has the last lines of its log.
        ServerVersionError: it runs, and is too old or too new for this client.
        ServerUnreachableError: it runs, and does not answer.
    """
    server = _running()
    if server is None:
        with _starting():
            server = _running() or _start()
    _check_version(server)
    return server.url, server.key


def local_status() -> LocalServer | None:
    """The local server, if it runs.

    Raises:
        ServerUnreachableError: its process is there, and does not answer.
    """
    return _running()


def stop_local_server() -> int | None:
    """Stop the local server and wait until it is gone; returns its process id, or None when none ran.

    Raises:
        TellurioError: it is not ours to stop.
    """
    if not paths.server_home().is_dir():
        return None
    with _starting():
        pid = _pid_of_ours()
        if pid is None:
            return None
        _signal(pid, signal.SIGTERM)
        if not _gone(pid, _STOP_SECONDS):
            _signal(pid, signal.SIGKILL)
            if not _gone(pid, _KILL_SECONDS):
                raise TellurioError(f"The local server (process {pid}) does not end, even by SIGKILL.")
        return pid


def _running() -> LocalServer | None:
    """The server that `server.json` tells of, if it is there: the file may be stale, and its pid another's by now."""
    server = _read()
    if server is None or not _alive(server.pid):
        return None
    deadline = time.monotonic() + _STOP_SECONDS
    while _alive(server.pid):
        health = _health(server.url)
        if health is not None:
            return server if _says_the_same(health, server) else None
        if not _looks_like_a_server(server.pid):
            return None
        if time.monotonic() > deadline:  # it hangs: it neither serves nor ends
            raise ServerUnreachableError(
                f"The local server (process {server.pid}) does not answer at {server.url}. See what it says: tellurio "
                "logs. Start it again: tellurio down, then tellurio up"
            )
        time.sleep(_PAUSE)  # on its way down: what it holds is free when it is gone
    return None


def _start() -> LocalServer:
    paths.private_folder(paths.server_home())
    if (another := _awaited()) is not None:
        return another
    log = paths.server_log()
    seen = _log_size(log)
    pid = _spawn(log)
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        ended = not _alive(pid)
        server = _read()
        # Usually ours; if ours ended, then perhaps because somebody started one by hand a moment earlier.
        if server is not None and (ended or server.pid == pid) and _says_the_same(_health(server.url), server):
            return server
        if ended:
            raise _not_started("it ended at once", log, seen)
        time.sleep(_PAUSE)
    _signal(pid, signal.SIGKILL)
    raise _not_started(f"it was not ready after {_START_SECONDS:g} seconds", log, seen)


def _awaited() -> LocalServer | None:
    """Wait for a server that holds the store and is not to be found: it is on its way down, or up."""
    deadline = time.monotonic() + _STOP_SECONDS
    while _holder() is not None and time.monotonic() < deadline:
        server = _read()
        if server is not None and _says_the_same(_health(server.url), server):
            return server
        time.sleep(_PAUSE)
    return None


def _holder() -> int | None:
    """The process that holds the store, by the store's own lock file, which may be stale."""
    try:
        pid = int((paths.server_home() / "tellurio.lock").read_text())
    except (OSError, ValueError):
        return None
    return pid if _alive(pid) and _looks_like_a_server(pid) else None


def _spawn(log: Path) -> int:
    """A process of its own: it outlives us, and Ctrl-C in our terminal is not for it."""
    try:
        output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise ServerStartError(f"The local server cannot be started: {log}: {error.strerror}.") from error
    try:
        process = subprocess.Popen(
            [sys.executable, "-m", "tellurio.server", "--home", str(paths.server_home())],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            cwd=paths.server_home(),  # not the user's: a module of theirs must not hide one that the server imports
            env=_environment(),
        )
    except OSError as error:
        raise ServerStartError(f"The local server cannot be started: {sys.executable}: {error.strerror}.") from error
    finally:
        os.close(output)
    process.returncode = 0  # or it would warn, when collected, that its process still runs: it is meant to
    _children.add(process.pid)
    return process.pid


def _environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not _NOT_HANDED_ON.fullmatch(name)}
    if "PYTHONPATH" in kept:  # its relative folders were meant from here
        kept["PYTHONPATH"] = os.pathsep.join(os.path.abspath(each) for each in kept["PYTHONPATH"].split(os.pathsep))
    return kept


def _not_started(reason: str, log: Path, seen: int) -> ServerStartError:
    said = _tail(log, seen)
    quoted = "\n".join(f"    {line}" for line in said) or "    (nothing)"
    if not said and (free := shutil.disk_usage(log.parent).free) < _LEAST_SPACE:
        quoted += f"\nIts disk is full: {free:,} bytes are free."
    return ServerStartError(
        f"The local server did not start: {reason}. The last it said ({log}):\n{quoted}\n"
        "Mend that, then type: tellurio up"
    )


def _tail(log: Path, seen: int) -> list[str]:
    try:
        with log.open("rb") as file:
            file.seek(seen)
            return file.read().decode(errors="replace").splitlines()[-_LOG_LINES:]
    except OSError:
        return []


def _log_size(log: Path) -> int:
    """Where the next server's words will begin."""
    try:
        size = log.stat().st_size
        if size > _LOG_LIMIT:
            log.replace(log.with_name(f"{log.name}.1"))
            return 0
        return size
    except OSError:
        return 0


@contextlib.contextmanager
def _starting() -> Iterator[None]:
    """One process at a time starts or stops the server."""
    paths.private_folder(paths.server_home())
    lock = paths.start_lock()
    try:
        handle = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise ServerStartError(f"Cannot open {lock}: {error.strerror}. Is the folder yours?") from error
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _read() -> LocalServer | None:
    try:
        said: dict[str, Any] = json.loads(paths.server_file().read_bytes())
        return LocalServer(**{name: said[name] for name in LocalServer.__dataclass_fields__})
    except (OSError, ValueError, KeyError, TypeError):
        return None  # none is there, or its author died over it


def _health(url: str) -> dict[str, Any] | None:
    """What answers at ``url`` says of itself; None when nothing does, or nothing of ours."""
    client = Client(url, None, is_local=True, any_version=True)
    try:
        said = client.get("/healthz", timeout=_HEALTH_SECONDS, retry=False)
    except (ServerUnreachableError, ServerError):
        return None
    finally:
        client.close()
    return said if isinstance(said, dict) else None


def _says_the_same(health: dict[str, Any] | None, server: LocalServer) -> bool:
    return health is not None and (health.get("server_id"), health.get("pid")) == (server.server_id, server.pid)


def _check_version(server: LocalServer) -> None:
    try:
        check_versions(our_version(), server.version)
    except ServerVersionError:
        raise ServerVersionError(
            f"The local server (process {server.pid}) is version {server.version}, this client {our_version()}. "
            "Start it again with this version: tellurio down && tellurio up"
        ) from None


def _pid_of_ours() -> int | None:
    """The server's process, and no other one that got its number."""
    server = _read()
    if server is None or not _alive(server.pid):
        return _holder()
    ours = _looks_like_a_server(server.pid) or _says_the_same(_health(server.url), server)
    return server.pid if ours else _holder()


def _looks_like_a_server(pid: int) -> bool:
    """By its command line: for a server that does not answer any more."""
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ")
    except OSError:
        command = subprocess.run(["ps", "-o", "command=", "-p", str(pid)], capture_output=True, check=False).stdout
    return b"tellurio.server" in command and os.fsencode(paths.server_home()) in command


def _alive(pid: int) -> bool:
    if pid in _children:
        with contextlib.suppress(ChildProcessError):  # after a fork it is our parent's
            if os.waitpid(pid, os.WNOHANG) != (0, 0):
                _children.discard(pid)
                return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return not _is_zombie(pid)


def _is_zombie(pid: int) -> bool:
    """Ended, and nobody has asked how: in a container there may be no one to ask."""
    try:
        return Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[0] == b"Z"
    except (OSError, IndexError):
        return False


def _signal(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass
    except PermissionError:
        raise TellurioError(f"The local server (process {pid}) belongs to another user: ask them to stop it.") from None


def _gone(pid: int, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while _alive(pid):
        if time.monotonic() > deadline:
            return False
        time.sleep(_PAUSE)
    return True
