"""The scripts behind `make`: they parse, and find the right interpreter or say what to do."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

REPO = Path(__file__).parents[1]
SCRIPTS = sorted(path for path in (REPO / "scripts").iterdir() if path.is_file() and path.suffix == "")


def run(*command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        cwd=REPO,
        env={**os.environ, "MAKEFLAGS": "", **environment},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: str(path.name))
def test_scripts_parse_and_may_be_run(script: Path) -> None:
    assert run("sh", "-n", str(script)).returncode == 0
    assert os.access(script, os.X_OK)


def test_the_interpreter_that_is_named_is_taken() -> None:
    assert run("sh", "scripts/find-python", PYTHON=sys.executable).stdout.strip() == sys.executable


def test_one_that_is_named_and_does_not_suit_is_refused() -> None:
    done = run("sh", "scripts/find-python", PYTHON="true")
    assert done.returncode == 1
    assert "PYTHON=true is not a Python of version 3.11 or newer" in done.stderr


def test_the_first_suitable_one_on_the_path_is_found(tmp_path: Path) -> None:
    shim, real = tmp_path / "python3", tmp_path / "python3.11"
    shim.write_text("#!/bin/sh\necho 'no version set' >&2\nexit 127\n")
    real.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    for path in (shim, real):
        path.chmod(0o755)
    found = run("/bin/sh", "scripts/find-python", PATH=f"{tmp_path}", HOME=str(tmp_path), PYENV_ROOT="", PYTHON="")
    assert found.stdout.strip() == str(real), found.stderr


def test_the_setup_is_done_once_and_again_when_the_lock_changes(tmp_path: Path) -> None:
    for name in ("Makefile", "pyproject.toml", "requirements/dev.txt", "requirements/page.txt", "scripts/setup"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes((REPO / name).read_bytes())
        os.utime(tmp_path / name, (1000, 1000))
    dry_run = ("make", "-C", str(tmp_path), "-n", "setup", "VENV=venv")
    assert "scripts/setup dev" in run(*dry_run).stdout
    (tmp_path / "venv").mkdir()
    (tmp_path / "venv" / ".dev").touch()
    assert "scripts/setup" not in run(*dry_run).stdout
    os.utime(tmp_path / "requirements" / "dev.txt", (1e10, 1e10))
    assert "scripts/setup dev" in run(*dry_run).stdout
