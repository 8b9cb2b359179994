"""Against a real server: calls that wait, fail and come back out of order."""

from __future__ import annotations

import asyncio

import pytest

from afnio.models.lm_server import LMServer
from afnio.models.openai import AsyncOpenAI
from tests.trainer.job import Agent, AsyncAgent, engine, loader, quiet


@pytest.mark.parametrize("agent_type", [Agent, AsyncAgent])
@pytest.mark.parametrize("asynchronous", [False, True], ids=["fit", "afit"])
def test_the_job(agent_type: type[Agent], asynchronous: bool) -> None:
    with LMServer(latency=0.005, jitter=0.005, bad_share=0.0) as server:
        client = AsyncOpenAI(api_key="any", base_url=server.base_url)
        agent, trainer = agent_type(client), quiet()
        with engine(client):
            if asynchronous:
                asyncio.run(trainer.afit(agent, loader()))
            else:
                trainer.fit(agent, loader())
        by_role = {name: counts["calls"] for name, counts in server.stats()["by_role"].items()}
        assert by_role["forward"] == 48
        assert by_role["backward"] == 3  # calls made one by one share a critic as those of a batch do
        assert by_role["optimizer"] == 3
        assert quiet().test(agent, loader()) == {"loss": 1.0}


@pytest.mark.parametrize(
    "fault",
    [
        "429@3x4:retry_after=0.01",
        "500@5x2",
        "reset@7",
        "cut@9",
        "truncated@11",
        "malformed@1:role=optimizer",
        "malformed@1x2:role=backward",
        "destructive@1",
        "no_placeholder@2",
    ],
)
def test_whatever_the_endpoint_does_the_job_is_learned(fault: str) -> None:
    with LMServer(faults=[fault], bad_share=0.0) as server:
        client = AsyncOpenAI(api_key="any", base_url=server.base_url)
        agent, trainer = Agent(client), quiet(max_epochs=2)
        with engine(client):
            trainer.fit(agent, loader())
        assert trainer.failures == []
        assert sum(each["met"] for each in server.faults) >= 1
        assert quiet().test(agent, loader()) == {"loss": 1.0}
