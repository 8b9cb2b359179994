"""What is shown: in a terminal, in a notebook, in a pipe, and not at all."""

from __future__ import annotations

import io
import os
import pty
import re
import subprocess
import sys
import types
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from afnio.calls import Ledger
from afnio.calls.ledger import dollars
from afnio.trainer import Trainer
from afnio.trainer.averages import Metrics
from afnio.trainer.costs import Costs
from afnio.trainer.display import display_here
from afnio.trainer.display.bar import Bar
from afnio.trainer.display.lines import Lines
from afnio.trainer.display.notebook import Notebook
from afnio.trainer.display.text import clock, figures, pace, position
from tests.trainer.job import Agent, engine, loader, model, quiet

REPO = Path(__file__).parents[2]


def test_texts() -> None:
    assert position("Training", 3, 8) == "[Training] 3/8"
    assert position("Test", 3, None) == "[Test] 3/?"
    assert clock(3671.9) == "1:01:11"
    assert pace(120, 4, 8, 32) == "0.5m/step 0.3 samples/s ETA 0:02:00"
    assert pace(120, 8, 8, 64) == "0.2m/step 0.5 samples/s"
    assert pace(0, 0, 8, 0) == "-.-m/step"
    assert dollars(Decimal(0), 0) == "$0.0000"
    assert dollars(Decimal(0), 3) == "unpriced"
    assert dollars(Decimal("0.1234"), 3) == "$0.1234 + 3 calls unpriced"


def test_losses_first_then_the_rest_sorted() -> None:
    metrics = Metrics({"val_b": 4, "train_z": 2, "val_loss": 3, "train_loss": 0.875, "train_a": 1}, {"val_loss": 0.1})
    assert figures(Costs(Ledger()), metrics) == (
        "tot_cost: $0.0000 train_loss: 0.8750 - val_loss: 3.0000 ± 0.1000"
        " - train_a: 1.0000 - train_z: 2.0000 - val_b: 4.0000"
    )


def shown(capsys: pytest.CaptureFixture[str], **args: Any) -> str:
    client = model("destructive@2")
    with engine(client):
        Trainer(max_epochs=2, enable_checkpointing=False, **args).fit(Agent(client), loader(), loader(12))
    return capsys.readouterr().out


def test_plain_lines(capsys: pytest.CaptureFixture[str]) -> None:
    lines = re.sub(r" +(\d+:\d\d:\d\d|\d+\.\d samples/s|ETA \S+)|  +", "", shown(capsys)).splitlines()
    assert lines[:3] == ["Agent(", "(chat): ChatCompletion()", ")"]
    assert lines[3] == "Epoch 1/2"
    assert re.match(r"\[Training\] 1/3 \d+\.\dm/step ", lines[4])
    assert "tot_cost: $0.0000 train_loss: 0." in lines[4]
    assert sum(line.startswith("[Training]") for line in lines) == 6
    assert sum(line.startswith("[Validation]") for line in lines) == 4
    assert lines[-3].startswith("6 steps: 3 updates kept, 1 undone, 0 skipped. Cost: $0.0000.")
    assert lines[-2].startswith("The gate: ")
    assert lines[-1] == "Best: val_loss 1.0000 in epoch 2."


@pytest.mark.parametrize("total", [1, 10, 11, 15, 19, 100, 105])
def test_a_long_row_takes_at_most_ten_lines(capsys: pytest.CaptureFixture[str], total: int) -> None:
    lines = Lines()
    lines.start("Training", total, 0)
    for done in range(1, total + 1):
        lines.advance(done, done, "x")
    lines.stop("x")
    shown = capsys.readouterr().out.splitlines()
    assert min(total, 5) <= len(shown) <= 10
    assert shown[-1].startswith(f"[Training] {total}/{total} ")


def test_a_row_that_ends_early_shows_its_last_step(capsys: pytest.CaptureFixture[str]) -> None:
    lines = Lines()
    lines.start("Training", 100, 0)
    for done in range(1, 15):
        lines.advance(done, done, "x")
    lines.stop("x")
    assert capsys.readouterr().out.splitlines()[-1].startswith("[Training] 14/100")


