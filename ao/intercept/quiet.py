"""Requests that are nobody's business: made by us, or by a library underneath one that is recorded already."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar, Token

__all__ = ["enter", "is_quiet", "leave", "not_recorded"]

_quiet: ContextVar[bool] = ContextVar("ao_not_recorded", default=False)

is_quiet = _quiet.get
"""Whether requests made here are left alone."""


@contextmanager
def not_recorded() -> Iterator[None]:
    """Requests made inside, by any patched library, go out unseen.  Works around ``await`` too.

    It follows the context: tasks started inside inherit it, threads do if they copy the context.
    """
    token = enter()
    try:
        yield
    finally:
        leave(token)


def enter() -> Token[bool]:
    """Be quiet until ``leave``."""
    return _quiet.set(True)


def leave(token: Token[bool]) -> None:
    """Undo ``enter``.  A coroutine that is thrown away is closed in another context: nothing to undo there."""
    try:
        _quiet.reset(token)
    except ValueError:
        pass
