"""``ao-record``: runs a script as ``python`` would, and records its LM calls."""

from __future__ import annotations

import atexit
import importlib
import os
import sys

from ao.randomness import repeatable
from ao.recording.recording import Recording
from ao.recording.state import disabled
from ao.runner.context_manager import outcome
from ao.runner.environment import kept
from ao.runner.options import Options, Usage, read_options
from ao.runner.program import INTERRUPTED, NoProgram, Program, finish

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, NoReturn

__all__ = ["main"]

ABOVE = 2
"""Frames of ours above the program's own where its end is handled: `_run` and `Program.run`."""


def main() -> NoReturn:
    """The command."""
    try:
        options = read_options(sys.argv[1:])
    except Usage as usage:
        (sys.stdout if usage.code == 0 else sys.stderr).write(f"{usage}\n")
        raise SystemExit(usage.code) from None
    _seed_hashes(options)
    _end(_run(options.program, Fate()) if disabled() else _recorded(options))


def _recorded(options: Options) -> int:
    """Run the program with the recorder in place; returns the exit status."""
    recording, stop = _begun(options)
    if recording is None:
        return _run(options.program, Fate())
    fate = Fate()
    # Registered first, so run last: what the program registers may still make calls.
    atexit.register(_ended, recording, stop, fate, options.rerun is not None)
    return _run(options.program, fate)


class Fate:
    """What ended the program."""

    error: BaseException | None = None


def _begun(options: Options) -> tuple[Recording | None, list[Callable[[], object]]]:
    book = None
    if options.rerun is not None:
        try:
            fetched = importlib.import_module("ao.replay.fetching").fetched  # layers: when used
            book = fetched(options.rerun, unedited=options.unedited)
        except Exception as error:  # noqa: BLE001 - said, not raised: a traceback of ours helps nobody
            sys.stderr.write(f"ao-record: {error}\n")
            raise SystemExit(2) from None
    seed = _seed_of(options, book)
    run = options.begin(seed, kept(), book)
    try:
        recording = Recording.begin(run, None if book is None or not options.cache else book.book)
    except OSError as error:
        where = error.filename or "the disk"
        sys.stderr.write(f"ao: nothing is recorded: {where}: {error.strerror}. The script runs all the same.\n")
        return None, []
    return recording, [repeatable(seed)]


def _seed_of(options: Options, book: Any) -> int:
    if options.seed is not None:
        return options.seed
    if book is not None and book.seed is not None:
        return int(book.seed)
    return int.from_bytes(os.urandom(4), "big")


def _ended(recording: Recording, stop: list[Callable[[], object]], fate: Fate, again: bool) -> None:
    for each in stop:
        each()
    recording.end(*outcome(fate.error))
    recording.tell()
    if not recording.is_child and sys.stderr is not None and (again or sys.stderr.isatty()):
        sys.stderr.write(f"ao: {recording.report()}\n")


def _run(program: Program, fate: Fate) -> int:
    """Run the program; returns the exit status."""
    try:
        program.run()
    except NoProgram as none:
        sys.stderr.write(f"{none}\n")
        fate.error = SystemExit(none.code)
        return none.code
    except BaseException as error:  # noqa: BLE001 - shown as python shows it
        fate.error = error
        return finish(error, ABOVE)
    return 0


def _end(status: int) -> NoReturn:
    """Leave with the program's exit status; Ctrl-C ends a process by the signal, as ``python`` does."""
    if status == INTERRUPTED:
        import signal
        import threading

        shutdown: Any = getattr(threading, "_shutdown", lambda: None)
        shutdown()
        atexit._run_exitfuncs()
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:
                stream.flush()  # nobody else does: the signal ends the process at once
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGINT)
    raise SystemExit(status)


def _seed_hashes(options: Options) -> None:
    """``--seed`` makes the order of sets repeatable too: that takes a new interpreter, once."""
    if options.seed is None or os.environ.get("PYTHONHASHSEED") == str(options.seed % 2**32):
        return
    environment = {**os.environ, "PYTHONHASHSEED": str(options.seed % 2**32)}
    command = [sys.executable, *_flags(), "-m", "ao.runner.record", *sys.argv[1:]]
    os.execve(sys.executable, command, environment)  # noqa: S606


def _flags() -> list[str]:
    import subprocess

    flags: list[str] = subprocess._args_from_interpreter_flags()  # type: ignore[attr-defined]
    return flags


if __name__ == "__main__":
    main()
