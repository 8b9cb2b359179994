"""`Fit`: everything that is known while a fit runs.  Callbacks read it; it calls nobody."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from afnio.calls import Ledger
from afnio.cognitive.module import Module
from afnio.optim.optimizer import Optimizer
from afnio.trainer.averages import Averages, Metrics
from afnio.trainer.costs import Costs
from afnio.trainer.outcome import Failure
from afnio.trainer.progress import Progress
from afnio.trainer.results import LOSS
from afnio.variable import Variable

__all__ = ["PREDICT", "TEST", "TRAIN", "VALIDATION", "Best", "Fit", "Goal", "Stage", "learnables"]


@dataclass(frozen=True, slots=True)
class Stage:
    """A pass over a data loader.

    Attributes:
        name: ``"train"``, ``"validation"``, ``"test"`` or ``"predict"``.
        label: what the display calls it.
        prefix: put before its metrics' names.
        step: name of the agent's method.
    """

    name: str
    label: str
    prefix: str
    step: str


TRAIN = Stage("train", "Training", "train_", "training_step")
VALIDATION = Stage("validation", "Validation", "val_", "validation_step")
TEST = Stage("test", "Test", "test_", "test_step")
PREDICT = Stage("predict", "Predict", "predict_", "predict_step")


@dataclass(frozen=True, slots=True)
class Goal:
    """What better means.

    Attributes:
        mode: ``"max"`` if higher is better, else ``"min"``.
        monitor: name of the metric, or None: the loss.
    """

    mode: str = "max"
    monitor: str | None = None

    @property
    def metric(self) -> str:
        """The metric's name, without the prefix of a stage."""
        name = self.monitor or LOSS
        return next(
            (name.removeprefix(stage.prefix) for stage in (TRAIN, VALIDATION) if name.startswith(stage.prefix)), name
        )

    def better(self, score: float, than: float) -> bool:
        """Whether ``score`` is really better."""
        return score > than if self.mode == "max" else score < than

    def averages(self) -> Averages:
        """An empty sum; where higher is better a failed sample counts 0."""
        return Averages(list(dict.fromkeys((LOSS, self.metric))) if self.mode == "max" else ())


@dataclass(frozen=True, slots=True)
class Best:
    """The best parameters so far.

    Attributes:
        score: what they scored.
        metric: in which metric.
        epoch: in which epoch, from 1.
        batch: after which of its batches, from 0.
        prompts: name -> value of each parameter.
        metrics: all metrics of that moment.
    """

    score: float
    metric: str
    epoch: int
    batch: int
    prompts: dict[str, Any]
    metrics: dict[str, float]


@dataclass(slots=True, eq=False)
class Fit:
    """A fit, a validation, a test or a prediction under way.

    Attributes:
        agent: who is trained.
        goal: what better means.
        optimizers: who trains it; empty where nothing is trained.
        max_epochs: where it ends.
        totals: stage -> number of batches, None if the loader does not say.
        progress: where it stands.
        train: what the batches of the epoch under way came to.
        held: the same, with the scores of the parameters held after each batch.
        metrics: the latest value of each metric, with its prefix.
        history: the metrics of each epoch.
        best: the best parameters so far.
        failures: samples that were given up.
        stop_reason: why it ended or will end early; None: it runs to its end.
        interrupted: whether Ctrl-C ended it.
        checkpoint: path of the last checkpoint.
        ledger: what calls were made.
        costs: what they cost.
    """

    agent: Module
    goal: Goal
    ledger: Ledger
    costs: Costs
    optimizers: list[Optimizer] = field(default_factory=list)
    max_epochs: int = 1
    totals: dict[str, int | None] = field(default_factory=dict)
    progress: Progress = field(default_factory=Progress)
    train: Averages = field(default_factory=Averages)
    held: Averages = field(default_factory=Averages)
    metrics: Metrics = field(default_factory=lambda: Metrics({}))
    history: list[dict[str, float]] = field(default_factory=list)
    best: Best | None = None
    failures: list[Failure] = field(default_factory=list)
    stop_reason: str | None = None
    interrupted: bool = False
    checkpoint: str | None = None

    def stop(self, reason: str) -> None:
        """End the fit after the present batch or epoch."""
        if self.stop_reason is None:
            self.stop_reason = reason

    def begin_epoch(self) -> None:
        """Forget what the batches of the last epoch came to."""
        self.train, self.held = self.goal.averages(), self.goal.averages()

    def learned(self, metrics: Metrics) -> None:
        """Take over a stage's metrics, named with their prefix."""
        self.metrics = Metrics({**self.metrics, **metrics}, {**self.metrics.stderr, **metrics.stderr})

    def prompts(self) -> dict[str, Any]:
        """Name -> value of everything that is trained."""
        return {name: variable.data for name, variable in learnables(self.agent, self.optimizers).items()}


def learnables(agent: Module, optimizers: list[Optimizer]) -> dict[str, Variable]:
    """Name -> Variable of the agent's parameters and of what its optimizers train besides."""
    found: dict[str, Variable] = dict(agent.named_parameters())
    known = {id(variable) for variable in found.values()}
    for number, optimizer in enumerate(optimizers):
        for index, variable in enumerate(optimizer.params()):
            if id(variable) not in known:
                known.add(id(variable))
                found[f"optimizer_{number}.param_{index}"] = variable
    return found
