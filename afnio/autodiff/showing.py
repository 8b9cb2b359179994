"""Content blocks as a critic reads them: text with our tags, and the pictures that go with it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from afnio._content_blocks import DOCUMENT, IMAGE, TEXT, THINKING, TOOL_RESULT, TOOL_USE
from afnio.autodiff.quoting import quoted

__all__ = ["Pictures", "Reading", "said"]


class Pictures:
    """The images and documents of one critic's work, each with a number by which the text refers to it."""

    def __init__(self) -> None:
        self._found: list[tuple[str, Mapping[str, Any]]] = []

    def number(self, block: Mapping[str, Any]) -> int:
        """The number of ``block``, from 1; the same picture twice has one number."""
        for number, (_, known) in enumerate(self._found, 1):
            if known["source"] == block["source"]:
                return number
        self._found.append((str(block["type"]), block))
        return len(self._found)

    def parts(self, numbers: Iterable[int]) -> list[Any]:
        """The blocks to send after the text: each picture behind its name."""
        parts: list[Any] = []
        for number in sorted(set(numbers)):
            kind, block = self._found[number - 1]
            parts += [{"type": "text", "text": f"{kind} {number}:"}, dict(block)]
        return parts


class Reading:
    """Puts the blocks of one conversation into text, call by call.

    Args:
        pictures: where images are numbered.
        before: the conversation this one goes on from: a result names the call it belongs to.

    Attributes:
        numbers: the pictures it refers to.
    """

    def __init__(self, pictures: Pictures, before: Reading | None = None) -> None:
        self.pictures, self.numbers = pictures, set[int]()
        self._calls: dict[str, str] = {} if before is None else dict(before._calls)
        self._count: int = 0 if before is None else before._count

    def text(self, blocks: Iterable[Mapping[str, Any]]) -> str:
        """``blocks`` in words; what is not ours is quoted."""
        return "\n".join([self._one(block) for block in blocks])

    def _one(self, block: Mapping[str, Any]) -> str:
        kind = block["type"]
        if kind == TEXT:
            return quoted(str(block["text"]))
        if kind == THINKING:
            return f"<thinking>{quoted(block['thinking'])}</thinking>"
        if kind == TOOL_USE:
            return self._call(block)
        if kind == TOOL_RESULT:
            return self._result(block)
        if kind in (IMAGE, DOCUMENT):
            return self._picture(block)
        return f'<other kind="{block["_native_type"]}">{quoted(_json(block["payload"]))}</other>'

    def _call(self, block: Mapping[str, Any]) -> str:
        self._count += 1
        label = self._calls[block["id"]] = f'call="{self._count}" name="{quoted(block["name"])}"'
        given = block["input"]
        return f"<tool_call {label}>{quoted(given if isinstance(given, str) else _json(given))}</tool_call>"

    def _result(self, block: Mapping[str, Any]) -> str:
        label = self._calls.get(block["tool_use_id"], "")
        failed = ' failed="true"' if block.get("is_error") else ""
        content = block["content"]
        text = quoted(content) if isinstance(content, str) else self.text(content)
        return f"<tool_result{' ' if label else ''}{label}{failed}>{text}</tool_result>"

    def _picture(self, block: Mapping[str, Any]) -> str:
        if block["source"]["type"] == "text":
            return quoted(block["source"]["data"])
        number = self.pictures.number(block)
        self.numbers.add(number)
        return f"(see {block['type']} {number})"


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)


def said(answer: Any) -> str:
    """An answer as one text, for whoever needs no tags: the text itself, or that of its blocks."""
    if isinstance(answer, str):
        return answer
    if answer is None:
        return ""
    return Reading(Pictures()).text(answer["content"])
