"""The index against truths that were not written with it: workloads of agents, random workflows, form letters."""

from __future__ import annotations

import json
import random
from typing import NamedTuple

import pytest

from tellurio.dataflow import ContentIndex, Edge
from tests.tellurio.dataflow.random_flows import workflow
from tests.tellurio.dataflow.workloads import CHAT, FLOW, NO_FLOW, Workload, workloads

RECALL, WHOLE = 0.95, 0.92
"""Of the table: edges that are found, and kinds in which all are."""
RANDOM_RECALL, RANDOM_FALSE = 0.96, 0.002
"""Of random workflows, whose few hundred words make coincidences on purpose."""


def edges(workload: Workload) -> list[Edge]:
    index = ContentIndex()
    return [edge for call in workload.calls for edge in index.call(call.name, call.request, call.response, call.api)]


def shown(workload: Workload) -> set[tuple[str, str]]:
    return {(edge.source, edge.target) for edge in edges(workload) if edge.shown}


def test_the_table_is_large() -> None:
    names = [kind.__name__ for kind in [*FLOW, *NO_FLOW]]
    assert len(set(names)) == len(names)
    assert (len(FLOW), len(NO_FLOW)) >= (100, 30)
    assert all(workload.truth for workload in workloads(FLOW))
    assert not any(workload.truth for workload in workloads(NO_FLOW))


@pytest.mark.parametrize("workload", workloads(FLOW), ids=lambda workload: workload.name)
def test_no_prompt_contains_its_own_answer(workload: Workload) -> None:
    for call in workload.calls:
        answer = call.response["choices"][0]["message"].get("content") if call.api == CHAT else None
        label = answer is not None and len(answer.split()) == 1  # a prompt may offer the words to choose from
        assert not answer or label or answer not in json.dumps(call.request, ensure_ascii=False)


def test_most_edges_of_the_table_are_found_and_none_is_false() -> None:
    missed, false, there, whole = {}, {}, 0, 0
    for workload in workloads([*FLOW, *NO_FLOW]):
        found = shown(workload)
        there += len(workload.truth)
        whole += bool(workload.truth) and found >= workload.truth
        if workload.truth - found:
            missed[workload.name] = workload.truth - found
        if found - workload.allowed:
            false[workload.name] = found - workload.allowed
    recall = 1 - sum(map(len, missed.values())) / there
    print(
        f"{len(FLOW)} + {len(NO_FLOW)} kinds, {there} edges, recall {recall:.3f}, {whole} kinds whole; missed {missed}"
    )
    assert false == {}
    assert recall >= RECALL, missed
    assert whole >= WHOLE * len(FLOW), missed


@pytest.mark.parametrize("seed", range(2))
def test_of_all_workloads_in_one_run_no_edge_is_false_either(seed: int) -> None:
    table, index = workloads([*FLOW, *NO_FLOW]), ContentIndex()
    random.Random(seed).shuffle(table)
    there = found = 0
    for workload in table:
        sources = {
            (edge.source, f"{workload.name}/{call.name}")
            for call in workload.calls
            for edge in index.call(f"{workload.name}/{call.name}", call.request, call.response, call.api)
            if edge.shown
        }
        allowed = {tuple(f"{workload.name}/{name}" for name in edge) for edge in workload.allowed}
        assert sources <= allowed
        there, found = there + len(workload.truth), found + len(sources)
    assert found >= RECALL * there


class Score(NamedTuple):
    there: int
    found: int
    shown: int
    false: int


def score(seed: int) -> Score:
    made, index = workflow(random.Random(seed)), ContentIndex()
    there = found = linked = false = 0
    for number, (call, (request, response)) in enumerate(zip(made.calls, made.bodies(), strict=True)):
        sources = {int(edge.source) for edge in index.call(str(number), request, response, CHAT) if edge.shown}
        there, linked = there + len(call.sources), linked + len(sources)
        found += sum(bool(sources & carriers) for carriers in call.sources)
        false += len(sources - set().union(*call.sources, *call.short))
    return Score(there, found, linked, false)


def test_of_random_workflows_most_edges_are_found_and_hardly_any_is_false() -> None:
    scores = [score(seed) for seed in range(5_000, 5_120)]
    there, found, linked, false = (sum(values) for values in zip(*scores, strict=True))
    print(f"{there} pieces, recall {found / there:.3f}; {linked} edges, {false} false")
    assert found >= RANDOM_RECALL * there
    assert false <= RANDOM_FALSE * linked


LETTERS = (
    "Dear {name}, we are sorry that your order is late. We will refund you {euro} euros within {days} days. Regards",
    "Hello {name}! Your parcel will arrive in {days} days. Please keep the receipt of {euro} euros. Yours, Parcel Ltd",
)
FIRST = ["Anna", "Boris", "Chloe", "Dmitri", "Elena", "Farid", "Greta", "Hugo", "Ines", "Jonas"]
LAST = ["Falk", "Moreau", "Ortega", "Novak", "Haddad", "Lund", "Petrov", "Silva", "Weber", "Rossi"]


@pytest.mark.parametrize("letter", LETTERS)
@pytest.mark.parametrize("at_once", [True, False], ids=["each is checked at once", "all are written first"])
def test_form_letters_are_told_apart_by_names_and_numbers(letter: str, at_once: bool) -> None:
    chance = random.Random(1)
    letters = []
    for _ in range(300):
        name = f"{chance.choice(FIRST)} {chance.choice(LAST)}"
        letters.append(letter.format(name=name, euro=chance.randint(5, 400), days=chance.randint(2, 30)))
    made = Workload("letters")
    for number, text in enumerate(letters):
        made(f"write-{number}", f"Write to the customer of row {number}.", text)
        if at_once:
            made(f"check-{number}", f"Check the tone of this mail:\n\n{text}", "It is fine.", of=f"write-{number}")
    for number, text in enumerate([] if at_once else letters):
        made(f"check-{number}", f"Check the tone of this mail:\n\n{text}", "It is fine.", of=f"write-{number}")
    same = {text: f"write-{number}" for number, text in enumerate(letters)}
    expected = {(same[text] if not at_once else f"write-{i}", f"check-{i}") for i, text in enumerate(letters)}
    assert shown(made) == expected
