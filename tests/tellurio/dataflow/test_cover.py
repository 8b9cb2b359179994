"""The greedy cover: no overlap, longest first, ties to the most recent, equals shared out."""

from __future__ import annotations

from array import array
from types import SimpleNamespace

from hypothesis import given, settings
from hypothesis import strategies as st

from tellurio.dataflow.cover import RIVALS, Run, cover, longest_runs

LEAST = 3
TOKENS = st.lists(st.integers(1, 4), max_size=40)


def data(ids: list[int]) -> bytes:
    return array("I", ids).tobytes()


def runs_of(prompt: list[int], texts: list[list[int]]) -> list[Run]:
    stored = [SimpleNamespace(data=data(text)) for text in texts]
    seeds = [
        (place, carrier, origin)
        for place in range(len(prompt) - LEAST + 1)
        for carrier, text in enumerate(texts)
        for origin in range(len(text) - LEAST + 1)
        if text[origin : origin + LEAST] == prompt[place : place + LEAST]
    ]
    return longest_runs(data(prompt), seeds, stored.__getitem__, LEAST)


@given(TOKENS, st.lists(TOKENS, max_size=4))
@settings(deadline=None, max_examples=200)
def test_runs_are_common_and_cannot_be_longer(prompt: list[int], texts: list[list[int]]) -> None:
    runs = runs_of(prompt, texts)
    assert len(set(runs)) == len(runs)
    for start, end, carrier, origin in runs:
        text, stop = texts[carrier], origin + end - start
        assert text[origin:stop] == prompt[start:end]
        assert start == 0 or origin == 0 or prompt[start - 1] != text[origin - 1]
        assert end == len(prompt) or stop == len(text) or prompt[end] != text[stop]


@given(st.integers(LEAST, 2_000), st.data())
@settings(deadline=None)
def test_long_runs_end_where_the_first_token_differs(length: int, draw: st.DataObject) -> None:
    prompt = [token % 251 + 1 for token in range(length)]
    text = list(prompt)
    start = draw.draw(st.integers(0, length - LEAST))
    end = draw.draw(st.integers(start + LEAST, length))
    for place in {start - 1, end} & set(range(length)):
        text[place] += 1 << draw.draw(st.sampled_from([0, 8, 24]))
    seed = draw.draw(st.integers(start, end - LEAST))
    stored = SimpleNamespace(data=data(text))
    assert longest_runs(data(prompt), [(seed, 0, seed)], lambda carrier: stored, LEAST) == [Run(start, end, 0, start)]


def test_of_many_the_same_only_some_are_compared() -> None:
    prompt = list(range(1, 60))
    stored = SimpleNamespace(data=data(prompt))
    seeds = [(place, carrier, place) for place in range(50) for carrier in range(100)]
    assert [run.carrier for run in longest_runs(data(prompt), seeds, lambda carrier: stored, LEAST)] == [*range(RIVALS)]


@given(TOKENS, st.lists(TOKENS, max_size=4))
@settings(deadline=None, max_examples=200)
def test_the_cover_has_no_overlap_and_leaves_no_run_free(prompt: list[int], texts: list[list[int]]) -> None:
    runs = runs_of(prompt, texts)
    chosen, lost = cover(runs, lambda run: LEAST, lambda one, other: False)
    covered = [place for run in chosen for place in range(run.start, run.end)]
    assert len(covered) == len(set(covered))
    longest = max((run.end - run.start for run in runs), default=0)
    assert max((run.end - run.start for run in chosen), default=0) == longest
    for run in lost:
        free = [place not in covered for place in range(run.start, run.end)]
        assert all(not all(free[at : at + LEAST]) for at in range(len(free) - LEAST + 1))


def test_of_equals_the_most_recent_wins_and_two_copies_are_shared_out() -> None:
    one = [Run(0, 9, 0, 0), Run(0, 9, 1, 0)]
    assert cover(one, lambda run: LEAST, lambda a, b: False)[0] == [one[1]]
    two = [*one, Run(20, 29, 0, 0), Run(20, 29, 1, 0)]
    assert {run.carrier for run in cover(two, lambda run: LEAST, lambda a, b: False)[0]} == {0, 1}
    assert {run.carrier for run in cover(two, lambda run: LEAST, lambda a, b: (a, b) == (0, 1))[0]} == {1}
