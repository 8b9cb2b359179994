"""A scripted model: in process, no network, no key.  For tests, tutorials and whoever wants to know what is sent."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from afnio.calls import _json
from afnio.calls.request import Request
from afnio.calls.transport import RawResponse, Timeout
from afnio.errors import ScriptError
from afnio.models.base import AsyncChat, Route, SyncChat
from afnio.models.formats.openai_chat import OPENAI_CHAT, PATH
from afnio.models.formats.openai_messages import answered
from afnio.models.model_registry import register_model

__all__ = ["Answer", "Scripted"]

Answer = str | dict[str, Any] | list[Any] | BaseException | type[BaseException]
"""A text; a dict (a whole API body when it has ``choices``, else an object to be sent as JSON); a list of content
blocks (text, tool_use, thinking); an error to raise."""

Replies = Sequence[Answer] | Mapping[str, Any] | Callable[[dict[str, Any]], Any]


@register_model
class Scripted(SyncChat, AsyncChat):
    """A model that answers from a script; works for sync and async code.

    Args:
        replies: one of

            - a list: the n-th request gets the n-th answer;
            - a dict of regular expressions: the first that is found in the request's messages (role by role, a
              line break between two) answers, with its value or with what its value returns for the request's body;
            - a function of the request's body (``messages``, ``model`` and the completion arguments).

            An answer is a text, a dict (a whole API body when it has ``choices``, else an object sent as JSON), a
            list of content blocks (``{"type": "tool_use", "id": ..., "name": ..., "input": {...}}``: a tool call), or
            an error to raise.
        model: the model's name for requests that give none.

    Attributes:
        requests: every request's body, oldest first.

    Raises:
        ScriptError: at a request the script has no answer for; the message shows the request.

    Usage is counted by length (four characters a token), so that costs and budgets can be tested too.
    """

    inline = True

    def __init__(self, replies: Replies, *, model: str = "scripted") -> None:
        super().__init__("scripted", {"model": model}, model=model)
        self.requests: list[dict[str, Any]] = []
        self._answer = _answerer(replies)
        self._route = Route(_Script(self), OPENAI_CHAT, "scripted://", PATH, max_retries=0)

    @property
    def calls(self) -> int:
        """How many requests were made."""
        return len(self.requests)


class _Script:
    """The transport: never waits."""

    inline = True

    def __init__(self, model: Scripted) -> None:
        self._model = model

    async def send(self, request: Request, timeout: Timeout) -> RawResponse:
        """Take the script's answer for ``request``."""
        body = request.body
        self._model.requests.append(body)
        answer = self._model._answer(body, len(self._model.requests) - 1)
        if isinstance(answer, dict) and "choices" in answer:
            return RawResponse(200, answer)
        if isinstance(answer, list):
            return RawResponse(200, _body(body, answered(answer)))
        return RawResponse(200, _body(body, {"role": "assistant", "content": _text(answer)}))


def _text(answer: Any) -> str:
    if isinstance(answer, str):
        return answer
    if isinstance(answer, BaseException) or (isinstance(answer, type) and issubclass(answer, BaseException)):
        raise answer
    if isinstance(answer, dict):
        return _json.dumps(answer).decode()
    raise TypeError(
        f"A scripted answer is a text, a dict, a list of content blocks or an error to raise; "
        f"got {type(answer).__name__}."
    )


def _body(request: dict[str, Any], message: dict[str, Any]) -> dict[str, Any]:
    sent = sum([_length(message.get("content")) for message in request["messages"]]) // 4 + 1
    calls = message.get("tool_calls", ())
    said = len(message["content"] or "") + len(message.get("reasoning_content", ""))
    if calls:
        said += sum([len(call["function"][part]) for call in calls for part in ("name", "arguments")])
    said, finish = said // 4 + 1, "tool_calls" if calls else "stop"
    return {
        "object": "chat.completion",
        "model": request["model"],
        "choices": [{"index": 0, "message": message, "finish_reason": finish}],
        "usage": {"prompt_tokens": sent, "completion_tokens": said, "total_tokens": sent + said},
    }


def _length(content: object) -> int:
    return len(content if isinstance(content, str) else _content_text(content))


def _content_text(content: object) -> str:
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    return "\n".join([str(part["text"]) for part in parts if isinstance(part, dict) and "text" in part])


def _request_text(body: dict[str, Any]) -> str:
    return "\n".join([_content_text(message.get("content")) for message in body["messages"]])


def _answerer(replies: Replies) -> Callable[[dict[str, Any], int], Any]:
    """``(request body, number from 0) -> answer``."""
    if callable(replies):
        return lambda body, number: replies(body)
    if isinstance(replies, Mapping):
        return _by_pattern(replies)
    if isinstance(replies, str) or not isinstance(replies, Sequence):
        kind = type(replies).__name__
        raise TypeError(f"Scripted takes a list of replies, a dict of patterns or a function; got {kind}.")
    return _in_order(list(replies))


def _in_order(replies: list[Answer]) -> Callable[[dict[str, Any], int], Any]:
    def answer(body: dict[str, Any], number: int) -> Any:
        if number >= len(replies):
            raise ScriptError(
                f"Unexpected request number {number + 1}: the script has {len(replies)} replies. {_shown(body)}"
            )
        return replies[number]

    return answer


def _by_pattern(replies: Mapping[str, Any]) -> Callable[[dict[str, Any], int], Any]:
    patterns = [(re.compile(pattern, re.DOTALL), reply) for pattern, reply in replies.items()]

    def answer(body: dict[str, Any], number: int) -> Any:
        text = _request_text(body)
        for pattern, reply in patterns:
            if pattern.search(text):
                return reply(body) if callable(reply) and not isinstance(reply, type) else reply
        raise ScriptError(
            f"Unexpected request number {number + 1}: none of the script's {len(patterns)} patterns "
            f"({', '.join([repr(pattern.pattern) for pattern, _ in patterns])}) is found in it. {_shown(body)}"
        )

    return answer


def _shown(body: dict[str, Any]) -> str:
    text = _request_text(body)
    return f"The request says: {text if len(text) <= 600 else text[:400] + ' ... ' + text[-150:]!r}"
