"""The seed's two functions on top of the content index."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from ao.runner.string_matching import find_source_edges, find_source_nodes, forget_session, store_output_strings

HERON = "A heron guards the sluice at Drumlough until the eels return."


@pytest.fixture(autouse=True)
def _fresh() -> Iterator[None]:
    yield
    for session in ("one", "two"):
        forget_session(session)


def asking(text: str) -> dict[str, Any]:
    return {"model": "m", "messages": [{"role": "user", "content": text}]}


def answering(text: str) -> dict[str, Any]:
    return {"choices": [{"message": {"role": "assistant", "content": text}}]}


def test_a_node_whose_output_is_in_the_input_is_found_in_its_session_only() -> None:
    assert find_source_nodes("one", asking("Write."), "openai.chat") == []
    store_output_strings("one", "node-1", answering(HERON), "openai.chat")
    assert find_source_nodes("one", asking(f"Translate: {HERON}"), "openai.chat") == ["node-1"]
    assert find_source_nodes("two", asking(f"Translate: {HERON}"), "openai.chat") == []


@pytest.mark.parametrize(
    "wrap", [json.dumps, lambda body: json.dumps(body).encode(), lambda body: {"url": "http://x", "body": body}]
)
def test_bodies_may_be_json_or_wrapped(wrap: Any) -> None:
    store_output_strings("one", "node-1", wrap(answering(HERON)), "httpx.Client.send")
    assert find_source_nodes("one", wrap(asking(f"Translate: {HERON}")), "httpx.Client.send") == ["node-1"]


def test_a_plain_text_and_an_sdk_s_object_are_outputs_too() -> None:
    class Answer:
        def model_dump(self, mode: str) -> dict[str, Any]:
            return answering(HERON)

    store_output_strings("one", "text", "The miller of Ballinode keeps nine grey geese.")
    store_output_strings("one", "object", Answer())
    both = f"{HERON} The miller of Ballinode keeps nine grey geese."
    assert find_source_nodes("one", asking(both)) == ["text", "object"]


def test_edges_know_where_and_what_lost() -> None:
    store_output_strings("one", "a", answering(HERON))
    assert [edge.source for edge in find_source_edges("one", asking(f"Repeat: {HERON}"), node_id="b")] == ["a"]
    store_output_strings("one", "b", answering(HERON))
    edges = find_source_edges("one", asking(f"Print: {HERON}"), node_id="c")
    assert {edge.source: edge.shown for edge in edges} == {"a": False, "b": True}
    assert edges[1].links[0].target.start == len("Print: ")


def test_a_session_that_is_forgotten_has_no_outputs() -> None:
    store_output_strings("one", "node-1", answering(HERON))
    forget_session("one")
    forget_session("one")
    assert find_source_nodes("one", asking(f"Translate: {HERON}")) == []
