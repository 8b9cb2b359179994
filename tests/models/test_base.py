"""Models: usage, arguments, a user's own subclass."""

from __future__ import annotations

import asyncio
import copy
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from afnio.calls import Budget, Session, Timeout, run_inline, run_sync
from afnio.errors import BudgetExceeded
from afnio.models import (
    MODEL_REGISTRY,
    BaseModel,
    ChatCompletionModel,
    EmbeddingModel,
    TextCompletionModel,
    complete,
    is_inline,
)
from afnio.models.base import AsyncChat, Route, SyncChat, timeout_of
from afnio.models.formats.openai_chat import OPENAI_CHAT, PATH
from afnio.models.openai import AsyncOpenAI, OpenAI
from afnio.models.prices import clear_prices, set_price
from tests.calls.endpoint import Endpoint
from tests.calls.fakes import Inline

Serve = Callable[..., Endpoint]
HI = [{"role": "user", "content": "hi"}]


@pytest.fixture(autouse=True)
def _no_prices_left() -> Iterator[None]:
    yield
    clear_prices()


class InProcess(SyncChat, AsyncChat):
    inline = True

    def __init__(self) -> None:
        super().__init__("test")
        self._route = Route(Inline(), OPENAI_CHAT, "test://", PATH)


def test_an_inline_model_needs_no_loop() -> None:
    model = InProcess()
    assert model.chat(model="m", messages=HI) == "answer 1"
    assert asyncio.run(model.achat(model="m", messages=HI)) == "answer 2"
    assert run_inline(complete(model, HI, model="m", role="judge")).request.role == "judge"
    assert is_inline(model)
    assert not is_inline(OpenAI(api_key="k"))


def test_usage_adds_up_and_is_cleared() -> None:
    model = InProcess()
    for _ in range(3):
        model.chat(model="m", messages=HI)
    usage = model.get_usage()
    assert (usage["prompt_tokens"], usage["completion_tokens"], usage["total_tokens"]) == (30, 6, 36)
    assert usage["cost"] == {"amount": 0.0, "currency": "USD"}
    usage["prompt_tokens"] = 0
    usage["cost"]["amount"] = 9
    assert model.get_usage()["prompt_tokens"] == 30
    assert model.get_usage()["cost"]["amount"] == 0
    model.clear_usage()
    assert model.get_usage() == BaseModel().get_usage()


def test_cost_is_in_the_usage_and_what_has_no_price_is_visible(serve: Serve) -> None:
    model = OpenAI(api_key="k", base_url=serve().base_url)
    model.chat(model="m", messages=HI)
    assert model.get_usage()["cost"] == {"amount": 0.0, "currency": "USD", "unpriced": 1}
    set_price("m", input=1e5, output=0)
    model.chat(model="m", messages=HI)
    assert model.get_usage()["cost"] == {"amount": 1.0, "currency": "USD", "unpriced": 1}


def test_saved_usage_is_added() -> None:
    model = InProcess()
    model.chat(model="m", messages=HI)
    saved: Any = copy.deepcopy(model)
    assert saved == {"class_type": "InProcess", "provider": "test", "usage": model.get_usage()}
    model.update_usage(saved["usage"])
    assert model.get_usage()["total_tokens"] == 24
    model.update_usage({"prompt_tokens": 1, "completion_tokens": None, "cost": {"amount": 0.5, "currency": "USD"}})
    assert model.get_usage()["prompt_tokens"] == 21
    assert model.get_usage()["cost"]["amount"] == 0.5
    set_price("priced", input=10**6, output=0)
    model.update_usage({"prompt_tokens": 2}, model_name="priced")
    assert model.get_usage()["cost"]["amount"] == 2.5
    assert BaseModel("p", usage=saved["usage"]).get_usage() == saved["usage"]


@pytest.mark.parametrize(
    ("arguments", "error", "why"),
    [
        ({}, TypeError, "model="),
        ({"model": None}, TypeError, "model="),
        ({"model": "m", "n": 2}, ValueError, "n=2"),
        ({"model": "m", "timeout": "long"}, TypeError, "timeout"),
        ({"model": "m", "x": object()}, TypeError, "must have a JSON form: object is none of"),
    ],
)
def test_arguments_that_cannot_be(serve: Serve, arguments: dict[str, Any], error: type[Exception], why: str) -> None:
    endpoint = serve()
    with pytest.raises(error, match=why):
        OpenAI(api_key="k", base_url=endpoint.base_url).chat(messages=HI, **arguments)
    assert endpoint.calls == 0


