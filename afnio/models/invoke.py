"""One call of any client a user may hand us."""

from __future__ import annotations

from typing import Any
from weakref import WeakKeyDictionary

from afnio.calls.loop import in_thread
from afnio.calls.request import Reply, Request
from afnio.calls.transport import RawResponse, Timeout
from afnio.models.base import ChatCompletionModel, Route
from afnio.models.formats.openai_chat import OPENAI_CHAT, PATH
from afnio.models.formats.openai_messages import answered
from afnio.models.paths import as_model
from afnio.models.sdk import is_sdk_client, sdk_provider, sdk_route

__all__ = ["checked_client", "complete", "is_inline"]


async def complete(
    client: Any,
    messages: list[dict[str, Any]],
    *,
    role: str = "forward",
    node: str = "",
    words: str = "",
    **completion_args: Any,
) -> Reply:
    """Make one accounted call; to be awaited on the LM loop, or driven inline when ``is_inline(client)``.

    Args:
        client: a model of ours, its path (``"openai/gpt-5"``), a user's own `ChatCompletionModel` that only has
            ``chat`` or ``achat``, or a client object of the ``openai`` or ``anthropic`` package.
        messages: the conversation: contents are texts or blocks (`afnio.content`).
        role: on whose behalf: ``"forward"``, ``"backward"``, ``"reducer"``, ``"optimizer"``, ``"judge"``.
        node: label of the graph node.
        words: name and version of the instructions of ours it carries, recorded with the call.
        completion_args: what ``chat.completions.create`` takes; ``on_text`` gets the text piece by piece, on the LM
            loop, which it must not block.

    Raises:
        TypeError: ``client`` is none of these.
        ValueError: it is a path of no known provider.
    """
    return await _model(client)._send(messages, role=role, node=node, words=words, **completion_args)


def checked_client(client: Any) -> Any:
    """``client``, or the model of a path.

    Raises:
        TypeError: it is nothing that can be called.
        ValueError: it is a path of no known provider.
    """
    found = as_model(client)
    if not isinstance(found, ChatCompletionModel) and not is_sdk_client(found):
        raise _no_client(found)
    return found


def is_inline(client: Any) -> bool:
    """Whether calls of ``client`` never wait and can be driven by ``run_inline``."""
    return getattr(client, "inline", False) is True


_adapters: WeakKeyDictionary[Any, ChatCompletionModel] = WeakKeyDictionary()  # of SDK clients, as long as they live


def _model(client: Any) -> ChatCompletionModel:
    client = as_model(client)
    if isinstance(client, ChatCompletionModel):
        return client if client._route is not None else _users_model(client)
    if not is_sdk_client(client):
        raise _no_client(client)
    adapter = _adapters.get(client)
    if adapter is None:
        adapter = _adapters[client] = _Adapter(sdk_provider(client), sdk_route(client))
    return adapter


def _no_client(client: object) -> TypeError:
    return TypeError(
        f"A model client is an afnio model (e.g. afnio.models.openai.AsyncOpenAI), a path such as "
        f"'openai/gpt-4o-mini', a subclass of ChatCompletionModel, or a client of the openai or anthropic package; "
        f"got {type(client).__name__}."
    )


def _users_model(client: ChatCompletionModel) -> ChatCompletionModel:
    route = Route(_UserTransport(client), OPENAI_CHAT, endpoint="", path=PATH, max_retries=0)
    return _Adapter(client.get_provider() or type(client).__name__, route, client)


class _Adapter(ChatCompletionModel):
    """Puts a foreign client behind our calls. A user's model object counts its own usage."""

    def __init__(self, provider: str, route: Route, counter: ChatCompletionModel | None = None) -> None:
        super().__init__(provider, model=None if counter is None else counter.model_name or type(counter).__name__)
        self._route, self._counter = route, counter

    def _count(self, reply: Reply) -> None:
        if self._counter is not None:
            self._counter._count(reply)
        else:
            super()._count(reply)


class _UserTransport:
    """A user's ``achat`` (on the LM loop) or ``chat`` (in a thread), which return a text or a list of blocks.

    Usage is estimated.
    """

    inline = False

    def __init__(self, client: ChatCompletionModel) -> None:
        self._is_async = type(client).achat is not ChatCompletionModel.achat
        self._ask: Any = client.achat if self._is_async else client.chat

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _UserTransport) and self._ask == other._ask

    def __hash__(self) -> int:
        return hash(self._ask)

    async def send(self, request: Request, timeout: Timeout) -> RawResponse:
        """Ask once; the user's own errors pass through as they are."""
        answer = await (self._ask(**request.body) if self._is_async else in_thread(self._ask, **request.body))
        if isinstance(answer, list):
            return RawResponse(200, {"choices": [{"message": answered(answer)}]})
        if not isinstance(answer, str):
            raise TypeError(
                f"{self._ask.__qualname__}() must return the answer's text (str) or a list of content blocks, "
                f"got {type(answer).__name__}."
            )
        return RawResponse(200, {"choices": [{"message": {"role": "assistant", "content": answer}}]})
