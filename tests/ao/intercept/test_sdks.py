"""The vendors' own SDKs against the simulated model: recorded and replayed, whole and streamed, sync and async."""

from __future__ import annotations

import asyncio
import inspect
import json
from collections.abc import Callable
from typing import Any

import pytest

from afnio.models.lm_server import LMServer
from ao.dialects import Asked
from ao.dialects.reading import read, respell
from ao.intercept import not_recorded
from ao.intercept.seam import Replay
from tests.ao.intercept.source import Answer, Source, events
from tests.ao.intercept.tape import Tape

MESSAGES: Any = [{"role": "user", "content": "hello out there"}]
Script = Callable[[LMServer], Any]


def openai_chat(server: LMServer) -> str:
    import openai

    with openai.OpenAI(api_key="sk-secret", base_url=server.base_url) as client:
        return client.chat.completions.create(model="m", messages=MESSAGES).choices[0].message.content or ""


def openai_chat_stream(server: LMServer) -> list[str]:
    import openai

    with openai.OpenAI(api_key="sk-secret", base_url=server.base_url) as client:
        stream = client.chat.completions.create(model="m", messages=MESSAGES, stream=True)
        return [chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices]


def openai_chat_helper(server: LMServer) -> str:
    import openai

    client = openai.OpenAI(api_key="sk-secret", base_url=server.base_url)
    with client, client.chat.completions.stream(model="m", messages=MESSAGES) as stream:
        return stream.get_final_completion().choices[0].message.content or ""


async def openai_async(server: LMServer) -> list[str]:
    import openai

    async with openai.AsyncOpenAI(api_key="sk-secret", base_url=server.base_url) as client:
        whole = await client.chat.completions.create(model="m", messages=MESSAGES)
        stream = await client.chat.completions.create(model="m", messages=MESSAGES, stream=True)
        texts = [chunk.choices[0].delta.content or "" async for chunk in stream if chunk.choices]
        return [whole.choices[0].message.content or "", *texts]


async def openai_over_aiohttp(server: LMServer) -> list[str]:
    import openai

    http: Any = openai.DefaultAioHttpClient()
    async with openai.AsyncOpenAI(api_key="sk-secret", base_url=server.base_url, http_client=http) as client:
        whole = await client.chat.completions.create(model="m", messages=MESSAGES)
        stream = await client.chat.completions.create(model="m", messages=MESSAGES, stream=True)
        texts = [chunk.choices[0].delta.content or "" async for chunk in stream if chunk.choices]
        return [whole.choices[0].message.content or "", "".join(texts)]


def openai_responses(server: LMServer) -> list[str]:
    import openai

    with openai.OpenAI(api_key="sk-secret", base_url=server.base_url) as client:
        whole = client.responses.create(model="m", input="hello").output_text
        with client.responses.stream(model="m", input="hello there") as stream:
            return [whole, *[event.type for event in stream], stream.get_final_response().output_text]


def anthropic_messages(server: LMServer) -> str:
    import anthropic

    with anthropic.Anthropic(api_key="sk-secret", base_url=server.url) as client:
        answer = client.messages.create(model="m", max_tokens=50, messages=MESSAGES)
        return "".join(block.text for block in answer.content if block.type == "text")


def anthropic_helper(server: LMServer) -> list[str]:
    import anthropic

    client = anthropic.Anthropic(api_key="sk-secret", base_url=server.url)
    with client, client.messages.stream(model="m", max_tokens=50, messages=MESSAGES) as stream:
        return [*stream.text_stream, stream.get_final_text()]


async def anthropic_async(server: LMServer) -> list[str]:
    import anthropic

    async with anthropic.AsyncAnthropic(api_key="sk-secret", base_url=server.url) as client:
        await client.messages.create(model="m", max_tokens=50, messages=MESSAGES)
        async with client.messages.stream(model="m", max_tokens=50, messages=MESSAGES) as stream:
            return [text async for text in stream.text_stream]


SCRIPTS: list[tuple[Script, str, int]] = [
    (openai_chat, "openai.chat", 1),
    (openai_chat_stream, "openai.chat", 1),
    (openai_chat_helper, "openai.chat", 1),
    (openai_async, "openai.chat", 2),
    (openai_over_aiohttp, "openai.chat", 2),
    (openai_responses, "openai.responses", 2),
    (anthropic_messages, "anthropic.messages", 1),
    (anthropic_helper, "anthropic.messages", 1),
    (anthropic_async, "anthropic.messages", 2),
]


