"""OpenAI, and every endpoint that speaks its chat completions API (``base_url=``)."""

from __future__ import annotations

import inspect
import os
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict
from typing import Any, Self

from afnio.calls.aio import AioTransport, merged_headers, public_url, warm
from afnio.calls.limiter import Limits
from afnio.calls.transport import Timeout
from afnio.errors import MissingKeyError
from afnio.models.base import (
    ChatCompletionModel,
    EmbeddingModel,
    Recipe,
    Route,
    TextCompletionModel,
    is_given,
    timeout_of,
)
from afnio.models.formats.openai_chat import OPENAI_CHAT, PATH
from afnio.models.model_registry import register_model
from afnio.models.prices import listed_provider
from afnio.models.sdk import sdk_route

__all__ = ["AsyncOpenAI", "OpenAI"]

DEFAULT_MAX_RETRIES = 2
DEFAULT_BASE_URL = "https://api.openai.com/v1"
ApiKey = str | Callable[[], str | Awaitable[str]]


class _NotGiven:
    def __bool__(self) -> bool:
        return False

    def __repr__(self) -> str:
        return "NOT_GIVEN"


not_given = _NotGiven()


class _OpenAIModel(ChatCompletionModel, TextCompletionModel, EmbeddingModel):
    """What the sync and the async class share.

    Args:
        api_key: or a function that returns one (renewed for each request); default: ``OPENAI_API_KEY``.
        organization: default: ``OPENAI_ORG_ID``.
        project: default: ``OPENAI_PROJECT_ID``.
        base_url: default: ``OPENAI_BASE_URL``, else OpenAI itself.
        timeout: seconds a call may take (default 600), None for no limit, or an ``httpx.Timeout``.
        max_retries: retries after failures that may heal; 0 for none.
        default_headers, default_query: sent with every request.
        limits: calls at once, requests and tokens per minute.
        client: a user's own ``openai`` client object, used as it is (Azure, Bedrock, own auth).
        workload_identity, http_client: need the ``openai`` package, whose client is then used.

    Raises:
        MissingKeyError: no key is given and none is in the environment.
    """

    _sdk_class = "OpenAI"

    def __init__(
        self,
        api_key: ApiKey | None = None,
        workload_identity: Any = None,
        organization: str | None = None,
        project: str | None = None,
        webhook_secret: str | None = None,
        base_url: str | Any | None = None,
        websocket_base_url: str | Any | None = None,
        timeout: Any = not_given,
        max_retries: int = DEFAULT_MAX_RETRIES,
        default_headers: Mapping[str, str] | None = None,
        default_query: Mapping[str, object] | None = None,
        http_client: Any = None,
        *,
        limits: Limits | None = None,
        client: Any = None,
    ) -> None:
        organization = organization or os.environ.get("OPENAI_ORG_ID")
        project = project or os.environ.get("OPENAI_PROJECT_ID")
        endpoint = str(base_url or os.environ.get("OPENAI_BASE_URL") or DEFAULT_BASE_URL).rstrip("/")
        settings = {
            "organization": organization,
            "project": project,
            "base_url": endpoint,
            "timeout": timeout if isinstance(timeout, (int, float)) else None,
            "max_retries": max_retries,
            "default_query": default_query,
        }
        super().__init__("openai", {name: value for name, value in settings.items() if value is not None})
        if client is None and (http_client is not None or workload_identity is not None):
            special = {"workload_identity": workload_identity, "http_client": http_client, "timeout": timeout}
            client = self._sdk_client(settings | {"api_key": api_key, "default_headers": default_headers} | special)
        if client is not None:
            self._sdk, self._route = client, sdk_route(client, limits)
            return
        headers = Headers(_key(api_key), organization, project, default_headers)
        transport = AioTransport(headers, {name: str(value) for name, value in (default_query or {}).items()})
        seconds = timeout_of(timeout) if is_given(timeout) else Timeout()
        self._route = Route(transport, OPENAI_CHAT, endpoint, PATH, limits, max_retries, seconds)
        warm(*(["genai_prices"] if listed_provider(endpoint) else []))  # no price list for own servers

    def recipe(self) -> Recipe | None:
        """Its settings and key; None where it holds what only this process has (an SDK client, a key function)."""
        route = self._route
        if type(self) not in (OpenAI, AsyncOpenAI) or route is None or not isinstance(route.transport, AioTransport):
            return None
        headers = route.transport.headers
        if not isinstance(headers, Headers) or not isinstance(headers.key, str):
            return None
        settings = {
            "organization": headers.organization,
            "project": headers.project,
            "max_retries": route.max_retries,
            "timeout": [route.timeout.total, route.timeout.connect],
            "limits": None if route.limits is None else asdict(route.limits),
        }
        secrets = {"api_key": headers.key, "default_headers": headers.more, "default_query": route.transport.query}
        own_url = "@" in route.endpoint  # a user name and a password are in it
        (secrets if own_url else settings)["base_url"] = route.endpoint
        return Recipe(type(self).__name__, settings, secrets)

    @classmethod
    def from_recipe(cls, recipe: Recipe) -> Self:
        """The model that `recipe` told of."""
        settings = dict(recipe.settings)
        limits = settings.pop("limits")
        made: dict[str, Any] = {
            "timeout": Timeout(*settings.pop("timeout")),
            "limits": None if limits is None else Limits(**limits),
        }
        return cls(**settings, **recipe.secrets, **made)

    def __repr__(self) -> str:
        assert self._route is not None
        return f"{type(self).__name__}(base_url={public_url(self._route.endpoint)!r})"

    def _sdk_client(self, settings: dict[str, Any]) -> Any:
        import openai

        given = {name: value for name, value in settings.items() if value is not None and is_given(value)}
        return getattr(openai, self._sdk_class)(**given)


