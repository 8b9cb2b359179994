"""What an import costs in processor time, beyond the bare interpreter."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from statistics import median

from benchmarks.contender import REPO, clean_environment
from benchmarks.figures import Figure

__all__ = ["import_figures"]

ALL = "import afnio, afnio.cognitive, afnio.models.openai, afnio.optim, afnio.trainer, afnio.utils.data"
NAMES = "import afnio.tellurio as te; te.init, te.login, te.Api"
STATEMENTS = (
    ("import afnio", "import afnio", 0.15),
    ("import afnio.tellurio as te", "import afnio.tellurio as te", 0.3),
    ("all that te.init, te.login and te.Api need before they are called", NAMES, 0.3),
    ("all that a training script imports", ALL, None),
    ("import json (control)", "import json", None),
    ("import pydantic (control)", "import pydantic", None),
    ("import openai (control)", "import openai", None),
)


def import_figures(quick: bool) -> Iterator[Figure]:
    """CPU seconds of fresh processes, in turn with the bare interpreter; byte code is compiled before."""
    rounds = 1 if quick else 11
    codes = {"": "pass"} | {name: code for name, code, _ in STATEMENTS[: 3 if quick else None]}
    for code in codes.values():
        _cpu(code)
    times: dict[str, list[float]] = {name: [] for name in codes}
    for _ in range(rounds):
        for name, code in codes.items():
            times[name].append(_cpu(code))
    bare = median(times[""])
    for name, _, limit in STATEMENTS:
        if name in times:
            beyond = [seconds - bare for seconds in times[name]]
            yield Figure(
                f"import.{name}",
                f"{name}, CPU beyond the bare interpreter",
                beyond,
                "s",
                None if quick else limit,
                compared=f"bare interpreter {bare * 1000:.0f} ms",
            )


def _cpu(code: str) -> float:
    """Processor seconds, user and system, of a process that runs ``code``."""
    process = subprocess.Popen([sys.executable, "-c", code], cwd=REPO, env=clean_environment())
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{code!r} failed in a fresh interpreter")
    return used.ru_utime + used.ru_stime
