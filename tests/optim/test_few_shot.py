"""FewShot: which examples it gathers, which sets it tries, when it holds one."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import afnio
from afnio import functional as F
from afnio.cognitive import Demos, Parameter
from afnio.models.lm_server.ask import Ask
from afnio.optim import Evaluation, FewShot
from afnio.optim.few_shot import KEPT, Demo
from afnio.optim.functional import afew_shot, few_shot
from afnio.variable import Variable
from tests.autodiff.lab import Lab, by_role, open_lab, system, user

RIGHT = {"red": "colour", "blue": "colour", "oak": "tree", "elm": "tree", "cat": "animal", "dog": "animal"}


def learns(ask: Ask) -> str:
    """Right about "red", and about every word whose kind an example shows."""
    right = RIGHT.get(ask.user, "?")
    return right if ask.user == "red" or f"<output>{right}</output>" in ask.system else "unknown"


def parrots(ask: Ask) -> str:
    """Right only about words that are examples themselves."""
    right = RIGHT.get(ask.user, "?")
    return right if ask.user == "red" or f"<input>{ask.user}</input>\n<output>{right}</output>" in ask.system else "no"


def closure_of(lab: Lab, demos: Demos, words: list[str] | None = None, single: bool = False) -> Callable[[], Any]:
    """What evaluates ``demos``: one call for all words, or one for each."""
    asked = list(RIGHT) if words is None else words
    messages = [system(Variable("Say the kind.", "prompt"), demos), user(Variable("{x}"))]

    def sync() -> Any:
        if single:
            return [
                F.exact_match_evaluator(
                    F.chat_completion(lab.client, messages, {"x": word}, model="brain"), RIGHT[word]
                )
                for word in asked
            ]
        answer = F.chat_completion(lab.client, messages, {"x": asked}, model="brain")
        return F.exact_match_evaluator(answer, [RIGHT[word] for word in asked])

    async def one(word: str) -> Any:
        return F.exact_match_evaluator(
            await F.achat_completion(lab.client, messages, {"x": word}, model="brain"), RIGHT[word]
        )

    async def later() -> Any:
        if single:
            return list(await asyncio.gather(*[one(word) for word in asked]))
        answer = await F.achat_completion(lab.client, messages, {"x": asked}, model="brain")
        return F.exact_match_evaluator(answer, [RIGHT[word] for word in asked])

    return sync if lab.drive == "sync" else later


def gathered(optimizer: FewShot, demos: Demos) -> list[tuple[str, str, str]]:
    return [(demo.given, demo.answer, demo.kind) for demo in optimizer.state[demos]["demos"]]


@pytest.mark.parametrize("single", [False, True])
def test_right_answers_and_targets_become_examples_and_sets_that_help_are_held(lab: Lab, single: bool) -> None:
    lab.brain.rule = by_role(forward=learns)
    demos = Demos()
    optimizer = FewShot([demos], max_labelled=3)
    lab.step(optimizer, closure_of(lab, demos, single=single))
    assert gathered(optimizer, demos) == [
        (word, kind, "bootstrapped" if word == "red" else "labelled") for word, kind in RIGHT.items()
    ]
    assert demos.data
    assert all(RIGHT[word] == kind for word, kind in demos.data)
    assert set(lab.calls()) == {"forward"}
    (update,) = optimizer.last_updates
    assert "Better by" in update.reasoning
    assert (update.before, update.after) == ([], demos.data)


def test_an_example_is_no_proof_of_itself(lab: Lab) -> None:
    lab.brain.rule = by_role(forward=parrots)
    demos = Demos()
    optimizer = FewShot([demos])
    for _ in range(2):
        lab.step(optimizer, closure_of(lab, demos))
    assert (demos.data, optimizer.last_updates) == ([], [])
    assert len(optimizer.state[demos]["demos"]) == len(RIGHT)


def test_nothing_to_show_is_no_call_more(inline: Lab) -> None:
    inline.brain.rule = by_role(forward=lambda ask: "no")
    demos = Demos()
    optimizer = FewShot([demos], max_labelled=0)
    optimizer.step(closure_of(inline, demos))
    assert inline.calls() == {"forward": len(RIGHT)}
    optimizer.step(lambda: [1, 0])  # scores without a graph
    optimizer.step(lambda: Evaluation([1.0], ["a"]))
    assert demos.data == []


def test_the_present_set_is_not_tried_again(inline: Lab) -> None:
    inline.brain.rule = by_role(forward=lambda ask: RIGHT[ask.user] if ask.user == "red" else "no")
    demos = Demos([("red", "colour")])
    optimizer = FewShot([demos], max_labelled=0, candidates=3, reuse_answers=False)
    optimizer.step(closure_of(inline, demos))
    assert inline.calls() == {"forward": len(RIGHT)}


def test_all_right_is_no_call_more_and_gives_examples(lab: Lab) -> None:
    lab.brain.rule = by_role(forward=lambda ask: RIGHT[ask.user])
    demos = Demos()
    optimizer = FewShot([demos])
    lab.step(optimizer, closure_of(lab, demos, ["red", "oak"]))
    assert lab.calls() == {"forward": 2}
    assert gathered(optimizer, demos) == [("red", "colour", "bootstrapped"), ("oak", "tree", "bootstrapped")]


def test_each_of_several_calls_gets_examples_of_its_own_inputs_and_answers(inline: Lab) -> None:
    """The first call's answer is not what is evaluated: it is an example only where all came out right."""
    first, second = Demos(role="examples of the first"), Demos(role="examples of the second")

    def forward(ask: Ask) -> str:
        return f"{ask.user}!" if "Shout" in ask.system else ask.user.lower()

    inline.brain.rule = by_role(forward=forward)

    def closure() -> Any:
        loud = inline.chat([system(Variable("Shout."), first), user(Variable("{x}"))], {"x": ["a", "B"]})
        calm = inline.chat([system(Variable("Calm."), second), user(Variable("{loud}"))], {"loud": loud})
        return F.exact_match_evaluator(calm, ["a!", "x"])

    optimizer = FewShot([first, second])
    optimizer.step(closure)
    assert gathered(optimizer, first) == [("a", "a!", "bootstrapped")]
    assert gathered(optimizer, second) == [("a!", "a!", "bootstrapped"), ("B!", "x", "labelled")]


