"""The loops: epochs of batches, and passes that only measure.  They await commands and do no I/O themselves."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from afnio.autodiff.grad_mode import no_grad
from afnio.calls import User, phase
from afnio.errors import GraphError
from afnio.models.backward_client import backward_ahead
from afnio.trainer.averages import Metrics
from afnio.trainer.batches import get_batch_size
from afnio.trainer.callbacks.chorus import Chorus
from afnio.trainer.feed import END, Feed
from afnio.trainer.fit import PREDICT, TRAIN, VALIDATION, Fit, Stage, learnables
from afnio.trainer.gates import Gate
from afnio.trainer.hands import Hands
from afnio.trainer.outcome import Failure, Outcome
from afnio.trainer.steps import StepRunner
from afnio.trainer.updating import Updater

__all__ = ["SIDE_BY_SIDE", "FitLoop", "measure", "predict"]

SIDE_BY_SIDE = 256
"""Samples of an async step under way at once where nothing is trained: several small batches are run together."""


@dataclass(slots=True, eq=False)
class FitLoop:
    """Trains an agent.

    Attributes:
        fit: where it stands.
        train: the training batches.
        validation: the validation batches, or None.
        tell: the callbacks.
        hands: sync or async calls.
        gate: judges updates, or None.
        max_steps: batches to train on in all, or None.
    """

    fit: Fit
    train: Feed
    validation: Feed | None
    tell: Chorus
    hands: Hands
    gate: Gate | None
    max_steps: int | None

    async def run(self) -> None:
        """Train until all epochs are done or something says stop."""
        self.tell.on_fit_start(self.fit)
        while self.fit.progress.epoch < self.fit.max_epochs and not self._stops():
            await self._epoch()

    async def _epoch(self) -> None:
        fit = self.fit
        if not fit.progress.batch:
            fit.begin_epoch()
        self.tell.on_epoch_start(fit)
        complete = await self._train()
        self._close(TRAIN, fit.train.metrics())
        if self.validation is not None:
            self._close(VALIDATION, await measure(fit, self.validation, VALIDATION, self.tell))
        if complete:
            fit.progress.epoch_done()
        fit.history.append(dict(fit.metrics))
        self.tell.on_epoch_end(fit)

    def _close(self, stage: Stage, metrics: Metrics) -> None:
        self.fit.costs.collect()
        self.fit.learned(metrics.prefixed(stage.prefix))
        self.tell.on_stage_end(self.fit, stage, metrics)

    async def _train(self) -> bool:
        """Train on what is left of the epoch; whether it was completed."""
        fit, agent = self.fit, self.fit.agent
        runner = StepRunner(agent.training_step, TRAIN.name, self._report, passed=fit.progress.steps > 0)
        updater = self._updater()
        agent.train()
        self.train.begin(fit.progress.batch)
        self.tell.on_stage_start(fit, TRAIN)
        self._check_learners()
        while (batch := await self.train.next()) is not END:
            self.tell.on_batch_start(fit, TRAIN, batch, fit.progress.batch)
            with phase(TRAIN.name), backward_ahead(self._learns_from_feedback()):
                await self._batch(batch, runner, updater)
            if self._stops():  # asking for one more tells the loader that its epoch is over: the next one is a new one
                return fit.progress.batch == self.train.total and await self.train.next() is END
        if not fit.progress.batch:
            raise self.train.no_batches()
        return True

    def _check_learners(self) -> None:
        """GraphError, before the first call is paid for, where no feedback could reach what is trained."""
        params = [param for each in self.fit.optimizers if each.needs_gradients for param in each.params()]
        if params and self._learns_from_feedback() and not any(param.requires_grad for param in params):
            roles = ", ".join(repr(param.role) for param in params)
            raise GraphError(
                f"Nothing that the optimizers train requires gradients ({roles:.200}): no feedback would reach it. "
                "Call requires_grad_(True) on what is to learn."
            )

    def _learns_from_feedback(self) -> bool:
        fit = self.fit
        return fit.agent.automatic_optimization and any(optimizer.needs_gradients for optimizer in fit.optimizers)

    async def _batch(self, batch: Any, runner: StepRunner, updater: Updater) -> None:
        fit, index = self.fit, self.fit.progress.batch
        if fit.agent.automatic_optimization:
            for optimizer in fit.optimizers:
                await User(optimizer.clear_grad)
            outcome = await runner.run(batch, index)
            held = await updater.update(outcome, index) if outcome.roots else outcome
        else:
            outcome = held = await self._by_hand(batch, index, runner, updater)
        fit.train.add(outcome)
        fit.held.add(held)
        fit.progress.batch_done(outcome.size + outcome.failed)
        fit.costs.collect()
        self.tell.on_batch_end(fit, TRAIN, outcome, fit.train.metrics())

    async def _by_hand(self, batch: Any, index: int, runner: StepRunner, updater: Updater) -> Outcome:
        """The step does everything itself; one that fails leaves the parameters as they were before."""
        names = learnables(self.fit.agent, self.fit.optimizers)
        for optimizer in self.fit.optimizers:
            optimizer.tell_as(names, self.fit.progress.steps)
        with updater.all_or_nothing():
            return await runner.once(batch, index)

    def _updater(self) -> Updater:
        rerun = StepRunner(self.fit.agent.training_step, "gate", self._report, passed=True)
        return Updater(self.fit, self.hands, self.gate, rerun, self.tell)

    def _stops(self) -> bool:
        if self.max_steps is not None and self.fit.progress.steps >= self.max_steps:
            self.fit.stop(f"max_steps={self.max_steps} reached")
        return self.fit.stop_reason is not None

    def _report(self, failure: Failure) -> None:
        report(self.fit, self.tell, failure)


def report(fit: Fit, tell: Chorus, failure: Failure) -> None:
    """Keep a failure and tell of it."""
    fit.failures.append(failure)
    tell.on_failure(fit, failure)


async def measure(fit: Fit, feed: Feed, stage: Stage, tell: Chorus) -> Metrics:
    """The mean metrics of the agent over all batches of ``feed``, without training."""
    averages, runner = fit.goal.averages(), _runner(fit, stage, tell)
    with _only_looking(fit, feed, stage, tell):
        done = 0
        while some := await _some(fit, feed, stage, tell, done, runner.takes_samples):
            for outcome in await runner.run_all(some):
                averages.add(outcome)
                fit.costs.collect()
                tell.on_batch_end(fit, stage, outcome, averages.metrics())
            done += len(some)
    return averages.metrics()


async def predict(fit: Fit, feed: Feed, tell: Chorus, predictions: list[Any]) -> Metrics:
    """Append what ``predict_step`` returns for each batch of ``feed`` to ``predictions``; counts the samples."""
    size, runner = 0, _runner(fit, PREDICT, tell)
    with _only_looking(fit, feed, PREDICT, tell):
        while some := await _some(fit, feed, PREDICT, tell, len(predictions), runner.takes_samples):
            for outcome in await runner.predict_all(some, predictions):
                size += outcome.size + outcome.failed
                fit.costs.collect()
                tell.on_batch_end(fit, PREDICT, outcome, Metrics({}))
    return Metrics({}, samples=size, failed=len(fit.failures))


def _runner(fit: Fit, stage: Stage, tell: Chorus) -> StepRunner:
    return StepRunner(getattr(fit.agent, stage.step), stage.name, lambda failure: report(fit, tell, failure))


@contextmanager
def _only_looking(fit: Fit, feed: Feed, stage: Stage, tell: Chorus) -> Iterator[None]:
    """A pass over ``feed`` in which nothing is learned."""
    agent = fit.agent
    was_training = agent.training
    agent.eval()
    try:
        feed.begin()
        tell.on_stage_start(fit, stage)
        with no_grad(), phase(stage.name):
            yield
    finally:
        agent.train(was_training)


async def _some(fit: Fit, feed: Feed, stage: Stage, tell: Chorus, done: int, many: bool) -> list[tuple[int, Any]]:
    """The next batch with its number; with ``many``, as many as can be side by side; none at the end.

    Raises:
        ValueError: there is not a single one.
    """
    found: list[tuple[int, Any]] = []
    samples = 0
    while (not found or (many and samples < SIDE_BY_SIDE)) and (batch := await feed.next()) is not END:
        tell.on_batch_start(fit, stage, batch, done + len(found))
        found.append((done + len(found), batch))
        samples += get_batch_size(batch)
    if not done and not found:
        raise feed.no_batches()
    return found
