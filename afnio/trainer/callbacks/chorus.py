"""`Chorus`: many callbacks as one."""

from __future__ import annotations

import logging
import traceback
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from afnio.trainer.averages import Metrics
from afnio.trainer.callbacks.base import HOOKS, Callback
from afnio.trainer.fit import Fit, Stage
from afnio.trainer.gates import Verdict
from afnio.trainer.outcome import Failure, Outcome

__all__ = ["Chorus"]

logger = logging.getLogger("afnio.trainer")


class Chorus(Callback):
    """Tells each of ``callbacks``, in order.  What a user's callback raises is noted to be its."""

    def __init__(self, callbacks: Sequence[Any]) -> None:
        self.callbacks = list(callbacks)

    def on_fit_start(self, fit: Fit) -> None:
        """Told to each."""
        self._tell("on_fit_start", fit)

    def on_epoch_start(self, fit: Fit) -> None:
        """Told to each."""
        self._tell("on_epoch_start", fit)

    def on_stage_start(self, fit: Fit, stage: Stage) -> None:
        """Told to each."""
        self._tell("on_stage_start", fit, stage)

    def on_batch_start(self, fit: Fit, stage: Stage, batch: Any, batch_idx: int) -> None:
        """Told to each."""
        self._tell("on_batch_start", fit, stage, batch, batch_idx)

    def on_batch_end(self, fit: Fit, stage: Stage, outcome: Outcome, metrics: Metrics) -> None:
        """Told to each."""
        self._tell("on_batch_end", fit, stage, outcome, metrics)

    def on_verdict(self, fit: Fit, verdict: Verdict) -> None:
        """Told to each."""
        self._tell("on_verdict", fit, verdict)

    def on_undo(self, fit: Fit) -> None:
        """Told to each."""
        self._tell("on_undo", fit)

    def on_skip(self, fit: Fit, error: Exception) -> None:
        """Told to each."""
        self._tell("on_skip", fit, error)

    def on_failure(self, fit: Fit, failure: Failure) -> None:
        """Told to each."""
        self._tell("on_failure", fit, failure)

    def on_stage_end(self, fit: Fit, stage: Stage, metrics: Metrics) -> None:
        """Told to each."""
        self._tell("on_stage_end", fit, stage, metrics)

    def on_epoch_end(self, fit: Fit) -> None:
        """Told to each."""
        self._tell("on_epoch_end", fit)

    def on_exception(self, fit: Fit, error: BaseException) -> None:
        """Told to each, whatever another one raises: the error that is told of must not be lost."""
        for fault in self._tell_all("on_exception", fit, error):
            logger.warning("%s", _described(fault))

    def on_fit_end(self, fit: Fit) -> None:
        """Told to each, whatever another one raises; the first error is raised then."""
        faults = self._tell_all("on_fit_end", fit)
        for fault in faults[1:]:
            logger.warning("%s", _described(fault))
        if faults:
            raise faults[0]

    def on_save_checkpoint(self, fit: Fit, checkpoint: dict[str, Any]) -> None:
        """Told to each."""
        self._tell("on_save_checkpoint", fit, checkpoint)

    def on_load_checkpoint(self, fit: Fit, checkpoint: Mapping[str, Any]) -> None:
        """Told to each."""
        self._tell("on_load_checkpoint", fit, checkpoint)

    def _tell(self, hook: str, *args: Any) -> None:
        for each in self.callbacks:
            try:
                getattr(each, hook)(*args)
            except Exception as error:
                _blame(error, each, hook)
                raise

    def _tell_all(self, hook: str, *args: Any) -> list[Exception]:
        """What the callbacks raised, each noted to be theirs."""
        faults = []
        for each in self.callbacks:
            try:
                getattr(each, hook)(*args)
            except Exception as error:  # noqa: BLE001  # a user's code may raise anything; the others must be told
                _blame(error, each, hook)
                faults.append(error)
        return faults

    # states

    def states(self) -> dict[str, dict[str, Any]]:
        """The states of those that have one, for a checkpoint."""
        return {name: state for name, each in self._named() if (state := each.state_dict())}

    def load_states(self, states: Mapping[str, dict[str, Any]]) -> None:
        """Give each its state back; callbacks that were not there then start anew."""
        for name, each in self._named():
            if name in states:
                each.load_state_dict(states[name])

    def _named(self) -> Iterator[tuple[str, Any]]:
        """Class and number among those of its class -> callback."""
        seen: Counter[str] = Counter()
        for each in self.callbacks:
            kind = type(each).__qualname__
            yield f"{kind}:{seen[kind]}", each
            seen[kind] += 1


def _blame(error: Exception, callback: object, hook: str) -> None:
    """Note whose ``error`` is; ``hook`` was called, and may have called the one by Lightning's name."""
    if not type(callback).__module__.startswith("afnio."):
        called = [frame.f_code.co_name for frame, _ in traceback.walk_tb(error.__traceback__)]
        where = next((name for name in reversed(called) if name in HOOKS), hook)
        error.add_note(f"Raised by the callback {type(callback).__name__}, in {where}().")


def _described(error: Exception) -> str:
    return " ".join([f"{type(error).__name__}: {error}", *getattr(error, "__notes__", ())])
