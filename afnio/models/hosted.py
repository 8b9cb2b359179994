"""What all models behind an HTTP API share: settings, key, headers, the route, the recipe.

A provider is a subclass with a `Vendor`, and its two classes for sync and async code (see `afnio.models.anthropic`).
"""

from __future__ import annotations

import importlib
import inspect
import os
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Self

from afnio.calls.aio import AioTransport, merged_headers, public_url, warm
from afnio.calls.limiter import Limits
from afnio.calls.request import ApiFormat
from afnio.calls.transport import Timeout
from afnio.errors import MissingKeyError
from afnio.models.base import BaseModel, ChatCompletionModel, Recipe, Route, is_given, timeout_of
from afnio.models.prices import listed_provider
from afnio.models.sdk import sdk_route

__all__ = ["DEFAULT_MAX_RETRIES", "ApiKey", "Headers", "HostedModel", "Vendor", "bearer", "not_given"]

DEFAULT_MAX_RETRIES = 2
ApiKey = str | Callable[[], str | Awaitable[str]]


class _NotGiven:
    def __bool__(self) -> bool:
        return False

    def __repr__(self) -> str:
        return "NOT_GIVEN"

    def __reduce__(self) -> str:
        return "not_given"


not_given = _NotGiven()


def bearer(key: str) -> tuple[str, str]:
    """The header of a key, as most providers want it."""
    return "Authorization", f"Bearer {key}"


@dataclass(frozen=True, slots=True)
class Vendor:
    """What there is to know of a provider.

    Attributes:
        name: as prices, records and limits name it.
        title: as errors name it.
        format: the API it speaks.
        base_url: where it is.
        key_env, url_env: environment variables with the key, with another base URL.
        key_header: the header for a key.
        headers: what is sent with every request besides.
        sdk: the vendor's package, whose client objects are taken too.
        default_key: sent when none is given; for servers that need none.
        url_of: the base URL that the value of ``url_env`` stands for.
        more_env: other environment variables that its settings come from.
    """

    name: str
    title: str
    format: ApiFormat
    base_url: str
    key_env: str
    url_env: str
    key_header: Callable[[str], tuple[str, str]]
    headers: tuple[tuple[str, str], ...] = ()
    sdk: str = ""
    default_key: str | None = None
    url_of: Callable[[str], str] = str
    more_env: tuple[str, ...] = ()


