"""The active Run: what ``te.log``, the Trainer and optimizers use by themselves."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar
from typing import TYPE_CHECKING

from afnio.errors import RunError

if TYPE_CHECKING:
    from tellurio.client.run import Run  # layers: types only

__all__ = ["active_run", "get_active_run", "set_active_run", "use_run"]

_run: ContextVar[Run | None] = ContextVar("tellurio_run", default=None)
_default: Run | None = None


def active_run() -> Run | None:
    """The Run of this context, else that of the process, else None."""
    return _run.get() or _default


def get_active_run() -> Run:
    """The active Run; threads find it too.

    Raises:
        RunError: there is none.
    """
    run = active_run()
    if run is None:
        raise RunError("No Run is active. Begin one: te.init(namespace_slug, project_display_name).")
    return run


def set_active_run(run: Run | None) -> None:
    """Make ``run`` the active one of this process; None: there is none any more."""
    global _default
    _default = run


@contextlib.contextmanager
def use_run(run: Run) -> Iterator[Run]:
    """Make ``run`` the active one inside the ``with`` block, and in the tasks that start there."""
    token = _run.set(run)
    try:
        yield run
    finally:
        _run.reset(token)
