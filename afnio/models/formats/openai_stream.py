"""The chunks of a streamed chat completion, folded into one."""

from __future__ import annotations

from typing import Any

from afnio.calls.request import ErrorEvent
from afnio.calls.sse import DONE
from afnio.errors import APIConnectionError

__all__ = ["ChatFolder"]

_WHOLE = frozenset({"role", "id", "type", "name"})
"""What a chunk tells at once, and some servers tell again; all other texts come in pieces."""


class ChatFolder:
    """The format's ``Folder``."""

    def __init__(self) -> None:
        self._head: dict[str, Any] = {}
        self._choices: dict[int, dict[str, Any]] = {}
        self._usage: Any = None
        self._done = False

    def add(self, event: str, data: dict[str, Any]) -> str:
        """Take a chunk; returns the first choice's new text."""
        if event == DONE:
            self._done = True
            return ""
        if data.get("error") or event == "error":
            raise ErrorEvent(_status(data), data)
        for name, value in data.items():
            if name not in ("choices", "usage") and value is not None:
                self._head.setdefault(name, value)
        self._usage = data.get("usage") or self._usage
        return "".join([self._choice(choice) for choice in data.get("choices") or ()])

    def _choice(self, chunk: dict[str, Any]) -> str:
        index = chunk.get("index") or 0
        choice = self._choices.setdefault(index, _choice(index))
        delta = chunk.get("delta") or {}
        _merge(choice["message"], delta)
        for name, value in chunk.items():
            if name == "logprobs" and value:
                choice[name] = choice[name] or {}
                _merge(choice[name], value)
            elif name not in ("index", "delta") and value is not None:
                choice[name] = value
        text = delta.get("content")
        return text if index == 0 and isinstance(text, str) else ""

    def body(self) -> dict[str, Any]:
        """The whole chat completion."""
        ended = [choice["finish_reason"] for choice in self._choices.values()]
        if not self._choices or not (self._done or all(ended)):
            raise APIConnectionError("The stream ended before the answer was complete.")
        choices = [self._choices[index] for index in sorted(self._choices)]
        for choice in choices:
            for call in choice["message"].get("tool_calls", ()):
                call.pop("index", None)
        whole = self._head | {"object": "chat.completion", "choices": choices}
        return whole | {"usage": self._usage} if self._usage else whole


def _choice(index: int) -> dict[str, Any]:
    message = {"role": "assistant", "content": None, "refusal": None}
    return {"index": index, "message": message, "logprobs": None, "finish_reason": None}


def _merge(into: dict[str, Any], delta: dict[str, Any]) -> None:
    for name, value in delta.items():
        known = into.get(name)
        if value is None:
            continue
        if known is None:
            into[name] = list(value) if isinstance(value, list) else value
            if isinstance(value, list) and name == "tool_calls":
                into[name] = []
                _merge_list(into[name], value)
        elif isinstance(known, str) and isinstance(value, str):
            into[name] = (value or known) if name in _WHOLE else known + value
        elif isinstance(known, dict) and isinstance(value, dict):
            _merge(known, value)
        elif isinstance(known, list) and isinstance(value, list):
            _merge_list(known, value)
        else:
            into[name] = value


def _merge_list(into: list[Any], pieces: list[Any]) -> None:
    """Pieces with an ``index`` go where it says, all others to the end."""
    for piece in pieces:
        index = piece.get("index") if isinstance(piece, dict) else None
        known = next((each for each in into if each.get("index") == index), None) if index is not None else None
        if known is None:
            into.append(dict(piece) if isinstance(piece, dict) else piece)
        else:
            _merge(known, {name: value for name, value in piece.items() if name != "index"})


def _status(data: dict[str, Any]) -> int:
    fault = data.get("error")
    code = fault.get("code") or fault.get("status") if isinstance(fault, dict) else None
    return code if isinstance(code, int) and 400 <= code < 600 else 500
