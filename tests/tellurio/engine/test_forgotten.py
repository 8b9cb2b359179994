"""A server that is killed after it told of a job and before it stored it has left nothing: its successor tells anew."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from afnio.models.lm_server import LMServer
from tests.autodiff.lab import Served, by_role, feedback, texts
from tests.tellurio.engine.place import Place, a_loss
from tests.tellurio.running import ServerProcess


@pytest.fixture
def forgetful(
    tmp_path: Path, world: tuple[LMServer, Served], monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[Place, Path]]:
    """A server, and the file that keeps it from storing jobs."""
    monkeypatch.setenv("ALLOW_API_KEY_SHARING", "true")
    running = ServerProcess(tmp_path / "home", module="tests.tellurio.engine.forgetful")
    yield Place(running, *world), running.home / "hold"
    running.stop()


@pytest.mark.parametrize("lm_calls", ["server", "client"])
def test_the_questions_of_a_forgotten_job_are_asked_again(forgetful: tuple[Place, Path], lm_calls: Any) -> None:
    place, hold = forgetful
    once = threading.Lock()

    def rule(ask: Any) -> Any:
        if once.acquire(blocking=False):
            place.server.kill()
            hold.unlink()
            place.server.start()
        return feedback(ask, "better")

    with place.lab(lm_calls=lm_calls) as lab:
        prompts, loss = a_loss(lab, calls=3)
        lab.brain.rule = by_role(backward=rule)
        hold.touch()
        lab.backward(loss)
        assert [texts(prompt) for prompt in prompts] == [["better"]] * 3


def after(place: Place, body: Any, heard: bytes) -> httpx2.Response:
    """What a new job's client is told that says it has heard an event."""
    with place.server.client() as client:
        url = f"/api/v1/runs/{place.run_id}/jobs/{uuid.uuid4().hex}"
        answer = client.post(url, json=body, headers={b"Last-Event-ID": heard})
    assert answer.status_code == 200, answer.text
    return answer


def test_who_has_heard_of_a_job_that_is_not_there_is_told_all_of_it(place: Place, sent: dict[str, Any]) -> None:
    """It is a new holding, with a fence of its own: answers to the old one are none to the new one."""
    answer = after(place, sent["step"], b"4:3")
    kinds = [line for line in answer.text.split("\n") if line.startswith("event: ")]
    assert kinds == ["event: begun", "event: call", "event: call", "event: done"]
    assert 'data: {"fence":5}' in answer.text


@pytest.mark.parametrize("heard", [b"1over:1", b":", b"x:1", b"1", b"9" * 20 + b":1", b"-1:-1", b"\xb2:\xb2"])
def test_an_event_that_nobody_told_is_no_trouble(place: Place, sent: dict[str, Any], heard: bytes) -> None:
    answer = after(place, sent["step"], heard)
    assert answer.text.count("event: done") == 1
