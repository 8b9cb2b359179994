"""One update: feedback flows back, the optimizers propose, the gate judges."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

from afnio.autodiff.grad_mode import no_grad
from afnio.autodiff.ops.chat_completion import HOPELESS
from afnio.calls import User, phase
from afnio.errors import APIError, GraphError, ReplyContractError
from afnio.trainer.fit import Fit, learnables
from afnio.trainer.gates import Gate, Verdict
from afnio.trainer.hands import Hands
from afnio.trainer.outcome import Outcome
from afnio.trainer.steps import StepRunner
from afnio.trainer.trying import evaluation

__all__ = ["Listener", "Updater"]

_BY_HAND = (
    "Did training_step() call backward() itself? The Trainer does, and steps the optimizers. To do it by hand, set "
    "automatic_optimization = False on the agent."
)


class Listener(Protocol):
    """Whom an update tells what happens."""

    def on_verdict(self, fit: Fit, verdict: Verdict) -> None:
        """The gate kept an update, or undid it."""

    def on_undo(self, fit: Fit) -> None:
        """An update was taken back before the gate could judge it."""

    def on_skip(self, fit: Fit, error: Exception) -> None:
        """A model's reply could not be used."""


@dataclass(slots=True)
class Updater:
    """Rewrites the parameters after a batch.

    Attributes:
        fit: whose parameters.
        hands: sync or async calls.
        gate: judges each update; None: every update is kept.
        rerun: runs the training step again, for the gate.
        listener: told what happens.
    """

    fit: Fit
    hands: Hands
    gate: Gate | None
    rerun: StepRunner
    listener: Listener

    async def update(self, outcome: Outcome, index: int) -> Outcome:
        """Learn from ``outcome``; returns what its batch comes to with the parameters that are held now.

        Whatever is raised, parameters and optimizers are then as they were before.
        """
        with self.all_or_nothing() as before:
            try:
                await self._backward(outcome)
                return await self._propose(outcome, index, before)
            except (ReplyContractError, APIError) as error:
                if isinstance(error, HOPELESS):
                    raise
                self._take_back(before)
                self.fit.progress.skipped += 1
                self.listener.on_skip(self.fit, error)
                return outcome

    async def _backward(self, outcome: Outcome) -> None:
        try:
            if any(optimizer.needs_gradients for optimizer in self.fit.optimizers):
                await User(self.hands.backward, outcome.roots, self._learners())
        except GraphError as error:
            if "freed" in str(error):
                error.add_note(_BY_HAND)
            raise

    def _learners(self) -> list[Any] | None:
        """What feedback is wanted for: everything, unless some optimizers learn without."""
        optimizers = self.fit.optimizers
        if all(optimizer.needs_gradients for optimizer in optimizers):
            return None
        params = [param for optimizer in optimizers if optimizer.needs_gradients for param in optimizer.params()]
        return [param for param in params if param.requires_grad and param.is_leaf] or None

    async def _propose(self, outcome: Outcome, index: int, before: Sequence[Any]) -> Outcome:
        for proposal in range(1, (self.gate.proposals if self.gate else 1) + 1):
            if not await self._step(outcome, index):
                return outcome
            if self.gate is None:
                self.fit.progress.updates += 1
                return outcome
            again = await self._again(outcome, index)
            if self._judge(self.gate, outcome, again, proposal, before):
                return again
        return outcome

    async def _step(self, outcome: Outcome, index: int) -> bool:
        """Let every optimizer propose; whether anything changed."""
        values = _values(self.fit.optimizers)
        names = learnables(self.fit.agent, self.fit.optimizers)
        for optimizer in self.fit.optimizers:
            optimizer.tell_as(names, self.fit.progress.steps)
        evaluate = partial(evaluation, self.rerun, self.fit.goal, outcome.batch, index)
        await User(self.hands.step, self.fit.optimizers, lambda: self.hands.drive(evaluate()))
        return _values(self.fit.optimizers) != values

    async def _again(self, outcome: Outcome, index: int) -> Outcome:
        """What the batch comes to with the proposed parameters."""
        agent = self.fit.agent
        was_training = agent.training
        agent.eval()
        try:
            with no_grad(), phase("gate"):
                again = await self.rerun.run(outcome.batch, index)
        finally:
            agent.train(was_training)
        again.failed += outcome.failed
        return again

    def _judge(self, gate: Gate, outcome: Outcome, again: Outcome, proposal: int, before: Sequence[Any]) -> bool:
        goal, progress = self.fit.goal, self.fit.progress
        scores = outcome.score(goal.metric, goal.mode), again.score(goal.metric, goal.mode)
        kept = _keeps(gate, *scores, goal.mode) and (goal.mode == "max" or again.failed <= outcome.failed)
        if not kept:
            _restore(self.fit.optimizers, before)
        for optimizer in self.fit.optimizers:
            optimizer.record(scores[1], kept)
        progress.updates += kept
        progress.undone += not kept
        self.listener.on_verdict(self.fit, Verdict(*scores, kept, proposal))
        return kept

    @contextmanager
    def all_or_nothing(self) -> Iterator[list[Any]]:
        """Whatever is raised inside, parameters and optimizers are then as they were before; yields how that was."""
        before = [optimizer.snapshot() for optimizer in self.fit.optimizers]
        try:
            yield before
        except BaseException:
            self._take_back(before)
            raise

    def _take_back(self, before: Sequence[Any]) -> None:
        _restore(self.fit.optimizers, before)
        self.listener.on_undo(self.fit)


def _keeps(gate: Gate, before: float, after: float, mode: str) -> bool:
    """What ``gate`` says; of scores that are NaN, which no comparison can judge, any number is better."""
    if math.isnan(before) or math.isnan(after):
        return not math.isnan(after)
    return gate.keeps(before, after, mode)


def _restore(optimizers: Sequence[Any], before: Sequence[Any]) -> None:
    for optimizer, snapshot in zip(optimizers, before, strict=True):
        optimizer.restore(snapshot)


def _values(optimizers: Sequence[Any]) -> list[Any]:
    return [param.data for optimizer in optimizers for param in optimizer.params()]
