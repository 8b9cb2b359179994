"""Job after job in one process: nothing is left behind."""

from __future__ import annotations

import gc
from collections.abc import Callable

import pytest

from afnio.models.lm_server import LMServer
from afnio.models.scripted import Scripted
from benchmarks.clients import afnio_hand, afnio_trainer
from benchmarks.clients.driver import Contender, Task
from benchmarks.rows.job import task
from tests.autodiff.lab import backward_model

pytestmark = pytest.mark.soak


@pytest.mark.parametrize("prepare", [afnio_hand.prepare, afnio_trainer.prepare])
def test_a_hundred_jobs_leave_no_objects(prepare: Callable[[Task], Contender]) -> None:
    with LMServer("tickets", bad_share=0.0, process=True) as server, backward_model(Scripted([])):
        job = prepare(task(server, gate=True))
        for _ in range(5):
            job.run()
        before = _objects()
        for _ in range(100):
            job.run()
        # asyncio lets cancelled timers lie until they are half of all, so a few hundred objects come and go.
        assert _objects() - before < 1_000, "a job makes 54 calls: one object a call would be 5,400"


def _objects() -> int:
    gc.collect()
    return len(gc.get_objects())
