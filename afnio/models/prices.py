"""What tokens cost. A price the user set wins; else genai-prices knows the providers' public endpoints."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from urllib.parse import urlsplit

from afnio.calls.request import Cost, Usage

__all__ = ["clear_prices", "price", "set_price"]

MILLION = 1_000_000

PUBLIC_HOSTS = {
    "api.openai.com": "openai",
    "api.anthropic.com": "anthropic",
    "generativelanguage.googleapis.com": "google",
    "api.groq.com": "groq",
    "api.mistral.ai": "mistral",
    "api.deepseek.com": "deepseek",
    "api.together.xyz": "together",
    "api.fireworks.ai": "fireworks",
    "openrouter.ai": "openrouter",
    "api.x.ai": "x-ai",
    "api.perplexity.ai": "perplexity",
    "api.cohere.com": "cohere",
    "api.cerebras.ai": "cerebras",
    "api.moonshot.ai": "moonshotai",
}
"""Host -> genai-prices' id of the provider. Elsewhere (own servers) a model's name says nothing about its price."""


@dataclass(frozen=True, slots=True)
class _Price:
    input: Decimal
    output: Decimal
    cached: Decimal


_user: dict[tuple[str | None, str], _Price] = {}

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
    """
    prices = [Decimal(str(value)) for value in (input, output, input if cached is None else cached)]
    if min(prices) < 0:
        raise ValueError(f"set_price({model!r}): prices are 0 or more, in USD per million tokens.")
    _user[provider, model] = _Price(*prices)


def clear_prices() -> None:
    """Forget the prices set with `set_price`."""
    _user.clear()


def price(provider: str, endpoint: str, model: str, usage: Usage, *, free: bool = False) -> Cost:
    """The cost of one call; ``usd`` is None when nobody knows. ``free``: 0 unless the user set a price."""
    if _user:
        own = _user.get((provider, model)) or _user.get((None, model))
        if own is not None:
            return _cost(own, usage)
    if free:
        return FREE
    listed = PUBLIC_HOSTS.get(urlsplit(endpoint).hostname or "") if endpoint else provider
    return _listed(listed, model, usage) if listed else UNPRICED


def _cost(own: _Price, usage: Usage) -> Cost:
    fresh = usage.input_tokens - usage.cached_tokens
    usd = (fresh * own.input + usage.cached_tokens * own.cached + usage.output_tokens * own.output) / MILLION
    return Cost(usd, own.input, own.output, own.cached, "user")


def _listed(provider: str, model: str, usage: Usage) -> Cost:
    import genai_prices

    try:
        found = genai_prices.calc_price(_their_usage(usage), model, provider_id=provider)
    except LookupError:
        return UNPRICED
    prices: Any = found.model_price
    return Cost(
        usd=Decimal(found.total_price),
        input_usd_per_mtok=_unit(getattr(prices, "input_mtok", None), usage),
        output_usd_per_mtok=_unit(getattr(prices, "output_mtok", None), usage),
        cached_usd_per_mtok=_unit(getattr(prices, "cache_read_mtok", None), usage),
        table=f"genai-prices {genai_prices.__version__}",
    )


def _their_usage(usage: Usage) -> Any:
    import genai_prices

    return genai_prices.Usage(
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        cache_read_tokens=usage.cached_tokens or None,
        input_audio_tokens=usage.input_audio_tokens or None,
        output_audio_tokens=usage.output_audio_tokens or None,
    )


def _unit(value: Any, usage: Usage) -> Decimal | None:
    """The unit price, or for a price in tiers the one of the tier the call fell into."""
    if value is None:
        return None
    if not hasattr(value, "base"):
        return Decimal(value)
    unit = value.base
    for tier in value.tiers:
        if usage.input_tokens > tier.start:
            unit = tier.price
    return Decimal(unit)
