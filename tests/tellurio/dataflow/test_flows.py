"""The index against the truth about edges."""

from __future__ import annotations

import json

import pytest

from tellurio.dataflow import ContentIndex, Edge
from tests.tellurio.dataflow.flows import FLOWS, NO_FLOWS, Flow, bodies

RECALL = 0.85
TABLE = [*FLOWS, *NO_FLOWS]


def edges(flow: Flow) -> list[Edge]:
    index = ContentIndex()
    return [
        edge
        for number, body in enumerate(bodies(flow))
        for edge in index.call(str(number), body.request, body.response, body.api_format)
    ]


def shown(flow: Flow) -> set[tuple[int, int]]:
    return {(int(edge.source), int(edge.target)) for edge in edges(flow) if edge.shown}


def test_the_table_is_large_and_its_rows_have_names() -> None:
    assert len({flow.name for flow in TABLE}) == len(TABLE) >= 60
    assert all(flow.edges for flow in FLOWS)
    assert not any(flow.edges for flow in NO_FLOWS)


@pytest.mark.parametrize("flow", FLOWS, ids=lambda flow: flow.name)
def test_no_prompt_contains_its_own_answer(flow: Flow) -> None:
    for body in bodies(flow):
        for answer in body.response.get("choices", []):
            text = answer["message"]["content"] or ""
            offered = flow.name == "label that the prompt offered" or len(text) < 8
            assert offered or text not in json.dumps(body.request, ensure_ascii=False)


def test_most_edges_are_found_and_none_is_false() -> None:
    found = {flow.name: shown(flow) for flow in TABLE}
    missed = {flow.name: flow.edges - found[flow.name] for flow in TABLE if flow.edges - found[flow.name]}
    false = {flow.name: found[flow.name] - flow.edges for flow in TABLE if found[flow.name] - flow.edges}
    there = sum(len(flow.edges) for flow in TABLE)
    recall = 1 - sum(map(len, missed.values())) / there
    print(f"{len(TABLE)} kinds, {there} edges, recall {recall:.3f}, false {false}, missed {missed}")
    assert false == {}
    assert recall >= RECALL, missed


@pytest.mark.parametrize("flow", TABLE, ids=lambda flow: flow.name)
def test_the_spans_lie_in_the_bodies(flow: Flow) -> None:
    calls = bodies(flow)
    for edge in edges(flow):
        assert edge.links
        assert 0 < edge.confidence <= 1
        assert edge.confidence >= 0.5 or not edge.shown
        assert edge.confidence < 0.5 or not edge.weak
        for link in edge.links:
            for span, body in (
                (link.source, calls[int(edge.source)].response),
                (link.target, calls[int(edge.target)].request),
            ):
                value = body
                for key in filter(None, span.path.split("/")):
                    value = value[int(key)] if isinstance(value, list) else value[key]
                assert 0 <= span.start <= span.end <= (len(str(value)) if span.end else 0)
