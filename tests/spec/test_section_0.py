"""What is done differently from older releases, on purpose: one test for each subject.

`SUBJECTS` is the list of subjects; a subject without a test, or with proof that is not there, fails.
"""

from __future__ import annotations

import ast
import io
import logging
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import afnio
import afnio.cognitive as cog
from afnio import Variable, local_engine, set_backward_model_client
from afnio.autodiff import Function, Loss
from afnio.cognitive import functional as F
from afnio.errors import AfnioError, NoEngineError, ServerError
from afnio.models import backward_client
from afnio.models.scripted import Scripted
from afnio.optim import TGD
from afnio.utils.data import DataLoader, RandomSampler, WeightedRandomSampler

REPO = Path(__file__).parents[2]

SUBJECTS: dict[str, list[str]] = {
    "where ops run": ["tests/test_exports.py::test_imports_have_no_effects"],
    "backward, step, clear_grad and fit without an active Run": [
        "tests/test_bad_input.py::test_without_an_engine_each_call_says_the_way_out",
        "tests/trainer/test_fit.py::test_fit_needs_an_engine",
        "tests/tellurio/scripts/test_seed_runs.py::test_without_an_active_run_what_optimizes_fails_and_says_what_to_call",
    ],
    "the loss": ["tests/autodiff/test_module_hooks.py::test_a_loss_stays_a_loss_and_one_that_is_right_sends_nothing"],
    "HTTP errors": [
        "tests/tellurio/client/test_http.py::test_a_refusal_says_what_where_and_which_request",
        "tests/tellurio/client/test_login.py::test_no_server_at_all",
    ],
    "submodules scripts name": ["tests/test_exports.py::test_old_import_paths_work"],
    "server side": [
        "tests/tellurio/client/test_local.py::test_a_login_without_any_setting_is_one_to_the_local_server",
        "tests/tellurio/scripts/test_facility_support.py::test_it_ends_well_and_its_run_is_completed",
    ],
    "user-defined Function": [
        "tests/tellurio/engine/test_users_code.py::test_it_runs_in_the_thread_that_called_backward",
    ],
    "callables": ["tests/tellurio/engine/test_users_code.py::test_what_it_raises_comes_out_as_the_same_object"],
    "evaluators' gradient to the prediction": [],
    "all samples right": [
        "tests/trainer/test_gate.py::test_when_all_samples_are_right_nothing_is_asked_but_the_forward",
    ],
    "metric averages": ["tests/trainer/test_averages.py::test_the_mean_over_batches_is_the_mean_over_samples"],
    "cost": ["tests/models/test_prices.py::test_an_unknown_model_is_unpriced_not_free"],
    "ckpt_path in fit": [
        "tests/trainer/test_resume.py::test_from_every_checkpoint_it_goes_on_to_the_same_end",
        "tests/trainer/test_resume.py::test_max_steps_in_the_middle_of_an_epoch",
    ],
    "state dicts before the first step and of used agents": [
        "tests/optim/test_optimizer.py::test_before_the_first_step_there_is_a_state_dict",
        "tests/cognitive/test_ops.py::test_any_state_loads_into_any_agent_of_the_class",
    ],
    "samplers": ["tests/test_data.py::test_without_replacement_the_weights_are_honoured"],
    "DataLoader": ["tests/test_data.py::test_two_iterators_at_once_do_not_disturb_each_other"],
    "Module attribute traps": [
        "tests/cognitive/test_attributes.py::test_an_ordinary_value_is_an_ordinary_attribute",
        "tests/spec/test_1_05_cognitive.py::test_what_was_a_trap_is_an_ordinary_attribute",
    ],
    "Module": ["tests/test_against_torch.py::test_each_case_ends_as_in_torch"],
    "checkpoints": [
        "tests/test_hostile_files.py::test_a_pickle_that_means_harm_is_refused",
        "tests/test_hostile_files.py::test_old_checkpoints_come_back_and_new_ones_of_them_too",
        "tests/test_serialization.py::test_loading_imports_nothing",
    ],
    "logging": ["tests/test_logging_config.py::test_the_root_logger_and_your_own_handlers_stay"],
    "import": ["tests/test_exports.py::test_import_afnio_loads_nothing_heavy"],
    "OpenAI and AsyncOpenAI": [
        "tests/models/test_openai_contract.py::test_constructor_arguments_reach_the_wire_alike",
        "tests/models/test_openai_contract.py::test_our_classes_around_a_users_sdk_client",
    ],
    "providers": ["tests/models/test_openai_contract.py::test_azure"],
    "predict, early stopping, callbacks, best checkpoint, budget": [
        "tests/trainer/test_predict.py::test_all_samples_in_order_however_they_are_batched",
        "tests/trainer/test_fit.py::test_early_stopping",
        "tests/trainer/test_fit.py::test_the_best_prompt_comes_back_at_the_end",
        "tests/trainer/test_failures.py::test_a_budget_of_calls_is_exact_and_keeps_what_the_gate_approved",
    ],
}
"""Subject -> tests elsewhere that prove it too."""


