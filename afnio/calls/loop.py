"""The LM loop: one background thread with one asyncio loop, and the ways to reach it.

All waiting for LMs happens on it, so that sync code, notebooks and users' own loops share its connections and
limiters. It starts at first use, and anew after a fork.

Logic that needs both worlds (LM calls on the loop, users' functions where the user called us) is written once, as a
coroutine that does no I/O itself but awaits commands (``OnLoop``, ``User``): ``drive`` runs it from sync code,
``adrive`` from async code.
"""

from __future__ import annotations

import atexit
import inspect
import os
import threading
from collections.abc import Awaitable, Callable, Coroutine, Generator
from contextvars import copy_context
from functools import partial
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

from afnio.errors import AfnioError

if TYPE_CHECKING:
    import asyncio
    from concurrent.futures import ThreadPoolExecutor

__all__ = [
    "Hop",
    "OnLoop",
    "User",
    "adrive",
    "drive",
    "hop",
    "in_thread",
    "on_exit",
    "run_async",
    "run_inline",
    "run_sync",
    "user",
]

T = TypeVar("T")

CLEANUP_SECONDS = 5.0
THREADS = 256


# ---------------------------------------------------------------------------------------------- the loop


class _LMLoop:
    """The loop with its thread. Belongs to the process that made it."""

    def __init__(self) -> None:
        import asyncio

        self.pid, self.closed = os.getpid(), False
        self.loop = asyncio.new_event_loop()
        self.closers: list[Callable[[], Awaitable[object]]] = []
        self.threads: ThreadPoolExecutor | None = None
        self.thread = threading.Thread(target=self._run, name="afnio-lm-loop", daemon=True)
        self.thread.start()

    def _run(self) -> None:
        while True:
            try:
                self.loop.run_forever()
                return
            except (KeyboardInterrupt, SystemExit):
                continue  # a task raised it: whoever waits for the task gets it, the loop lives on

    @property
    def is_usable(self) -> bool:
        # What still runs on a loop that is being shut has no other: its closers are awaited in the end.
        return self.pid == os.getpid() and (not self.closed or self.is_here)

    @property
    def is_here(self) -> bool:
        return threading.get_ident() == self.thread.ident

    def shut(self) -> None:
        """End the tasks, close the connections, stop the thread. For the end of the process."""
        if self.pid != os.getpid():
            return
        self.closed = True
        running = _Running(self, self._close_all())
        running.start()
        running.ended.wait(CLEANUP_SECONDS)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(CLEANUP_SECONDS)

    async def _close_all(self) -> None:
        import asyncio

        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        for closer in self.closers:
            await closer()


class _Running(Generic[T]):
    """A coroutine running on the LM loop, seen from another thread; ``ended`` is set when its task is over."""

    def __init__(self, lm: _LMLoop, coro: Coroutine[Any, Any, T], tell: Callable[[], object] | None = None) -> None:
        self.ended = threading.Event()
        self._lm, self._coro, self._tell = lm, coro, tell
        self._task: asyncio.Task[T] | None = None

    def start(self) -> None:
        self._lm.loop.call_soon_threadsafe(self._start)  # runs in a copy of the caller's context

    def _start(self) -> None:
        self._task = self._lm.loop.create_task(self._coro)
        self._task.add_done_callback(self._end)

    def _end(self, task: asyncio.Task[T]) -> None:
        if not task.cancelled():
            task.exception()  # seen: the waiter may be gone
        self.ended.set()
        if self._tell is not None:
            self._tell()

    def cancel(self) -> None:
        self._lm.loop.call_soon_threadsafe(self._cancel)

    def _cancel(self) -> None:
        if self._task is not None:
            self._task.cancel()
        else:  # Ctrl-C came before it was started
            self._coro.close()
            self.ended.set()

    def result(self) -> T:
        assert self._task is not None
        return self._task.result()


_lm: _LMLoop | None = None
_lock = threading.Lock()


def _current() -> _LMLoop:
    global _lm
    if _lm is not None and _lm.is_usable:
        return _lm
    with _lock:
        if _lm is None or not _lm.is_usable:
            if _lm is None:
                os.register_at_fork(after_in_child=_fresh_lock)
            _lm = _LMLoop()
            atexit.register(_lm.shut)
        return _lm


def _fresh_lock() -> None:
    global _lock
    _lock = threading.Lock()  # the parent may have held it


def on_exit(closer: Callable[[], Awaitable[object]]) -> None:
    """Have ``closer`` awaited on the LM loop when the process ends."""
    _current().closers.append(closer)


# ---------------------------------------------------------------------------------------------- reaching it


def run_sync(coro: Coroutine[Any, Any, T]) -> T:
    """Run ``coro`` on the LM loop and wait for it, from a thread that is not the LM loop's.

    It sees the caller's ContextVars. Ctrl-C cancels it, waits until it has cleaned up, and is raised again.

    Raises:
        AfnioError: called on the LM loop itself, where waiting would never end.
    """
    running = _Running(_elsewhere(coro), coro)
    try:
        running.start()
        running.ended.wait()
    except BaseException:
        running.cancel()
        running.ended.wait(CLEANUP_SECONDS)
        raise
    return running.result()


def _elsewhere(coro: Coroutine[Any, Any, Any]) -> _LMLoop:
    """The LM loop, for a thread that is going to wait for ``coro`` on it; an error on the loop's own thread."""
    lm = _current()
    if lm.is_here:
        coro.close()
        raise AfnioError(
            "A blocking call was made on the LM loop, where it would wait for itself forever. Inside `async def` code "
            "use the async form: `await model.achat(...)`, `await loss.abackward()`, `await optimizer.astep()`."
        )
    return lm


