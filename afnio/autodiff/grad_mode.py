"""Whether operations build a graph: a flag of the current context (thread or task).

Source: https://docs.pytorch.org/docs/stable/notes/autograd.html#locally-disabling-gradient-computation
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import AsyncGenerator, Callable, Generator
from contextvars import ContextVar
from types import TracebackType
from typing import Any, Self, TypeVar

__all__ = ["enable_grad", "is_grad_enabled", "no_grad", "set_grad_enabled"]

_enabled: ContextVar[bool] = ContextVar("afnio_grad_enabled", default=True)

F = TypeVar("F", bound=Callable[..., Any])


def is_grad_enabled() -> bool:
    """Whether operations build a graph in this context."""
    return _enabled.get()


class _Block:
    """Sets the flag for a ``with`` block, or for every call of a decorated function, be it async or a generator."""

    mode: bool

    def __init__(self) -> None:
        self._before: list[bool] = []  # a stack: the same block may be entered twice

    def __enter__(self) -> None:
        self._before.append(_enabled.get())
        _enabled.set(self.mode)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        _enabled.set(self._before.pop())

    def __call__(self, function: F) -> F:
        """Decorate ``function``."""
        decorated: F = _decorated(function, self.mode)
        return decorated


class _Switch(_Block):
    """A `_Block` with a mode of its own, which may decorate without parentheses: ``@no_grad``."""

    mode: bool

    def __new__(cls, function: Callable[..., Any] | None = None) -> Self:
        if function is None:
            return super().__new__(cls)
        if not callable(function):
            raise TypeError(f"{cls.__name__} takes no argument but a function to decorate, got {function!r}.")
        return _decorated(function, cls.mode)  # type: ignore[no-any-return]  # it is the decorated function

    def __init__(self, function: None = None) -> None:
        super().__init__()


class no_grad(_Switch):  # noqa: N801  # torch's name
    """Build no graph inside the ``with`` block, or in the decorated function (plain, ``async``, or a generator)."""

    mode = False


class enable_grad(_Switch):  # noqa: N801  # torch's name
    """Build the graph again inside a ``no_grad`` block."""

    mode = True


class set_grad_enabled(_Block):  # noqa: N801  # torch's name
    """Switch the building of graphs on or off, for good, for a ``with`` block, or for a decorated function.

    Args:
        mode: True builds graphs.

    Raises:
        TypeError: ``mode`` is not a bool.
    """

    def __init__(self, mode: bool) -> None:
        super().__init__()
        if not isinstance(mode, bool):
            raise TypeError(f"set_grad_enabled expects a bool, got {type(mode).__name__}.")
        self.mode = mode
        self._first: bool | None = _enabled.get()
        _enabled.set(mode)

    def __enter__(self) -> None:
        super().__enter__()
        if self._first is not None:  # the block undoes what making it has switched
            self._before[-1], self._first = self._first, None

    def __call__(self, function: F) -> F:
        """Decorate ``function``; the switch is taken back here and thrown at each call."""
        if self._first is not None:
            _enabled.set(self._first)
            self._first = None
        return super().__call__(function)


def _block(mode: bool) -> _Block:
    block = _Block()
    block.mode = mode
    return block


def _decorated(function: Any, mode: bool) -> Any:
    wrapper: Any
    if inspect.isasyncgenfunction(function):

        @functools.wraps(function)
        async def wrapper(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
            async for item in _async_steps(function(*args, **kwargs), mode):
                yield item

    elif inspect.iscoroutinefunction(function):

        @functools.wraps(function)
        async def wrapper(*args: Any, **kwargs: Any) -> Any:
            with _block(mode):
                return await function(*args, **kwargs)

    elif inspect.isgeneratorfunction(function):

        @functools.wraps(function)
        def wrapper(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
            return (yield from _steps(function(*args, **kwargs), mode))

    else:

        @functools.wraps(function)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            with _block(mode):
                return function(*args, **kwargs)

    return wrapper


def _steps(generator: Generator[Any, Any, Any], mode: bool) -> Generator[Any, Any, Any]:
    """``generator``, with the flag set while it runs and as the caller has it while it waits."""
    step: Callable[[], Any] = functools.partial(next, generator)
    while True:
        try:
            with _block(mode):
                item = step()
        except StopIteration as end:
            return end.value
        try:
            sent = yield item
        except GeneratorExit:
            with _block(mode):
                generator.close()
            raise
        except BaseException as error:  # noqa: BLE001 - it is for the generator, which sees it at its own yield
            step = functools.partial(generator.throw, error)
        else:
            step = functools.partial(generator.send, sent)


async def _async_steps(generator: AsyncGenerator[Any, Any], mode: bool) -> AsyncGenerator[Any, None]:
    try:
        while True:
            try:
                with _block(mode):
                    item = await anext(generator)
            except StopAsyncIteration:
                return
            yield item
    finally:
        with _block(mode):
            await generator.aclose()
