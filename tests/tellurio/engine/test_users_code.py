"""Users' code in a job of a server's engine: where it runs, what it raises, and many jobs at once."""

from __future__ import annotations

import asyncio
import contextvars
import multiprocessing
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from afnio import _dispatch
from afnio import functional as F
from afnio.autodiff.function import Function
from afnio.optim import TGD
from afnio.optim.constraint import Constraint
from afnio.optim.update import Proposal
from afnio.parameter import Parameter
from afnio.variable import Variable
from tests.autodiff import job
from tests.autodiff.lab import Lab, open_lab, texts, user
from tests.tellurio.engine.place import Place, a_loss


def echo(backward: Any) -> Any:
    """A Function whose backward is ``backward(ctx, gradient)``."""

    class Echo(Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Variable:
            return Variable(x.data, role="echo")

    Echo.backward = staticmethod(backward)  # type: ignore[method-assign]
    return Echo


def a_pass(lab: Lab, function: Any) -> tuple[Parameter, Any]:
    """A prompt, and a loss with ``function`` in between."""
    prompt = Parameter("Prompt", "prompt")
    return prompt, F.exact_match_evaluator(function.apply(lab.chat([user(prompt)])), "no").score


def test_it_runs_in_the_thread_that_called_backward(place: Place) -> None:
    where: list[Any] = []
    mark: contextvars.ContextVar[str] = contextvars.ContextVar("mark")
    mark.set("mine")

    def backward(ctx: Any, gradient: Any) -> Any:
        where.append(("backward", threading.get_ident(), mark.get()))
        return gradient

    with place.lab() as lab:
        prompt, loss = a_pass(lab, echo(backward))
        prompt.register_hook(lambda gradient: where.append(("hook", threading.get_ident(), mark.get())))
        lab.backward(loss)
    here = threading.get_ident()
    assert where == [("backward", here, "mine"), ("hook", here, "mine")]
    assert texts(prompt) == ["say it better"]


class Stop(BaseException):
    """Not even an Exception."""


@pytest.mark.parametrize("where", ["backward", "hook"])
@pytest.mark.parametrize("drive", ["sync", "async"])
@pytest.mark.parametrize("kind", [ValueError, OSError, TimeoutError, KeyboardInterrupt, Stop, GeneratorExit])
def test_what_it_raises_comes_out_as_the_same_object(place: Place, kind: type, drive: str, where: str) -> None:
    if drive == "async" and not issubclass(kind, Exception):
        pytest.skip("an event loop takes it for itself")
    if drive == "async" and kind is TimeoutError:
        pytest.skip("asyncio makes a copy of it on the way between two loops")
    error = kind("mine")

    def fail(*_: Any) -> Any:
        raise error

    with place.lab(drive=drive) as lab:
        prompt, loss = a_pass(lab, echo(fail if where == "backward" else lambda ctx, gradient: gradient))
        if where == "hook":
            prompt.register_hook(fail)
        with pytest.raises(kind) as failed:
            lab.backward(loss)
        assert failed.value is error
        assert prompt.grad == []
        lab.backward(a_loss(lab)[1])


def test_a_backward_that_is_a_coroutine(place: Place) -> None:
    async def backward(ctx: Any, gradient: Any) -> Any:
        await asyncio.sleep(0)
        return Variable(f"awaited: {gradient.data}", "echo")

    for drive in ("sync", "async"):
        with place.lab(drive=drive) as lab:
            prompt, loss = a_pass(lab, echo(backward))
            retained = loss.grad_fn.next_functions[0].node
            assert retained is not None
            lab.backward(loss)
            assert texts(prompt) == ["say it better"]


def test_gradients_that_cannot_be_sent_fail_and_do_not_hang(place: Place) -> None:
    """Half a character has no place in JSON."""
    with place.lab() as lab:
        _, loss = a_pass(lab, echo(lambda ctx, gradient: Variable("\ud800", "half")))
        with pytest.raises(TypeError, match="JSON"):
            lab.backward(loss)


def test_checks_of_several_values_at_once_are_not_mixed_up(place: Place) -> None:
    """The server asks again after it was killed, and in another order: each verdict is about its value."""
    checked: list[str] = []

    def check(value: str) -> bool:
        checked.append(value)
        return True

    with place.lab() as lab:
        prompts, loss = a_loss(lab, 3)
        lab.backward(loss)
        lab.step(TGD(prompts, lab.client, model="brain", constraints=[Constraint("Be good.", check)]))
    assert checked == ["better"] * 3


def test_a_rule_of_the_users_own_runs_here(place: Place) -> None:
    where = []

    async def rule(item: Any) -> Proposal:
        where.append(item)
        return Proposal("ruled")

    with place.lab() as lab:
        prompts, loss = a_loss(lab)
        lab.backward(loss)
        before, _dispatch.rules["TGD"] = _dispatch.rules["TGD"], rule
        try:
            lab.step(TGD(prompts, lab.client, model="brain"))
        finally:
            _dispatch.rules["TGD"] = before
    assert prompts[0].data == "ruled"
    assert len(where) == 1


def test_eight_threads_at_once(place: Place) -> None:
    seen: list[tuple[int, int]] = []
    with open_lab() as lab:
        expected = job.run(lab)
    with place.lab() as lab:
        job.run(lab)  # sets the rules; they are the same for all

        def run(number: int) -> list[str]:
            here = threading.get_ident()

            def backward(ctx: Any, gradient: Any) -> Any:
                seen.append((here, threading.get_ident()))
                return gradient

            prompt, loss = a_pass(lab, echo(backward))
            lab.backward(loss)
            assert prompt.grad
            return job.run(lab)

        context = contextvars.copy_context()
        with ThreadPoolExecutor(8) as threads:
            results = list(threads.map(lambda number: context.copy().run(run, number), range(8)))
    assert results == [expected] * 8
    assert len(seen) == 8
    assert all(here == there for here, there in seen)


def test_several_event_loops(place: Place) -> None:
    with place.lab() as lab:
        prompts, losses = zip(*[a_loss(lab, 2) for _ in range(6)], strict=True)

        async def two(first: Any, second: Any) -> None:
            await asyncio.gather(first.abackward(), second.abackward())

        context = contextvars.copy_context()
        with ThreadPoolExecutor(3) as threads:
            pairs = zip(losses[::2], losses[1::2], strict=True)
            list(threads.map(lambda pair: context.copy().run(asyncio.run, two(*pair)), pairs))
        assert all(texts(prompt) == ["say it better"] for pair in prompts for prompt in pair)


def _in_the_child(lab: Lab, out: Any) -> None:
    prompts, loss = a_loss(lab)
    lab.backward(loss)
    out.put(texts(prompts[0]))


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_after_a_fork(place: Place) -> None:
    forking = multiprocessing.get_context("fork")
    with place.lab() as lab:
        lab.backward(a_loss(lab)[1])  # the loop, its connections and the client are in use
        out: Any = forking.Queue()
        child = forking.Process(target=_in_the_child, args=(lab, out))
        child.start()
        assert out.get(timeout=150) == ["say it better"]
        child.join()
        assert child.exitcode == 0
        lab.backward(a_loss(lab)[1])
