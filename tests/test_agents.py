"""Ready-made agents, on a scripted model and trained on the simulated one."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from afnio import Variable, load, local_engine, save, set_backward_model_client
from afnio.cognitive import functional as F
from afnio.errors import PlaceholderError
from afnio.models import backward_client
from afnio.models.scripted import Scripted
from afnio.models.simulated import simulated
from afnio.optim import TGD
from afnio.utils.agents import SentimentAnalyzer


def reply(body: dict[str, Any]) -> dict[str, str]:
    return {"sentiment": "negative" if "stuck" in body["messages"][1]["content"] else "positive"}


def test_it_asks_for_one_of_three_words_about_each_message() -> None:
    agent, client = SentimentAnalyzer(), Scripted(reply)
    one = agent(client, inputs={"message": "The lift is stuck"}, model="m", temperature=0)
    two = agent(client, inputs={"message": Variable(["Thanks!", "It is stuck"], "mails")}, model="m")
    later = asyncio.run(agent.acall(client, {"message": "Thanks!"}, model="m"))
    assert json.loads(one.data) == {"sentiment": "negative"}
    assert [json.loads(data)["sentiment"] for data in [*two.data, later.data]] == ["positive", "negative", "positive"]
    request = client.requests[0]
    schema = request["response_format"]["json_schema"]
    assert schema["strict"] is True
    assert schema["schema"]["properties"]["sentiment"]["enum"] == ["positive", "neutral", "negative"]
    assert request["messages"][0] == {"role": "system", "content": agent.sentiment_task.data}
    assert request["messages"][1]["content"].count("The lift is stuck") == 1
    assert request["temperature"] == 0
    assert [name for name, _ in agent.named_parameters()] == ["sentiment_task"]


def test_a_response_format_of_ones_own_is_used() -> None:
    client = Scripted(["positive"])
    SentimentAnalyzer()(client, inputs={"message": "x"}, model="m", response_format={"type": "text"})
    assert client.requests[0]["response_format"] == {"type": "text"}


@pytest.mark.parametrize("inputs", [None, {}, {"mail": "x"}])
def test_inputs_without_the_message_are_an_error_that_names_it(inputs: Any) -> None:
    with pytest.raises(PlaceholderError, match="message"):
        SentimentAnalyzer()(Scripted(reply), inputs=inputs, model="m")


def test_it_is_saved_and_loaded_with_the_client_of_the_new_process(tmp_path: Any) -> None:
    agent, client = SentimentAnalyzer(), Scripted(reply)
    agent(client, inputs={"message": "x"}, model="m")
    agent.sentiment_task.data = "Be careful."
    save(agent.state_dict(), tmp_path / "agent.hf")
    other = SentimentAnalyzer()
    name = "sentiment_classifier.forward_model_client"
    assert str(other.load_state_dict(load(tmp_path / "agent.hf"), model_clients={name: client})) == (
        "<All keys matched successfully>"
    )
    assert other.sentiment_task.data == "Be careful."


def test_it_learns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backward_client, "_current", None)
    agent, client = SentimentAnalyzer(), simulated(bad_share=0.0)
    set_backward_model_client(client, completion_args={"model": "simulated"})
    before = agent.sentiment_task.data
    optimizer = TGD(agent.parameters(), model_client=client, model="simulated")
    with local_engine():
        answer = agent(client, inputs={"message": ["The lift is stuck again. Great."]}, model="simulated")
        answer.data = [json.loads(text)["sentiment"] for text in answer.data]
        F.exact_match_evaluator(answer, ["none of the three"]).backward()
        assert len(agent.sentiment_task.grad) == 1
        optimizer.step()
    assert agent.sentiment_task.data != before
