"""`SupportTickets`: what is shipped is what the script makes, and what the world says."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from afnio.models.lm_server.worlds.tickets import FIELDS, LAWS, blanket_rules, naive, shown_laws, stated_laws, truth
from afnio.utils.data import DataLoader
from afnio.utils.datasets.support_tickets import SupportTickets
from afnio.variable import Variable

ROOT = Path(__file__).parents[1]
FILE = ROOT / "afnio" / "utils" / "datasets" / "support_tickets.json"
SPLITS = {"train": 120, "val": 60, "test": 120}
ROWS = json.loads(FILE.read_text(encoding="utf-8"))


def test_the_file_is_what_the_script_makes(tmp_path: Path) -> None:
    made = tmp_path / "made.json"
    command = [sys.executable, "scripts/make_support_tickets.py", "--out", str(made)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, env={"PYTHONPATH": str(ROOT)})
    assert made.read_bytes() == FILE.read_bytes()
    assert FILE.stat().st_size < 150_000


@pytest.mark.parametrize("split", SPLITS)
def test_answers_are_the_worlds(split: str) -> None:
    assert len(ROWS[split]) == SPLITS[split]
    for row in ROWS[split]:
        assert truth(row["text"]) == {field: row[field] for field in FIELDS}, row["id"]


@pytest.mark.parametrize("split", SPLITS)
def test_a_naive_reading_is_right_on_55_percent_and_every_law_shows(split: str) -> None:
    right = [naive(row["text"]) == truth(row["text"]) for row in ROWS[split]]
    assert sum(right) / len(right) == pytest.approx(0.55)
    shown = [law.name for row in ROWS[split] for law in shown_laws(row["text"])]
    assert all(shown.count(law.name) >= 2 for law in LAWS)


def test_no_ticket_states_a_rule_or_is_there_twice() -> None:
    texts = [row["text"] for rows in ROWS.values() for row in rows]
    assert not [text for text in texts if stated_laws(text) or blanket_rules(text)]
    assert len(set(texts)) == len(texts) == 300


def test_samples_as_fields() -> None:
    data = SupportTickets("train")
    message, answers = data[0]
    assert len(data) == 120
    assert isinstance(answers, tuple)
    assert [message.role, *(answer.role for answer in answers)] == [
        "support ticket",
        "output urgency",
        "output sentiment",
        "output queue",
    ]
    row = ROWS["train"][0]
    assert [message.data, *(answer.data for answer in answers)] == [
        row[name] for name in ("text", "urgency", "sentiment", "queue")
    ]


def test_samples_as_json() -> None:
    _, answer = SupportTickets("test", target="json")[-1]
    assert isinstance(answer, Variable)
    assert isinstance(answer.data, str)
    assert json.loads(answer.data) == {field: ROWS["test"][-1][field] for field in FIELDS}


def test_a_loader_makes_batches_of_both() -> None:
    message, (urgency, _, _) = next(iter(DataLoader(SupportTickets("val"), batch_size=8)))
    assert len(message.data) == len(urgency.data) == 8
    _, answer = next(iter(DataLoader(SupportTickets("val", "json"), batch_size=8)))
    assert len(answer.data) == 8


def test_bad_arguments_and_repr() -> None:
    with pytest.raises(ValueError, match="split must be"):
        SupportTickets("dev")
    with pytest.raises(ValueError, match="target must be"):
        SupportTickets("val", target="text")
    with pytest.raises(IndexError):
        SupportTickets("val")[60]
    assert "60" in repr(SupportTickets("val"))
