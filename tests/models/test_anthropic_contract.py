"""The ``anthropic`` SDK is the reference: same requests, answers, errors and retries on the same endpoint."""

from __future__ import annotations

import asyncio
import gc
import inspect
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import anthropic
import httpx2
import pytest

from afnio import content
from afnio.calls import run_sync
from afnio.errors import (
    APIConnectionError,
    APIResponseError,
    APIStatusError,
    ContextLengthError,
    MissingKeyError,
    OverloadedError,
    UnsupportedFormatError,
)
from afnio.models.anthropic import Anthropic, AsyncAnthropic
from afnio.models.formats.anthropic_messages import ANTHROPIC_MESSAGES
from afnio.models.invoke import complete
from afnio.models.lm_server import LMServer
from tests.calls.endpoint import Answer, Endpoint, message, status
from tests.models.test_openai_contract import _awaiting

Serve = Callable[..., Endpoint]
PNG = b"\x89PNG\r\n\x1a\n" + bytes(8)
MESSAGES: list[Any] = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Grüße, 你好 👋"}]
SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"], "additionalProperties": False}
CALL = {"type": "tool_use", "id": "t1", "name": "add", "input": {"a": 1}}
RESULT = {"type": "tool_result", "tool_use_id": "t1", "content": "2", "is_error": True}
THOUGHT = {"type": "thinking", "thinking": "hm", "signature": "s"}
HIDDEN = {
    "type": "provider",
    "_provider": "anthropic",
    "_native_type": "redacted_thinking",
    "payload": {"type": "redacted_thinking", "data": "x"},
}
PICTURE = content.image(PNG)
PDF = content.document(b"%PDF-1.7", title="terms")

THEIRS: dict[str, Any] = {"system": "Be brief.", "messages": MESSAGES[1:], "max_tokens": 8192}
PAIRS: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({}, {}),
    ({"messages": MESSAGES[:1]}, {"system": anthropic.omit, "messages": [{"role": "user", "content": "Be brief."}]}),
    (
        {"messages": [*MESSAGES, {"role": "assistant", "content": ""}, {"role": "user", "content": "Again."}]},
        {
            "messages": [
                {"role": "user", "content": [content.text(MESSAGES[1]["content"]), content.text("Again.")]},
            ]
        },
    ),
    ({"max_completion_tokens": 9, "stop": "a"}, {"max_tokens": 9, "stop_sequences": ["a"]}),
    ({"stop": ["a", "b"], "user": "me", "n": 1}, {"stop_sequences": ["a", "b"], "metadata": {"user_id": "me"}}),
    ({"temperature": 0, "top_k": 3}, {"extra_body": {"temperature": 0, "top_k": 3}}),
    (
        {"thinking": {"type": "enabled", "budget_tokens": 2000}},
        {"thinking": {"type": "enabled", "budget_tokens": 2000}, "max_tokens": 10192},
    ),
    (
        {"response_format": {"type": "json_schema", "json_schema": {"name": "x", "strict": True, "schema": SCHEMA}}},
        {"output_config": {"format": {"type": "json_schema", "schema": {"title": "x", **SCHEMA}}}},
    ),
    ({"reasoning_effort": "high"}, {"output_config": {"effort": "high"}}),
    ({"response_format": {"type": "json_object"}}, {}),
    (
        {"tools": [{"name": "add", "description": "adds", "parameters": SCHEMA}], "tool_choice": "required"},
        {"tools": [{"name": "add", "description": "adds", "input_schema": SCHEMA}], "tool_choice": {"type": "any"}},
    ),
    (
        {
            "tools": [{"type": "function", "function": {"name": "add", "parameters": SCHEMA}}],
            "tool_choice": "add",
            "parallel_tool_calls": False,
        },
        {
            "tools": [{"name": "add", "input_schema": SCHEMA}],
            "tool_choice": {"type": "tool", "name": "add", "disable_parallel_tool_use": True},
        },
    ),
    (
        {"tools": [{"type": "web_search_20250305", "name": "web_search"}], "tool_choice": {"type": "auto"}},
        {"tools": [{"type": "web_search_20250305", "name": "web_search"}], "tool_choice": {"type": "auto"}},
    ),
    (
        {
            "messages": [
                {"role": "user", "content": "add"},
                {
                    "role": "assistant",
                    "content": [THOUGHT, HIDDEN, {"type": "text", "text": ""}, CALL],
                    "_stop_reason": 1,
                },
                {"role": "user", "content": [{"type": "text", "text": "quick"}]},
                {"role": "tool", "content": [RESULT]},
            ]
        },
        {
            "system": anthropic.omit,
            "messages": [
                {"role": "user", "content": "add"},
                {"role": "assistant", "content": [THOUGHT, HIDDEN["payload"], CALL]},
                {"role": "user", "content": [RESULT, {"type": "text", "text": "quick"}]},
            ],
        },
    ),
    (
        {"messages": [*MESSAGES, {"role": "user", "content": [PICTURE, PDF, content.image("https://h/cat.png")]}]},
        {
            "messages": [
                {
                    "role": "user",
                    "content": [
                        {"type": "text", "text": MESSAGES[1]["content"]},
                        PICTURE,
                        PDF,
                        {"type": "image", "source": {"type": "url", "url": "https://h/cat.png"}},
                    ],
                }
            ]
        },
    ),
    (
        {
            "messages": [
                {
                    "role": "system",
                    "content": [{"type": "text", "text": "long", "cache_control": {"type": "ephemeral"}}],
                },
                {
                    "role": "user",
                    "content": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}],
                },
                {
                    "role": "assistant",
                    "content": None,
                    "tool_calls": [{"id": "t1", "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}}],
                },
                {"role": "tool", "tool_call_id": "t1", "content": "2"},
            ]
        },
        {
            "system": [{"type": "text", "text": "long", "cache_control": {"type": "ephemeral"}}],
            "messages": [
                {
                    "role": "user",
                    "content": [
                        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}}
                    ],
                },
                {"role": "assistant", "content": [{"type": "tool_use", "id": "t1", "name": "f", "input": {"a": 1}}]},
                {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t1", "content": "2"}]},
            ],
        },
    ),
    (
        {"extra_headers": {"anthropic-beta": "x"}, "extra_query": {"b": "1"}},
        {"extra_headers": {"anthropic-beta": "x"}, "extra_query": {"b": "1"}},
    ),
]  # what is given to us, what says the same to the SDK


