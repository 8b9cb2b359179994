"""Who is asking: the script's statement, thread and task; and whether the same call of a library has asked before."""

from __future__ import annotations

import os
import sys
import threading
from contextvars import ContextVar, Token
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

__all__ = ["Marker", "Place", "asked_here", "asked_no_more", "place", "task_name", "thread_name"]

_STDLIB = os.path.dirname(os.__file__) + os.sep
_OURS = tuple(str(Path(__file__).parents[2] / name) + os.sep for name in ("ao", "tellurio"))
_AFNIO = str(Path(__file__).parents[2] / "afnio") + os.sep
_INSTALLED = (f"{os.sep}site-packages{os.sep}", f"{os.sep}dist-packages{os.sep}")

_USER, _LIBRARY, _NEITHER, _TRACKED = 0, 1, 2, 3
_kinds: dict[str, int] = {}


class Marker:
    """Lies in a frame of a library for as long as that frame lives, and knows the calls made underneath.

    A frame takes neither weak references nor attributes, and its address is used again by the next.  What it has is a
    slot for a trace function, which nobody looks at unless a debugger is on; a marker can be called like one, and does
    nothing then.
    """

    __slots__ = ("calls",)

    def __init__(self) -> None:
        self.calls: list[Any] = []

    def __call__(self, frame: FrameType, event: str, arg: object) -> None:
        """What a debugger may call, to no effect."""


class Place:
    """The statement, and the marker of the outermost library frame that it called (None when that has no room).

    ``tracked``: afnio is among the libraries, which tells its own tracker of the call.
    """

    __slots__ = ("file", "function", "line", "marker", "tracked")

    def __init__(self, user: FrameType | None, library: FrameType | None, tracked: bool) -> None:
        self.tracked = tracked
        self.file = user.f_code.co_filename if user else ""
        self.line = (user.f_lineno or 0) if user else 0
        self.function = user.f_code.co_qualname if user else ""
        self.marker = None if library is None else _mark(library)


def place() -> Place:
    """Where the calling code was called from: the innermost frame that is neither a library's nor ours."""
    frame: FrameType | None = sys._getframe(1)
    library, tracked = None, False
    while frame is not None:
        kind = _kind(frame.f_code)
        if kind == _USER:
            return Place(frame, library, tracked)
        if kind != _NEITHER:
            library, tracked = frame, tracked or kind == _TRACKED
        frame = frame.f_back
    found = Place(None, library, tracked)
    if (asked := _asked.get()) is not None:
        found.file, found.line, found.function = asked
    return found


_asked: ContextVar[tuple[str, int, str] | None] = ContextVar("ao_asked", default=None)


def asked_here() -> Token[tuple[str, int, str] | None]:
    """What is started now in a copy of this context, in another thread, is asked for by the statement that does so."""
    known = place()
    return _asked.set((known.file, known.line, known.function) if known.file else _asked.get())


asked_no_more = _asked.reset
"""Undo `asked_here`."""


def _mark(frame: FrameType) -> Marker | None:
    """The frame's marker; a trace function of somebody else's is left alone."""
    there: Any = frame.f_trace
    if there is None:
        frame.f_trace = there = Marker()
    return there if isinstance(there, Marker) else None


def _kind(code: CodeType) -> int:
    file = code.co_filename
    try:
        return _kinds[file]
    except KeyError:
        kind = _kinds[file] = _kind_of(file)
        return kind


def _kind_of(file: str) -> int:
    if file.startswith("<frozen") or file.startswith(_OURS):
        return _NEITHER
    if file.startswith(_AFNIO):
        return _TRACKED
    if any(folder in file for folder in _INSTALLED):
        return _LIBRARY
    return _NEITHER if file.startswith(_STDLIB) else _USER


def thread_name() -> str:
    """The current thread's."""
    return threading.current_thread().name


def task_name() -> str:
    """The current asyncio task's; ``""`` outside of one."""
    asyncio = sys.modules.get("asyncio")
    if asyncio is None:
        return ""
    try:
        task = asyncio.current_task()
    except RuntimeError:
        return ""
    return "" if task is None else str(task.get_name())
