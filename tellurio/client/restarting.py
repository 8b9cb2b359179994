"""How a recorded script is started again."""

from __future__ import annotations

import contextlib
import os
import socket
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

__all__ = ["CannotRun", "environment", "family", "left", "records", "restart", "tell"]


class CannotRun(Exception):
    """A recording cannot be run again here; says what is missing."""


def environment(command: Mapping[str, Any]) -> dict[str, str]:
    """What of this process's environment the script needs and no recording holds: keys, by their names."""
    return {name: os.environ[name] for name in command.get("needs") or () if name in os.environ}


def records(pid: int, folder: Path) -> bool:
    """Whether that process writes a journal in ``folder``: a process id alone may be another's by now."""
    inside = str(folder.resolve()) + os.sep
    with contextlib.suppress(OSError):
        return any(_target(entry).startswith(inside) for entry in Path(f"/proc/{pid}/fd").iterdir())
    return False


def family(pid: int) -> dict[int, str]:
    """The processes that Ctrl-C would reach in a terminal: the script's own, and those below it in its process group.

    Returns:
        Process id -> when it began, by which it is known again: the id may be another's later.
    """
    known = {int(entry.name): _stat(int(entry.name)) for entry in Path("/proc").iterdir() if entry.name.isdigit()}
    found, group = [pid], known.get(pid, _GONE).group
    for parent in found:  # it grows
        found += [each for each, stat in known.items() if stat.parent == parent and stat.group == group]
    return {each: known[each].began for each in found if each in known and known[each].began}


def tell(processes: Mapping[int, str], number: int) -> None:
    """Send a signal to those that are still there.

    Raises:
        PermissionError: one belongs to another user.
    """
    for pid, began in processes.items():
        if _stat(pid).began == began:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)


def left(processes: Mapping[int, str]) -> bool:
    """Whether one of them is still there."""
    return any(_stat(pid).began == began for pid, began in processes.items())


class _Stat(NamedTuple):
    parent: int
    group: int
    began: str


_GONE = _Stat(0, 0, "")


def _stat(pid: int) -> _Stat:
    """Of a process that has not ended."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except OSError:
        return _GONE
    return _GONE if fields[0] in "ZX" else _Stat(int(fields[1]), int(fields[2]), fields[19])


def _target(entry: Path) -> str:
    with contextlib.suppress(OSError):
        return os.readlink(entry)
    return ""


def restart(
    command: Mapping[str, Any], run_id: str, *, cache: bool = True, environ: Mapping[str, str] | None = None
) -> tuple[list[str], str, dict[str, str]]:
    """The command line, working directory and environment that run a recording again.

    Args:
        command: see `tellurio.schemas.records.Command`.
        run_id: of the recording, or of a draft.
        cache: answer recorded calls from the recording.
        environ: what is set; None: what is set here.

    Raises:
        CannotRun: it cannot be started here; says why.
    """
    argv = list(command.get("argv") or ())
    if not argv:
        raise CannotRun("That Run was not begun by ao-record: nobody knows how its script is started.")
    if command.get("stdin"):
        raise CannotRun("The script came by standard input, which is not recorded: save it in a file, and record that.")
    host, where = command.get("host"), str(command.get("cwd") or ".")
    if host and host != socket.gethostname():
        raise CannotRun(f"It was recorded on another machine ({host}): run it again there.")
    if not os.path.isdir(where):
        raise CannotRun(f"Its working directory {where} is gone.")
    recorded = {str(name): str(value) for name, value in dict(command.get("env") or {}).items()}
    full = {**recorded, **(os.environ if environ is None else environ)}
    full |= {name: value for name, value in _of_living(command).items() if name not in full}
    missing = [name for name in command.get("needs") or () if name not in full]
    if missing:
        raise CannotRun(f"It was recorded with {', '.join(missing)}, which is not set here. Set it, and try again.")
    interpreter = str(command.get("interpreter") or sys.executable)
    if not os.access(interpreter, os.X_OK):
        raise CannotRun(f"The Python it was recorded with is gone: {interpreter}")
    script = os.path.join(where, str(argv[0]))
    if not command.get("module") and not os.path.exists(script):
        raise CannotRun(f"Its script is gone: {script}")
    options = ["--rerun", run_id, "--unedited", *([] if cache else ["--no-cache"])]
    target = ["-m", *argv] if command.get("module") else argv
    return [interpreter, "-c", _START, *options, *target], where, full


_START = (
    "import sys; sys.path[:1] = sys.path[:1] if sys.flags.safe_path else [sys.prefix]; "
    "from ao.runner.record import main; main()"
)
"""``-m`` would look for the recorder, and for what it imports, in the working directory first."""


def _of_living(command: Mapping[str, Any]) -> dict[str, str]:
    """The keys of the recorder, if it still runs, as this user's processes may read them.

    By its arguments it is known again: its process id may be another program's by now, whose keys are not the script's.
    """
    argv = [str(each).encode(errors="surrogateescape") for each in command.get("argv") or ()]
    try:
        process = Path(f"/proc/{int(command.get('pid') or 0)}")
        if process.joinpath("cmdline").read_bytes().split(b"\0")[-len(argv) - 1 : -1] != argv:
            return {}
        pairs = [line.partition(b"=") for line in process.joinpath("environ").read_bytes().split(b"\0")]
    except (OSError, ValueError):
        return {}
    wanted = {str(name).encode() for name in command.get("needs") or ()}
    return {name.decode(): value.decode(errors="surrogateescape") for name, _, value in pairs if name in wanted}
