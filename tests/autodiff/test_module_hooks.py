"""Backward hooks of Modules, over every engine: what they see, what they change, and that they cost nothing else."""

from __future__ import annotations

import asyncio
import copy
import pickle
from typing import Any

import pytest

import afnio.cognitive as cog
from afnio import functional as F
from afnio import no_grad
from afnio.cognitive.module import register_module_full_backward_hook, register_module_full_backward_pre_hook
from afnio.parameter import Parameter
from afnio.variable import Variable
from tests.autodiff.lab import Lab, samples, system, texts


def said(gradients: Any) -> Any:
    return tuple(None if gradient is None else gradient.data for gradient in gradients)


class Join(cog.Module):
    """Two values joined; the second argument and what is no Variable pass by."""

    def forward(self, x: Variable, note: str, y: Variable) -> tuple[Variable, str]:
        return x + y, note


def leaf(text: Any = "a") -> Variable:
    return Variable(text, "leaf", requires_grad=True)


class Answer(cog.Module):
    def __init__(self) -> None:
        super().__init__()
        self.prompt = Parameter("Do {x}", "prompt")
        self.chat = cog.ChatCompletion()

    def forward(self, client: Any, x: Any) -> Any:
        return self.chat(client, [system(self.prompt)], inputs={"x": x}, model="m")


def test_hooks_see_feedback_on_outputs_and_inputs_in_torchs_order(lab: Lab) -> None:
    seen: list[Any] = []
    module, x, y = Join(), leaf(), leaf("b")

    def before(which: str) -> Any:
        return lambda m, grads: seen.append((which, m is module, said(grads)))

    def after(which: str) -> Any:
        return lambda m, ins, outs: seen.append((which, m is module, said(ins), said(outs)))

    module.register_full_backward_pre_hook(before("pre 2"))
    module.register_full_backward_pre_hook(before("pre 1"), prepend=True)
    module.register_full_backward_hook(after("post 2"))
    module.register_full_backward_hook(after("post 1"), prepend=True)
    handles = [
        register_module_full_backward_pre_hook(before("every pre")),
        register_module_full_backward_hook(after("every post")),
    ]
    try:
        out, note = module(x, "as it is", y)
    finally:
        for handle in handles:
            handle.remove()
    assert (out.data, out.role, note) == ("ab", "leaf and leaf", "as it is")
    lab.backward(out, Variable("too long"))
    told = "too long"
    assert seen == [
        *((name, True, (told, None)) for name in ("every pre", "pre 1", "pre 2")),
        *((name, True, (told, None, told), (told, None)) for name in ("every post", "post 1", "post 2")),
    ]
    assert texts(x) == texts(y) == [told]


def test_only_feedback_that_goes_through_the_module_is_seen(lab: Lab) -> None:
    module, seen = Join(), []
    x, y = leaf(), leaf("b")
    module.register_full_backward_hook(lambda m, ins, outs: seen.append(said(ins)))
    lab.backward(x + module(x, "", y)[0], Variable("again"))
    assert seen == [("again", None, "again")]
    assert texts(x) == ["again", "again"]


def test_what_hooks_return_takes_the_place_of_feedback(lab: Lab) -> None:
    module, x, y = Join(), leaf(), leaf("b")
    module.register_full_backward_pre_hook(lambda m, outs: (Variable(outs[0].data.upper()), None))
    module.register_full_backward_hook(lambda m, ins, outs: [Variable(f"x: {ins[0].data}"), None, ins[2]])
    lab.backward(module(x, "", y)[0], Variable("too long"))
    assert (texts(x), texts(y)) == (["x: TOO LONG"], ["TOO LONG"])


def test_without_variables_among_the_arguments_the_feedback_on_the_output_is_seen(lab: Lab) -> None:
    agent, seen = Answer(), []
    agent.chat.register_full_backward_hook(lambda m, ins, outs: seen.append((said(ins), said(outs))))
    agent.register_full_backward_pre_hook(lambda m, outs: seen.append(said(outs)))
    lab.backward(F.exact_match_evaluator(agent(lab.client, ["a", "b"]), ["answer", "x"]))
    told = seen[0][0]
    assert "x" in told
    assert seen == [(told,), ((None, None), (told,))]
    assert texts(agent.prompt) == ["say it better"]
    assert samples(agent.prompt) == [("1",)]


