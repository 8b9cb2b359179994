"""Tables of ops and optimizer rules, and the slots through which lower rooms reach higher ones.

An op or an optimizer rule has one implementation, found here by its name: by the local engine, by a
server, by the docs.  The engine and the tracker are ambient: a ContextVar over a process-wide default,
so that threads and tasks a user starts find them too.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from typing import Any, Protocol

from afnio.errors import NoEngineError

__all__ = [
    "Engine",
    "Tracker",
    "current_engine",
    "current_tracker",
    "entry_points",
    "ops",
    "require_engine",
    "rules",
    "set_default_engine",
    "set_default_tracker",
    "use_engine",
    "use_tracker",
]


class Engine(Protocol):
    """What computes gradients and updates: the local engine, or a client of a server's engine."""

    @property
    def inline(self) -> bool:
        """Whether a job in which nothing waits may be driven without an event loop."""

    def run_backward(self, job: Any) -> Any:
        """Return an awaitable that runs a ``BackwardJob`` and accumulates its gradients."""

    def run_step(self, job: Any) -> Any:
        """Return an awaitable that runs a ``StepJob`` and returns its updates."""

    def session(self) -> contextlib.AbstractContextManager[Any]:
        """Return a context in which LM calls go to this engine's ledger, budget and call log."""


class Tracker(Protocol):
    """Who is told what happens: every LM call, metric and prompt version.  Told, never asked."""

    def call(self, record: Mapping[str, Any]) -> None:
        """One LM call ended; ``record`` is its call-log record."""

    def metric(self, name: str, value: Any, step: int | None) -> None:
        """A metric was computed."""

    def event(self, kind: str, data: Mapping[str, Any]) -> None:
        """Anything else: a prompt version, a gradient, a checkpoint."""


ops: dict[str, Any] = {}
"""Op name -> its Function class."""

rules: dict[str, Any] = {}
"""Optimizer rule name -> its async update function."""

entry_points: dict[str, Callable[..., Any]] = {}
"""Functions of higher rooms that values call by name (``"backward"``, ``"abackward"``)."""

_engine: ContextVar[Engine | None] = ContextVar("afnio_engine", default=None)
_tracker: ContextVar[Tracker | None] = ContextVar("afnio_tracker", default=None)
_defaults: dict[str, Any] = {"engine": None, "tracker": None}


def current_engine() -> Engine | None:
    """The engine of this context, else the process-wide default, else None."""
    engine = _engine.get()
    return engine if engine is not None else _defaults["engine"]


def require_engine(what: str) -> Engine:
    """The current engine; ``NoEngineError`` naming ``what`` if there is none."""
    engine = current_engine()
    if engine is None:
        raise NoEngineError(what)
    return engine


def current_tracker() -> Tracker | None:
    """The tracker of this context, else the process-wide default, else None."""
    tracker = _tracker.get()
    return tracker if tracker is not None else _defaults["tracker"]


def set_default_engine(engine: Engine | None) -> Callable[[], None]:
    """Set the process-wide engine; returns the function that undoes it."""
    return _set_default("engine", engine)


def set_default_tracker(tracker: Tracker | None) -> Callable[[], None]:
    """Set the process-wide tracker; returns the function that undoes it."""
    return _set_default("tracker", tracker)


def _set_default(slot: str, value: Any) -> Callable[[], None]:
    before = _defaults[slot]
    _defaults[slot] = value

    def undo() -> None:
        _defaults[slot] = before

    return undo


@contextlib.contextmanager
def use_engine(engine: Engine) -> Iterator[Engine]:
    """Make ``engine`` current inside the ``with`` block; threads started inside need ``copy_context``."""
    token = _engine.set(engine)
    try:
        yield engine
    finally:
        _engine.reset(token)


@contextlib.contextmanager
def use_tracker(tracker: Tracker) -> Iterator[Tracker]:
    """Make ``tracker`` current inside the ``with`` block."""
    token = _tracker.set(tracker)
    try:
        yield tracker
    finally:
        _tracker.reset(token)
