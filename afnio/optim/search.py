"""`Search`: the base of optimizers that try values before they decide."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from afnio import _dispatch
from afnio.autodiff.job import StepJob
from afnio.calls import OnLoop, Session, adrive, current_session, drive, run_inline
from afnio.calls.memo import Memo
from afnio.models.invoke import is_inline
from afnio.optim.bench import Bench
from afnio.optim.naming import name_by_role
from afnio.optim.optimizer import Optimizer, Params
from afnio.optim.telling import Update, tell
from afnio.parameter import Parameter
from afnio.variable import Variable

__all__ = ["Search", "propose"]


class Search(Optimizer):
    """An optimizer whose `step` evaluates candidates by its ``closure``; subclasses define ``search``.

    Attributes:
        reuse_answers: answer a forward call that was made before from memory, as long as the optimizer lives.
    """

    needs_closure = True

    def __init__(self, params: Params, defaults: dict[str, Any], reuse_answers: bool = True) -> None:
        self.reuse_answers = reuse_answers
        self._memo = Memo()
        super().__init__(params, defaults)

    def check(self, group: dict[str, Any]) -> None:
        """Check that the parameters can be tried.

        Raises:
            TypeError: one is a plain Variable.
        """
        for param in group["params"]:
            if not isinstance(param, Parameter):
                raise TypeError(
                    f"{type(self).__name__} tries values side by side, which takes Parameters; {param.role!r} is a "
                    f"{type(param).__name__}."
                )

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Try values by ``closure``, one after the other, and keep the best.

        Args:
            closure: evaluates the agent with the values its parameters have, and returns the loss: that of an
                evaluator, a list of them, scores of the samples, or an `Evaluation`.  It need not call ``backward()``.

        Returns:
            what ``closure`` returned for the values that were held before.

        Raises:
            NoEngineError: no active Run and no engine.
            ValueError: no closure.
            BudgetExceeded: the budget does not allow the next call.  Whatever is raised, no parameter was changed.
        """
        bench = self._bench(closure, "step", side_by_side=False)
        with self._session():
            return drive(self.search(bench))

    async def astep(self, closure: Callable[[], Any] | None = None) -> Any:
        """`step`, for code that runs in an event loop; where ``closure`` is ``async def``, all are tried at once."""
        bench = self._bench(closure, "astep", side_by_side=True)
        with self._session():
            return await adrive(self.search(bench))

    async def search(self, bench: Bench) -> Any:
        """Try values and decide; to be defined by each optimizer, and driven.  Returns what the closure returned."""
        raise NotImplementedError(f"{type(self).__name__} must define search().")

    def _bench(self, closure: Callable[[], Any] | None, how: str, side_by_side: bool) -> Bench:
        _dispatch.require_engine(f"optimizer.{how}()")
        if closure is None:
            raise ValueError(
                f"{type(self).__name__} tries values: pass optimizer.{how}(closure), where closure() evaluates the "
                "agent on the batch and returns the loss."
            )
        self._begin()
        return Bench(self.parameters(), closure, side_by_side)

    def parameters(self) -> list[Parameter]:
        """All parameters, in order."""
        return [param for param in self.params() if isinstance(param, Parameter)]

    @contextmanager
    def _session(self) -> Iterator[None]:
        """Inside, answers are remembered, unless whoever called remembers them."""
        session = current_session()
        if session.memo is not None or not self.reuse_answers:
            yield
            return
        parts = {"log": session.log, "budget": session.budget, "ledger": session.ledger, "job": session.job}
        with Session(**parts, memo=self._memo).activate():  # type: ignore[arg-type]
            yield

    def take(
        self, values: Sequence[Any], reasoning: Sequence[str] = (), grads: Sequence[Sequence[Variable]] | None = None
    ) -> None:
        """Hold ``values`` from now on, and tell of those that are new."""
        tracker = _dispatch.current_tracker()
        reasons = [*reasoning, *[""] * (len(values) - len(reasoning))]
        for param, value, why in zip(self.params(), values, reasons, strict=True):
            before = param.data
            if before != value:
                param.data = value
                name = self._names.get(param) or name_by_role(tracker, param)
                self.last_updates.append(Update(param, before, param.data, why, name, self._steps))
        given = zip(self.params(), grads or [], strict=False)
        tell(self.last_updates, {id(param): pieces for param, pieces in given if pieces})


async def propose(rule: str, items: Sequence[Any]) -> list[Any]:
    """What the rule makes of ``items``, all at once; to be driven."""
    if not items:
        return []
    engine = _dispatch.require_engine("optimizer.step()")
    inline = engine.inline and all(is_inline(item.client) for item in items)
    work = engine.run_step(StepJob(rule, [{"item": item} for item in items], inline))
    found: list[Any] = run_inline(work) if inline else await OnLoop(work)
    return found
