"""``ao-config``: settings that ``ao-record`` goes by."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

import pytest

from ao.cli.config import SETTINGS, main
from ao.runner.options import read_options


class Shell:
    """``ao-config`` with a home folder."""

    def __init__(self, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.file, self._capsys = home / "config.json", capsys

    def __call__(self, *arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        return int(ended.value.code or 0), *self._capsys.readouterr()

    @property
    def content(self) -> Any:
        return json.loads(self.file.read_text())


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Shell:
    monkeypatch.setenv("TELLURIO_HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    return Shell(tmp_path / "home", capsys)


def test_what_is_set_is_shown_and_what_ao_record_goes_by(shell: Shell) -> None:
    assert shell("project", "My agents") == (0, "", "")
    assert shell("project") == (0, "My agents\n", "")
    assert json.loads(shell("--json")[1]) == {"project": "My agents", "namespace": None}
    assert json.loads(shell("project", "--json")[1]) == {"project": "My agents"}
    assert read_options(["x.py"]).project == "My agents"
    assert read_options(["--project", "Other", "x.py"]).project == "Other"
    assert stat.S_IMODE(shell.file.stat().st_mode) == 0o600
    text = shell()[1]
    assert "My agents" in text
    assert "not set" in text
    assert str(shell.file) in text
    assert shell("--unset", "project") == (0, "", "")
    assert shell("project") == (1, "", "")
    assert read_options(["x.py"]).project is None


def test_the_rest_of_the_file_stays(shell: Shell) -> None:
    shell.file.write_text('{"url": "http://x", "key": "tel_1", "ao": {"later": 1}}')
    shell("namespace", "acme")
    assert shell.content == {"url": "http://x", "key": "tel_1", "ao": {"later": 1, "namespace": "acme"}}
    shell("--unset", "namespace")
    assert shell.content == {"url": "http://x", "key": "tel_1", "ao": {"later": 1}}


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["colour", "red"], "there is no setting 'colour'. There are: project, namespace"),
        (["colour"], "there is no setting 'colour'"),
        (["project", ""], "project takes a name of 1 to 200 characters. To forget it: ao-config --unset project"),
        (["project", "a\nb"], "project takes a name"),
        (["project", "x" * 201], "project takes a name"),
        (["--unset"], "which one? Type: ao-config --unset NAME"),
        (["--unset", "project", "x"], "give a VALUE, or --unset; one of them"),
        (["--what"], "Try: ao-config --help"),
    ],
)
def test_what_is_wrong_is_refused_and_changes_nothing(shell: Shell, arguments: list[str], says: str) -> None:
    status, out, err = shell(*arguments)
    assert (status, out) == (2, "")
    assert says in err
    assert not shell.file.exists()


@pytest.mark.parametrize("content", ["{", "[]", '{"ao": []}', '{"ao": "x"}'])
def test_a_broken_file_is_named_and_left_alone(shell: Shell, content: str) -> None:
    shell.file.write_text(content)
    status, _, err = shell("project", "x")
    assert status == 1
    assert str(shell.file) in err
    assert shell.file.read_text() == content


def test_help_names_every_setting(shell: Shell) -> None:
    out = shell("--help")[1]
    assert all(name in out for name in SETTINGS)
