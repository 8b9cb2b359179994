"""`Bench`: tries values of parameters by the user's closure, side by side where it is async."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from afnio.autodiff import abackward, backward
from afnio.autodiff.grad_mode import enable_grad
from afnio.autodiff.together import together
from afnio.calls import User
from afnio.optim.evaluation import Evaluation, read_evaluation
from afnio.parameter import Parameter
from afnio.trial import trial
from afnio.variable import Variable

__all__ = ["Bench", "Values"]

Values = tuple[Any, ...]
"""One value for each parameter."""


class Bench:
    """Runs a closure with values tried in its parameters, which are afterwards as they were.

    From sync code one value is tried at a time.  From async code all are, each in a context of its own; threads that
    the closure starts then see the values only if they copy the context, as ``asyncio.to_thread`` does.

    Args:
        params: the parameters.
        closure: evaluates the agent with the values the parameters have when it is called.
        side_by_side: it is called from async code: several values are tried at once.
    """

    def __init__(self, params: Sequence[Parameter], closure: Callable[[], Any], side_by_side: bool) -> None:
        self._params, self._closure, self._side_by_side = list(params), closure, side_by_side

    async def evaluate(self, values: Sequence[Values]) -> list[Evaluation]:
        """What the closure says of each of ``values``; to be driven."""
        if self._side_by_side:
            found: list[Evaluation] = await User(self._all, values)
            return found
        return [await User(self._one, each) for each in values]

    async def feedback(self, values: Sequence[Values], evaluations: Sequence[Evaluation]) -> None:
        """Have the feedback on the parameters computed for each of ``values``, into ``evaluations``; to be driven."""
        due = [
            (each, found)
            for each, found in zip(values, evaluations, strict=True)
            if found.roots and not any(found.grads)
        ]
        if self._side_by_side:
            await User(self._all_back, due)
        else:
            for each, found in due:
                await User(self._back, each, found)

    def _trying(self, values: Values) -> Any:
        return trial(dict(zip(self._params, values, strict=True)))

    def _grads(self) -> list[list[Variable]]:
        return [list(param.grad) for param in self._params]

    @contextmanager
    def _written(self, values: Values) -> Iterator[None]:
        """The parameters really hold ``values``: threads that the user's code starts know nothing of a trial."""
        before = [param._data for param in self._params]
        try:
            for param, value in zip(self._params, values, strict=True):
                param._data = value
            yield
        finally:
            for param, value in zip(self._params, before, strict=True):
                param._data = value

    def _one(self, values: Values) -> Evaluation:
        with self._trying(values), self._written(values), enable_grad():
            found = read_evaluation(self._closure())
            found.grads = self._grads()
            return found

    def _back(self, values: Values, found: Evaluation) -> None:
        with self._trying(values):
            backward(found.roots)
            found.grads = self._grads()

    async def _aone(self, values: Values) -> Evaluation:
        with self._trying(values), enable_grad():
            returned = self._closure()
            found = read_evaluation(await returned if inspect.isawaitable(returned) else returned)
            found.grads = self._grads()
            return found

    async def _aback(self, values: Values, found: Evaluation) -> None:
        with self._trying(values):
            await abackward(found.roots)
            found.grads = self._grads()

    async def _all(self, values: Sequence[Values]) -> list[Evaluation]:
        return await together([self._aone(each) for each in values])

    async def _all_back(self, due: Sequence[tuple[Values, Evaluation]]) -> None:
        await together([self._aback(*each) for each in due])
