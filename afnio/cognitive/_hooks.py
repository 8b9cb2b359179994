"""Calling a Module: its hooks around its ``forward``, sync or async, in torch's order."""

from __future__ import annotations

import inspect
import warnings
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Generator
from dataclasses import dataclass
from typing import Any, TypeAlias

from afnio.cognitive._backward_hooks import BackwardHooks
from afnio.variable import RemovableHandle

__all__ = [
    "Hooked",
    "Hooks",
    "add_hook",
    "register_module_forward_hook",
    "register_module_forward_pre_hook",
    "register_module_full_backward_hook",
    "register_module_full_backward_pre_hook",
]


def add_hook(hooks: OrderedDict[int, Any], hook: Any, prepend: bool = False) -> RemovableHandle:
    """Put ``hook`` behind the others, or before them.

    Raises:
        TypeError: it cannot be called.
    """
    function = hook.function if isinstance(hook, _Hook) else hook
    if not callable(function):
        raise TypeError(f"A hook is a function, got {type(function).__name__}.")
    handle = RemovableHandle(hooks, hook)
    if prepend:
        hooks.move_to_end(handle.id, last=False)
    return handle


@dataclass(frozen=True, slots=True)
class _Hook:
    """A hook of the forward pass; it is given the keyword arguments only if it wants them."""

    function: Callable[..., Any]
    with_kwargs: bool
    always_call: bool = False

    def __call__(self, module: Hooked, args: tuple[Any, ...], kwargs: dict[str, Any], *output: Any) -> Any:
        if self.with_kwargs:
            return self.function(module, args, kwargs, *output)
        return self.function(module, args, *output)


Hooks: TypeAlias = OrderedDict[int, _Hook]
_Flow: TypeAlias = Generator[Any, Any, Any]

# Hooks of all Modules of this process; they run before a Module's own.
_every_forward_pre: Hooks = OrderedDict()
_every_forward: Hooks = OrderedDict()
_every_backward_pre: OrderedDict[int, Callable[..., Any]] = OrderedDict()
_every_backward: OrderedDict[int, Callable[..., Any]] = OrderedDict()


def register_module_forward_pre_hook(hook: Callable[..., Any]) -> RemovableHandle:
    """Call ``hook(module, args)`` before each forward of every Module; see `Module.register_forward_pre_hook`.

    For debugging and measuring: it holds for the whole process, until ``handle.remove()``.  It runs before the hooks
    of the Module itself.  The other ``register_module_...`` work the same.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.modules.module.register_module_forward_pre_hook.html
    """
    return add_hook(_every_forward_pre, _Hook(hook, with_kwargs=False))


def register_module_forward_hook(
    hook: Callable[..., Any], *, with_kwargs: bool = False, always_call: bool = False
) -> RemovableHandle:
    """Call ``hook(module, args, output)`` after each forward of every Module; see `Module.register_forward_hook`."""
    return add_hook(_every_forward, _Hook(hook, with_kwargs, always_call))


def register_module_full_backward_pre_hook(hook: Callable[..., Any]) -> RemovableHandle:
    """Call ``hook(module, grad_output)`` for every Module; see `Module.register_full_backward_pre_hook`."""
    return add_hook(_every_backward_pre, hook)


def register_module_full_backward_hook(hook: Callable[..., Any]) -> RemovableHandle:
    """Call ``hook(module, grad_input, grad_output)`` for every Module; see `Module.register_full_backward_hook`."""
    return add_hook(_every_backward, hook)


