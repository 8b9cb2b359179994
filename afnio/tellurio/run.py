"""Runs: ``import afnio.tellurio.run as te_run; te_run.init(...)``."""

from __future__ import annotations

from tellurio.client.begin import init
from tellurio.client.run import Run, RunOrg, RunProject, RunStatus, RunUser, log

__all__ = ["Run", "RunOrg", "RunProject", "RunStatus", "RunUser", "init", "log"]
