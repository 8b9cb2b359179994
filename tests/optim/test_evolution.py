"""Evolution: what a step tries, what it holds, and that nothing changes when it fails."""

from __future__ import annotations

import asyncio
import copy
import io
import json
import pickle
import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import afnio
from afnio import functional as F
from afnio.calls import Budget
from afnio.domain import Choice, Number
from afnio.errors import BudgetExceeded, NoEngineError, PlaceholderError, ReplyContractError
from afnio.gradient import Gradient
from afnio.models.lm_server.ask import Ask
from afnio.models.lm_server.roles import task_of
from afnio.models.lm_server.simulation import Refusal
from afnio.models.scripted import Scripted
from afnio.optim import TGD_MESSAGES, Evaluation, Evolution
from afnio.optim.evaluation import read_evaluation
from afnio.optim.functional import aevolution, evolution
from afnio.optim.pool import Pool, mean
from afnio.parameter import Parameter
from afnio.trial import trial
from afnio.variable import Variable
from afnio.words.evolution import DIRECTIONS
from afnio.words.optimizer import OPTIMIZER
from tests.autodiff.lab import Lab, by_role, open_lab, system, user

WORDS = ("one", "two", "three", "four")


def knows(ask: Ask) -> str:
    """The forward model: right about the words that its prompt names."""
    return "yes" if ask.user in ask.system.split() else "no"


def adds(*words: str) -> Callable[[Ask], Any]:
    """An optimizer that adds a word by the direction it is given; a merge takes over the other version's words."""
    directions = [part.text for part in DIRECTIONS.parts]

    def answer(ask: Ask) -> Any:
        task = task_of(ask)
        value = task.split(">", 1)[1].split("</variable>")[0]
        if "The other version:\n" in task:
            other = task.split("The other version:\n")[1].split("</feedback>")[0].split()
            new = [word for word in WORDS if word in other]
        else:
            new = [words[n % len(words)] for n, text in enumerate(directions) if text in task]
        return {"reasoning": "r", "value": " ".join(dict.fromkeys([*value.split(), *new]))}

    return answer


def closure_of(lab: Lab, prompt: Parameter, words: tuple[str, ...] = WORDS) -> Callable[[], Any]:
    """What evaluates ``prompt`` on ``words``, sync or async."""
    messages = [system(prompt), user(Variable("{x}"))]

    def sync() -> Any:
        answer = F.chat_completion(lab.client, messages, {"x": list(words)}, model="brain")
        return F.exact_match_evaluator(answer, ["yes"] * len(words))

    async def later() -> Any:
        answer = await F.achat_completion(lab.client, messages, {"x": list(words)}, model="brain")
        return F.exact_match_evaluator(answer, ["yes"] * len(words))

    return sync if lab.drive == "sync" else later


def make(lab: Lab, prompt: Any, **args: Any) -> Evolution:
    return Evolution([prompt], lab.client, **{"model": "brain", **args})


# a step


def test_proposals_are_tried_side_by_side_and_the_best_is_held(lab: Lab) -> None:
    lab.brain.rule = by_role(forward=knows, optimizer=adds("one", "two three"))
    prompt = Parameter("Know", "prompt")
    optimizer = make(lab, prompt, constraints=["Be kind."])
    loss = lab.step(optimizer, closure_of(lab, prompt))
    assert (loss.score.data, prompt.data) == (0, "Know two three")
    assert lab.calls() == {"forward": 12, "backward": 1, "optimizer": 2}
    first, second = lab.brain.of("optimizer")
    assert {DIRECTIONS.parts[n].text in asked.user for n, asked in enumerate((first, second))} <= {True, False}
    assert all(asked.user.endswith("</direction>\n<constraint>Be kind.</constraint>") for asked in (first, second))
    (update,) = optimizer.last_updates
    assert (update.before, update.after, update.reasoning) == ("Know", "Know two three", "r")
    assert [member.parents for member in optimizer.pool.members] == [(), (0,), (0,)]
    assert prompt.grad == []


def test_candidates_that_are_best_on_different_samples_are_merged(lab: Lab) -> None:
    add = adds("one two", "three")

    def once(ask: Ask) -> Any:
        """Only the start can be improved by feedback."""
        found, task = add(ask), task_of(ask)
        return found if ">Know</variable>" in task or "The other version:" in task else "Know two"

    lab.brain.rule = by_role(forward=knows, optimizer=once)
    prompt = Parameter("Know", "prompt")
    optimizer = make(lab, prompt)
    for _ in range(3):
        lab.step(optimizer, closure_of(lab, prompt))
    assert set(prompt.data.split()) == {"Know", "one", "two", "three"}
    assert any("The other version:" in asked.user for asked in lab.brain.of("optimizer"))
    assert any(len(member.parents) == 2 for member in optimizer.pool.members)


