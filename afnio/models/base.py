"""Models: what a Module holds and an op calls. A provider is a subclass with a `Route`."""

from __future__ import annotations

import copy
import inspect
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from afnio.calls.caller import DEFAULT_TIMEOUT, send
from afnio.calls.limiter import Limits
from afnio.calls.loop import run_async, run_inline, run_sync
from afnio.calls.request import ApiFormat, Cost, Reply, Request, Usage
from afnio.calls.transport import Timeout, Transport
from afnio.models.prices import price
from afnio.models.streams import AsyncTextStream, TextStream

__all__ = [
    "AsyncChat",
    "BaseModel",
    "ChatCompletionModel",
    "EmbeddingModel",
    "Recipe",
    "Route",
    "SyncChat",
    "TextCompletionModel",
]


@dataclass(frozen=True, slots=True)
class Route:
    """Where a model's calls go, and how."""

    transport: Transport
    format: ApiFormat
    endpoint: str
    path: str
    limits: Limits | None = None
    max_retries: int = 2
    timeout: Timeout = DEFAULT_TIMEOUT


@dataclass(frozen=True, slots=True)
class Recipe:
    """How to make a model: ``MODEL_REGISTRY[name].from_recipe(recipe)``.

    Attributes:
        name: name of its class.
        settings: arguments that may be stored, JSON values only.
        secrets: keys, and headers that may hold some: never stored.
    """

    name: str
    settings: dict[str, Any]
    secrets: dict[str, Any] = field(repr=False)


