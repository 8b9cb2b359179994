"""Laws of both formats, over random conversations and random cuts."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from afnio._content_blocks import KNOWN_BLOCK_TYPES
from afnio.calls import ApiFormat
from afnio.models.formats.anthropic_messages import ANTHROPIC_MESSAGES
from afnio.models.formats.openai_chat import OPENAI_CHAT

words = st.text(min_size=1, max_size=6)
text = st.builds(lambda value: {"type": "text", "text": value}, words)
call = st.builds(
    lambda number: {"type": "tool_use", "id": f"t{number}", "name": "f", "input": {"n": number}}, st.integers(0, 9)
)
result = st.builds(
    lambda number, value: {"type": "tool_result", "tool_use_id": f"t{number}", "content": value},
    st.integers(0, 9),
    words,
)
thought = st.builds(lambda value: {"type": "thinking", "thinking": value, "signature": "s"}, words)
hidden = st.just({"type": "provider", "_provider": "other", "_native_type": "x", "payload": {"type": "secret"}})
picture = st.just({"type": "image", "source": {"type": "url", "url": "https://h/x"}})


def message(role: str, *blocks: Any) -> Any:
    return st.builds(
        lambda content: {"role": role, "content": content, "_stop_reason": "end_turn"},
        st.one_of(words, st.lists(st.one_of(*blocks), min_size=1, max_size=3)),
    )


conversations = st.lists(
    st.one_of(
        message("system", text),
        message("user", text, picture),
        message("assistant", text, call, thought, hidden),
        st.builds(lambda content: {"role": "tool", "content": content}, st.lists(result, min_size=1, max_size=3)),
    ),
    max_size=8,
)


def said(messages: Any, role: str) -> str:
    """All text of a role, in order."""
    contents = [each["content"] for each in messages if each["role"] == role]
    return "".join(
        [
            content if isinstance(content, str) else "".join([block.get("text", "") for block in content or ()])
            for content in contents
        ]
    )


def found(value: Any, kind: str) -> list[Any]:
    """Every block of a kind, wherever it is."""
    if isinstance(value, dict):
        here = [value] if value.get("type") == kind else []
        return here + [block for each in value.values() for block in found(each, kind)]
    return [block for each in value for block in found(each, kind)] if isinstance(value, list) else []


@given(conversations)
def test_anthropic_turns_alternate_and_lose_nothing(messages: list[dict[str, Any]]) -> None:
    before = json.dumps(messages)
    body = ANTHROPIC_MESSAGES.body("m", messages, {})
    turns = body["messages"]
    roles = [turn["role"] for turn in turns]
    assert all(one != other for one, other in pairwise(roles))
    assert set(roles) <= {"user", "assistant"}
    if set(roles) & {"assistant"} or "system" not in body:
        assert said(turns, "assistant") == said(messages, "assistant")
    for kind in ("tool_use", "tool_result", "thinking", "image"):
        key = lambda block: json.dumps(block, sort_keys=True)  # noqa: E731
        assert sorted(map(key, found(turns, kind))) == sorted(map(key, found(messages, kind)))
    for turn in turns:
        kinds = [block["type"] for block in turn["content"]] if isinstance(turn["content"], list) else []
        assert kinds == sorted(kinds, key=lambda kind: turn["role"] == "user" and kind != "tool_result")
    assert not found(body, "provider")
    assert not found(body, "secret"), "another provider's blocks stay away"
    assert "_stop_reason" not in json.dumps(body)
    assert json.dumps(messages) == before, "what is given is not changed"


@given(conversations)
def test_chat_completions_hold_none_of_our_blocks_and_lose_no_text(messages: list[dict[str, Any]]) -> None:
    before = json.dumps(messages)
    spelled = OPENAI_CHAT.body("m", messages, {})["messages"]
    for role in ("system", "user", "assistant"):
        assert said(spelled, role) == said(messages, role)
    for kind in KNOWN_BLOCK_TYPES - {"text"}:
        assert not found(spelled, kind)
    calls = [each for turn in spelled for each in turn.get("tool_calls", ())]
    assert [each["id"] for each in calls] == [block["id"] for block in found(messages, "tool_use")]
    answers = [turn["tool_call_id"] for turn in spelled if turn["role"] == "tool"]
    assert answers == [block["tool_use_id"] for block in found(messages, "tool_result")]
    assert "_stop_reason" not in json.dumps(spelled)
    assert json.dumps(messages) == before


def anthropic_events(pieces: list[str]) -> list[dict[str, Any]]:
    start = {"type": "message_start", "message": {"content": [], "usage": {"input_tokens": 1, "output_tokens": 0}}}
    block = {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}
    deltas = [
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": each}} for each in pieces
    ]
    end = {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 2}}
    return [start, block, *deltas, end, {"type": "message_stop"}]


def openai_events(pieces: list[str]) -> list[dict[str, Any]]:
    deltas = [{"choices": [{"index": 0, "delta": {"content": each}}]} for each in pieces]
    end = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
    return [*deltas, end, {"choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": 2}}]


@pytest.mark.parametrize(
    ("form", "events"),
    [(ANTHROPIC_MESSAGES, anthropic_events), (OPENAI_CHAT, openai_events)],
    ids=["anthropic", "openai"],
)
@given(pieces=st.lists(words, min_size=1, max_size=6))
def test_a_folded_stream_says_what_its_pieces_say(form: ApiFormat, events: Any, pieces: list[str]) -> None:
    folder = form.folder()
    given_ = "".join([folder.add(each.get("type", ""), each) for each in events(pieces)])
    body = folder.body()
    assert given_ == form.text(body) == "".join(pieces)
    assert form.content(body) == [{"type": "text", "text": "".join(pieces)}]
    usage = form.usage(body)
    assert usage is not None
    assert (usage.input_tokens, usage.output_tokens, form.stop_reason(body)) == (1, 2, "end_turn")


@pytest.mark.parametrize("form", [ANTHROPIC_MESSAGES, OPENAI_CHAT], ids=["anthropic", "openai"])
@given(blocks=st.lists(st.one_of(text, call), min_size=1, max_size=4))
def test_what_a_model_said_comes_back_to_it(form: ApiFormat, blocks: list[dict[str, Any]]) -> None:
    """Content of an answer, sent back as a turn, says the same: text and calls with their ids."""
    (turn,) = form.body("m", [{"role": "assistant", "content": blocks}], {})["messages"]
    native = {"content": turn["content"]} if form is ANTHROPIC_MESSAGES else {"choices": [{"message": turn}]}
    back: list[Any] = list(form.content(native))
    assert [block for block in back if block["type"] == "tool_use"] == [b for b in blocks if b["type"] == "tool_use"]
    texts = ["".join([str(b["text"]) for b in each if b["type"] == "text"]) for each in (back, blocks)]
    assert texts[0] == texts[1]
