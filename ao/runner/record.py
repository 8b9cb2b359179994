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

    from ao.replay.fetching import Fetched  # layers: types only

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
    book = None if options.rerun is None else _fetched(options)
    seed = _seeded(options, book)
    if book is not None and book.note:
        sys.stderr.write(f"ao: {book.note}\n")
    run = options.begin(seed, kept(), book)
    try:
        recording = Recording.begin(run, None if book is None or not options.cache else book.book)
    except OSError as error:
        where = error.filename or "the disk"
        sys.stderr.write(f"ao: nothing is recorded: {where}: {error.strerror}. The script runs all the same.\n")
        return None, []
    recording.seed = seed
    return recording, [repeatable(seed)]


def _fetched(options: Options) -> Fetched:
    fetched: Callable[..., Fetched] = importlib.import_module("ao.replay.fetching").fetched  # layers: when used
    try:
        return fetched(options.rerun, unedited=options.unedited)
    except Exception as error:  # noqa: BLE001 - said, not raised: a traceback of ours helps nobody
        sys.stderr.write(f"ao-record: {error}\n")
        raise SystemExit(2) from None


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


def _seeded(options: Options, book: Fetched | None) -> int:
    """The seed of this run.  The order of sets repeats by it, too: that takes a new interpreter, once.

    A ``PYTHONHASHSEED`` of the user's own holds, unless ``--seed`` asks for another.
    """
    told = os.environ.pop(_SEED, "")
    if told.isdigit():
        return int(told)
    seed = options.seed
    if seed is None:
        seed = int.from_bytes(os.urandom(4), "big") if book is None or book.seed is None else book.seed
    recorded = "" if book is None or options.seed is not None else book.hashes
    hashes = recorded or str(seed % 2**32)
    here = os.environ.get("PYTHONHASHSEED") or "random"
    if here == "random" or (options.seed is not None and here != hashes):
        _start_again({"PYTHONHASHSEED": hashes, _SEED: str(seed)})
    return seed


_SEED = "AO_SEED"
"""Tells the seed to the interpreter that takes this one's place."""


def _start_again(environment: dict[str, str]) -> None:
    """The same command in the place of this process; where that cannot be, this one goes on."""
    if sys.flags.ignore_environment or os.name == "nt":
        return
    try:
        os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], {**os.environ, **environment})  # noqa: S606
    except OSError:
        pass


if __name__ == "__main__":
    main()
