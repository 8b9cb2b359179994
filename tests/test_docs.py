"""The docs are true: commands exist, code runs, names are explained, versions agree, nothing of a machine got in."""

from __future__ import annotations

import importlib
import inspect
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from scripts import docs

REPO = Path(__file__).parents[1]
PAGES = sorted(path.relative_to(REPO) for path in [*REPO.glob("*.md"), *(REPO / "docs").rglob("*.md")])
MODULES = sorted(
    ".".join(path.relative_to(REPO).with_suffix("").parts).removesuffix(".__init__")
    for package in ("afnio", "ao", "tellurio")
    for path in (REPO / package).rglob("*.py")
    if not any(part.startswith("_") and part != "__init__.py" for part in path.relative_to(REPO).parts)
    and path.name != "env.py"  # Alembic runs it; it cannot be imported
)


PYTHON = re.compile(r"^```python\n(.*?)^```\n(?:\n^```(output)?\n(.*?)^```$)?", re.MULTILINE | re.DOTALL)
RUNNER = Path(__file__).with_name("run_scripts.py")
RANDOM = [  # what differs from run to run: the server's port, a Run's name
    (re.compile(r"127\.0\.0\.1:\d+"), "127.0.0.1:PORT"),
    (re.compile(r"\b[a-z]+_[a-z]+_\d+\b"), "adjective_food_123"),
    (re.compile(r"\b[a-z]+-[a-z]+-\d+\b"), "adjective-food-123"),
]


class Example(NamedTuple):
    """A Python block, and what it prints if the block after it says so; ``whole``: log lines too (```output)."""

    line: int
    code: str
    whole: bool
    prints: str | None


def examples(page: Path) -> list[Example]:
    text = (REPO / page).read_text(encoding="utf-8")
    return [
        Example(text.count("\n", 0, found.start()) + 1, found[1], bool(found[2]), found[3])
        for found in PYTHON.finditer(text)
    ]


def without_chance(text: str) -> str:
    """``text`` with the same words for what is different each time."""
    for pattern, instead in RANDOM:
        text = pattern.sub(instead, text)
    return text


