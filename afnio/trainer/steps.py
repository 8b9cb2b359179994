"""Running a user's step on a batch: as one call or sample by sample, and what to do when it fails.

A step that fails is tried again; answers that were paid for come from the session's memo, so that only what failed
is asked anew.  If it fails still, the samples that are to blame are given up and the step runs on the others.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from afnio.autodiff.grad_mode import no_grad
from afnio.autodiff.ops.chat_completion import HOPELESS
from afnio.calls import User
from afnio.errors import BatchError, GraphError, NoEngineError, StepError
from afnio.trainer.batches import get_batch_size, sample_ids, select
from afnio.trainer.outcome import Failure, Outcome, outcome_of
from afnio.trainer.results import read_result

if TYPE_CHECKING:
    import asyncio

__all__ = ["ATTEMPTS", "FATAL", "StepRunner"]

ATTEMPTS = 3

FATAL = (*HOPELESS, GraphError, NoEngineError, NotImplementedError, StepError)
"""Errors that no sample is to blame for: they end the fit."""


@dataclass(slots=True)
class StepRunner:
    """Runs ``step`` on batch after batch.

    Attributes:
        step: the agent's ``training_step``, ``validation_step`` or ``test_step``, sync or async.
        stage: what its failures are reported under.
        report: told of each sample that is given up.
        passed: whether any sample went through so far: until then a failure is raised, for a bug in the step must not
            look like a low score.
    """

    step: Callable[..., Any]
    stage: str
    report: Callable[[Failure], None]
    passed: bool = False
    _where: str = field(init=False)

    def __post_init__(self) -> None:
        self._where = f"{getattr(self.step, '__qualname__', self.step)}()"

    async def run(self, batch: Any, index: int) -> Outcome:
        """What the step makes of ``batch``.

        Raises:
            StepError: it returned something that cannot be used.
            Exception: an error in `FATAL`; or the first one, if every sample of the first batch failed.
        """
        size = get_batch_size(batch)
        errors: dict[int, BaseException] = {}
        run = self._each if inspect.iscoroutinefunction(self.step) else self._whole
        returned = await run(batch, index, size, errors)
        self._tell(batch, index, size, errors)
        kept = [place for place in range(size) if place not in errors]
        if not kept:
            return Outcome(None, 0, size)
        self.passed = True
        part = select(batch, kept) if errors else batch
        return outcome_of(
            part, len(kept), len(errors), [read_result(one, self._where) for one in returned], self._where
        )

    async def once(self, batch: Any, index: int) -> Outcome:
        """Call the step once, whatever happens: it optimizes by hand and must not be repeated."""
        returned = await User(self.step, batch, index)
        size = get_batch_size(batch)
        self.passed = True
        return outcome_of(batch, size, 0, [read_result(returned, self._where)], self._where)

    # one call for the whole batch

    async def _whole(self, batch: Any, index: int, size: int, errors: dict[int, BaseException]) -> list[Any]:
        """What the step returned for the samples that go through; ``errors`` is filled with those that do not."""
        while len(errors) < size:
            kept = [place for place in range(size) if place not in errors]
            part = select(batch, kept) if errors else batch
            try:
                return [await self._attempts(part, index)]
            except FATAL:
                raise
            except Exception as error:  # noqa: BLE001  # the user's step may raise anything
                found = await self._to_blame(part, index, len(kept), error)
                errors |= {kept[place]: each for place, each in found.items()}
        return []

    async def _attempts(self, part: Any, index: int) -> Any:
        for left in reversed(range(ATTEMPTS)):
            try:
                return await User(self.step, part, index)
            except FATAL:
                raise
            except Exception:
                if not left:
                    raise
        raise AssertionError("unreachable")

    async def _to_blame(self, part: Any, index: int, size: int, error: Exception) -> dict[int, BaseException]:
        """Position -> error of the samples that fail; all of them, if each alone goes through."""
        if isinstance(error, BatchError) and error.size == size:
            return error.errors
        if size == 1:
            return {0: error}
        found: dict[int, BaseException] = {}
        for place in range(size):
            try:
                with no_grad():
                    await User(self.step, select(part, [place]), index)
            except FATAL:
                raise
            except Exception as alone:  # noqa: BLE001
                found[place] = alone
        return found or dict.fromkeys(range(size), error)

    # one call for each sample, side by side

    async def _each(self, batch: Any, index: int, size: int, errors: dict[int, BaseException]) -> list[Any]:
        waiting = dict(enumerate([select(batch, [place]) for place in range(size)] if size > 1 else [batch]))
        done: dict[int, Any] = {}
        for _ in range(ATTEMPTS):
            results = await User(_side_by_side, self.step, list(waiting.values()), index)
            errors.clear()
            for place, result in zip(list(waiting), results, strict=True):
                if isinstance(result, BaseException):
                    errors[place] = result
                else:
                    done[place] = result
                    del waiting[place]
            if not waiting:
                break
        return [done[place] for place in sorted(done)]

    def _tell(self, batch: Any, index: int, size: int, errors: dict[int, BaseException]) -> None:
        if not errors:
            return
        if len(errors) == size and not self.passed:
            raise _first(errors)
        names = sample_ids(batch)
        for place in sorted(errors):
            self.report(Failure(self.stage, index, names[place], errors[place]))


def _first(errors: dict[int, BaseException]) -> BaseException:
    first = errors[min(errors)]
    if isinstance(first, BatchError):
        first = first.errors[min(first.errors)]
    first.add_note("Every sample of the first batch failed, so this is no matter of single samples.")
    return first


async def _side_by_side(step: Callable[..., Any], parts: Sequence[Any], index: int) -> list[Any]:
    """What ``step`` returned or raised for each part; an error in `FATAL` ends the others."""
    import asyncio

    tasks = [asyncio.ensure_future(step(part, index)) for part in parts]

    def ended(task: asyncio.Future[Any]) -> None:
        if not task.cancelled() and isinstance(task.exception(), FATAL):
            for other in tasks:
                other.cancel()

    for task in tasks:
        task.add_done_callback(ended)
    try:
        results = await asyncio.gather(*tasks, return_exceptions=True)
    except BaseException:
        for task in tasks:
            task.cancel()
        raise
    for result in results:
        if isinstance(result, FATAL) or (isinstance(result, BaseException) and not isinstance(result, Exception)):
            raise next((each for each in results if isinstance(each, FATAL)), result)
    return results