def test_a_merge_of_several_prompts_needs_no_model_where_each_changed_one(inline: Lab) -> None:
    first, second = Parameter("a", "first"), Parameter("b", "second")
    optimizer = Evolution([first, second], inline.client)
    pool = optimizer.pool
    for values, scores in (
        (("a", "b"), {"1": 0, "2": 0}),
        (("A", "b"), {"1": 1, "2": 0}),
        (("a", "B"), {"1": 0, "2": 1}),
    ):
        pool.add(values).scores = dict(scores)
    seen: list[Any] = []

    def closure() -> Evaluation:
        seen.append((first.data, second.data))
        return Evaluation([float(first.data == "A"), float(second.data == "B")], ["1", "2"])

    optimizer.step(closure)
    assert (first.data, second.data) == ("A", "B")
    assert (inline.brain.asked, seen[-1]) == ([], ("A", "B"))


def test_all_right_is_no_call_but_those_of_the_evaluation(lab: Lab) -> None:
    lab.brain.rule = by_role(forward=knows)
    prompt = Parameter("one two", "prompt")
    optimizer = make(lab, prompt)
    optimizer.pool.add(["three four"])
    loss = lab.step(optimizer, closure_of(lab, prompt, ("one", "two")))
    assert (loss.score.data, lab.calls(), prompt.data) == (2, {"forward": 2}, "one two")
    assert optimizer.last_updates == []


def test_a_proposal_that_makes_it_worse_is_never_held_and_is_shown_as_undone(lab: Lab) -> None:
    def worse(ask: Ask) -> Any:
        return {"reasoning": "r", "value": f"forget {len(task_of(ask))}"}

    lab.brain.rule = by_role(forward=knows, optimizer=worse)
    prompt = Parameter("one two", "prompt")
    optimizer = make(lab, prompt)
    for _ in range(2):
        lab.step(optimizer, closure_of(lab, prompt))
        assert (prompt.data, optimizer.last_updates) == ("one two", [])
    assert '<version score="0" status="undone">forget ' in lab.brain.of("optimizer")[-1].user


def test_feedback_and_answers_that_are_there_are_not_paid_for_again(lab: Lab) -> None:
    lab.brain.rule = by_role(forward=knows, optimizer=adds("one"))
    prompt = Parameter("Know", "prompt")
    optimizer, closure = make(lab, prompt), closure_of(lab, prompt)

    def backward_too() -> Any:
        loss = closure()
        if lab.drive == "sync":
            loss.backward()
            return loss

        async def later() -> Any:
            found = await loss
            await found.abackward()
            return found

        return later()

    lab.step(optimizer, backward_too)
    assert lab.calls()["backward"] == 2  # the closure's own: one for the start, one for the candidate
    before = lab.calls()["forward"]
    lab.brain.asked.clear()
    lab.step(optimizer, closure)
    assert before == 8
    assert lab.calls().get("forward", 0) == 0  # the pool's answers are known; what was proposed was tried before


def test_feedback_from_a_backward_before_the_step_is_used(inline: Lab) -> None:
    k = Number(1, 0, 9, role="k")
    k.append_grad(Gradient("more"))
    proposed = iter([5, 7])
    inline.brain.rule = by_role(optimizer=lambda ask: {"reasoning": "r", "value": next(proposed)})
    optimizer = Evolution([k], inline.client)
    optimizer.step(lambda: -abs(k.data - 6))
    assert k.data in (5, 7)
    assert "<feedback>more</feedback>" in inline.brain.asked[0].user
    assert inline.brain.asked[0].user != inline.brain.asked[1].user


