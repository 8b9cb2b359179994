"""The benchmarks run, count and report; what they measure here is of no account, so no time is judged."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from benchmarks.__main__ import BENCHMARKS, TITLES
from benchmarks.contender import ContenderError, accuracy, clean_environment, run
from benchmarks.figures import Figure
from benchmarks.report import FOLDER, load_results, merge, page, save
from benchmarks.rows.job import REFERENCE, job_samples, measure
from benchmarks.served import served

COUNTED = (".calls", ".tokens", ".accuracy", ".reconciled", ".stored", ".killed")


@pytest.mark.parametrize("name", BENCHMARKS)
def test_each_benchmark_runs_in_its_tiny_form(name: str) -> None:
    figures = list(BENCHMARKS[name](True))
    assert figures
    assert len({figure.name for figure in figures}) == len(figures)
    assert all(figure.values for figure in figures)
    counted = [figure for figure in figures if figure.name.endswith(COUNTED)]
    assert [figure.what for figure in counted if figure.met is False] == []


def test_the_control_does_the_same_job() -> None:
    done = measure(REFERENCE, 0.0, 1)[0]
    assert done.by_role == "24 forward, 3 backward, 3 optimizer"
    assert accuracy(done.prompt, job_samples()) == 1.0


def test_a_contender_that_fails_says_why() -> None:
    with pytest.raises(ContenderError, match="No module named"):
        measure("benchmarks.clients.nobody", 0.0, 1)


def test_a_server_is_gone_with_its_block_and_so_is_its_folder() -> None:
    with served() as server:
        assert server.process.memory("VmRSS") > 1
        assert server.stored("SELECT count(*) FROM runs") == 0
        with closing(server.wire()) as wire:
            server.new_run(wire)
            with pytest.raises(RuntimeError, match=r"/api/v1/nothing was answered with 404"):
                wire.ask("GET", "/api/v1/nothing")
        assert server.stored("SELECT count(*) FROM runs") == 1
    assert not Path(f"/proc/{server.process.pid}").exists()
    assert not server.home.exists()


def test_what_is_measured_keeps_its_byte_code(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    monkeypatch.setenv("AFNIO_LOG_LEVEL", "debug")
    kept = clean_environment(AFNIO_MORE="1")
    assert "PYTHONDONTWRITEBYTECODE" not in kept
    assert {name for name in kept if name.startswith("AFNIO_")} == {"AFNIO_MORE"}


def test_each_title_has_its_benchmark() -> None:
    assert list(TITLES) == [*BENCHMARKS, "peers"]
    assert run.__doc__


def test_a_figure_is_judged_by_its_median_or_by_its_worst_repeat() -> None:
    assert Figure("a", "a", [1.0, 2.0, 9.0], reach=2.0).met
    assert not Figure("a", "a", [1.0, 2.0, 9.0], reach=2.0, judge="max").met
    assert not Figure("a", "a", [1.0, 1.0, 0.9], reach=1.0, at_least=True, judge="max").met
    assert Figure("a", "a", [9.0]).met is None


def test_a_run_replaces_the_rows_it_measured_and_no_others(tmp_path: Path) -> None:
    results = load_results(tmp_path)
    merge(results, "job", [Figure("job.a", "first", [1.0], reach=2.0), Figure("job.b", "second", [3.0], reach=2.0)])
    merge(results, "size", [Figure("size.a", "third", [5.0])], ["A note."])
    merge(results, "job", [Figure("job.a", "fourth", [1.5], "s", 2.0)])
    save(results, TITLES, tmp_path)
    text = (tmp_path / "RESULTS.md").read_text(encoding="utf-8")
    assert "1 of 1 figures are reached." in text
    assert "| fourth | at most 2 s | 1.500 s |" in text
    assert "second" not in text
    assert "third" in text
    assert "- A note." in text
    assert load_results(tmp_path)["figures"]["job.a"]["what"] == "fourth"


def test_a_missed_figure_is_not_hidden() -> None:
    results = {"figures": {}, "notes": {}, "machine": "one"}
    merge(results, "job", [Figure("job.a", "the job", [3.0], reach=2.0)])
    text = page(results, TITLES)
    assert "0 of 1 figures are reached. Missed: the job (3.000)." in text
    assert "3.000 **missed**" in text


def test_the_page_is_made_of_the_results() -> None:
    assert (FOLDER / "RESULTS.md").read_text(encoding="utf-8") == page(load_results(), TITLES)
