"""Streams: the same answer as without, its text as it comes, one record, and what happens when they break."""

from __future__ import annotations

import asyncio
import inspect
import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import anthropic
import openai
import pytest

from afnio.calls import CallLog, Session, run_async, run_sync
from afnio.errors import (
    AfnioError,
    APIConnectionError,
    APIResponseError,
    BadRequestError,
    InternalServerError,
    OverloadedError,
    StreamCutError,
)
from afnio.models.anthropic import Anthropic, AsyncAnthropic
from afnio.models.base import ChatCompletionModel
from afnio.models.invoke import complete
from afnio.models.lm_server import LMServer
from afnio.models.openai import AsyncOpenAI, OpenAI
from afnio.models.scripted import Scripted
from tests.calls.endpoint import Endpoint, completion, events, hello, status
from tests.models.test_openai_contract import _awaiting

Serve = Callable[..., Endpoint]
ASK: list[dict[str, Any]] = [{"role": "user", "content": "Say a few words about the sea and its many shores."}]
WEATHER = {
    "name": "weather",
    "description": "The weather.",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
}
SCHEMA = {
    "type": "json_schema",
    "json_schema": {"name": "x", "schema": {"type": "object", "properties": {"a": {"type": "string"}}}},
}


@pytest.fixture(scope="module")
def server() -> Iterator[LMServer]:
    with LMServer(world="echo", context_limit=2000, models=["m"]) as server:
        yield server


@pytest.fixture(autouse=True)
def _fresh(server: LMServer) -> Iterator[None]:
    server.reset()
    server.faults = []
    yield
    for client in to_close:
        outcome = client.close()
        if inspect.isawaitable(outcome):
            run_sync(_awaiting(outcome))
    to_close.clear()


to_close: list[Any] = []


def kept(client: Any) -> Any:
    to_close.append(client)
    return client


MAKERS: dict[str, Callable[..., Any]] = {
    "openai": lambda url, **more: OpenAI(api_key="k", base_url=f"{url}/v1", model="m", **more),
    "anthropic": lambda url, **more: Anthropic(api_key="k", base_url=url, model="m", **more),
    "openai-sdk": lambda url, **more: OpenAI(
        client=kept(openai.OpenAI(api_key="k", base_url=f"{url}/v1", **more)), model="m"
    ),
    "openai-async-sdk": lambda url, **more: OpenAI(
        client=kept(openai.AsyncOpenAI(api_key="k", base_url=f"{url}/v1", **more)), model="m"
    ),
    "anthropic-sdk": lambda url, **more: Anthropic(
        client=kept(anthropic.Anthropic(api_key="k", base_url=url, **more)), model="m"
    ),
    "anthropic-async-sdk": lambda url, **more: Anthropic(
        client=kept(anthropic.AsyncAnthropic(api_key="k", base_url=url, **more)), model="m"
    ),
}
every = pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
ours = pytest.mark.parametrize("make", [MAKERS["openai"], MAKERS["anthropic"]], ids=["openai", "anthropic"])


@every
@pytest.mark.parametrize("more", [{}, {"tools": [WEATHER], "tool_choice": "required"}, {"response_format": SCHEMA}])
def test_a_streamed_answer_is_the_answer(server: LMServer, make: Any, more: dict[str, Any]) -> None:
    model = make(server.url)
    plain = run_sync(complete(model, ASK, **more))
    given: list[str] = []
    reply = run_sync(complete(model, ASK, stream=True, on_text=given.append, **more))
    assert "".join(given) == reply.text == plain.text
    assert (len(given) > 1) == (len(plain.text.split()) > 3)
    assert (reply.content, reply.stop_reason) == (plain.content, plain.stop_reason)
    assert (reply.usage, reply.request_id is not None) == (plain.usage, True)
    rows = server.stats()["requests"][-2:]
    assert {row["key"] for row in rows} == {reply.request.key} == {plain.request.key}, (
        "whether it is streamed is no part of what is asked"
    )
    sent = [json.loads(each["body"]) for each in server.requests(2)]
    assert [each.get("stream", False) for each in sent] == [False, True]


