"""Carrying: threads, pools and child processes belong to the subrun that started them, or gave them their task."""

from __future__ import annotations

import importlib
import os

from ao.intercept.imports import Watch
from ao.intercept.patching import Patches
from ao.recording.state import active
from ao.recording.subrun import Subrun, current, enter, leave

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType
    from typing import Any

__all__ = ["carry"]


def carry(leaving: Callable[[int], None]) -> Callable[[], None]:
    """Patch what starts threads and processes, as it is imported; returns what takes it back.

    Args:
        leaving: called with the exit status before a process ends by ``os._exit``.
    """
    patches = Patches()
    watch = Watch(_PATCHES, lambda name, module: _patch(name, module, patches))
    watch.start()
    patches.wrap(os, "_exit", lambda before: _leaver(before, leaving))

    def undo() -> None:
        watch.stop()
        patches.undo()

    return undo


def _patch(name: str, module: ModuleType, patches: Patches) -> None:
    try:
        _PATCHES[name](module, patches)
    except AttributeError:
        pass  # a Python whose pools are made otherwise: their tasks belong to the subrun they began in


class Carried:
    """A task for another process, which runs it in the subrun it was given in.

    Unpickled it is the task itself: taking it out of the queue puts the worker there, and no frame of ours is in the
    tracebacks of what goes wrong in it.
    """

    __slots__ = ("subrun", "task")

    def __init__(self, task: Callable[..., Any], subrun: Subrun | None) -> None:
        self.task, self.subrun = task, subrun

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run it here: in a pool of threads."""
        token = enter(self.subrun)
        try:
            return self.task(*args, **kwargs)
        finally:
            leave(token)

    def __reduce__(self) -> Any:
        entered = importlib.import_module("ao.recording.recording").entered  # layers: when used
        return (entered, (self.task, self.subrun))


class Attach:
    """Lies in a process object that is sent to a new interpreter: where it is unpickled, recording begins."""

    def __reduce__(self) -> Any:
        here = current()
        recording = here.recording if here is not None and here.recording is not None else active()
        return (_nobody, ()) if recording is None else recording.child()


def _nobody() -> None:
    """Nothing is recorded."""


def _threads(module: ModuleType, patches: Patches) -> None:
    def start(before: Callable[[Any], None]) -> Callable[[Any], None]:
        def start(self: Any) -> None:
            if not hasattr(self, "_ao_ours"):
                self._ao_subrun = current()
            before(self)

        return start

    def bootstrap(before: Callable[[Any], None]) -> Callable[[Any], None]:
        def _bootstrap_inner(self: Any) -> None:
            enter(getattr(self, "_ao_subrun", None))  # the thread's context is its own, and ends with it
            before(self)

        return _bootstrap_inner

    patches.wrap(module.Thread, "start", start)
    patches.wrap(module.Thread, "_bootstrap_inner", bootstrap)


def _tasks_of_threads(module: ModuleType, patches: Patches) -> None:
    """Around the work item, which catches what its task raises: no frame of ours is in the traceback."""

    def made(before: Callable[..., None]) -> Callable[..., None]:
        def __init__(self: Any, *args: Any, **kwargs: Any) -> None:  # noqa: N807
            before(self, *args, **kwargs)
            self._ao_subrun = current()

        return __init__

    def run(before: Callable[..., None]) -> Callable[..., None]:
        def run(self: Any, *args: Any) -> None:
            token = enter(getattr(self, "_ao_subrun", None))
            try:
                before(self, *args)
            finally:
                leave(token)

        return run

    patches.wrap(module._WorkItem, "__init__", made)
    patches.wrap(module._WorkItem, "run", run)


def _tasks_of_processes(module: ModuleType, patches: Patches) -> None:
    def submit(before: Callable[..., Any]) -> Callable[..., Any]:
        def submit(self: Any, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
            return before(self, Carried(fn, current()), *args, **kwargs)

        return submit

    patches.wrap(module.ProcessPoolExecutor, "submit", submit)


def _tasks_of_pools(module: ModuleType, patches: Patches) -> None:
    def carried(before: Callable[..., Any]) -> Callable[..., Any]:
        def method(self: Any, func: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
            return before(self, Carried(func, current()), *args, **kwargs)

        return method

    for name in ("apply_async", "_map_async", "imap", "imap_unordered"):
        patches.wrap(module.Pool, name, carried)


def _processes(module: ModuleType, patches: Patches) -> None:
    def start(before: Callable[[Any], None]) -> Callable[[Any], None]:
        def start(self: Any) -> None:
            self._ao_attach = Attach()
            try:
                before(self)
            finally:
                self.__dict__.pop("_ao_attach", None)

        return start

    patches.wrap(module.BaseProcess, "start", start)


def _runs(module: ModuleType, patches: Patches) -> None:
    """Runs that the script begins by ``te.init`` are children of the subrun that begins them."""

    module.set_parent(lambda: None if (here := current()) is None else here.id)


def _leaver(before: Callable[[int], Any], leaving: Callable[[int], None]) -> Callable[[int], Any]:
    def _exit(status: int) -> Any:
        leaving(status)
        return before(status)

    return _exit


_PATCHES: dict[str, Callable[[ModuleType, Patches], None]] = {
    "threading": _threads,
    "concurrent.futures.thread": _tasks_of_threads,
    "concurrent.futures.process": _tasks_of_processes,
    "multiprocessing.process": _processes,
    "multiprocessing.pool": _tasks_of_pools,
    "tellurio.client.context": _runs,
}
