"""Evaluators: scores, the words they say, which samples they call right, and feedback made by code."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from afnio import functional as F
from afnio.autodiff import Function, Loss, evaluator
from afnio.parameter import Parameter
from afnio.variable import Variable
from tests.autodiff.lab import Lab, open_lab, samples, system, texts, user

labels = st.lists(st.sampled_from(["low", "high"]), min_size=1, max_size=6)


def exact(prediction: Any, target: Any, **kwargs: Any) -> Loss:
    return F.exact_match_evaluator(Variable(prediction, "urgency", requires_grad=True), target, **kwargs)


def same(prediction: str, target: str) -> int:
    return int(prediction == target)


# what they return


def test_a_single_match_says_purpose_values_and_score() -> None:
    loss = exact("low", "high")
    assert (loss.score.data, loss.score.role) == (0, "Evaluation result score of urgency")
    assert loss.explanation.role == "Evaluation result explanation of urgency"
    said = loss.explanation.data
    assert "'exact match'" in said
    assert "('low')" in said
    assert "('high')" in said
    assert said.endswith("score 0.")
    assert exact("low", "low").score.data == 1


def test_a_batch_says_how_it_was_reduced() -> None:
    loss = exact(["low", "high", "low"], ["low", "low", "low"])
    assert loss.score.data == 2
    assert "'exact match'" in loss.explanation.data
    assert "'summation'" in loss.explanation.data
    assert "the score 2" in loss.explanation.data
    assert "3 predictions" in loss.explanation.data


def test_without_reduction_scores_and_explanations_stay_lists() -> None:
    loss = exact(["low", "high"], ["low", "low"], reduction_fn=None)
    assert loss.score.data == [1, 0]
    assert [("('low')" in text, "score" in text) for text in loss.explanation.data] == [(True, True), (True, True)]
    assert "('high')" in loss.explanation.data[1]


@given(labels, labels)
def test_exact_match_counts_the_equal_ones(predictions: list[str], targets: list[str]) -> None:
    size = min(len(predictions), len(targets))
    predictions, targets = predictions[:size], targets[:size]
    assert exact(predictions, targets).score.data == sum(map(same, predictions, targets))
    mean = exact(predictions, Variable([*targets]), reduction_fn=lambda s: sum(s) / len(s), reduction_fn_purpose="mean")
    assert mean.score.data == sum(map(same, predictions, targets)) / size


def test_the_result_is_a_tuple_with_backward() -> None:
    loss = exact("low", "high")
    score, explanation = loss
    assert loss[0] is score is loss.score
    assert loss[1] is explanation
    assert score.grad_fn is explanation.grad_fn
    assert (score.output_nr, explanation.output_nr) == (0, 1)
    assert score.requires_grad
    assert not F.exact_match_evaluator(Variable("low"), "high").score.requires_grad


def test_an_eval_fn_is_given_plain_values_of_each_sample() -> None:
    seen = []

    def distance(prediction: Any, target: Any) -> float:
        seen.append((prediction, target))
        return float(abs(prediction - target) / 10)

    loss = F.deterministic_evaluator(
        Variable([1, 4], "count"), Variable([1, 9]), distance, "closeness", None, max, "the worst"
    )
    assert seen == [(1, 1), (4, 9)]
    assert loss.score.data == 0.5
    assert "'closeness'" in loss.explanation.data
    assert "'the worst'" in loss.explanation.data


def test_a_prediction_that_is_missing_scores_zero() -> None:
    assert exact([None, "low"], ["low", "low"], reduction_fn=None).score.data == [0, 1]


def test_purposes_may_be_variables() -> None:
    loss = F.deterministic_evaluator(Variable("a"), "b", same, Variable("sameness"), None, sum, Variable("adding up"))
    assert "'sameness'" in loss.explanation.data


# what they refuse


@pytest.mark.parametrize(
    ("prediction", "target", "error", "says"),
    [
        (["a", "b"], ["a"], ValueError, "2 items and target 1"),
        (["a"], "a", ValueError, "both be lists"),
        ("a", ["a"], ValueError, "both be lists"),
        ([], [], ValueError, "empty"),
        ("a", None, TypeError, "target must be"),
        ("a", ("a",), TypeError, "target must be"),
    ],
)
def test_pairs_that_do_not_fit(prediction: Any, target: Any, error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        exact(prediction, target)


def test_arguments_of_a_wrong_kind() -> None:
    x = Variable("a")
    with pytest.raises(TypeError, match="prediction must be a Variable, got str"):
        F.exact_match_evaluator("a", "a")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="eval_fn_purpose must not be empty"):
        F.deterministic_evaluator(x, "a", same, " ", None, sum, "sum")
    with pytest.raises(ValueError, match="reduction_fn_purpose must not be empty"):
        F.deterministic_evaluator(x, "a", same, "sameness", None, sum, "")
    with pytest.raises(TypeError, match="eval_fn_purpose must be a string"):
        F.deterministic_evaluator(x, "a", same, 3, None, sum, "sum")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="eval_fn must be a function"):
        F.deterministic_evaluator(x, "a", "same", "sameness", None, sum, "sum")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="a number for each sample, got NoneType"):
        F.deterministic_evaluator(x, "a", lambda p, t: None, "sameness", None, sum, "sum")
    assert F.deterministic_evaluator(x, "a", same, "sameness", None, None, "").score.data == 1


# feedback made by code


@given(labels, labels)
def test_each_failing_sample_says_so_once(predictions: list[str], targets: list[str]) -> None:
    size = min(len(predictions), len(targets))
    predictions, targets = predictions[:size], targets[:size]
    with open_lab() as lab:
        batch = Variable([*predictions], "urgency", requires_grad=True)
        batch._samples = tuple(f"row {number}" for number in range(size))
        F.exact_match_evaluator(batch, targets).backward()
        wrong = [number for number in range(size) if predictions[number] != targets[number]]
        if not wrong:
            assert texts(batch) == [""]
        else:
            assert samples(batch) == [(f"row {number}",) for number in wrong]
            for number, text in zip(wrong, texts(batch), strict=True):
                assert f"('{predictions[number]}')" in text
                assert f"('{targets[number]}')" in text
        assert not lab.brain.asked


def test_samples_without_ids_are_numbered_after_their_evaluator(inline: Lab) -> None:
    batch = Variable(["a", "b"], "x", requires_grad=True)
    single = Variable("a", "y", requires_grad=True)
    losses = [F.exact_match_evaluator(batch, ["b", "a"]), F.exact_match_evaluator(single, "b")]
    inline.backward([loss.explanation for loss in losses], retain_graph=True)
    assert samples(batch) == [("0.0",), ("0.1",)]
    assert samples(single) == [("1",)]
    losses[0].backward()  # alone it needs no number
    assert samples(batch)[2:] == [("0",), ("1",)]


@pytest.mark.parametrize("through", ["score", "explanation", "both", "sum", "add", "split"])
def test_a_loss_may_be_reached_in_several_ways(inline: Lab, through: str) -> None:
    leaf = Variable("low", "urgency", requires_grad=True)
    loss = F.exact_match_evaluator(leaf, "high")
    roots = {
        "score": [loss.score],
        "explanation": [loss.explanation],
        "both": [loss.score, loss.explanation],
        "sum": [F.sum([loss.score, loss.score])],
        "add": [loss.score + Variable(1)],
        "split": [F.split(loss.explanation)[3]],
    }[through]
    inline.backward(roots)
    assert len(leaf.grad) == 1
    assert samples(leaf) == [("0",)]


def test_feedback_given_to_a_loss_comes_after_its_own(inline: Lab) -> None:
    leaf = Variable("low", "urgency", requires_grad=True)
    F.exact_match_evaluator(leaf, "high").backward(Variable("Mind the tone.", "note"))
    assert texts(leaf)[1] == "Mind the tone."
    assert "('high')" in texts(leaf)[0]
    leaf.grad.clear()
    F.exact_match_evaluator(leaf, "low").backward(Variable("Mind the tone.", "note"))
    assert texts(leaf) == ["Mind the tone."]


# right samples cost nothing


def test_all_right_is_one_empty_gradient_and_no_call(lab: Lab) -> None:
    prompt = Parameter("Answer {x}", "prompt")
    lab.brain.rule = lambda ask, role: "yes"
    for hop in range(3):
        answer = lab.chat([system(prompt)], inputs={"x": Variable(["a", "b", "c"])})
        answer = lab.chat([system(prompt), user(answer)], inputs={"x": "more"})
        lab.backward(F.exact_match_evaluator(answer, ["yes"] * 3))
        assert texts(prompt) == [""] * (hop + 1)
    assert set(lab.calls()) == {"forward"}


def test_a_leaf_with_real_feedback_gets_no_empty_gradient(inline: Lab) -> None:
    leaf = Variable("low", "urgency", requires_grad=True)
    right, wrong = F.exact_match_evaluator(leaf, "low"), F.exact_match_evaluator(leaf, "high")
    inline.backward([right.explanation, wrong.explanation])
    assert len(leaf.grad) == 1


def test_a_success_fn_decides_for_the_batch_and_for_each(inline: Lab) -> None:
    asked: list[list[float]] = []

    def enough(scores: list[float]) -> bool:
        asked.append(scores)
        return sum(scores) / len(scores) >= 0.5

    def backward(*predictions: str) -> list[tuple[str, ...]]:
        batch = Variable([*predictions], "x", requires_grad=True)
        F.deterministic_evaluator(batch, ["a"] * len(predictions), same, "same", enough, sum, "sum").backward()
        return samples(batch) if texts(batch) != [""] else []

    assert backward("a", "b") == []  # half is enough
    assert asked == [[1, 0]]
    assert backward("a", "b", "b") == [("1",), ("2",)]


def test_a_success_fn_content_with_each_alone_blames_the_whole_batch(inline: Lab) -> None:
    batch = Variable(["a", "a"], "x", requires_grad=True)
    F.deterministic_evaluator(batch, ["a", "a"], same, "same", lambda scores: len(scores) == 1, sum, "sum").backward()
    assert samples(batch) == [("0",), ("1",)]


# the judge

VERDICT = {"explanation": "too curt", "score": 3}


def test_the_judge_scores_and_its_explanation_is_the_feedback(lab: Lab) -> None:
    lab.brain.rule = lambda ask, role: VERDICT
    answer = Variable("No.", "answer", requires_grad=True)
    prompt = Parameter("Rate {prediction} against {target}, mind {what}", "judge's prompt")
    loss = lab.judge([system(prompt)], answer, "Yes.", inputs={"what": "manners"})
    assert loss.score.data == 3
    assert loss.explanation.data == "too curt"
    assert loss.score.role == "Evaluation result score of answer"
    assert lab.brain.asked[0].ask.system.startswith("Rate No. against Yes., mind manners")
    assert lab.brain.asked[0].ask.schema_name == "afnio_verdict"
    lab.backward(loss)
    assert texts(answer) == ["Judged with the score 3: too curt"]
    assert prompt.grad == []
    assert lab.calls() == {"judge": 1}  # the explanation is there already


def test_a_judge_rates_a_batch_side_by_side_and_in_order(lab: Lab) -> None:
    lab.brain.rule = lambda ask, role: {"explanation": f"on {ask.user}", "score": len(ask.user)}
    answers = Variable(["a", "bbb", "cc"], "answers", requires_grad=True)
    loss = lab.judge(
        [system(Variable("Rate.")), user(Variable("{prediction}"))], answers, success_fn=lambda scores: min(scores) > 1
    )
    assert loss.score.data == 6
    assert [loss.explanation.data.find(word) > 0 for word in ("on a", "on bbb", "on cc", "'summation'")] == [True] * 4
    lab.backward(loss)
    assert samples(answers) == [("0",)]  # the two others are good enough


def test_a_judge_without_reduction_keeps_lists(inline: Lab) -> None:
    inline.brain.rule = lambda ask, role: VERDICT
    loss = inline.judge([user(Variable("{prediction}"))], Variable(["a", "b"]), reduction_fn=None)
    assert loss.score.data == [3, 3]
    assert loss.explanation.data == ["too curt"] * 2


def test_with_eval_mode_false_feedback_goes_to_the_judge(lab: Lab) -> None:
    lab.brain.rule = lambda ask, role: (
        VERDICT if role == "judge" else {"feedback": [{"variable": "v1", "text": "be milder"}]}
    )
    prompt, answer = Parameter("Rate {prediction}", "judge's prompt"), Variable("No.", "answer", requires_grad=True)
    loss = lab.judge([system(prompt)], answer, eval_mode=False, reduction_fn=None)
    lab.backward(F.exact_match_evaluator(loss.score, 5))
    assert texts(prompt) == ["be milder"]
    assert answer.grad == []
    critic = lab.brain.of("backward")[0].user
    assert '<output>{"explanation": "too curt", "score": 3}</output>' in critic
    assert "('5')" in critic


def test_feedback_on_score_and_explanation_both_reach_the_judge(inline: Lab) -> None:
    inline.brain.rule = lambda ask, role: (
        VERDICT if role == "judge" else {"feedback": [{"variable": "v1", "text": "be milder"}]}
    )
    prompt = Parameter("Rate {prediction}", "judge's prompt")
    loss = inline.judge([system(prompt)], Variable("No."), eval_mode=Variable(False))
    inline.backward([loss.score, loss.explanation], [Variable("too low"), Variable("too short")])
    (asked,) = inline.brain.of("backward")
    assert asked.samples == [("0", ["too low", "too short"])]


def test_a_judge_in_training_needs_feedback(inline: Lab) -> None:
    inline.brain.rule = lambda ask, role: VERDICT
    loss = inline.judge([system(Parameter("Rate {prediction}", "p"))], Variable("No."), eval_mode=False)
    with pytest.raises(RuntimeError, match=r"backward\(gradient="):
        loss.backward()


def test_what_a_judge_refuses(inline: Lab) -> None:
    prompt = [system(Variable("Rate {prediction}"))]
    with pytest.raises(ValueError, match="inputs must not have prediction"):
        inline.judge(prompt, Variable("a"), inputs={"prediction": "b"})
    with pytest.raises(ValueError, match="both be lists"):
        inline.judge(prompt, Variable(["a"]), "a")
    with pytest.raises(ValueError, match="different lengths"):
        inline.judge(prompt, Variable(["a"]), ["a", "b"])
    with pytest.raises(TypeError, match="prediction must be a Variable"):
        inline.judge(prompt, "a")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="reduction_fn_purpose must not be empty"):
        inline.judge(prompt, Variable(["a"]), reduction_fn_purpose="")


@pytest.mark.parametrize(
    ("reply", "fault"),
    [
        ("good", "not JSON"),
        ('{"score": 3}', "no 'explanation'"),
        ('{"score": "high", "explanation": "x"}', "'score' must be a number"),
        ('{"score": null, "explanation": "x"}', "'score' must be a number"),
        ('{"score": 3, "explanation": " "}', "'explanation' must be text"),
    ],
)
def test_a_judge_that_breaks_the_contract_twice_is_an_error(lab: Lab, reply: str, fault: str) -> None:
    lab.brain.rule = lambda ask, role: reply
    with pytest.raises(RuntimeError, match=fault) as error:
        lab.judge([system(Variable("Rate {prediction}. JSON: score, explanation", "judge"))], Variable("a"))
    assert type(error.value).__name__ == "ReplyContractError"
    assert "judge" in str(error.value)
    assert len(lab.brain.asked) == 2


def test_a_score_in_quotes_is_a_number(inline: Lab) -> None:
    inline.brain.rule = lambda ask, role: {"score": "3.5", "explanation": "x"}
    assert inline.judge([system(Variable("{prediction}"))], Variable("a")).score.data == 3.5


@pytest.mark.parametrize("reply", ['{"score": NaN, "explanation": "x"}', {"score": "inf", "explanation": "x"}])
def test_a_judge_that_scores_nan_or_infinity_breaks_the_contract(inline: Lab, reply: Any) -> None:
    inline.brain.rule = lambda ask, role: reply
    with pytest.raises(RuntimeError, match="'score' must be a number"):
        inline.judge([system(Variable("{prediction}"))], Variable("a"))


@pytest.mark.parametrize(
    ("reduction", "error", "says"),
    [
        ("sum", TypeError, "reduction_fn must be a function of a list of scores, or None, got 'sum'"),
        (lambda scores: float("nan"), ValueError, r"must make a number of the scores, got nan of \[1, 0\]"),
        (lambda scores: "good", ValueError, "must make a number of the scores, got 'good'"),
        (lambda scores: None, ValueError, "must make a number of the scores, got None"),
        (lambda scores: [], ValueError, r"must make a number of the scores, got \[\]"),
    ],
)
def test_a_reduction_makes_a_number(reduction: Any, error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        F.exact_match_evaluator(Variable(["a", "b"]), ["a", "c"], reduction)


@pytest.mark.parametrize("name", ["success_fn", "reduction_fn"])
def test_what_is_no_function_is_refused_before_a_judge_is_asked(inline: Lab, name: str) -> None:
    wrong: dict[str, Any] = {name: "sum"}
    with pytest.raises(TypeError, match=f"{name} must be a function of a list of scores, or None, got 'sum'"):
        inline.judge([system(Variable("{prediction}"))], Variable(["a"]), **wrong)
    assert inline.brain.asked == []
    with pytest.raises(TypeError, match=f"{name} must be a function"):
        F.deterministic_evaluator(
            Variable(["a"]),
            ["a"],
            lambda p, t: 1,
            "x",
            **({"success_fn": all, "reduction_fn": sum} | wrong),
            reduction_fn_purpose="sum",
        )


def test_a_judges_inputs_are_a_dict(inline: Lab) -> None:
    with pytest.raises(TypeError, match="inputs must be a dict of placeholder -> value, got list"):
        inline.judge([system(Variable("{prediction}"))], Variable("a"), inputs=["x"])


# a user's own evaluator


def test_a_users_evaluator_starts_a_backward(lab: Lab) -> None:
    @evaluator
    class Polite(Function):
        @staticmethod
        def forward(ctx: Any, text: Variable) -> Variable:
            return Variable([int("please" in one) for one in text.data], "politeness")

        @staticmethod
        def backward(ctx: Any, on_score: Variable) -> Variable:
            return Variable([None, "say please"], "manners")

    batch = Variable(["please go", "go"], "request", requires_grad=True)
    batch._samples = ("4", "5")
    lab.backward(Polite.apply(batch))
    assert [(g.data, g.samples, g.index) for g in batch.grad] == [("say please", ("5",), 1)]  # type: ignore[attr-defined]


@pytest.mark.parametrize("given_", [int, "Polite", None, lambda: None])
def test_only_functions_can_be_evaluators(given_: Any) -> None:
    with pytest.raises(TypeError, match="subclass of Function"):
        evaluator(given_)
