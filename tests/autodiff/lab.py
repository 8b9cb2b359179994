"""A laboratory: an engine, a model that answers by rule, and the ways to call both.

The same tests run over each engine (``ENGINES``) and each way to call it (``DRIVES``): the one of this process, over a
script and over HTTP, and a server's, which calls the model itself, has this process call it, or finds a script here.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import functools
import json
import re
import tempfile
import threading
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import afnio
import afnio.cognitive as cog
from afnio import functional as F
from afnio._dispatch import Engine, use_engine
from afnio._op_result import OpResult
from afnio.autodiff import EngineSettings, LocalEngine, Loss
from afnio.calls import Budget
from afnio.calls.request import Request
from afnio.models import backward_client
from afnio.models.formats.openai_chat import OPENAI_CHAT
from afnio.models.lm_server import LMServer
from afnio.models.lm_server.ask import Answer, Ask, ToolCall
from afnio.models.lm_server.roles import role_of, task_of
from afnio.models.lm_server.simulation import Refusal
from afnio.models.lm_server.spellings import openai_chat
from afnio.models.openai import AsyncOpenAI, OpenAI
from afnio.models.scripted import Scripted
from afnio.variable import Variable
from tellurio.client.engine import RemoteEngine
from tellurio.client.http import Client
from tests.tellurio.running import ServerProcess

Rule = Callable[[Ask, str], Any]
"""(request, who asks) -> text, or an object to be sent as JSON; may raise `Refusal`."""

Calling = Callable[[Ask], Sequence[ToolCall]]
"""Request with tools -> the tools the model calls, or none: then the rule answers."""

_ASKED = re.compile(r"^Give feedback on: (.*)\.$", re.MULTILINE)
_SAMPLE = re.compile(r'<sample id="(.*?)">\n(.*?)\n</sample>', re.DOTALL)
_FEEDBACK = re.compile(r"<feedback.*?>(.*?)</feedback>", re.DOTALL)


@dataclass
class Asked:
    """One request as the model saw it."""

    role: str
    ask: Ask

    @property
    def user(self) -> str:
        """The user message with the task: the last one, but for a repair turn."""
        return task_of(self.ask)

    @property
    def variables(self) -> list[str]:
        """Names of the variables a critic was asked about."""
        return names_of(self.ask)

    @property
    def samples(self) -> list[tuple[str, list[str]]]:
        """(sample id, the feedback on it) of each sample a critic was shown."""
        return samples_of(self.ask)


def names_of(ask: Ask) -> list[str]:
    """Names of the variables asked about: ``v1``, ``v2``, ..."""
    task = task_of(ask)
    found = _ASKED.search(task)
    return re.findall(r"\b(v\d+) \(", found[1]) if found else re.findall(r'<variable id="(v\d+)"', task)


def samples_of(ask: Ask) -> list[tuple[str, list[str]]]:
    """(sample id, the feedback on it) of each sample shown."""
    return [(ids, _FEEDBACK.findall(block)) for ids, block in _SAMPLE.findall(task_of(ask))]


def feedback(ask: Ask, text: str | Callable[[str], str] = "say it better") -> dict[str, Any]:
    """A critic's reply that keeps the contract: ``text`` for each variable asked for."""
    return {
        "feedback": [
            {"variable": name, "text": text if isinstance(text, str) else text(name)} for name in names_of(ask)
        ]
    }


def by_role(
    forward: Any = "answer", backward: Any = None, optimizer: Any = "better", reducer: Any = None, judge: Any = None
) -> Rule:
    """A rule with one answer, or one function of the request, for each role."""

    def rule(ask: Ask, role: str) -> Any:
        given = {
            "forward": forward,
            "backward": backward or feedback,
            "optimizer": optimizer,
            "reducer": reducer or (lambda ask: feedback(ask, "in short")),
            "judge": judge,
        }[role]
        answer = given(ask) if callable(given) else given
        is_value = role == "optimizer" and isinstance(answer, str) and not answer.startswith(("{", "!"))
        return {"reasoning": "because", "value": answer} if is_value else answer

    return rule


