"""Makes the notebooks of ``tutorials/notebooks`` from the tutorials' scripts.

``make docs`` writes them; ``tests/test_tutorials.py`` fails while they are not what it would write.
A script is in percent format: ``# %%`` begins a cell of code, ``# %% [markdown]`` one of text.  Its docstring is the
notebook's first cell.
"""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path
from typing import Any

REPO = Path(__file__).parents[1]
TUTORIALS = sorted((REPO / "tutorials").glob("[0-9]*.py"))
FOLDER = REPO / "tutorials" / "notebooks"
WRITE = "make docs"

MARK = re.compile(r"^# %%(?: \[(markdown)\])?\n", re.MULTILINE)


def main() -> None:
    """Write all of them."""
    FOLDER.mkdir(exist_ok=True)
    for script in TUTORIALS:
        path = notebook_of(script)
        path.write_text(notebook(script), encoding="utf-8")
        print(path.relative_to(REPO))


def notebook_of(script: Path) -> Path:
    """Where the notebook of a script is."""
    return FOLDER / f"{script.stem}.ipynb"


def notebook(script: Path) -> str:
    """The notebook as JSON (nbformat 4.5), without outputs."""
    source = script.read_text(encoding="utf-8")
    found = [_cell(number, *cell) for number, cell in enumerate([_title(source), *_cells(source)])]
    metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    content = {"cells": found, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


def _title(source: str) -> tuple[str, str]:
    text = ast.get_docstring(ast.parse(source)) or ""
    first, _, rest = text.partition("\n")
    return "markdown", f"# {first.rstrip('.')}\n{rest}"


def _cells(source: str) -> list[tuple[str, str]]:
    """Kind and text of each cell.

    Raises:
        ValueError: there is no cell.
    """
    marks = list(MARK.finditer(source))
    if not marks:
        raise ValueError("A tutorial has cells: lines with `# %%` begin them.")
    ends = [*(mark.start() for mark in marks[1:]), len(source)]
    return [
        (mark[1] or "code", _words(text) if mark[1] else text)
        for mark, end in zip(marks, ends, strict=True)
        if (text := source[mark.end() : end].strip("\n"))
    ]


def _words(comment: str) -> str:
    return re.sub(r"^# ?", "", comment, flags=re.MULTILINE)


def _cell(number: int, kind: str, text: str) -> dict[str, Any]:
    made: dict[str, Any] = {"cell_type": kind, "id": f"cell-{number}", "metadata": {}, "source": text.splitlines(True)}
    if kind == "code":
        made |= {"execution_count": None, "outputs": []}
    return made


if __name__ == "__main__":
    main()