class Hooked:
    """Something with a ``forward`` that is called between hooks."""

    _forward_pre_hooks: Hooks
    _forward_hooks: Hooks
    _backward_pre_hooks: OrderedDict[int, Callable[..., Any]]
    _backward_hooks: OrderedDict[int, Callable[..., Any]]

    def __init__(self) -> None:
        for name in ("_forward_pre_hooks", "_forward_hooks", "_backward_pre_hooks", "_backward_hooks"):
            self.__dict__[name] = OrderedDict()

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """What a call computes; to be defined by each subclass.  May be ``async def``."""
        raise NotImplementedError(f'Module [{type(self).__name__}] is missing the required "forward" function')

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the hooks and ``forward``.  Of an ``async def forward`` this is a coroutine, to be awaited."""
        if not self._has_hooks():
            return self.forward(*args, **kwargs)
        flow = self._flow(self.forward, args, kwargs)
        output = next(flow)
        return _finish_later(flow, output) if inspect.isawaitable(output) else _finish(flow, output)

    async def acall(self, *args: Any, **kwargs: Any) -> Any:
        """A call for code that runs in an event loop: ``output = await module.acall(...)``.

        Runs ``aforward`` where the class has one (the modules that call LMs do), else ``forward``, which may be
        ``async def`` or not.
        """
        flow = self._flow(self._awaited_forward(), args, kwargs)
        output = next(flow)
        return await _finish_later(flow, output) if inspect.isawaitable(output) else _finish(flow, output)

    def _awaited_forward(self) -> Callable[..., Any]:
        """The most derived of ``aforward`` and ``forward``: a subclass that redefines one means it."""
        for cls in type(self).__mro__:
            for name in ("aforward", "forward"):
                if name in vars(cls):
                    function: Callable[..., Any] = getattr(self, name)
                    return function
        return self.forward

    def register_forward_pre_hook(
        self, hook: Callable[..., Any], *, prepend: bool = False, with_kwargs: bool = False
    ) -> RemovableHandle:
        """Call ``hook(module, args)`` before each forward.

        It may return new arguments: a tuple, or one value.  With ``with_kwargs`` it is called as
        ``hook(module, args, kwargs)`` and may return ``(args, kwargs)``.  With ``prepend`` it runs before
        the hooks that are there.  Hooks are plain functions, also around an ``async def forward``.

        Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.Module.html#torch.nn.Module.register_forward_pre_hook
        """
        return add_hook(self._forward_pre_hooks, _Hook(hook, with_kwargs), prepend)

    def register_forward_hook(
        self,
        hook: Callable[..., Any],
        *,
        prepend: bool = False,
        with_kwargs: bool = False,
        always_call: bool = False,
    ) -> RemovableHandle:
        """Call ``hook(module, args, output)`` after each forward, of an async one when it has been awaited.

        It may return another output.  With ``with_kwargs`` it is called as ``hook(module, args, kwargs, output)``.
        With ``always_call`` it runs too (output None) when the forward, or a hook before it, fails.

        Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.Module.html#torch.nn.Module.register_forward_hook
        """
        return add_hook(self._forward_hooks, _Hook(hook, with_kwargs, always_call), prepend)

    def register_full_backward_pre_hook(self, hook: Callable[..., Any], prepend: bool = False) -> RemovableHandle:
        """Call ``hook(module, grad_output)`` when feedback on the output of a call comes in.

        ``grad_output`` is a tuple: the feedback on each value of the output, a Variable (``.parts`` has the single
        pieces), or None where it is no Variable.  The hook may return other Variables, which take its place.  Hooks
        run in the thread that called ``backward()``, also where a server's engine does the rest.

        Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.Module.html#torch.nn.Module.register_full_backward_pre_hook
        """
        return add_hook(self._backward_pre_hooks, hook, prepend)

    def register_full_backward_hook(self, hook: Callable[..., Any], prepend: bool = False) -> RemovableHandle:
        """Call ``hook(module, grad_input, grad_output)`` when feedback on the arguments of a call is there.

        Both are tuples as in `register_full_backward_pre_hook`; ``grad_input`` has one place for each positional
        argument.  The hook may return another ``grad_input``.  Where no positional argument is a Variable that wants
        feedback (Variables inside a list of messages do not count), it is called with the feedback on the output,
        and its ``grad_input`` is None throughout.

        Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.Module.html#torch.nn.Module.register_full_backward_hook
        """
        return add_hook(self._backward_hooks, hook, prepend)

    def _has_hooks(self) -> bool:
        return bool(
            self._forward_pre_hooks
            or self._forward_hooks
            or self._backward_pre_hooks
            or self._backward_hooks
            or _every_forward_pre
            or _every_forward
            or _every_backward_pre
            or _every_backward
        )

    def _hooks_after(self) -> list[tuple[int, _Hook]]:
        return [*_every_forward.items(), *self._forward_hooks.items()]

    def _hooks_of_backward(self) -> BackwardHooks | None:
        before = [*_every_backward_pre.values(), *self._backward_pre_hooks.values()]
        after = [*_every_backward.values(), *self._backward_hooks.values()]
        return BackwardHooks(self, before, after) if before or after else None

    def _flow(self, call: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> _Flow:
        """A call as a generator without I/O: yields what ``call`` returns, is sent the output, returns it."""
        begun: set[int] = set()
        output = None
        watch = self._hooks_of_backward()
        try:
            for hook in [*_every_forward_pre.values(), *self._forward_pre_hooks.values()]:
                args, kwargs = _changed(hook, hook(self, args, kwargs), args, kwargs)
            args = args if watch is None else watch.of_inputs(args)
            output = yield call(*args, **kwargs)
            for number, hook in self._hooks_after():
                begun.add(number)
                changed = hook(self, args, kwargs, output)
                output = output if changed is None else changed
            output = output if watch is None else watch.of_output(output)
        except GeneratorExit:  # a coroutine that nobody awaited
            raise
        except BaseException:
            self._run_always_called(begun, args, kwargs, output)
            raise
        return output

    def _run_always_called(self, begun: set[int], args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> None:
        for number, hook in self._hooks_after():
            if not hook.always_call or number in begun:
                continue
            try:
                changed = hook(self, args, kwargs, output)
                output = output if changed is None else changed
            except Exception as error:  # noqa: BLE001 - the error of the forward is the one to report
                kind = "global module" if number in _every_forward else "module"
                warnings.warn(
                    f"{kind} forward hook with ``always_call=True`` raised an exception "
                    f"that was silenced as another error was raised in forward: {error}",
                    stacklevel=2,
                )


def _changed(
    hook: _Hook, result: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The arguments after a pre-hook returned ``result``."""
    if result is None:
        return args, kwargs
    if not hook.with_kwargs:
        return (result if isinstance(result, tuple) else (result,)), kwargs
    if isinstance(result, tuple) and len(result) == 2:
        return result
    raise RuntimeError(f"forward pre-hook must return None or a tuple of (new_args, new_kwargs), but got {result}.")


def _finish(flow: _Flow, output: Any) -> Any:
    try:
        flow.send(output)
    except StopIteration as end:
        return end.value
    raise AssertionError("a call yields once")


async def _finish_later(flow: _Flow, pending: Awaitable[Any]) -> Any:
    try:
        output = await pending
    except BaseException as error:
        flow.throw(error)  # runs the hooks that are always called, and raises the error again
        raise
    return _finish(flow, output)
