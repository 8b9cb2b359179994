"""Runs scripts one after the other, each in a process of its own: ``python -P run_scripts.py SCRIPT ...``.

What a script prints goes to ``SCRIPT.out``, what it says on standard error too, so in the order of a terminal, to
``SCRIPT.all``; its exit code to ``SCRIPT.code``.  The library is imported once, before the processes part: twenty
scripts take little longer than one.
"""

from __future__ import annotations

import io
import os
import runpy
import sys
from pathlib import Path

import afnio.models.simulated
import afnio.trainer  # noqa: F401 - what most of them import


def main(scripts: list[str]) -> None:
    """Run them all."""
    for script in scripts:
        child = os.fork()
        if child == 0:
            _become(script)
            return  # as a script ends: with what it left to be done at exit
        _, status = os.waitpid(child, 0)
        Path(f"{script}.code").write_text(str(os.waitstatus_to_exitcode(status)))


def _become(script: str) -> None:
    """This process is that script from now on."""
    whole = os.open(f"{script}.all", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(whole, 2)
    os.dup2(whole, 1)
    sys.argv, sys.path[:0] = [script], [str(Path(script).parent)]
    sys.stdout = _Both(f"{script}.out")
    runpy.run_path(script, run_name="__main__")


class _Both(io.TextIOBase):
    """Standard output that is kept by itself too."""

    def __init__(self, path: str) -> None:
        self._kept = os.open(path, os.O_WRONLY | os.O_CREAT)

    def write(self, text: str) -> int:
        os.write(1, text.encode())
        return os.write(self._kept, text.encode())


if __name__ == "__main__":
    main(sys.argv[1:])
