"""Which laws hold for a request: those its texts state, each where it belongs."""

from __future__ import annotations

from afnio.models.lm_server.ask import Ask
from afnio.models.lm_server.worlds.shop.conversation import Conversation
from afnio.models.lm_server.worlds.shop.laws import stated, wrong_rules

__all__ = ["known"]


def known(ask: Ask, talk: Conversation) -> frozenset[str]:
    """Names of the laws and of the wrong rules in the system prompt and in the tools' descriptions.

    Without a system prompt, the question's own message counts as one.
    """
    texts = {
        "system": ask.system or talk.question.text,
        "search": talk.search.description if talk.search else "",
        "calculator": talk.calculator.description if talk.calculator else "",
    }
    laws = [stated(text, about) for about, text in texts.items()]
    rules = [name for about, text in texts.items() for _, name in wrong_rules(text, about)]
    return frozenset(rules).union(*laws)
