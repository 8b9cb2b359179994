"""Where our clients' backward passes and steps run: in their own process, or through the Tellurio server."""

from __future__ import annotations

import contextlib
import time
from typing import Any

import afnio
from afnio.models.prices import set_price
from benchmarks.clients.driver import Task

__all__ = ["Engine"]

DOLLARS = (2, 10)
"""Of a million input and output tokens of the simulated model: so that there is a cost to reconcile."""


class Engine:
    """What `Task.options` say: ``{"lm_calls": "server"}`` (or ``"client"``) goes through the server, by ``te.init``.

    A Run is begun before each repeat of the job and finished after it, outside the clock.
    """

    def __init__(self, task: Task) -> None:
        self._lm_calls = task.options.get("lm_calls")
        self._run: Any = None
        if self._lm_calls:
            set_price("tickets", input=DOLLARS[0], output=DOLLARS[1])

    def begin(self) -> None:
        """Begin a Run."""
        if self._lm_calls:
            import afnio.tellurio as te

            self._run = te.init("bench", "The job", lm_calls=self._lm_calls)

    def end(self) -> dict[str, Any]:
        """Finish it; what the server has stored of it."""
        if self._run is None:
            return {}
        started = time.perf_counter()
        self._run.finish()
        cost = self._run.cost
        return {"finish": time.perf_counter() - started, "cost": {name: str(value) for name, value in cost.items()}}

    def here(self, call_log: str | None = None) -> contextlib.AbstractContextManager[Any]:
        """The context of one repeat."""
        return contextlib.nullcontext() if self._run is not None else afnio.local_engine(call_log=call_log)
