"""The active Run: what ``te.log``, the Trainer and optimizers use by themselves."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import TYPE_CHECKING

from afnio.errors import RunError

if TYPE_CHECKING:
    from tellurio.client.run import Run  # layers: types only

__all__ = ["active_run", "get_active_run", "parent_of_new_runs", "set_active_run", "set_parent", "use_run"]

_run: ContextVar[Run | None] = ContextVar("tellurio_run", default=None)
_default: Run | None = None
_parent: Callable[[], str | None] = lambda: None  # noqa: E731


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


def set_parent(parent: Callable[[], str | None]) -> Callable[[], None]:
    """Have new Runs that name no parent be children of the Run whose id ``parent`` gives; returns what undoes it.

    A recorder says so of the scripts it records.
    """
    global _parent
    before, _parent = _parent, parent

    def undo() -> None:
        global _parent
        _parent = before

    return undo


def parent_of_new_runs() -> str | None:
    """The id of the Run that a new one belongs to, if its script does not say."""
    return _parent()