def test_what_the_user_says_is_the_input_where_there_are_no_inputs(inline: Lab) -> None:
    demos, prompt = Demos(), Parameter("Help.", "prompt")
    inline.brain.rule = by_role(forward=lambda ask: "yes")

    def closure() -> Any:
        answer = inline.chat([system(prompt, demos), user(Variable("hello"), Variable(["one", "two"]))])
        return F.exact_match_evaluator(answer, ["yes", "no"])

    optimizer = FewShot([demos])
    optimizer.step(closure)
    assert gathered(optimizer, demos) == [("hello\none", "yes", "bootstrapped"), ("hello\ntwo", "no", "labelled")]


def test_several_inputs_are_named_and_what_is_learned_is_left_out(inline: Lab) -> None:
    demos, rules = Demos(), Parameter("Be kind.", "rules")
    inline.brain.rule = by_role(forward=lambda ask: "yes")
    messages = [system(Variable("{rules} {demos}")), user(Variable("{a} {b}"))]

    def closure() -> Any:
        answer = inline.chat(messages, {"rules": rules, "demos": demos, "a": ["1", "2"], "b": "x"})
        return F.exact_match_evaluator(answer, ["yes", "yes"])

    optimizer = FewShot([demos])
    optimizer.step(closure)
    assert [given_ for given_, _, _ in gathered(optimizer, demos)] == ["a: 1\nb: x", "a: 2\nb: x"]


@settings(max_examples=40, deadline=None)
@given(
    bootstrapped=st.integers(0, 3),
    labelled=st.integers(0, 3),
    candidates=st.integers(1, 5),
    seed=st.integers(0, 9),
    batches=st.lists(st.lists(st.sampled_from(list(RIGHT)), min_size=1, unique=True), max_size=4),
)
def test_laws_of_the_sets(
    bootstrapped: int, labelled: int, candidates: int, seed: int, batches: list[list[str]]
) -> None:
    if not bootstrapped + labelled:
        return
    with open_lab() as lab:
        lab.brain.rule = by_role(forward=learns)
        demos = Demos()
        optimizer = FewShot([demos], bootstrapped, labelled, candidates=candidates, seed=seed, reuse_answers=False)
        for batch in batches:
            lab.brain.asked.clear()
            before = list(demos.data)
            optimizer.step(closure_of(lab, demos, batch))
            assert len(lab.brain.asked) <= (1 + candidates) * len(batch)
            kinds = {given_: kind for given_, _, kind in gathered(optimizer, demos)}
            assert len(demos.data) <= bootstrapped + labelled
            assert len({given_ for given_, _ in demos.data}) == len(demos.data)
            assert demos.data == before or {given_ for given_, _ in demos.data} <= set(kinds)
            assert all(answer == RIGHT[given_] for given_, answer in demos.data)


