"""Where in a request the prompt ends and the ticket begins."""

from __future__ import annotations

import re
from functools import lru_cache

from afnio.models.lm_server.worlds.tickets.wording import blanket_rules, stated_laws
from afnio.models.lm_server.worlds.training.wording import sentences

__all__ = ["prompt_and_ticket"]

_TAGGED = re.compile(
    r"<(ticket|message|input|e?mail|text|request|customer_message)>\s*(.*?)\s*</\1>", re.DOTALL | re.IGNORECASE
)
_LABEL = re.compile(
    r"^[\W_]*(?:(?:support |customer(?:'s)? )?(?:ticket|message|request|e-?mail|text)|input)(?: text)?[*_ ]*:[*_ ]*",
    re.MULTILINE | re.IGNORECASE,
)


@lru_cache(maxsize=16384)
def prompt_and_ticket(system: str, user: str) -> tuple[str, str]:
    """``(prompt, ticket)`` of a request.

    The ticket is what stands in a tag such as ``<ticket>``, else what follows a label such as ``Ticket:``, else the
    whole last user message when there is a system message.  Without any of these it is the last user message
    without its first paragraph and without the sentences that state a rule.
    """
    tagged = _TAGGED.search(user)
    if tagged:
        return f"{system}\n{user[: tagged.start()]}\n{user[tagged.end() :]}", tagged.group(2)
    label = _LABEL.search(user)
    if label:
        return f"{system}\n{user[: label.start()]}", user[label.end() :]
    if system:
        return system, user
    return user, _without_rules(user)


def _without_rules(user: str) -> str:
    paragraphs = user.strip().split("\n\n")
    rest = "\n\n".join(paragraphs[1:]) if len(paragraphs) > 1 else user
    kept = [part for part in sentences(rest) if not stated_laws(part) and not blanket_rules(part)]
    return "\n".join(kept)
