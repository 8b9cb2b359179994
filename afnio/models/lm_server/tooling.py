"""Which tools the simulation calls, and with what."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

from afnio.models.lm_server.ask import Ask, Tool, ToolCall
from afnio.models.lm_server.filling import fill

__all__ = ["called_tools"]


def called_tools(ask: Ask) -> list[ToolCall]:
    """The named or required tool; else each tool whose name has a word the last user message has.

    Once a result is back no tool is called again.
    """
    if not ask.tools or ask.tool_choice == "none" or ask.tool_results:
        return []
    named = [tool for tool in ask.tools if tool.name == ask.tool_choice]
    wanted = named or [tool for tool in ask.tools if _speaks_of(ask.user, tool)]
    if not wanted and ask.tool_choice == "required":
        wanted = ask.tools[:1]
    return [ToolCall(tool.name, _arguments(ask.user, tool)) for tool in wanted]


def _speaks_of(text: str, tool: Tool) -> bool:
    words = [word for word in re.split(r"[\W_]+", tool.name.lower()) if len(word) > 3]
    return any(word in text.lower() for word in words)


def _arguments(text: str, tool: Tool) -> str:
    quoted = re.findall(r"['\"]([^'\"]+)['\"]", text)
    numbers = re.findall(r"-?\d+(?:\.\d+)?", text)

    def guess(name: str, allowed: Sequence[Any]) -> Any:
        if allowed:
            return next((value for value in allowed if str(value).lower() in text.lower()), None)
        declared = tool.parameters.get("properties", {}).get(name, {}).get("type")
        if declared in ("integer", "number"):
            return _number(numbers, declared)
        return quoted[0] if quoted else text[:200]

    return json.dumps(fill({"type": "object", **tool.parameters}, guess), ensure_ascii=False)


def _number(found: list[str], declared: str) -> int | float | None:
    if not found:
        return None
    return int(float(found[0])) if declared == "integer" else float(found[0])
