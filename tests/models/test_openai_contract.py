"""The official SDK is the reference: same requests, answers, errors and retries on the same endpoint."""

from __future__ import annotations

import asyncio
import gc
import inspect
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import httpx2
import openai
import pytest

from afnio.calls import run_sync
from afnio.errors import APIStatusError
from afnio.models.invoke import complete
from afnio.models.openai import AsyncOpenAI, OpenAI
from tests.calls.endpoint import Endpoint, completion, hello, status

Serve = Callable[..., Endpoint]
MESSAGES: list[Any] = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Grüße, 你好 👋"}]
TOOL = {"type": "function", "function": {"name": "add", "parameters": {"type": "object", "properties": {}}}}
SCHEMA = {"type": "json_schema", "json_schema": {"name": "x", "strict": True, "schema": {"type": "object"}}}
PARTS = [
    {
        "role": "user",
        "content": [{"type": "text", "text": "what is this"}, {"type": "image_url", "image_url": {"url": "data:,"}}],
    }
]
ARGUMENTS: list[dict[str, Any]] = [
    {},
    {"temperature": 0, "top_p": 0.5, "seed": 7, "max_tokens": 5, "n": 1},
    {"max_completion_tokens": 9, "reasoning_effort": "low", "verbosity": "low", "service_tier": "flex"},
    {"response_format": SCHEMA},
    {"tools": [TOOL], "tool_choice": "auto", "parallel_tool_calls": False},
    {"stop": ["a", "b"], "logit_bias": {"50256": -100}, "logprobs": True, "top_logprobs": 2},
    {"logit_bias": {50256: -100}},
    {"presence_penalty": 0.1, "frequency_penalty": -0.1, "user": "me", "metadata": {"a": "b"}, "store": False},
    {"messages": PARTS, "prediction": {"type": "content", "content": "x"}, "modalities": ["text"]},
    {"temperature": None, "stop": None},
    {"temperature": openai.NOT_GIVEN, "top_p": openai.omit},
    {"extra_body": {"top_k": 3, "guided_json": {}}},
    {"extra_headers": {"x-TRACE": "2", "Accept": "application/json; v=2"}},
    {"extra_headers": {"X-Trace": "1"}, "extra_query": {"api-version": "2"}, "timeout": 30},
]


to_close: list[Any] = []


@pytest.fixture(autouse=True)
def _close() -> Iterator[None]:
    yield
    for client in to_close:
        outcome = client.close()
        if inspect.isawaitable(outcome):
            run_sync(_awaiting(outcome))
    to_close.clear()


async def _awaiting(outcome: Any) -> None:
    await outcome


def both(endpoint: Endpoint, **options: Any) -> tuple[OpenAI, openai.OpenAI]:
    options = {"api_key": "k", "base_url": endpoint.base_url} | options
    theirs = openai.OpenAI(**options)
    to_close.append(theirs)
    return OpenAI(**options), theirs


@pytest.mark.parametrize("arguments", ARGUMENTS, ids=lambda each: "-".join(each) or "none")
def test_the_same_request_for_the_same_arguments(serve: Serve, arguments: dict[str, Any]) -> None:
    endpoint = serve()
    ours, theirs = both(endpoint)
    arguments = {"model": "m", "messages": MESSAGES, **arguments}
    text = ours.chat(**arguments)
    answer = theirs.chat.completions.create(**arguments)
    assert text == answer.choices[0].message.content
    assert endpoint.bodies[0] == endpoint.bodies[1]
    assert endpoint.queries[0] == endpoint.queries[1]
    for name in ("authorization", "content-type", "accept", "x-trace"):
        assert endpoint.headers[0].get(name) == endpoint.headers[1].get(name)


def test_a_message_of_the_sdk_can_be_sent_back(serve: Serve) -> None:
    endpoint = serve()
    ours, theirs = both(endpoint)
    message = theirs.chat.completions.create(model="m", messages=MESSAGES).choices[0].message
    conversation: list[Any] = [*MESSAGES, message]
    theirs.chat.completions.create(model="m", messages=conversation)
    ours.chat(model="m", messages=conversation)
    assert endpoint.bodies[1] == endpoint.bodies[2]


@pytest.mark.parametrize(
    "options",
    [
        {"organization": "org", "project": "proj"},
        {"default_headers": {"X-Gate": "1", "Authorization": "Basic abc"}},
        {"default_headers": {"authorization": "Basic lower"}},
        {"default_query": {"api-version": "2026-01-01"}},
        {"api_key": lambda: "renewed"},
    ],
    ids=lambda each: "-".join(each),
)
def test_constructor_arguments_reach_the_wire_alike(serve: Serve, options: dict[str, Any]) -> None:
    endpoint = serve()
    for client in both(endpoint, **options):
        (client.chat if isinstance(client, OpenAI) else client.chat.completions.create)(model="m", messages=MESSAGES)
    assert endpoint.queries[0] == endpoint.queries[1]
    for name in ("authorization", "openai-organization", "openai-project", "x-gate"):
        assert endpoint.headers[0].get(name) == endpoint.headers[1].get(name)


