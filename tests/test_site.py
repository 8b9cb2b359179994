"""The scripts behind `make`: they parse, and find the right interpreter or say what to do."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from scripts import build_studio

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


def shim(path: Path, does: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{does}\n")
    path.chmod(0o755)


FAILS_TWICE = """
echo "$@" >> "{calls}"
case "$*" in
    *--require-hashes*) [ "$(grep -c -- "$*" "{calls}")" -gt {fails} ] || { echo "read timed out" >&2; exit 1; } ;;
esac
"""


@pytest.mark.parametrize("fails", [2, 3])
def test_what_could_not_be_downloaded_is_tried_again_twice(tmp_path: Path, fails: int) -> None:
    for name in ("scripts/setup", "requirements/dev.txt", "requirements/page.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes((REPO / name).read_bytes())
    calls = tmp_path / "calls"
    shim(tmp_path / "venv/bin/python", FAILS_TWICE.replace("{calls}", str(calls)).replace("{fails}", str(fails)))
    shim(tmp_path / "bin/sleep", "exit 0")
    path = f"{tmp_path / 'bin'}:{os.environ['PATH']}"
    done = run("sh", str(tmp_path / "scripts/setup"), "dev", VENV="venv", PATH=path)
    assert (done.returncode == 0) is (fails == 2) is (tmp_path / "venv/.dev").exists(), done.stderr
    assert calls.read_text().count("-r requirements/dev.txt") == 3
    assert fails == 2 or "read timed out" in done.stderr


COMES_THE_THIRD_TIME = """
case "$*" in
    *" install "*) echo install >> "{calls}"; [ "$(grep -c install "{calls}")" -lt 3 ] || cp "{id}" "{browser}" ;;
esac
"""


def test_a_chromium_that_could_not_be_downloaded_is_tried_again(tmp_path: Path) -> None:
    calls, browser = tmp_path / "calls", tmp_path / "chromium"
    shim(tmp_path / "id", "echo 0")
    shim(tmp_path / "python", "exit 1")
    shim(tmp_path / "sleep", "exit 0")
    gets = COMES_THE_THIRD_TIME.replace("{calls}", str(calls)).replace("{browser}", str(browser))
    shim(tmp_path / "apt-get", gets.replace("{id}", str(tmp_path / "id")))
    for name in ("grep", "cp"):
        (tmp_path / name).symlink_to(shutil.which(name) or "")
    given = {"PATH": str(tmp_path), "PYTHON": str(tmp_path / "python"), "TMPDIR": str(tmp_path), "CHROMIUM": ""}
    done = run("/bin/sh", "scripts/find-chromium", **given)
    assert done.stdout.strip() == str(browser), done.stderr
    assert calls.read_text() == "install\n" * 3


def test_npm_does_without_a_home_that_can_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert build_studio._npm_cache() == str(tmp_path / ".npm")
    (tmp_path / "file").touch()
    monkeypatch.setenv("HOME", str(tmp_path / "file"))
    assert build_studio._npm_cache() == str(Path(tempfile.gettempdir()) / ".npm")


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