class HostedModel(ChatCompletionModel):
    """A model behind an HTTP API.  Its ``__init__`` calls `_connect`."""

    vendor: ClassVar[Vendor]
    _sdk_class: ClassVar[str]
    _own: dict[str, Any]

    def _connect(
        self,
        *,
        api_key: ApiKey | None,
        base_url: Any,
        timeout: Any,
        max_retries: int,
        default_headers: Mapping[str, str] | None,
        default_query: Mapping[str, object] | None,
        limits: Limits | None,
        model: str | None,
        client: Any,
        own: Mapping[str, Any] | None = None,
        headers: Mapping[str, str | None] | None = None,
        sdk_only: Mapping[str, Any] | None = None,
    ) -> None:
        """Set up the route, through ``client`` where there is one.

        Args:
            own: settings only this provider has, by their names as arguments; they may be stored.
            headers: what they become on the wire.
            sdk_only: arguments that only the vendor's own client understands; with one of them it is made and used.
        """
        vendor, own = self.vendor, {name: value for name, value in (own or {}).items() if value is not None}
        named = os.environ.get(vendor.url_env)
        endpoint = _endpoint(str(base_url or (vendor.url_of(named) if named else vendor.base_url)), vendor)
        if isinstance(max_retries, bool) or not isinstance(max_retries, int) or max_retries < 0:
            raise ValueError(f"max_retries must be an int of at least 0, got {max_retries!r}.")
        seconds = timeout if isinstance(timeout, (int, float)) else None
        shown = {"base_url": endpoint, "timeout": seconds, "max_retries": max_retries, "default_query": default_query}
        config = {**own, **shown}
        BaseModel.__init__(
            self, vendor.name, {name: value for name, value in config.items() if value is not None}, model=model
        )
        self._own = own
        special = {name: value for name, value in (sdk_only or {}).items() if value is not None}
        if client is None and special:
            given = {"api_key": api_key, "default_headers": default_headers, "timeout": timeout, **special}
            client = self._sdk_client({**config, **given})
        if client is not None:
            self._sdk, self._route = client, sdk_route(client, limits)
            return
        fixed = {name: value for name, value in (headers or {}).items() if value}
        made = Headers(self._key(api_key), vendor, fixed, default_headers)
        transport = AioTransport(made, {name: str(value) for name, value in (default_query or {}).items()})
        patience = timeout_of(timeout) if is_given(timeout) else Timeout()
        path = vendor.format.path
        self._route = Route(transport, vendor.format, endpoint, path, limits, max_retries, patience)
        warm(*(["genai_prices"] if listed_provider(endpoint) else []))  # no price list for own servers

    def _key(self, api_key: ApiKey | None) -> ApiKey:
        vendor = self.vendor
        key = api_key if api_key is not None else os.environ.get(vendor.key_env) or vendor.default_key
        if isinstance(key, str):
            key = key.strip()  # a key read from a file ends with a newline, which no header may hold
        if key is None:
            raise MissingKeyError(
                f"No API key for {vendor.title}. Set the environment variable {vendor.key_env} or pass api_key='...'. "
                "A local server that needs none takes any, e.g. api_key='none'.",
                provider=vendor.name,
            )
        return key

    def _sdk_client(self, settings: dict[str, Any]) -> Any:
        given = {name: value for name, value in settings.items() if value is not None and is_given(value)}
        return getattr(importlib.import_module(self.vendor.sdk), self._sdk_class)(**given)

    def recipe(self) -> Recipe | None:
        """Its settings and key; None where it holds what only this process has (an SDK client, a key function)."""
        route = self._route
        if not _is_ours(type(self)) or route is None or not isinstance(route.transport, AioTransport):
            return None
        headers = route.transport.headers
        if not isinstance(headers, Headers) or not isinstance(headers.key, str):
            return None
        settings = {
            **self._own,
            "max_retries": route.max_retries,
            "timeout": [route.timeout.total, route.timeout.connect],
            "limits": None if route.limits is None else asdict(route.limits),
        }
        if self.model_name is not None:
            settings["model"] = self.model_name
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

    def __reduce__(self) -> Any:
        """A pickle holds the settings and the usage, never a key: that comes from the environment where it is loaded.

        Raises:
            TypeError: without its secrets (headers, a password in the URL) or this process it would be another model.
        """
        recipe = self.recipe()
        if recipe is None or recipe.secrets.get("default_headers") or "base_url" in recipe.secrets:
            raise TypeError(
                f"{self!r} cannot be pickled: it holds an SDK client, a key function, headers or a password, which a "
                f"pickle must not. Make it anew where it is needed, or use a path such as 'openai/gpt-4o-mini'."
            )
        secrets = {"api_key": None, "default_query": recipe.secrets["default_query"] or None}
        return _remade, (_own_class(type(self)), Recipe(recipe.name, recipe.settings, secrets), self.get_usage())

    def __repr__(self) -> str:
        assert self._route is not None
        return f"{type(self).__name__}(base_url={public_url(self._route.endpoint)!r})"


def _is_ours(cls: type) -> bool:
    """Whether it is a class of this library, which another process knows by its name; a user's subclass is not."""
    return cls.__module__.startswith("afnio.models.")


def _endpoint(url: str, vendor: Vendor) -> str:
    """The address that ``vendor.format.path`` is put behind.

    Raises:
        ValueError: it is no HTTP address, or has that path already.
    """
    shown, route = public_url(url), vendor.format.path
    if not url.lower().startswith(("http://", "https://")):
        meant = "" if "://" in url or " " in url else f": did you mean 'http://{shown}'?"
        raise ValueError(f"base_url must begin with http:// or https://, got {shown!r}{meant}")
    found = url.rstrip("/")
    if found.endswith(route):
        raise ValueError(f"{route} is put behind base_url; got {shown!r}: write {public_url(found[: -len(route)])!r}.")
    return found


def _own_class(cls: type) -> str:
    return f"{cls.__module__}:{cls.__qualname__}"


def _remade(where: str, recipe: Recipe, usage: dict[str, Any]) -> HostedModel:
    module, _, name = where.partition(":")
    cls: type[HostedModel] = getattr(importlib.import_module(module), name)
    model = cls.from_recipe(recipe)
    model.update_usage(usage)
    return model


class Headers:
    """The headers of each request. Its repr shows no key."""

    def __init__(self, key: ApiKey, vendor: Vendor, fixed: Mapping[str, str], more: Mapping[str, str] | None) -> None:
        self.key, self._vendor = key, vendor
        self._fixed = {"Content-Type": "application/json", "Accept": "application/json", "User-Agent": "afnio"}
        self._fixed |= {**dict(vendor.headers), **fixed}
        if isinstance(key, str):
            self._fixed |= dict([vendor.key_header(key)])
        self.more = dict(more or {})
        self._fixed = merged_headers(self._fixed, self.more)

    async def __call__(self) -> Mapping[str, str]:
        if isinstance(self.key, str):
            return self._fixed
        key = self.key()
        key = await key if inspect.isawaitable(key) else key
        return merged_headers({**self._fixed, **dict([self._vendor.key_header(key)])}, self.more)