@register_model
class OpenAI(_OpenAIModel):
    __doc__ = f"An OpenAI model for sync code.\n\n    {_OpenAIModel.__doc__}"

    def chat(self, *, messages: list[dict[str, Any]], **completion_args: Any) -> str:
        """The text of the model's answer; works inside a running loop (a notebook) too.

        Takes what ``openai.OpenAI().chat.completions.create`` takes.

        Raises:
            APIError: the call failed; see its subclasses.
            ValueError: ``n`` is above 1, or ``stream`` is set.
        """
        return self._ask_sync(messages, completion_args)

    _sdk_class = "OpenAI"


@register_model
class AsyncOpenAI(_OpenAIModel):
    __doc__ = f"An OpenAI model for async code.\n\n    {_OpenAIModel.__doc__}"

    async def achat(self, *, messages: list[dict[str, Any]], **completion_args: Any) -> str:
        """The text of the model's answer; see `OpenAI.chat`."""
        return await self._ask_async(messages, completion_args)

    _sdk_class = "AsyncOpenAI"


def _key(api_key: ApiKey | None) -> ApiKey:
    key = api_key if api_key is not None else os.environ.get("OPENAI_API_KEY") or None
    if isinstance(key, str):
        key = key.strip()  # a key read from a file ends with a newline, which no header may hold
    if key is None:
        raise MissingKeyError(
            "No API key for OpenAI. Set the environment variable OPENAI_API_KEY or pass api_key='...'. "
            "A local server that needs none takes any, e.g. api_key='none'.",
            provider="openai",
        )
    return key


class Headers:
    """The headers of each request. Its repr shows no key."""

    def __init__(
        self, key: ApiKey, organization: str | None, project: str | None, more: Mapping[str, str] | None
    ) -> None:
        self.key, self.organization, self.project = key, organization, project
        self._fixed = {"Content-Type": "application/json", "Accept": "application/json", "User-Agent": "afnio"}
        if organization:
            self._fixed["OpenAI-Organization"] = organization
        if project:
            self._fixed["OpenAI-Project"] = project
        if isinstance(key, str):
            self._fixed["Authorization"] = f"Bearer {key}"
        self.more = dict(more or {})
        self._fixed = merged_headers(self._fixed, self.more)

    async def __call__(self) -> Mapping[str, str]:
        if isinstance(self.key, str):
            return self._fixed
        key = self.key()
        key = await key if inspect.isawaitable(key) else key
        return merged_headers({**self._fixed, "Authorization": f"Bearer {key}"}, self.more)