@ours
def test_the_folded_body_is_the_body(server: LMServer, make: Any) -> None:
    plain, folded = [run_sync(complete(make(server.url), ASK, stream=stream)).body for stream in (False, True)]
    plain.pop("service_tier", None)  # chunks do not tell it
    assert folded == plain


@every
def test_text_comes_before_the_answer_is_whole(serve: Serve, make: Any) -> None:
    """The endpoint says the rest only after the first piece was seen."""

    async def answer(endpoint: Endpoint, body: dict[str, Any]) -> Any:
        from aiohttp import web

        is_openai = "chat/completions" in endpoint.request.path
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(endpoint.request)
        parts = OPENAI_PARTS if is_openai else ANTHROPIC_PARTS + ANTHROPIC_END
        for number, part in enumerate(parts):
            if number == (1 if is_openai else 3):
                await endpoint.gate.wait()
            await response.write(f"data: {json.dumps(part)}\n\n".encode())
        await response.write_eof()
        return response

    endpoint = serve(answer)
    stream = make(endpoint.url).stream(messages=ASK)
    assert next(stream) == "one "
    with pytest.raises(AfnioError, match="read it to its end"):
        _ = stream.reply
    endpoint.open_gate()
    assert list(stream) == ["two"]
    assert stream.reply.text == "one two"


def chunk(text: str | None, finish: str | None = None) -> dict[str, Any]:
    delta = {} if text is None else {"content": text}
    return {"id": "c", "model": "m", "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}


OPENAI_PARTS = [chunk("one "), chunk("two", "stop")]
ANTHROPIC_PARTS: list[dict[str, Any]] = [
    {
        "type": "message_start",
        "message": {"type": "message", "role": "assistant", "content": [], "usage": {"input_tokens": 1}},
    },
    {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "one "}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "two"}},
]
ANTHROPIC_END: list[dict[str, Any]] = [
    {"type": "content_block_stop", "index": 0},
    {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 2}},
    {"type": "message_stop"},
]


@pytest.mark.parametrize(("sync", "asyn"), [(OpenAI, AsyncOpenAI), (Anthropic, AsyncAnthropic)])
def test_chat_and_achat_stream_alike(server: LMServer, sync: Any, asyn: Any) -> None:
    options = {"api_key": "k", "base_url": server.base_url if sync is OpenAI else server.url, "model": "m"}
    threads: set[int] = set()
    said: list[str] = []

    def hear(piece: str) -> None:
        threads.add(threading.get_ident())
        said.append(piece)

    async def hear_async(piece: str) -> None:
        await asyncio.sleep(0)
        hear(piece)

    text = sync(**options).chat(messages=ASK, on_text=hear)
    assert threads == {threading.get_ident()}, "on_text is called where chat() was"
    assert "".join(said) == text == sync(**options).chat(messages=ASK, stream=True)
    for listener in (hear, hear_async):
        said.clear()
        assert asyncio.run(asyn(**options).achat(messages=ASK, on_text=listener)) == text == "".join(said)
    assert threads == {threading.get_ident()}

    async def whole() -> list[str]:
        async with asyn(**options).astream(messages=ASK) as stream:
            pieces = [piece async for piece in stream]
        assert stream.reply.text == text
        return pieces

    assert "".join(asyncio.run(whole())) == text
    assert "".join(sync(**options).stream(messages=ASK)) == text


# ------------------------------------------------------------------------------------- when it breaks


@every
def test_a_cut_stream_is_asked_for_again_while_nothing_was_given(server: LMServer, make: Any) -> None:
    server.faults = ["cut@1"]
    model = make(server.url, max_retries=2)
    whole = run_sync(complete(model, ASK, stream=True))
    assert (whole.attempts, server.stats()["calls"]) == (2, 2)


