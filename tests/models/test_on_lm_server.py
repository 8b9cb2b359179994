"""The whole path, and the official SDK beside it, on the simulated LM with its faults."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import openai
import pytest

from afnio.calls import Budget, CallLog, Session, run_sync
from afnio.errors import (
    APIError,
    AuthenticationError,
    BudgetExceeded,
    ContextLengthError,
    InternalServerError,
    NotFoundError,
    QuotaError,
)
from afnio.models.invoke import complete
from afnio.models.lm_server import LMServer
from afnio.models.openai import AsyncOpenAI, OpenAI

HI = [{"role": "user", "content": "hi"}]


@pytest.fixture(scope="module")
def server() -> Iterator[LMServer]:
    with LMServer(world="echo", context_limit=2000, models=["m"]) as server:
        yield server


@pytest.fixture(autouse=True)
def _fresh(server: LMServer) -> None:
    server.reset()
    server.faults = []


def ours(server: LMServer, **options: Any) -> OpenAI:
    given: dict[str, Any] = {"api_key": "k", "base_url": server.base_url, "max_retries": 0}
    return OpenAI(**given | options)


def reference(server: LMServer, call: dict[str, Any], **options: Any) -> Any:
    given: dict[str, Any] = {"api_key": "k", "base_url": server.base_url, "max_retries": 0}
    with openai.OpenAI(**given | options) as client:
        try:
            return client.chat.completions.create(**call).choices[0].message.content
        except openai.OpenAIError as error:
            return error


def test_text_and_usage_are_those_of_the_sdk(server: LMServer) -> None:
    call: dict[str, Any] = {"model": "m", "messages": HI, "temperature": 0}
    model = ours(server)
    assert model.chat(**call) == reference(server, call)
    first, second = [json.loads(each["body"]) for each in server.requests(2)]
    assert first == second == call
    assert model.get_usage()["total_tokens"] > 0


@pytest.mark.parametrize(
    ("fault", "options", "call", "error"),
    [
        ("", {"api_key": "wrong-key"}, {"model": "m"}, AuthenticationError),
        ("", {}, {"model": "unknown-model"}, NotFoundError),
        ("overflow@1x9", {}, {"model": "m"}, ContextLengthError),
        ("quota@1x9", {"max_retries": 2}, {"model": "m"}, QuotaError),
        ("500@1x9", {}, {"model": "m"}, InternalServerError),
        ("503@1x9", {}, {"model": "m"}, InternalServerError),
    ],
)
def test_faults_are_typed_errors(
    server: LMServer, fault: str, options: dict[str, Any], call: dict[str, Any], error: type[APIError]
) -> None:
    server.faults = [fault] if fault else []
    with pytest.raises(APIError) as caught:
        ours(server, **options).chat(messages=HI, **call)
    theirs = reference(server, {"messages": HI, **call}, **options | {"max_retries": 0})
    assert type(caught.value) is error
    assert type(theirs).__name__ in {cls.__name__ for cls in type(caught.value).__mro__}
    assert caught.value.model == call["model"]


def test_an_overlong_request(server: LMServer) -> None:
    with pytest.raises(ContextLengthError, match="Send less"):
        ours(server).chat(model="m", messages=[{"role": "user", "content": "word " * 5000}])


@pytest.mark.parametrize("fault", ["429@1x4:retry_after=0.01", "500@1", "503@1x2", "reset@1", "truncated@1", "cut@1"])
def test_faults_that_heal(server: LMServer, fault: str) -> None:
    server.faults = [fault]
    assert ours(server, max_retries=2).chat(model="m", messages=HI)


def test_a_storm_of_faults_loses_nothing(server: LMServer, tmp_path: Any) -> None:
    """64 calls at once while one in six fails in some way: all are answered, counted and recorded once."""
    server.faults = ["429:p=0.05,retry_after=0.01", "500:p=0.05", "reset:p=0.03", "truncated:p=0.03"]
    model = AsyncOpenAI(api_key="k", base_url=server.base_url, max_retries=6)
    path = tmp_path / "calls.jsonl"

    async def wave() -> list[str]:
        messages = [[{"role": "user", "content": f"number {n}"}] for n in range(64)]
        return [reply.text for reply in await asyncio.gather(*[complete(model, each, model="m") for each in messages])]

    with CallLog(path) as log, Session(log=log).activate() as session:
        answers = run_sync(wave())
        assert session.ledger.total().calls == 64 == len(log)
    server.faults = ["500@1x999"]
    with CallLog(path, "replay") as log, Session(log=log).activate():
        assert run_sync(wave()) == answers


def test_a_budget_over_many_calls_stops_cleanly(server: LMServer) -> None:
    model = AsyncOpenAI(api_key="k", base_url=server.base_url)

    async def wave() -> list[Any]:
        messages = [[{"role": "user", "content": f"number {n}"}] for n in range(20)]
        return await asyncio.gather(*[complete(model, each, model="m") for each in messages], return_exceptions=True)

    with Session(budget=Budget(calls=7)).activate() as session:
        replies = run_sync(wave())
        assert sum(isinstance(each, BudgetExceeded) for each in replies) == 13
        assert session.ledger.total().calls == 7
    assert server.stats()["calls"] == 7
