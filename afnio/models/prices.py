"""What tokens cost. A price the user set wins; else genai-prices knows the providers' public endpoints."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

from afnio.calls.request import Cost, Usage

__all__ = ["clear_prices", "own_prices", "price", "prices_of", "set_price"]

MILLION = 1_000_000

PUBLIC_HOSTS = {
    "api.openai.com": "openai",
    "openai.azure.com": "azure",
    "services.ai.azure.com": "azure",
    "cognitiveservices.azure.com": "azure",
    "api.anthropic.com": "anthropic",
    "generativelanguage.googleapis.com": "google",
    "api.groq.com": "groq",
    "api.mistral.ai": "mistral",
    "api.deepseek.com": "deepseek",
    "api.together.xyz": "together",
    "api.fireworks.ai": "fireworks",
    "openrouter.ai": "openrouter",
    "api.x.ai": "x-ai",
    "api.z.ai": "zai",
    "api.perplexity.ai": "perplexity",
    "api.cohere.com": "cohere",
    "api.cohere.ai": "cohere",
    "api.cerebras.ai": "cerebras",
    "api.moonshot.ai": "moonshotai",
    "api.moonshot.cn": "moonshotai",
    "api.novita.ai": "novita",
    "api.minimax.io": "minimax",
}
"""Host, or the end of one -> genai-prices' id of the provider. Elsewhere (own servers, gateways) a model's name says
nothing about its price, and importing the table costs 0.4 s."""


@dataclass(frozen=True, slots=True)
class _Price:
    input: Decimal
    output: Decimal
    cached: Decimal


_user: dict[tuple[str | None, str], _Price] = {}
_theirs: ContextVar[dict[tuple[str | None, str], _Price] | None] = ContextVar("afnio_prices", default=None)

FREE = Cost(Decimal(0), table="free")
UNPRICED = Cost()


def set_price(
    model: str,
    *,
    input: float | str | Decimal,
    output: float | str | Decimal,
    cached: float | str | Decimal | None = None,
    provider: str | None = None,
) -> None:
    """Set the price of a model, in USD per million tokens.

    ``cached`` is for input tokens read from the provider's cache (default: as ``input``). Without a ``provider`` the
    price holds at every endpoint.

    Raises:
        TypeError: ``model`` is no name.
        ValueError: a price is no number, or below 0.
    """
    if not isinstance(model, str) or not model:
        raise TypeError(f"set_price(model): the name of a model is wanted, got {model!r:.100}.")
    given = (input, output, input if cached is None else cached)
    try:
        prices = [Decimal(str(value)) for value in given]
    except ArithmeticError:
        prices = [Decimal("nan")]
    if not all(unit.is_finite() and unit >= 0 for unit in prices):
        raise ValueError(f"set_price({model!r}): prices are 0 or more, in USD per million tokens; got {given!r:.100}.")
    _user[provider, model] = _Price(*prices)


def own_prices() -> list[tuple[str | None, str, str, str, str]]:
    """The prices set with `set_price`, as plain values: provider, model, input, output, cached."""
    return [(*key, str(unit.input), str(unit.output), str(unit.cached)) for key, unit in _user.items()]


@contextmanager
def prices_of(told: Iterable[Sequence[Any]]) -> Iterator[None]:
    """Inside, the prices another process told (its `own_prices`) hold in place of our own."""
    theirs = {(provider, model): _Price(*map(Decimal, units)) for provider, model, *units in told}
    token = _theirs.set(theirs)
    try:
        yield
    finally:
        _theirs.reset(token)


def clear_prices() -> None:
    """Forget the prices set with `set_price`."""
    _user.clear()


def price(provider: str, endpoint: str, model: str, usage: Usage, *, free: bool = False) -> Cost:
    """The cost of one call; ``usd`` is None when nobody knows. ``free``: 0 unless the user set a price."""
    theirs = _theirs.get()
    users = _user if theirs is None else theirs
    if users:
        own = users.get((provider, model)) or users.get((None, model))
        if own is not None:
            return _cost(own, usage)
    if free:
        return FREE
    listed = listed_provider(endpoint) if endpoint else provider
    return _listed(listed, model, usage) if listed else UNPRICED


@lru_cache(256)
def listed_provider(endpoint: str) -> str | None:
    """genai-prices' id of the provider whose public endpoint this is, or None."""
    try:
        host = urlsplit(endpoint).hostname or ""
    except ValueError:
        return None  # no URL: the call will say so
    while host:
        if host in PUBLIC_HOSTS:
            return PUBLIC_HOSTS[host]
        host = host.partition(".")[2]
    return None


def _cost(unit: _Price, usage: Usage, table: str = "user") -> Cost:
    fresh = usage.input_tokens - usage.cached_tokens
    usd = (fresh * unit.input + usage.cached_tokens * unit.cached + usage.output_tokens * unit.output) / MILLION
    return Cost(usd, unit.input, unit.output, unit.cached, table)


_plain: dict[tuple[str, str], _Price | None] = {}  # listed models whose price is three numbers; None: not listed


def _listed(provider: str, model: str, usage: Usage) -> Cost:
    import genai_prices

    table = f"genai-prices {genai_prices.__version__}"
    plain = _plain.get((provider, model), _UNSEEN)
    if plain is None:
        return UNPRICED
    if isinstance(plain, _Price) and not (
        usage.input_audio_tokens or usage.output_audio_tokens or usage.cache_write_tokens
    ):
        return _cost(plain, usage, table)
    try:
        found = genai_prices.calc_price(_their_usage(usage), model, provider_id=provider)
    except LookupError:
        _plain[provider, model] = None
        return UNPRICED
    prices: Any = found.model_price
    if plain is _UNSEEN:
        simple = _simple(found.model.prices)
        if simple is not None:
            _plain[provider, model] = simple
    return Cost(
        usd=Decimal(found.total_price),
        input_usd_per_mtok=_unit(prices.input_mtok, usage),
        output_usd_per_mtok=_unit(prices.output_mtok, usage),
        cached_usd_per_mtok=_unit(prices.cache_read_mtok, usage),
        table=table,
    )


_UNSEEN = object()


def _simple(prices: Any) -> _Price | None:
    """The price as three numbers; None when it has tiers, hours, or a price per request."""
    if isinstance(prices, list) or getattr(prices, "requests_kcount", None) is not None:
        return None
    cached = prices.input_mtok if prices.cache_read_mtok is None else prices.cache_read_mtok
    units = (prices.input_mtok, prices.output_mtok, cached)
    return _Price(*units) if all(isinstance(unit, Decimal) for unit in units) else None


def _their_usage(usage: Usage) -> Any:
    import genai_prices

    return genai_prices.Usage(
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        cache_read_tokens=usage.cached_tokens or None,
        cache_write_tokens=usage.cache_write_tokens or None,
        input_audio_tokens=usage.input_audio_tokens or None,
        output_audio_tokens=usage.output_audio_tokens or None,
    )


def _unit(value: Any, usage: Usage) -> Decimal | None:
    """The unit price; for a price in tiers that of the tier the call fell into."""
    if value is None or isinstance(value, Decimal):
        return value
    unit = value.base
    for tier in value.tiers:
        if usage.input_tokens > tier.start:
            unit = tier.price
    return Decimal(unit)
