from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from afnio import functional as F
from afnio.models.lm_server import LMServer
from afnio.optim import TGD
from tellurio.client.job import RemoteJob
from tests.autodiff.lab import Served
from tests.tellurio.engine.place import Place, Shout, a_loss
from tests.tellurio.running import ServerProcess


@pytest.fixture(scope="session")
def world() -> Iterator[tuple[LMServer, Served]]:
    """One model for all tests; each brings its own brain."""
    served = Served()
    with LMServer(world=served, latency=0.01) as lm:
        yield lm, served


@pytest.fixture
def place(server: ServerProcess, world: tuple[LMServer, Served], monkeypatch: pytest.MonkeyPatch) -> Place:
    """The shared server, with a new Run."""
    monkeypatch.setenv("ALLOW_API_KEY_SHARING", "true")
    return Place(server, *world)


@pytest.fixture
def own(
    tmp_path_factory: pytest.TempPathFactory, world: tuple[LMServer, Served], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Place]:
    """A server of the test's own, to which it may do harm."""
    monkeypatch.setenv("ALLOW_API_KEY_SHARING", "true")
    running = ServerProcess(tmp_path_factory.mktemp("own") / "home")
    yield Place(running, *world)
    running.stop()


@pytest.fixture
def sent(place: Place, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """A backward job, which asks its client something, and a step job, as they are sent."""
    bodies: dict[str, Any] = {}
    listen = RemoteJob._listen

    async def spy(self: RemoteJob) -> None:
        body = {**self._body, **self._side.budget()}
        bodies[body["kind"]] = json.loads(json.dumps(body))
        await listen(self)

    with monkeypatch.context() as patched, place.lab() as lab:
        patched.setattr(RemoteJob, "_listen", spy)
        prompts, loss = a_loss(lab, 2)
        shouted = Shout.apply(lab.chat([{"role": "user", "content": [prompts[0]]}]))
        lab.backward(F.sum([loss, F.exact_match_evaluator(shouted, "NO").score]))
        lab.step(TGD(prompts, lab.client, model="brain", constraints=["Be kind."]))
    return bodies
