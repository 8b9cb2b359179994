"""One server for each world, and the vendors' own clients talking to them."""

from __future__ import annotations

from collections.abc import Iterator

import anthropic
import openai
import pytest

from afnio.models.lm_server import LMServer


@pytest.fixture(scope="session")
def echo_server() -> Iterator[LMServer]:
    with LMServer("echo") as server:
        yield server


@pytest.fixture(scope="session")
def tickets_server() -> Iterator[LMServer]:
    with LMServer("tickets", bad_share=0.0) as server:
        yield server


@pytest.fixture
def echo(echo_server: LMServer) -> Iterator[LMServer]:
    """The echo world, without faults and with its counts at zero."""
    echo_server.faults = []
    echo_server.reset()
    yield echo_server
    echo_server.faults = []


@pytest.fixture
def openai_sdk(echo: LMServer) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(api_key="any", base_url=echo.base_url, max_retries=0) as client:
        yield client


@pytest.fixture
def anthropic_sdk(echo: LMServer) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(api_key="any", base_url=echo.url, max_retries=0) as client:
        yield client
