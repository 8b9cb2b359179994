"""Every row has a test, and every test that is named is there."""

from __future__ import annotations

from functools import cache

from tests.spec.rows import ROWS
from tests.spec.test_section_0 import defined


@cache
def _tests(file: str) -> set[str]:
    return {name for name in defined(f"tests/{file}.py") if name.startswith("test_")}


def test_every_test_that_is_named_is_there() -> None:
    missing = []
    for row in ROWS:
        for test in row.tests:
            file, _, name = test.partition("::")
            if not (_tests(file) if name == "*" else name in _tests(file)):
                missing.append(test)
    assert missing == []


def test_every_section_has_rows_and_every_row_a_test_of_its_own() -> None:
    assert sorted({row.section for row in ROWS}, key=lambda one: int(one[2:])) == [f"1.{n}" for n in range(1, 13)]
    assert [row.fact for row in ROWS if not row.tests] == []
    assert len({(row.section, row.fact) for row in ROWS}) == len(ROWS)


def test_every_test_of_this_folder_proves_a_row() -> None:
    named = {test for row in ROWS for test in row.tests}
    files = {test.partition("::")[0] for test in named if test.startswith("spec/")}
    assert [f"{file}::{name}" for file in files for name in _tests(file) if f"{file}::{name}" not in named] == []
