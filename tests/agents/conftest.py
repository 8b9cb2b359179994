"""The simulated shop as a server, and clients of two vendors' APIs: ours, and the vendors' own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest

import afnio
from afnio.models import anthropic, backward_client, openai
from afnio.models.lm_server import LMServer


class Clients(NamedTuple):
    """Who answers in the forward pass, and who is critic and optimizer."""

    forward: Any
    critic: Any


Connect = Callable[[LMServer], Clients]


@pytest.fixture(autouse=True)
def _backward_model(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever backward model a test sets is gone after it."""
    monkeypatch.setattr(backward_client, "_current", None)


@pytest.fixture(scope="session")
def shop_server() -> Iterator[LMServer]:
    with LMServer("shop", bad_share=0.0) as server:
        yield server


@pytest.fixture
def server(shop_server: LMServer) -> Iterator[LMServer]:
    """The server, without faults and with its counts at zero."""
    shop_server.faults = []
    shop_server.reset()
    yield shop_server
    shop_server.faults = []


def ours_openai(server: LMServer) -> Clients:
    made = openai.AsyncOpenAI(api_key="any", base_url=server.base_url, max_retries=0)
    return Clients(made, made)


def ours_anthropic(server: LMServer) -> Clients:
    made = anthropic.AsyncAnthropic(api_key="any", base_url=server.url, max_retries=0)
    return Clients(made, made)


def sdk_openai(server: LMServer) -> Clients:
    import openai as sdk

    made = sdk.AsyncOpenAI(api_key="any", base_url=server.base_url, max_retries=0)
    return Clients(made, made)


def sdk_anthropic(server: LMServer) -> Clients:
    import anthropic as sdk

    made = sdk.AsyncAnthropic(api_key="any", base_url=server.url, max_retries=0)
    return Clients(made, made)


CONNECT: dict[str, Connect] = {
    "openai": ours_openai,
    "anthropic": ours_anthropic,
    "openai SDK": sdk_openai,
    "anthropic SDK": sdk_anthropic,
}


@pytest.fixture(params=CONNECT)
def clients(request: pytest.FixtureRequest, server: LMServer) -> Clients:
    """A client of each kind; its critic is the backward model."""
    made = CONNECT[request.param](server)
    afnio.set_backward_model_client(made.critic, completion_args={"model": "m"})
    return made


@pytest.fixture
def client(server: LMServer) -> Any:
    """Our client for OpenAI's API, which is the backward model too."""
    made = ours_openai(server).critic
    afnio.set_backward_model_client(made, completion_args={"model": "m"})
    return made
