"""``run.log`` as a script sees it: how long a call takes, and when all of it is stored."""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable

import afnio.tellurio as te

LINE = b'{"n":12345,"k":"m","t":1763727000.123456,"name":"train_loss","v":0.123456789,"step":12345}\n'


def clocked(call: Callable[[int], object], times: int, pause: float) -> list[int]:
    """Nanoseconds of each call; ``pause`` seconds between two."""
    taken = []
    for number in range(times):
        started = time.perf_counter_ns()
        call(number)
        taken.append(time.perf_counter_ns() - started)
        if pause:
            time.sleep(pause)
    return sorted(taken)


def bare_write(times: int, pause: float) -> list[int]:
    """The control: one line a call, appended to a file, and nothing else."""
    with tempfile.TemporaryFile() as file:
        handle = file.fileno()
        return clocked(lambda number: os.write(handle, LINE), times, pause)


def main(times: int, pause: float, end: str) -> None:
    """Log; then finish, or be killed (``end``)."""
    logging.getLogger("afnio").setLevel(logging.WARNING)  # the line that each call would print is off
    control = bare_write(times, pause)
    run = te.init("bench", "Logging")
    if end == "kill":
        print(json.dumps({"run": run.uuid}), flush=True)
        for number in range(times):
            run.log("train_loss", number / times, step=number)
        os.kill(os.getpid(), signal.SIGKILL)
    started = time.perf_counter()
    taken = clocked(lambda number: run.log("train_loss", number / times, step=number), times, pause)
    logged = time.perf_counter() - started
    run.finish()
    stored = time.perf_counter() - started
    print(json.dumps({"run": run.uuid, "times": taken, "control": control, "logged": logged, "stored": stored}))


if __name__ == "__main__":
    main(int(sys.argv[1]), float(sys.argv[2]), sys.argv[3])