def test_the_state_brings_back_what_was_gathered(inline: Lab) -> None:
    inline.brain.rule = by_role(forward=learns)
    demos, other = Demos(), Demos()
    one, two = FewShot([demos], seed=4), FewShot([other], 1, 1, seed=4)
    one.step(closure_of(inline, demos))
    stream = io.BytesIO()
    afnio.save(one.state_dict(), stream)
    stream.seek(0)
    two.load_state_dict(afnio.load(stream))
    other.data = demos.data
    assert gathered(two, other) == gathered(one, demos)
    assert two.param_groups[0]["max_labelled"] == 4
    two.tell_as({}, 1)
    for optimizer, param in ((one, demos), (two, other)):
        optimizer.step(closure_of(inline, param, ["oak", "cat", "blue"]))
    assert (other.data, gathered(two, other)) == (demos.data, gathered(one, demos))


def test_an_undo_takes_the_set_back_and_leaves_what_was_gathered(inline: Lab) -> None:
    inline.brain.rule = by_role(forward=learns)
    demos = Demos()
    optimizer = FewShot([demos])
    before = optimizer.snapshot()
    optimizer.step(closure_of(inline, demos))
    assert demos.data
    optimizer.restore(before)
    assert demos.data == []
    assert len(optimizer.state[demos]["demos"]) == len(RIGHT)


def test_what_is_gathered_is_bounded(inline: Lab) -> None:
    inline.brain.rule = by_role(forward=lambda ask: "yes")
    demos = Demos()
    optimizer = FewShot([demos], candidates=1)
    words = [f"word {number}" for number in range(3 * KEPT)]
    answer_messages = [system(Variable("Help."), demos), user(Variable("{x}"))]

    def closure() -> Any:
        return F.exact_match_evaluator(inline.chat(answer_messages, {"x": words}), ["yes", "no", "no"] * KEPT)

    optimizer.step(closure)
    kinds = [kind for _, _, kind in gathered(optimizer, demos)]
    assert (kinds.count("bootstrapped"), kinds.count("labelled")) == (KEPT, KEPT)
    assert gathered(optimizer, demos)[-1][0] == words[-1]


def test_a_closure_that_fails_changes_nothing(lab: Lab) -> None:
    lab.brain.rule = by_role(forward=learns)
    demos, calls = Demos([("a", "b")]), [0]
    evaluate = closure_of(lab, demos)

    def closure() -> Any:
        calls[0] += 1
        if calls[0] == 3:
            raise KeyError("broken")
        return evaluate()

    with pytest.raises(KeyError):
        lab.step(FewShot([demos]), closure)
    assert demos.data == [["a", "b"]]


@pytest.mark.parametrize(
    ("build", "error", "says"),
    [
        (lambda: FewShot([Parameter("a", "prompt")]), TypeError, "Give it to TGD or Evolution"),
        (lambda: FewShot([Demos()], 0, 0), ValueError, "both 0"),
        (lambda: FewShot([Demos()], -1), ValueError, "max_bootstrapped must be an int of at least 0"),
        (lambda: FewShot([Demos()], candidates=0), ValueError, "candidates must be"),
        (lambda: FewShot([{"params": [Demos()], "max_labelled": "3"}]), ValueError, "max_labelled"),
        (lambda: FewShot([]), ValueError, "empty parameter list"),
    ],
)
def test_what_makes_no_sense_is_refused(build: Any, error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        build()


def test_a_step_needs_a_closure(inline: Lab) -> None:
    with pytest.raises(ValueError, match=r"optimizer.step\(closure\)"):
        FewShot([Demos()]).step()


@pytest.mark.parametrize("how", ["sync", "async"])
def test_the_functional_form_is_the_same_step(inline: Lab, how: str) -> None:
    inline.brain.rule = by_role(forward=learns)
    one, other, kept = Demos(), Demos(), [[]]  # type: ignore[var-annotated]
    optimizer = FewShot([other], seed=5)
    for step in range(2):
        closure = closure_of(inline, one)
        if how == "sync":
            few_shot([one], closure, kept, step=step, seed=5)
        else:
            asyncio.run(afew_shot([one], closure, kept, step=step, seed=5))
        optimizer.step(closure_of(inline, other))
    assert one.data == other.data != []
    assert all(isinstance(demo, Demo) for demo in kept[0])
    assert [(d.given, d.answer, d.kind) for d in kept[0]] == gathered(optimizer, other)
    with pytest.raises(ValueError, match="same length"):
        few_shot([one], lambda: 1, [])


def test_no_client_is_needed() -> None:
    assert "model_client" not in FewShot([Demos()]).param_groups[0]