def test_settings_from_the_environment(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    endpoint = serve()
    monkeypatch.setenv("OPENAI_API_KEY", "from-env")
    monkeypatch.setenv("OPENAI_BASE_URL", endpoint.base_url + "/")
    monkeypatch.setenv("OPENAI_ORG_ID", "org-env")
    monkeypatch.setenv("OPENAI_PROJECT_ID", "proj-env")
    OpenAI().chat(model="m", messages=MESSAGES)
    openai.OpenAI().chat.completions.create(model="m", messages=MESSAGES)
    for name in ("authorization", "openai-organization", "openai-project"):
        assert endpoint.headers[0][name] == endpoint.headers[1][name]


def test_the_same_usage(serve: Serve) -> None:
    usage: Any = {
        "prompt_tokens_details": {"cached_tokens": 6, "audio_tokens": None},
        "completion_tokens_details": {"reasoning_tokens": 1, "accepted_prediction_tokens": 2},
    }

    async def answer(endpoint: Endpoint, body: Any) -> Any:
        from aiohttp import web

        return web.json_response(completion(**usage))

    endpoint = serve(answer)
    ours, theirs = both(endpoint)
    ours.chat(model="m", messages=MESSAGES)
    told = theirs.chat.completions.create(model="m", messages=MESSAGES).usage
    assert told is not None
    mine = ours.get_usage()
    for name in ("prompt_tokens", "completion_tokens", "total_tokens"):
        assert mine[name] == getattr(told, name)
    for name in ("prompt_tokens_details", "completion_tokens_details"):
        details = getattr(told, name).model_dump()
        assert mine[name] == {key: details.get(key) or 0 for key in mine[name]}


STATUSES = [400, 401, 402, 403, 404, 405, 408, 409, 413, 418, 422, 425, 429, 500, 501, 502, 503, 504, 529]


@pytest.mark.parametrize("code", STATUSES)
def test_the_same_error_and_the_same_retry_decision(serve: Serve, code: int) -> None:
    refusal = status(code, Retry_After="0.01")
    for endpoint_options in ({"max_retries": 0}, {"max_retries": 1}):
        mine, its = serve(refusal), serve(refusal)
        ours, theirs = both(mine, **endpoint_options)[0], both(its, **endpoint_options)[1]
        with pytest.raises(APIStatusError) as ours_caught:
            ours.chat(model="m", messages=MESSAGES)
        with pytest.raises(openai.APIStatusError) as theirs_caught:
            theirs.chat.completions.create(model="m", messages=MESSAGES)
        error, reference = ours_caught.value, theirs_caught.value
        assert type(error).__name__ == type(reference).__name__
        assert (error.status_code, error.request_id) == (reference.status_code, reference.request_id) == (code, "req-9")
        assert error.body == {"error": reference.body}
        assert (mine.calls > 1) == (its.calls > 1)
        assert mine.calls == its.calls or code == 429, "only a 429 is met with more patience"


@pytest.mark.parametrize("told", ["true", "false"])
@pytest.mark.parametrize("code", [400, 500])
def test_x_should_retry_is_obeyed_alike(serve: Serve, code: int, told: str) -> None:
    refusal = status(code, X_Should_Retry=told, Retry_After="0.01")
    mine, its = serve(refusal, hello), serve(refusal, hello)
    for call in (
        lambda: both(mine)[0].chat(model="m", messages=MESSAGES),
        lambda: both(its)[1].chat.completions.create(model="m", messages=MESSAGES),
    ):
        try:
            call()
        except (APIStatusError, openai.APIStatusError):
            assert told == "false"
    assert mine.calls == its.calls == (2 if told == "true" else 1)


def test_a_missing_key_is_an_error_at_construction_as_in_the_sdk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    from afnio.errors import MissingKeyError

    for cls in (OpenAI, AsyncOpenAI):
        with pytest.raises(MissingKeyError, match="OPENAI_API_KEY"):
            cls()
    with pytest.raises(openai.OpenAIError):
        openai.OpenAI().chat.completions.create(model="m", messages=MESSAGES)


# ------------------------------------------------------------------------------- a user's own SDK client


def sync_client(endpoint: Endpoint, **options: Any) -> Any:
    to_close.append(openai.OpenAI(api_key="sk-secret", base_url=endpoint.base_url, **options))
    return to_close[-1]


def async_client(endpoint: Endpoint, **options: Any) -> Any:
    to_close.append(openai.AsyncOpenAI(api_key="sk-secret", base_url=endpoint.base_url, **options))
    return to_close[-1]


kinds = pytest.mark.parametrize("make", [sync_client, async_client])


@kinds
@pytest.mark.parametrize("arguments", ARGUMENTS, ids=lambda each: "-".join(each) or "none")
def test_a_users_sdk_client_sends_what_ours_sends(serve: Serve, make: Any, arguments: dict[str, Any]) -> None:
    endpoint = serve()
    arguments = {"model": "m", "messages": MESSAGES, **arguments}
    reply = run_sync(complete(make(endpoint), **arguments))
    text = both(endpoint)[0].chat(**arguments)
    assert reply.text == text
    assert reply.request_id == "req-1"
    assert reply.usage.total == 12
    assert endpoint.bodies[0] == endpoint.bodies[1]
    assert endpoint.queries[0] == endpoint.queries[1]
    assert endpoint.headers[0].get("x-trace") == endpoint.headers[1].get("x-trace")


@kinds
def test_errors_of_a_users_sdk_client_are_ours(serve: Serve, make: Any) -> None:
    endpoint = serve(status(404, {"message": "no model m; your key is sk-secret", "code": "model_not_found"}))
    client = make(endpoint)
    with pytest.raises(APIStatusError, match=r"model 'm'.*Check the model's name") as caught:
        run_sync(complete(client, MESSAGES, model="m"))
    assert type(caught.value).__name__ == "NotFoundError"
    assert "sk-secret" not in str(caught.value)
    assert endpoint.calls == 1


@kinds
def test_retries_of_a_users_sdk_client_are_ours_with_its_max_retries(serve: Serve, make: Any) -> None:
    for max_retries, calls in ((0, 1), (1, 2), (2, 3)):
        endpoint = serve(status(500, Retry_After="0.01"))
        with pytest.raises(APIStatusError):
            run_sync(complete(make(endpoint, max_retries=max_retries), MESSAGES, model="m"))
        assert endpoint.calls == calls


@kinds
def test_an_unreachable_endpoint_behind_a_users_sdk_client(make: Any) -> None:
    from afnio.errors import APIConnectionError, APITimeoutError

    class Nowhere:
        base_url = "http://127.0.0.1:9/v1"

    with pytest.raises(APIConnectionError, match="Cannot reach http://127.0.0.1:9/v1"):
        run_sync(complete(make(Nowhere, max_retries=0), MESSAGES, model="m"))
    with pytest.raises((APITimeoutError, APIConnectionError)):
        run_sync(complete(make(Nowhere, max_retries=0, timeout=0.01), MESSAGES, model="m"))


def test_many_calls_at_once_through_users_sdk_clients(serve: Serve) -> None:
    endpoint = serve()

    async def wave(client: Any) -> list[str]:
        calls = [complete(client, [{"role": "user", "content": str(n)}], model="m") for n in range(30)]
        return [reply.text for reply in await asyncio.gather(*calls)]

    for make in (sync_client, async_client):
        assert run_sync(wave(make(endpoint))) == ["hello"] * 30


def test_an_async_client_that_was_used_in_another_loop_before(serve: Serve) -> None:
    endpoint = serve()
    client = async_client(endpoint)

    async def before() -> None:
        await client.chat.completions.create(model="m", messages=MESSAGES)

    own_loop = asyncio.new_event_loop()
    own_loop.run_until_complete(before())
    assert run_sync(complete(client, MESSAGES, model="m")).text == "hello"
    own_loop.run_until_complete(before())
    own_loop.run_until_complete(to_close.pop().close())
    own_loop.close()


def test_our_classes_around_a_users_sdk_client(serve: Serve) -> None:
    endpoint = serve()
    assert OpenAI(client=sync_client(endpoint)).chat(model="m", messages=MESSAGES) == "hello"
    model = AsyncOpenAI(client=async_client(endpoint))
    assert asyncio.run(model.achat(model="m", messages=MESSAGES)) == "hello"
    assert model.get_usage()["total_tokens"] == 12
    assert endpoint.headers[0]["authorization"] == "Bearer sk-secret"


def test_a_users_http_client_is_used(serve: Serve) -> None:
    endpoint = serve()
    seen: list[str] = []
    with httpx2.Client(event_hooks={"request": [lambda request: seen.append(str(request.url))]}) as http_client:
        model = OpenAI(api_key="k", base_url=endpoint.base_url, http_client=http_client)
        assert model.chat(model="m", messages=MESSAGES) == "hello"
    assert seen == [f"{endpoint.base_url}/chat/completions"]


def test_azure(serve: Serve) -> None:
    endpoint = serve()
    client = openai.AzureOpenAI(api_key="k", base_url=endpoint.base_url, api_version="2026-01-01")
    to_close.append(client)
    assert run_sync(complete(client, MESSAGES, model="m")).text == "hello"
    assert endpoint.queries == [{"api-version": "2026-01-01"}]
    assert endpoint.headers[0]["api-key"] == "k"


def test_a_users_sdk_client_is_not_kept_alive(serve: Serve) -> None:
    endpoint = serve()
    client = sync_client(endpoint)
    run_sync(complete(client, MESSAGES, model="m"))
    gone = weakref.ref(client)
    to_close.pop().close()
    del client
    gc.collect()
    assert gone() is None
