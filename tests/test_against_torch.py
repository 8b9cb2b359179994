"""Modules do what torch's do, case by case; what torch does was written down by ``scripts/compare_with_torch.py``."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import afnio.cognitive as cog
from afnio import Variable
from afnio.cognitive import module
from tests.torch_cases import CASES, Library, hooks

RECORD = Path(__file__).with_name("torch_observed.json")
HOW = ("async", "acall")
"""More ways to call a Module; torch has one."""

_MODULES = ("Module", "ModuleList", "ModuleDict", "Sequential", "ParameterList", "ParameterDict")

OURS = Library(
    modules=SimpleNamespace(**{name: getattr(cog, name) for name in _MODULES}),
    hooks=module,
    parameter=lambda size: cog.Parameter(["x"] * size),
    value=lambda size: Variable(["y"] * size),
    text=str,
)


@pytest.fixture(scope="module")
def torch() -> Any:
    """What torch did: case -> one observation for each seed."""
    return json.loads(RECORD.read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", CASES)
def test_each_case_ends_as_in_torch(name: str, torch: Any) -> None:
    assert len(torch[name]) >= 40
    for seed, theirs in enumerate(torch[name]):
        assert CASES[name](OURS, seed) == theirs, f"{name}, seed {seed}"


@pytest.mark.parametrize("how", HOW)
def test_async_calls_run_hooks_as_torchs_calls_do(how: str, torch: Any) -> None:
    for seed, theirs in enumerate(torch["hooks"]):
        assert hooks(OURS, seed, how) == theirs, f"hooks, seed {seed}"


def test_a_case_is_the_same_each_time_and_cases_differ() -> None:
    for name, case in CASES.items():
        assert case(OURS, 3) == case(OURS, 3), name
        assert len({json.dumps(case(OURS, seed)) for seed in range(20)}) > 10, name
