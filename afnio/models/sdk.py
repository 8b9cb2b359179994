"""A user's own SDK client object as a transport: Azure, Bedrock, gateways with their own sign-in.

Nothing of the vendors' packages is imported here: whoever has a client object has imported it.
"""

from __future__ import annotations

import inspect
import sys
import weakref
from dataclasses import dataclass
from functools import reduce
from typing import TYPE_CHECKING, Any

from afnio.calls.aio import public_url, without_secrets
from afnio.calls.limiter import Limits
from afnio.calls.loop import in_thread
from afnio.calls.request import ApiFormat, Request
from afnio.calls.sse import EventParser
from afnio.calls.transport import RawResponse, Take, Timeout
from afnio.errors import APIConnectionError, APIConnectTimeoutError, APITimeoutError, APIUnreachableError
from afnio.models.base import Route
from afnio.models.formats.anthropic_messages import ANTHROPIC_MESSAGES
from afnio.models.formats.openai_chat import OPENAI_CHAT

if TYPE_CHECKING:
    import asyncio

__all__ = ["SdkTransport", "is_sdk_client", "sdk_provider", "sdk_route"]


@dataclass(frozen=True, slots=True)
class Sdk:
    """How a vendor's package is called.

    Attributes:
        api: the path to what has ``create``, from the client.
        http_client: its class of async connections.
    """

    format: ApiFormat
    api: tuple[str, ...]
    http_client: str


SDKS = {
    "openai": Sdk(OPENAI_CHAT, ("chat", "completions"), "DefaultAsyncHttpxClient"),
    "anthropic": Sdk(ANTHROPIC_MESSAGES, ("messages",), "DefaultAsyncHttpxClient"),
}
"""By the name of the package."""


def sdk_provider(client: object) -> str:
    """The package that ``client`` is of (or a subclass of one of its clients), ``""`` when it is none we know."""
    for cls in type(client).__mro__:
        name = cls.__module__.partition(".")[0]
        if name in SDKS and hasattr(client, SDKS[name].api[0]):
            return name
    return ""


def is_sdk_client(client: object) -> bool:
    """Whether ``client`` is a client object of a vendor's package: ``openai.OpenAI``, ``anthropic.AsyncAnthropic``."""
    return bool(sdk_provider(client))


def sdk_route(client: Any, limits: Limits | None = None) -> Route:
    """The route through an SDK client, with its own base URL, timeouts and ``max_retries``."""
    transport = SdkTransport(client)
    form = SDKS[sdk_provider(client)].format
    endpoint = str(client.base_url).rstrip("/")
    return Route(transport, form, endpoint, form.path, limits, transport.max_retries, Timeout(None, None))


class _Raw(RawResponse):
    __slots__ = ()
    content: bytes


class SdkTransport:
    """Sends through an SDK client, sync (in a thread) or async (on the LM loop).

    Retries are ours, with the client's ``max_retries``, so that limiter and budget see every attempt.
    """

    inline = False

    def __init__(self, client: Any) -> None:
        self.max_retries: int = getattr(client, "max_retries", 2)
        self._client: Any = weakref.ref(client)  # whoever calls holds it
        self._is_async = hasattr(client, "__aenter__")
        self._package = sdk_provider(client)
        self._known = frozenset(inspect.signature(self._api(client).create).parameters)
        self._ours: tuple[object, Any] = (None, None)  # the LM loop, and the client's create() there

    def _api(self, client: Any) -> Any:
        return reduce(getattr, SDKS[self._package].api, client)

    async def send(self, request: Request, timeout: Timeout) -> RawResponse:
        """Make the call once."""
        args = self._arguments(request, request.body, timeout)
        try:
            create = self._create()
            raw = await (create(**args) if self._is_async else in_thread(create, **args))
        except Exception as error:  # noqa: BLE001  # sorted out there
            return self._answer(error, request)
        return _raw(raw.http_response)

    async def stream(self, request: Request, body: dict[str, Any], timeout: Timeout, take: Take) -> RawResponse:
        """Make the call once; each event of the answer goes to ``take`` (of a sync client: in a thread)."""
        args = self._arguments(request, body, timeout)
        calls = _Calls()
        try:
            create = self._create()
            if self._is_async:
                return await _read(await create(**args), take, calls)
            return await in_thread(_read_sync, create=create, args=args, take=take, calls=calls)
        except Exception as error:
            if error is calls.theirs:
                raise
            return self._answer(error, request)
        finally:
            calls.over = True

    def _answer(self, error: Exception, request: Request) -> RawResponse:
        answer, client = _answer_in(error, request), self._client()
        keys = {name: str(getattr(client, name, None) or "") for name in ("api_key", "auth_token")}
        answer.content = without_secrets(answer.content, keys)
        return answer

    def _create(self) -> Any:
        """``create()`` without retries of its own; an async client gets connections of its own on the LM loop."""
        import asyncio

        loop = asyncio.get_running_loop()
        if self._ours[0] is not loop:
            client, options = self._client(), {}
            connections = getattr(client, "_client", None)
            if type(connections).__name__ == "AsyncHttpxClientWrapper":  # else it is the user's, and kept
                made = getattr(sys.modules[self._package], SDKS[self._package].http_client)
                options["http_client"] = http_client = made()
                weakref.finalize(self, _close, loop, http_client)
            ours = client.with_options(max_retries=0, **options)
            self._ours = (loop, self._api(ours).with_raw_response.create)
        return self._ours[1]

    def _arguments(self, request: Request, body: dict[str, Any], timeout: Timeout) -> dict[str, Any]:
        args = {name: value for name, value in body.items() if name in self._known}
        extra = {name: value for name, value in body.items() if name not in self._known}
        more = {"extra_body": extra, "extra_headers": request.headers, "extra_query": request.query}
        args.update({name: value for name, value in more.items() if value})
        if timeout.total is not None:
            args["timeout"] = timeout.total
        return args


