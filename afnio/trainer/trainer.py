"""`Trainer`: trains, validates and tests an agent, and predicts with it.

Modelled on Lightning's Trainer: https://lightning.ai/docs/pytorch/stable/common/trainer.html
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

from afnio import _dispatch
from afnio.calls import Budget, CallLog, Session, adrive, drive
from afnio.calls.budget import checked_budget
from afnio.cognitive.module import Module
from afnio.trainer.averages import Metrics
from afnio.trainer.callbacks import (
    Callback,
    Checkpointing,
    KeepBest,
    ModelCheckpoint,
    Reporting,
    Showing,
    Tracking,
)
from afnio.trainer.callbacks.chorus import Chorus
from afnio.trainer.checkpoints import Folder
from afnio.trainer.checks import (
    callbacks_of,
    check_agent,
    check_ckpt_path,
    check_clients,
    check_defined,
    check_positive,
    check_root,
    gate_of,
    mode_of,
    monitor_of,
    optimizers_of,
)
from afnio.trainer.costs import Costs
from afnio.trainer.display import display_here
from afnio.trainer.ending import Terminable, ending
from afnio.trainer.estimate import Estimate, Plan, estimate_fit
from afnio.trainer.feed import Feed
from afnio.trainer.fit import PREDICT, TEST, TRAIN, VALIDATION, Best, Fit, Goal, Stage
from afnio.trainer.gates import Gate
from afnio.trainer.hands import ASYNC, SYNC, Hands
from afnio.trainer.loop import FitLoop, measure, predict
from afnio.trainer.outcome import Failure
from afnio.trainer.recovery import Recovery, log_file
from afnio.trainer.sessions import engine_session, inner_session, take_in

__all__ = ["Trainer"]

logger = logging.getLogger("afnio.trainer")

Path = str | os.PathLike[str]


class Trainer:
    """Trains an agent by textual gradients: batch by batch, each update judged by the gate.

    Args:
        max_epochs: passes over the training data (10).
        enable_checkpointing: write checkpoints and a call log to ``<default_root_dir>/checkpoints``.
        enable_progress_bar: show progress: a bar in a terminal, plain lines elsewhere.
        enable_agent_summary: print the agent first.
        default_root_dir: where files go; None: the working directory.
        gate: ``"batch"`` runs each batch again after its update and undoes an update that made it worse, which is
            then proposed once more; None keeps every update; or a `Gate` of yours.
        monitor: the metric that says what is best; None: the loss, on validation data where there are some.
        mode: ``"max"``: higher is better, as evaluators score; ``"min"``: lower is, for true losses.
        callbacks: `Callback` objects, for example `EarlyStopping` or `ModelCheckpoint`, or a single one.
        budget: what all calls of fits and predictions together may cost; when it is used up a fit ends cleanly.
            ``validate`` and ``test`` are not part of it; to bound them too, give the budget to the engine.
        reuse_answers: a request that was answered before in this fit is not sent again; the 64 MB of answers that were
            used last are kept.
        restore_best: when the fit ends, bring the best parameters back.
        max_steps: batches to train on in all; None: no limit.

    A step of the agent returns a ``Loss``, a tuple ``(score, explanation)``, or a dict with such a ``"loss"`` and more
    numbers.  ``async def`` steps get one sample at a time, all samples of a batch side by side; the score of the batch
    is then their mean.  `fit` runs them on the library's own event loop, `afit` on the caller's: what blocks belongs
    into a sync step.

    Where nothing is trained, the samples of several small batches of an async step run side by side; of a sync step
    one batch runs after the other, so that validation and test data are best given in large batches.

    A step that fails is tried again; samples that fail still are reported, left out, and count as 0.

    With ``automatic_optimization = False`` on the agent, ``training_step`` does it all by hand: ``self.optimizers()``,
    ``self.manual_backward(loss)``, ``optimizer.step()``, ``optimizer.clear_grad()``; in an async step with ``await``:
    ``self.amanual_backward(loss)``, ``optimizer.astep()``.  It is called once for each batch, whole, and returns
    nothing, a ``Loss``, a number, or a dict of such.  No gate judges then, and an error ends the fit.
    """

    def __init__(
        self,
        *,
        max_epochs: int | None = None,
        enable_checkpointing: bool = True,
        enable_progress_bar: bool = True,
        enable_agent_summary: bool = True,
        default_root_dir: Path | None = None,
        gate: str | Gate | None = "batch",
        monitor: str | None = None,
        mode: str = "max",
        callbacks: Callback | Sequence[Callback] = (),
        budget: Budget | None = None,
        reuse_answers: bool = True,
        restore_best: bool = True,
        max_steps: int | None = None,
    ) -> None:
        check_positive("max_epochs", max_epochs)
        check_positive("max_steps", max_steps)
        check_root(default_root_dir)
        self.max_epochs = 10 if max_epochs is None else max_epochs
        self.max_steps = max_steps
        self.enable_checkpointing = enable_checkpointing
        self.enable_progress_bar = enable_progress_bar
        self.enable_agent_summary = enable_agent_summary
        self.default_root_dir = default_root_dir
        self.gate = gate_of(gate)
        self.goal = Goal(mode_of(mode), monitor_of(monitor))
        self.callbacks = callbacks_of(callbacks)
        if not enable_checkpointing and any(isinstance(each, ModelCheckpoint) for each in self.callbacks):
            raise ValueError("callbacks holds a ModelCheckpoint and enable_checkpointing=False: leave one of them out.")
        self.budget = checked_budget(budget)
        self.reuse_answers = reuse_answers
        self.restore_best = restore_best
        self._fit: Fit | None = None
        self._last: Fit | None = None
        self._predictions: list[Any] = []

    # what is known of the last fit

    @property
    def best(self) -> Best | None:
        """The best parameters of the last fit, and what they scored; None before the end of its first epoch."""
        return None if self._fit is None else self._fit.best

    @property
    def metrics(self) -> Metrics:
        """The metrics of the last fit, validation or test, as ``train_...``, ``val_...``, ``test_...``."""
        return Metrics({}) if self._last is None else self._last.metrics

    @property
    def history(self) -> list[dict[str, float]]:
        """The metrics of each epoch."""
        return [] if self._fit is None else self._fit.history

    @property
    def failures(self) -> list[Failure]:
        """The samples that the last fit, validation or test gave up."""
        return [] if self._last is None else self._last.failures

    @property
    def stop_reason(self) -> str | None:
        """Why the last fit ended early; None: it ran to its end."""
        return None if self._fit is None else self._fit.stop_reason

    @property
    def interrupted(self) -> bool:
        """Whether Ctrl-C ended the last fit."""
        return self._fit is not None and self._fit.interrupted

    @property
    def checkpoint(self) -> str | None:
        """Path of the last checkpoint written."""
        return None if self._fit is None else self._fit.checkpoint

    @property
    def state(self) -> Fit | None:
        """Everything that is known of the last fit: progress, costs, ..."""
        return self._fit

    # training

    def fit(
        self,
        agent: Module,
        train_dataloader: Iterable[Any] | None = None,
        val_dataloader: Iterable[Any] | None = None,
        ckpt_path: Path | None = None,
        llm_clients: Sequence[Any] = (),
    ) -> None:
        """Train ``agent``.

        Args:
            agent: with ``training_step``, ``configure_optimizers`` and, for validation, ``validation_step``.
            train_dataloader: the training batches.
            val_dataloader: the validation batches.
            ckpt_path: a checkpoint to go on from, ``"last"`` or ``"best"``; calls made after it was written
                are answered from the call log, not paid again.
            llm_clients: clients whose usage is the total cost, and is cleared; default: all calls count.

        A used-up budget and Ctrl-C end it cleanly (see `stop_reason`); SIGTERM does too, and then ends the process,
        unless the program handles that signal.  Whatever ends it, the agent then has the best
        parameters so far; where none were measured yet, or with ``restore_best=False``, those from before the batch
        that was under way.

        Raises:
            NoEngineError: no active Run and no engine.
            TypeError, ValueError: the arguments cannot be used, or there are no data.
            StepError: a step returned something that cannot be used.
            CheckpointError: the checkpoint cannot be read or does not fit, or none can be written.
            APIError: the model cannot be reached, or refuses every call.
        """
        with self._fitting(agent, train_dataloader, val_dataloader, ckpt_path, llm_clients, SYNC) as loop:
            core = loop.run()
            try:
                drive(core)
            finally:
                core.close()  # Ctrl-C between two of its steps: it puts things back before the best is restored

    async def afit(
        self,
        agent: Module,
        train_dataloader: Iterable[Any] | None = None,
        val_dataloader: Iterable[Any] | None = None,
        ckpt_path: Path | None = None,
        llm_clients: Sequence[Any] = (),
    ) -> None:
        """`fit`, for code that runs in an event loop."""
        with self._fitting(agent, train_dataloader, val_dataloader, ckpt_path, llm_clients, ASYNC) as loop:
            await adrive(loop.run())

    @contextmanager
    def _fitting(
        self, agent: Module, train: Any, validation: Any, ckpt_path: Path | None, clients: Sequence[Any], hands: Hands
    ) -> Iterator[FitLoop]:
        """Set everything up, and put everything away."""
        check_agent(agent)
        check_ckpt_path(ckpt_path)
        if train is None:
            raise ValueError("fit() needs a train_dataloader.")
        feeds = Feed(train, "train_dataloader"), None if validation is None else Feed(validation, "val_dataloader")
        check_defined(
            agent, [TRAIN.step, "configure_optimizers", *([VALIDATION.step] if validation is not None else [])]
        )
        _dispatch.require_engine("Trainer.fit()")
        folder = Folder(self.default_root_dir)
        found = None if ckpt_path is None else folder.resolve(ckpt_path)
        with ExitStack() as stack:
            for feed in feeds:
                if feed is not None:
                    stack.callback(feed.close)
            outer = stack.enter_context(engine_session())
            session = inner_session(outer, budget=self.budget, reuse_answers=self.reuse_answers)
            fit = self._fit = self._last = self._begin(agent, session, clients, feeds)
            log = self._own_log(folder, found) if outer.log is None else None
            if log is not None:
                session.log = stack.enter_context(log)
            take_in(session)
            loop = FitLoop(fit, *feeds, Chorus([]), hands, self.gate, self.max_steps)
            recovery = Recovery(loop, session, own_budget=self.budget is not None, own_log=log is not None)
            loop.tell = Chorus(self._voices(folder, recovery))
            if found is not None:
                recovery.unpack(found[1], found[0])
                fit.checkpoint = str(found[0])
            stack.enter_context(session.activate())
            stack.enter_context(_mode_kept(agent))
            stack.enter_context(ending(fit, loop.tell, stack.enter_context(Terminable())))
            self._summarize(agent)
            yield loop

    def _begin(self, agent: Module, session: Session, clients: Sequence[Any], feeds: Sequence[Feed | None]) -> Fit:
        configured = agent.configure_optimizers()
        optimizers = optimizers_of(configured, agent)
        agent._optimizers = configured
        fit = Fit(agent, self.goal, session.ledger, Costs(session.ledger, check_clients(clients)), optimizers)
        fit.max_epochs = self.max_epochs
        fit.totals = {stage.name: feed.total for stage, feed in zip((TRAIN, VALIDATION), feeds, strict=True) if feed}
        fit.begin_epoch()
        return fit

    def _own_log(self, folder: Folder, found: Any) -> CallLog | None:
        """The log of this fit, where the engine has none: the one its checkpoint names, or a new one."""
        known = None if found is None else log_file(found[1], found[0])
        if known is not None:
            return CallLog(known)
        if found is not None:
            logger.warning("The call log of %s is not there: calls made after the checkpoint are made again.", found[0])
        return CallLog(folder.new_log()) if self.enable_checkpointing else None

    def _voices(self, folder: Folder, recovery: Recovery) -> list[Callback]:
        reporting = Reporting(end=not self.enable_progress_bar)
        voices: list[Callback] = [KeepBest(self.restore_best), *self.callbacks, reporting, Tracking()]
        if self.enable_progress_bar:
            voices.append(Showing(display_here()))
        if self.enable_checkpointing:
            policy = next((each for each in self.callbacks if isinstance(each, ModelCheckpoint)), None)
            if policy is None:
                policy = ModelCheckpoint()
                voices.append(policy)
            voices.append(Checkpointing(folder, recovery.pack, policy))
        return voices

    def _summarize(self, agent: Module) -> None:
        if self.enable_agent_summary:
            sys.stdout.write(f"{agent}\n")

    def estimate(
        self,
        agent: Module,
        train_dataloader: Iterable[Any],
        val_dataloader: Iterable[Any] | None = None,
        *,
        model: str | None = None,
        calls_per_sample: int | None = None,
        output_tokens: int = 128,
    ) -> Estimate:
        """What `fit` would presumably cost, in calls and dollars; makes no call.

        Args:
            agent: as for `fit`.
            train_dataloader: as for `fit`.
            val_dataloader: as for `fit`.
            model: the forward model's name, for its price; None: the one the agent used last.
            calls_per_sample: LM calls a step makes for each sample; None: one for each ``ChatCompletion`` module.
            output_tokens: expected length of an answer.

        Raises:
            TypeError: the loaders do not say how many samples they have.
        """
        check_agent(agent)
        gated = self.gate is not None and agent.automatic_optimization
        plan = Plan(self.max_epochs, self.max_steps, gated, model, calls_per_sample, output_tokens)
        optimizers = optimizers_of(agent.configure_optimizers(), agent)
        return estimate_fit(agent, optimizers, train_dataloader, val_dataloader, plan)

    # measuring

    def validate(
        self, agent: Module, val_dataloader: Iterable[Any] | None = None, llm_clients: Sequence[Any] = ()
    ) -> Metrics:
        """The mean of each metric of ``validation_step`` over all samples; needs no engine.

        Raises:
            TypeError, ValueError: the arguments cannot be used, or there are no data.
            StepError: the step returned something that cannot be used.
            BudgetExceeded: the budget is used up.
        """
        with self._measuring(agent, val_dataloader, "val_dataloader", VALIDATION, llm_clients) as (fit, feed, tell):
            return drive(_measured(fit, feed, VALIDATION, tell))

    async def avalidate(
        self, agent: Module, val_dataloader: Iterable[Any] | None = None, llm_clients: Sequence[Any] = ()
    ) -> Metrics:
        """`validate`, for code that runs in an event loop."""
        with self._measuring(agent, val_dataloader, "val_dataloader", VALIDATION, llm_clients) as (fit, feed, tell):
            return await adrive(_measured(fit, feed, VALIDATION, tell))

    def test(
        self, agent: Module, test_dataloader: Iterable[Any] | None = None, llm_clients: Sequence[Any] = ()
    ) -> Metrics:
        """The mean of each metric of ``test_step`` over all samples; see `validate`."""
        with self._measuring(agent, test_dataloader, "test_dataloader", TEST, llm_clients) as (fit, feed, tell):
            return drive(_measured(fit, feed, TEST, tell))

    async def atest(
        self, agent: Module, test_dataloader: Iterable[Any] | None = None, llm_clients: Sequence[Any] = ()
    ) -> Metrics:
        """`test`, for code that runs in an event loop."""
        with self._measuring(agent, test_dataloader, "test_dataloader", TEST, llm_clients) as (fit, feed, tell):
            return await adrive(_measured(fit, feed, TEST, tell))

    # predicting

    @property
    def predictions(self) -> list[Any]:
        """What the last `predict` has so far, also if it was ended early by an error, a budget or Ctrl-C."""
        return self._predictions

    def predict(
        self, agent: Module, predict_dataloader: Iterable[Any] | None = None, llm_clients: Sequence[Any] = ()
    ) -> list[Any]:
        """What ``predict_step`` returns for each batch, in order; needs no engine.

        ``predict_step(batch, batch_idx)`` is the agent's ``forward`` of the batch, unless it is redefined.  The agent
        is in eval mode, and no graph is built.  Where the step is ``async def``, it gets one sample at a time, and
        the entry of a batch is a list with one item for each sample, None for those that failed.  Where it is not,
        samples that failed are left out of the batch; if all failed, its entry is None.  `failures` names them.

        Raises:
            TypeError, ValueError: the arguments cannot be used, or there are no data.
            BudgetExceeded: the budget is used up; `predictions` has what was done before.
        """
        with self._measuring(agent, predict_dataloader, "predict_dataloader", PREDICT, llm_clients) as (
            fit,
            feed,
            tell,
        ):
            return drive(_predicted(fit, feed, tell, self._predictions))

    async def apredict(
        self, agent: Module, predict_dataloader: Iterable[Any] | None = None, llm_clients: Sequence[Any] = ()
    ) -> list[Any]:
        """`predict`, for code that runs in an event loop."""
        with self._measuring(agent, predict_dataloader, "predict_dataloader", PREDICT, llm_clients) as (
            fit,
            feed,
            tell,
        ):
            return await adrive(_predicted(fit, feed, tell, self._predictions))

    @contextmanager
    def _measuring(
        self, agent: Module, loader: Any, name: str, stage: Stage, clients: Sequence[Any]
    ) -> Iterator[tuple[Fit, Feed, Chorus]]:
        check_agent(agent)
        if loader is None:
            raise ValueError(f"{_METHODS[stage]}() needs a {name}.")
        feed = Feed(loader, name)
        if stage is PREDICT:
            self._predictions = []
        else:
            check_defined(agent, [stage.step])
        with engine_session() as outer:
            budget = self.budget if stage is PREDICT else None
            session = inner_session(outer, budget=budget, reuse_answers=self.reuse_answers)
            fit = Fit(agent, self.goal, session.ledger, Costs(session.ledger, check_clients(clients)))
            self._last = fit
            fit.totals = {stage.name: feed.total}
            own: list[Callback] = [Reporting(), Tracking(fits=False)]
            if self.enable_progress_bar:
                own.append(Showing(display_here()))
            tell = Chorus([*self.callbacks, *own])
            with session.activate():
                try:
                    yield fit, feed, tell
                except BaseException as error:
                    tell.on_exception(fit, error)
                    raise
                finally:
                    Chorus(own).on_fit_end(fit)  # no fit for the user's callbacks: only the display is to be closed


async def _measured(fit: Fit, feed: Feed, stage: Stage, tell: Chorus) -> Metrics:
    metrics = await measure(fit, feed, stage, tell)
    fit.costs.collect()
    fit.learned(metrics.prefixed(stage.prefix))
    tell.on_stage_end(fit, stage, metrics)
    return metrics


async def _predicted(fit: Fit, feed: Feed, tell: Chorus, predictions: list[Any]) -> list[Any]:
    metrics = await predict(fit, feed, tell, predictions)
    fit.costs.collect()
    tell.on_stage_end(fit, PREDICT, metrics)
    return predictions


_METHODS = {VALIDATION: "validate", TEST: "test", PREDICT: "predict"}


@contextmanager
def _mode_kept(agent: Module) -> Iterator[None]:
    was_training = agent.training
    try:
        yield
    finally:
        agent.train(was_training)
