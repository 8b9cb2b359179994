"""Everything a user gets wrong, once each, end to end: a clear error in time, and nothing lost.

The parts have tests of their own; here the whole runs, as a script of a user's would run it.
"""

from __future__ import annotations

import copy
import json
import os
import re
import signal
import subprocess
import sys
import textwrap
import zipfile
from collections.abc import Iterator
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest

import afnio
import afnio.cognitive as cog
import afnio.cognitive.functional as F
from afnio.errors import (
    APIConnectionError,
    AuthenticationError,
    BudgetExceeded,
    CallLogError,
    CheckpointError,
    ContextLengthError,
    DatasetError,
    GraphError,
    MissingKeyError,
    NoEngineError,
    NotFoundError,
    PlaceholderError,
    ReplyContractError,
    StepError,
)
from afnio.models.anthropic import Anthropic
from afnio.models.lm_server import LMServer
from afnio.models.openai import AsyncOpenAI, OpenAI
from afnio.optim import TGD
from afnio.trainer import Trainer
from afnio.utils.data import DataLoader
from afnio.utils.datasets import FacilitySupport, SupportTickets
from tests.trainer.striking import Striking

START = "Classify the support ticket: give its sentiment, urgency and queue as JSON."


class Agent(cog.Module):
    def __init__(self, client: Any, model: str = "tickets") -> None:
        super().__init__()
        self.prompt = cog.Parameter(START, role="system prompt of the classifier")
        self.template = afnio.Variable("{ticket}", role="the ticket")
        self.client, self.model = client, model

    def forward(self, ticket: Any) -> afnio.Variable:
        messages = [{"role": "system", "content": [self.prompt]}, {"role": "user", "content": [self.template]}]
        return F.chat_completion(self.client, messages, inputs={"ticket": ticket}, model=self.model)

    def training_step(self, batch: Any, batch_idx: int) -> Any:
        tickets, answers = batch
        return F.exact_match_evaluator(self(tickets), answers, fmean, "mean")

    validation_step = test_step = training_step

    def configure_optimizers(self) -> TGD:
        return TGD(self.parameters(), model_client=self.client, model=self.model)


@pytest.fixture(scope="module")
def server() -> Iterator[LMServer]:
    with LMServer(world="tickets", bad_share=0) as running:
        yield running


@pytest.fixture
def client(server: LMServer) -> Iterator[AsyncOpenAI]:
    server.faults = []
    server.reset()
    client = AsyncOpenAI(base_url=server.base_url, api_key="a-key", max_retries=0)
    afnio.set_backward_model_client(client, completion_args={"model": "tickets"})
    yield client
    server.faults = []


def loader(count: int = 16, batch_size: int = 8) -> DataLoader:
    data = SupportTickets("train", target="json")
    return DataLoader([data[index] for index in range(count)], batch_size=batch_size)


def trainer(tmp_path: Path, **settings: Any) -> Trainer:
    quiet = {"enable_progress_bar": False, "enable_agent_summary": False, "max_epochs": 1}
    return Trainer(**(quiet | {"default_root_dir": tmp_path} | settings))


# ---------------------------------------------------------------------------------------------- the model


def test_no_key() -> None:
    with pytest.raises(MissingKeyError, match="OPENAI_API_KEY"):
        OpenAI()


@pytest.mark.parametrize(
    ("settings", "model", "error", "words"),
    [
        ({"api_key": "invalid"}, "tickets", AuthenticationError, "key"),
        ({"base_url": "http://127.0.0.1:9/v1"}, "tickets", APIConnectionError, r"127\.0\.0\.1:9"),
        ({}, "unknown-model", NotFoundError, "unknown-model"),
    ],
)
def test_a_model_that_cannot_answer_ends_the_fit_and_changes_nothing(
    server: LMServer, tmp_path: Path, settings: dict[str, Any], model: str, error: type[Exception], words: str
) -> None:
    given: dict[str, Any] = {"base_url": server.base_url, "api_key": "a-key", "max_retries": 0} | settings
    agent = Agent(AsyncOpenAI(**given), model)
    afnio.set_backward_model_client(agent.client)
    with afnio.local_engine(), pytest.raises(error, match=words):
        trainer(tmp_path).fit(agent, loader())
    assert agent.prompt.data == START


