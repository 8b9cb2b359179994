"""Judge: compare what was predicted with what was expected; without a target, ask the world."""

from __future__ import annotations

import json
import re
from collections.abc import Callable

from afnio.models.lm_server.ask import Ask
from afnio.models.lm_server.filling import fill

__all__ = ["judge"]

_PREDICTED = r"(?:prediction|predicted|answer|output|response)"
_EXPECTED = r"(?:target|expected|reference|ground[ _]truth|gold)"


def judge(ask: Ask, is_right: Callable[[Ask, str], bool]) -> str:
    """JSON ``{"score": 0 or 1, "explanation": ...}``, in the names of the request's schema when there is one.

    ``is_right(ask, prediction)`` decides where the request names no target.
    """
    text = "\n".join([turn.text for turn in ask.turns if turn.role == "user"]) or ask.system
    predicted, expected = _section(text, _PREDICTED), _section(text, _EXPECTED)
    if expected is None:
        right = is_right(ask, predicted or "")
    else:
        right = _plain(predicted or "") == _plain(expected)
    explanation = f"The prediction {'is' if right else 'differs from'} what was expected."
    verdict = {"score": 1 if right else 0, "explanation": explanation}
    if ask.schema is not None:
        return json.dumps(fill(ask.schema, lambda name, _: verdict.get(name)))
    return json.dumps(verdict)


def _section(text: str, name: str) -> str | None:
    """What stands in ``<name>...</name>``, or after ``Name:`` on its line."""
    tagged = re.search(rf"<({name})>(.*?)</\1>", text, re.DOTALL | re.IGNORECASE)
    if tagged:
        return tagged.group(2)
    labelled = re.search(rf"\b{name}\b[*_ \"']*[:=](.*)", text, re.IGNORECASE)
    return labelled.group(1) if labelled else None


def _plain(text: str) -> str:
    return " ".join(re.findall(r"[\w.]+", text.lower()))