def test_choices_are_searched_with_their_prompt(lab: Lab) -> None:
    prompt, kind = Parameter("Know", "prompt"), Choice(["no", "yes"], role="what to say")
    messages = [system(prompt, kind), user(Variable("{x}"))]

    def forward(ask: Ask) -> str:
        return "yes" if "yes" in ask.system else "no"

    def propose(ask: Ask) -> Any:
        value = "yes" if 'role="what to say"' in task_of(ask) else "Know"
        return {"reasoning": "r", "value": value}

    lab.brain.rule = by_role(forward=forward, optimizer=propose)

    async def later() -> Any:
        answer = await F.achat_completion(lab.client, messages, {"x": ["a", "b"]}, model="brain")
        return F.exact_match_evaluator(answer, ["yes"] * 2)

    def sync() -> Any:
        return F.exact_match_evaluator(
            F.chat_completion(lab.client, messages, {"x": ["a", "b"]}, model="brain"), ["yes"] * 2
        )

    lab.step(Evolution([prompt, kind], lab.client, model="brain"), closure=sync if lab.drive == "sync" else later)
    assert (prompt.data, kind.data) == ("Know", "yes")


def test_an_async_closure_is_called_for_all_candidates_at_once(inline: Lab) -> None:
    prompt, under_way, most = Parameter("Know", "prompt"), [0], [0]
    prompt.append_grad(Gradient("more"))
    inline.brain.rule = by_role(optimizer=adds("one", "two", "three", "four"))

    async def closure() -> list[float]:
        under_way[0] += 1
        most[0] = max(most[0], under_way[0])
        for _ in range(5):
            await asyncio.sleep(0)
        under_way[0] -= 1
        return [float(word in prompt.data.split()) for word in WORDS]

    optimizer = Evolution([prompt], inline.client, proposals=4)
    asyncio.run(optimizer.astep(closure))
    assert most == [4]
    assert len(optimizer.pool.members) == 4
    most[0] = 0

    def sync() -> list[float]:
        return [float(word in prompt.data.split()) for word in WORDS]

    optimizer.step(sync)
    assert most == [0]


# when it fails


def test_a_proposal_that_cannot_be_used_costs_only_itself(lab: Lab) -> None:
    good = adds("one")

    def half(ask: Ask) -> Any:
        return "!rubbish" if DIRECTIONS.parts[0].text in task_of(ask) else {"reasoning": "r", "value": "Know one"}

    lab.brain.rule = by_role(forward=knows, optimizer=half)
    prompt = Parameter("Know", "prompt")
    optimizer = make(lab, prompt)
    lab.step(optimizer, closure_of(lab, prompt))
    assert prompt.data == "Know one"
    lab.brain.rule = by_role(forward=knows, optimizer=lambda ask: "!rubbish")
    with pytest.raises(ReplyContractError) as error:
        lab.step(optimizer, closure_of(lab, prompt))
    assert (error.value.role, error.value.variable, error.value.reply) == ("optimizer", "prompt", "!rubbish")
    assert prompt.data == "Know one"
    lab.brain.rule = by_role(forward=knows, optimizer=good)
    lab.step(optimizer, closure_of(lab, prompt))


@settings(max_examples=40, deadline=None)
@given(fails_at=st.integers(1, 14), who=st.sampled_from(["forward", "backward", "optimizer", "closure"]))
def test_a_step_that_fails_anywhere_leaves_every_parameter_as_it_was(fails_at: int, who: str) -> None:
    with open_lab() as lab:
        calls = [0]

        def counted(role: str, answer: Any) -> Any:
            def reply(ask: Ask) -> Any:
                calls[0] += role == who
                if role == who and calls[0] == fails_at:
                    raise Refusal(500, "server_error", "broken", None)
                return answer(ask)

            return reply

        from tests.autodiff.lab import feedback

        lab.brain.rule = by_role(
            forward=counted("forward", knows),
            backward=counted("backward", feedback),
            optimizer=counted("optimizer", adds("one", "two three")),
        )
        prompt = Parameter("Know", "prompt")
        evaluate = closure_of(lab, prompt)

        def closure() -> Any:
            calls[0] += who == "closure"
            if who == "closure" and calls[0] == fails_at:
                raise KeyError("broken")
            return evaluate()

        optimizer = make(lab, prompt)
        before = prompt.data
        try:
            optimizer.step(closure)
        except Exception:  # whatever it was
            assert (prompt.data, prompt.grad, optimizer.last_updates) == (before, [], [])
        calls[0] = 100
        optimizer.step(closure)
        assert {"two", "three"} <= set(prompt.data.split())
        assert len(optimizer.pool.members) <= 4


