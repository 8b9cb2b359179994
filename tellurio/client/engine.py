"""The remote engine: a job goes up to the server, its events come down."""

from __future__ import annotations

import contextlib
from typing import Any, Literal

from afnio.autodiff import EngineSettings, LocalEngine
from afnio.calls import Budget

__all__ = ["RemoteEngine"]


class RemoteEngine:
    """Runs backward passes and optimizer steps on a Tellurio server.

    Args:
        run_id: the Run the jobs belong to.
        client: the ``tellurio.client.http.Client`` of its server.
        budget: bounds what all LM calls of the Run together may cost, whoever makes them.
        settings: how calls and tokens are spent.
        lm_calls: who makes the jobs' LM calls: the server, or (``"client"``) this process.
    """

    def __init__(
        self,
        run_id: str,
        client: Any,
        *,
        budget: Budget | None = None,
        settings: EngineSettings | None = None,
        lm_calls: Literal["server", "client"] = "server",
    ) -> None:
        self._local = LocalEngine(None, budget, settings)

    def run_backward(self, job: Any) -> Any:
        """Run a `BackwardJob`."""
        return self._local.run_backward(job)

    def run_step(self, job: Any) -> Any:
        """Run a `StepJob`."""
        return self._local.run_step(job)

    def session(self) -> contextlib.AbstractContextManager[Any]:
        """The context in which LM calls go to the Run's ledger and budget."""
        return self._local.session()

    def close(self) -> None:
        """Close its connections."""
