"""A user's own ``openai`` client object as a transport: Azure, Bedrock, gateways with their own sign-in.

Nothing of the ``openai`` package is imported here: whoever has a client object has imported it.
"""

from __future__ import annotations

import inspect
from typing import Any

from afnio.calls.aio import public_url
from afnio.calls.limiter import Limits
from afnio.calls.loop import in_thread
from afnio.calls.request import Request
from afnio.calls.transport import RawResponse, Timeout
from afnio.errors import APIConnectionError, APITimeoutError
from afnio.models.base import Route
from afnio.models.formats.openai_chat import OPENAI_CHAT, PATH

__all__ = ["SdkTransport", "is_sdk_client", "sdk_route"]


def is_sdk_client(client: object) -> bool:
    """Whether ``client`` looks like an ``openai.OpenAI`` or ``openai.AsyncOpenAI`` (or a subclass)."""
    return any(cls.__module__.partition(".")[0] == "openai" for cls in type(client).__mro__) and hasattr(client, "chat")


def sdk_route(client: Any, limits: Limits | None = None) -> Route:
    """The route through an SDK client, with its own base URL, timeouts and ``max_retries``."""
    transport = SdkTransport(client)
    endpoint = str(client.base_url).rstrip("/")
    return Route(transport, OPENAI_CHAT, endpoint, PATH, limits, transport.max_retries, Timeout(None, None))


class SdkTransport:
    """Sends through an SDK client, sync (in a thread) or async (on the LM loop).

    Retries are ours, with the client's ``max_retries``, so that limiter and budget see every attempt.
    """

    inline = False

    def __init__(self, client: Any) -> None:
        self.max_retries: int = getattr(client, "max_retries", 2)
        self._client = client.with_options(max_retries=0) if hasattr(client, "with_options") else client
        self._is_async = hasattr(client, "__aenter__")
        completions = self._client.chat.completions
        self._create = completions.with_raw_response.create
        self._known = frozenset(inspect.signature(completions.create).parameters)

    async def send(self, request: Request, timeout: Timeout) -> RawResponse:
        """Make the call once."""
        args = self._arguments(request, timeout)
        try:
            raw = await (self._create(**args) if self._is_async else in_thread(self._create, **args))
        except Exception as error:  # noqa: BLE001  # sorted out there
            return _answer_in(error, request)
        return _raw(raw.http_response)

    def _arguments(self, request: Request, timeout: Timeout) -> dict[str, Any]:
        args = {name: value for name, value in request.body.items() if name in self._known}
        extra = {name: value for name, value in request.body.items() if name not in self._known}
        more = {"extra_body": extra, "extra_headers": request.headers, "extra_query": request.query}
        args.update({name: value for name, value in more.items() if value})
        if timeout.total is not None:
            args["timeout"] = timeout.total
        return args


def _answer_in(error: Exception, request: Request) -> RawResponse:
    """The answer an SDK error carries; raises the error that stands for it when there was no answer."""
    response = getattr(error, "response", None)
    if response is not None and hasattr(response, "status_code"):
        return _raw(response)
    names = {cls.__name__ for cls in type(error).__mro__}
    if "APIConnectionError" not in names:
        raise error
    kind = APITimeoutError if "APITimeoutError" in names else APIConnectionError
    why = f"{error} ({error.__cause__})" if error.__cause__ else str(error)
    raise kind(
        f"Cannot reach {public_url(request.endpoint)}: {why} Check that a server runs there, base_url, the network and "
        f"the proxy settings.",
        provider=request.provider,
        model=request.model,
    ) from error


def _raw(response: Any) -> RawResponse:
    return RawResponse(response.status_code, response.content, response.headers)