class BaseModel:
    """A model of some provider.

    Args:
        provider: e.g. ``"openai"``.
        config: settings the model was made with, JSON values only.
        usage: what was used before, as `get_usage` returns it.
        model: the model's name for calls that give none.

    Attributes:
        model_name: the same; may be set.
    """

    model_name: str | None = None

    def __init__(
        self,
        provider: str | None = None,
        config: Mapping[str, Any] | None = None,
        usage: Mapping[str, Any] | None = None,
        *,
        model: str | None = None,
    ) -> None:
        self._provider = provider
        self.model_name = model
        self._config = dict(config or {})
        self._usage_lock = threading.Lock()
        self._usage = _no_usage()
        if usage:
            self.update_usage(usage)

    def get_provider(self) -> str | None:
        """The provider's name."""
        return self._provider

    def get_config(self) -> dict[str, Any]:
        """The settings the model was made with."""
        return self._config

    def get_usage(self) -> dict[str, Any]:
        """A copy of the usage: tokens as the OpenAI API names them, and ``cost``.

        ``cost["amount"]`` is the sum over the calls whose price is known; ``cost["unpriced"]`` counts the others.
        """
        with self._usage_lock:
            return copy.deepcopy(self._usage)

    def recipe(self) -> Recipe | None:
        """How another process makes the same model; None: only this one can (a user's own class, a script)."""
        return None

    @classmethod
    def from_recipe(cls, recipe: Recipe) -> Self:
        """The model that `recipe` told of."""
        return cls(**recipe.settings, **recipe.secrets)

    def clear_usage(self) -> None:
        """Set the usage to zero."""
        with self._usage_lock:
            self._usage = _no_usage()

    def update_usage(self, usage: Mapping[str, Any], model_name: str | None = None) -> None:
        """Add ``usage``; with a ``model_name`` its cost is computed, else the ``cost`` in ``usage`` is added."""
        tokens = _usage_of(usage)
        if model_name is None:
            told = usage.get("cost") or {}
            self._add(tokens, told.get("amount") or 0.0, told.get("unpriced") or 0)
            return
        cost = price(self._provider or "", "", model_name, tokens)
        self._add(tokens, float(cost.usd or 0), int(cost.usd is None))

    def _count(self, reply: Reply) -> None:
        if reply.source == "live":
            usd = reply.cost.usd
            self._add(reply.usage, float(usd) if usd else 0.0, int(usd is None))

    def _add(self, used: Usage, usd: float, unpriced: int) -> None:
        with self._usage_lock:
            usage = self._usage
            usage["completion_tokens"] += used.output_tokens
            usage["prompt_tokens"] += used.input_tokens
            usage["total_tokens"] += used.total
            given, made = usage["prompt_tokens_details"], usage["completion_tokens_details"]
            given["cached_tokens"] += used.cached_tokens
            given["audio_tokens"] += used.input_audio_tokens
            made["reasoning_tokens"] += used.reasoning_tokens
            made["audio_tokens"] += used.output_audio_tokens
            made["accepted_prediction_tokens"] += used.accepted_prediction_tokens
            made["rejected_prediction_tokens"] += used.rejected_prediction_tokens
            usage["cost"]["amount"] += usd
            if unpriced:
                usage["cost"]["unpriced"] = usage["cost"].get("unpriced", 0) + unpriced

    def __getstate__(self) -> dict[str, Any]:
        with self._usage_lock:
            state = {name: value for name, value in self.__dict__.items() if name != "_usage_lock"}
            return state | {"_usage": copy.deepcopy(self._usage)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._usage_lock = threading.Lock()

    def __copy__(self) -> Self:
        made = type(self).__new__(type(self))
        made.__setstate__(self.__getstate__())
        return made

    def __deepcopy__(self, memo: dict[int, Any]) -> dict[str, Any]:
        # What ``state_dict`` keeps of a model: connections and keys are not copied.
        return {"class_type": type(self).__name__, "provider": self._provider, "usage": self.get_usage()}

    def __repr__(self) -> str:
        return f"{type(self).__name__}(provider={self._provider!r})"


def _no_usage() -> dict[str, Any]:
    return {
        "completion_tokens": 0,
        "prompt_tokens": 0,
        "total_tokens": 0,
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": 0,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
        "cost": {"amount": 0.0, "currency": "USD"},
    }


def _usage_of(usage: Mapping[str, Any]) -> Usage:
    given = usage.get("prompt_tokens_details") or {}
    made = usage.get("completion_tokens_details") or {}
    return Usage(
        input_tokens=usage.get("prompt_tokens") or 0,
        output_tokens=usage.get("completion_tokens") or 0,
        cached_tokens=given.get("cached_tokens") or 0,
        reasoning_tokens=made.get("reasoning_tokens") or 0,
        input_audio_tokens=given.get("audio_tokens") or 0,
        output_audio_tokens=made.get("audio_tokens") or 0,
        accepted_prediction_tokens=made.get("accepted_prediction_tokens") or 0,
        rejected_prediction_tokens=made.get("rejected_prediction_tokens") or 0,
    )


class TextCompletionModel(BaseModel):
    """A model that continues a text."""

    def complete(self, prompt: str, **kwargs: Any) -> str:
        """The continuation of ``prompt``."""
        raise NotImplementedError(f"{type(self).__name__} has no complete().")

    async def acomplete(self, prompt: str, **kwargs: Any) -> str:
        """`complete`, for async code."""
        raise NotImplementedError(f"{type(self).__name__} has no acomplete().")


class EmbeddingModel(BaseModel):
    """A model that turns texts into vectors."""

    def embed(self, input: list[str], **kwargs: Any) -> list[list[float]]:
        """One vector for each text."""
        raise NotImplementedError(f"{type(self).__name__} has no embed().")

    async def aembed(self, input: list[str], **kwargs: Any) -> list[list[float]]:
        """`embed`, for async code."""
        raise NotImplementedError(f"{type(self).__name__} has no aembed().")


class ChatCompletionModel(BaseModel):
    """A model that answers a conversation.

    A provider sets ``_route`` and gets its methods from `SyncChat`, `AsyncChat` or both. A user's own subclass may
    instead just define ``chat`` or ``achat``.

    Attributes:
        inline: calls never wait, so that they can be made without an event loop (a scripted model).
    """

    inline: bool = False
    _route: Route | None = None

    def chat(self, *, messages: list[dict[str, Any]], **completion_args: Any) -> str:
        """The text of the model's answer."""
        raise NotImplementedError(f"{type(self).__name__} has no chat(); use `await model.achat(...)`.")

    async def achat(self, *, messages: list[dict[str, Any]], **completion_args: Any) -> str:
        """`chat`, for async code."""
        raise NotImplementedError(f"{type(self).__name__} has no achat(); use `model.chat(...)`.")

    async def _send(
        self,
        messages: list[dict[str, Any]],
        *,
        role: str = "forward",
        node: str = "",
        words: str = "",
        **completion_args: Any,
    ) -> Reply:
        """One accounted call; to be awaited on the LM loop, or driven inline when ``self.inline``."""
        route = self._route
        if route is None:
            raise NotImplementedError(f"{type(self).__name__} has no route; call it with `complete(client, ...)`.")
        timeout = route.timeout
        if "timeout" in completion_args:
            timeout = timeout_of(completion_args["timeout"])
        request = self._request(route, messages, role, node, completion_args)
        request.words = words
        reply = await send(
            request,
            route.transport,
            limits=route.limits,
            max_retries=route.max_retries,
            timeout=timeout,
            pricer=self._price,
        )
        self._count(reply)
        return reply

    def _request(
        self, route: Route, messages: list[dict[str, Any]], role: str, node: str, args: dict[str, Any]
    ) -> Request:
        """The request; ``args`` are used up."""
        if not _ABSENT.isdisjoint([type(value).__name__ for value in args.values()]):
            args = {name: value for name, value in args.items() if is_given(value)}
        about = _NONE if _ABOUT_THE_CALL.isdisjoint(args) else {name: args.pop(name, None) for name in _ABOUT_THE_CALL}
        extra = about["extra_body"] and {name: value for name, value in about["extra_body"].items() if is_given(value)}
        model = (extra and extra.get("model")) or args.pop("model", None) or self.model_name
        if not isinstance(model, str):
            raise TypeError("A chat completion needs a model: pass model='...' (e.g. model='gpt-4o-mini').")
        body = route.format.body(model, messages, args)
        if extra:
            body |= extra
        if (body.get("n") or 1) > 1:
            raise ValueError(f"n={body['n']}: one answer per call. Make several calls instead; they run side by side.")
        headers, query, on_text = about["extra_headers"], about["extra_query"], about["on_text"]
        request = Request(
            self._provider or "", route.endpoint, route.path, model, body, route.format, role, node, headers, query
        )
        request.stream = bool(body.pop("stream", None) or about["stream"] or on_text)
        request.on_text = on_text
        return request

    def _price(self, request: Request, usage: Usage) -> Cost:
        return price(request.provider, request.endpoint, request.model, usage, free=self.inline)


_ABOUT_THE_CALL = frozenset(
    {"extra_headers", "extra_query", "extra_body", "timeout", "stream_options", "on_text", "stream"}
)
"""Arguments that are no part of the request's body."""

_NONE: dict[str, Any] = dict.fromkeys(_ABOUT_THE_CALL)


class SyncChat(ChatCompletionModel):
    """The methods for sync code; they work inside a running loop (a notebook) too."""

    def chat(self, *, messages: list[dict[str, Any]], **completion_args: Any) -> str:
        """The text of the model's answer.

        Args:
            messages: with contents of text, or of blocks (`afnio.content`).
            completion_args: what ``openai.OpenAI().chat.completions.create`` takes, and what the provider's API takes
                besides. ``stream=True``: the answer travels as a stream. ``on_text``: a function that gets its text
                piece by piece, in this thread; its errors end the call.

        Raises:
            APIError: the call failed; see its subclasses.
            StreamCutError: it broke off after ``on_text`` was given some of it.
            ValueError: ``n`` is above 1.
        """
        on_text = completion_args.pop("on_text", None)
        if on_text is None:
            call = self._send(messages, **completion_args)
            return (run_inline(call) if self.inline else run_sync(call)).text
        with self.stream(messages=messages, **completion_args) as stream:
            for piece in stream:
                on_text(piece)
        return stream.reply.text

    def stream(self, *, messages: list[dict[str, Any]], **completion_args: Any) -> TextStream:
        """The answer's text in pieces, as they come; then its ``reply`` is the whole answer.

        Raises, while it is read, what `chat` raises.
        """
        messages = list(messages)
        call = lambda put: self._send(messages, **{**completion_args, "on_text": put})  # noqa: E731
        return TextStream(call, inline=self.inline)


class AsyncChat(ChatCompletionModel):
    """The methods for async code; see `SyncChat`."""

    async def achat(self, *, messages: list[dict[str, Any]], **completion_args: Any) -> str:
        """The text of the model's answer; see `SyncChat.chat`. ``on_text`` may be async; it runs in this loop."""
        on_text = completion_args.pop("on_text", None)
        if on_text is None:
            call = self._send(messages, **completion_args)
            return (await (call if self.inline else run_async(call))).text
        async with self.astream(messages=messages, **completion_args) as stream:
            async for piece in stream:
                told = on_text(piece)
                if inspect.isawaitable(told):
                    await told
        return stream.reply.text

    def astream(self, *, messages: list[dict[str, Any]], **completion_args: Any) -> AsyncTextStream:
        """The answer's text in pieces, as they come; then its ``reply`` is the whole answer.

        Raises, while it is read, what `achat` raises.
        """
        messages = list(messages)
        call = lambda put: self._send(messages, **{**completion_args, "on_text": put})  # noqa: E731
        return AsyncTextStream(call, inline=self.inline)


def is_given(value: object) -> bool:
    """Whether an argument is a value, not the ``openai`` package's NOT_GIVEN, Omit or ours."""
    return type(value).__name__ not in _ABSENT


_ABSENT = frozenset({"NotGiven", "Omit", "_NotGiven"})


def timeout_of(value: Any) -> Timeout:
    """A `Timeout` from seconds, None (no limit), a `Timeout` or an ``httpx.Timeout``.

    Raises:
        TypeError: it is none of these.
        ValueError: no time at all.
    """
    if isinstance(value, Timeout):
        return value
    if isinstance(value, (int, float)) and not value > 0:
        raise ValueError(f"timeout is a number of seconds above 0, or None for no limit; got {value!r}.")
    if value is None or isinstance(value, (int, float)):
        return Timeout(total=value, connect=5.0 if value is None else min(value, 5.0))
    if hasattr(value, "read") and hasattr(value, "connect"):
        return Timeout(total=value.read, connect=value.connect)
    raise TypeError(f"timeout is seconds, None or an httpx.Timeout; got {type(value).__name__}.")