def test_the_budget_is_over_reflection_too(inline: Lab) -> None:
    client = inline.brain.scripted()
    inline.brain.rule = by_role(forward=knows, optimizer=adds("one"))
    prompt = Parameter("Know", "prompt")
    for calls in (2, 4, 5, 6, 8):
        afnio.set_backward_model_client(client, completion_args={"model": "brain"})
        with afnio.local_engine(budget=Budget(calls=calls)) as engine:
            optimizer = Evolution([prompt], client)
            lab = Lab(inline.brain, client, engine, "sync")
            with pytest.raises(BudgetExceeded):
                optimizer.step(closure_of(lab, prompt))
            assert engine.ledger.total().calls <= calls
        assert prompt.data == "Know"


@pytest.mark.parametrize(
    ("build", "error", "says"),
    [
        (lambda c: Evolution([Variable("a", requires_grad=True)], c), TypeError, "takes Parameters"),
        (lambda c: Evolution([afnio.Demos()], c), TypeError, "give Demos to FewShot"),
        (lambda c: Evolution([Parameter("a")], None), ValueError, "needs a model_client"),
        (lambda c: Evolution([Parameter("a")], c, parents=0), ValueError, "parents must be an int of at least 1"),
        (lambda c: Evolution([Parameter("a")], c, pool=0), ValueError, "pool must be"),
        (lambda c: Evolution([Parameter("a")], c, merges=-1), ValueError, "merges must be"),
        (lambda c: Evolution([Parameter("a")], c, proposals=True), ValueError, "proposals must be"),
        (lambda c: Evolution([Parameter("a")], c, inputs={"direction": "x"}), PlaceholderError, "direction"),
        (lambda c: Evolution([Parameter("a")], c, messages=TGD_MESSAGES[:1]), PlaceholderError, "lack"),
        (lambda c: Evolution([Parameter("a")], c).step(), ValueError, r"pass optimizer.step\(closure\)"),
        (lambda c: Evolution([Parameter("a")], c).step(lambda: None), TypeError, "Return the loss"),
        (lambda c: Evolution([Parameter("a")], c).step(list), TypeError, "Return the loss"),
        (lambda c: Evolution([Parameter("a")], c).step(lambda: float("nan")), TypeError, "Return the loss"),
    ],
)
def test_what_makes_no_sense_is_refused(inline: Lab, build: Any, error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        build(inline.client)


def test_without_an_engine_the_way_out_is_named() -> None:
    import contextvars

    def outside() -> None:
        with pytest.raises(NoEngineError, match=r"optimizer.step\(\)"):
            Evolution([Parameter("a")], Scripted([])).step(lambda: 1)

    contextvars.Context().run(outside)


# state


def seen(optimizer: Evolution) -> Any:
    return [p.data for p in optimizer.params()], json.loads(json.dumps(optimizer.pool.state()))


@settings(max_examples=15, deadline=None)
@given(st.lists(st.sampled_from([("one",), ("two", "three"), ("four", "one two")]), max_size=3), st.booleans())
def test_a_state_dict_brings_back_the_search(before: list[tuple[str, ...]], file: bool) -> None:
    with open_lab() as lab:
        one, other = Parameter("Know", "prompt"), Parameter("Else", "prompt")
        optimizer, twin = make(lab, one, seed=3), make(lab, other, seed=3)
        for words in before:
            lab.brain.rule = by_role(forward=knows, optimizer=adds(*words))
            optimizer.step(closure_of(lab, one))
        state: Any = optimizer.state_dict()
        if file:
            stream = io.BytesIO()
            afnio.save(state, stream)
            stream.seek(0)
            state = afnio.load(stream)
        other.data = one.data
        twin.load_state_dict(state)
        twin.tell_as({}, len(before))
        assert seen(twin) == seen(optimizer)
        lab.brain.rule = by_role(forward=knows, optimizer=adds("four", "three"))
        optimizer.step(closure_of(lab, one))
        twin.step(closure_of(lab, other))
        assert seen(twin) == seen(optimizer)


def test_a_state_of_another_agent_is_refused(inline: Lab) -> None:
    optimizer = Evolution([Parameter("a"), Parameter("b")], inline.client)
    state = optimizer.state_dict()
    state["pool"] = {
        **state["pool"],
        "members": [{"number": 0, "values": ["a"], "scores": {}, "guesses": {}, "parents": [], "reasoning": []}],
    }
    with pytest.raises(ValueError, match="another number of parameters"):
        optimizer.load_state_dict(state)


def test_the_same_search_twice_is_the_same(inline: Lab) -> None:
    def run() -> Any:
        client = inline.brain.scripted()
        prompt = Parameter("Know", "prompt")
        optimizer = Evolution([prompt], client, seed=1, model="brain")
        for _ in range(3):
            optimizer.step(closure_of(Lab(inline.brain, client, inline.engine, "sync"), prompt))
        return client.requests, seen(optimizer)

    inline.brain.rule = by_role(forward=knows, optimizer=adds("one", "two"))
    assert run() == run()


def test_values_that_were_taken_back_are_shown_as_undone_and_are_not_proposed_again(inline: Lab) -> None:
    inline.brain.rule = by_role(forward=knows, optimizer=adds("one"))
    prompt = Parameter("Know", "prompt")
    optimizer = make(inline, prompt)
    before = optimizer.snapshot()
    optimizer.step(closure_of(inline, prompt))
    assert prompt.data == "Know one"
    optimizer.restore(before)
    optimizer.record(0.1, kept=False)
    assert prompt.data == "Know"
    assert [(v.value, v.score, v.status) for v in optimizer.state[prompt]["history"]] == [("Know one", 0.1, "undone")]
    assert [member.values for member in optimizer.pool.members] == [("Know",)]
    inline.brain.rule = by_role(forward=knows, optimizer=adds("two"))
    optimizer.step(closure_of(inline, prompt))
    assert prompt.data == "Know two"
    optimizer.record(0.5, kept=True)
    assert [(v.value, v.status) for v in optimizer.state[prompt]["history"]] == [
        ("Know one", "undone"),
        ("Know two", "kept"),
    ]


def test_scores_of_samples_without_a_name_are_not_taken_for_those_of_another_batch(inline: Lab) -> None:
    optimizer = Evolution([Parameter("a")], inline.client)
    optimizer.step(lambda: [1, 0, 0])
    optimizer.step(lambda: [0, 1])
    optimizer.step(lambda: Evaluation([1, 0], ["x", "y"]))
    optimizer.step(lambda: Evaluation([1, 1], ["y", "z"]))
    known = {"#1.0": 1, "#1.1": 0, "#1.2": 0, "#2.0": 0, "#2.1": 1, "x": 1, "y": 1, "z": 1}
    assert optimizer.pool.members[0].scores == known
    for _ in range(40):
        optimizer.step(lambda: [1] * 10)
    assert len(optimizer.pool.members[0].scores) == 256 + 3


def test_the_words_are_stored_with_the_call(tmp_path: Path, inline: Lab) -> None:
    inline.brain.rule = by_role(forward=knows, optimizer=adds("one"))
    path, prompt = tmp_path / "calls.jsonl", Parameter("Know", "prompt")
    with afnio.local_engine(path):
        make(inline, prompt, proposals=1).step(closure_of(inline, prompt))
    stored = [json.loads(line) for line in path.read_text().splitlines()]
    assert [call["words"] for call in stored if call["role"] == "optimizer"] == [
        f"{OPTIMIZER.label} {DIRECTIONS.label}"
    ]


# what a closure may return


def test_every_form_of_a_result_is_read() -> None:
    p, both = Parameter("a", "p"), Parameter(["a", "b"], "both")
    batch = F.exact_match_evaluator(both, ["a", "x"])
    one, two = F.exact_match_evaluator(p, "a"), F.exact_match_evaluator(p, "b")
    forms: list[tuple[Any, list[float], int]] = [
        (batch, [1, 0], 1),
        ({"loss": batch, "other": 3}, [1, 0], 1),
        ([one, two], [1, 0], 2),
        ((batch.score, batch.explanation), [1, 0], 1),
        (Variable([0.5, 1]), [0.5, 1], 0),
        ([0.5, 1], [0.5, 1], 0),
        (3, [3], 0),
        (Evaluation([1, 2], ["a", "b"]), [1, 2], 0),
    ]
    for given_, scores, roots in forms:
        found = read_evaluation(given_)
        assert (list(found.scores), len(found.roots)) == (scores, roots)


# the functional form


@pytest.mark.parametrize("how", ["sync", "async"])
def test_the_functional_form_is_the_same_search(inline: Lab, how: str) -> None:
    inline.brain.rule = by_role(forward=knows, optimizer=adds("one", "two three"))
    one, other, pool = Parameter("Know", "prompt"), Parameter("Know", "prompt"), Pool(4)
    optimizer = make(inline, other, seed=2)
    for step in range(3):
        closure = closure_of(inline, one)
        if how == "sync":
            evolution([one], closure, pool, inline.client, step=step, seed=2, model="brain")
        else:
            asyncio.run(aevolution([one], closure, pool, inline.client, step=step, seed=2, model="brain"))
        optimizer.step(closure_of(inline, other))
    assert one.data == other.data
    assert pool.state() == optimizer.pool.state()


# laws of the pool


pools = st.integers(1, 4).flatmap(
    lambda size: st.lists(st.lists(st.integers(0, 3), min_size=3, max_size=3), min_size=1, max_size=6).map(
        lambda rows: (size, rows)
    )
)


@given(pools, st.integers(0, 5))
def test_laws_of_the_pool(made: tuple[int, list[list[int]]], seed: int) -> None:
    size, rows = made
    pool = Pool(size)
    for number, row in enumerate(rows):
        pool.add([number]).scores = {str(sample): float(score) for sample, score in enumerate(row)}
    wins = pool.wins()
    best = {sample: max(member.scores[sample] for member in pool.members) for sample in ("0", "1", "2")}
    assert set().union(*wins.values()) == set(best)  # every sample has one that is best on it
    by_number = {member.number: member for member in pool.members}
    assert all(by_number[number].scores[sample] == best[sample] for number, won in wins.items() for sample in won)
    for number, won in wins.items():  # nobody stays who is best only where others are too
        assert not won <= set().union(*(samples for other, samples in wins.items() if other != number))
    first, *others = parents = pool.parents(2, random.Random(seed), pool.members[0])
    assert first is pool.members[0]
    assert {parent.number for parent in others} <= set(wins)
    assert len({parent.number for parent in parents}) == len(parents)
    assert others or set(wins) == {0}
    for one, other in pool.pairs(9):
        assert wins[one.number] - wins[other.number]
        assert wins[other.number] - wins[one.number]
    assert pool.pairs(9) == []  # each once
    held = pool.members[seed % len(pool.members)]  # what the agent holds now, the best or not
    pool.prune(held)
    assert len(pool.members) == min(size, pool.count)
    assert held in pool.members
    again = Pool(size)
    again.load(json.loads(json.dumps(pool.state())))
    assert json.dumps(again.state()) == json.dumps(pool.state())


@given(st.dictionaries(st.sampled_from("abcdef"), st.floats(-3, 3), max_size=6), st.sets(st.sampled_from("abcdef")))
def test_a_sample_without_a_score_is_never_an_advantage(scores: dict[str, float], samples: set[str]) -> None:
    if known := samples & set(scores):
        assert mean(scores, samples) <= mean(scores, known) + 1e-9


def test_values_that_are_equal_but_of_another_type_are_other_candidates() -> None:
    pool = Pool(4)
    assert pool.add([1]) is not pool.add([1.0])
    assert pool.add([1]) is pool.members[0]


def test_threads_and_copies_that_a_closure_makes_see_what_is_tried(inline: Lab) -> None:
    prompt = Parameter("Know", "prompt")
    prompt.append_grad(Gradient("more"))
    inline.brain.rule = by_role(optimizer=adds("one", "two"))
    seen: list[Any] = []

    def closure() -> int:
        with ThreadPoolExecutor() as threads:
            there = threads.submit(lambda: prompt.data).result()
        seen.append((prompt.data, there, prompt.detach().data, copy.deepcopy(prompt).data, str(prompt)))
        return len(prompt.data)

    Evolution([prompt], inline.client).step(closure)
    assert [data for data, *_ in seen] == ["Know", "Know one", "Know two"]
    for data, *others in seen:
        assert others[:3] == [data] * 3
        assert data in others[3]


def test_copies_made_in_a_trial_are_of_what_is_tried() -> None:
    prompt, list_, k = Parameter("Know", "prompt"), Parameter(["a"], "list"), Number(1, 0, 9)
    with trial({prompt: "Else", list_: ["a", "b"], k: 5}):
        assert [copy.deepcopy(p).data for p in (prompt, list_, k)] == ["Else", ["a", "b"], 5]
        assert [pickle.loads(pickle.dumps(p)).data for p in (prompt, list_, k)] == ["Else", ["a", "b"], 5]
        assert (prompt.detach().data, list_.shape, k.to(str).data) == ("Else", (2,), "5")
        assert "Else" in repr(prompt)
        assert Parameter("x", "y").copy_(prompt).data == "Else"
    assert [p.data for p in (prompt, list_, k)] == ["Know", ["a"], 1]