def test_a_context_overflow_says_so(server: LMServer, client: AsyncOpenAI) -> None:
    server.faults = [{"kind": "overflow"}]
    with pytest.raises(ContextLengthError, match="context"):
        Agent(client)("a ticket")


def test_a_reply_that_breaks_the_contract_twice_leaves_everything_as_it_was(
    server: LMServer, client: AsyncOpenAI, tmp_path: Path
) -> None:
    agent = Agent(client)
    optimizer = agent.configure_optimizers()
    with afnio.local_engine():
        agent.training_step(next(iter(loader())), 0).backward()
        gradients = list(agent.prompt.grad)
        server.faults = [{"kind": "malformed_optimizer", "times": 2}]
        with pytest.raises(ReplyContractError, match=r"optimizer.*system prompt of the classifier") as caught:
            optimizer.step()
        assert agent.prompt.data == START
        assert agent.prompt.grad == gradients
        assert caught.value.variable == "system prompt of the classifier"
        server.faults = []
        optimizer.step()  # nothing is lost: the same gradients still work
    assert agent.prompt.data != START


# ---------------------------------------------------------------------------------------------- the graph


def test_a_missing_placeholder(client: AsyncOpenAI) -> None:
    message = {"role": "user", "content": [afnio.Variable("Read {email}", role="the question")]}
    with pytest.raises(PlaceholderError, match=r"inputs has 'ticket', but no message uses \{ticket\}"):
        F.chat_completion(client, [message], inputs={"ticket": "x"}, model="tickets")
    with pytest.raises(PlaceholderError, match=r"uses \{email\}, but no inputs were given"):
        F.chat_completion(client, [message], model="tickets")


def test_no_variable_where_one_must_be(client: AsyncOpenAI) -> None:
    with pytest.raises(TypeError, match="list of Variables"):
        F.chat_completion(client, [{"role": "user", "content": "plain text"}], model="tickets")
    with pytest.raises(TypeError, match="must be a Variable, got str"):
        F.exact_match_evaluator("plain text", "target")  # type: ignore[arg-type]


def test_backward_of_a_leaf() -> None:
    with afnio.local_engine(), pytest.raises(GraphError, match="leaf"):
        afnio.Variable("x", role="x", requires_grad=True).backward()


def test_without_an_engine_each_call_says_the_way_out(client: AsyncOpenAI, tmp_path: Path) -> None:
    agent = Agent(client)
    optimizer = agent.configure_optimizers()
    loss = agent.training_step(next(iter(loader(8))), 0)
    for call in (loss.backward, optimizer.step, optimizer.clear_grad, lambda: trainer(tmp_path).fit(agent, loader())):
        with pytest.raises(NoEngineError, match=r"local_engine\(\)"):
            call()
    assert agent.prompt.data == START


# ---------------------------------------------------------------------------------------------- habits from elsewhere


class Schedules(Agent):
    def configure_optimizers(self) -> Any:
        return [super().configure_optimizers()], []


class Named(Agent):
    def configure_optimizers(self) -> Any:
        return {"optimizer": super().configure_optimizers()}


def divide(prediction: str, target: str) -> float:
    return 1 / 0


def spoilt(samples: list[Any]) -> Any:
    raise KeyError("text")


def fit_with(agent: type[Agent], loader: Any) -> Any:
    return lambda client, path: trainer(path).fit(agent(client), loader)


def optimizer_state(state: Any) -> Any:
    return lambda client, path: Agent(client).configure_optimizers().load_state_dict(state)


def load_trained(client: Any, path: Path) -> None:
    Agent(client).load_state_dict({"agent_state_dict": Agent(client).state_dict(), "epoch": 1})


def fit_from_a_state(client: Any, path: Path) -> None:
    afnio.save(Agent(client).state_dict(), path / "agent.hf")
    trainer(path).fit(Agent(client), loader(), ckpt_path=path / "agent.hf")


def nothing(prediction: str, target: str) -> float:
    return float("nan")


def scored_by(eval_fn: Any) -> None:
    prediction = afnio.Variable(["a", "b"], "answers", requires_grad=True)
    F.deterministic_evaluator(prediction, ["a", "b"], eval_fn, "the quotient", None, sum, "sum")