class _Over(Exception):
    """The call was cancelled: its thread has nothing left to do."""


class _Calls:
    """Where a stream is: ``theirs`` is an error of who takes the events, ``over`` says that nobody does any more."""

    theirs: Exception | None = None
    over = False

    def give(self, take: Take, name: str, data: str | dict[str, Any]) -> None:
        if self.over:
            raise _Over
        try:
            take(name, data)
        except Exception as error:
            self.theirs = error
            raise


async def _read(raw: Any, take: Take, calls: _Calls) -> RawResponse:
    response = raw.http_response
    if _is_whole(response):
        await response.aread()
        return _raw(response)
    if not _has_events(response):
        async for event in raw.parse():  # the SDK knows how its gateway streams (Bedrock)
            calls.give(take, *_parsed(event))
        return RawResponse(response.status_code, b"", response.headers, streamed=True)
    parser = EventParser()
    try:
        async for content in response.aiter_bytes():
            for event in parser.feed(content):
                calls.give(take, *event)
    finally:
        await response.aclose()
    return _ended(parser, response, take, calls)


def _read_sync(create: Any, args: dict[str, Any], take: Take, calls: _Calls) -> RawResponse:
    raw = create(**args)
    response = raw.http_response
    if _is_whole(response):
        response.read()
        return _raw(response)
    if not _has_events(response):
        for event in raw.parse():
            calls.give(take, *_parsed(event))
        return RawResponse(response.status_code, b"", response.headers, streamed=True)
    parser = EventParser()
    try:
        for content in response.iter_bytes():
            for event in parser.feed(content):
                calls.give(take, *event)
    finally:
        response.close()
    return _ended(parser, response, take, calls)


def _has_events(response: Any) -> bool:
    return "event-stream" in response.headers.get("content-type", "")


def _is_whole(response: Any) -> bool:
    """Whether the endpoint answered with one JSON object although it was asked for a stream."""
    return "application/json" in response.headers.get("content-type", "")


def _parsed(event: Any) -> tuple[str, dict[str, Any]]:
    data: dict[str, Any] = event.model_dump(mode="json", exclude_unset=True)
    return str(data.get("type") or ""), data


def _ended(parser: EventParser, response: Any, take: Take, calls: _Calls) -> RawResponse:
    for event in parser.end():
        calls.give(take, *event)
    return RawResponse(response.status_code, b"", response.headers, streamed=True)


def _close(loop: asyncio.AbstractEventLoop, http_client: Any) -> None:
    import asyncio

    if loop.is_running():
        asyncio.run_coroutine_threadsafe(http_client.aclose(), loop)


def _answer_in(error: Exception, request: Request) -> _Raw:
    """The answer an SDK error carries; raises the error that stands for it when there was no answer."""
    response = getattr(error, "response", None)
    if response is not None and hasattr(response, "status_code"):
        return _raw(response)
    names = {cls.__name__ for cls in type(error).__mro__}
    if not names & {"APIConnectionError", *_BROKEN}:
        raise error
    kind = _kind(names, {cls.__name__ for cls in type(error.__cause__).__mro__})
    why = f"{error} ({error.__cause__})" if error.__cause__ else str(error)
    raise kind(
        f"Cannot reach {public_url(request.endpoint)}: {why} Check that a server runs there, base_url, the network and "
        f"the proxy settings.",
        provider=request.provider,
        model=request.model,
    ) from error


_BROKEN = frozenset({"TransportError", "StreamError"})
"""The HTTP library's own errors, which come out while a stream is read."""


def _raw(response: Any) -> _Raw:
    return _Raw(response.status_code, response.content, response.headers)


def _kind(names: set[str], cause: set[str]) -> type[APIConnectionError]:
    """Our error for the SDK's, by the names of its classes and of those of its cause (of httpx, httpx2, aiohttp)."""
    if "APITimeoutError" in names:
        return APIConnectTimeoutError if cause & {"ConnectTimeout", "ConnectionTimeoutError"} else APITimeoutError
    return APIUnreachableError if cause & {"ConnectError", "ClientConnectorError"} else APIConnectionError
