"""Faults: how they are spelled, which requests meet them, and what the vendors' clients make of them."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import anthropic
import httpx2
import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st

from afnio.models.lm_server import KINDS, Fault, LMServer
from afnio.models.lm_server.faults import FaultPlan
from afnio.models.lm_server.worlds.shop import questions
from tests.lm_server.shop import in_process, run, whole

HELLO: Any = [{"role": "user", "content": "hello there, my friend"}]


def ask(client: openai.OpenAI, **given: Any) -> Any:
    return client.chat.completions.create(model="m", messages=HELLO, **given).choices[0].message.content


# -- how they are spelled


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("500", Fault("500")),
        ("429@3", Fault("429", at=3)),
        ("429@1x4:retry_after=0.2", Fault("429", at=1, times=4, retry_after=0.2)),
        ("malformed@1:role=optimizer", Fault("malformed", at=1, role="optimizer")),
        ("reset:p=0.05", Fault("reset", p=0.05)),
        ("no_placeholder", Fault("no_placeholder")),
        ("timeout@2:seconds=3", Fault("timeout", at=2, seconds=3)),
    ],
)
def test_a_fault_from_its_text(text: str, fault: Fault) -> None:
    assert Fault.parse(text) == fault == Fault.of(fault.as_dict()) == Fault.of(text)


@pytest.mark.parametrize("text", ["418", "", "429@", "429:when=3", "429@1:p=0.5", "429:role=poet"])
def test_a_bad_text_is_refused_whole(text: str) -> None:
    with pytest.raises(ValueError, match="fault|role"):
        Fault.parse(text)


# -- which requests meet them


@given(at=st.integers(1, 20), times=st.integers(0, 20))
def test_a_fault_meets_exactly_the_requests_it_names(at: int, times: int) -> None:
    plan = FaultPlan([Fault("500", at=at, times=times)])
    met = [number for number in range(1, 51) if plan.pick("forward", str(number))]
    assert met == list(range(at, at + times))


@given(roles=st.lists(st.sampled_from(["forward", "backward", "optimizer"]), max_size=40), at=st.integers(1, 5))
def test_a_role_counts_its_own_requests(roles: list[str], at: int) -> None:
    plan = FaultPlan([Fault("malformed_optimizer", at=at)])
    met = [index for index, role in enumerate(roles) if plan.pick(role, str(index))]
    asked = [index for index, role in enumerate(roles) if role == "optimizer"]
    assert met == asked[at - 1 : at]


@given(order=st.permutations(range(30)), seed=st.integers(0, 5))
def test_a_probability_is_drawn_by_the_request_not_by_its_place(order: list[int], seed: int) -> None:
    keys = {number for number in range(30) if FaultPlan(["500:p=0.3"], seed=seed).pick("forward", str(number))}
    plan = FaultPlan(["500:p=0.3"], seed=seed)
    assert {number for number in order if plan.pick("forward", str(number))} == keys


def test_a_probability_lets_a_retry_through_and_is_about_right() -> None:
    plan = FaultPlan(["500:p=0.25"])
    first = [bool(plan.pick("forward", str(number))) for number in range(2000)]
    again = [bool(plan.pick("forward", str(number))) for number in range(2000)]
    assert 400 < sum(first) < 600
    assert sum(a and b for a, b in zip(first, again, strict=True)) < 200


# -- what the clients make of them


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ("429:retry_after=7", openai.RateLimitError),
        ("quota", openai.RateLimitError),
        ("500", openai.InternalServerError),
        ("503", openai.InternalServerError),
        ("overflow", openai.BadRequestError),
        ("reset", openai.APIConnectionError),
        ("cut", openai.APIConnectionError),
        ("truncated", json.JSONDecodeError),
        ("timeout", openai.APITimeoutError),
    ],
)
def test_what_the_openai_sdk_sees(
    echo: LMServer, openai_sdk: openai.OpenAI, fault: str, error: type[Exception]
) -> None:
    echo.faults = [fault]
    with pytest.raises(error):
        ask(openai_sdk, timeout=openai.Timeout(60, read=1) if fault == "timeout" else 60)
    assert ask(openai_sdk) == "hello there, my friend"
    assert echo.faults[0]["met"] == 1


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ("429", anthropic.RateLimitError),
        ("500", anthropic.InternalServerError),
        ("overflow", anthropic.BadRequestError),
        ("reset", anthropic.APIConnectionError),
    ],
)
def test_what_the_anthropic_sdk_sees(
    echo: LMServer, anthropic_sdk: anthropic.Anthropic, fault: str, error: type[Exception]
) -> None:
    echo.faults = [fault]
    with pytest.raises(error):
        anthropic_sdk.messages.create(model="m", max_tokens=9, messages=HELLO)


def test_retry_after_is_told_and_obeyed(echo: LMServer, openai_sdk: openai.OpenAI) -> None:
    echo.faults = ["429@1:retry_after=7", "429@2:retry_after=0.01"]
    with pytest.raises(openai.RateLimitError) as caught:
        ask(openai_sdk)
    assert caught.value.response.headers["retry-after"] == "7"
    assert caught.value.code == "rate_limit_exceeded"
    assert ask(openai_sdk.with_options(max_retries=1)) == "hello there, my friend"


def test_quota_and_overflow_say_their_codes(echo: LMServer, openai_sdk: openai.OpenAI) -> None:
    echo.faults = ["quota@1", "overflow@2"]
    with pytest.raises(openai.RateLimitError) as refused:
        ask(openai_sdk)
    assert refused.value.code == "insufficient_quota"
    assert "retry-after" not in refused.value.response.headers
    with pytest.raises(openai.BadRequestError) as too_long:
        ask(openai_sdk)
    assert too_long.value.code == "context_length_exceeded"


def test_a_stream_is_cut_in_the_middle(echo: LMServer, openai_sdk: openai.OpenAI) -> None:
    echo.faults = ["cut"]
    heard = ""
    with pytest.raises((openai.APIError, httpx2.RemoteProtocolError)):
        for chunk in openai_sdk.chat.completions.create(model="m", messages=HELLO, stream=True):
            heard += chunk.choices[0].delta.content or ""
    assert "hello there, my friend".startswith(heard)
    assert heard != "hello there, my friend"


def test_a_wrong_key_an_unknown_model_and_a_long_request_are_refused() -> None:
    with LMServer("echo", context_limit=20, models=["small"]) as server:
        refused = openai.OpenAI(api_key="wrong-key", base_url=server.base_url, max_retries=0)
        with refused, pytest.raises(openai.AuthenticationError):
            refused.chat.completions.create(model="small", messages=HELLO)
        with openai.OpenAI(api_key="any", base_url=server.base_url, max_retries=0) as client:
            with pytest.raises(openai.NotFoundError, match="does not exist"):
                ask(client)
            with pytest.raises(openai.BadRequestError, match="maximum context length is 20"):
                client.chat.completions.create(model="small", messages=[{"role": "user", "content": "x" * 100}])
            assert client.models.list().data[0].id == "small"


def test_no_body_and_no_messages_are_bad_requests(echo: LMServer) -> None:
    with httpx2.Client(base_url=echo.url) as client:
        for path in ("chat/completions", "responses", "messages"):
            assert client.post(f"/v1/{path}", content=b"{").status_code == 400
            assert client.post(f"/v1/{path}", json={"model": "m"}).status_code == 400
        assert client.get("/v1/chat/completions").status_code == 404


def test_who_hangs_up_is_not_waited_for(echo: LMServer) -> None:
    echo.faults = ["timeout@1x8"]

    async def hang_up() -> None:
        async with openai.AsyncOpenAI(api_key="any", base_url=echo.base_url, max_retries=0) as client:
            calls = [client.chat.completions.create(model="m", messages=HELLO) for _ in range(8)]
            waiting = [asyncio.ensure_future(call) for call in calls]
            while echo.stats(rows=False)["open"] < 8:
                await asyncio.sleep(0)
            for each in waiting:
                each.cancel()
            results = await asyncio.gather(*waiting, return_exceptions=True)
            assert all(isinstance(result, asyncio.CancelledError) for result in results)

    asyncio.run(hang_up())
    while echo.stats(rows=False)["open"]:  # the server hears of each hang-up soon
        pass
    assert echo.stats(rows=False)["max_concurrency"] == 8


def test_every_kind_is_documented() -> None:
    assert all(KINDS.values())


# -- faults of agents with tools

ASKED = questions(12, seed=5)
MANY = next(question for question in ASKED if run(in_process(), question, whole()).turns == 4)


@pytest.fixture(scope="module")
def shop() -> Any:
    with LMServer("shop", bad_share=0.0) as server:
        yield server


def chat(server: LMServer) -> Any:
    return lambda body: httpx2.post(f"{server.base_url}/chat/completions", json=body).json()


@pytest.mark.parametrize("kind", ["bad_arguments", "unknown_tool"])
def test_a_bad_call_is_made_anew_when_the_agent_says_so(shop: LMServer, kind: str) -> None:
    right = run(in_process(), MANY, whole())
    shop.faults = [f"{kind}@2"]
    shop.reset()
    said = [message for message in _carried_out(shop, MANY) if message.get("tool_calls")]
    calls = [message["tool_calls"][0]["function"] for message in said]
    assert len(calls) == right.turns  # one turn more than calls are needed
    assert [shop.stats()["total"]["tool_calls"], shop.faults[0]["met"]] == [right.turns, 1]
    if kind == "unknown_tool":
        assert calls[1]["name"] == "search_by_telephone"
    else:
        with pytest.raises(json.JSONDecodeError):
            json.loads(calls[1]["arguments"])
    assert calls[2] == {"name": "search", "arguments": json.dumps(right.calls[1][1])}


def _carried_out(server: LMServer, question: Any) -> list[dict[str, Any]]:
    trace = run(chat(server), question, whole())
    assert trace.answer == question.answer
    return trace.messages


def test_a_model_that_only_calls_wrongly_gives_up(shop: LMServer) -> None:
    shop.faults = ["unknown_tool@1x50"]
    trace = run(chat(shop), MANY, whole())
    assert trace.turns == 5
    assert trace.answer != MANY.answer


@pytest.mark.parametrize("streamed", [False, True])
def test_anthropics_api_has_no_arguments_left(shop: LMServer, streamed: bool) -> None:
    shop.faults = ["bad_arguments"]
    tools: Any = [{"name": "search", "input_schema": {"type": "object", "properties": {"query": {"type": "string"}}}}]
    given: Any = {"model": "m", "max_tokens": 99, "tools": tools, "messages": [{"role": "user", "content": MANY.text}]}
    with anthropic.Anthropic(api_key="any", base_url=shop.url, max_retries=0) as client:
        if streamed:
            with client.messages.stream(**given) as stream:
                reply: Any = stream.get_final_message()
        else:
            reply = client.messages.create(**given)
    assert [(block.type, block.input) for block in reply.content] == [("tool_use", {})]


def test_an_output_breaks_off_and_only_outputs_count(shop: LMServer) -> None:
    shop.faults = ["broken_output@2"]
    schema = {"type": "object", "properties": {"total": {"type": "number"}}, "required": ["total"]}
    form = {"type": "json_schema", "json_schema": {"name": "Order", "schema": schema}}
    answers = [run(chat(shop), MANY, whole(), response_format=form).answer for _ in range(3)]
    assert answers[0] == answers[2] == json.dumps({"total": float(MANY.answer)})
    assert answers[1] == answers[0][: len(answers[0]) // 2]
    assert shop.faults[0]["met"] == 1


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("429@0", "at of a fault is at least 1"),
        ("500:p=2", "a probability from 0 to 1, got 2"),
        ("500:p=-0.5", "a probability from 0 to 1"),
        ("500:p=nan", "a probability from 0 to 1"),
        ("timeout:seconds=-1", "seconds of a fault is a number of seconds"),
        ("429:retry_after=-1", "retry_after of a fault"),
    ],
)
def test_a_fault_that_no_request_could_meet_is_refused(text: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        Fault.parse(text)