HABITS: list[tuple[Any, type[Exception], str]] = [
    (
        lambda client, path: TGD(Agent(client), model_client=client),
        TypeError,
        r"got Agent: write agent\.parameters\(\)",
    ),
    (lambda client, path: OpenAI(api_key="k", base_url="localhost:8000/v1"), ValueError, "'http://localhost:8000/v1'"),
    (
        lambda client, path: OpenAI(api_key="k", base_url="http://host/v1/chat/completions/"),
        ValueError,
        "write 'http://host/v1'",
    ),
    (
        lambda client, path: Anthropic(api_key="k", base_url="http://host/v1/messages"),
        ValueError,
        "write 'http://host'",
    ),
    (lambda client, path: OpenAI(api_key="k", max_retries=-1), ValueError, "max_retries must be an int of at least 0"),
    (lambda client, path: OpenAI(api_key="k", max_retries=True), ValueError, "max_retries must be an int"),
    (lambda client, path: afnio.Budget(usd="a lot"), ValueError, r"Budget\(usd='a lot'\): dollars are a number"),
    (lambda client, path: afnio.Budget(calls="3"), TypeError, r"Budget\(calls='3'\): a limit is a number"),  # type: ignore[arg-type]
    (lambda client, path: afnio.Budget(tokens=True), TypeError, "a limit is a number"),
    (lambda client, path: afnio.Budget(seconds=float("nan")), ValueError, "a limit is 0 or more"),
    (lambda client, path: afnio.Budget(usd="nan"), ValueError, "a limit is 0 or more"),
    (
        lambda client, path: trainer(path, budget=0.5),
        TypeError,
        r"budget must be an afnio.Budget, got 0.5: write Budget",
    ),
    (lambda client, path: afnio.local_engine(budget=1).__enter__(), TypeError, "budget must be an afnio.Budget, got 1"),  # type: ignore[arg-type]
    (optimizer_state({"epoch": 1}), ValueError, r"pass what optimizer.state_dict\(\) returned"),
    (optimizer_state([]), ValueError, "no state of an optimizer"),
    (optimizer_state({"state": {7: {}}, "param_groups": [{"params": [0]}]}), ValueError, r"names the parameters \[7\]"),
    (fit_with(Agent, SupportTickets("train")), TypeError, r"write DataLoader\(SupportTickets\(\.\.\.\)\)"),
    (fit_with(Schedules, [0]), TypeError, "got list. There are no schedulers here: return the optimizers alone"),
    (fit_with(Named, [0]), TypeError, "got dict. There are no schedulers here"),
    (load_trained, TypeError, r"Trainer's checkpoint: pass .* checkpoint\['agent_state_dict'\]"),
    (fit_from_a_state, CheckpointError, r"agent\.load_state_dict\(afnio\.load\(path\)\)"),
    (lambda client, path: afnio.save(Agent(client), path / "a.hf"), TypeError, r"Save its state_dict\(\) instead"),
    (lambda client, path: scored_by(nothing), ValueError, "eval_fn returned nan for sample 0 of the batch"),
    (
        lambda client, path: scored_by(divide),
        ZeroDivisionError,
        r"Raised by eval_fn for sample 0 of the batch: eval_fn\('a', 'a'\)",
    ),
    (
        fit_with(Agent, DataLoader([1, 2, 3], batch_size=2, collate_fn=spoilt)),
        KeyError,
        "Raised by the DataLoader's collate_fn, spoilt, from 2 samples",
    ),
]


@pytest.mark.parametrize("case", range(len(HABITS)))
def test_what_works_elsewhere_says_how_it_is_done_here(client: AsyncOpenAI, tmp_path: Path, case: int) -> None:
    act, error, words = HABITS[case]
    with afnio.local_engine(), pytest.raises(error) as caught:
        act(client, tmp_path)
    assert re.search(words, "\n".join([str(caught.value), *getattr(caught.value, "__notes__", [])]))


