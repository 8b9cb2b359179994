"""Size of an installation: the runtime lock and our packages, in a fresh virtual environment."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks.contender import REPO
from benchmarks.figures import Figure

__all__ = ["size_figures"]

LIMIT = 150.0
NOT_OURS = ("pip", "setuptools", "wheel", "_distutils_hack", "distutils-precedence.pth")


def size_figures(quick: bool) -> Iterator[Figure]:
    """Sum of the sizes of all files, byte code included, without pip and setuptools."""
    if quick:
        yield Figure("size.packages", "our packages alone, as they lie here", [_ours()], "MB", digits=1)
        return
    with tempfile.TemporaryDirectory(prefix="afnio-size-") as folder:
        packages = _install(Path(folder))
        sizes = {path.name: _size(path) for path in packages.iterdir() if not _is_not_ours(path.name)}
    largest = sorted(sizes, key=lambda name: -sizes[name])[:5]
    yield Figure(
        "size.installed",
        "installed size of the runtime lock with our packages (server, client and page)",
        [sum(sizes.values())],
        "MB",
        LIMIT,
        compared="largest: "
        + ", ".join(f"{name} {sizes[name]:.1f}" for name in largest)
        + f"; afnio {sizes['afnio']:.1f}",
        digits=1,
    )


def _install(folder: Path) -> Path:
    """Make the environment; returns its ``site-packages``."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder / "venv"], check=True)
    python = str(folder / "venv" / "bin" / "python")
    pip = [sys.executable, "-m", "pip", "--python", python, "install", "-q", "--disable-pip-version-check", "--no-deps"]
    lock = [*pip, "--require-hashes", "-r", str(REPO / "requirements" / "runtime.txt")]
    subprocess.run(lock, check=True, capture_output=True)
    source = folder / "source"
    source.mkdir()
    for name in ("afnio", "ao", "tellurio"):
        shutil.copytree(REPO / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(REPO / "studio", source / "studio", ignore=shutil.ignore_patterns("node_modules"))
    (source / "scripts").mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE", "scripts/build_studio.py"):
        shutil.copy(REPO / name, source / name)
    subprocess.run([*pip, "--no-build-isolation", str(source)], check=True, capture_output=True)
    asked = subprocess.run(
        [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"],
        capture_output=True,
        text=True,
        check=True,
    )
    return Path(asked.stdout.strip())


def _is_not_ours(name: str) -> bool:
    return name in NOT_OURS or name.startswith(tuple(f"{other}-" for other in NOT_OURS))


def _size(path: Path) -> float:
    """MB of 10^6 bytes."""
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file() and not file.is_symlink()) / 1e6


def _ours() -> float:
    return sum(_size(REPO / name) for name in ("afnio", "ao", "tellurio"))
