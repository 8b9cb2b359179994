"""Promises that no other test would miss: each was broken once on purpose, and nothing else noticed."""

from __future__ import annotations

import asyncio
import json
import math
import os
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import openai
import pytest

import afnio.cognitive.functional as F
from afnio.autodiff.function import Function
from afnio.autodiff.grad_mode import is_grad_enabled
from afnio.autodiff.together import together
from afnio.calls import CallLog, Limits, RawResponse, Session, Timeout, fsync, run_sync, send
from afnio.calls.limiter import Limiter
from afnio.errors import APIConnectTimeoutError, APITimeoutError, APIUnreachableError, AuthenticationError
from afnio.models.base import ChatCompletionModel
from afnio.models.lm_server import Fault
from afnio.models.openai import OpenAI
from afnio.models.scripted import Scripted
from afnio.trainer import Callback, Fit
from afnio.variable import Variable
from afnio.words.judge import JUDGE
from tests.autodiff.lab import open_lab, system, user
from tests.calls.endpoint import completion
from tests.calls.fakes import Inline, ask, send_inline
from tests.trainer.job import Agent, engine, loader, model, quiet


class Waits(Inline):
    """A transport that is asked on the LM loop, like one over the network."""

    inline = False


def test_an_answer_is_given_only_when_its_record_is_on_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reached, may_go = threading.Event(), threading.Event()

    def slow(fd: int) -> None:
        reached.set()
        assert may_go.wait(60)

    monkeypatch.setattr(fsync, "_sync", slow)
    answers: list[str] = []
    with CallLog(tmp_path / "calls.jsonl") as log:
        session = Session(log=log)

        def call() -> None:
            with session.activate():
                answers.append(run_sync(send(ask(), Waits())).text)

        caller = threading.Thread(target=call)
        caller.start()
        assert reached.wait(60)
        caller.join(0.05)
        assert answers == []  # written, not yet synced
        may_go.set()
        caller.join(60)
    assert answers == ["answer 1"]


def test_the_name_of_a_new_log_is_on_disk_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[int] = []
    real = os.fsync

    def spy(fd: int) -> None:
        synced.append(os.fstat(fd).st_ino)
        real(fd)

    monkeypatch.setattr(os, "fsync", spy)
    CallLog(tmp_path / "calls.jsonl").close()
    assert tmp_path.stat().st_ino in synced


def test_after_a_failed_write_the_same_log_goes_on_without_a_broken_line(tmp_path: Path) -> None:
    """A child whose files may grow to 2,000 bytes, and then to more again."""
    path = tmp_path / "calls.jsonl"
    script = f"""
import resource, signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
most = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
resource.setrlimit(resource.RLIMIT_FSIZE, (2000, most))
from afnio.calls import CallLog
from afnio.errors import CallLogError
from tests.calls.test_log import record
log = CallLog({str(path)!r})
try:
    record(log, *map(str, range(50)))
except CallLogError:
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
    record(log, "room again")
    print(len(log))
"""
    lines = int(subprocess.check_output([sys.executable, "-B", "-c", script], text=True))
    assert lines > 1
    assert [json.loads(line)["v"] for line in path.read_text().splitlines()] == [1] * lines


def test_the_key_of_a_request_is_that_of_its_content() -> None:
    body = {"messages": [{"role": "user", "content": "hi"}], "model": "m", "temperature": 0}
    one, other = ask(), ask()
    one.body, other.body = body, dict(reversed(body.items()))
    other.endpoint = "https://elsewhere/v1"
    assert one.key == other.key
    other = ask()
    other.body = body | {"temperature": 1}
    assert one.key != other.key


def test_the_same_feedback_on_two_parts_is_shown_once_to_the_function_behind() -> None:
    shown: list[str] = []

    class Quote(Function):
        @staticmethod
        def forward(ctx: Any, x: Variable) -> Variable:
            return Variable(f"{x.data} {x.data}", x.role)

        @staticmethod
        def backward(ctx: Any, grad_output: Variable) -> Variable:
            shown.append(grad_output.data)
            return grad_output

    leaf = Variable("a", role="leaf", requires_grad=True)
    with open_lab():
        F.sum(F.split(Quote.apply(leaf))).backward(Variable("too short"))
    assert shown == ["too short"]