def version() -> str:
    return str(tomllib.loads((REPO / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"])


# --- commands and code


def test_every_make_command_in_the_docs_is_a_target() -> None:
    targets = set(re.findall(r"^([a-z][a-z-]*):", (REPO / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    named = {
        (str(page), target)
        for page in PAGES
        for target in re.findall(r"(?:^|`|\s&& )(?:\w+=\S+ )*make ([a-z-]+)", (REPO / page).read_text(), re.MULTILINE)
    }
    assert ("README.md", "demo") in named
    assert ("README.md", "test") in named
    assert {(page, target) for page, target in named if target not in targets} == set()


@pytest.mark.parametrize("path", ["Makefile", ".ci/run"])
def test_scripts_that_are_called_are_there(path: str) -> None:
    for called in re.findall(r"scripts/[\w-]+|tutorials/[\w-]+\.py", (REPO / path).read_text(encoding="utf-8")):
        assert (REPO / called).exists(), called


@pytest.mark.parametrize("page", [page for page in PAGES if examples(page)], ids=str)
def test_python_in_the_docs_runs(page: Path, tmp_path: Path) -> None:
    """Each block by itself, as a reader would paste it, one after the other: no key, warnings are errors."""
    ours = ("OPENAI_", "ANTHROPIC_", "OLLAMA_", "AFNIO_", "TELLURIO_", "ALLOW_API_KEY_SHARING")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    environment |= {"PYTHONPATH": str(REPO), "HOME": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1"}
    folder = tmp_path / "folder"
    folder.mkdir()
    scripts = [tmp_path / f"line_{example.line}.py" for example in examples(page)]
    for script, example in zip(scripts, examples(page), strict=True):
        script.write_text("\n" * example.line + example.code, encoding="utf-8")
    command = [sys.executable, "-P", "-W", "error", str(RUNNER), *map(str, scripts)]
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=500
    )
    if (tmp_path / ".tellurio").exists():  # it began a Run, and so a server
        subprocess.run([Path(sys.executable).with_name("tellurio"), "down"], env=environment, check=True, timeout=150)
    assert done.returncode == 0, done.stderr
    for script, example in zip(scripts, examples(page), strict=True):
        said = Path(f"{script}.all").read_text(encoding="utf-8")
        assert Path(f"{script}.code").read_text() == "0", f"{page}, line {example.line}:\n{said}"
        printed = said if example.whole else Path(f"{script}.out").read_text(encoding="utf-8")
        assert example.prints is None or without_chance(printed) == without_chance(example.prints), (
            f"{page}, line {example.line} prints:\n{printed}"
        )


def test_the_readme_has_an_example_and_says_what_it_prints() -> None:
    assert any(example.prints for example in examples(Path("README.md")))


# --- pages


@pytest.mark.parametrize("name", ["api.md", "cli.md"])
def test_what_is_made_from_the_code_is_what_the_code_says(name: str) -> None:
    told = f"docs/{name} is not what the code says: run {docs.WRITE}"
    assert (REPO / "docs" / name).read_text(encoding="utf-8") == docs.pages()[name], told


@pytest.mark.parametrize("name", docs.MODULES)
def test_every_public_name_is_explained_in_the_docs(name: str) -> None:
    module = importlib.import_module(name)
    public = {name: getattr(module, name) for name in docs.public_names(module)}
    assert [name for name in public if not docs.about(module, name)] == []
    classes = {name: member for name, member in public.items() if inspect.isclass(member)}
    assert [
        (name, method) for name in classes for method, said in docs.methods(classes[name]).items() if not said
    ] == []


def test_the_tree_of_errors_is_in_the_docs_as_it_is_in_the_code() -> None:
    tree = (inspect.getdoc(importlib.import_module("afnio.errors")) or "").split("\n\n")[1]
    assert inspect.cleandoc(tree) in (REPO / "docs" / "errors.md").read_text(encoding="utf-8")


def test_every_page_is_in_the_index() -> None:
    index = (REPO / "docs" / "index.md").read_text(encoding="utf-8")
    pages = {page.name for page in PAGES if page.parent == Path("docs")} - {"index.md"}
    assert {page for page in pages if f"({page})" not in index} == set()


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\((?!https?:)([^)\s]+)\)", (REPO / page).read_text(encoding="utf-8")):
        path, _, anchor = target.partition("#")
        found = (REPO / page).parent / path if path else REPO / page
        assert found.exists(), f"{page}: {target}"
        assert not anchor or anchor in anchors(found), f"{page}: {target}"


def anchors(page: Path) -> set[str]:
    """What its headings are called in a link."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("name", docs.COMMANDS)
def test_help_of_a_command_ends_with_what_to_type_next(name: str) -> None:
    shown = dict(docs.helps())[name]
    assert "..." not in shown.split("Commands:")[1].split("Next steps:")[0], "a sentence is cut"
    assert re.search(r"Next steps:\n(?: +(?:afnio|tellurio) .*\n?)+\Z", shown)


# --- names


@pytest.mark.parametrize("name", MODULES)
def test_what_is_public_is_explained(name: str) -> None:
    module = importlib.import_module(name)
    assert inspect.getdoc(module), f"{name} has no docstring"
    assert list(_unexplained(module)) == []


def _unexplained(module: Any) -> Iterator[str]:
    for name in getattr(module, "__all__", []):
        member = getattr(module, name)
        if not inspect.isclass(member) and not inspect.isroutine(member):
            continue
        if not member.__doc__:
            yield f"{module.__name__}.{name}"
        if inspect.isclass(member) and member.__module__ == module.__name__:
            yield from (
                f"{module.__name__}.{name}.{method}"
                for method, function in vars(member).items()
                if not method.startswith("_")
                and inspect.isfunction(function)
                and not inspect.getdoc(getattr(member, method))
            )


def test_every_name_in_all_is_there() -> None:
    missing = [
        f"{name}.{public}"
        for name in MODULES
        for module in [importlib.import_module(name)]
        for public in getattr(module, "__all__", [])
        if not hasattr(module, public)
    ]
    assert missing == []


# --- versions


def test_the_changelog_begins_with_this_version() -> None:
    tops = re.findall(r"^## (\S+)", (REPO / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert tops[0] == version()


def test_the_installed_version_is_this_one() -> None:
    assert importlib.import_module("afnio").__version__ == version()


def test_the_tree_of_errors_is_drawn_as_it_is() -> None:
    errors = importlib.import_module("afnio.errors")
    drawn = set(re.findall(r"\b(\w+Error|BudgetExceeded)\b", errors.__doc__ or ""))
    assert set(errors.__all__) <= drawn


# --- nothing of a machine

MACHINE = re.compile(
    r"(?<![\w.~/-])/(?:root|work|opt|home/\w+|Users/\w+|tmp/plan)/"  # somebody's folders
    r"|pypi\.org|files\.pythonhosted\.org|registry\.npmjs|--(?:extra-)?index-url|--find-links"  # somebody's registry
)


def tracked() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=REPO, capture_output=True, text=True, check=True).stdout
    return [REPO / name for name in listed.split("\0") if name and (REPO / name).is_file()]


def test_no_file_names_a_folder_of_this_machine_or_a_registry() -> None:
    found = []
    for path in tracked():
        if path == Path(__file__):
            continue
        for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1):
            if MACHINE.search(line):
                found.append(f"{path.relative_to(REPO)}:{number}: {line.strip()[:100]}")
    assert found == []


def test_the_pattern_finds_what_it_should() -> None:
    for line in ("cd /work/main", "x = '/root/.pyenv'", "https://pypi.org/simple", "pip --index-url x", "/home/eve/a"):
        assert MACHINE.search(line), line
    for line in ("~/.cache/afnio", "tests/work/x", "https://example.org/work/", "a/opt/b"):
        assert not MACHINE.search(line), line


def test_the_locks_hold_only_pinned_and_hashed_packages() -> None:
    for lock in sorted((REPO / "requirements").glob("*.txt")):
        text = lock.read_text(encoding="utf-8").replace("\\\n", "")
        lines = [line for line in text.splitlines() if line.strip()]
        assert lines
        for line in lines:
            assert re.match(r"[\w.-]+==\S+ .*--hash=sha256:[0-9a-f]{64}", line), line


def test_the_runtime_lock_is_part_of_the_dev_lock() -> None:
    def pins(name: str) -> set[str]:
        text = (REPO / "requirements" / name).read_text(encoding="utf-8")
        return set(re.findall(r"^[\w.-]+==[^\s;]+", text, re.MULTILINE))

    assert pins("runtime.txt") <= pins("dev.txt")
