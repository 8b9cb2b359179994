"""Feedback beyond the token budget is reduced by the model, in groups, side by side; nothing is cut."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

from afnio.autodiff.feedback import Pieces, joined_trail, union
from afnio.autodiff.settings import current_settings
from afnio.autodiff.together import together
from afnio.calls.tokens import estimate
from afnio.gradient import Gradient
from afnio.models.contract import Contract, Fault, ask
from afnio.models.invoke import is_inline

__all__ = ["Reducer", "feedback_contract", "reduce_feedback", "tokens"]


def tokens(text: str) -> int:
    """Estimated size of ``text``."""
    return estimate(text)


@functools.lru_cache(maxsize=256)
def feedback_contract(
    names: tuple[str, ...], *, may_be_empty: bool = False, may_all_be_empty: bool = False
) -> Contract:
    """The contract of a critic asked about the variables ``names``: one entry for each.

    Args:
        names: of the variables.
        may_be_empty: it may say by an empty text that there is nothing to change.
        may_all_be_empty: of none of them: what went wrong may lie in another call.
    """
    entry = {
        "type": "object",
        "properties": {"variable": {"type": "string", "enum": list(names)}, "text": {"type": "string"}},
        "required": ["variable", "text"],
        "additionalProperties": False,
    }
    schema = {
        "type": "object",
        "properties": {"feedback": {"type": "array", "items": entry}},
        "required": ["feedback"],
        "additionalProperties": False,
    }
    return Contract("afnio_feedback", schema, functools.partial(_read, names, may_be_empty, may_all_be_empty))


def _read(names: tuple[str, ...], may_be_empty: bool, may_all_be_empty: bool, value: dict[str, Any]) -> dict[str, str]:
    entries = value["feedback"]
    if not isinstance(entries, list):
        raise Fault("'feedback' must be a list of objects")
    texts: dict[str, str] = {}
    for entry in entries:
        if not isinstance(entry, dict):
            raise Fault("'feedback' must be a list of objects")
        name, text = entry.get("variable"), entry.get("text")
        if name not in names:
            raise Fault(f"'feedback' has an entry for {name!r}; asked for were {', '.join(names)}")
        if not isinstance(text, str) or not (text.strip() or may_be_empty):
            raise Fault(f"the entry for {name!r} has no text")
        text = text.strip()
        texts[name] = f"{texts[name]}\n{text}".strip() if name in texts else text
    if len(texts) < len(names):
        missing = [name for name in names if name not in texts]
        raise Fault(f"'feedback' has no entry for {', '.join(missing)}")
    if not (may_all_be_empty or any(texts.values())):
        raise Fault("no entry has a text, and samples failed: say of one variable at least what to change")
    return texts


@dataclass(frozen=True, slots=True)
class Reducer:
    """The model that reduces feedback, with what is passed with every call."""

    client: Any
    completion_args: dict[str, Any]


async def reduce_feedback(pieces: Pieces, role: str, value: str, node: str, reducer: Reducer) -> Pieces:
    """``pieces``, or fewer and shorter ones that say the same if they exceed the token budget.

    Args:
        pieces: the feedback on one value.
        role: what the value is.
        value: the value itself, shown to the reducer whole.
        node: label for the ledger.
        reducer: the model to ask.
    """
    budget = current_settings().feedback_tokens
    if len(pieces) > 1 and sum(len(piece.data) for piece in pieces) > budget:  # a token has at least one character
        while len(pieces) > 1 and sum(tokens(piece.data) for piece in pieces) > budget:
            groups = _groups(pieces, budget)
            if len(groups) == len(pieces):
                break
            merges = [_merge(group, role, value, node, reducer) for group in groups]
            pieces = await together(merges, is_inline(reducer.client))
    return pieces


def _groups(pieces: Pieces, budget: int) -> list[Pieces]:
    """Neighbours that fit into the budget together; always at least two where there are two."""
    groups: list[Pieces] = []
    room = 0
    for piece in pieces:
        size = tokens(piece.data)
        if not groups or (size > room and len(groups[-1]) > 1):
            groups.append([])
            room = budget
        groups[-1].append(piece)
        room -= size
    return groups


async def _merge(group: Pieces, role: str, value: str, node: str, reducer: Reducer) -> Gradient:
    if len(group) == 1:
        return group[0]
    words = current_settings().words_of("reducer")
    user = "\n".join(
        [
            f'<variable id="v1" role="{role}">{value}</variable>',
            *(f'<feedback samples="{",".join(piece.samples)}">{piece.data}</feedback>' for piece in group),
        ]
    )
    texts = await ask(
        reducer.client,
        [{"role": "system", "content": words.system}, {"role": "user", "content": user}],
        feedback_contract(("v1",)),
        role="reducer",
        node=node,
        variable=role,
        completion_args=reducer.completion_args,
        words=words.label,
    )
    return Gradient(
        texts["v1"],
        group[0].role,
        samples=union(piece.samples for piece in group),
        index=group[0].index,
        sources=joined_trail(group),
        goal=group[0].goal,
    )
