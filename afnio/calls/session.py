"""The session: the log, budget, ledger and memo that the calls of a context share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from afnio.calls.budget import Budget, checked_budget
from afnio.calls.ledger import Ledger
from afnio.calls.log import CallLog
from afnio.calls.memo import Memo
from afnio.calls.request import Reply

__all__ = ["Session", "current_phase", "current_session", "phase", "set_default_session"]

MEMO_ROLES = frozenset({"forward", "judge"})


class Session:
    """What the calls made inside it share.

    Args:
        log: where calls are recorded and, by its mode, answered from.
        budget: what live calls may cost.
        ledger: where calls are added up; a new one by default.
        memo: a `Memo`, or a dict: request key -> reply; answers forward and judge calls that were made before. None:
            no memo.
        job: id of the job the calls belong to; recorded with each.
    """

    def __init__(
        self,
        *,
        log: CallLog | None = None,
        budget: Budget | None = None,
        ledger: Ledger | None = None,
        memo: Memo | dict[str, Reply] | None = None,
        job: str = "",
    ) -> None:
        self.log, self.budget, self.memo, self.job = log, checked_budget(budget), memo, job
        self.ledger = Ledger() if ledger is None else ledger
        self._flights: dict[Any, Any] = {}
        self._flights_loop: object = None

    @contextmanager
    def activate(self) -> Iterator[Session]:
        """Make it the current session inside the ``with`` block."""
        token = _session.set(self)
        try:
            yield self
        finally:
            _session.reset(token)

    def flights(self, loop: object) -> dict[Any, Any]:
        """The calls under way on ``loop``; those of a loop that is gone (after a fork) are forgotten."""
        if self._flights_loop is not loop:
            self._flights, self._flights_loop = {}, loop
        return self._flights


_session: ContextVar[Session | None] = ContextVar("afnio_session", default=None)
_phase: ContextVar[str] = ContextVar("afnio_phase", default="")
_default = Session()


def current_session() -> Session:
    """The session of this context, else the process-wide one, which only keeps a ledger unless a Run set its own."""
    return _session.get() or _default


def set_default_session(session: Session) -> Callable[[], None]:
    """Set the process-wide session; returns the function that undoes it."""
    global _default
    before, _default = _default, session

    def undo() -> None:
        global _default
        if _default is session:
            _default = before

    return undo


def current_phase() -> str:
    """The phase calls are counted under, ``""`` by default."""
    return _phase.get()


@contextmanager
def phase(name: str) -> Iterator[None]:
    """Count and record the calls made inside the ``with`` block under ``name`` (``"train"``, ``"gate"``, ...)."""
    token = _phase.set(name)
    try:
        yield
    finally:
        _phase.reset(token)
