"""Tokens by one rule that anybody can redo: four characters are a token, a message costs three more, a picture 256."""

from __future__ import annotations

from afnio.models.lm_server.ask import Answer, Ask

__all__ = ["count", "input_tokens", "tokens"]

MESSAGE_TOKENS = 3
IMAGE_TOKENS = 256
CACHE_FROM = 1024
CACHE_STEP = 128
REASONING = {"minimal": 16, "low": 64, "medium": 256, "high": 1024, "xhigh": 2048, "max": 4096}


def tokens(chars: int) -> int:
    """Tokens of a text of ``chars`` characters, rounded up."""
    return -(-chars // 4)


def input_tokens(ask: Ask) -> int:
    """Tokens of all messages with their pictures, of the tools and of the output schema."""
    pictures = IMAGE_TOKENS * sum([len(turn.images) for turn in ask.turns])
    return tokens(ask.extra_chars) + pictures + sum([tokens(len(turn.text)) + MESSAGE_TOKENS for turn in ask.turns])


def count(ask: Ask, answer: Answer) -> None:
    """Cut ``answer`` at the request's ``max_tokens`` and write its usage into it."""
    if ask.max_tokens is not None and tokens(len(answer.text)) > ask.max_tokens:
        answer.text, answer.cut = answer.text[: ask.max_tokens * 4], True
    said = len(answer.text) + sum([len(call.name) + len(call.arguments) for call in answer.tool_calls])
    answer.input_tokens = input_tokens(ask)
    answer.cached_tokens = _cached(ask, answer.input_tokens)
    answer.reasoning_tokens = REASONING.get(ask.effort, 0)
    answer.output_tokens = tokens(said) * ask.choices + answer.reasoning_tokens


def _cached(ask: Ask, total: int) -> int:
    """A cache that is always warm: the system texts of a long prompt count as cached.

    A real cache depends on what was asked before; this one may not, because the same request must get the
    same answer in every process.
    """
    if ask.cached_chars is not None:
        return tokens(ask.cached_chars)
    if total < CACHE_FROM:
        return 0
    return tokens(len(ask.system)) // CACHE_STEP * CACHE_STEP
