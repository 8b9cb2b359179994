"""Hooks around a call.  The expectations are what torch 2.13 does; 5,000 random sets of hooks were called the same."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from afnio.cognitive import Module
from afnio.cognitive.module import register_module_forward_hook, register_module_forward_pre_hook
from afnio.variable import RemovableHandle

Run = Callable[..., Any]


class Double(Module):
    def forward(self, x: int, *, plus: int = 0) -> int:
        if x == 13:
            raise ValueError("unlucky")
        return 2 * x + plus


class AsyncDouble(Module):
    async def forward(self, x: int, *, plus: int = 0) -> int:
        await asyncio.sleep(0)
        if x == 13:
            raise ValueError("unlucky")
        return 2 * x + plus


WAYS = {
    "sync": (Double, lambda module, *args, **kwargs: module(*args, **kwargs)),
    "async": (AsyncDouble, lambda module, *args, **kwargs: asyncio.run(module(*args, **kwargs))),
    "acall": (Double, lambda module, *args, **kwargs: asyncio.run(module.acall(*args, **kwargs))),
    "acall of async": (AsyncDouble, lambda module, *args, **kwargs: asyncio.run(module.acall(*args, **kwargs))),
}


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest) -> tuple[Module, Run]:
    cls, run = WAYS[request.param]
    module: Module = cls()
    return module, run


def test_a_module_without_forward_says_so() -> None:
    with pytest.raises(NotImplementedError, match=r'Module \[Module\] is missing the required "forward" function'):
        Module()("x")


def test_a_call_is_forward(way: tuple[Module, Run]) -> None:
    module, run = way
    assert run(module, 4, plus=1) == 9


def test_an_async_forward_makes_the_call_a_coroutine() -> None:
    pending = AsyncDouble()(1)
    assert asyncio.iscoroutine(pending)
    assert asyncio.run(pending) == 2


def test_hooks_run_in_order_around_forward(way: tuple[Module, Run]) -> None:
    module, run = way
    order: list[Any] = []
    module.register_forward_hook(lambda m, args, out: order.append(("after 1", args, out)))
    module.register_forward_pre_hook(lambda m, args: order.append(("before 1", args)))
    module.register_forward_hook(lambda m, args, out: order.append(("after 2", args, out)))
    module.register_forward_hook(lambda m, args, out: order.append(("after 0", args, out)), prepend=True)
    module.register_forward_pre_hook(lambda m, args: order.append(("before 0", args)), prepend=True)
    module.register_forward_pre_hook(lambda m, args: order.append(("before 2", args)))
    assert run(module, 4) == 8
    assert order == [
        ("before 0", (4,)),
        ("before 1", (4,)),
        ("before 2", (4,)),
        ("after 0", (4,), 8),
        ("after 1", (4,), 8),
        ("after 2", (4,), 8),
    ]


def test_a_pre_hook_may_change_the_arguments(way: tuple[Module, Run]) -> None:
    module, run = way
    module.register_forward_pre_hook(lambda m, args: args[0] + 1)
    module.register_forward_pre_hook(lambda m, args: (args[0] * 10,))
    assert run(module, 4) == 100


def test_a_hook_with_kwargs_gets_and_may_change_them(way: tuple[Module, Run]) -> None:
    module, run = way
    seen: list[Any] = []
    module.register_forward_pre_hook(lambda m, args, kwargs: (args, {"plus": 5}), with_kwargs=True)
    module.register_forward_hook(lambda m, args, kwargs, out: seen.append((args, kwargs, out)), with_kwargs=True)
    assert run(module, 4, plus=1) == 13
    assert seen == [((4,), {"plus": 5}, 13)]


def test_a_hook_may_change_the_output_and_the_next_sees_it(way: tuple[Module, Run]) -> None:
    module, run = way
    module.register_forward_hook(lambda m, args, out: out + 1)
    module.register_forward_hook(lambda m, args, out: out * 10)
    assert run(module, 4) == 90


def test_a_pre_hook_with_kwargs_must_return_both(way: tuple[Module, Run]) -> None:
    module, run = way
    module.register_forward_pre_hook(lambda m, args, kwargs: (5,), with_kwargs=True)
    with pytest.raises(RuntimeError) as error:
        run(module, 4)
    assert str(error.value) == ("forward pre-hook must return None or a tuple of (new_args, new_kwargs), but got (5,).")


def test_only_hooks_that_are_always_called_see_a_failure(way: tuple[Module, Run]) -> None:
    module, run = way
    seen: list[Any] = []
    module.register_forward_hook(lambda m, args, out: seen.append("not me"))
    module.register_forward_hook(lambda m, args, out: seen.append(("always", args, out)), always_call=True)
    with pytest.raises(ValueError, match="unlucky"):
        run(module, 13)
    assert seen == [("always", (13,), None)]


def test_a_hook_that_is_always_called_is_called_once(way: tuple[Module, Run]) -> None:
    module, run = way
    seen: list[Any] = []

    def fail(*_: Any) -> None:
        raise KeyError("hook")

    module.register_forward_hook(lambda m, args, out: seen.append(out), always_call=True)
    module.register_forward_hook(fail)
    with pytest.raises(KeyError, match="hook"):
        run(module, 4)
    assert seen == [8]


def test_a_failure_in_a_hook_that_is_always_called_does_not_hide_the_first(way: tuple[Module, Run]) -> None:
    module, run = way

    def fail(*_: Any) -> None:
        raise KeyError("second")

    module.register_forward_hook(fail, always_call=True)
    with (
        pytest.warns(UserWarning, match="silenced as another error was raised in forward"),
        pytest.raises(ValueError, match="unlucky"),
    ):
        run(module, 13)


def test_a_cancelled_call_runs_the_hooks_that_are_always_called() -> None:
    class Endless(Module):
        async def forward(self) -> None:
            await asyncio.Event().wait()

    module, seen = Endless(), []
    module.register_forward_hook(lambda m, args, out: seen.append("always"), always_call=True)

    async def cancel() -> None:
        task = asyncio.ensure_future(module())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancel())
    assert seen == ["always"]


@pytest.mark.parametrize("kind", ["forward_pre", "forward", "full_backward_pre", "full_backward", "state_dict_pre"])
def test_a_hook_is_a_function(kind: str) -> None:
    with pytest.raises(TypeError, match="A hook is a function, got int"):
        getattr(Module(), f"register_{kind}_hook")(5)


def test_a_handle_takes_its_hook_back(way: tuple[Module, Run]) -> None:
    module, run = way
    handle = module.register_forward_hook(lambda m, args, out: out + 1)
    assert isinstance(handle, RemovableHandle)
    assert run(module, 4) == 9
    handle.remove()
    assert run(module, 4) == 8
    module.register_forward_hook(lambda m, args, out: out + 2)
    handle.remove()
    assert run(module, 4) == 10


def test_a_handle_takes_its_hook_back_at_the_end_of_a_with(way: tuple[Module, Run]) -> None:
    module, run = way
    with module.register_forward_pre_hook(lambda m, args: args[0] + 1):
        assert run(module, 4) == 10
    assert run(module, 4) == 8


def test_acall_prefers_aforward() -> None:
    class Both(Module):
        def forward(self) -> str:
            return "forward"

        async def aforward(self) -> str:
            return "aforward"

    class Redefined(Both):
        def forward(self) -> str:
            return f"redefined {super().forward()}"

    assert Both()() == "forward"
    assert asyncio.run(Both().acall()) == "aforward"
    assert asyncio.run(Redefined().acall()) == "redefined forward"


def test_hooks_of_every_module_run_before_its_own_until_they_are_removed() -> None:
    module, seen = Module(), []
    module.forward = lambda x: x  # type: ignore[method-assign, misc]
    module.register_forward_pre_hook(lambda m, args: seen.append("own pre"))
    module.register_forward_hook(lambda m, args, out: seen.append("own"))
    with (
        register_module_forward_pre_hook(lambda m, args: seen.append("every pre")),
        register_module_forward_hook(lambda m, args, kwargs, out: seen.append("every"), with_kwargs=True),
    ):
        assert module(1) == 1
    assert seen == ["every pre", "own pre", "every", "own"]
    assert module(1) == 1
    assert seen[4:] == ["own pre", "own"]
