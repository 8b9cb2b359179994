"""Laws of the index, over random texts."""

from __future__ import annotations

import pickle
import random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tellurio.dataflow import ContentIndex, Edge, StoredCall
from tellurio.dataflow.outputs import GUARANTEE
from tests.tellurio.dataflow.flows import FLOWS, NO_FLOWS, bodies

CERTAIN_TOKENS = GUARANTEE + 2
"""A verbatim copy of so many ordinary words is always found, wherever it begins."""

seeds = st.integers(0, 2**32).map(random.Random)  # drawn whole, not choice by choice: the texts are long

SYLLABLES = [a + b for a in "bdfgklmnprstvz" for b in "aeiou"]


def word(random_: random.Random, *, prefix: str = "") -> str:
    return prefix + "".join(random_.choice(SYLLABLES) for _ in range(4))


def text(random_: random.Random, words: int, *, prefix: str = "") -> str:
    return " ".join(word(random_, prefix=prefix) for _ in range(words))


def asking(prompt: str) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": prompt}]}


def answering(answer: str) -> dict[str, Any]:
    return {"choices": [{"message": {"role": "assistant", "content": answer}}]}


def shown(edges: list[Edge]) -> list[str]:
    return [edge.source for edge in edges if edge.shown]


@given(seeds, st.integers(CERTAIN_TOKENS, 400), st.integers(0, 5), st.data())
@settings(deadline=None, max_examples=50)
def test_a_verbatim_copy_is_found(random_: random.Random, length: int, others: int, data: st.DataObject) -> None:
    index = ContentIndex()
    for number in range(others):
        index.insert(f"other-{number}", answering(text(random_, 60, prefix="q")))
    output = text(random_, length, prefix="z").split()
    index.insert("source", answering(" ".join(output)))
    size = data.draw(st.integers(CERTAIN_TOKENS, length))
    start = data.draw(st.integers(0, length - size))
    copy = " ".join(output[start : start + size])
    before, after = text(random_, 20, prefix="x"), text(random_, 20, prefix="x")
    prompt = f"{before} {copy} {after}"
    edges = index.query("target", asking(prompt))
    assert shown(edges) == ["source"]
    (link,) = edges[0].links
    assert prompt[link.target.start : link.target.end] == copy
    assert (link.target.path, link.source.path) == ("/messages/0/content", "/choices/0/message/content")
    assert " ".join(output)[link.source.start : link.source.end] == copy


@given(seeds, st.lists(st.integers(1, 80), min_size=1, max_size=8))
@settings(deadline=None, max_examples=50)
def test_unrelated_texts_are_never_linked(random_: random.Random, sizes: list[int]) -> None:
    index = ContentIndex()
    for number, size in enumerate(sizes):
        # Not even one word in common, except frequent ones.
        prompt = "Please tell me about " + text(random_, size, prefix=f"a{number}")
        answer = "It is said that the " + text(random_, size, prefix=f"b{number}")
        assert index.call(str(number), asking(prompt), answering(answer)) == []


bodies_of_any_kind = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=20,
)
keys = st.sampled_from(["messages", "contents", "input", "prompt", "choices", "output", "content", "system", "tools"])


@given(st.dictionaries(keys, bodies_of_any_kind, max_size=4), st.dictionaries(keys, bodies_of_any_kind, max_size=4))
@settings(deadline=None, max_examples=100)
def test_any_body_is_read_or_left_alone(request: dict[str, Any], response: dict[str, Any]) -> None:
    index = ContentIndex()
    for number, api_format in enumerate(["", "openai.chat", "anthropic.messages", "gemini", "ollama", "nobody's"]):
        index.call(str(number), request, response, api_format)


def shuffled(value: Any, random_: random.Random) -> Any:
    if isinstance(value, dict):
        names = list(value)
        random_.shuffle(names)
        return {name: shuffled(value[name], random_) for name in names}
    return [shuffled(item, random_) for item in value] if isinstance(value, list) else value


@given(seeds)
@settings(deadline=None, max_examples=5)
def test_the_order_in_dicts_does_not_matter(random_: random.Random) -> None:
    for flow in [*FLOWS, *NO_FLOWS]:
        one, other = ContentIndex(), ContentIndex()
        for number, body in enumerate(bodies(flow)):
            expected = one.call(str(number), body.request, body.response, body.api_format)
            mixed = shuffled(body.request, random_), shuffled(body.response, random_)
            assert other.call(str(number), *mixed, body.api_format) == expected, flow.name


def conversation(random_: random.Random, calls: int) -> list[StoredCall]:
    """Calls that quote each other, and a chat."""
    answers: list[str] = []
    made = []
    for number in range(calls):
        quoted = random_.sample(answers, min(len(answers), 2))
        prompt = "Judge:\n" + "\n".join([*quoted, text(random_, 10)])
        answers.append(f"- {text(random_, random_.randint(1, 80))}\n- {random_.choice([*answers, 'none'])[:60]}")
        made.append(StoredCall(f"call-{number}", asking(prompt), answering(answers[-1]), "openai.chat"))
    return made


@given(seeds, st.integers(2, 25))
@settings(deadline=None, max_examples=20)
def test_an_index_that_was_rebuilt_or_pickled_goes_on_the_same(random_: random.Random, calls: int) -> None:
    made = conversation(random_, calls)
    half = calls // 2
    kept = ContentIndex()
    expected = [kept.call(*call[:4]) for call in made]
    for index in (ContentIndex.replay(made[:half]), pickle.loads(pickle.dumps(ContentIndex.replay(made[:half])))):
        assert [index.call(*call[:4]) for call in made[half:]] == expected[half:]


@given(seeds)
@settings(deadline=None, max_examples=5)
def test_the_cost_of_a_call_does_not_grow_with_the_calls_before(random_: random.Random) -> None:
    index, costs = ContentIndex(), []
    for number in range(300):
        index.insert(f"before-{number}", answering(text(random_, 120)))
        if number in (29, 299):
            before = index.lookups
            index.query(f"asks-{number}", asking(text(random_, 200)))
            costs.append(index.lookups - before)
    assert costs[1] <= 1.2 * costs[0]


def test_the_cost_of_a_text_is_linear_in_its_length() -> None:
    random_ = random.Random(7)
    costs = {}
    for words in (500, 5_000):
        index = ContentIndex()
        output = text(random_, words)
        index.insert("source", answering(output))
        index.query("target", asking(f"{text(random_, words)} {output}"))
        costs[words] = index.lookups
    assert costs[5_000] <= 11 * costs[500]


def test_a_history_that_is_sent_again_costs_its_new_messages() -> None:
    random_ = random.Random(7)
    index, history, costs = ContentIndex(), [], []
    for number in range(60):
        history.append({"role": "user", "content": text(random_, 80)})
        before = index.lookups
        edges = index.query(str(number), {"messages": history})
        costs.append(index.lookups - before)
        assert shown(edges) == [str(earlier) for earlier in range(number)]
        answer = text(random_, 80)
        index.insert(str(number), answering(answer))
        history.append({"role": "assistant", "content": answer})
    assert max(costs[1:]) - min(costs[1:]) <= 2 * len(costs)  # a look for each message, no more