def test_torchs_loop_as_it_is_typed(client: AsyncOpenAI) -> None:
    """``zero_grad()``, ``loss.item()``, ``deepcopy`` of the best agent and of its optimizer."""
    agent = Agent(client)
    optimizer = agent.configure_optimizers()
    scores = []
    with afnio.local_engine():
        for batch in loader():
            optimizer.zero_grad(set_to_none=True)
            assert agent.prompt.grad == []
            loss = agent.training_step(batch, 0)
            loss.backward()
            optimizer.step()
            scores.append(loss.item())
        learned = agent.prompt.data
        best, stepped = copy.deepcopy((agent, optimizer))
        stepped.step()
    assert all(isinstance(each, float) for each in scores)
    assert agent.prompt.data == learned
    assert best.prompt.data != START
    assert stepped.param_groups[0]["params"] == [best.prompt]
    assert stepped.param_groups[0]["model_client"] is client
    assert best.client is client
    assert copy.deepcopy(optimizer).param_groups[0]["model_client"] is client


# ---------------------------------------------------------------------------------------------- the fit


def test_an_empty_data_set() -> None:
    with pytest.raises(ValueError, match="empty"):
        DataLoader([], batch_size=2)


@pytest.mark.parametrize("rubbish", [None, 0.5, "good", {"accuracy": 1}, ("a", "b")])
def test_a_step_that_returns_rubbish(client: AsyncOpenAI, tmp_path: Path, rubbish: Any) -> None:
    class Rubbish(Agent):
        def training_step(self, batch: Any, batch_idx: int) -> Any:
            return rubbish

    agent = Rubbish(client)
    with afnio.local_engine(), pytest.raises(StepError, match="training_step"):
        trainer(tmp_path).fit(agent, loader())
    assert agent.prompt.data == START


def test_a_budget_of_zero_ends_the_fit_before_its_first_call(
    server: LMServer, client: AsyncOpenAI, tmp_path: Path
) -> None:
    agent = Agent(client)
    training = trainer(tmp_path, budget=afnio.Budget(calls=0))
    with afnio.local_engine():
        training.fit(agent, loader())
    assert "budget" in (training.stop_reason or "").lower()
    assert agent.prompt.data == START
    assert not server.stats()["requests"]
    with afnio.local_engine(budget=afnio.Budget(tokens=0)), pytest.raises(BudgetExceeded, match="tokens"):
        agent("a ticket")
    with afnio.local_engine(budget=afnio.Budget(usd=0)), pytest.raises(ValueError, match="set_price"):
        agent("a ticket")  # dollars cannot be counted where no price is known