@dataclass
class Brain:
    """Answers by rule and remembers what it was asked.  A world for the server, a script in process."""

    rule: Rule = field(default_factory=by_role)
    calling: Calling = lambda ask: ()
    asked: list[Asked] = field(default_factory=list)
    name: str = "brain"
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def reply(self, ask: Ask, role: str) -> str:
        """The answer."""
        with self._lock:
            self.asked.append(Asked(role, ask))
            answer = self.rule(ask, role)
        return answer if isinstance(answer, str) else json.dumps(answer, ensure_ascii=False)

    def calls(self, ask: Ask, role: str) -> list[ToolCall]:
        """The tools it calls."""
        calls = list(self.calling(ask)) if ask.tools else []
        if calls:
            with self._lock:
                self.asked.append(Asked(role, ask))
        return calls

    def destroy(self, ask: Ask) -> str:
        """Not used here."""
        raise NotImplementedError

    def of(self, *roles: str) -> list[Asked]:
        """What was asked in ``roles``."""
        return [asked for asked in self.asked if asked.role in roles]

    def scripted(self) -> Scripted:
        """Itself as a model in process."""
        return Scripted(self._script, model="brain")

    def _script(self, body: dict[str, Any]) -> Any:
        ask = openai_chat.parse(body)
        try:
            role = role_of(ask)
            calls = self.calls(ask, role)
            answer = Answer("" if calls else self.reply(ask, role), calls, input_tokens=10, output_tokens=5)
            return openai_chat.render(ask, answer, "brain")
        except Refusal as refusal:
            request = Request("scripted", "scripted://", "", "brain", body, OPENAI_CHAT)
            said = openai_chat.error(refusal.status, refusal.kind, refusal.message, refusal.code)
            return OPENAI_CHAT.error(refusal.status, {}, said, request)


class Served:
    """The world of a server that several tests use one after the other."""

    name = "served"

    def __init__(self) -> None:
        self.brain = Brain()

    def reply(self, ask: Ask, role: str) -> str:
        """What the present test's brain says."""
        return self.brain.reply(ask, role)

    def calls(self, ask: Ask, role: str) -> list[ToolCall]:
        """What the present test's brain calls."""
        return self.brain.calls(ask, role)

    def destroy(self, ask: Ask) -> str:
        """Not used here."""
        return self.brain.destroy(ask)


@dataclass
class Lab:
    """An engine with a model, and the ways to call them."""

    brain: Brain
    client: Any
    engine: Any
    drive: str

    def backward(self, target: Variable | Loss | Sequence[Variable], *args: Any, **kwargs: Any) -> None:
        """``target.backward(...)`` or ``await target.abackward(...)``."""
        if isinstance(target, (Variable, Loss)):
            if self.drive == "sync":
                target.backward(*args, **kwargs)
            else:
                asyncio.run(target.abackward(*args, **kwargs))
        elif self.drive == "sync":
            afnio.autodiff.backward(target, *args, **kwargs)
        else:
            asyncio.run(afnio.autodiff.abackward(target, *args, **kwargs))

    def step(self, optimizer: Any, closure: Any = None) -> Any:
        """``optimizer.step()`` or ``await optimizer.astep()``."""
        return optimizer.step(closure) if self.drive == "sync" else asyncio.run(optimizer.astep(closure))

    def chat(self, messages: Any, inputs: Any = None, **args: Any) -> Variable:
        """One `ChatCompletion`."""
        args = {"model": "brain", **args}
        if self.drive == "sync":
            return F.chat_completion(self.client, messages, inputs, **args)
        return asyncio.run(F.achat_completion(self.client, messages, inputs, **args))

    def turn(self, messages: Any, inputs: Any = None, **args: Any) -> OpResult[Any]:
        """One `ChatTurn`."""
        args = {"model": "brain", **args}
        if self.drive == "sync":
            return F.chat_turn(self.client, messages, inputs, **args)
        return asyncio.run(F.achat_turn(self.client, messages, inputs, **args))

    def loop(self, loop: cog.ToolLoop, messages: Any, inputs: Any = None, **args: Any) -> OpResult[Any]:
        """One conversation with tools."""
        args = {"model": "brain", **args}
        result: OpResult[Any]
        if self.drive == "sync":
            result = loop(self.client, messages, inputs, **args)
        else:
            result = asyncio.run(loop.acall(self.client, messages, inputs, **args))
        return result

    def run_tools(self, turn: Any, tools: Any, **how: Any) -> list[Any]:
        """The tools that a turn called."""
        if self.drive == "sync":
            return [*F.run_tools(turn, tools, **how)]
        return [*asyncio.run(F.arun_tools(turn, tools, **how))]

    def judge(self, messages: Any, prediction: Variable, target: Any = None, **args: Any) -> Loss:
        """One `LMJudgeEvaluator`."""
        if self.drive == "sync":
            return F.lm_judge_evaluator(self.client, messages, prediction, target, model="brain", **args)
        return asyncio.run(F.alm_judge_evaluator(self.client, messages, prediction, target, model="brain", **args))

    @contextlib.contextmanager
    def settings(self, **settings: Any) -> Iterator[None]:
        """Other engine settings inside the ``with`` block."""
        before, self.engine.settings = self.engine.settings, EngineSettings(**settings)
        try:
            yield
        finally:
            self.engine.settings = before

    def calls(self) -> dict[str, int]:
        """Calls so far, by role."""
        roles = [asked.role for asked in self.brain.asked]
        return {role: roles.count(role) for role in dict.fromkeys(roles)}


