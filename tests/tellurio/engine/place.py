"""A server process, a model behind HTTP, and Runs whose jobs go from one to the other."""

from __future__ import annotations

import contextlib
import json
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx2

from afnio import functional as F
from afnio._dispatch import use_engine
from afnio.calls import Session
from afnio.models.lm_server import LMServer
from afnio.models.openai import OpenAI
from afnio.parameter import Parameter
from tellurio.client.engine import RemoteEngine
from tellurio.client.http import Client
from tests.autodiff.lab import Brain, Lab, Served, backward_model, system
from tests.tellurio.running import PATIENCE, ServerProcess

__all__ = ["Place", "a_loss", "eventually"]

KEY = "any"


@dataclass
class Place:
    """A server with a project, and a model that answers as the test's brain does."""

    server: ServerProcess
    lm: LMServer
    served: Served
    url: str = ""
    run_id: str = field(default_factory=lambda: str(uuid.uuid4()))

    def __post_init__(self) -> None:
        self.url = self.url or self.server.url
        with self.server.client() as client:
            client.post("/api/v1/namespaces", json={"slug": "jobs"})
            client.post("/api/v1/namespaces/jobs/projects", json={"display_name": "Jobs", "visibility": "RESTRICTED"})
        self.new_run()

    def new_run(self) -> str:
        """A further Run, to which jobs go from now on."""
        self.run_id = str(uuid.uuid4())
        with self.server.client() as client:
            made = client.post("/api/v1/namespaces/jobs/projects/jobs/runs", json={"id": self.run_id})
        assert made.status_code in (200, 201), made.text
        return self.run_id

    def client(self) -> Client:
        """What an engine speaks to the server with."""
        return Client(self.url, self.server.key)

    def model(self, **options: Any) -> OpenAI:
        """A model of ours over HTTP."""
        return OpenAI(**{"api_key": KEY, "base_url": self.lm.base_url, "max_retries": 0, **options})

    def engine(self, **options: Any) -> RemoteEngine:
        """The engine of the server, for the present Run."""
        return RemoteEngine(self.run_id, self.client(), **options)

    @contextlib.contextmanager
    def lab(
        self, model: Any = None, *, drive: str = "sync", session: Session | None = None, **options: Any
    ) -> Iterator[Lab]:
        """A lab over this server; ``session`` takes the place of the engine's own."""
        brain = self.served.brain = Brain()
        model = self.model() if model is None else model
        engine = self.engine(**options)
        own = engine.session() if session is None else session.activate()
        with backward_model(model), own, use_engine(engine):
            yield Lab(brain, model, engine, drive)

    def get(self, path: str) -> Any:
        """What the server says of the present Run."""
        with self.server.client() as client:
            answer = client.get(f"/api/v1/runs/{self.run_id}{path}")
        assert answer.status_code == 200, answer.text
        return answer.json()

    def cost(self) -> dict[str, Any]:
        """What the stored calls of the present Run add up to."""
        total: dict[str, Any] = self.get("/cost")["total"]
        return total

    def send(self, body: Any, job_id: str = "", **options: Any) -> tuple[int, list[tuple[str, Any]]]:
        """POST a job as it is; the status, and the events up to the end of the stream."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        url = f"/api/v1/runs/{options.pop('run_id', self.run_id)}/jobs/{job_id or uuid.uuid4().hex}"
        with self.server.client(**options) as client:
            answer = client.post(url, content=content, headers=options.get("headers"))
        return answer.status_code, told(answer)

    def asked(self) -> int:
        """How many requests the model has seen."""
        calls: int = self.lm.stats(rows=False)["calls"]
        return calls


def told(answer: httpx2.Response) -> list[tuple[str, Any]]:
    """The events in an answer; of a refusal, its message as the only one."""
    if answer.status_code >= 400:
        return [("refused", answer.json()["error"]["message"])]
    events = []
    for block in answer.content.split(b"\n\n"):
        lines = dict(line.split(b": ", 1) for line in block.split(b"\n") if not line.startswith(b":") and b": " in line)
        if lines:
            events.append((lines[b"event"].decode(), json.loads(lines[b"data"])))
    return events


def a_loss(lab: Lab, calls: int = 1, samples: int = 2) -> tuple[list[Parameter], Any]:
    """Prompts, and the score of what a model makes of them: one critic call each, and one call of a step."""
    prompts = [Parameter(f"Prompt {number}", f"prompt {number}") for number in range(calls)]
    scores = []
    for prompt in prompts:
        answers = lab.chat([system(prompt)], inputs=None)
        scores.append(F.exact_match_evaluator(answers, "no").score)
    return prompts, scores[0] if len(scores) == 1 else F.sum(scores)


def eventually(what: Callable[[], Any]) -> Any:
    """What ``what`` returns, once that is true."""
    end = time.monotonic() + PATIENCE
    while not (found := what()):
        assert time.monotonic() < end, "it never came to be"
        time.sleep(0.02)
    return found
