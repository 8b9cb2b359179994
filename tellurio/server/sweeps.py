"""What the server looks after by itself, every few seconds."""

from __future__ import annotations

import time

from tellurio.server.hooks import Hook
from tellurio.server.live import Hub
from tellurio.server.log import log
from tellurio.store import runs
from tellurio.store.store import Store

__all__ = ["expiry"]


def expiry(store: Store, hub: Hub) -> Hook:
    """Runs that gave no sign of life for longer than their lease are taken for crashed."""
    since = time.time()  # while the server was away, nobody could hear them

    async def expire() -> None:
        for run_id in await store.awrite(runs.expire_runs, time.time(), since):
            log("run_crashed", run=run_id, reason="no sign of life")
            run = await store.aread(runs.run, run_id)
            if run is not None:
                hub.tell(run["project_id"], run_id, ["status"], run["status"])

    return expire