Start = Callable[[Brain, LMServer, Served, str], Any]


def _inline(brain: Brain, server: LMServer, served: Served, drive: str) -> Any:
    return brain.scripted()


def _http(brain: Brain, server: LMServer, served: Served, drive: str) -> Any:
    served.brain = brain
    return (OpenAI if drive == "sync" else AsyncOpenAI)(api_key="any", base_url=server.base_url, max_retries=0)


def local(**settings: Any) -> contextlib.AbstractContextManager[LocalEngine]:
    """The engine of this process."""
    return afnio.local_engine(**settings)


@contextlib.contextmanager
def remote(lm_calls: str = "server", **settings: Any) -> Iterator[RemoteEngine]:
    """The engine of a running server, which makes the LM calls or has them made here."""
    client, run_id = _a_run()
    engine = RemoteEngine(run_id, client, lm_calls=lm_calls, **settings)  # type: ignore[arg-type]
    with engine.session(), use_engine(engine):
        yield engine


@functools.cache
def _a_run() -> tuple[Client, str]:
    """A server for all tests of this process, and a Run there."""
    folder = tempfile.TemporaryDirectory(prefix="tellurio-lab-")
    server = ServerProcess(Path(folder.name))
    atexit.register(folder.cleanup)
    atexit.register(server.stop)
    client, run_id = Client(server.url, server.key), str(uuid.uuid4())
    client.post("/api/v1/namespaces", json={"slug": "lab"})
    client.post("/api/v1/namespaces/lab/projects", json={"display_name": "Lab", "visibility": "RESTRICTED"})
    client.post("/api/v1/namespaces/lab/projects/lab/runs", json={"id": run_id})
    client.is_local = True  # its keys go there without a question; it is not this user's own, and is not started anew
    return client, run_id


ENGINES: dict[str, tuple[Start, Callable[..., contextlib.AbstractContextManager[Engine]]]] = {
    "inline": (_inline, local),
    "http": (_http, local),
    "server": (_http, remote),
    "client": (_http, functools.partial(remote, "client")),
    "script": (_inline, remote),
}
"""Name -> (makes the model's client, enters the engine)."""

DRIVES = ("sync", "async")


@contextlib.contextmanager
def open_lab(
    engine: str = "inline", drive: str = "sync", server: Any = None, served: Any = None, budget: Budget | None = None
) -> Iterator[Lab]:
    """A lab with ``engine``, called by ``drive``; its model is the backward model too."""
    start, enter = ENGINES[engine]
    brain = Brain()
    client = start(brain, server, served, drive)
    with backward_model(client), enter(budget=budget) as running:
        yield Lab(brain, client, running, drive)


@contextlib.contextmanager
def backward_model(client: Any) -> Iterator[None]:
    """``client`` as the backward model inside the ``with`` block."""
    before = backward_client._current
    afnio.set_backward_model_client(client, completion_args={"model": "brain"})
    try:
        yield
    finally:
        backward_client._current = before


def system(*contents: Any) -> dict[str, Any]:
    """A system message."""
    return {"role": "system", "content": list(contents)}


def user(*contents: Any) -> dict[str, Any]:
    """A user message."""
    return {"role": "user", "content": list(contents)}


def texts(variable: Variable) -> list[str]:
    """The gradients of ``variable``, as texts."""
    return [gradient.data for gradient in variable.grad]


def samples(variable: Variable) -> list[tuple[str, ...]]:
    """The sample ids of each gradient of ``variable``."""
    return [gradient.samples for gradient in variable.grad]  # type: ignore[attr-defined]
