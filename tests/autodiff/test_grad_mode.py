"""Grad mode belongs to the context: to a thread, to a task."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from afnio import enable_grad, is_grad_enabled, no_grad, set_grad_enabled
from afnio.variable import Variable


def requires() -> bool:
    x = Variable("a", requires_grad=True)
    result = x + x
    assert result.requires_grad is (result.grad_fn is not None)
    return result.requires_grad


def test_blocks_nest_and_undo_themselves() -> None:
    assert requires()
    with no_grad():
        assert not requires()
        with enable_grad():
            assert requires()
            with no_grad():
                assert not requires()
            assert requires()
        assert not requires()
    assert requires()


@pytest.mark.parametrize("block", [no_grad, enable_grad, lambda: set_grad_enabled(False)])
def test_an_error_inside_undoes_the_block(block: Any) -> None:
    with pytest.raises(ZeroDivisionError), block():
        raise ZeroDivisionError
    assert is_grad_enabled()


def test_as_decorators() -> None:
    assert no_grad()(requires)() is False
    with no_grad():
        assert enable_grad()(requires)() is True
    assert is_grad_enabled()


def test_as_decorators_without_parentheses() -> None:
    block: Any = no_grad
    assert block(requires)() is False
    with no_grad():
        block = enable_grad
        assert block(requires)() is True
    with pytest.raises(TypeError, match="enable_grad takes no argument but a function to decorate, got False"):
        block(False)


@pytest.mark.parametrize("decorate", [no_grad(), no_grad, lambda f: set_grad_enabled(False)(f)])
def test_a_decorated_coroutine_function_builds_no_graph_also_after_an_await(decorate: Any) -> None:
    @decorate
    async def measure(answer: str) -> tuple[bool, bool, str]:
        before = requires()
        await asyncio.sleep(0)
        return before, requires(), answer

    async def main() -> Any:
        pending = measure("yes")
        assert requires()  # making the coroutine switches nothing
        others = await asyncio.gather(pending, asyncio.to_thread(is_grad_enabled))
        assert requires()
        return others

    assert asyncio.run(main()) == [(False, False, "yes"), True]
    assert asyncio.iscoroutinefunction(measure)
    assert measure.__name__ == "measure"


def test_a_decorated_generator_builds_no_graph_and_its_reader_does() -> None:
    closed: list[bool] = []

    @no_grad()
    def answers() -> Any:
        try:
            got = yield requires()
            try:
                yield got, requires()
            except KeyError:
                yield "caught", requires()
            return "end"
        finally:
            closed.append(is_grad_enabled())

    generator = answers()
    assert next(generator) is False
    assert requires()
    assert generator.send("sent") == ("sent", False)
    assert requires()
    assert generator.throw(KeyError("x")) == ("caught", False)
    assert requires()
    with pytest.raises(StopIteration) as end:
        next(generator)
    assert end.value.value == "end"
    left = answers()
    next(left)
    left.close()
    assert closed == [False, False]
    assert requires()


def test_a_decorated_async_generator_builds_no_graph_and_its_reader_does() -> None:
    @no_grad()
    async def answers() -> Any:
        yield requires()
        await asyncio.sleep(0)
        yield requires()

    async def main() -> list[bool]:
        seen = []
        async for answer in answers():
            seen += [answer, requires()]
        return seen

    assert asyncio.run(main()) == [False, True, False, True]


def test_one_block_may_be_entered_again_and_in_itself() -> None:
    block = no_grad()
    for _ in range(2):
        with block, enable_grad(), block:
            assert not requires()
        assert requires()


def test_set_grad_enabled_decorates_and_switches_nothing_else() -> None:
    decorated = set_grad_enabled(False)(requires)
    assert requires()
    assert decorated() is decorated() is False
    switch = set_grad_enabled(False)
    for after in (True, True):
        with switch:
            assert not requires()
        assert requires() is after


def test_set_grad_enabled_for_good_and_for_a_block() -> None:
    set_grad_enabled(False)
    try:
        assert not requires()
        with set_grad_enabled(True):
            assert requires()
        assert not requires()
    finally:
        set_grad_enabled(True)
    assert requires()
    with pytest.raises(TypeError, match="expects a bool, got int"):
        set_grad_enabled(1)  # type: ignore[arg-type]


def test_a_new_thread_starts_enabled_and_keeps_to_itself() -> None:
    seen: list[bool] = []

    def work() -> None:
        seen.append(is_grad_enabled())
        set_grad_enabled(False)
        seen.append(is_grad_enabled())

    with no_grad():
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        assert not is_grad_enabled()
    assert seen == [True, False]
    assert is_grad_enabled()


def test_tasks_inherit_and_keep_to_themselves() -> None:
    async def inner(switch: bool) -> tuple[bool, bool]:
        before = is_grad_enabled()
        with set_grad_enabled(switch):
            await asyncio.sleep(0)
            return before, is_grad_enabled()

    async def main() -> list[tuple[bool, bool]]:
        with no_grad():
            tasks = [asyncio.ensure_future(inner(number % 2 == 0)) for number in range(4)]
        assert is_grad_enabled()
        return await asyncio.gather(*tasks)

    assert asyncio.run(main()) == [(False, True), (False, False)] * 2


def test_requires_grad_decides_too() -> None:
    x = Variable("a")
    assert (x + x).grad_fn is None
    x.requires_grad_()
    assert (x + x).grad_fn is not None
    assert x.detach().requires_grad is False
