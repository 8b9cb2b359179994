"""Presence: the patches through which this process is seen.  They are there once, however many recordings there are."""

from __future__ import annotations

import importlib
from _thread import RLock

from ao.intercept.install import install
from ao.recording.carrying import carry

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from ao.intercept.seam import Decision, Exchange, Outcome, Recorder  # layers: types only

__all__ = ["forget", "hold"]

PATIENCE = 10.0
"""Seconds to wait for another thread that puts the patches in place; after a fork, it may not be there any more."""

_holding = RLock()
_undo: list[Callable[[bool], object]] = []


def hold(say: Callable[[str], None], leaving: Callable[[int], None]) -> None:
    """Put the patches in place, unless they are.  When this returns they are, whichever thread has done it.

    Args:
        say: told, in a sentence, what a person should know.
        leaving: called with the exit status before ``os._exit``.
    """
    free = _holding.acquire(timeout=PATIENCE)
    try:
        if not _undo:
            seen, carried = install(_Recorder(), notice=say), carry(leaving)
            _undo.extend([lambda over: seen(over=over), lambda over: carried()])
    finally:
        if free:
            _holding.release()


def forget(*, over: bool) -> None:
    """Take them away; ``over``: the script has come to its end by itself."""
    while _undo:
        _undo.pop()(over)


class _Recorder:
    """The recorder, which is imported when there is something to record."""

    def begin(self, exchange: Exchange) -> Decision:
        return _recorder().begin(exchange)

    def end(self, exchange: Exchange, outcome: Outcome) -> None:
        _recorder().end(exchange, outcome)


_made: Recorder | None = None


def _recorder() -> Recorder:
    global _made
    if _made is None:
        _made = importlib.import_module("ao.recording.recorder").JournalRecorder()  # layers: when used
    assert _made is not None
    return _made
