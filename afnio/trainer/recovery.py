"""What a checkpoint holds, and how a fit goes on from it."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from decimal import Decimal
from pathlib import Path
from typing import Any

from afnio.calls import CallLog, Reply, Session
from afnio.calls.session import MEMO_ROLES
from afnio.errors import CallLogError, CheckpointError
from afnio.trainer.averages import Metrics
from afnio.trainer.checkpoints import FORMAT
from afnio.trainer.fit import Best, Fit
from afnio.trainer.loop import FitLoop

logger = logging.getLogger("afnio.trainer")

__all__ = ["Recovery", "log_file"]

Ranges = list[list[int]]


class Recovery:
    """Packs a fit into a checkpoint and unpacks it again.

    Args:
        loop: the fit.
        session: its session.
        own_budget: whether the budget is this fit's alone, so that what it spent belongs into the checkpoint.
        own_log: whether the log is.
    """

    def __init__(self, loop: FitLoop, session: Session, *, own_budget: bool, own_log: bool) -> None:
        self._loop, self._session = loop, session
        self._own_budget, self._own_log = own_budget, own_log
        self._start: Ranges = session.log.state() if session.log is not None else []

    # packing

    def pack(self) -> dict[str, Any]:
        """The content of a checkpoint."""
        fit = self._loop.fit
        states = [optimizer.state_dict() for optimizer in fit.optimizers]
        content = {
            "format": FORMAT,
            "epoch": fit.progress.epoch_number,
            "batch": fit.progress.last_batch if fit.progress.batch else None,
            "agent_state_dict": fit.agent.state_dict(keep_vars=True),
            "optimizer_state_dict": states[0] if len(states) == 1 else states,
            "trainer": self._trainer_state(fit),
        }
        self._loop.tell.on_save_checkpoint(fit, content)
        return content

    def _trainer_state(self, fit: Fit) -> dict[str, Any]:
        loop, budget = self._loop, self._session.budget
        return {
            "progress": fit.progress.state_dict(),
            "train": fit.train.state_dict(),
            "held": fit.held.state_dict(),
            "metrics": dict(fit.metrics),
            "stderr": fit.metrics.stderr,
            "history": fit.history,
            "best": None if fit.best is None else asdict(fit.best),
            "costs": fit.costs.state_dict(),
            "train_loader": loop.train.state_dict(),
            "val_loader": None if loop.validation is None else loop.validation.state_dict(),
            "train_data": loop.train.marks(),
            "val_data": None if loop.validation is None else loop.validation.marks(),
            "callbacks": loop.tell.states(),
            "budget": budget.state_dict() if budget is not None and self._own_budget else None,
            "log": self._log_state(),
        }

    def _log_state(self) -> dict[str, Any] | None:
        log = self._session.log
        return None if log is None else {"file": log.path.name, "start": self._start, "state": log.state()}

    # unpacking

    def unpack(self, content: Mapping[str, Any], path: Path) -> None:
        """Bring everything back to where the checkpoint was made, or leave agent and optimizers as they are.

        Raises:
            CheckpointError: it does not fit the agent or its optimizers.
        """
        fit = self._loop.fit
        with _unchanged_on_error(fit):
            try:
                fit.agent.load_state_dict(content["agent_state_dict"])
                self._unpack_optimizers(fit, content["optimizer_state_dict"])
                self._unpack_trainer(fit, content.get("trainer"), content)
                if content.get("trainer"):
                    self._unpack_calls(content["trainer"])
            except (CallLogError, CheckpointError):
                raise
            except KeyError as error:
                raise CheckpointError(f"{path} is no whole checkpoint of a Trainer: it lacks {error}.") from error
            except (LookupError, ValueError, RuntimeError, TypeError, AttributeError, ArithmeticError) as error:
                raise CheckpointError(f"{path} does not fit this agent: {type(error).__name__}: {error}") from error
            self._loop.tell.on_load_checkpoint(fit, content)

    def _unpack_optimizers(self, fit: Fit, saved: Any) -> None:
        states = saved if isinstance(saved, list) else [saved]
        if len(states) != len(fit.optimizers):
            raise ValueError(
                f"it has the states of {len(states)} optimizers, and configure_optimizers() returns "
                f"{len(fit.optimizers)}"
            )
        for optimizer, state in zip(fit.optimizers, states, strict=True):
            optimizer.load_state_dict(state)

    def _unpack_trainer(self, fit: Fit, state: Mapping[str, Any] | None, content: Mapping[str, Any]) -> None:
        loop = self._loop
        fit.begin_epoch()
        if state is None:  # of an older release: epochs count, nothing else is known
            fit.progress.epoch = content["epoch"] - (content.get("batch") is not None)
            return
        fit.progress.load_state_dict(state["progress"])
        fit.train.load_state_dict(state["train"])
        fit.held.load_state_dict(state["held"])
        fit.metrics = Metrics(state["metrics"], state["stderr"])
        fit.history[:] = state["history"]
        fit.best = None if state["best"] is None else Best(**state["best"])
        fit.costs.load_state_dict(state["costs"])
        loop.train.check_marks(state.get("train_data"), under_way=fit.progress.batch > 0)
        loop.train.load_state_dict(state["train_loader"])
        if loop.validation is not None:
            loop.validation.check_marks(state.get("val_data"), under_way=False)
        if loop.validation is not None and state["val_loader"]:
            loop.validation.load_state_dict(state["val_loader"])
        loop.tell.load_states(state["callbacks"])

    def _is_of(self, log: CallLog, saved: Mapping[str, Any]) -> bool:
        """Whether ``log`` is the one the checkpoint speaks of."""
        lines = max((end - 1 for _, end in saved["state"]), default=0)
        if log.path.name == saved["file"] and len(log) >= lines:
            return True
        logger.warning("%s is not the call log of the checkpoint: its answers are asked for again.", log.path)
        return False

    def _unpack_calls(self, state: Mapping[str, Any]) -> None:
        """Rewind the log; put back what the memo knew and what was spent."""
        session, saved, fit = self._session, state["log"], self._loop.fit
        budget = session.budget if self._own_budget else None
        if budget is not None and state["budget"] is not None:
            budget.load_state_dict(state["budget"])
        log = session.log
        if saved is None or log is None or not self._is_of(log, saved):
            return
        self._start = saved["start"]
        _remember(session, log, _without(saved["state"], saved["start"]))
        if self._own_log:
            paid = _paid_after(log, saved["state"])
            fit.costs.add(
                sum((r.cost.usd or Decimal(0) for r in paid), Decimal(0)), sum(r.cost.usd is None for r in paid)
            )
            if budget is not None:
                budget.load_state_dict(_plus(budget.state_dict(), paid))
        log.rewind(saved["state"])


@contextmanager
def _unchanged_on_error(fit: Fit) -> Iterator[None]:
    """Put back what a checkpoint that does not fit has changed already."""
    agent = fit.agent
    contents = [each for chat in agent.chats() for message in chat for each in message["content"]]
    kept = [(each, each.data, each.role) for each in (*agent.parameters(), *agent.buffers(), *contents) if each.is_leaf]
    optimizers = [(optimizer, optimizer.snapshot(), optimizer.state_dict()) for optimizer in fit.optimizers]
    try:
        yield
    except BaseException:
        for optimizer, snapshot, state in optimizers:
            optimizer.load_state_dict(state)
            optimizer.restore(snapshot)
        for variable, data, role in kept:
            variable.data, variable.role = data, role
        raise


def log_file(content: Mapping[str, Any], checkpoint: Path) -> Path | None:
    """The call log that belongs to a checkpoint, if it is there: beside it, or beside its folder."""
    saved = (content.get("trainer") or {}).get("log")
    if not isinstance(saved, Mapping) or not isinstance(saved.get("file"), str):
        return None
    folders = (checkpoint.parent, checkpoint.parent.parent)
    return next((path for folder in folders if (path := folder / saved["file"]).is_file()), None)


def _remember(session: Session, log: CallLog, lines: Ranges) -> None:
    """Put into the memo what these lines answered."""
    if session.memo is None:
        return
    log.rewind(lines)
    for reply in log.replies(*MEMO_ROLES):
        if reply.fault is None:
            # The last one stays: an answer that could not be used was asked for anew.
            session.memo.update({reply.request.key: reply})


def _paid_after(log: CallLog, state: Ranges) -> list[Reply]:
    """The calls another process paid for after the checkpoint, and which will now be answered from the log."""
    log.rewind(_without([[1, len(log) + 1]], state))
    known = _lines(state)
    return list({reply.line: reply for reply in log.replies() if reply.line not in known}.values())


def _plus(spent: dict[str, Any], paid: list[Reply]) -> dict[str, Any]:
    return {
        **spent,
        "calls": spent["calls"] + len(paid),
        "tokens": spent["tokens"] + sum(reply.usage.total for reply in paid),
        "output_tokens": spent["output_tokens"] + sum(reply.usage.output_tokens for reply in paid),
        "usd": str(Decimal(spent["usd"]) + sum((reply.cost.usd or Decimal(0) for reply in paid), Decimal(0))),
    }


def _without(ranges: Ranges, others: Ranges) -> Ranges:
    lines = sorted(_lines(ranges) - _lines(others))
    made: Ranges = []
    for line in lines:
        if made and made[-1][1] == line:
            made[-1][1] = line + 1
        else:
            made.append([line, line + 1])
    return made


def _lines(ranges: Ranges) -> set[int]:
    return {line for start, end in ranges for line in range(start, end)}