def test_a_variable_of_one_sample_is_asked_about_with_that_sample_only() -> None:
    tickets = [Variable(f"ticket {number}", role=f"ticket {number}", requires_grad=True) for number in range(4)]
    with open_lab() as lab, lab.settings(samples_per_critic=1):
        template = Variable("{ticket}", role="template")
        answer = lab.chat([system(Variable("Sort.", role="prompt")), user(template)], {"ticket": tickets})
        F.exact_match_evaluator(answer, ["x"] * 4).backward()
        critics = lab.brain.of("backward")
        assert [asked.variables for asked in critics] == [["v1"], ["v2"], ["v3"], ["v4"]]
    assert [len(ticket.grad) for ticket in tickets] == [1] * 4


def test_an_error_all_samples_would_meet_ends_the_calls_under_way() -> None:
    ended: list[str] = []

    class Refuses(ChatCompletionModel):
        async def achat(self, *, messages: list[dict[str, Any]], **completion_args: Any) -> str:
            if messages[0]["content"] == "3":
                raise AuthenticationError("wrong key", status_code=401)
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                ended.append(messages[0]["content"])
                raise
            return "late"

    with pytest.raises(AuthenticationError, match="wrong key"):
        F.chat_completion(Refuses(), [user(Variable(["0", "1", "2", "3"], role="number"))], model="m")
    assert sorted(ended) == ["0", "1", "2"]


def test_a_place_given_to_a_call_that_is_cancelled_at_that_moment_is_free_again() -> None:
    async def scene() -> int:
        limiter = Limiter(Limits(concurrency=1))
        await limiter.acquire()
        waiting = asyncio.ensure_future(limiter.acquire())
        await asyncio.sleep(0)
        limiter.leave()  # gives the place to the one who waits ...
        waiting.cancel()  # ... who is gone before it learns of it
        await asyncio.gather(waiting, return_exceptions=True)
        return limiter.active

    assert asyncio.run(scene()) == 0


def test_the_first_error_of_many_ends_the_others_before_it_is_told() -> None:
    ended: list[str] = []

    async def fails() -> None:
        await asyncio.sleep(0)
        raise ValueError("no")

    async def waits() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            ended.append("ended")

    async def scene() -> None:
        with pytest.raises(ValueError, match="no"):
            await together([waits(), fails(), waits()])
        assert ended == ["ended", "ended"]

    asyncio.run(scene())


def test_measuring_builds_no_graph() -> None:
    seen: list[bool] = []

    class Watched(Agent):
        def validation_step(self, batch: Any, batch_idx: int) -> Any:
            seen.append(is_grad_enabled())
            return super().validation_step(batch, batch_idx)

    client = model()
    quiet().validate(Watched(client), loader())
    assert seen == [False] * 3
    assert is_grad_enabled()


def test_a_score_that_is_no_number_is_never_the_best() -> None:
    class Undefined(Agent):
        def validation_step(self, batch: Any, batch_idx: int) -> Any:
            found = super().validation_step(batch, batch_idx)
            return {"loss": found, "f1": math.nan if fit_epoch() == 2 else 0.5}

    def fit_epoch() -> int:
        return trainer.state.progress.epoch_number if trainer.state else 0

    client = model()
    trainer = quiet(max_epochs=2, monitor="f1")
    with engine(client):
        trainer.fit(Undefined(client), loader(), loader())
    assert trainer.best is not None
    assert (trainer.best.score, trainer.best.epoch) == (0.5, 1)


def test_the_gate_runs_the_step_in_eval_mode_without_a_graph() -> None:
    seen: list[tuple[bool, bool]] = []

    class Watched(Agent):
        def training_step(self, batch: Any, batch_idx: int) -> Any:
            seen.append((self.training, is_grad_enabled()))
            return super().training_step(batch, batch_idx)

    client = model()
    agent = Watched(client)
    agent.eval()
    with engine(client):
        quiet().fit(agent, loader())
    assert seen == [(True, True), (False, False)] * 3


def test_fit_leaves_the_agent_in_the_mode_it_was_in() -> None:
    client = model()
    agent = Agent(client)
    agent.eval()
    with engine(client):
        quiet(max_steps=1).fit(agent, loader())
        assert not agent.training
        with pytest.raises(ValueError, match="no batches"):
            quiet().fit(agent, iter([]))
    assert not agent.training


def test_of_two_epochs_that_score_the_same_the_later_is_best() -> None:
    class Renames(Callback):
        def on_stage_end(self, fit: Fit, stage: Any, metrics: Any) -> None:
            if stage.name == "validation":
                agent.prompt.data = f"{agent.prompt.data}\nEpoch {fit.progress.epoch_number}."

    client = model()
    agent, trainer = Agent(client), quiet(max_epochs=3, callbacks=[Renames()])
    with engine(client):
        trainer.fit(agent, loader(), loader())
    assert trainer.best is not None
    assert (trainer.best.score, trainer.best.epoch) == (1.0, 3)


