"""Running a user's step on a batch: as one call or sample by sample, and what to do when it fails.

A step that fails is tried again; answers that were paid for come from the session's memo (or its log), so that only
what failed is asked anew.  If it fails still, each sample that is to blame is tried alone, with fresh answers.  Those
that fail then too are given up, and the step runs on the others.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from itertools import takewhile
from typing import TYPE_CHECKING, Any, NamedTuple

from afnio.autodiff.grad_mode import no_grad
from afnio.autodiff.ops.chat_completion import HOPELESS
from afnio.calls import User
from afnio.errors import APIConnectionError, BatchError, GraphError, NoBackwardModelError, NoEngineError, StepError
from afnio.trainer.batches import get_batch_size, sample_ids, select
from afnio.trainer.outcome import Failure, Outcome, manual_outcome, outcome_of
from afnio.trainer.results import read_manual, read_result
from afnio.trainer.sessions import fresh_answers, rewinder

if TYPE_CHECKING:
    import asyncio

__all__ = ["ATTEMPTS", "FATAL", "StepRunner"]

ATTEMPTS = 2

FATAL = (*HOPELESS, GraphError, NoBackwardModelError, NoEngineError, NotImplementedError, StepError)
"""Errors that no sample is to blame for: they end the fit."""


@dataclass(slots=True)
class _Work:
    """A batch under way: what its step returned, and which of its samples were given up.

    ``returned`` has one entry for each sample of an async step, by its place, else one for the whole batch.
    """

    batch: Any
    index: int
    size: int
    returned: dict[int, Any] = field(default_factory=dict)
    errors: dict[int, BaseException] = field(default_factory=dict)

    @property
    def kept(self) -> list[int]:
        """Places of the samples that went through."""
        return [place for place in range(self.size) if place not in self.errors]


class _Call(NamedTuple):
    """A sample about to be given to an async step."""

    part: Any
    work: _Work
    place: int


def _works(batches: Sequence[tuple[int, Any]]) -> list[_Work]:
    return [_Work(batch, index, get_batch_size(batch)) for index, batch in batches]


@dataclass(slots=True)
class StepRunner:
    """Runs ``step`` on batch after batch.

    Attributes:
        step: the agent's ``training_step``, ``validation_step``, ``test_step`` or ``predict_step``, sync or async.
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

    @property
    def takes_samples(self) -> bool:
        """Whether the step is async: it gets one sample at a time, and those of several batches can be side by side."""
        return inspect.iscoroutinefunction(self.step)

    async def run(self, batch: Any, index: int) -> Outcome:
        """What the step makes of ``batch``.

        Raises:
            StepError: it returned something that cannot be used.
            Exception: an error in `FATAL`; or the first one, if every sample of the first batch failed, or every one of
                a later batch for want of an answer.
        """
        return (await self.run_all([(index, batch)]))[0]

    async def run_all(self, batches: Sequence[tuple[int, Any]]) -> list[Outcome]:
        """`run`, for several batches with their numbers; an async step gets the samples of all of them side by side."""
        works = _works(batches)
        await self._run(works)
        return [self._outcome(work) for work in works]

    async def predict_all(self, batches: Sequence[tuple[int, Any]], predictions: list[Any]) -> list[Outcome]:
        """Append what the step returned for each batch, as it is, to ``predictions``; returns how many samples that is.

        Of an async step that is a list with one entry for each sample, None for one that was given up.  Whatever is
        raised, the first batches that are complete by then were appended.
        """
        works = _works(batches)
        try:
            await self._run(works)
        except BaseException:
            complete = takewhile(lambda work: self.takes_samples and len(work.returned) == work.size, works)
            predictions += [self._prediction(work) for work in complete]
            raise
        predictions += [self._prediction(work) for work in works]
        return [Outcome(None, len(work.kept), len(work.errors)) for work in works]

    def _prediction(self, work: _Work) -> Any:
        return [work.returned.get(place) for place in range(work.size)] if self.takes_samples else work.returned.get(0)

    async def once(self, batch: Any, index: int) -> Outcome:
        """Call the step once, whatever happens: it optimizes by hand and must not be repeated."""
        returned = await User(self.step, batch, index)
        self.passed = True
        return manual_outcome(batch, get_batch_size(batch), read_manual(returned, self._where), self._where)

    async def _run(self, works: Sequence[_Work]) -> None:
        if self.takes_samples:
            await self._each(works)
        for work in works:
            if not self.takes_samples:
                returned = await self._whole(work.batch, work.index, work.size, work.errors)
                work.returned = dict(enumerate(returned))
                self.passed |= bool(returned)
            self._tell(work.batch, work.index, work.size, work.errors)

    def _outcome(self, work: _Work) -> Outcome:
        kept, failed = work.kept, len(work.errors)
        if not kept:
            return Outcome(None, 0, work.size)
        part = select(work.batch, kept) if failed else work.batch
        results = [read_result(work.returned[place], self._where) for place in sorted(work.returned)]
        return outcome_of(part, len(kept), failed, results, self._where)

    # one call for the whole batch

    async def _whole(self, batch: Any, index: int, size: int, errors: dict[int, BaseException]) -> list[Any]:
        """What the step returned for the samples that go through; ``errors`` is filled with those that do not."""
        rewind, rounds = rewinder(), 0
        while len(errors) < size:
            kept = [place for place in range(size) if place not in errors]
            part = select(batch, kept) if errors else batch
            returned, error = await self._attempts(part, index, rewind)
            if error is None:
                return [returned]
            found = await self._to_blame(part, index, len(kept), error)
            rounds += 1
            if not found and rounds > ATTEMPTS:  # each alone goes through, all together never
                found = dict.fromkeys(range(len(kept)), error)
            errors |= {kept[place]: each for place, each in found.items()}
            rewind()
        return []

    async def _attempts(self, part: Any, index: int, rewind: Callable[[], None]) -> tuple[Any, Exception | None]:
        """What the step returned, or its last error."""
        error = None
        for attempt in range(ATTEMPTS):
            if attempt:
                rewind()
            returned, error = await self._try(part, index)
            if error is None:
                return returned, None
        return None, error

    async def _try(self, part: Any, index: int) -> tuple[Any, Exception | None]:
        try:
            return await User(self.step, part, index), None
        except FATAL:
            raise
        except Exception as error:  # noqa: BLE001  # the user's step may raise anything
            return None, error

    async def _to_blame(self, part: Any, index: int, size: int, error: Exception) -> dict[int, BaseException]:
        """Position -> error of the samples that fail alone, with fresh answers too."""
        parts = {place: select(part, [place]) for place in range(size)}
        found: dict[int, BaseException] = {}
        with no_grad():
            if isinstance(error, BatchError) and error.size == size:
                found = dict(error.errors)
            else:
                for place, one in parts.items():
                    _note(found, place, (await self._try(one, index))[1])
            if len(found) == size and not self.passed:
                return found  # a bug, most likely: no fresh answers are paid for it
            for place in list(found):
                with fresh_answers():
                    _note(found, place, (await self._try(parts[place], index))[1])
        return found

    # one call for each sample, side by side

    async def _each(self, works: Sequence[_Work]) -> None:
        waiting = {
            (work.index, place): (work, place, select(work.batch, [place]) if work.size > 1 else work.batch)
            for work in works
            for place in range(work.size)
        }
        everything = len(waiting)
        for attempt in range(ATTEMPTS + 1):
            calls = [_Call(part, work, place) for work, place, part in waiting.values()]
            with fresh_answers() if attempt == ATTEMPTS else nullcontext():
                results = await User(_side_by_side, self.step, calls)
            for name, result in zip(list(waiting), results, strict=True):
                work, place, _ = waiting[name]
                if isinstance(result, BaseException):
                    work.errors[place] = result
                else:
                    work.errors.pop(place, None)
                    del waiting[name]
            hopeless = attempt == ATTEMPTS - 1 and len(waiting) == everything and not self.passed
            if not waiting or hopeless:
                break
        self.passed |= len(waiting) < everything

    def _tell(self, batch: Any, index: int, size: int, errors: dict[int, BaseException]) -> None:
        if not errors:
            return
        if len(errors) == size and not self.passed:
            raise _first(errors)
        if len(errors) == size > 1 and all(isinstance(error, APIConnectionError) for error in errors.values()):
            raise errors[0]  # it answers nobody any more: to go on would only count everything as wrong
        names = sample_ids(batch)
        for place in sorted(errors):
            self.report(Failure(self.stage, index, names[place], errors[place]))


def _note(found: dict[int, BaseException], place: int, error: BaseException | None) -> None:
    if error is None:
        found.pop(place, None)
    else:
        found[place] = error


def _first(errors: dict[int, BaseException]) -> BaseException:
    first = errors[min(errors)]
    if isinstance(first, BatchError):
        first = first.errors[min(first.errors)]
    first.add_note("Every sample of the first batch failed, so this is no matter of single samples.")
    return first


async def _side_by_side(step: Callable[..., Any], calls: Sequence[_Call]) -> list[Any]:
    """What ``step`` returned or raised for each sample; an error in `FATAL` ends the others.

    What it returned is written into the work at once: that is known also when the others are ended.
    """
    import asyncio

    async def one(call: _Call) -> Any:
        returned = call.work.returned[call.place] = await step(call.part, call.work.index)
        return returned

    tasks = [asyncio.ensure_future(one(call)) for call in calls]

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
