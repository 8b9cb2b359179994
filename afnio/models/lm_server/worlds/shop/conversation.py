"""What has happened since the customer asked: the calls the model made, and what came back."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

from afnio.models.lm_server.ask import Ask, Tool, ToolCall, Turn

__all__ = ["Conversation", "Done", "conversation", "kind_of"]

_SEARCH = re.compile(r"search|looks?[ _-]?up|find|catalog|fetch", re.IGNORECASE)
_REPAIR = re.compile(r"\breply\b.*\b(?:JSON|schema|contract)\b", re.IGNORECASE | re.DOTALL)
_CALCULATOR = re.compile(r"calc|comput|arithmetic|evaluat|expression", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Done:
    """One call: what was asked for, what came back."""

    given: str
    result: str
    failed: bool


@dataclass(slots=True)
class Conversation:
    """The question's turn, the two tools, and what was done with them.

    Attributes:
        search, calculator: the tools, or None where the request has no such tool.
        found: the searches.
        worked_out: the calculations.
        invalid: how many calls could not be carried out, because of their name or their arguments.
    """

    question: Turn
    search: Tool | None
    calculator: Tool | None
    found: list[Done]
    worked_out: list[Done]
    invalid: int


def kind_of(name: str, description: str) -> str:
    """``search`` or ``calculator``: what a tool is for, by its name, else by its description; ``""`` for others."""
    for text in (name, description):
        if _CALCULATOR.search(text):
            return "calculator"
        if _SEARCH.search(text):
            return "search"
    return ""


def conversation(ask: Ask) -> Conversation:
    """The request as a conversation with a customer."""
    last = _asked_at(ask)
    kinds = {tool.name: kind_of(tool.name, tool.description) for tool in ask.tools}
    tools = {kind: tool for tool in reversed(ask.tools) if (kind := kinds[tool.name])}
    question = ask.turns[last] if last >= 0 else Turn("user", "")
    found = Conversation(question, tools.get("search"), tools.get("calculator"), [], [], 0)
    for call, result in _calls(ask.turns[last + 1 :]):
        given = _given(call)
        done = {"search": found.found, "calculator": found.worked_out}.get(kinds.get(call.name, ""))
        if given is None or done is None:
            found.invalid += 1
        else:
            done.append(Done(given, result.text, result.failed or result.text.lower().startswith("error")))
    return found


def _asked_at(ask: Ask) -> int:
    """Where the customer asks: the last user message, unless it only sends an answer back that broke the schema."""
    said = [index for index, turn in enumerate(ask.turns) if turn.role == "user"]
    while len(said) > 1 and ask.schema is not None and _REPAIR.search(ask.turns[said[-1]].text):
        said.pop()
    return said[-1] if said else -1


def _calls(turns: list[Turn]) -> list[tuple[ToolCall, Turn]]:
    """Each call with its result, the next one that has its id (any that has none fits); a failed one if there is none.

    Ids need not be unique in a conversation, only among the calls of one turn.
    """
    results = [turn for turn in turns if turn.role == "tool"]
    pairs = []
    for call in [call for turn in turns for call in turn.calls]:
        own = next((turn for turn in results if turn.call_id in ("", call.id)), Turn("tool", "", failed=True))
        results = [turn for turn in results if turn is not own]
        pairs.append((call, own))
    return pairs


def _given(call: ToolCall) -> str | None:
    """The first text among a call's arguments; None: they are no arguments of ours."""
    try:
        arguments = json.loads(call.arguments)
    except ValueError:
        return None
    texts = [value for value in arguments.values() if isinstance(value, str)] if isinstance(arguments, dict) else []
    return texts[0] if texts else None
