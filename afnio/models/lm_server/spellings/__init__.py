"""The API formats the simulated LM speaks, by path."""

from __future__ import annotations

from afnio.models.lm_server.spellings import anthropic_messages, openai_chat, openai_responses
from afnio.models.lm_server.spellings.base import BadAskError as BadAskError
from afnio.models.lm_server.spellings.base import Spelling as Spelling

__all__ = ["SPELLINGS", "BadAskError", "Spelling"]

SPELLINGS: dict[str, Spelling] = {
    "/v1/chat/completions": openai_chat,
    "/v1/responses": openai_responses,
    "/v1/messages": anthropic_messages,
}
