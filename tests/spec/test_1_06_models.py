"""`afnio.models`: names, signatures and what is not tested elsewhere."""

from __future__ import annotations

import copy
from typing import Any

import pytest

import afnio
from afnio.models.base import BaseModel, ChatCompletionModel, EmbeddingModel, TextCompletionModel
from afnio.models.model_registry import MODEL_REGISTRY
from afnio.models.openai import AsyncOpenAI, OpenAI
from afnio.models.scripted import Scripted
from tests.spec.signatures import takes

ARGUMENTS = (
    "api_key=None, workload_identity=None, organization=None, project=None, webhook_secret=None, base_url=None, "
    "websocket_base_url=None"
)


def test_their_signatures() -> None:
    takes(BaseModel, "provider=None, config=None, usage=None")
    for client in (OpenAI, AsyncOpenAI):
        takes(client, ARGUMENTS)
        names = list(client.__init__.__annotations__)
        assert names[7:12] == ["timeout", "max_retries", "default_headers", "default_query", "http_client"]
    takes(afnio.set_backward_model_client, "model_path='openai/gpt-4o', client_args=None, completion_args=None")
    takes(afnio.get_backward_model_client, "")
    assert {"OpenAI", "AsyncOpenAI"} <= set(MODEL_REGISTRY)


@pytest.mark.parametrize(
    ("base", "methods"),
    [
        (TextCompletionModel, ("complete", "acomplete")),
        (ChatCompletionModel, ("chat", "achat")),
        (EmbeddingModel, ("embed", "aembed")),
    ],
)
def test_each_kind_of_model_has_these_methods(base: type[BaseModel], methods: tuple[str, str]) -> None:
    assert issubclass(base, BaseModel)
    assert all(callable(getattr(base, method)) for method in methods)


def test_a_model_tells_its_usage_and_forgets_it() -> None:
    model = Scripted(["answer"], model="m")
    assert model.chat(messages=[{"role": "user", "content": "hi"}]) == "answer"
    usage = model.get_usage()
    assert {"completion_tokens", "prompt_tokens", "total_tokens", "cost"} <= set(usage)
    assert set(usage["prompt_tokens_details"]) >= {"cached_tokens", "audio_tokens"}
    assert set(usage["completion_tokens_details"]) >= {"reasoning_tokens", "audio_tokens"}
    assert {"amount", "currency"} <= set(usage["cost"])
    assert usage["cost"]["currency"] == "USD"
    usage["total_tokens"] = -1
    assert model.get_usage()["total_tokens"] > 0
    model.clear_usage()
    assert model.get_usage()["total_tokens"] == 0
    assert model.get_provider() is not None
    assert isinstance(model.get_config(), dict)


def test_a_client_without_a_key_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with pytest.raises(Exception, match="OPENAI_API_KEY"):
        OpenAI()
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    assert OpenAI().get_provider() == "openai"


def test_more_than_one_answer_is_refused() -> None:
    with pytest.raises(ValueError, match="n"):
        OpenAI(api_key="k").chat(messages=[{"role": "user", "content": "hi"}], model="m", n=2)


@pytest.mark.parametrize("path", ["gpt-4o", "", "nobody/gpt-4o", "openai/"])
def test_a_backward_model_that_cannot_be(path: str) -> None:
    with pytest.raises(ValueError):
        afnio.set_backward_model_client(path, client_args={"api_key": "k"})


def test_the_backward_model_is_made_again_only_when_something_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("afnio.models.backward_client._current", None)
    with pytest.raises(RuntimeError, match="set_backward_model_client"):
        afnio.get_backward_model_client()
    args: Any = {"client_args": {"api_key": "k"}, "completion_args": {"temperature": 1}}
    afnio.set_backward_model_client("openai/gpt-4o", **args)
    first = afnio.get_backward_model_client()
    afnio.set_backward_model_client("openai/gpt-4o", **copy.deepcopy(args))
    assert afnio.get_backward_model_client() is first
    afnio.set_backward_model_client("openai/gpt-5", **args)
    assert afnio.get_backward_model_client() is not first
    assert (first.get_provider(), first._model, first._client_args) == ("openai", "gpt-4o", {"api_key": "k"})
    assert first._completion_args == {"temperature": 1}
    assert isinstance(first._client, OpenAI)
    assert {"chat", "get_usage", "clear_usage"} <= set(dir(first))