def test_a_chat_model_says_that_it_neither_completes_nor_embeds() -> None:
    client = OpenAI(api_key="k")
    with pytest.raises(NotImplementedError, match="no complete"):
        client.complete("x")
    with pytest.raises(NotImplementedError, match="no embed"):
        client.embed(["x"])


def test_the_help_of_the_server_shows_how_a_fault_is_spelled() -> None:
    """Its examples, whole, in a narrow terminal too; square brackets would be taken for markup."""
    command = [sys.executable, "-c", "from tellurio.cli import main; main()", "lm-server", "--help"]
    shown = subprocess.run(command, capture_output=True, text=True, check=True, env={"COLUMNS": "80"}).stdout
    for spelled in ("429@3:", "429@1x4:retry_after=0.2:", "500:p=0.05:"):
        assert spelled in shown
        Fault.parse(spelled.removesuffix(":"))


@pytest.mark.parametrize(
    ("told", "tokens"),
    [
        ({"prompt_tokens": 1.0, "completion_tokens": "2"}, 1),
        ({"prompt_tokens": -1, "completion_tokens": 2}, 2),
        ({"prompt_tokens": 3, "prompt_tokens_details": "many", "completion_tokens_details": [1]}, 3),
        ({"prompt_tokens": 3, "completion_tokens_details": {"reasoning_tokens": "4"}}, 3),
        ({"prompt_tokens": "12"}, None),
        ([], None),
    ],
)
def test_rubbish_in_the_usage_loses_no_answer_that_was_paid_for(tmp_path: Path, told: Any, tokens: int | None) -> None:
    class Odd(Inline):
        async def send(self, request: Any, timeout: Any) -> RawResponse:
            return RawResponse(200, completion("an answer") | {"usage": told})

    with CallLog(tmp_path / "calls.jsonl") as log, Session(log=log).activate() as session:
        assert send_inline(ask(), Odd()).text == "an answer"
        assert len(log) == 1
    total = session.ledger.total()
    assert (total.tokens, total.estimated) == ((tokens, 0) if tokens is not None else (total.tokens, 1))
    assert isinstance(total.tokens, int)


def test_no_connection_in_time_is_told_apart_from_no_answer_in_time() -> None:
    """A listening socket whose queue is full, and time for an answer but not for a connection."""
    with socket.socket() as hole, socket.socket() as first, socket.socket() as second:
        hole.bind(("127.0.0.1", 0))
        hole.listen(0)
        for filler in (first, second):
            filler.setblocking(False)
            filler.connect_ex(hole.getsockname())
        url = f"http://127.0.0.1:{hole.getsockname()[1]}"
        client = OpenAI(api_key="k", base_url=url, timeout=Timeout(total=60, connect=0.1), max_retries=0)
        with pytest.raises(APIConnectTimeoutError, match=f"Cannot reach {url}: no connection within 0.1 s"):
            client.chat(model="m", messages=[{"role": "user", "content": "hi"}])
    assert issubclass(APIConnectTimeoutError, APITimeoutError)
    assert issubclass(APIConnectTimeoutError, APIUnreachableError)


def test_an_endpoint_that_is_not_there_is_the_same_error_behind_a_users_sdk_client() -> None:
    client = OpenAI(client=openai.OpenAI(api_key="k", base_url="http://127.0.0.1:9/v1", max_retries=0))
    with pytest.raises(APIUnreachableError, match="Cannot reach http://127.0.0.1:9/v1"):
        client.chat(model="m", messages=[{"role": "user", "content": "hi"}])


def test_a_judge_gets_our_words_where_the_schema_is_told_in_words_and_their_version_is_stored(tmp_path: Path) -> None:
    path = tmp_path / "calls.jsonl"
    client = Scripted(lambda body: '{"explanation": "short", "score": 1}')
    question = [user(Variable("Rate {prediction}"))]
    with CallLog(path) as log, Session(log=log).activate():
        F.lm_judge_evaluator(client, question, Variable("an answer"), model="m")
        F.lm_judge_evaluator(client, question, Variable("an answer"), model="m", response_format={"type": "text"})
    with_schema, in_words = map(json.loads, path.read_text().splitlines())
    assert with_schema["words"] == in_words["words"] == JUDGE.label
    assert with_schema["request"]["messages"] == [{"role": "user", "content": "Rate an answer"}]
    assert in_words["request"]["messages"][0]["content"].startswith(JUDGE.system)