async def hi(endpoint: Endpoint, body: dict[str, Any]) -> Any:
    from aiohttp import web

    return web.json_response(message(), headers={"request-id": "req-1"})


to_close: list[Any] = []


@pytest.fixture(autouse=True)
def _close() -> Iterator[None]:
    yield
    for client in to_close:
        outcome = client.close()
        if inspect.isawaitable(outcome):
            run_sync(_awaiting(outcome))
    to_close.clear()


def sync_client(endpoint: Any, **options: Any) -> Any:
    to_close.append(anthropic.Anthropic(**{"api_key": "sk-secret", "base_url": endpoint.url, **options}))
    return to_close[-1]


def async_client(endpoint: Any, **options: Any) -> Any:
    to_close.append(anthropic.AsyncAnthropic(**{"api_key": "sk-secret", "base_url": endpoint.url, **options}))
    return to_close[-1]


def both(endpoint: Endpoint, **options: Any) -> tuple[Anthropic, Any]:
    options = {"api_key": "k", "base_url": endpoint.url} | options
    return Anthropic(**options), sync_client(endpoint, **options)


kinds = pytest.mark.parametrize("make", [sync_client, async_client])
pairs = pytest.mark.parametrize(("given", "theirs"), PAIRS, ids=lambda each: "-".join(each) or "none")


@pairs
def test_the_same_request(serve: Serve, given: dict[str, Any], theirs: dict[str, Any]) -> None:
    endpoint = serve(hi)
    ours, sdk = both(endpoint)
    assert ours.chat(**{"model": "m", "messages": MESSAGES, **given}) == "hello"
    sdk.messages.create(**{"model": "m", **THEIRS, **theirs})
    assert endpoint.bodies[0] == endpoint.bodies[1]
    assert endpoint.queries[0] == endpoint.queries[1]
    for name in ("x-api-key", "anthropic-version", "anthropic-beta", "content-type", "accept", "authorization"):
        assert endpoint.headers[0].get(name) == endpoint.headers[1].get(name)