def test_the_callers_list_may_change_afterwards() -> None:
    model, messages = InProcess(), list(HI)
    reply = run_inline(complete(model, messages, model="m"))
    messages.append({"role": "assistant", "content": reply.text})
    assert reply.request.body["messages"] == HI


def test_what_a_model_lacks_says_so() -> None:
    with pytest.raises(NotImplementedError, match="achat"):
        AsyncOpenAI(api_key="k").chat(messages=HI)
    with pytest.raises(NotImplementedError, match="chat"):
        asyncio.run(OpenAI(api_key="k").achat(messages=HI))
    for call in (TextCompletionModel().complete, EmbeddingModel().embed):
        with pytest.raises(NotImplementedError):
            call("x")  # type: ignore[arg-type]
    for acall in (TextCompletionModel().acomplete, EmbeddingModel().aembed):
        with pytest.raises(NotImplementedError):
            asyncio.run(acall("x"))  # type: ignore[arg-type]


def test_registry_and_settings() -> None:
    assert {"OpenAI", "AsyncOpenAI"} <= set(MODEL_REGISTRY)
    model = OpenAI(api_key="sk-secret", organization="o", timeout=5, default_query={"a": 1}, base_url="http://h/v1/")
    assert model.get_provider() == "openai"
    assert model.get_config() == {
        "organization": "o",
        "base_url": "http://h/v1",
        "timeout": 5,
        "max_retries": 2,
        "default_query": {"a": 1},
    }


def test_a_key_from_a_file_has_a_newline(serve: Serve) -> None:
    endpoint = serve()
    OpenAI(api_key="sk-1\n", base_url=endpoint.base_url).chat(model="m", messages=HI)
    assert endpoint.headers[0]["authorization"] == "Bearer sk-1"


def test_timeouts() -> None:
    import httpx2

    assert timeout_of(7) == Timeout(7, 5.0)
    assert timeout_of(0.5) == Timeout(0.5, 0.5)
    assert timeout_of(None) == Timeout(None, 5.0)
    assert timeout_of(httpx2.Timeout(9.0, connect=2.0)) == Timeout(9.0, 2.0)


@pytest.mark.parametrize("seconds", [0, -1, float("nan")])
def test_no_time_at_all_is_no_timeout(seconds: float) -> None:
    with pytest.raises(ValueError, match="timeout is a number of seconds above 0, or None for no limit"):
        timeout_of(seconds)


# ------------------------------------------------------------------------------------- users' own models


class MyAsync(ChatCompletionModel):
    async def achat(self, *, messages: list[dict[str, Any]], **completion_args: Any) -> str:
        await asyncio.sleep(0)
        return f"{messages[-1]['content']} {completion_args} {threading.current_thread().name}"


class MySync(ChatCompletionModel):
    def __init__(self) -> None:
        super().__init__("mine")

    def chat(self, *, messages: list[dict[str, Any]], **completion_args: Any) -> str:
        if messages[-1]["content"] == "fail":
            raise KeyError("the user's own error")
        return "said"


def test_a_users_own_model_is_called_accounted_and_joined() -> None:
    model = MyAsync()
    with Session(budget=Budget(calls=1)).activate() as session:
        reply = run_sync(complete(model, HI, temperature=0))
        assert reply.text == "hi {'model': 'MyAsync', 'temperature': 0} afnio-lm-loop"
        assert reply.usage.estimated
        assert session.ledger.total().calls == 1
        with pytest.raises(BudgetExceeded):
            run_sync(complete(model, HI))
    assert model.get_usage()["total_tokens"] == reply.usage.total


def test_a_users_sync_model_runs_in_a_thread_and_its_errors_pass() -> None:
    model = MySync()
    assert run_sync(complete(model, HI)).text == "said"
    with pytest.raises(KeyError, match="the user's own error"):
        run_sync(complete(model, [{"role": "user", "content": "fail"}]))


def test_a_model_that_returns_no_text() -> None:
    class Wrong(ChatCompletionModel):
        def chat(self, *, messages: Any, **completion_args: Any) -> Any:
            return {"text": 1}

    with pytest.raises(TypeError, match="must return the answer's text"):
        run_sync(complete(Wrong(), HI))


@pytest.mark.parametrize("client", [None, object(), OpenAI])
def test_what_is_no_client(client: Any) -> None:
    with pytest.raises(TypeError, match="A model client is"):
        run_sync(complete(client, HI, model="m"))