def test_nothing_is_shown_when_nothing_is_wanted(capsys: pytest.CaptureFixture[str]) -> None:
    assert shown(capsys, enable_progress_bar=False, enable_agent_summary=False) == ""


def test_testing(capsys: pytest.CaptureFixture[str]) -> None:
    trainer = Trainer(enable_checkpointing=False)
    trainer.test(Agent(model()), loader())
    trainer.validate(Agent(model()), loader())
    out = capsys.readouterr().out
    assert out.startswith("Testing\n[Test] 1/3")
    assert "\nValidation\n[Validation] 1/3" in out
    assert "Best" not in out


def test_how_it_ended_and_how_to_go_on(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    client = model()
    with engine(client):
        Trainer(max_steps=1, default_root_dir=tmp_path).fit(Agent(client), loader())
        Trainer(default_root_dir=tmp_path, max_steps=2).fit(Agent(client), loader(), ckpt_path="last")
    out = capsys.readouterr().out
    assert "Ended early: max_steps=1 reached" in out
    assert "Go on with fit(..., ckpt_path='last'): " in out
    assert "checkpoint_batch0_" in out
    assert ": 0 epochs and 1 batches are done." in out
    assert "[Training] 2/3" in out


CHILD = """
from tests.trainer.job import Agent, engine, loader, model
from afnio.trainer import Trainer
client = model("destructive@2", "malformed@2x2:role=backward")
with engine(client):
    Trainer(max_epochs=1, enable_checkpointing=False).fit(Agent(client), loader(), loader(12))
"""


def test_a_bar_in_a_terminal() -> None:
    """A real pseudo-terminal: what a person would see."""
    screen, terminal = pty.openpty()
    env = {**os.environ, "PYTHONPATH": str(REPO), "TERM": "xterm-256color", "COLUMNS": "160"}
    process = subprocess.Popen([sys.executable, "-c", CHILD], cwd=REPO, env=env, stdout=terminal, stderr=terminal)
    os.close(terminal)
    seen = b""
    try:
        while chunk := os.read(screen, 65536):
            seen += chunk
    except OSError:
        pass  # the other end was closed
    assert process.wait() == 0
    os.close(screen)
    text = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", seen.decode())
    assert "Epoch 1/1" in text
    assert re.search(r"\[Training\] 3/3 ━{20} \d+:\d\d:\d\d \d+\.\dm/step", text)
    assert re.search(r"\[Validation\] 2/2 ━{20}", text)
    assert "No update after batch" in text
    assert "Best: val_loss" in text


def test_in_a_notebook_the_cell_is_printed_again(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class ZMQInteractiveShell: ...

    cleared: list[bool] = []
    ipython, shown_by = types.ModuleType("IPython"), types.ModuleType("IPython.display")
    ipython.get_ipython = ZMQInteractiveShell  # type: ignore[attr-defined]
    shown_by.clear_output = lambda wait: cleared.append(wait)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    monkeypatch.setitem(sys.modules, "IPython.display", shown_by)
    assert isinstance(display_here(), Notebook)
    out = shown(capsys)
    assert len(cleared) > 10
    last = out[out.rindex("Epoch 1/2") :].splitlines()
    assert re.match(r"\[Training\] 3/3 ━{20} \d+:\d\d:\d\d ", last[1])
    assert last[-1].startswith("Best: val_loss")


def test_colab_is_a_notebook_and_ipython_in_a_terminal_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    class ZMQInteractiveShell: ...

    class Shell(ZMQInteractiveShell): ...

    class TerminalInteractiveShell: ...

    ipython = types.ModuleType("IPython")
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    for shell, kind in ((Shell, Notebook), (TerminalInteractiveShell, Lines), (lambda: None, Lines)):
        monkeypatch.setattr(ipython, "get_ipython", shell, raising=False)
        assert isinstance(display_here(), kind)


def test_the_display_fits_where_the_output_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(display_here(), Lines)

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr(sys, "stdout", Terminal())
    assert isinstance(display_here(), Bar)


def test_rich_is_not_imported_unless_a_bar_is_shown() -> None:
    code = "import sys, afnio.trainer as t; t.Trainer(); sys.exit('rich' in sys.modules or 'asyncio' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=REPO, check=False).returncode == 0
    assert quiet() is not None
