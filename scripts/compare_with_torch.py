"""Hold `afnio.cognitive.Module` against `torch.nn.Module`: random cases, run in both, must end the same.

torch is no dependency of ours: what it does is written down in ``tests/torch_observed.json``, and
``tests/test_against_torch.py`` holds our code against that.  To write it anew, and to compare many more cases:

    python3 -m venv .venvs/torch && .venvs/torch/bin/pip install torch==2.13.0
    PYTHONPATH=.:$(echo .venv/lib/python3*/site-packages) .venvs/torch/bin/python -m scripts.compare_with_torch
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch  # type: ignore[import-not-found]
from torch.nn.modules import module as torch_module  # type: ignore[import-not-found]

from tests.test_against_torch import HOW, OURS, RECORD
from tests.torch_cases import CASES, Library, hooks

COMPARED = {"trees": 3000, "hooks": 5000, "attributes": 20000, "containers": 10000}
RECORDED = {"trees": 40, "hooks": 150, "attributes": 80, "containers": 150}


def _as_here(text: str) -> str:
    return re.sub(r"torch\.Size\(\[(\d+)\]\)", r"(\1,)", text)  # torch.Size([2]) there, (2,) here


TORCH = Library(
    modules=SimpleNamespace(**{name: getattr(torch.nn, name) for name in vars(OURS.modules)}),
    hooks=torch_module,
    parameter=lambda size: torch.nn.Parameter(torch.zeros(size)),
    value=torch.zeros,
    text=_as_here,
)


def main() -> None:
    """Compare, exit at the first difference; then write down what torch did in the first cases."""
    for name, case in CASES.items():
        for seed in range(COMPARED[name]):
            theirs = case(TORCH, seed)
            _same(name, seed, theirs, case(OURS, seed))
            for how in HOW if name == "hooks" else ():
                _same(f"hooks, {how}", seed, theirs, hooks(OURS, seed, how))
        print(f"{name}: {COMPARED[name]} the same")
    seen = {name: [case(TORCH, seed) for seed in range(RECORDED[name])] for name, case in CASES.items()}
    written = json.dumps({"torch": torch.__version__.partition("+")[0], **seen}, separators=(",", ":"))
    Path(RECORD).write_text(f"{written}\n", encoding="utf-8")


def _same(name: str, seed: int, theirs: Any, ours: Any) -> None:
    if theirs != ours:
        sys.exit(f"{name}, seed {seed}:\n  torch {theirs}\n  here  {ours}")


if __name__ == "__main__":
    main()
