"""What of a body is text that a model read or wrote; the rest is settings and ids.  One table, by API format.

A `Reader` says where the parts of a request and the answers of a response are.  What is in them is walked the same
way for all: texts and numbers at the leaves.  Model names, temperatures, roles, types, ids, usage and binary data are
no text.  Ids of tool calls are kept apart: that a request gives back an id that an answer made up is dataflow of its
own, whatever the texts say.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

__all__ = ["Answer", "Leaf", "Part", "Reader", "read_request", "read_response", "readers"]


class Leaf(NamedTuple):
    """A text and its JSON pointer."""

    path: str
    text: str


@dataclass(slots=True)
class Part:
    """A part of a request that is sent again as a whole or not at all: a message, the system prompt, a tool.

    Attributes:
        path: JSON pointer of the part.
        value: as it is in the body.
        leaves: its texts; their paths are below ``path``.
        model: whether a model wrote it, as the request says (an assistant's message).
        ids: ids of tool calls that it gives back, each with the JSON pointer of the object that names it.
    """

    path: str
    value: Any
    model: bool = False
    leaves: list[Leaf] = field(default_factory=list)
    ids: list[tuple[str, str]] = field(default_factory=list)


@dataclass(slots=True)
class Answer:
    """One answer of a response: a choice, a candidate; with the texts and the ids of the tool calls in it."""

    leaves: list[Leaf] = field(default_factory=list)
    ids: list[tuple[str, str]] = field(default_factory=list)  # id, JSON pointer of the tool call


class Reader(NamedTuple):
    """Where a format has its parts, ``(path, value, is it a model's)``, and its answers, ``(path, value)``."""

    parts: Callable[[dict[str, Any]], Iterator[tuple[str, Any, bool]]]
    answers: Callable[[dict[str, Any]], Iterator[tuple[str, Any]]]


_ID_KEYS = ("tool_call_id", "call_id", "tool_use_id")
_SILENT = frozenset(
    {
        *("id", "role", "type", "model", "object", "index", "status", "created", "created_at", "finish_reason"),
        *("stop_reason", "stop_sequence", "finishReason", "done_reason", "usage", "usageMetadata", "logprobs"),
        *("system_fingerprint", "service_tier", "signature", "thoughtSignature", "encrypted_content", "cache_control"),
        *("b64_json", "inlineData", "inline_data", "image_url", "input_audio", "audio", "file_data", "detail"),
        *("media_type", "mimeType", "mime_type", "strict", "is_error", "annotations", "citations", "safetyRatings"),
        *("required", "additionalProperties", "format", "item_id", "response_id", *_ID_KEYS),
    }
)
_CALL_KEYS = ("arguments", "args", "parameters", "input", "input_schema", "response")


def read_request(body: Any, api_format: str = "") -> list[Part]:
    """The parts of a request's body, in order; none if there is nothing to read."""
    if isinstance(body, str):
        body = {"prompt": body}
    if not isinstance(body, dict):
        return []
    parts = []
    for path, value, model in _reader(api_format, body).parts(body):
        part = Part(path, value, model)
        _walk(value, path, part.leaves, part.ids)
        parts.append(part)
    return parts


def read_response(body: Any, api_format: str = "") -> list[Answer]:
    """The answers in a response's body; none if there is nothing to read (an error, vectors)."""
    if isinstance(body, str):
        return [Answer([Leaf("", body)])] if body else []
    if not isinstance(body, dict):
        return []
    answers = []
    for path, value in _reader(api_format, body).answers(body):
        answer = Answer()
        _walk(value, path, answer.leaves, [])
        answer.ids = list(_issued(value, path))
        if isinstance(body.get("id"), str):
            answer.ids.append((body["id"], path))
        answers.append(answer)
    return answers


def _walk(value: Any, path: str, leaves: list[Leaf], ids: list[tuple[str, str]]) -> None:
    # Keys in their order, so that the order in a dict does not matter.
    todo = [(path, value)]
    while todo:
        path, value = todo.pop()
        if isinstance(value, str):
            if value and not _binary(value):
                leaves.append(Leaf(path, value))
        elif isinstance(value, (int, float)) and not isinstance(value, bool):
            leaves.append(Leaf(path, json.dumps(value)))
        elif isinstance(value, list):
            todo += [(f"{path}/{index}", item) for index, item in reversed(list(enumerate(value)))]
        elif isinstance(value, dict):
            ids += ((found, path) for found in _given_back(value))
            todo += [
                (f"{path}/{_escaped(key)}", value[key])
                for key in sorted(value, reverse=True, key=str)
                if _says(key, value)
            ]


def _says(key: Any, inside: dict[str, Any]) -> bool:
    if key in _SILENT:
        # In the arguments of a tool call any key may hold a value; there, nothing tells of an API's own object.
        return not ({"type", "role", "object"} & inside.keys()) and key in ("id", "status", "detail", "index", "format")
    return key != "name" or not any(other in inside for other in _CALL_KEYS)


def _binary(text: str) -> bool:
    return text.startswith("data:") or (
        len(text) > 2000 and text.isascii() and not any(c in text[:2000] for c in " \n\\")
    )


def _escaped(key: Any) -> str:
    return str(key).replace("~", "~0").replace("/", "~1")


def _given_back(value: dict[str, Any]) -> Iterator[str]:
    for key in _ID_KEYS:
        if isinstance(found := value.get(key), str):
            yield found
    if isinstance(found := value.get("id"), str) and _is_call(value):
        yield found


def _is_call(value: dict[str, Any]) -> bool:
    return value.get("type") in ("function", "tool_use", "function_call", "custom") or "function" in value


def _issued(value: Any, path: str) -> Iterator[tuple[str, str]]:
    todo = [(path, value)]
    while todo:
        path, value = todo.pop()
        if isinstance(value, dict):
            if _is_call(value):
                yield from ((value[key], path) for key in ("id", "call_id") if isinstance(value.get(key), str))
            todo += [(f"{path}/{_escaped(key)}", value[key]) for key in sorted(value, key=str)]
        elif isinstance(value, list):
            todo += [(f"{path}/{index}", item) for index, item in enumerate(value)]


def _reader(api_format: str, body: dict[str, Any]) -> Reader:
    return readers.get(api_format) or readers[_guess(body)]


def _guess(body: dict[str, Any]) -> str:
    if "contents" in body or "candidates" in body:
        return "gemini"
    if isinstance(body.get("output"), list) or "instructions" in body or "input" in body:
        return "openai.responses"
    if "system" in body or (isinstance(body.get("content"), list) and body.get("role") == "assistant"):
        return "anthropic.messages"
    if isinstance(body.get("message"), dict) or isinstance(body.get("response"), str):
        return "ollama"
    return "openai.chat" if "messages" in body or "choices" in body else "other"


# --- The formats


def _list(body: dict[str, Any], key: str) -> Iterator[tuple[str, Any]]:
    value = body.get(key)
    if isinstance(value, list):
        yield from ((f"/{key}/{index}", item) for index, item in enumerate(value))
    elif value is not None:
        yield f"/{key}", value


def _plain(body: dict[str, Any], *names: str) -> Iterator[tuple[str, Any, bool]]:
    for name in names:
        yield from ((path, value, False) for path, value in _list(body, name))


def _conversation(body: dict[str, Any], name: str) -> Iterator[tuple[str, Any, bool]]:
    for path, value in _list(body, name):
        yield path, value, isinstance(value, dict) and _by_model(value)


def _by_model(message: dict[str, Any]) -> bool:
    return message.get("role") in ("assistant", "model") or message.get("type") in ("function_call", "reasoning")


def _chat_parts(body: dict[str, Any]) -> Iterator[tuple[str, Any, bool]]:
    yield from _plain(body, "tools", "functions", "response_format", "prompt")
    yield from _conversation(body, "messages")


def _chat_answers(body: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    for path, choice in _list(body, "choices"):
        if isinstance(choice, dict):
            yield from ((f"{path}/{key}", choice[key]) for key in ("message", "text") if choice.get(key) is not None)


def _responses_parts(body: dict[str, Any]) -> Iterator[tuple[str, Any, bool]]:
    if body.get("previous_response_id"):
        # The server has what was said before: an id stands for it.
        yield "/previous_response_id", {"call_id": body["previous_response_id"]}, True
    yield from _plain(body, "tools", "text", "instructions")
    yield from _conversation(body, "input")


def _anthropic_parts(body: dict[str, Any]) -> Iterator[tuple[str, Any, bool]]:
    yield from _plain(body, "tools", "system", "prompt")
    yield from _conversation(body, "messages")


def _gemini_parts(body: dict[str, Any]) -> Iterator[tuple[str, Any, bool]]:
    yield from _plain(body, "tools", "systemInstruction", "system_instruction")
    yield from _conversation(body, "contents")


def _gemini_answers(body: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    for path, candidate in _list(body, "candidates"):
        if isinstance(candidate, dict) and "content" in candidate:
            yield f"{path}/content", candidate["content"]


def _ollama_parts(body: dict[str, Any]) -> Iterator[tuple[str, Any, bool]]:
    yield from _plain(body, "tools", "system", "prompt", "suffix", "input")
    yield from _conversation(body, "messages")


def _whole(*names: str) -> Callable[[dict[str, Any]], Iterator[tuple[str, Any]]]:
    """Each of the fields ``names`` is an answer, all of its items together."""

    def answers(body: dict[str, Any]) -> Iterator[tuple[str, Any]]:
        yield from ((f"/{name}", body[name]) for name in names if body.get(name))

    return answers


def _everything(body: dict[str, Any]) -> Iterator[tuple[str, Any, bool]]:
    for name in sorted(body, key=str):
        if isinstance(body[name], (str, list, dict)) and name not in _SILENT:
            yield from _conversation(body, name)


def _all_answers(body: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    yield "", {name: value for name, value in body.items() if isinstance(value, (str, list, dict))}


def _tool_parts(body: dict[str, Any]) -> Iterator[tuple[str, Any, bool]]:
    if "arguments" in body:
        yield "/arguments", body["arguments"], False


def _no_answers(body: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    yield from ()


_CHAT = Reader(_chat_parts, _chat_answers)
_GEMINI = Reader(_gemini_parts, _gemini_answers)
_OLLAMA = Reader(_ollama_parts, _whole("message", "response"))

readers: dict[str, Reader] = {
    "openai.chat": _CHAT,
    "openai.completions": _CHAT,
    "openai.responses": Reader(_responses_parts, _whole("output")),
    "openai.embeddings": Reader(lambda body: _plain(body, "input"), _no_answers),
    "anthropic.messages": Reader(_anthropic_parts, _whole("content")),
    "gemini": _GEMINI,
    "gemini.generate": _GEMINI,
    "gemini.embeddings": Reader(lambda body: _plain(body, "content", "requests"), _no_answers),
    "ollama": _OLLAMA,
    "ollama.chat": _OLLAMA,
    "ollama.generate": _OLLAMA,
    "ollama.embeddings": Reader(lambda body: _plain(body, "input", "prompt"), _no_answers),
    "mcp.tools": Reader(_tool_parts, _whole("content", "structuredContent")),
    "other": Reader(_everything, _all_answers),
}
"""API format -> its reader.  Enter your own; a format that is not here is guessed by the body's fields."""
