"""`backward`: what it needs, what it refuses, what it leaves when it fails, and where it may be called."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import threading
import weakref
from collections.abc import Callable
from typing import Any

import pytest

import afnio
from afnio import functional as F
from afnio.autodiff import Function
from afnio.autodiff.graph import AccumulateGrad
from afnio.calls import Budget
from afnio.errors import BudgetExceeded, GraphError, NoEngineError, ReplyContractError
from afnio.models.lm_server import LMServer
from afnio.models.lm_server.roles import task_of
from afnio.parameter import Parameter
from afnio.variable import Variable
from tests.autodiff.lab import Lab, Served, by_role, feedback, open_lab, system, texts, user


class Broken(Function):
    """Passes text on; its backward fails."""

    @staticmethod
    def forward(ctx: Any, x: Variable) -> Variable:
        return Variable(x.data, x.role)

    @staticmethod
    def backward(ctx: Any, grad_output: Variable) -> Variable:
        raise ArithmeticError("the user's own bug")


def leaf(text: str = "a", role: str = "leaf") -> Variable:
    return Variable(text, role, requires_grad=True)


WRONG = Variable("wrong", "feedback")
backward: Any = afnio.autodiff.backward


# what it needs


def test_a_leaf_has_no_backward(lab: Lab) -> None:
    for variable in (leaf(role="prompt"), Variable("b", "prompt"), Parameter("c", "prompt")):
        with pytest.raises(GraphError, match=r"leaf \('prompt'\)"):
            lab.backward(variable, WRONG)
    with afnio.no_grad(), pytest.raises(RuntimeError, match="no_grad"):
        lab.backward(leaf() + leaf(), WRONG)


def test_a_gradient_is_needed_unless_an_evaluator_is_the_start(lab: Lab) -> None:
    answer = lab.chat([system(leaf("Be brief.", "prompt"))])
    with pytest.raises(GraphError, match="needs a gradient") as error:
        lab.backward(answer)
    assert "ChatCompletionBackward" in str(error.value)
    assert "gradient=Variable(" in str(error.value)
    with pytest.raises(GraphError, match="needs a gradient"):
        lab.backward(answer + F.exact_match_evaluator(leaf(), "b").explanation)
    assert lab.calls() == {"forward": 1}


@pytest.mark.parametrize(
    ("call", "error", "says"),
    [
        (lambda x: afnio.autodiff.backward([]), GraphError, "no Variables"),
        (lambda x: backward("x"), TypeError, "variables must be a Variable or a list"),
        (lambda x: backward([x, "y"]), TypeError, "item 1 is a str"),
        (lambda x: backward(x, "fix it"), TypeError, "A gradient is a Variable"),
        (lambda x: backward([x], ["fix it"]), TypeError, "A gradient is a Variable"),
        (lambda x: afnio.autodiff.backward([x, x], [WRONG]), GraphError, "2 variables and 1 gradients"),
        (lambda x: x.backward(WRONG, create_graph=True), GraphError, "create_graph"),
        (lambda x: x.backward(WRONG, inputs=[]), GraphError, "inputs is empty"),
        (lambda x: x.backward(WRONG, inputs=["x"]), TypeError, "inputs must be a list"),
        (lambda x: x.backward(WRONG, inputs=3), TypeError, "inputs must be a Variable or a list"),
        (lambda x: x.backward(WRONG, inputs=[Variable("a", "fixed")]), GraphError, "'fixed'.*not require a gradient"),
        (lambda x: x.backward(WRONG, inputs=[x]), GraphError, "retain_grad"),
    ],
)
def test_arguments_that_make_no_sense(
    inline: Lab, call: Callable[[Variable], None], error: type[Exception], says: str
) -> None:
    with pytest.raises(error, match=says):
        call(leaf() + leaf())


def test_a_result_made_not_to_require_gradients_is_told_apart(inline: Lab) -> None:
    result = leaf() + leaf()
    result.requires_grad = False
    with pytest.raises(GraphError, match="leaf"):
        result.backward(WRONG)


def test_without_an_engine_the_way_out_is_named() -> None:
    loss = F.exact_match_evaluator(leaf(), "b")
    says = r"backward\(\) needs an active Run.*afnio.local_engine\(\)"
    with pytest.raises(NoEngineError, match=says):
        loss.backward()
    with pytest.raises(NoEngineError, match=says):
        asyncio.run(loss.abackward())


def test_a_thread_finds_the_engine_through_its_context(inline: Lab) -> None:
    found: list[Any] = []

    def look() -> None:
        x = leaf()
        try:
            (x + x).backward(WRONG)
        except NoEngineError:
            found.append(None)
        else:
            found.append(texts(x))

    for context in (contextvars.Context(), contextvars.copy_context()):
        thread = threading.Thread(target=context.run, args=(look,))
        thread.start()
        thread.join()
    assert found == [None, ["wrong", "wrong"]]


def test_without_a_backward_model_the_way_out_is_named(inline: Lab) -> None:
    from afnio.models import backward_client

    answer = inline.chat([system(leaf("Be brief.", "prompt"))])
    backward_client._current = None
    with pytest.raises(RuntimeError, match="set_backward_model_client"):
        answer.backward(WRONG)


# the graph is freed, or kept


def test_a_graph_is_walked_once(lab: Lab) -> None:
    x = leaf()
    total = x + Variable("b", "b")
    lab.backward(total, WRONG)
    with pytest.raises(GraphError, match=r"AddBackward was freed.*retain_graph=True"):
        lab.backward(total, WRONG)
    assert texts(x) == ["wrong"]


def test_retain_graph_keeps_it_and_gradients_accumulate(lab: Lab) -> None:
    prompt = Parameter("Be brief.", "prompt")
    answer = lab.chat([system(prompt)])
    for times in (1, 2, 3):
        lab.backward(answer, WRONG, retain_graph=times < 3)
        assert texts(prompt) == ["say it better"] * times
    with pytest.raises(GraphError, match="freed"):
        lab.backward(answer, WRONG)


def test_part_of_a_freed_graph_frees_what_stands_on_it(inline: Lab) -> None:
    shared = leaf() + leaf()
    one, two = shared + leaf(), shared + leaf()
    one.backward(WRONG)
    with pytest.raises(GraphError, match="freed"):
        two.backward(WRONG)


def test_two_backwards_add_up_to_one_over_both(inline: Lab) -> None:
    def run(together: bool) -> list[str]:
        x = leaf("low")
        losses = [F.exact_match_evaluator(x + Variable(text, "t"), "high") for text in ("a", "b")]
        if together:
            afnio.autodiff.backward([loss.explanation for loss in losses])
        else:
            for loss in losses:
                loss.backward()
        return texts(x)

    assert run(True) == run(False)


def test_contexts_are_freed_and_nothing_keeps_the_graph(lab: Lab) -> None:
    prompt = Parameter("Say {x}", "prompt")
    answer = lab.chat([system(prompt)], inputs={"x": ["a", "b"]})
    loss = F.exact_match_evaluator(answer, ["x", "y"])
    contexts = [weakref.ref(node.ctx) for node in (answer.grad_fn, loss.score.grad_fn)]
    nodes = [weakref.ref(node) for node in (answer.grad_fn, loss.score.grad_fn)]
    lab.backward(loss)
    lab.brain.asked.clear()
    gc.collect()
    assert [ref() for ref in contexts] == [None, None]
    del answer, loss
    gc.collect()
    assert [ref() for ref in nodes] == [None, None]
    assert texts(prompt) == ["say it better"]


def test_an_unused_graph_goes_without_the_collector() -> None:
    x = leaf()
    node = weakref.ref((x + x).grad_fn)
    assert node() is None
    assert x._accumulator() is None


# inputs


def test_inputs_restrict_what_is_computed_and_kept(lab: Lab) -> None:
    one, two = Parameter("Do {x}", "one"), Parameter("Do {x}", "two")
    first = lab.chat([system(one)], inputs={"x": "a"})
    last = lab.chat([system(two)], inputs={"x": first})
    lab.backward(last, WRONG, inputs=[two], retain_graph=True)
    assert (texts(one), texts(two)) == ([], ["say it better"])
    assert lab.calls()["backward"] == 1
    assert lab.brain.of("backward")[0].variables == ["v1"]
    lab.backward(last, WRONG, inputs=one)
    assert (len(one.grad), len(two.grad)) == (1, 1)
    assert lab.calls()["backward"] == 3


def test_only_what_was_walked_is_freed(inline: Lab) -> None:
    one, two = leaf(), leaf()
    left, right = one + Variable("!"), two + Variable("!")
    afnio.autodiff.backward([left, right], [WRONG, WRONG], inputs=[one])
    right.backward(WRONG)
    assert (texts(one), texts(two)) == (["wrong"], ["wrong"])


def test_inputs_may_be_results_that_retain_their_gradients(inline: Lab) -> None:
    x, calls = leaf(), []

    class Counted(Function):
        @staticmethod
        def forward(ctx: Any, value: Variable) -> Variable:
            return Variable(value.data, "copy")

        @staticmethod
        def backward(ctx: Any, given: Variable) -> Variable:
            calls.append(given.data)
            return given

    middle = Counted.apply(x)
    middle.retain_grad()
    (middle + Variable("!", "mark")).backward(WRONG, inputs=[middle])
    assert texts(middle) == ["wrong"]
    assert (x.grad, calls) == ([], [])


def test_two_restricted_backwards_over_one_graph_do_not_disturb_each_other(lab: Lab) -> None:
    prompts = [Parameter("Do {x}", f"prompt {number}") for number in range(4)]
    answer = lab.chat([system(*prompts)], inputs={"x": "a"})

    async def all_at_once() -> None:
        await asyncio.gather(*(answer.abackward(WRONG, retain_graph=True, inputs=[prompt]) for prompt in prompts))

    asyncio.run(all_at_once())
    assert [texts(prompt) for prompt in prompts] == [["say it better"]] * 4


# a backward that fails changes nothing


def test_a_failure_in_the_middle_changes_nothing(lab: Lab) -> None:
    before, after = Parameter("Do {x}", "before"), Parameter("Do {x}", "after")
    kept = leaf("b", "kept")
    first = lab.chat([system(before)], inputs={"x": Broken.apply(leaf())})
    last = lab.chat([system(after)], inputs={"x": first}) + kept
    last.register_hook(lambda gradient: None)
    first.retain_grad()
    for _ in range(2):  # the graph is still there
        with pytest.raises(ArithmeticError, match="the user's own bug"):
            lab.backward(last, WRONG)
    assert [texts(variable) for variable in (before, after, kept, first)] == [[], [], [], []]
    assert (before.data, after.data) == ("Do {x}", "Do {x}")


@pytest.mark.parametrize("bad", ["rubbish", '{"feedback": []}'])
def test_a_critic_that_breaks_the_contract_changes_nothing(lab: Lab, bad: str) -> None:
    first, second = Parameter("Do {x}", "first prompt"), Parameter("Do {x}", "second prompt")
    lab.brain.rule = by_role(backward=lambda ask: bad if 'role="first prompt"' in task_of(ask) else feedback(ask))
    answer = lab.chat([system(second)], inputs={"x": lab.chat([system(first)], inputs={"x": "a"})})
    with pytest.raises(ReplyContractError, match="broke the reply contract twice") as error:
        lab.backward(answer, WRONG)
    assert error.value.role == "backward"
    assert error.value.variable == "first prompt"
    assert "first prompt" in error.value.node
    assert "No parameter was changed" in str(error.value)
    assert (first.grad, second.grad) == ([], [])
    lab.brain.rule = by_role()
    lab.backward(answer, WRONG)
    assert (len(first.grad), len(second.grad)) == (1, 1)


def test_a_budget_of_zero_stops_before_the_first_call(engine: str, drive: str, served: tuple[LMServer, Served]) -> None:
    prompt = Parameter("Be brief.", "prompt")
    with open_lab(engine, drive, *served) as free:
        answer = free.chat([system(prompt)])
    with open_lab(engine, drive, *served, budget=Budget(calls=0)) as lab:
        with pytest.raises(BudgetExceeded, match="calls"):
            lab.backward(answer, WRONG)
        assert not lab.brain.asked
    assert prompt.grad == []


# where it may be called


def test_a_sync_backward_inside_a_running_loop(engine: str, served: tuple[LMServer, Served]) -> None:
    """As in a notebook: a cell runs in a loop, and calls sync code."""
    prompts = [Parameter("Do {x}", f"prompt {number}") for number in range(3)]
    with open_lab(engine, "sync", *served) as lab:

        async def cell() -> None:
            answers = [lab.chat([system(prompt)], inputs={"x": ["a", "b"]}) for prompt in prompts]
            total = F.sum(answers)
            total.register_hook(lambda gradient: None)
            lab.backward(total, WRONG)
            optimizer = afnio.optim.TGD(prompts, lab.client, model="brain")
            lab.brain.rule = by_role(optimizer="Do {x} well")
            optimizer.step()

        asyncio.run(cell())
    assert [texts(prompt) for prompt in prompts] == [["say it better"]] * 3
    assert [prompt.data for prompt in prompts] == ["Do {x} well"] * 3


def test_an_async_users_backward_inside_a_running_loop(engine: str, served: tuple[LMServer, Served]) -> None:
    class Slow(Function):
        @staticmethod
        async def forward(ctx: Any, x: Variable) -> Variable:
            await asyncio.sleep(0)
            return Variable(x.data, x.role)

        @staticmethod
        async def backward(ctx: Any, given: Variable) -> Variable:
            await asyncio.sleep(0)
            return given

    x = leaf()
    with open_lab(engine, "sync", *served) as lab:

        async def cell() -> None:
            lab.backward(Slow.apply(x), WRONG)

        asyncio.run(cell())
        lab.backward(Slow.apply(x), WRONG)
    assert texts(x) == ["wrong", "wrong"]


def test_two_threads_walk_at_once_and_share_a_parameter(engine: str, served: tuple[LMServer, Served]) -> None:
    prompt, problems = Parameter("Do {x}", "prompt"), []
    with open_lab(engine, "sync", *served) as lab:

        def work(number: int) -> None:
            try:
                for hop in range(5):
                    answer = lab.chat([system(prompt)], inputs={"x": [f"{number} {hop}", "b"]})
                    lab.backward(F.exact_match_evaluator(answer, ["x", "y"]))
            except BaseException as error:
                problems.append(error)

        threads = [threading.Thread(target=contextvars.copy_context().run, args=(work, number)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert not problems
    assert len(prompt.grad) == 20


def test_many_tasks_walk_at_once(engine: str, served: tuple[LMServer, Served]) -> None:
    prompt = Parameter("Do {x}", "prompt")
    with open_lab(engine, "async", *served) as lab:

        async def work(number: int) -> None:
            answer = await F.achat_completion(lab.client, [system(prompt)], {"x": f"{number}"}, model="brain")
            await F.exact_match_evaluator(answer, "x").abackward()

        async def main() -> None:
            await asyncio.gather(*(work(number) for number in range(10)))

        asyncio.run(main())
    assert len(prompt.grad) == 10


def test_a_cancelled_backward_changes_nothing(http: Lab) -> None:
    prompt = Parameter("Do {x}", "prompt")
    answer = http.chat([system(prompt)], inputs={"x": "a"})
    started, go_on = threading.Event(), threading.Event()

    def hold(ask: Any) -> Any:
        started.set()
        go_on.wait(150)
        return feedback(ask)

    http.brain.rule = by_role(backward=hold)

    async def main() -> None:
        task = asyncio.ensure_future(answer.abackward(WRONG))
        await asyncio.to_thread(started.wait, 150)
        task.cancel()
        try:
            await task
        except asyncio.CancelledError:
            return
        finally:
            go_on.set()
        raise AssertionError("it was not cancelled")

    asyncio.run(main())
    assert prompt.grad == []


def test_a_users_backward_that_is_cancelled_ends_the_walk(
    engine: str, drive: str, served: tuple[LMServer, Served]
) -> None:
    class Cancelled(Function):
        @staticmethod
        def forward(ctx: Any, x: Variable) -> Variable:
            return Variable(x.data, x.role)

        @staticmethod
        async def backward(ctx: Any, given: Variable) -> Variable:
            raise asyncio.CancelledError

    x = leaf()
    with open_lab(engine, drive, *served) as lab:
        answer = lab.chat([user(Cancelled.apply(x))])
        with pytest.raises(asyncio.CancelledError):
            lab.backward(answer, WRONG)
    assert x.grad == []


def test_graph_is_public(inline: Lab) -> None:
    x = leaf()
    answer = inline.chat([system(x), user(x)])
    edges = answer.grad_fn.next_functions
    assert [edge.node for edge in edges] == [edges[0].node] * 2
    assert isinstance(edges[0].node, AccumulateGrad)
    assert isinstance(edges[0], afnio.GradientEdge)
    assert isinstance(answer.grad_fn, afnio.Node)
    assert edges[0].node.variable is x
    assert "ChatCompletionBackward" in repr(answer.grad_fn)


@pytest.mark.parametrize(
    ("path", "error", "says"),
    [
        ("gpt-4o", ValueError, "'provider/model'"),
        ("openai/", ValueError, "'provider/model'"),
        ("acme/gpt", ValueError, "Unknown provider 'acme'"),
        (object(), TypeError, "a client of the openai or anthropic package, got object"),
        (None, TypeError, "got NoneType"),
    ],
)
def test_a_backward_model_that_is_none(path: Any, error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        afnio.set_backward_model_client(path)
