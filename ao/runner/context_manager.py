"""Subruns: parts of a recording that are Runs of their own.

from ao.runner.context_manager import ao_record

for sample in samples:
    with ao_record("sample-name"):
        eval_sample(sample)
"""

from __future__ import annotations

import os

from ao.recording.recording import Recording
from ao.recording.state import active, disabled, living
from ao.recording.subrun import Subrun, current, enter, leave

TYPE_CHECKING = False
if TYPE_CHECKING:
    from contextvars import Token
    from types import TracebackType
    from typing import Any, Self

__all__ = ["ao_launch", "ao_record", "log"]


class ao_record:  # noqa: N801 - the name that scripts use
    """Record what happens inside the ``with`` block as a Run of its own, a part of the one around it.

    Works with ``async with`` too, nested, in threads, tasks and processes.  Names that repeat get a number.  The Run is
    COMPLETED when the block ends, CRASHED when it ends by an exception, which goes on.  A call that a thread of it
    makes afterwards still belongs to it.

    Outside of ``ao-record`` it begins a recording of its own, which ends with the block; with ``AO_DISABLED=1`` it does
    nothing.

    Args:
        name: of the Run; a random one if not given.

    Attributes:
        run_id: of the Run; None where nothing is recorded.

    Raises:
        TypeError: the name is no text.
    """

    def __init__(self, name: str | None = None) -> None:
        if name is not None and not isinstance(name, str):
            raise TypeError(f"ao_record(name) takes a text, got {type(name).__name__}: write ao_record(str(...)).")
        self.name = (name.strip()[:200] or None) if name else None
        self.run_id: str | None = None
        self._part: Subrun | None = None
        self._own: Recording | None = None
        self._token: Token[Subrun | None] | None = None

    def __enter__(self) -> Self:
        if self._token is not None:
            raise RuntimeError("This ao_record is entered already: make one for each block.")
        if disabled():
            return self
        around = current()
        recording = None if around is None else around.recording or active()
        if around is not None and recording is not None and recording in living:
            self._part = recording.part(self.name, around)
        else:
            self._own = self._begun()
            self._part = None if self._own is None else self._own.root
        if self._part is not None:
            self._token = enter(self._part)
            self.run_id = self._part.id
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        token, part, own = self._token, self._part, self._own
        if token is None or part is None:
            return
        self._token = self._own = None
        try:
            leave(token)
        except ValueError:
            pass  # an async generator that was thrown away is closed in another context: nothing to leave there
        status, reason = outcome(error)
        if own is not None:
            own.end(status, reason)
            own.tell()
        elif (recording := part.recording or active()) is not None:
            recording.end_part(part, status, reason)

    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, traceback)

    def log(self, entry: Any, success: bool | None = None) -> None:
        """Note something of this Run, and whether it passed."""
        _log(entry, success, self._part)

    def _begun(self) -> Recording | None:
        """A recording of this block alone."""
        run = {
            "name": self.name,
            "kind": "recording",
            "command": {"argv": [], "pid": os.getpid(), "host": os.uname().nodename},
        }
        try:
            return Recording.begin(run, whole=False)
        except OSError:
            return None  # nothing can be written here: the script goes on unrecorded


ao_launch = ao_record
"""The name that older scripts use."""


def log(entry: Any, success: bool | None = None) -> None:
    """Note something of the current Run, and whether it passed; does nothing where nothing is recorded.

    Args:
        entry: a text, or anything JSON can hold.
        success: True: it passed; False: it failed; None: that is not said.

    Raises:
        TypeError: ``success`` is no bool.
    """
    _log(entry, success, current())


def _log(entry: Any, success: bool | None, where: Subrun | None) -> None:
    if success is not None and not isinstance(success, bool):
        raise TypeError(f"ao.log(entry, success) takes True, False or None, got {type(success).__name__}.")
    recording = None if where is None else where.recording or active()
    if where is not None and recording is not None:
        recording.log(entry, success, where)


def outcome(error: BaseException | None) -> tuple[str, str | None]:
    """Status and reason of a Run that ends by ``error``; an exit with 0 is a good end."""
    if error is None:
        return "COMPLETED", None
    if isinstance(error, SystemExit):
        code = error.code
        return ("COMPLETED", None) if code in (None, 0) else ("CRASHED", f"exit {str(code)[:500]}")
    return "CRASHED", f"{type(error).__name__}: {error}"[:1000].removesuffix(": ")