async def run_async(coro: Coroutine[Any, Any, T]) -> T:
    """Run ``coro`` on the LM loop and await it from any loop; a cancellation goes through and waits for its end."""
    import asyncio

    lm = _current()
    if lm.is_here:
        return await coro
    here = asyncio.get_running_loop()
    over = here.create_future()
    running = _Running(lm, coro, lambda: _tell(here, over))
    running.start()
    try:
        await asyncio.shield(over)
    except asyncio.CancelledError:
        running.cancel()
        await over
        raise
    return running.result()


def _tell(loop: asyncio.AbstractEventLoop, over: asyncio.Future[None]) -> None:
    try:
        loop.call_soon_threadsafe(_resolve, over)
    except RuntimeError:
        pass  # the caller's loop was closed: nobody waits any more


def _resolve(over: asyncio.Future[None]) -> None:
    if not over.done():
        over.set_result(None)


def run_inline(coro: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine that never suspends, without any loop.

    Raises:
        AfnioError: it did suspend.
    """
    try:
        coro.send(None)
    except StopIteration as end:
        value: T = end.value
        return value
    coro.close()
    raise AfnioError(
        "A model that says `inline = True` waited for something. An inline transport must answer without "
        "awaiting; set `inline = False` on it."
    )


async def in_thread(fn: Callable[..., T], **kwargs: Any) -> T:
    """Call a blocking function in a thread, with the caller's ContextVars; hundreds may block at once."""
    import asyncio
    from concurrent.futures import ThreadPoolExecutor

    lm = _current()
    if lm.threads is None:
        lm.threads = ThreadPoolExecutor(THREADS, thread_name_prefix="afnio-call")
    call = partial(copy_context().run, partial(fn, **kwargs))
    result: T = await asyncio.get_running_loop().run_in_executor(lm.threads, call)
    return result


# ---------------------------------------------------------------------------------------------- commands


class Hop(Generic[T]):
    """A command: awaited by a coroutine under ``drive`` or ``adrive``, it comes back with its result or error."""

    __slots__ = ()

    def __await__(self) -> Generator[Hop[T], Any, T]:
        result: T = yield self
        return result


class OnLoop(Hop[T]):
    """Run a coroutine on the LM loop."""

    __slots__ = ("coro",)

    def __init__(self, coro: Coroutine[Any, Any, T]) -> None:
        self.coro = coro


class User(Hop[Any]):
    """Call a user's function, sync or async, where users expect it to run.

    ``drive`` calls it in the caller's thread and runs a coroutine it returns on the LM loop; ``adrive`` awaits
    coroutines in the caller's loop and runs plain functions in a thread with a copied context.
    """

    __slots__ = ("args", "fn", "kwargs")

    def __init__(self, fn: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
        self.fn, self.args, self.kwargs = fn, args, kwargs


hop = OnLoop
user = User


def drive(core: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine that awaits commands, from sync code."""
    step: Callable[[], Any] = lambda: core.send(None)  # noqa: E731
    while True:
        try:
            command = step()
        except StopIteration as end:
            return cast(T, end.value)
        step = _after(core, _sync_outcome(command))


def _sync_outcome(command: object) -> tuple[Any, BaseException | None]:
    try:
        if isinstance(command, OnLoop):
            return run_sync(command.coro), None
        if isinstance(command, User):
            result = command.fn(*command.args, **command.kwargs)
            return (run_sync(_awaiting(result)) if inspect.isawaitable(result) else result), None
        raise _not_a_command(command)
    except BaseException as error:  # noqa: BLE001  # Ctrl-C too: the core coroutine must be able to clean up
        return None, error


async def adrive(core: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine that awaits commands, from any asyncio loop."""
    step: Callable[[], Any] = lambda: core.send(None)  # noqa: E731
    while True:
        try:
            command = step()
        except StopIteration as end:
            return cast(T, end.value)
        step = _after(core, await _async_outcome(command))


async def _async_outcome(command: object) -> tuple[Any, BaseException | None]:
    try:
        if isinstance(command, OnLoop):
            return await run_async(command.coro), None
        if isinstance(command, User):
            return await _user_async(command), None
        raise _not_a_command(command)
    except GeneratorExit:
        raise
    except BaseException as error:  # noqa: BLE001  # cancellation too: the core coroutine must be able to clean up
        return None, error


async def _user_async(command: User) -> Any:
    import asyncio

    if inspect.iscoroutinefunction(command.fn):
        return await command.fn(*command.args, **command.kwargs)
    result = await asyncio.to_thread(command.fn, *command.args, **command.kwargs)
    return await result if inspect.isawaitable(result) else result


def _after(core: Coroutine[Any, Any, Any], outcome: tuple[Any, BaseException | None]) -> Callable[[], Any]:
    result, error = outcome
    if error is not None:
        return lambda: core.throw(error)
    return lambda: core.send(result)


async def _awaiting(awaitable: Awaitable[T]) -> T:
    return await awaitable


def _not_a_command(command: object) -> AfnioError:
    return AfnioError(
        f"A driven coroutine awaited {command!r}, which is no command. Wrap it: "
        f"`await hop(coroutine)` for work on the LM loop, `await user(fn, ...)` for a user's function."
    )


def submit(coro: Coroutine[Any, Any, T], tell: Callable[[], object]) -> _Running[T]:
    """Start ``coro`` on the LM loop and return at once; ``tell()`` is called, on the loop, when it is over.

    The result has ``cancel()``, ``ended`` (a ``threading.Event``) and ``result()``.

    Raises:
        AfnioError: called on the LM loop itself, whose thread cannot wait for the end.
    """
    running = _Running(_elsewhere(coro), coro, tell)
    running.start()
    return running
