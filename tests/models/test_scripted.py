"""`Scripted`: a model that answers from a script."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from afnio.errors import RateLimitError, ScriptError
from afnio.models import MODEL_REGISTRY, complete, is_inline
from afnio.models.base import ChatCompletionModel
from afnio.models.scripted import Scripted
from afnio.models.simulated import simulated


def say(text: str, **given: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": text}], **given}


def test_replies_from_a_list_in_order() -> None:
    model = Scripted(["one", {"two": 2}])
    assert [model.chat(**say("a")), model.chat(**say("b"))] == ["one", '{"two":2}']
    assert model.calls == 2
    assert [request["messages"][0]["content"] for request in model.requests] == ["a", "b"]


def test_sync_and_async_share_the_script() -> None:
    model = Scripted(["one", "two"])

    async def both() -> list[str]:
        return [await model.achat(**say("a")), await model.achat(**say("b"))]

    assert asyncio.run(both()) == ["one", "two"]
    assert is_inline(model)


def test_many_at_once() -> None:
    model = Scripted(lambda body: body["messages"][0]["content"])

    async def all_at_once() -> list[str]:
        return await asyncio.gather(*[model.achat(**say(str(number))) for number in range(50)])

    assert asyncio.run(all_at_once()) == [str(number) for number in range(50)]


def test_replies_by_pattern() -> None:
    model = Scripted({r"colou?r": "blue", r"^\d+$": lambda body: body["messages"][0]["content"] * 2, "boom": KeyError})
    assert model.chat(**say("Which color?")) == "blue"
    assert model.chat(**say("21")) == "2121"
    with pytest.raises(KeyError):
        model.chat(**say("boom"))


def test_patterns_see_every_message_and_every_text_part() -> None:
    model = Scripted({"be kind.*and brief": "yes"})
    parts = [{"type": "text", "text": "and"}, {"type": "text", "text": "brief"}]
    messages: list[dict[str, Any]] = [{"role": "system", "content": "be kind"}, {"role": "user", "content": parts}]
    with pytest.raises(ScriptError):
        model.chat(messages=messages)
    parts[0]["text"] = "and brief"
    assert model.chat(messages=messages) == "yes"


def test_the_function_gets_the_whole_body() -> None:
    model = Scripted(lambda body: f"{body['model']} {body['temperature']}", model="mine")
    assert model.chat(**say("x", temperature=0.5)) == "mine 0.5"
    assert model.chat(**say("x", temperature=0, model="theirs")) == "theirs 0"


def test_errors_are_raised() -> None:
    error = RateLimitError("slow down", status_code=429)
    model = Scripted([error, "fine"])
    with pytest.raises(RateLimitError) as caught:
        model.chat(**say("x"))
    assert caught.value is error
    assert model.chat(**say("x")) == "fine"


def test_a_whole_api_body() -> None:
    whole = {
        "choices": [{"message": {"role": "assistant", "content": "hi"}}],
        "usage": {"prompt_tokens": 7, "completion_tokens": 5, "total_tokens": 12},
    }
    model = Scripted([whole])
    assert model.chat(**say("x")) == "hi"
    assert model.get_usage()["total_tokens"] == 12


@pytest.mark.parametrize(
    ("script", "says"),
    [
        (Scripted([]), "request number 1: the script has 0 replies. The request says: 'What now?'"),
        (Scripted({"never": "x"}), "none of the script's 1 patterns ('never') is found in it"),
    ],
)
def test_an_unexpected_request_is_shown(script: Scripted, says: str) -> None:
    with pytest.raises(ScriptError) as caught:
        script.chat(**say("What now?"))
    assert says in str(caught.value)
    assert script.calls == 1


@pytest.mark.parametrize("replies", ["a text", 7, None])
def test_what_is_no_script_is_refused(replies: Any) -> None:
    with pytest.raises(TypeError, match="list of replies, a dict of patterns or a function"):
        Scripted(replies)


def test_what_is_no_answer_is_refused() -> None:
    with pytest.raises(TypeError, match="got int"):
        Scripted(lambda body: 7).chat(**say("x"))


def test_usage_is_counted_and_costs_nothing() -> None:
    model = Scripted(["12345678"])
    model.chat(**say("1234567"))
    usage = model.get_usage()
    assert (usage["prompt_tokens"], usage["completion_tokens"]) == (2, 3)
    assert usage["cost"] == {"amount": 0.0, "currency": "USD"}


def test_it_is_a_model_like_any_other() -> None:
    model = Scripted(["x", "y"])
    assert isinstance(model, ChatCompletionModel)
    assert MODEL_REGISTRY["Scripted"] is Scripted
    assert model.get_provider() == "scripted"
    reply = asyncio.run(complete(model, say("hello")["messages"], role="optimizer", node="n1"))
    assert (reply.text, reply.request.role, reply.request.node) == ("x", "optimizer", "n1")


def test_a_world_without_a_server() -> None:
    model = simulated("echo")
    assert model.chat(**say("hello")) == "hello"
    assert model.get_usage()["total_tokens"] == 7
    assert simulated("tickets").chat(**say("Give the sentiment: I love it.")) == "positive"