def run(script: Script, server: LMServer) -> Any:
    answer = script(server)
    return asyncio.run(answer) if inspect.iscoroutine(answer) else answer


@pytest.mark.parametrize(("script", "dialect", "calls"), SCRIPTS)
def test_a_script_is_recorded_and_replayed(
    script: Script, dialect: str, calls: int, server: LMServer, tape: Tape
) -> None:
    recorded = run(script, server)
    assert len(tape.exchanges) == calls == server.stats(rows=False)["calls"]
    tape.replaying = True
    assert run(script, server) == recorded
    assert server.stats(rows=False)["calls"] == calls
    for exchange, outcome in zip(tape.exchanges, tape.outcomes, strict=True):
        reading = read(exchange.dialect, outcome.status, outcome.body, streamed=exchange.streaming)
        assert (exchange.dialect, exchange.model, outcome.complete, outcome.error) == (dialect, "m", True, None)
        assert reading.text.startswith("hello")
        assert reading.usage is None if exchange.streaming and dialect == "openai.chat" else reading.usage
        assert exchange.location is not None
        assert exchange.location[0] == __file__
        assert exchange.function.startswith(script.__name__)
        assert "secret" not in repr((exchange, outcome))
        assert 0 < (outcome.first_byte or 0) <= (outcome.last_byte or 0) <= outcome.seconds
        assert [attempt.status for attempt in outcome.attempts] == [200]
    assert tape.notices == []


@pytest.mark.parametrize("script", [openai_chat, anthropic_messages, openai_chat_stream])
def test_an_edited_answer_reaches_the_script(script: Script, server: LMServer, tape: Tape) -> None:
    run(script, server)
    exchange, outcome = tape.only()
    body = read(exchange.dialect, outcome.status, outcome.body, streamed=exchange.streaming).body
    edited = json.loads(json.dumps(body).replace("hello out there", "edited"))
    asked = Asked("POST", exchange.url, {}, exchange.body)
    pieces = respell(exchange.dialect, asked, edited, streamed=exchange.streaming)
    assert pieces
    tape.edit = lambda exchange: Replay(200, outcome.headers, b"".join(pieces))
    assert "".join(run(script, server)) == "edited"
    assert server.stats(rows=False)["calls"] == 1


@pytest.mark.parametrize(
    ("faults", "statuses"),
    [
        (["429@1:retry_after=0.001"], [429, 200]),
        (["429@1x2:retry_after=0.001"], [429, 429, 200]),
        (["500@1"], [500, 200]),
        (["reset@1"], [None, 200]),
    ],
)
@pytest.mark.parametrize("script", [openai_chat, anthropic_messages, openai_chat_stream])
def test_retries_of_an_sdk_are_attempts_of_one_call(
    script: Script, faults: list[str], statuses: list[int | None], server: LMServer, tape: Tape
) -> None:
    server.faults = faults
    assert run(script, server)
    exchange, outcome = tape.only()
    assert [attempt.status for attempt in outcome.attempts] == statuses
    assert [known for known, _ in tape.ends] == [exchange] * len(statuses)
    assert outcome.status == 200
    assert all(attempt.seconds >= 0 for attempt in outcome.attempts)


def test_retries_in_async_code_and_over_aiohttp(server: LMServer, tape: Tape) -> None:
    for script in (openai_async, openai_over_aiohttp, anthropic_async):
        server.faults = ["429@1:retry_after=0.001", "500@3"]
        run(script, server)
    assert len(tape.exchanges) == 6
    assert [len(outcome.attempts) for outcome in tape.outcomes] == [2, 2] * 3


def test_a_call_that_fails_for_good_is_one_call_with_its_error(server: LMServer, tape: Tape) -> None:
    import openai

    server.faults = ["429@1x9:retry_after=0.001"]
    with pytest.raises(openai.RateLimitError):
        openai_chat(server)
    exchange, outcome = tape.only()
    assert [attempt.status for attempt in outcome.attempts] == [429, 429, 429]
    assert read(exchange.dialect, outcome.status, outcome.body, streamed=False).error
    tape.replaying = True
    tape.edit = lambda known: outcome.replay()
    with pytest.raises(openai.RateLimitError):
        openai_chat(server)
    assert server.stats(rows=False)["calls"] == 3