@every
def test_a_cut_stream_keeps_what_came(server: LMServer, make: Any) -> None:
    model, given = make(server.url, max_retries=2), list[str]()
    text = run_sync(complete(model, ASK)).text
    server.faults = ["cut@1x9"]
    with pytest.raises(StreamCutError, match="broke off after") as caught:
        model.chat(messages=ASK, on_text=given.append)
    assert "".join(given) == caught.value.text
    assert text.startswith(caught.value.text)
    assert isinstance(caught.value, APIConnectionError)
    assert (caught.value.model, server.stats()["calls"]) == ("m", 2)


@pytest.mark.parametrize("make", [MAKERS["openai"], MAKERS["openai-sdk"], MAKERS["openai-async-sdk"]])
@pytest.mark.parametrize(
    ("answer", "kind", "why"),
    [
        (events(chunk("a")), APIConnectionError, "ended before the answer was complete"),
        (events(b"data: {not json\n\n"), APIResponseError, "no JSON object"),
        (events({"error": {"message": "boom", "code": 503}}), InternalServerError, "answered 503.*boom"),
        (events({"error": {"message": "boom"}}), InternalServerError, "boom"),
        (events(), APIConnectionError, "ended before"),
        (events(chunk(None, "stop")), APIResponseError, "no text"),
    ],
)
def test_a_stream_that_is_none(serve: Serve, make: Any, answer: Any, kind: type[Exception], why: str) -> None:
    endpoint = serve(answer)
    with pytest.raises(kind, match=why):
        run_sync(complete(make(endpoint.url, max_retries=0), ASK, stream=True))


@pytest.mark.parametrize("make", [MAKERS["anthropic"], MAKERS["anthropic-sdk"]])
def test_an_overloaded_error_within_a_stream(serve: Serve, make: Any) -> None:
    fault = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
    again = events(*ANTHROPIC_PARTS, *ANTHROPIC_END)
    endpoint = serve(events(*ANTHROPIC_PARTS[:1], fault), again)
    assert run_sync(complete(make(endpoint.url, max_retries=1), ASK, stream=True)).text == "one two"
    with pytest.raises(OverloadedError, match="answered 529"):
        run_sync(complete(make(serve(events(fault)).url, max_retries=0), ASK, stream=True))
    with pytest.raises(StreamCutError, match="Overloaded") as caught:
        make(serve(events(*ANTHROPIC_PARTS, fault)).url).chat(messages=ASK, on_text=print)
    assert caught.value.text == "one two"


def test_thoughts_tools_and_citations_are_folded(serve: Serve) -> None:
    parts = [
        ANTHROPIC_PARTS[0],
        {"type": "ping"},
        {
            "type": "content_block_start",
            "index": 0,
            "content_block": {"type": "thinking", "thinking": "", "signature": ""},
        },
        {"type": "content_block_delta", "index": 0, "delta": {"type": "thinking_delta", "thinking": "h"}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "thinking_delta", "thinking": "m"}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "signature_delta", "signature": "sig"}},
        {"type": "content_block_start", "index": 1, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 1, "delta": {"type": "text_delta", "text": "so"}},
        {"type": "content_block_delta", "index": 1, "delta": {"type": "citations_delta", "citation": {"n": 1}}},
        {
            "type": "content_block_start",
            "index": 2,
            "content_block": {"type": "tool_use", "id": "t", "name": "f", "input": {}},
        },
        {"type": "content_block_delta", "index": 2, "delta": {"type": "input_json_delta", "partial_json": '{"a"'}},
        {"type": "content_block_delta", "index": 2, "delta": {"type": "input_json_delta", "partial_json": ": 1}"}},
        {
            "type": "content_block_start",
            "index": 3,
            "content_block": {"type": "tool_use", "id": "u", "name": "g", "input": {}},
        },
        {
            "type": "content_block_start",
            "index": 4,
            "content_block": {"type": "tool_use", "id": "v", "name": "h", "input": {}},
        },
        {"type": "content_block_delta", "index": 4, "delta": {"type": "input_json_delta", "partial_json": '{"cut": '}},
        {"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {"output_tokens": 5}},
        {"type": "message_stop"},
    ]
    reply = run_sync(complete(MAKERS["anthropic"](serve(events(*parts)).url), ASK, stream=True))
    assert reply.content == [
        {"type": "thinking", "thinking": "hm", "signature": "sig"},
        {"type": "text", "text": "so", "citations": [{"n": 1}]},
        {"type": "tool_use", "id": "t", "name": "f", "input": {"a": 1}},
        {"type": "tool_use", "id": "u", "name": "g", "input": {}},
        {"type": "tool_use", "id": "v", "name": "h", "input": '{"cut": '},
    ]
    assert (reply.usage.input_tokens, reply.usage.output_tokens) == (1, 5)


