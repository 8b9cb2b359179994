"""Runs: ``import afnio.tellurio.run as te_run; te_run.init(...)``."""

from __future__ import annotations

from tellurio.client.run import Run, RunStatus, init

__all__ = ["Run", "RunStatus", "init"]
