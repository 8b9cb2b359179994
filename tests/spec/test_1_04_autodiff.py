"""`afnio.autodiff`: what is not tested elsewhere."""

from __future__ import annotations

from typing import Any

import pytest

import afnio
from afnio import Variable, _dispatch, autodiff
from afnio.autodiff import Function, GradientEdge, config, evaluator
from afnio.cognitive import functional as F
from tests.spec.signatures import takes


def test_its_names_and_signatures() -> None:
    takes(autodiff.backward, "variables, grad_variables=None, retain_graph=None, create_graph=False, inputs=None")
    assert autodiff.function.Function is Function
    assert autodiff.decorators.evaluator is evaluator
    assert autodiff.graph.Node is afnio.Node
    assert (config.IDENTITY_GRADIENT_DATA, config.BACKWARD_PASS_MAX_RETRIES) == ("", 3)
    ops = {"Add", "Sum", "Split", "ChatCompletion", "DeterministicEvaluator", "ExactMatchEvaluator", "LMJudgeEvaluator"}
    assert ops <= set(_dispatch.ops)


def test_set_grad_enabled_called_as_a_function_stays() -> None:
    try:
        afnio.set_grad_enabled(False)
        assert not afnio.is_grad_enabled()
    finally:
        afnio.set_grad_enabled(True)
    assert afnio.is_grad_enabled()


def test_a_function_is_not_instantiated_and_must_be_filled_in() -> None:
    with pytest.raises(RuntimeError):
        Function()
    calls: Any = (
        lambda: Function.forward(None),
        lambda: Function.backward(None),
        lambda: Function.setup_context(None, (), None),
    )
    for call in calls:
        with pytest.raises(NotImplementedError):
            call()


def test_an_evaluator_is_a_function_class() -> None:
    @evaluator
    class Good(Function):
        pass

    assert Good._is_evaluator
    for wrong in (int, 5, lambda: 0):
        with pytest.raises(TypeError):
            evaluator(wrong)  # type: ignore[type-var]


def test_nodes_and_edges() -> None:
    x = Variable("a", "x", requires_grad=True)
    node = (x + Variable("b", "y")).grad_fn
    assert node.name() == "AddBackward"
    assert str(node).startswith("<AddBackward")
    assert [type(edge) for edge in node.next_functions] == [GradientEdge, GradientEdge]
    assert node.next_functions[1].node is None
    assert GradientEdge._fields == ("node", "output_nr")
    assert isinstance(node.node_id, int)
    with pytest.raises(NotImplementedError):
        node.apply()


def test_roles_are_made_of_the_roles_of_the_inputs() -> None:
    x, y = Variable("a b", "x", requires_grad=True), Variable("c", "y")
    assert F.add(x, y).role == "x and y"
    assert F.sum([x, y, x]).role == "x and y and x"
    assert [part.role for part in F.split(x)] == ["split part 0 of x", "split part 1 of x"]
    score, explanation = F.exact_match_evaluator(x, "c")
    assert score.role == "Evaluation result score of x"
    assert explanation.role == "Evaluation result explanation of x"
    assert score.requires_grad
    assert explanation.requires_grad
    assert not F.exact_match_evaluator(y, "c")[0].requires_grad
    assert (score.output_nr, explanation.output_nr, score.grad_fn is explanation.grad_fn) == (0, 1, True)


def test_sum_wraps_texts_as_items_and_adds_numbers() -> None:
    assert F.sum([Variable("a"), Variable("b")]).data == "<ITEM>a</ITEM><ITEM>b</ITEM>"
    assert F.sum([Variable(1), Variable(2)]).data == 3
    with pytest.raises(TypeError):
        F.sum([Variable("a"), "b"])  # type: ignore[list-item]


def test_split_takes_variables_and_fills_up() -> None:
    parts = F.split(Variable(["a,b", "c"], "x"), Variable(","), Variable(-1))
    assert [part.data for part in parts] == [["a", "c"], ["b", ""]]
    with pytest.raises(TypeError):
        F.split("a")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda: F.add(Variable([1]), Variable(1)), ValueError),
        (lambda: F.add(Variable([1]), Variable([1, 2])), ValueError),
        (lambda: F.exact_match_evaluator(Variable(["a", "b"]), ["a"]), ValueError),
        (lambda: F.exact_match_evaluator(Variable("a"), "a", sum, ""), ValueError),
        (lambda: F.exact_match_evaluator("a", "a"), TypeError),  # type: ignore[arg-type]
    ],
)
def test_wrong_arguments_are_these_errors(call: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        call()


def scored(prediction: str, target: str) -> int:
    assert isinstance(prediction, str)
    assert isinstance(target, str)
    return int(prediction == target)


def test_eval_fn_is_called_for_each_sample_with_raw_data() -> None:
    prediction = Variable(["a", "b"], "p", requires_grad=True)
    loss = F.deterministic_evaluator(prediction, ["a", "c"], scored, "equality", None, sum, "summation")
    assert loss.score.data == 1
    assert "summation" in loss.explanation.data
    alone = F.deterministic_evaluator(Variable("a", "p"), "b", scored, "equality", None, None, "summation")
    for said in ("'equality'", "a", "b", "0"):
        assert said in alone.explanation.data
    lists = F.exact_match_evaluator(prediction, ["a", "c"], None)
    assert lists.score.data == [1, 0]
    assert len(lists.explanation.data) == 2
