"""Tool agents against an endpoint whose model calls wrongly, and whose answers break off."""

from __future__ import annotations

from typing import Any

import pydantic
import pytest

import afnio
import afnio.cognitive as cog
from afnio.errors import ReplyContractError, ToolError
from afnio.models.lm_server import LMServer
from afnio.models.lm_server.worlds import shop
from tests.agents.conftest import Clients
from tests.agents.shop_agent import Asked, ShopAgent, ask, right, train, turns

ASKED, HELD_OUT = Asked(24, seed=11), Asked(16, seed=12)
ONE = Asked(1, seed=12)


class Total(pydantic.BaseModel):
    """What it costs."""

    total: float


def taught(agent: ShopAgent) -> ShopAgent:
    """``agent``, with texts that state every law."""
    texts = {"system": agent.prompt, **{name: tool.description for name, tool in agent.loop.tools.items()}}
    for about, parameter in texts.items():
        parameter.data = "\n- ".join([str(parameter.data), *(law.text for law in shop.LAWS if law.about == about)])
    return agent


@pytest.mark.parametrize("fault", ["bad_arguments", "unknown_tool"])
def test_the_model_is_told_and_calls_anew(server: LMServer, clients: Clients, fault: str) -> None:
    agent = taught(ShopAgent(clients.forward, model="m"))
    undisturbed = turns(ask(agent, HELD_OUT))
    server.faults = [f"{fault}@3x4"]
    result = ask(agent, HELD_OUT)
    assert [str(said) for said in result.output.data] == [question.answer for question in HELD_OUT.questions]
    assert sum(turns(result)) == sum(undisturbed) + 4
    assert server.faults[0]["met"] == 4
    told = [
        block
        for message in result.messages
        if message["role"] == "tool"
        for part in message["content"]
        for blocks in part._content
        for block in blocks or ()
        if block.get("is_error")
    ]
    assert len(told) == 4
    wanted = {"bad_arguments": "arguments", "unknown_tool": "There is no tool 'search_by_telephone'"}[fault]
    assert all(wanted in block["content"] for block in told)


@pytest.mark.parametrize("fault", ["bad_arguments", "unknown_tool"])
def test_or_an_error_names_the_tool(server: LMServer, clients: Clients, fault: str) -> None:
    agent = taught(ShopAgent(clients.forward, model="m"))
    loop = cog.ToolLoop(list(agent.loop.tools.values()), on_error="raise")
    server.faults = [fault]
    with pytest.raises(ToolError, match="search"), afnio.no_grad():
        loop(clients.forward, agent.messages([None]), {"question": ONE.questions[0].text}, model="m")


@pytest.mark.parametrize("fault", ["bad_arguments:p=0.1", "unknown_tool:p=0.1", "broken_output:p=0.2"])
def test_training_goes_on_all_the_same(server: LMServer, client: Any, fault: str) -> None:
    agent = ShopAgent(client, model="m")
    with afnio.local_engine():
        server.faults = [fault]
        train(agent, ASKED, lambda agent, batch: agent.training_step(batch, 0))
        met = server.faults[0]["met"]
        server.faults = []
        assert right(agent, HELD_OUT) >= 0.95
    assert (met > 0) is not fault.startswith("broken_output"), "there are no outputs by a schema"


@pytest.mark.parametrize("at", [1, 8])
def test_an_output_that_breaks_off_is_asked_for_once_more(server: LMServer, clients: Clients, at: int) -> None:
    """One at a time: two in a row might be those of one sample, if it asks again before another one is heard."""
    agent = taught(ShopAgent(clients.forward, response_format=Total, model="m"))
    server.faults = [f"broken_output@{at}"]
    result = ask(agent, HELD_OUT)
    assert [one and one.total for one in result.parsed] == [float(question.answer) for question in HELD_OUT.questions]
    assert server.faults[0]["met"] == 1
    assert not any(result.parse_error)


def test_or_twice_and_then_it_is_an_error_of_that_sample(server: LMServer, client: Any) -> None:
    agent = taught(ShopAgent(client, response_format=Total, model="m"))
    server.faults = ["broken_output@1x2"]
    with pytest.raises(ReplyContractError, match="JSON"), afnio.no_grad():
        agent.loop(client, agent.messages([None]), {"question": ONE.questions[0].text}, model="m")
    server.faults = ["broken_output@1x32"]
    result = ask(agent, HELD_OUT)
    assert all(isinstance(error, ReplyContractError) for error in result.parse_error)
    assert result.parsed == [None] * len(HELD_OUT)


def test_a_loop_that_does_not_end_says_so(server: LMServer, client: Any) -> None:
    agent = taught(ShopAgent(client, model="m"))
    loop = cog.ToolLoop(list(agent.loop.tools.values()), max_turns=2)
    with afnio.no_grad():
        result = loop(client, agent.messages([None]), {"question": ONE.questions[0].text}, model="m")
    assert [reason.value for reason in result.stop_reason] == ["tool_use"]