def test_old_models_are_asked_for_less() -> None:
    sizes = [ANTHROPIC_MESSAGES.body(name, MESSAGES, {})["max_tokens"] for name in ("claude-3-opus-1", "claude-3-7-x")]
    assert sizes == [4096, 8192]


@kinds
@pairs
def test_a_users_sdk_client_sends_what_ours_sends(
    serve: Serve, make: Any, given: dict[str, Any], theirs: dict[str, Any]
) -> None:
    endpoint = serve(hi)
    arguments = {"model": "m", "messages": MESSAGES, **given}
    reply = run_sync(complete(make(endpoint), **arguments))
    assert (reply.text, reply.request_id, reply.usage.total) == ("hello", "req-1", 12)
    assert both(endpoint)[0].chat(**arguments) == "hello"
    assert endpoint.bodies[0] == endpoint.bodies[1]
    assert endpoint.queries[0] == endpoint.queries[1]


@pytest.mark.parametrize(
    "options",
    [
        {"default_headers": {"X-Gate": "1", "x-api-key": "other"}},
        {"default_query": {"region": "eu"}},
        {"api_key": None, "auth_token": "tok"},
    ],
    ids=lambda each: "-".join(each),
)
def test_constructor_arguments_reach_the_wire_alike(serve: Serve, options: dict[str, Any]) -> None:
    endpoint = serve(hi)
    ours, sdk = both(endpoint, **options)
    ours.chat(model="m", messages=MESSAGES)
    sdk.messages.create(model="m", **THEIRS)
    assert endpoint.queries[0] == endpoint.queries[1]
    for name in ("x-api-key", "authorization", "x-gate"):
        assert endpoint.headers[0].get(name) == endpoint.headers[1].get(name)


@pytest.mark.parametrize("variable", ["ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN"])
def test_settings_from_the_environment(serve: Serve, monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    endpoint = serve(hi)
    for name in ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(variable, "from-env")
    monkeypatch.setenv("ANTHROPIC_BASE_URL", endpoint.url + "/")
    Anthropic().chat(model="m", messages=MESSAGES)
    with anthropic.Anthropic() as sdk:
        sdk.messages.create(model="m", **THEIRS)
    for name in ("x-api-key", "authorization"):
        assert endpoint.headers[0].get(name) == endpoint.headers[1].get(name)


def test_a_missing_key(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    for cls in (Anthropic, AsyncAnthropic):
        with pytest.raises(MissingKeyError, match="No API key for Anthropic.*ANTHROPIC_API_KEY"):
            cls()


STATUSES = [400, 401, 403, 404, 408, 409, 413, 422, 429, 500, 503, 529]


@pytest.mark.parametrize("code", STATUSES)
def test_the_same_error_and_the_same_retry_decision(serve: Serve, code: int) -> None:
    refusal = status(code, {"type": "x", "message": f"error {code}"}, Retry_After="0.01", request_id="req-7")
    for retries in (0, 1):
        mine, its = serve(refusal), serve(refusal)
        ours, sdk = both(mine, max_retries=retries)[0], both(its, max_retries=retries)[1]
        with pytest.raises(APIStatusError) as ours_caught:
            ours.chat(model="m", messages=MESSAGES)
        with pytest.raises(anthropic.APIStatusError) as theirs_caught:
            sdk.messages.create(model="m", **THEIRS)
        error, reference = ours_caught.value, theirs_caught.value
        names = {cls.__name__ for cls in type(reference).__mro__}
        assert type(error).__name__ in names, "an error of the SDK's name, or of the name of one of its bases"
        assert error.status_code == reference.status_code == code
        assert error.body == reference.body
        assert (mine.calls > 1) == (its.calls > 1)
        assert mine.calls == its.calls or code == 429, "only a 429 is met with more patience"


def test_overloaded_is_an_error_of_its_own(serve: Serve) -> None:
    body = {"type": "overloaded_error", "message": "Overloaded"}
    model = both(serve(status(529, body)), max_retries=0)[0]
    with pytest.raises(OverloadedError, match="answered 529 for model 'm'.*Overloaded.*try later"):
        model.chat(model="m", messages=MESSAGES)


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ("prompt is too long: 210000 tokens > 200000 maximum", ContextLengthError),
        ("input length and `max_tokens` exceed context limit: 1 + 2 > 3", ContextLengthError),
        ("output_config: Extra inputs are not permitted", UnsupportedFormatError),
        ("'claude-2' does not support output_format", UnsupportedFormatError),
    ],
)
def test_what_a_400_says_decides(serve: Serve, said: str, kind: type[Exception]) -> None:
    model = both(serve(status(400, {"type": "invalid_request_error", "message": said})))[0]
    schema = {"type": "json_schema", "json_schema": {"name": "x", "schema": SCHEMA}}
    with pytest.raises(kind):
        model.chat(model="m", messages=MESSAGES, response_format=schema)


