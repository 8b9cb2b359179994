"""Users' own Functions: both styles, several outputs, containers, async, and what their backward may return."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest

from afnio import functional as F
from afnio import no_grad
from afnio.autodiff import Function, is_grad_enabled
from afnio.errors import GraphError
from afnio.models.lm_server import LMServer
from afnio.parameter import Parameter
from afnio.variable import Variable
from tests.autodiff.lab import Lab, Served, open_lab, samples, system, texts, user

WRONG = Variable("wrong", "feedback")


def leaf(text: Any = "a", role: str = "leaf") -> Variable:
    return Variable(text, role, requires_grad=True)


class Shout(Function):
    @staticmethod
    def forward(ctx: Any, x: Variable, mark: str = "!") -> Variable:
        ctx.mark = mark
        ctx.save_for_backward(x)
        return Variable(x.data.upper() + mark, f"shouted {x.role}")

    @staticmethod
    def backward(ctx: Any, grad_output: Variable) -> Any:
        (x,) = ctx.saved_variables
        assert ctx.needs_input_grad == (True, *(False for _ in ctx.needs_input_grad[1:]))
        return Variable(f"of {x.data}, shouted with {ctx.mark}: {grad_output.data}", f"to {x.role}"), None


class TwoStep(Function):
    @staticmethod
    def forward(x: Variable, mark: str = "!") -> Variable:
        return Variable(x.data.upper() + mark, f"shouted {x.role}")

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        ctx.save_for_backward(inputs[0], output)
        ctx.mark = inputs[1] if len(inputs) > 1 else "!"

    @staticmethod
    def backward(ctx: Any, grad_output: Variable) -> Any:
        x, output = ctx.saved_variables
        assert output.data == x.data.upper() + ctx.mark
        return Variable(f"of {x.data}, shouted with {ctx.mark}: {grad_output.data}", f"to {x.role}"), None


class AsyncShout(Function):
    @staticmethod
    async def forward(ctx: Any, x: Variable, mark: str = "!") -> Variable:
        await asyncio.sleep(0)
        ctx.mark = mark
        assert not is_grad_enabled()
        return Variable((x + Variable(mark)).data.upper(), f"shouted {x.role}")

    @staticmethod
    async def backward(ctx: Any, grad_output: Variable) -> Any:
        await asyncio.sleep(0)
        return Variable(f"of a, shouted with {ctx.mark}: {grad_output.data}", "to leaf")


class AsyncTwoStep(TwoStep):
    @staticmethod
    async def forward(x: Variable, mark: str = "!") -> Variable:  # type: ignore[override]
        await asyncio.sleep(0)
        return Variable(x.data.upper() + mark, f"shouted {x.role}")


@pytest.mark.parametrize("op", [Shout, TwoStep, AsyncShout, AsyncTwoStep])
@pytest.mark.parametrize("call", ["apply", "aapply"])
def test_every_style_flows_forward_and_back(lab: Lab, op: type[Function], call: str) -> None:
    x = leaf()
    loud = op.apply(x, mark="?") if call == "apply" else asyncio.run(op.aapply(x, mark="?"))
    assert (loud.data, loud.role, loud.requires_grad, loud.is_leaf) == ("A?", "shouted leaf", True, False)
    assert loud.grad_fn.name() == f"{op.__name__}Backward"
    lab.backward(loud, WRONG)
    assert [(g.data, g.role) for g in x.grad] == [("of a, shouted with ?: wrong", "to leaf")]
    assert not lab.brain.asked


def test_between_lm_calls_samples_are_carried_along(lab: Lab) -> None:
    prompt = Parameter("Do {x}", "prompt")

    class Each(Function):
        @staticmethod
        def forward(ctx: Any, x: Variable) -> Variable:
            return Variable([text.upper() for text in x.data], "loud")

        @staticmethod
        def backward(ctx: Any, grad_output: Variable) -> Variable:
            return grad_output

    batch = Variable(["a", "b", "c"], "input")
    batch._samples = ("7", "8", "9")
    loud = Each.apply(lab.chat([system(prompt)], inputs={"x": batch}))
    target = Variable(["ANSWER", "no", "no"])
    target._samples = batch._samples
    lab.backward(F.exact_match_evaluator(loud, target))
    assert samples(prompt) == [("8", "9")]
    assert [ids for ids, _ in lab.brain.of("backward")[0].samples] == ["8", "9"]


def test_several_outputs_get_their_own_feedback(lab: Lab) -> None:
    seen: list[tuple[str, str]] = []

    class Halves(Function):
        @staticmethod
        def forward(ctx: Any, x: Variable) -> tuple[Variable, Variable]:
            return Variable(x.data[:1], "head"), Variable(x.data[1:], "tail")

        @staticmethod
        def backward(ctx: Any, on_head: Variable, on_tail: Variable) -> Variable:
            seen.append((on_head.data, on_tail.data))
            return Variable(f"{on_head.data}/{on_tail.data}")

    x = leaf("abc")
    head, tail = Halves.apply(x)
    assert (head.output_nr, tail.output_nr) == (0, 1)
    targets = [Variable("z"), Variable("z")]
    targets[0]._samples, targets[1]._samples = ("one",), ("two",)
    lab.backward(
        [F.exact_match_evaluator(part, target).explanation for part, target in zip((head, tail), targets, strict=True)],
        retain_graph=True,
    )
    assert samples(x) == [("one", "two")]  # of both outputs
    lab.backward(tail, WRONG)
    assert seen[1] == ("", "wrong")


def test_several_pieces_come_as_one_numbered_text_with_its_parts(inline: Lab) -> None:
    seen: list[Any] = []

    class Look(Function):
        @staticmethod
        def forward(ctx: Any, x: Variable) -> Variable:
            return Variable(x.data, x.role)

        @staticmethod
        def backward(ctx: Any, grad_output: Any) -> Variable:
            seen.append(grad_output)
            return grad_output  # type: ignore[no-any-return]

    x = leaf(["a", "b", "c"])
    F.exact_match_evaluator(Look.apply(x), ["a", "x", "y"]).backward()
    (joined,) = seen
    first, second = joined.data.split("\n")
    assert first.startswith("1. ")
    assert second.startswith("2. ")
    assert [part.samples for part in joined.parts] == [("1",), ("2",)]
    assert joined.samples == ("1", "2")
    assert x.grad == list(joined.parts)  # handed on unchanged, piece by piece


class Gather(Function):
    """Reads Variables from containers."""

    returns: Any = None

    @staticmethod
    def forward(ctx: Any, items: list[Variable], named: dict[str, Any], sep: str = " ") -> Variable:
        return Variable(sep.join([*(item.data for item in items), *(item.data for item in named.values())]), "all")

    @staticmethod
    def backward(ctx: Any, grad_output: Variable) -> Any:
        return Gather.returns


def test_containers_of_variables(lab: Lab) -> None:
    a, b, c, d = (leaf(text, text) for text in "abcd")
    Gather.returns = ([Variable("to a"), [Variable("to b"), Variable("b too")]], {"second": Variable("to d")}, None)
    lab.backward(Gather.apply([a, b], {"first": c, "second": d}), WRONG)
    assert [texts(x) for x in (a, b, c, d)] == [["to a"], ["to b", "b too"], [], ["to d"]]


def test_none_means_no_feedback(lab: Lab) -> None:
    a, b = leaf("a"), leaf("b")
    for returns in ((None, None), (None, {"x": None}), ([None], None, None)):
        Gather.returns = returns
        lab.backward(Gather.apply([a], {"x": b}), WRONG)
    assert (a.grad, b.grad) == ([], [])


@pytest.mark.parametrize(
    ("returns", "says"),
    [
        (None, "returned 1 gradients, expected 2"),
        (Variable("x"), "returned 1 gradients, expected 2"),
        ([Variable("x"), Variable("y")], "returned 1 gradients, expected 2"),
        ((None, None, None, Variable("x")), "returned 4 gradients, expected 2"),
        ((Variable("x"), None), "a Variable for argument 0, which is a list of 1"),
        (([Variable("x"), Variable("y")], None), "a list of 2 for argument 0, which is a list of 1"),
        (([None], [Variable("y")]), "a list of 1 for argument 1, which is a dict of 1"),
        (([None], {"y": Variable("y")}), "a dict of 1 for argument 1, which is a dict of 1"),
        ((["x"], None), "got str"),
        ((3, None), "a int for argument 0"),
    ],
)
def test_what_does_not_fit_is_an_error_and_never_lost(inline: Lab, returns: Any, says: str) -> None:
    a, b = leaf("a"), leaf("b")
    Gather.returns = returns
    with pytest.raises(GraphError, match=says):
        Gather.apply([a], {"x": b}).backward(WRONG)
    assert (a.grad, b.grad) == ([], [])


class Named(Function):
    @staticmethod
    def forward(
        ctx: Any, x: Variable, y: Variable | None = None, *more: Variable, z: Variable, **rest: Variable
    ) -> Any:
        return Variable("out")

    @staticmethod
    def backward(ctx: Any, grad_output: Variable) -> Any:
        return tuple(
            Variable(f"argument {number}") if need else None for number, need in enumerate(ctx.needs_input_grad)
        )


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        (lambda x, y, z: Named.apply(x, z=z), {"x": 0, "z": 2}),
        (lambda x, y, z: Named.apply(z=z, y=y, x=x), {"x": 0, "y": 1, "z": 2}),
        (lambda x, y, z: Named.apply(x, Variable(""), y, z=z), {"x": 0, "y": 2, "z": 3}),
        (lambda x, y, z: Named.apply(z=x, other=y, x=z), {"z": 0, "x": 2, "y": 3}),
    ],
)
def test_keywords_are_arguments_in_the_order_of_the_signature(
    inline: Lab, call: Callable[..., Variable], expected: dict[str, int]
) -> None:
    given = {name: leaf(name, name) for name in "xyz"}
    call(**given).backward(WRONG)
    assert {name: texts(x) for name, x in given.items() if x.grad} == {
        name: [f"argument {number}"] for name, number in expected.items()
    }


def test_keywords_of_an_evaluator_out_of_order(inline: Lab) -> None:
    from afnio.autodiff.ops import ExactMatchEvaluator

    x = leaf("low")
    ExactMatchEvaluator.apply(target=Variable("high"), prediction=x).explanation.backward()
    assert len(x.grad) == 1


def test_an_output_has_one_origin(inline: Lab) -> None:
    """What a forward returns that is not its own is copied: inputs, leaves, one object twice."""
    known = Parameter("k", "known")

    class Same(Function):
        @staticmethod
        def forward(ctx: Any, x: Variable) -> Any:
            new = Variable("n", "new")
            return x, known, new, new

        @staticmethod
        def backward(ctx: Any, *given: Variable) -> Variable:
            return Variable("|".join(one.data for one in given))

    x = leaf()
    outputs = Same.apply(x)
    assert [output.output_nr for output in outputs] == [0, 1, 2, 3]
    assert len({id(output) for output in outputs}) == 4
    assert (x.is_leaf, known.is_leaf) == (True, True)
    inline.backward(outputs, [Variable(f"f{number}") for number in range(4)])
    assert texts(x) == ["f0|f1|f2|f3"]
    assert known.grad == []


def test_it_runs_in_the_thread_that_called_backward(engine: str, served: tuple[LMServer, Served]) -> None:
    places: list[threading.Thread] = []

    class Where(Shout):
        @staticmethod
        def backward(ctx: Any, grad_output: Variable) -> Any:
            places.append(threading.current_thread())
            return grad_output, None

    prompt, x = Parameter("Do {x}", "prompt"), leaf()
    with open_lab(engine, "sync", *served) as lab:
        answer = lab.chat([system(prompt)], inputs={"x": Where.apply(x)})
        x.register_hook(lambda gradient: places.append(threading.current_thread()))
        lab.backward(Where.apply(answer), WRONG)
    assert places == [threading.current_thread()] * 3


def test_its_backward_may_call_a_model_itself(lab: Lab) -> None:
    class Asking(Function):
        @staticmethod
        def forward(ctx: Any, x: Variable) -> Variable:
            return Variable(x.data, x.role)

        @staticmethod
        def backward(ctx: Any, grad_output: Variable) -> Variable:
            said = F.chat_completion(
                lab.client, [user(Variable("Say it kindly: {it}"))], {"it": grad_output.data}, model="brain"
            )
            return Variable(said.data, "kind feedback")

    lab.brain.rule = lambda ask, role: f"kindly, {ask.user}" if role == "forward" else '{"feedback": []}'
    x = leaf()
    lab.backward(Asking.apply(x), WRONG)
    assert texts(x) == ["kindly, Say it kindly: wrong"]


def test_its_async_backward_may_await_a_model(lab: Lab) -> None:
    class Asking(Function):
        @staticmethod
        async def forward(ctx: Any, x: Variable) -> Variable:
            said = await F.achat_completion(lab.client, [user(x)], model="brain")
            return Variable(said.data, "kind")

        @staticmethod
        async def backward(ctx: Any, grad_output: Variable) -> Variable:
            said = await F.achat_completion(lab.client, [user(Variable("Kindly"))], model="brain")
            return Variable(said.data, "kind feedback")

    x = leaf()
    result = Asking.apply(x)
    assert [node.name() for node, _ in result.grad_fn.next_functions if node] == ["AccumulateGrad"]  # no inner graph
    lab.backward(result, WRONG)
    assert texts(x) == ["answer"]
    assert lab.calls() == {"forward": 2}


def test_it_is_not_called_where_there_is_nothing_to_improve(lab: Lab) -> None:
    class Never(Shout):
        @staticmethod
        def backward(ctx: Any, grad_output: Variable) -> Any:
            raise AssertionError("called")

    x = leaf("a")
    lab.backward(F.exact_match_evaluator(Never.apply(x), "A!"))
    assert texts(x) == [""]


def test_forward_builds_no_graph_inside_and_none_without_need(inline: Lab) -> None:
    seen: list[bool] = []

    class Look(Function):
        @staticmethod
        def forward(ctx: Any, x: Variable) -> Variable:
            seen.append(is_grad_enabled())
            assert (x + x).grad_fn is None
            return Variable("y")

    assert Look.apply(leaf()).grad_fn is not None
    assert Look.apply(Variable("a")).grad_fn is None
    with no_grad():
        assert Look.apply(leaf()).grad_fn is None
        assert is_grad_enabled() is False
    assert seen == [False] * 3


def test_what_a_function_lacks_is_named(inline: Lab) -> None:
    class Nothing(Function):
        pass

    class NoBackward(Function):
        @staticmethod
        def forward(ctx: Any, x: Variable) -> Variable:
            return Variable("y")

    class Text(NoBackward):
        @staticmethod
        def forward(ctx: Any, x: Variable) -> Any:
            return "y"

    with pytest.raises(NotImplementedError, match="forward"):
        Nothing.apply(leaf())
    with pytest.raises(NotImplementedError, match="backward"):
        NoBackward.apply(leaf()).backward(WRONG)
    with pytest.raises(TypeError, match="Variable or a tuple of Variables, got str"):
        Text.apply(leaf())
    with pytest.raises(NotImplementedError, match="setup_context"):
        Function.setup_context(None, (), None)
    with pytest.raises(RuntimeError, match="not instantiated"):
        Shout()
