"""What the table of flows does not say: spans, alternatives, weak edges, times, resent messages, registries."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tellurio.dataflow import ContentIndex, Edge, Reader, Span, StoredCall, readers
from tests.tellurio.dataflow.test_laws import answering, asking

PROVERB = "Salted bread forgives the careless baker of Varnholm before the second harvest."


@pytest.fixture
def index() -> ContentIndex:
    return ContentIndex()


def kinds(edges: list[Edge]) -> dict[str, str]:
    return {e.source: "weak" if e.weak else "alternative" if e.alternative else "shown" for e in edges}


def test_a_copy_of_a_copy_comes_from_the_last_and_the_first_is_an_alternative(index: ContentIndex) -> None:
    index.call("a", asking("A proverb."), answering(PROVERB))
    assert kinds(index.call("b", asking(f"Repeat: {PROVERB}"), answering(PROVERB))) == {"a": "shown"}
    edges = index.query("c", asking(f"Print: {PROVERB}"))
    assert kinds(edges) == {"a": "alternative", "b": "shown"}
    assert edges[0].confidence < edges[1].confidence
    assert edges[0].links[0].target == edges[1].links[0].target


def test_spans_are_places_in_the_texts_as_they_were(index: ContentIndex) -> None:
    index.insert("a", answering('{"who": "Jos\\u00e9 \\"Pepe\\" Zubizarreta Ondarroa"}'))
    prompt = "Write to JOSÉ &quot;Pepe&quot;   Zubizarreta-Ondarroa now."
    (edge,) = index.query("b", asking(prompt))
    (link,) = edge.links
    assert prompt[link.target.start : link.target.end] == "JOSÉ &quot;Pepe&quot;   Zubizarreta-Ondarroa"
    answer = '{"who": "Jos\\u00e9 \\"Pepe\\" Zubizarreta Ondarroa"}'
    assert answer[link.source.start : link.source.end] == 'Jos\\u00e9 \\"Pepe\\" Zubizarreta Ondarroa'


def test_an_edge_is_plain_json_with_the_names_of_the_rows(index: ContentIndex) -> None:
    index.insert("a", answering(PROVERB))
    (edge,) = index.query("b", asking(PROVERB))
    assert edge.as_dict() == {
        "from": "a",
        "to": "b",
        "kind": "content",
        "confidence": edge.confidence,
        "weak": False,
        "alternative": False,
        "spans": [
            {
                "from": {"path": "/choices/0/message/content", "start": 0, "end": len(PROVERB) - 1},
                "to": {"path": "/messages/0/content", "start": 0, "end": len(PROVERB) - 1},
            }
        ],
    }


def test_short_and_frequent_values_make_weak_edges(index: ContentIndex) -> None:
    index.call("a", asking("Is it?"), answering("yes"))
    assert kinds(index.query("b", asking("The judge said:\nyes\nWhy?"))) == {"a": "weak"}
    assert kinds(index.query("c", asking("Oh yes, tell me more."))) == {}


def test_no_edge_comes_from_an_answer_that_was_not_there_yet(index: ContentIndex) -> None:
    index.call("a", asking("A proverb."), answering(PROVERB), started=1.0, finished=5.0)
    assert index.query("b", asking(f"Print: {PROVERB}"), started=4.5) == []
    assert kinds(index.query("c", asking(f"Show: {PROVERB}"), started=4.99)) == {"a": "shown"}  # clocks are not exact


def test_a_message_read_before_is_not_linked_to_answers_from_after(index: ContentIndex) -> None:
    slow = {"role": "user", "content": f"Print: {PROVERB}"}
    index.call("a", asking("A proverb."), answering(PROVERB), started=1.0, finished=5.0)
    index.call("b", {"messages": [slow]}, answering("Done."), started=6.0, finished=7.0)
    assert index.query("c", {"messages": [slow]}, started=2.0) == []


def test_text_of_the_program_is_no_evidence_even_as_a_whole_answer(index: ContentIndex) -> None:
    index.call("a", asking(f"Is this good? {PROVERB}"), answering(PROVERB))
    assert [edge for edge in index.query("b", asking(f"Translate: {PROVERB}")) if edge.shown] == []


def test_asking_twice_for_a_call_gives_the_same_edges(index: ContentIndex) -> None:
    index.insert("a", answering(PROVERB))
    first = index.query("b", asking(f"Print: {PROVERB}"))
    assert first
    assert index.query("b", asking(f"Print: {PROVERB}")) == first


def test_a_call_is_no_source_of_itself(index: ContentIndex) -> None:
    index.call("a", asking("A proverb."), answering(PROVERB))
    assert index.query("a", asking(f"Print: {PROVERB}")) == []


def test_the_answer_of_a_thread_is_told_from_the_same_words_of_another(index: ContentIndex) -> None:
    for name in ("a", "b", "c"):
        index.call(name, asking(f"Question {name}?"), answering("OK"))
    history = [{"role": "user", "content": "Question b?"}, {"role": "assistant", "content": "OK"}]
    assert kinds(index.query("d", {"messages": [*history, {"role": "user", "content": "Go"}]})) == {"b": "shown"}


def test_a_sliding_window_of_history_keeps_its_edges(index: ContentIndex) -> None:
    index.call("a", asking("One?"), answering("The first gull."))
    window = [{"role": "assistant", "content": "The first gull."}, {"role": "user", "content": "Two?"}]
    assert kinds(index.query("b", {"messages": window})) == {"a": "shown"}


def test_what_an_assistant_is_made_to_say_has_no_edge(index: ContentIndex) -> None:
    index.call("a", asking("One?"), answering("Gulls."))
    examples = [{"role": "user", "content": "2+2"}, {"role": "assistant", "content": "4"}]
    assert index.query("b", {"messages": [*examples, {"role": "user", "content": "3+3"}]}) == []


def test_ids_of_tool_calls_that_no_answer_made_up_say_nothing(index: ContentIndex) -> None:
    index.call("a", asking("Go"), answering("Gone"))
    assert index.query("b", {"messages": [{"role": "tool", "tool_call_id": "call_1", "content": "x"}]}) == []


def test_an_id_that_is_used_twice_is_the_latest_call_s(index: ContentIndex) -> None:
    call = {"id": "call_0", "type": "function", "function": {"name": "now", "arguments": "{}"}}
    for name in ("a", "b"):
        index.call(name, asking(name), {"choices": [{"message": {"role": "assistant", "tool_calls": [call]}}]})
    given = {"messages": [{"role": "tool", "tool_call_id": "call_0", "content": "noon"}]}
    (edge,) = index.query("c", given)
    assert (edge.source, edge.confidence) == ("b", 1.0)
    assert edge.links[0].source == Span("/choices/0/message/tool_calls/0/function/arguments", 0, 2)
    assert edge.links[0].target == Span("/messages/0/content", 0, 4)


@pytest.mark.parametrize("body", [None, "", "plain text", 7, [], {}, {"error": {"message": "no"}}, {"messages": None}])
def test_a_body_of_another_kind_is_no_trouble(index: ContentIndex, body: Any) -> None:
    assert index.call("a", body, body) == []


def test_a_body_that_is_very_deep_is_no_trouble(index: ContentIndex) -> None:
    deep: Any = PROVERB
    for _ in range(5_000):
        deep = [deep]
    index.insert("a", {"choices": [{"message": {"role": "assistant", "content": deep}}]})
    assert kinds(index.query("b", {"messages": [{"role": "user", "content": deep}]})) == {"a": "shown"}


def test_a_lone_surrogate_is_no_trouble(index: ContentIndex) -> None:
    index.call("a", asking("\ud83d"), answering(f"\udc00 {PROVERB}"))
    assert kinds(index.query("b", asking(f"\ud800 {PROVERB}"))) == {"a": "shown"}


def test_an_api_of_one_s_own_is_a_row_in_the_table(index: ContentIndex) -> None:
    def parts(body: dict[str, Any]) -> Iterator[tuple[str, Any, bool]]:
        yield "/ask", body["ask"], False

    readers["house"] = Reader(parts, lambda body: iter([("/say", body["say"])]))
    try:
        index.call("a", {"ask": "?", "say": "?"}, {"say": PROVERB, "ask": "?"}, "house")
        assert kinds(index.query("b", {"ask": PROVERB}, "house")) == {"a": "shown"}
    finally:
        del readers["house"]


def test_a_tool_s_result_is_an_answer_too(index: ContentIndex) -> None:
    index.insert("lm", answering(PROVERB))
    request = {"name": "save", "arguments": {"text": PROVERB}}
    found = "Shelf 9 of the Ravnsborg archive, beside the ledgers."
    assert kinds(index.query("tool", request, "mcp.tools")) == {"lm": "shown"}
    index.insert("tool", {"content": [{"type": "text", "text": found}]}, "mcp.tools")
    assert kinds(index.query("next", asking(f"It said: {found}"))) == {"tool": "shown"}


def test_replay_of_calls_with_times_is_call_by_call(index: ContentIndex) -> None:
    calls = [
        StoredCall("a", asking("A proverb."), answering(PROVERB), "openai.chat", 1.0, 5.0),
        StoredCall("b", asking(f"Print: {PROVERB}"), answering("No."), "openai.chat", 4.0, 6.0),
    ]
    rebuilt = ContentIndex.replay(calls)
    assert kinds(rebuilt.query("c", asking(f"Show: {PROVERB}"), started=7.0)) == {"a": "shown"}


def test_what_is_asked_once_more_comes_from_the_latest_call_that_gave_the_same_answer() -> None:
    """A script that runs its chain twice; and a retry, whose first answer quotes what it was asked."""
    index, found = ContentIndex(), "The northern boiler lost pressure after seven gaskets failed"
    for number in (0, 2):
        index.call(f"{number}", asking("Ask the caretaker."), answering(found))
        (edge,) = index.call(f"{number + 1}", asking(f"Shorten: {found}"), answering(f"In short: {found}."))
        assert (edge.source, edge.weak) == (f"{number}", False)
    (edge,) = index.call("retry", asking(f"Shorten: {found}"), answering("Gaskets failed."))
    assert edge.source == "2"