def answering(**fields: Any) -> Answer:
    async def answer(endpoint: Endpoint, body: dict[str, Any]) -> Any:
        from aiohttp import web

        return web.json_response(message(**fields))

    return answer


def test_usage_counts_all_input_and_what_the_cache_gave(serve: Serve) -> None:
    usage = {
        "input_tokens": 3,
        "cache_read_input_tokens": 100,
        "cache_creation_input_tokens": 20,
        "output_tokens": 7,
        "output_tokens_details": {"thinking_tokens": 4},
    }
    model = both(serve(answering(usage=usage)))[0]
    reply = run_sync(complete(model, MESSAGES, model="m"))
    told = reply.usage
    assert (told.input_tokens, told.cached_tokens, told.cache_write_tokens) == (123, 100, 20)
    assert (told.output_tokens, told.reasoning_tokens, told.estimated) == (7, 4, False)
    mine = model.get_usage()
    assert mine["prompt_tokens_details"]["cached_tokens"] == 100
    assert mine["completion_tokens_details"]["reasoning_tokens"] == 4
    assert (mine["prompt_tokens"], mine["cost"]) == (123, {"amount": 0.0, "currency": "USD", "unpriced": 1})


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"content": [], "stop_reason": "refusal"}, "refused"),
        ({"content": [THOUGHT], "stop_reason": "max_tokens"}, "Raise max_tokens"),
        ({"content": []}, "no text"),
        ({"content": None}, "no content"),
    ],
)
def test_an_answer_without_text(serve: Serve, fields: dict[str, Any], why: str) -> None:
    with pytest.raises(APIResponseError, match=why):
        both(serve(answering(**fields)))[0].chat(model="m", messages=MESSAGES)


def test_an_answer_is_sent_back_as_it_came(serve: Serve) -> None:
    search = {"type": "server_tool_use", "id": "s1", "name": "web_search", "input": {"query": "x"}}
    native = [THOUGHT, HIDDEN["payload"], search, {"type": "text", "text": "Let me see."}, CALL]
    endpoint = serve(answering(content=native, stop_reason="tool_use"), hi)
    model = both(endpoint)[0]
    reply = run_sync(complete(model, MESSAGES, model="m"))
    assert (reply.text, reply.stop_reason) == ("Let me see.", "tool_use")
    assert [block["type"] for block in reply.content] == ["thinking", "provider", "provider", "text", "tool_use"]
    turns = [
        *MESSAGES,
        {"role": "assistant", "content": reply.content, "_stop_reason": reply.stop_reason},
        {"role": "tool", "content": [RESULT]},
    ]
    assert model.chat(model="m", messages=turns) == "hello"
    sent = endpoint.bodies[1]["messages"]
    assert sent[1] == {"role": "assistant", "content": native}
    assert sent[2] == {"role": "user", "content": [RESULT]}


