"""How an open Run ends when the process does: well, by an exception, by a signal."""

from __future__ import annotations

import atexit
import contextlib
import os
import signal
import sys
import threading
from collections.abc import Callable
from typing import Any

__all__ = ["Safeguard", "outcome"]

COMPLETED, CRASHED = "COMPLETED", "CRASHED"

End = Callable[[str, str | None, float], object]
"""Ends the Run: its status, the reason, and how many seconds to wait for a server that does not answer."""

AT_EXIT, AT_SIGNAL = 3.0, 2.0  # patience with the server, in seconds


class _Exit(SystemExit):
    """What our ``sys.exit`` raises: it notices when it is caught, and the program goes on."""

    def __del__(self) -> None:
        if sys._getframe().f_back is not None:  # collected by the interpreter's end, there is nobody above
            _exits.discard(self)


class _Exits:
    """The exit code that ``sys.exit`` was called with.  Nothing else tells it before the interpreter ends."""

    def __init__(self) -> None:
        self.code: Any = None
        self._of = 0

    def note(self, exit: _Exit) -> None:
        self.code, self._of = exit.code, id(exit)

    def discard(self, exit: _Exit) -> None:
        if self._of == id(exit):
            self.code, self._of = None, 0


_exits = _Exits()


def _noted(exit: _Exit) -> _Exit:
    if threading.current_thread() is threading.main_thread():
        _exits.note(exit)
    return exit


class Safeguard:
    """Ends a Run that its script leaves open.

    An end of the process by itself is COMPLETED, one by an exception, by Ctrl-C, by ``sys.exit`` with anything but 0,
    or by SIGTERM is CRASHED.  ``remove`` takes everything back.  A forked child is left alone: it does not end the Run.
    """

    def __init__(self, end: End) -> None:
        self._end = end
        self._pid = os.getpid()
        self._before = getattr(sys, "last_value", None)  # an error at an interactive prompt
        self._exit = sys.exit
        self._replaced = self._made_exit()
        sys.exit = self._replaced
        atexit.register(self._at_exit)
        self._handles = False
        if threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGTERM) == signal.SIG_DFL:
            signal.signal(signal.SIGTERM, self._at_signal)
            self._handles = True

    def remove(self) -> None:
        """The Run has ended otherwise."""
        atexit.unregister(self._at_exit)
        if sys.exit is self._replaced:
            sys.exit = self._exit
        if (
            self._handles
            and threading.current_thread() is threading.main_thread()
            and signal.getsignal(signal.SIGTERM) == self._at_signal
        ):
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            self._handles = False

    def _made_exit(self) -> Callable[..., Any]:
        def exit(status: Any = None, /) -> Any:
            """Exit the interpreter by raising SystemExit(status)."""
            raise _noted(_Exit() if status is None else _Exit(status))  # no name for it: that would keep it alive

        return exit

    def _at_exit(self) -> None:
        if os.getpid() == self._pid:
            self._end(*self._fate(), AT_EXIT)

    def _fate(self) -> tuple[str, str | None]:
        error = getattr(sys, "last_value", None)
        if error is not None and error is not self._before and not hasattr(sys, "ps1"):
            return outcome(error)
        if _exits.code not in (None, 0):
            return outcome(SystemExit(_exits.code))
        return COMPLETED, None

    def _at_signal(self, number: int, _frame: object) -> None:
        if os.getpid() == self._pid:
            with contextlib.suppress(Exception):  # whatever it is: the process was told to die
                self._end(CRASHED, signal.Signals(number).name, AT_SIGNAL)
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)

    _at_signal.ends_the_process = True  # type: ignore[attr-defined]  # a fit may clean up first


def outcome(error: BaseException | None) -> tuple[str, str | None]:
    """Status and reason of a Run that ends by ``error``; None, or an exit with 0, is a good end."""
    if error is None:
        return COMPLETED, None
    if isinstance(error, SystemExit):
        code = error.code
        return (COMPLETED, None) if code in (None, 0) else (CRASHED, f"exit {str(code)[:500]}")
    return CRASHED, f"{type(error).__name__}: {error}"[:1000].removesuffix(": ")