def _test_name(subject: str) -> str:
    words = "".join(letter.lower() if letter.isalnum() else " " for letter in subject).split()
    return "test_" + "_".join(words)


def defined(path: str) -> set[str]:
    """Names of the tests in a file."""
    tree = ast.parse((REPO / path).read_text(encoding="utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))}


def test_every_subject_has_a_test_here_and_all_proof_is_there() -> None:
    assert len(SUBJECTS) == 24
    here = defined("tests/spec/test_section_0.py")
    assert [subject for subject in SUBJECTS if _test_name(subject) not in here] == []
    proof = [test for tests in SUBJECTS.values() for test in tests]
    assert [test for test in proof if test.partition("::")[2] not in defined(test.partition("::")[0])] == []


# a small agent on a scripted model


@pytest.fixture
def backward_model(monkeypatch: pytest.MonkeyPatch) -> Scripted:
    """The model that is asked for feedback; it counts how often."""
    monkeypatch.setattr(backward_client, "_current", None)
    model = Scripted(_feedback, model="critic")
    set_backward_model_client(model, completion_args={"model": "critic"})
    return model


def _feedback(body: dict[str, Any]) -> Any:
    names = body["response_format"]["json_schema"]["schema"]["properties"]
    return {name: "say it better" if name != "reasoning" else "" for name in names}


class Agent(cog.Module):
    def __init__(self) -> None:
        super().__init__()
        self.prompt = cog.Parameter("Answer.", role="prompt")
        self.chat = cog.ChatCompletion()

    def forward(self, client: Any, inputs: Any) -> Variable:
        messages = [
            {"role": "system", "content": [self.prompt]},
            {"role": "user", "content": [Variable("{x}", role="question")]},
        ]
        answer: Variable = self.chat(client, messages, inputs={"x": inputs}, model="m")
        return answer


def same(prediction: str, target: str) -> int:
    return int(prediction == target)


def test_where_ops_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("socket.socket.connect", lambda *_: pytest.fail("a socket was connected"))
    answer = Agent()(Scripted(["yes", "no"]), ["a", "b"])
    assert sorted(answer.data) == ["no", "yes"]
    assert answer.grad_fn is not None
    assert answer.grad_fn.node_id >= 0


def test_backward_step_clear_grad_and_fit_without_an_active_run() -> None:
    prompt = cog.Parameter("a", role="prompt")
    optimizer = TGD([prompt], model_client=Scripted([]))
    loss = F.exact_match_evaluator(prompt, "b")
    for call in (loss.backward, optimizer.step, optimizer.clear_grad):
        with pytest.raises(NoEngineError, match=r"afnio.tellurio.init\(...\).*afnio.local_engine\(\)"):
            call()
    with local_engine():
        loss.backward()
    assert len(prompt.grad) == 1


@pytest.mark.parametrize("how", ["loss", "explanation", "unpacked", "indexed"])
def test_the_loss(how: str) -> None:
    prompt = cog.Parameter("a", role="prompt")
    loss = F.exact_match_evaluator(prompt, "b")
    score, explanation = loss
    assert isinstance(loss, Loss)
    assert isinstance(loss, tuple)
    assert (loss[0], loss[1], len(loss)) == (score, explanation, 2)
    target: Any = {"loss": loss, "explanation": loss.explanation, "unpacked": explanation, "indexed": loss[1]}[how]
    with local_engine():
        target.backward()
    assert len(prompt.grad) == 1


def test_http_errors() -> None:
    assert issubclass(ServerError, AfnioError)
    error = ServerError("no", status_code=409, body={"code": "taken"}, request_id="request-1")
    assert (error.status_code, error.body, error.request_id) == (409, {"code": "taken"}, "request-1")


def test_submodules_scripts_name() -> None:
    import afnio.tellurio.client
    import afnio.tellurio.consent
    import afnio.tellurio.project
    import afnio.tellurio.run as te_run

    assert te_run.init is afnio.tellurio.init


def test_server_side() -> None:
    from afnio.autodiff import job
    from tellurio.engine import running

    assert running.BackwardJob is job.BackwardJob  # type: ignore[attr-defined]
    assert running.StepJob is job.StepJob  # type: ignore[attr-defined]


class Shout(Function):
    @staticmethod
    def forward(ctx: Any, x: Variable) -> Variable:
        return Variable(x.data.upper(), f"shouted {x.role}")

    @staticmethod
    def backward(ctx: Any, grad_output: Variable) -> Variable:
        return Variable(f"once shouted: {grad_output.data}", grad_output.role)


def test_user_defined_function() -> None:
    x = Variable("a", "x", requires_grad=True)
    with local_engine():
        Shout.apply(x).backward(Variable("quiet"))
    assert [gradient.data for gradient in x.grad] == ["once shouted: quiet"]


def test_callables() -> None:
    touched = Variable("x")

    def score(prediction: str, target: str) -> int:
        touched.data = prediction  # a Variable may be touched: this is an ordinary call in this thread
        return same(prediction, target)

    prediction = Variable(["a", "b"], "p", requires_grad=True)
    loss = F.deterministic_evaluator(prediction, ["a", "x"], score, "equality", lambda s: all(s), max, "maximum")
    assert (loss.score.data, touched.data) == (1, "b")


def test_evaluators_gradient_to_the_prediction(backward_model: Scripted) -> None:
    prediction = Variable(["right", "wrong"], "answer", requires_grad=True)
    with local_engine():
        F.exact_match_evaluator(prediction, ["right", "good"]).backward()
    (gradient,) = prediction.grad
    for said in ("wrong", "good"):
        assert said in gradient.data
    assert "right" not in gradient.data.replace("wrong", "")
    assert backward_model.calls == 0


def test_all_samples_right(backward_model: Scripted) -> None:
    agent, optimizer_model = Agent(), Scripted([])
    optimizer = TGD(agent.parameters(), model_client=optimizer_model, momentum=2)
    with local_engine():
        F.exact_match_evaluator(agent(Scripted(["yes"] * 2), ["a", "b"]), ["yes", "yes"]).backward()
        assert [gradient.data for gradient in agent.prompt.grad] == [""]
        optimizer.step()
    assert agent.prompt.data == "Answer."
    assert not any(state.get("momentum_buffer") for state in optimizer.state_dict()["state"].values())
    assert backward_model.calls == optimizer_model.calls == 0


class Judged(cog.Module):
    """Says what it is given."""

    def validation_step(self, batch: Any, batch_idx: int) -> Any:
        texts, targets = batch
        loss = F.exact_match_evaluator(Variable(list(texts), "said"), list(targets))
        return {"loss": loss, "accuracy": loss.score.data / len(texts)}

    training_step = validation_step

    def configure_optimizers(self) -> Any:
        return TGD([cog.Parameter("a", "prompt")], model_client=Scripted([]))


def quiet(folder: Path, **settings: Any) -> Any:
    from afnio.trainer import Trainer

    return Trainer(default_root_dir=folder, enable_progress_bar=False, enable_agent_summary=False, **settings)


def test_metric_averages(tmp_path: Path) -> None:
    loader = DataLoader([("a", "a"), ("b", "b"), ("c", "x")], batch_size=2)
    told = quiet(tmp_path).validate(Judged(), loader)
    assert told["accuracy"] == pytest.approx(2 / 3)


def test_cost() -> None:
    from afnio.calls import Usage
    from afnio.models.prices import price

    endpoint = "https://api.openai.com/v1"
    assert price("openai", endpoint, "a-model-nobody-knows", Usage(10, 10)).usd is None
    known = price("openai", endpoint, "gpt-5", Usage(10, 10)).usd
    assert known is not None
    assert known > 0


def test_ckpt_path_in_fit(tmp_path: Path) -> None:
    with local_engine(), pytest.raises(Exception, match=r"none\.hf"):
        quiet(tmp_path).fit(Judged(), DataLoader([("a", "a")]), ckpt_path=tmp_path / "none.hf")


def test_state_dicts_before_the_first_step_and_of_used_agents() -> None:
    agent, other = Agent(), Agent()
    optimizer = TGD(agent.parameters(), model_client=Scripted([]))
    assert optimizer.state_dict()["state"] == {}
    for used in (agent, other):
        used(Scripted(["yes"]), "a")
    agent.prompt.data = "Better."
    other.load_state_dict(agent.state_dict())
    assert other.prompt.data == "Better."


def test_samplers() -> None:
    random.seed(1)
    before = random.getstate()
    sampler = RandomSampler(range(20), seed=3)
    first, second = list(sampler), list(sampler)
    assert first != second
    again = RandomSampler(range(20), seed=3)
    assert [list(again), list(again)] == [first, second]
    for _ in range(20):
        assert set(WeightedRandomSampler([1.0, 0.0, 1.0], 2, replacement=False)) == {0, 2}
    assert random.getstate() == before


def test_dataloader() -> None:
    loader = DataLoader(range(10), batch_size=3, sampler=[5, 6, 7, 8], collate_fn=sum, num_workers=2)
    assert len(loader) == 2
    assert [list(loader), list(loader)] == [[18, 8]] * 2
    one, two = iter(loader), iter(loader)
    assert (next(one), next(two), next(one)) == (18, 18, 8)


def test_module_attribute_traps() -> None:
    module = cog.Module()
    module.x, module.items, module.config = None, [], {"a": 1}
    module.x, module.items = 5, [1]
    assert list(module.state_dict()) == []


def test_module() -> None:
    names = ["apply", "get_parameter", "get_submodule", "set_submodule", "add_module", "register_forward_hook"]
    assert all(hasattr(cog.Module, name) for name in [*names, "register_full_backward_hook"])
    chain = cog.Sequential(cog.ModuleList([]), cog.ModuleDict({}))
    order: list[Any] = []
    chain.apply(order.append)
    assert order == [*chain, chain]


def test_checkpoints() -> None:
    class Harm:
        def __reduce__(self) -> Any:
            return print, ("harm",)

    with pytest.raises(TypeError, match="Harm"):
        afnio.save({"x": Harm()}, io.BytesIO())


def test_logging() -> None:
    code = "import logging, afnio, afnio.tellurio; print(logging.getLogger('afnio').handlers, logging.root.handlers)"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert shown.strip() == "[] []"
    assert logging.getLogger("afnio").propagate


def test_import() -> None:
    code = "import sys, afnio; print([name for name in ('IPython', 'ipywidgets', 'openai') if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_openai_and_asyncopenai() -> None:
    from afnio.models.openai import AsyncOpenAI, OpenAI

    for client in (OpenAI(api_key="k", max_retries=5), AsyncOpenAI(api_key="k", base_url="http://127.0.0.1:9/v1")):
        assert client.get_provider() == "openai"
        assert not any(cls.__module__.startswith("openai.") for cls in type(client).__mro__)


def test_providers() -> None:
    from afnio.models.anthropic import Anthropic
    from afnio.models.openai import OpenAI

    assert Anthropic(api_key="k").get_provider() == "anthropic"
    assert OpenAI(api_key="k", base_url="http://127.0.0.1:9/v1").get_provider() == "openai"
    assert Scripted(["x"]).chat(messages=[{"role": "user", "content": "hi"}]) == "x"


def test_predict_early_stopping_callbacks_best_checkpoint_budget(tmp_path: Path) -> None:
    from afnio import Budget
    from afnio.trainer import Callback, EarlyStopping

    class Fixed(cog.Module):
        def forward(self, batch: Any) -> Any:
            return [item.upper() for item in batch]

    stop = EarlyStopping(patience=1)
    assert isinstance(stop, Callback)
    trainer = quiet(tmp_path, callbacks=[stop], budget=Budget(calls=5), restore_best=True)
    assert list(trainer.predict(Fixed(), DataLoader(["a", "b"], batch_size=2))) == [["A", "B"]]