def test_hooks_change_no_request_and_no_feedback(lab: Lab) -> None:
    asked = []
    for hooked in (False, True):
        lab.brain.asked.clear()
        agent = Answer()
        evaluate = cog.ExactMatchEvaluator()
        if hooked:
            for module in [*agent.modules(), evaluate]:
                module.register_full_backward_pre_hook(lambda m, outs: None)
                module.register_full_backward_hook(lambda m, ins, outs: None)
        lab.backward(evaluate(agent(lab.client, ["a", "b", "c"]), ["x", "answer", "y"]))
        asked.append(([one.user for one in lab.brain.of("backward")], texts(agent.prompt), samples(agent.prompt)))
    assert asked[0] == asked[1]


def test_a_loss_stays_a_loss_and_one_that_is_right_sends_nothing(inline: Lab) -> None:
    evaluate, seen, x = cog.ExactMatchEvaluator(), [], leaf()
    evaluate.register_full_backward_hook(lambda m, ins, outs: seen.append(said(ins)))
    loss = evaluate(x, "b")
    assert (loss.score.data, loss[0] is loss.score) == (0, True)
    inline.backward(loss)
    assert len(texts(x)) == len(seen) == 1
    inline.backward(evaluate(leaf("b"), "b"))
    assert len(seen) == 1


def test_nothing_is_watched_where_no_graph_is_built(inline: Lab) -> None:
    module = Join()
    module.register_full_backward_hook(lambda m, ins, outs: pytest.fail("called"))
    with no_grad():
        assert module(leaf(), "", leaf())[0].grad_fn is None
    x = Variable("a")
    assert module(x, "", x)[0].grad_fn is None
    handle = module.register_full_backward_pre_hook(lambda m, outs: None)
    handle.remove()
    assert module(leaf(), "", leaf())[0].requires_grad


def test_an_async_module_has_them_too(inline: Lab) -> None:
    class Later(Join):
        async def forward(self, x: Variable, note: str, y: Variable) -> Any:  # type: ignore[override]
            await asyncio.sleep(0)
            return x + y

    module, seen, x = Later(), [], leaf()
    module.register_full_backward_hook(lambda m, ins, outs: seen.append((said(ins), said(outs))))
    for call in (module.acall, module):
        inline.backward(asyncio.run(call(x, "", leaf("b"))), Variable("f"))
    assert seen == [(("f", None, "f"), ("f",))] * 2
    assert texts(x) == ["f", "f"]


@pytest.mark.parametrize(
    ("returned", "error", "says"),
    [
        (lambda n: (Variable("a"),) * (n + 1), RuntimeError, "returned an invalid number of grad_.*, got"),
        (lambda n: ("text",) * n, TypeError, "must return Variables or None, got str"),
    ],
)
def test_a_hook_that_returns_something_else_is_an_error_and_changes_nothing(
    inline: Lab, returned: Any, error: type[Exception], says: str
) -> None:
    for register, count in (("register_full_backward_pre_hook", 2), ("register_full_backward_hook", 3)):
        module, x = Join(), leaf()
        getattr(module, register)(lambda *_, count=count: returned(count))
        out = module(x, "", leaf("b"))[0]
        with pytest.raises(error, match=says):
            inline.backward(out, Variable("f"))
        assert texts(x) == []


def test_a_hook_without_inputs_may_return_nothing_but_none(inline: Lab) -> None:
    agent = Answer()
    agent.register_full_backward_hook(lambda m, ins, outs: (Variable("x"), None))
    with pytest.raises(RuntimeError, match="no input requires gradient should always return None"):
        inline.backward(agent(inline.client, ["a"]), Variable("f"))


def module_hook(module: Any, *gradients: Any) -> None: ...


def test_hooks_are_copied_and_pickled_with_the_module() -> None:
    module = Join()
    module.register_full_backward_hook(module_hook)
    module.register_forward_hook(module_hook)
    for other in (copy.deepcopy(module), pickle.loads(pickle.dumps(module))):
        assert list(other._backward_hooks.values()) == [module_hook]
        assert len(other._forward_hooks) == 1
