"""Models by their paths, and what a model that is copied, pickled or sent to another process keeps."""

from __future__ import annotations

import copy
import pickle
from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import afnio
from afnio.calls import Limits, Session, run_sync
from afnio.errors import MissingKeyError
from afnio.models import MODEL_REGISTRY, as_model, backward_client, complete, is_inline, model_at, paths
from afnio.models.anthropic import Anthropic, AsyncAnthropic
from afnio.models.base import BaseModel, Recipe
from afnio.models.compatible import Ollama
from afnio.models.hosted import HostedModel
from afnio.models.lm_server import LMServer
from afnio.models.openai import AsyncOpenAI, OpenAI
from afnio.models.paths import providers
from afnio.models.scripted import Scripted
from tests.calls.endpoint import Endpoint, hello, message

Serve = Callable[..., Endpoint]
HI = [{"role": "user", "content": "hi"}]


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for cls in providers.values():
        for name in (cls.vendor.key_env, cls.vendor.url_env, *cls.vendor.more_env):
            monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(backward_client, "_current", None)


@pytest.fixture(scope="module")
def server() -> Iterator[LMServer]:
    with LMServer(world="echo", models=["m", "org/m"]) as server:
        yield server


PLACES = {
    "openai/m": {"OPENAI_API_KEY": "k", "OPENAI_BASE_URL": "{url}/v1"},
    "anthropic/m": {"ANTHROPIC_API_KEY": "k", "ANTHROPIC_BASE_URL": "{url}"},
    "ollama/m": {"OLLAMA_HOST": "{url}"},
    "vllm/org/m": {"VLLM_BASE_URL": "{url}/v1"},
    "groq/m": {"GROQ_API_KEY": "k", "GROQ_BASE_URL": "{url}/v1"},
}


@pytest.mark.parametrize("path", PLACES)
def test_a_path_wherever_a_client_does(server: LMServer, monkeypatch: pytest.MonkeyPatch, path: str) -> None:
    for name, value in PLACES[path].items():
        monkeypatch.setenv(name, value.format(url=server.url))
    reply = run_sync(complete(path, HI))
    assert reply.request.model == path.partition("/")[2]
    model = model_at(path)
    assert model is model_at(path) is as_model(path), "one object, so that usage adds up"
    assert model.chat(messages=HI) == reply.text
    assert run_sync(model.achat(messages=HI)) == reply.text
    assert "".join(model.stream(messages=HI)) == reply.text
    assert model.get_usage()["total_tokens"] == 4 * reply.usage.total
    assert not is_inline(path)
    afnio.set_backward_model_client(path)
    assert afnio.get_backward_model_client().chat(HI) == reply.text


def test_of_more_models_than_are_kept_the_longest_unused_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paths, "MOST", 3)
    monkeypatch.setattr(paths, "_known", OrderedDict())
    first, *others = [model_at(f"ollama/m{number}") for number in range(3)]
    assert model_at("ollama/m0") is first  # used again
    newest = model_at("ollama/m3")
    assert model_at("ollama/m3") is newest
    assert model_at("ollama/m0") is first
    assert model_at("ollama/m2") is others[1]
    assert model_at("ollama/m1") is not others[0]


def test_another_key_or_place_is_another_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "one")
    first = model_at("openai/m")
    monkeypatch.setenv("OPENAI_API_KEY", "two")
    second = model_at("openai/m")
    assert first is not second
    monkeypatch.setenv("OPENAI_API_KEY", "one")
    assert model_at("openai/m") is first


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("gpt-5", "must be 'provider/model'.*'gpt-5'"),
        ("openai/", "must be 'provider/model'"),
        ("/gpt-5", "Unknown provider ''"),
        ("acme/gpt", "Unknown provider 'acme'.*known: anthropic, .*openai"),
    ],
)
def test_a_path_that_is_none(path: str, why: str) -> None:
    for use in (model_at, afnio.set_backward_model_client, lambda path: run_sync(complete(path, HI))):
        with pytest.raises(ValueError, match=why):
            use(path)


