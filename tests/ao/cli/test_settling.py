"""What was just recorded is waited for until all of it is stored, and what never was is not."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any, cast

import pytest

from ao.api import Api
from ao.cli.settling import folder_of
from ao.cli.tool import _became
from ao.recording.journal import Journal

PID = 7


class Server:
    """Says that the Run of the process has ended; stores the rest of its folder before the third look."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.looks = folder, 0

    def json(self, path: str) -> Any:
        if not path.endswith("/family"):
            return {"run": {"id": "run", "status": "COMPLETED"}, "command": {"pid": PID}}
        self.looks += 1
        if self.looks == 3:
            shutil.rmtree(self.folder)
        return {"run": {"id": "run"}, "reruns": []}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What a process has left that is gone."""
    monkeypatch.setenv("TELLURIO_HOME", str(tmp_path))
    monkeypatch.setattr("ao.cli.stopping._PAUSE", 0.0)
    Journal("run", {"id": "run", "command": {"pid": PID}}, first=True).close()
    return tmp_path / "journals" / "run"


def became(server: Server) -> Any:
    return _became(cast("Api", server), {"id": "run"}, PID)


def test_a_run_that_has_ended_is_waited_for_until_its_children_are_stored_too(folder: Path) -> None:
    server = Server(folder)
    assert became(server)["status"] == "COMPLETED"
    assert server.looks == 4  # in the third, what was there before was still to be stored


def test_a_child_that_goes_on_is_not_waited_for(folder: Path) -> None:
    child = Journal("run", {"id": "run"}, first=False)
    server = Server(folder)
    assert became(server)["status"] == "COMPLETED"
    assert server.looks == 1
    child.close()


def test_the_folder_of_a_process_is_known_by_its_first_line(folder: Path) -> None:
    for name, content in {"torn": b'{"n":1', "empty": b"", "odd": b"[]", "none": b'{"run":{"command":null}}'}.items():
        (folder.parent / name).mkdir()
        (folder.parent / name / "0-x.jsonl").write_bytes(content)
    assert folder_of(PID) == str(folder)
    assert folder_of(PID + 1) == ""
