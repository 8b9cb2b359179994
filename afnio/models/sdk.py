"""A user's own ``openai`` client object as a transport: Azure, Bedrock, gateways with their own sign-in.

Nothing of the ``openai`` package is imported here: whoever has a client object has imported it.
"""

from __future__ import annotations

import inspect
import sys
import weakref
from typing import TYPE_CHECKING, Any

from afnio.calls.aio import public_url, without_secrets
from afnio.calls.limiter import Limits
from afnio.calls.loop import in_thread
from afnio.calls.request import Request
from afnio.calls.transport import RawResponse, Timeout
from afnio.errors import APIConnectionError, APIConnectTimeoutError, APITimeoutError, APIUnreachableError
from afnio.models.base import Route
from afnio.models.formats.openai_chat import OPENAI_CHAT, PATH

if TYPE_CHECKING:
    import asyncio

__all__ = ["SdkTransport", "is_sdk_client", "sdk_route"]


def is_sdk_client(client: object) -> bool:
    """Whether ``client`` looks like an ``openai.OpenAI`` or ``openai.AsyncOpenAI`` (or a subclass)."""
    return any(cls.__module__.partition(".")[0] == "openai" for cls in type(client).__mro__) and hasattr(client, "chat")


def sdk_route(client: Any, limits: Limits | None = None) -> Route:
    """The route through an SDK client, with its own base URL, timeouts and ``max_retries``."""
    transport = SdkTransport(client)
    endpoint = str(client.base_url).rstrip("/")
    return Route(transport, OPENAI_CHAT, endpoint, PATH, limits, transport.max_retries, Timeout(None, None))


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
        self._known = frozenset(inspect.signature(client.chat.completions.create).parameters)
        self._ours: tuple[object, Any] = (None, None)  # the LM loop, and the client's create() there

    async def send(self, request: Request, timeout: Timeout) -> RawResponse:
        """Make the call once."""
        args = self._arguments(request, timeout)
        try:
            create = self._create()
            raw = await (create(**args) if self._is_async else in_thread(create, **args))
        except Exception as error:  # noqa: BLE001  # sorted out there
            answer = _answer_in(error, request)
            answer.content = without_secrets(answer.content, {"api-key": str(getattr(self._client(), "api_key", ""))})
            return answer
        return _raw(raw.http_response)

    def _create(self) -> Any:
        """``create()`` without retries of its own; an async client gets connections of its own on the LM loop."""
        import asyncio

        loop = asyncio.get_running_loop()
        if self._ours[0] is not loop:
            client, options = self._client(), {}
            connections = getattr(client, "_client", None)
            if type(connections).__name__ == "AsyncHttpxClientWrapper":  # else it is the user's, and kept
                options["http_client"] = http_client = sys.modules["openai"].DefaultAsyncHttpxClient()
                weakref.finalize(self, _close, loop, http_client)
            self._ours = (loop, client.with_options(max_retries=0, **options).chat.completions.with_raw_response.create)
        return self._ours[1]

    def _arguments(self, request: Request, timeout: Timeout) -> dict[str, Any]:
        args = {name: value for name, value in request.body.items() if name in self._known}
        extra = {name: value for name, value in request.body.items() if name not in self._known}
        more = {"extra_body": extra, "extra_headers": request.headers, "extra_query": request.query}
        args.update({name: value for name, value in more.items() if value})
        if timeout.total is not None:
            args["timeout"] = timeout.total
        return args


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
    if "APIConnectionError" not in names:
        raise error
    kind = _kind(names, {cls.__name__ for cls in type(error.__cause__).__mro__})
    why = f"{error} ({error.__cause__})" if error.__cause__ else str(error)
    raise kind(
        f"Cannot reach {public_url(request.endpoint)}: {why} Check that a server runs there, base_url, the network and "
        f"the proxy settings.",
        provider=request.provider,
        model=request.model,
    ) from error


def _raw(response: Any) -> _Raw:
    return _Raw(response.status_code, response.content, response.headers)


def _kind(names: set[str], cause: set[str]) -> type[APIConnectionError]:
    """Our error for the SDK's, by the names of its classes and of those of its cause (of httpx, httpx2, aiohttp)."""
    if "APITimeoutError" in names:
        return APIConnectTimeoutError if cause & {"ConnectTimeout", "ConnectionTimeoutError"} else APITimeoutError
    return APIUnreachableError if cause & {"ConnectError", "ClientConnectorError"} else APIConnectionError