@pytest.mark.parametrize(("path", "variable"), [("openai/m", "OPENAI_API_KEY"), ("anthropic/m", "ANTHROPIC_API_KEY")])
def test_a_missing_key_is_named(path: str, variable: str) -> None:
    with pytest.raises(MissingKeyError, match=variable):
        model_at(path)


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1:11434", "http://127.0.0.1:11434/v1"),
        ("0.0.0.0", "http://127.0.0.1:11434/v1"),
        ("https://gpu.example", "https://gpu.example:443/v1"),
        ("http://gpu:8080/", "http://gpu:8080/v1"),
        ("http://gpu:8080/v1", "http://gpu:8080/v1"),
        (":5000", "http://127.0.0.1:5000/v1"),
    ],
)
def test_where_ollama_is(monkeypatch: pytest.MonkeyPatch, host: str, url: str) -> None:
    assert "127.0.0.1:11434" in repr(Ollama())
    monkeypatch.setenv("OLLAMA_HOST", host)
    route = Ollama()._route
    assert route is not None
    assert route.endpoint == url


def test_organizations_are_openais_alone(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    endpoint = serve(hello)
    monkeypatch.setenv("OPENAI_ORG_ID", "org")
    for cls in (OpenAI, Ollama):
        cls(api_key="k", base_url=endpoint.base_url, model="m").chat(messages=HI)
    assert [headers.get("openai-organization") for headers in endpoint.headers] == ["org", None]


def test_a_default_model_and_its_exception(serve: Serve) -> None:
    endpoint = serve(hello)
    model = OpenAI(api_key="k", base_url=endpoint.base_url, model="small")
    model.chat(messages=HI)
    model.chat(messages=HI, model="large")
    model.model_name = None
    with pytest.raises(TypeError, match="needs a model"):
        model.chat(messages=HI)
    assert [body["model"] for body in endpoint.bodies] == ["small", "large"]


# ------------------------------------------------------------------------------- copies


def saved(model: Any) -> Any:
    return copy.deepcopy(model)  # what a state_dict keeps of a model


MADE: list[Callable[..., HostedModel]] = [OpenAI, AsyncOpenAI, Anthropic, AsyncAnthropic, Ollama]


@pytest.mark.parametrize("cls", MADE)
def test_a_recipe_makes_the_same_model(cls: Any) -> None:
    more: dict[str, Any] = {"default_headers": {"X-Gate": "1"}, "timeout": 7, "max_retries": 5, "model": "m"}
    model = cls(api_key="sk-1", base_url="http://h/v1", limits=Limits(3), **more)
    recipe = model.recipe()
    assert recipe is not None
    known: Any = MODEL_REGISTRY[recipe.name]
    assert known is cls
    assert "sk-1" not in repr(recipe)
    made = known.from_recipe(recipe)
    assert made.recipe() == recipe
    assert (made.model_name, made._route.limits, made._route.endpoint) == ("m", Limits(3), "http://h/v1")


@pytest.mark.parametrize("path", ["openai/m", "anthropic/m", "ollama/m"])
def test_a_model_of_a_path_is_known_by_its_class(monkeypatch: pytest.MonkeyPatch, path: str) -> None:
    model = as_model(path) if path.startswith("ollama") else None
    for name in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY"):
        monkeypatch.setenv(name, "k")
    model = model or as_model(path)
    recipe = model.recipe()
    assert isinstance(recipe, Recipe)
    assert isinstance(model, MODEL_REGISTRY[recipe.name])
    assert saved(model)["class_type"] == recipe.name
    again = pickle.loads(pickle.dumps(model))
    assert type(again) is type(model), "a copy of a path's model has chat and achat too"


@pytest.mark.parametrize("cls", MADE)
def test_a_pickle_holds_no_key_and_takes_the_one_of_where_it_is_loaded(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, cls: Any
) -> None:
    endpoint = serve()
    base_url = endpoint.url if cls.vendor.name == "anthropic" else endpoint.base_url
    model = cls(api_key="sk-here", base_url=base_url, max_retries=4, model="m")
    model.update_usage({"prompt_tokens": 3, "cost": {"amount": 0.5}})
    written = pickle.dumps(model)
    assert b"sk-here" not in written
    monkeypatch.setenv(cls.vendor.key_env, "sk-there")
    loaded = pickle.loads(written)
    assert type(loaded) is cls
    assert (loaded.get_usage(), loaded.model_name) == (model.get_usage(), "m")
    assert (loaded._route.max_retries, loaded._route.endpoint) == (4, base_url)
    assert run_sync(loaded._route.transport.headers())["Authorization"] == "Bearer sk-there"


@pytest.mark.parametrize("more", [{"default_headers": {"X": "1"}}, {"base_url": "http://user:pw@h"}, {"api_key": str}])
def test_a_pickle_that_would_be_another_model_is_refused(more: dict[str, Any]) -> None:
    with pytest.raises(TypeError, match="cannot be pickled.*'openai/gpt-4o-mini'") as caught:
        pickle.dumps(OpenAI(**{"api_key": "k", "base_url": "http://h", **more}))
    assert "pw" not in str(caught.value)


class Mine(BaseModel):
    """A user's own model, without anything that cannot be pickled."""


def test_a_users_own_model_can_be_pickled_and_copied() -> None:
    model = Mine("mine", usage={"prompt_tokens": 2})
    for made in (pickle.loads(pickle.dumps(model)), copy.copy(model)):
        made.update_usage({"prompt_tokens": 1})
        assert (made.get_provider(), made.get_usage()["prompt_tokens"]) == ("mine", 3)
    assert model.get_usage()["prompt_tokens"] == 2
    assert saved(model)["class_type"] == "Mine"


def test_a_copy_of_a_model_is_used_and_counted_by_itself(serve: Serve) -> None:
    endpoint = serve()
    model = OpenAI(api_key="k", base_url=endpoint.base_url, model="m")
    other = copy.copy(model)
    assert other.chat(messages=HI) == "hello"
    assert (model.get_usage()["total_tokens"], other.get_usage()["total_tokens"]) == (0, 12)
    assert endpoint.headers[0]["authorization"] == "Bearer k"


def test_scripted_answers_of_blocks() -> None:
    call = {"type": "tool_use", "id": "t", "name": "add", "input": {"a": 1}}
    thought = {"type": "thinking", "thinking": "hm"}
    model = Scripted([[thought, {"type": "text", "text": "so"}, call], [{"type": "text", "text": "a"}], []])
    first = run_sync(complete(model, HI))
    assert (first.content, first.stop_reason, first.text) == (
        [thought, {"type": "text", "text": "so"}, call],
        "tool_use",
        "so",
    )
    second = run_sync(complete(model, HI))
    assert (second.text, second.stop_reason) == ("a", "end_turn")
    with pytest.raises(TypeError, match="Unknown content block type 'x'"):
        Scripted([[{"type": "x"}]]).chat(messages=HI)


def test_anthropics_price_is_known_or_unpriced(serve: Serve) -> None:
    from afnio.calls import Usage
    from afnio.models.prices import clear_prices, price, set_price

    where = "https://api.anthropic.com"
    plain = price("anthropic", where, "claude-sonnet-4-5", Usage(1_000_000, 0))
    cached = price("anthropic", where, "claude-sonnet-4-5", Usage(1_000_000, 0, cached_tokens=1_000_000))
    written = price("anthropic", where, "claude-sonnet-4-5", Usage(1_000_000, 0, cache_write_tokens=1_000_000))
    assert plain.usd is not None
    assert cached.usd is not None
    assert written.usd is not None
    assert cached.usd < plain.usd < written.usd
    assert price("anthropic", where, "claude-nobody-knows", Usage(1, 1)).usd is None
    with Session().activate():
        set_price("claude-x", input=10, output=0, cached=1)
        try:
            assert price("anthropic", where, "claude-x", Usage(1_000_000, 0, cached_tokens=500_000)).usd == 5.5
        finally:
            clear_prices()
    assert message()["usage"]
