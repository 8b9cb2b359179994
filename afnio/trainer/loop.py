"""The loops: epochs of batches, and passes that only measure.  They await commands and do no I/O themselves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from afnio.autodiff.grad_mode import no_grad
from afnio.calls import User, phase
from afnio.trainer.averages import Metrics
from afnio.trainer.callbacks.chorus import Chorus
from afnio.trainer.feed import END, Feed
from afnio.trainer.fit import TRAIN, VALIDATION, Fit, Stage
from afnio.trainer.gates import Gate
from afnio.trainer.hands import Hands
from afnio.trainer.outcome import Failure, Outcome
from afnio.trainer.steps import StepRunner
from afnio.trainer.updating import Updater

__all__ = ["FitLoop", "measure"]


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
        while (batch := await self.train.next()) is not END:
            with phase(TRAIN.name):
                await self._batch(batch, runner, updater)
            if self._stops():
                return fit.progress.batch == self.train.total
        if not fit.progress.batch:
            raise self.train.no_batches()
        return True

    async def _batch(self, batch: Any, runner: StepRunner, updater: Updater) -> None:
        fit, index = self.fit, self.fit.progress.batch
        if fit.agent.automatic_optimization:
            for optimizer in fit.optimizers:
                await User(optimizer.clear_grad)
            outcome = await runner.run(batch, index)
            held = await updater.update(outcome, index) if outcome.roots else outcome
        else:
            outcome = held = await runner.once(batch, index)
        fit.train.add(outcome)
        fit.held.add(held)
        fit.progress.batch_done(outcome.size + outcome.failed)
        fit.costs.collect()
        self.tell.on_batch_end(fit, TRAIN, outcome, fit.train.metrics())

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
    agent, averages = fit.agent, fit.goal.averages()
    runner = StepRunner(getattr(agent, stage.step), stage.name, lambda failure: report(fit, tell, failure))
    was_training = agent.training
    agent.eval()
    feed.begin()
    tell.on_stage_start(fit, stage)
    try:
        with no_grad(), phase(stage.name):
            index = 0
            while (batch := await feed.next()) is not END:
                outcome: Outcome = await runner.run(batch, index)
                averages.add(outcome)
                fit.costs.collect()
                tell.on_batch_end(fit, stage, outcome, averages.metrics())
                index += 1
    finally:
        agent.train(was_training)
    if not index:
        raise feed.no_batches()
    return averages.metrics()
