"""The examples run as they are, without a key, and open the subruns that they say."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from tests.ao.lab import REPO, Lab

FOLDER = REPO / "example_workflows" / "debug_examples"
SCRIPTS = sorted(path.name for path in FOLDER.glob("*.py") if path.name != "desk.py")
TICKETS = {f"ticket-{number}" for number in range(1, 7)}
EVALUATED = {f"eval-{number}" for number in range(1, 7)}
PARTS = {
    "sequential.py": set(),
    "threads.py": TICKETS,
    "async_tasks.py": TICKETS,
    "processes.py": TICKETS,
    "evaluation.py": EVALUATED,
    "ab_test.py": TICKETS | {"config-plain", "config-again"},
    "failed_only.py": EVALUATED | {"debug-4", "debug-5"},
}


@pytest.mark.parametrize("script", SCRIPTS)
def test_an_example_runs_and_opens_its_subruns(tmp_path: Path, script: str) -> None:
    lab = Lab(tmp_path)
    shutil.copytree(FOLDER, lab.cwd, dirs_exist_ok=True)
    del lab.env["OPENAI_API_KEY"]
    ran = lab.record(script)
    assert (ran.status, ran.err) == (0, "")
    assert "a simulation answers. It is not an AI." in ran.out
    parts = {record["run"]["name"] for record in lab.of("b") if record["run"]["kind"] == "subrun"}
    assert parts == PARTS[script]
    assert {call["error"] for call in lab.calls} == {None}
    assert len(lab.calls) == {"sequential.py": 6, "ab_test.py": 12, "failed_only.py": 8}.get(script, 6)


def test_all_are_in_the_readme_and_here() -> None:
    named = set(re.findall(r"^\| `(\w+\.py)` \|", (FOLDER / "README.md").read_text(), re.MULTILINE))
    assert named == set(SCRIPTS) == set(PARTS)