def test_side_by_side_tool_calls_and_thoughts_of_chat_chunks() -> None:
    def delta(**given: Any) -> dict[str, Any]:
        return {"choices": [{"index": 0, "delta": given, "finish_reason": None}]}

    def call(index: int, arguments: str, **more: Any) -> dict[str, Any]:
        return {"index": index, "function": {"arguments": arguments, **more.pop("function", {})}, **more}

    from afnio.models.formats.openai_chat import OPENAI_CHAT

    folder = OPENAI_CHAT.folder()
    for each in [
        delta(role="assistant", reasoning_content="h"),
        delta(reasoning_content="m"),
        delta(tool_calls=[call(0, "", id="a", type="function", function={"name": "f"})]),
        delta(tool_calls=[call(1, '{"y"', id="b", type="function", function={"name": "g"}), call(0, '{"x":')]),
        delta(tool_calls=[call(0, "1}"), call(1, ":2}")]),
        {"choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]},
        {"choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": 2}},
    ]:
        folder.add("", each)
    body = folder.body()
    assert OPENAI_CHAT.content(body) == [
        {"type": "thinking", "thinking": "hm"},
        {"type": "tool_use", "id": "a", "name": "f", "input": {"x": 1}},
        {"type": "tool_use", "id": "b", "name": "g", "input": {"y": 2}},
    ]
    assert (OPENAI_CHAT.stop_reason(body), OPENAI_CHAT.text(body)) == ("tool_use", "")


def test_an_endpoint_that_refuses_to_tell_usage(serve: Serve) -> None:
    refusal = status(400, {"message": "Unrecognized request argument supplied: stream_options"})
    endpoint = serve(refusal, events(chunk("a b c d"), chunk(None, "stop"), end=b"data: [DONE]\n\n"))
    model = MAKERS["openai"](endpoint.url)
    replies = [run_sync(complete(model, ASK, stream=True)) for _ in range(2)]
    assert [("stream_options" in body, body["stream"]) for body in endpoint.bodies] == [
        (True, True),
        (False, True),
        (False, True),
    ]
    assert [reply.usage.estimated for reply in replies] == [True, True]
    with pytest.raises(BadRequestError):
        run_sync(complete(MAKERS["openai"](serve(status(400)).url), ASK, stream=True))


@every
def test_an_endpoint_that_does_not_stream(serve: Serve, make: Any) -> None:
    if make in (MAKERS["openai"], MAKERS["openai-sdk"], MAKERS["openai-async-sdk"]):
        given: list[str] = []
        text = make(serve(hello).url).chat(messages=ASK, on_text=given.append)
        assert (text, given) == ("hello", ["hello"])
    with pytest.raises(InternalServerError):
        make(serve(status(500)).url, max_retries=0).chat(messages=ASK, on_text=print)


# ------------------------------------------------------------------------------------- who listens


@every
def test_an_error_of_who_listens_ends_the_call_and_is_his(server: LMServer, make: Any) -> None:
    def fail(piece: str) -> None:
        raise BrokenPipeError(f"no more after {piece}")

    model = make(server.url)
    with pytest.raises(BrokenPipeError, match="no more after"):
        model.chat(messages=ASK, on_text=fail)
    with pytest.raises(BrokenPipeError, match="no more after"):
        run_sync(complete(model, ASK, on_text=fail))


