"""The greedy cover: no overlap, longest first, ties to the most recent, equals shared out."""

from __future__ import annotations

from array import array
from types import SimpleNamespace

from hypothesis import given, settings
from hypothesis import strategies as st

from tellurio.dataflow.cover import Run, cover, longest_runs

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
