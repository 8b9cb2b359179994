"""Prices: known ones right, unknown ones never zero."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import genai_prices
import pytest
from hypothesis import given
from hypothesis import strategies as st

from afnio.calls import Usage
from afnio.models.prices import clear_prices, listed_provider, price, set_price

OPENAI = "https://api.openai.com/v1"
MODELS = ["gpt-4o", "gpt-4o-mini", "gpt-4.1", "gpt-5", "gpt-5-mini", "o3", "o4-mini", "gpt-4o-2024-08-06"]


@pytest.fixture(autouse=True)
def _no_prices_left() -> Iterator[None]:
    yield
    clear_prices()


@given(st.sampled_from(MODELS), st.integers(0, 10**6), st.integers(0, 10**5), st.floats(0, 1))
def test_listed_prices_are_those_of_the_table(model: str, given: int, made: int, share: float) -> None:
    cached = int(given * share)
    cost = price("openai", OPENAI, model, Usage(given, made, cached))
    usage = genai_prices.Usage(input_tokens=given, output_tokens=made, cache_read_tokens=cached)
    assert cost.usd == genai_prices.calc_price(usage, model, provider_id="openai").total_price
    assert cost.table == f"genai-prices {genai_prices.__version__}"


def test_a_price_in_tiers() -> None:
    google = "https://generativelanguage.googleapis.com/v1beta/openai"
    low = price("openai", google, "gemini-2.5-pro", Usage(1000, 100))
    high = price("openai", google, "gemini-2.5-pro", Usage(300_000, 100))
    again = price("openai", google, "gemini-2.5-pro", Usage(1000, 100))
    assert low == again
    assert (low.input_usd_per_mtok or 0) < (high.input_usd_per_mtok or 0)


@pytest.mark.parametrize("model", MODELS)
def test_unit_prices_are_kept_with_the_cost(model: str) -> None:
    for _ in range(2):
        cost = price("openai", OPENAI, model, Usage(10**6, 0))
        assert cost.input_usd_per_mtok == cost.usd
        assert cost.output_usd_per_mtok is not None


@pytest.mark.parametrize("endpoint", ["http://127.0.0.1:1/v1", "https://llm.corp.example/v1", "http://10.0.0.7/v1"])
def test_a_known_model_elsewhere_is_unpriced_not_free(endpoint: str) -> None:
    assert price("openai", endpoint, "gpt-4o", Usage(10, 10)).usd is None


def test_an_unknown_model_is_unpriced_not_free() -> None:
    for _ in range(2):
        assert price("openai", OPENAI, "my-finetune", Usage(10, 10)).usd is None


def test_a_users_price_wins_everywhere() -> None:
    set_price("gpt-4o", input=1, output="2", cached=0.5)
    for endpoint in (OPENAI, "http://127.0.0.1/v1"):
        cost = price("openai", endpoint, "gpt-4o", Usage(10**6, 10**6, cached_tokens=10**6 // 2))
        assert (cost.usd, cost.table) == (Decimal("2.75"), "user")
    set_price("m", input=1, output=1, provider="other")
    assert price("openai", "x", "m", Usage(1, 1)).usd is None
    assert price("other", "x", "m", Usage(1, 1)).usd == Decimal("0.000002")


def test_cached_tokens_cost_as_others_when_no_price_is_given() -> None:
    set_price("m", input=3, output=0)
    assert price("p", "x", "m", Usage(10**6, 0, cached_tokens=10**6)).usd == 3


@pytest.mark.parametrize("wrong", [-1, "x", float("nan"), float("inf"), "-Infinity", None])
def test_what_is_no_price_is_refused(wrong: Any) -> None:
    with pytest.raises(ValueError, match="prices are 0 or more, in USD per million tokens; got"):
        set_price("m", input=wrong, output=0)
    assert price("p", "x", "m", Usage(1, 1)).usd is None


@pytest.mark.parametrize("model", ["", None, 3])
def test_a_price_is_of_a_model_with_a_name(model: Any) -> None:
    with pytest.raises(TypeError, match="the name of a model"):
        set_price(model, input=1, output=1)


def test_in_process_models_are_free_unless_priced() -> None:
    assert price("scripted", "scripted://", "m", Usage(5, 5), free=True).usd == 0
    set_price("m", input=10**6, output=0)
    assert price("scripted", "scripted://", "m", Usage(5, 5), free=True).usd == 5


@pytest.mark.parametrize(
    ("endpoint", "provider"),
    [
        (OPENAI, "openai"),
        ("https://mine.openai.azure.com/openai/deployments/x", "azure"),
        ("https://openrouter.ai/api/v1", "openrouter"),
        ("https://api.openai.com.evil.example/v1", None),
        ("", None),
    ],
)
def test_public_endpoints(endpoint: str, provider: str | None) -> None:
    assert listed_provider(endpoint) == provider


def test_the_table_is_not_imported_for_own_servers() -> None:
    script = """
import sys
from afnio.calls import Usage
from afnio.models.openai import OpenAI
from afnio.models.prices import price
OpenAI(api_key="k", base_url="http://127.0.0.1:1/v1")
price("openai", "http://127.0.0.1:1/v1", "gpt-4o", Usage(1, 1))
import afnio.calls.aio
afnio.calls.aio._warming.join()
assert "genai_prices" not in sys.modules and "openai" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", script], check=True, timeout=150)