def test_a_stream_that_is_left_ends_its_call(serve: Serve) -> None:
    async def endless(endpoint: Endpoint, body: dict[str, Any]) -> Any:
        from aiohttp import web

        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(endpoint.request)
        await response.write(f"data: {json.dumps(chunk('one '))}\n\n".encode())
        try:
            await endpoint.gate.wait()
        finally:
            left.set()
        return response

    left = threading.Event()
    with MAKERS["openai"](serve(endless).url).stream(messages=ASK) as stream:
        assert next(stream) == "one "
    assert left.wait(150)
    assert list(stream) == []
    left.clear()

    async def leave(url: str) -> None:
        async with AsyncOpenAI(api_key="k", base_url=f"{url}/v1", model="m").astream(messages=ASK) as stream:
            assert await anext(stream) == "one "

    asyncio.run(leave(serve(endless).url))
    assert left.wait(150)


def test_joined_calls_share_the_answer_not_the_listener(server: LMServer) -> None:
    model = AsyncOpenAI(api_key="k", base_url=server.base_url, model="m")

    def fail(piece: str) -> None:
        raise ValueError("mine")

    async def two() -> list[Any]:
        calls = [complete(model, ASK, on_text=fail), complete(model, ASK)]
        return await asyncio.gather(*calls, return_exceptions=True)

    failed, reply = run_sync(two())
    assert isinstance(failed, ValueError)
    assert reply.text


# ------------------------------------------------------------------------------------- records


@ours
def test_a_stream_is_recorded_as_a_call_and_replayed_in_pieces(server: LMServer, make: Any, tmp_path: Path) -> None:
    model, path = make(server.url), tmp_path / "calls.jsonl"
    with Session(log=CallLog(path)).activate():
        text = model.chat(messages=ASK, on_text=lambda piece: None)
    for stream in (True, False):
        given: list[str] = []
        more = {"on_text": given.append} if stream else {}
        with Session(log=CallLog(path, mode="replay")).activate():
            assert model.chat(messages=ASK, **more) == text
        assert "".join(given) == (text if stream else "")
        assert (len(given) > 3) == stream
    assert server.stats()["calls"] == 1


def test_a_scripted_model_streams() -> None:
    model = Scripted(["one two three", "four five"])
    assert list(model.stream(messages=ASK)) == ["one", " two", " three"]

    async def read() -> list[str]:
        return [piece async for piece in model.astream(messages=ASK)]

    assert asyncio.run(read()) == ["four", " five"]
    assert "stream" not in model.requests[0]


def test_a_users_own_model_streams_its_whole_text_in_the_end() -> None:
    class Mine(ChatCompletionModel):
        def chat(self, *, messages: Any, **completion_args: Any) -> str:
            assert "on_text" not in completion_args
            return "one two"

    given: list[str] = []
    assert run_sync(complete(Mine(), ASK, on_text=given.append)).text == "one two"
    assert given == ["one", " two"]


def test_a_users_own_model_may_answer_with_blocks() -> None:
    call = {"type": "tool_use", "id": "t", "name": "f", "input": {}}

    class Mine(ChatCompletionModel):
        async def achat(self, *, messages: Any, **completion_args: Any) -> Any:
            return [{"type": "text", "text": "so"}, call]

    reply = run_sync(complete(Mine(), ASK, tools=[WEATHER]))
    assert (reply.text, reply.content[1], reply.stop_reason) == ("so", call, "tool_use")


def test_streams_within_the_lm_loop(server: LMServer) -> None:
    model = AsyncOpenAI(api_key="k", base_url=server.base_url, model="m")

    async def read() -> str:
        return "".join([piece async for piece in model.astream(messages=ASK)])

    assert run_sync(read()) == asyncio.run(run_async(read())) != ""
    assert completion()["object"] == "chat.completion"
