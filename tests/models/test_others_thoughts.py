"""A conversation that went through several providers: each is sent back only what it can read."""

from __future__ import annotations

from typing import Any

from afnio.models.formats.anthropic_messages import ANTHROPIC_MESSAGES
from afnio.models.formats.openai_chat import OPENAI_CHAT

SIGNED = {"type": "thinking", "thinking": "Let me see.", "signature": "c2ln"}
UNSIGNED = {"type": "thinking", "thinking": "Hm."}
OPAQUE = {"type": "provider", "_provider": "anthropic", "_native_type": "redacted_thinking", "payload": {"data": "x"}}
TEXT = {"type": "text", "text": "Four."}


def turns(*blocks: dict[str, Any]) -> list[dict[str, Any]]:
    asked = {"role": "user", "content": "2 + 2?"}
    return [asked, {"role": "assistant", "content": list(blocks)}, {"role": "user", "content": "Sure?"}]


def test_anthropic_gets_its_own_thoughts_back_and_no_others() -> None:
    sent = ANTHROPIC_MESSAGES.body("m", turns(SIGNED, UNSIGNED, OPAQUE, TEXT), {})["messages"]
    assert sent[1] == {"role": "assistant", "content": [SIGNED, OPAQUE["payload"], TEXT]}
    only = ANTHROPIC_MESSAGES.body("m", turns(UNSIGNED), {})["messages"]
    assert [turn["role"] for turn in only] == ["user"], "an empty turn is refused by the API"


def test_chat_completions_get_the_words_alone() -> None:
    sent = OPENAI_CHAT.body("m", turns(SIGNED, OPAQUE, TEXT), {})["messages"]
    assert "Four." in str(sent[1])
    assert not any(word in str(sent) for word in ("Let me see", "redacted", "signature"))
