"""The session of a fit: one ledger with the engine's, a memo of its own, a call log to resume from."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from afnio import _dispatch
from afnio.calls import Budget, CallLog, Reply, Session, current_session

__all__ = ["engine_session", "inner_session"]


@contextlib.contextmanager
def engine_session() -> Iterator[Session]:
    """The session of the current engine, if there is one, else the one that is current."""
    engine = _dispatch.current_engine()
    with contextlib.nullcontext() if engine is None else engine.session():
        yield current_session()


def inner_session(outer: Session, *, log: CallLog | None, budget: Budget | None, reuse_answers: bool) -> Session:
    """A session that counts in the outer one's ledger.

    Raises:
        ValueError: both have a budget.
    """
    if budget is not None and outer.budget is not None and budget is not outer.budget:
        raise ValueError(
            f"A budget was given to the engine ({outer.budget!r}) and to the Trainer ({budget!r}). Give it once: "
            "to the engine, if calls outside of the fit count too, else to the Trainer."
        )
    memo: dict[str, Reply] | None = {} if reuse_answers else None
    return Session(log=log, budget=budget or outer.budget, ledger=outer.ledger, memo=memo, job=outer.job)