def test_a_checkpoint_that_was_cut_or_changed(client: AsyncOpenAI, tmp_path: Path) -> None:
    agent = Agent(client)
    with afnio.local_engine():
        training = trainer(tmp_path)
        training.fit(agent, loader())
    whole = Path(training.checkpoint or "").read_bytes()
    learned = agent.prompt.data
    cut, changed = tmp_path / "cut.hf", tmp_path / "changed.hf"
    cut.write_bytes(whole[: len(whole) // 2])
    _rewrite(Path(training.checkpoint or ""), changed)
    for path in (cut, changed):
        with pytest.raises(CheckpointError, match=path.name):
            afnio.load(path)
        with afnio.local_engine(), pytest.raises(CheckpointError):
            trainer(tmp_path).fit(agent, loader(), ckpt_path=path)
        assert agent.prompt.data == learned


def _rewrite(source: Path, target: Path) -> None:
    """A checkpoint that is a whole zip file, but says something else."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        for name in old.namelist():
            data = old.read(name)
            new.writestr(name, data.replace(b"Classify", b"Ignore!!") if name == "data.json" else data)


def test_a_data_set_that_is_not_there_or_damaged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "FacilitySupport" / "raw"
    folder.mkdir(parents=True)
    (folder / "dataset.json").write_text("[]")
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    with pytest.raises(DatasetError, match="dataset.json"):
        FacilitySupport("train", root=tmp_path)


# ---------------------------------------------------------------------------------------------- the machine

SCRIPT = """
    import resource, signal, sys
    sys.path.insert(0, {here!r})
    import afnio
    from tests.test_bad_input import START, Agent, AsyncOpenAI, Path, loader, trainer
    client = AsyncOpenAI(base_url={url!r}, api_key="a-key", max_retries=0)
    afnio.set_backward_model_client(client, completion_args={{"model": "tickets"}})
    agent = Agent(client)
"""


def script(server: LMServer, body: str) -> list[str]:
    here = str(Path(__file__).parent.parent)
    head = textwrap.dedent(SCRIPT).format(here=here, url=server.base_url)
    return [sys.executable, "-B", "-c", head + textwrap.dedent(body)]


def test_a_full_disk_stops_before_an_answer_is_used_that_was_not_recorded(server: LMServer, tmp_path: Path) -> None:
    """A limit on the size of files stands for the full disk: writes fail in the middle, as they do there."""
    body = f"""
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (6000, 6000))
        try:
            with afnio.local_engine(call_log={str(tmp_path / "calls.jsonl")!r}):
                trainer({str(tmp_path)!r}, enable_checkpointing=False).fit(agent, loader())
        except afnio.errors.CallLogError as error:
            print("CallLogError:", error)
        print("unchanged:", agent.prompt.data == START)
    """
    body = body.replace("afnio.errors.", "__import__('afnio.errors').errors.")
    done = subprocess.run(script(server, body), capture_output=True, text=True, timeout=150, cwd=tmp_path)
    assert "CallLogError:" in done.stdout, done.stdout + done.stderr
    assert "unchanged: True" in done.stdout
    complete = [line for line in (tmp_path / "calls.jsonl").read_bytes().split(b"\n")[:-1] if line]
    assert complete
    assert all(json.loads(line) for line in complete)
    with afnio.CallLog(tmp_path / "calls.jsonl", mode="replay"):
        pass  # what was recorded is still readable


def test_ctrl_c_ends_the_fit_cleanly_with_a_checkpoint(tmp_path: Path) -> None:
    with LMServer(world="tickets", bad_share=0, latency=0.3) as slow:
        body = f"""
            training = trainer({str(tmp_path)!r}, enable_progress_bar=True, max_epochs=50)
            with afnio.local_engine():
                training.fit(agent, loader())
            print("interrupted:", training.interrupted, training.stop_reason)
            print("checkpoint:", training.checkpoint)
        """
        seen = _interrupted(script(slow, body), tmp_path)
    assert "interrupted: True" in seen
    found = re.search(r"checkpoint: (.+\.hf)", seen)
    assert found, seen
    assert "agent_state_dict" in afnio.load(found[1])


def test_ctrl_c_in_a_loop_by_hand_loses_nothing() -> None:
    """In the middle of a forward pass, a backward pass and a step: each can simply be done again."""
    world = Striking(bad_share=0.0)
    with LMServer(world) as struck, afnio.local_engine():
        model = AsyncOpenAI(base_url=struck.base_url, api_key="a-key", max_retries=0)
        afnio.set_backward_model_client(model, completion_args={"model": "tickets"})
        agent = Agent(model)
        optimizer, batch = agent.configure_optimizers(), next(iter(loader()))

        def twice(work: Any) -> Any:
            before = agent.prompt.data, list(agent.prompt.grad), repr(optimizer.state_dict()["state"])
            world.arm(1, lambda: os.kill(os.getpid(), signal.SIGINT))
            with pytest.raises(KeyboardInterrupt):
                work()
            world.arm(None)
            assert (agent.prompt.data, agent.prompt.grad, repr(optimizer.state_dict()["state"])) == before
            return work()

        loss = twice(lambda: agent.training_step(batch, 0))
        twice(loss.backward)
        assert agent.prompt.grad
        twice(optimizer.step)
        assert agent.prompt.data != START


def _interrupted(command: list[str], folder: Path) -> str:
    """What the script prints when it gets Ctrl-C after its first batch."""
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    with subprocess.Popen(command, cwd=folder, env=os.environ | {"PYTHONUNBUFFERED": "1"}, **pipes) as process:
        assert process.stdout is not None
        seen = ""
        for line in process.stdout:
            seen += str(line)
            if "[Training] 1/2" in line:
                process.send_signal(signal.SIGINT)
                break
        seen += str(process.stdout.read())
        assert process.wait(timeout=150) == 0, seen
    return seen


def test_a_call_log_that_is_no_call_log(tmp_path: Path) -> None:
    path = tmp_path / "calls.jsonl"
    path.write_text('{"hello": 1}\nnot json\n{"v": 1}\n')
    with pytest.raises(CallLogError, match="line"), afnio.local_engine(call_log=path):
        pass
    assert path.read_text().startswith('{"hello": 1}')