def test_the_same_prompt_again_is_another_call(server: LMServer, tape: Tape) -> None:
    import openai

    server.faults = ["500@1x2"]
    with openai.OpenAI(api_key="k", base_url=server.base_url, max_retries=0) as client:
        for _ in range(4):
            try:
                client.chat.completions.create(model="m", messages=MESSAGES)
            except openai.InternalServerError:
                continue
    assert [outcome.status for outcome in tape.outcomes] == [500, 500, 200, 200]
    assert len({exchange.location for exchange in tape.exchanges}) == 1


@pytest.mark.parametrize("script", [openai_chat_stream, anthropic_helper])
def test_a_stream_that_is_cut_fails_as_without_us(script: Script, server: LMServer, tape: Tape) -> None:
    failures = []
    for _ in range(2):
        server.faults = ["cut@1"]
        try:
            with not_recorded():
                run(script, server)
        except Exception as error:
            failures.append(type(error))
        server.faults = ["cut@1"]
        with pytest.raises(failures[0]):
            run(script, server)
    assert len(tape.exchanges) == 2
    assert all(not outcome.complete and outcome.error and outcome.body for outcome in tape.outcomes)


def test_embeddings(tape: Tape) -> None:
    import openai

    told = {"object": "list", "model": "e", "data": [{"object": "embedding", "index": 0, "embedding": [0.5, 1.0]}]}
    body = json.dumps(told | {"usage": {"prompt_tokens": 3, "total_tokens": 3}}).encode()
    with Source(Answer(body)) as source, openai.OpenAI(api_key="k", base_url=source.url + "/some/prefix") as client:

        def ask() -> list[float]:
            return client.embeddings.create(model="e", input="x", encoding_format="float").data[0].embedding

        assert ask() == [0.5, 1.0]
        tape.replaying = True
        assert ask() == [0.5, 1.0]
    exchange, outcome = tape.only()
    assert (exchange.dialect, exchange.path, len(source.asked)) == ("openai.embeddings", "/some/prefix/embeddings", 1)
    assert read(exchange.dialect, 200, outcome.body, streamed=False).usage == {"input_tokens": 3, "output_tokens": 0}


def test_azure(tape: Tape) -> None:
    import openai

    reply = b'{"choices": [{"index": 0, "message": {"role": "assistant", "content": "hi"}}]}'
    with Source(Answer(reply)) as source:
        made: Any = {"azure_endpoint": source.url, "azure_deployment": "mine", "api_version": "2024-10-21"}
        with openai.AzureOpenAI(api_key="sk-secret", **made) as client:
            client.chat.completions.create(model="mine", messages=MESSAGES)
    exchange, _ = tape.only()
    assert exchange.path == "/openai/deployments/mine/chat/completions"
    assert exchange.url.endswith("?api-version=2024-10-21")


GEMINI = {"candidates": [{"index": 0, "content": {"role": "model", "parts": [{"text": "hi you"}]}}]}


@pytest.mark.parametrize("streamed", [False, True])
def test_google_genai(streamed: bool, tape: Tape) -> None:
    from google import genai

    told = GEMINI | {"usageMetadata": {"promptTokenCount": 2, "candidatesTokenCount": 3}, "modelVersion": "g-1"}
    whole = Answer(json.dumps(told).encode())
    stream = Answer(chunks=events(GEMINI, told)[:2], headers={"content-type": "text/event-stream"})
    with Source(stream if streamed else whole) as source:
        options: Any = {"base_url": source.url}
        client = genai.Client(api_key="secret", http_options=options)

        def ask() -> list[str | None]:
            if streamed:
                return [part.text for part in client.models.generate_content_stream(model="g", contents="hello")]
            return [client.models.generate_content(model="g", contents="hello").text]

        recorded = ask()
        tape.replaying = True
        assert ask() == recorded
        client.close()
    exchange, outcome = tape.only()
    assert (exchange.dialect, exchange.model, exchange.streaming) == ("gemini.generate", "g", streamed)
    reading = read(exchange.dialect, 200, outcome.body, streamed=streamed)
    assert reading.text == "hi you" * (2 if streamed else 1)
    assert (reading.usage, reading.model) == ({"input_tokens": 2, "output_tokens": 3}, "g-1")
    assert "secret" not in repr((exchange, outcome))