@kinds
def test_errors_of_a_users_sdk_client_are_ours(serve: Serve, make: Any) -> None:
    endpoint = serve(status(404, {"type": "not_found_error", "message": "no model m; your key is sk-secret"}))
    with pytest.raises(APIStatusError, match=r"model 'm'.*Check the model's name") as caught:
        run_sync(complete(make(endpoint), MESSAGES, model="m"))
    assert type(caught.value).__name__ == "NotFoundError"
    assert "sk-secret" not in str(caught.value)
    assert "sk-secret" not in str(caught.value.body)
    assert endpoint.calls == 1


@pytest.mark.parametrize(
    "options", [{}, {"api_key": None, "auth_token": "sk-secret"}, {"default_headers": {"X-Gate-Token": "sk-secret"}}]
)
def test_keys_are_cut_out_of_quoted_errors(serve: Serve, options: dict[str, Any]) -> None:
    endpoint = serve(status(401, {"type": "authentication_error", "message": "invalid x-api-key: sk-secret"}))
    model = Anthropic(**{"api_key": "sk-secret", "base_url": endpoint.url, **options})
    with pytest.raises(APIStatusError) as caught:
        model.chat(model="m", messages=MESSAGES)
    assert "sk-secret" not in f"{caught.value} {caught.value.body}"
    assert "sk-secret" not in repr(model)


@kinds
def test_an_unreachable_endpoint_behind_a_users_sdk_client(make: Any) -> None:
    class Nowhere:
        url = "http://127.0.0.1:9"

    with pytest.raises(APIConnectionError, match="Cannot reach http://127.0.0.1:9"):
        run_sync(complete(make(Nowhere, max_retries=0), MESSAGES, model="m"))


def test_our_classes_around_a_users_sdk_client(serve: Serve) -> None:
    endpoint = serve(hi)
    assert Anthropic(client=sync_client(endpoint)).chat(model="m", messages=MESSAGES) == "hello"
    model = AsyncAnthropic(client=async_client(endpoint))
    assert asyncio.run(model.achat(model="m", messages=MESSAGES)) == "hello"
    assert model.get_usage()["total_tokens"] == 12
    with httpx2.Client() as http_client:
        made = Anthropic(api_key="k", base_url=endpoint.url, http_client=http_client)
        assert made.chat(model="m", messages=MESSAGES) == "hello"


def test_a_users_sdk_client_is_not_kept_alive(serve: Serve) -> None:
    client = sync_client(serve(hi))
    run_sync(complete(client, MESSAGES, model="m"))
    gone = weakref.ref(client)
    to_close.pop().close()
    del client
    gc.collect()
    assert gone() is None


# ------------------------------------------------------------------------------- on the simulated model


@pytest.fixture(scope="module")
def server() -> Iterator[LMServer]:
    with LMServer(world="echo", context_limit=2000, models=["m"]) as server:
        yield server


WEATHER = {
    "name": "weather",
    "description": "The weather.",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
}


def test_tools_on_the_simulated_model(server: LMServer) -> None:
    model = Anthropic(api_key="k", base_url=server.url, model="m")
    turns: list[Any] = [{"role": "user", "content": "The weather in 'Turin'?"}]
    reply = run_sync(complete(model, turns, tools=[WEATHER]))
    (call,) = reply.content
    assert call["type"] == "tool_use"
    assert (call["name"], call["input"], reply.stop_reason) == ("weather", {"city": "Turin"}, "tool_use")
    turns += [
        {"role": "assistant", "content": reply.content},
        {"role": "tool", "content": [{"type": "tool_result", "tool_use_id": call["id"], "content": "sunny"}]},
    ]
    after = run_sync(complete(model, turns, tools=[WEATHER]))
    assert after.stop_reason == "end_turn"
    assert after.text


def test_errors_of_the_simulated_model(server: LMServer) -> None:
    model = Anthropic(api_key="k", base_url=server.url, model="m", max_retries=0)
    with pytest.raises(APIStatusError, match="answered 404"):
        model.chat(model="unknown", messages=MESSAGES)
    with pytest.raises(ContextLengthError):
        model.chat(messages=[{"role": "user", "content": "x" * 20000}])
    with pytest.raises(APIStatusError, match="401.*ANTHROPIC_API_KEY"):
        Anthropic(api_key="wrong", base_url=server.url, model="m").chat(messages=MESSAGES)
