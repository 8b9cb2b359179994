"""Carrying: threads, pools and child processes belong to the subrun that started them, or gave them their task."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ao.intercept.imports import Watch
from ao.intercept.patching import Patches
from ao.recording.state import active
from ao.recording.subrun import Subrun, current, enter, leave

if TYPE_CHECKING:
    from types import ModuleType

    from ao.recording.recording import Recording  # layers: types only

__all__ = ["carry"]

Join = Callable[..., None]

_MODULES = (
    *("threading", "concurrent.futures.thread", "concurrent.futures.process"),
    *("multiprocessing.process", "multiprocessing.pool"),
)


def carry(recording: Recording, join: Callable[..., None]) -> Callable[[], None]:
    """Patch what starts threads and processes, as it is imported; returns what takes it back.

    Args:
        recording: of this process.
        join: called by name in a new interpreter, to record it too.
    """
    patches = Patches()
    watch = Watch(_MODULES, lambda name, module: _PATCHES[name](module, patches, recording, join))
    watch.start()

    def undo() -> None:
        watch.stop()
        patches.undo()

    return undo


class Carried:
    """A task that is run in the subrun it was given in; it can be pickled if the task can."""

    __slots__ = ("subrun", "task")

    def __init__(self, task: Callable[..., Any], subrun: Subrun | None) -> None:
        self.task, self.subrun = task, subrun

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        token = enter(self.subrun)
        try:
            return self.task(*args, **kwargs)
        finally:
            leave(token)

    def __reduce__(self) -> Any:
        return (Carried, (self.task, self.subrun))


class Attach:
    """Lies in a process object that is sent to a new interpreter: where it is unpickled, recording begins."""

    def __init__(self, recording: Recording, join: Callable[..., None], here: Subrun | None) -> None:
        self._recording, self._join, self._here = recording, join, here

    def __reduce__(self) -> Any:
        recording = self._recording
        book = recording.book
        lines = None if book is None else [entry.line for entry in book.entries]
        return (self._join, (recording.root, recording.folder, self._here or recording.root, lines))


def _threading(module: ModuleType, patches: Patches, recording: Recording, join: Join) -> None:
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


def _submitting(name: str) -> Callable[[ModuleType, Patches, Recording, Join], None]:
    def patch(module: ModuleType, patches: Patches, recording: Recording, join: Join) -> None:
        def submit(before: Callable[..., Any]) -> Callable[..., Any]:
            def submit(self: Any, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
                return before(self, Carried(fn, current()), *args, **kwargs)

            return submit

        patches.wrap(getattr(module, name), "submit", submit)

    return patch


def _pool(module: ModuleType, patches: Patches, recording: Recording, join: Join) -> None:
    def carried(before: Callable[..., Any]) -> Callable[..., Any]:
        def method(self: Any, func: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
            return before(self, Carried(func, current()), *args, **kwargs)

        return method

    for name in ("apply_async", "_map_async", "imap", "imap_unordered"):
        patches.wrap(module.Pool, name, carried)


def _process(module: ModuleType, patches: Patches, recording: Recording, join: Join) -> None:
    def start(before: Callable[[Any], None]) -> Callable[[Any], None]:
        def start(self: Any) -> None:
            self._ao_attach = Attach(recording, join, current())
            try:
                before(self)
            finally:
                self.__dict__.pop("_ao_attach", None)

        return start

    def bootstrap(before: Callable[..., Any]) -> Callable[..., Any]:
        def _bootstrap(self: Any, *args: Any, **kwargs: Any) -> Any:
            try:
                return before(self, *args, **kwargs)
            finally:  # it ends by os._exit: nobody else waits for the writer
                here = active()
                if here is not None:
                    here.flush()

        return _bootstrap

    patches.wrap(module.BaseProcess, "start", start)
    patches.wrap(module.BaseProcess, "_bootstrap", bootstrap)


_PATCHES: dict[str, Callable[[ModuleType, Patches, Recording, Join], None]] = {
    "threading": _threading,
    "concurrent.futures.thread": _submitting("ThreadPoolExecutor"),
    "concurrent.futures.process": _submitting("ProcessPoolExecutor"),
    "multiprocessing.process": _process,
    "multiprocessing.pool": _pool,
}
