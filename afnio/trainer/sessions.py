"""The session of a fit: one ledger with the engine's, a memo of its own, a call log to resume from."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

from afnio import _dispatch
from afnio.calls import Budget, Session, current_session
from afnio.calls.memo import Memo

__all__ = ["engine_session", "fresh_answers", "inner_session", "rewinder", "take_in"]


@contextlib.contextmanager
def engine_session() -> Iterator[Session]:
    """The session of the current engine, if there is one, else the one that is current."""
    engine = _dispatch.current_engine()
    with contextlib.nullcontext() if engine is None else engine.session():
        yield current_session()


def inner_session(outer: Session, *, budget: Budget | None, reuse_answers: bool) -> Session:
    """A session with a memo of its own, the outer one's ledger and log, and either one's budget.

    Raises:
        ValueError: both have a budget.
    """
    if budget is not None and outer.budget is not None and budget is not outer.budget:
        raise ValueError(
            f"A budget was given to the engine ({outer.budget!r}) and to the Trainer ({budget!r}). Give it once: "
            "to the engine, if calls outside of the fit count too, else to the Trainer."
        )
    memo = Memo() if reuse_answers else None
    return Session(log=outer.log, budget=budget or outer.budget, ledger=outer.ledger, memo=memo, job=outer.job)


def take_in(session: Session) -> None:
    """Have the engine write into the session's log what its server recorded for a process that was killed."""
    fetch = getattr(_dispatch.current_engine(), "take_in", None)  # an engine of this process has nothing elsewhere
    if fetch is not None and session.log is not None:
        fetch(session.log)


def rewinder() -> Callable[[], None]:
    """A function that lets what is recorded from now on answer the same requests again.

    For a session without a memo: a step that is tried again then pays for what failed only.
    """
    session = current_session()
    log = session.log
    if session.memo is not None or log is None or log.mode != "cache":
        return lambda: None
    state = log.state()
    return lambda: log.rewind(state)


@contextlib.contextmanager
def fresh_answers() -> Iterator[None]:
    """Inside, the memo knows nothing: an answer that no code can use is asked for anew.  It keeps the new ones."""
    session = current_session()
    known = session.memo
    if known is None:
        yield
        return
    session.memo = Memo()
    try:
        yield
    finally:
        known.update(session.memo.items())
        session.memo = known
