"""A server in a process of its own, for tests."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx2
import orjson

from tellurio.server.__main__ import PORT_TAKEN

__all__ = ["ServerProcess"]

PATIENCE = 150.0
"""Seconds before a test gives up on a process: far more than it needs, since a machine may be busy."""


class ServerProcess:
    """``python -m tellurio.server`` with a home folder of its own, on a port of its own.

    Attributes:
        home: its TELLURIO_HOME; the server's folder is ``home / "server"``.
        url: its address.
        port: its port, the same after a restart.
        key: the local user's API key.
        pid: its process.
    """

    url: str
    port: int
    key: str
    pid: int

    def __init__(self, home: Path, *arguments: str, module: str = "tellurio.server") -> None:
        self.home, self._arguments, self._module = home, arguments, module
        self.port = 0
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    @property
    def folder(self) -> Path:
        """Where its database is."""
        return self.home / "server"

    @property
    def log(self) -> str:
        """What it has said so far."""
        return (self.home / "log").read_text(encoding="utf-8")

    def start(self) -> None:
        """Start it, and wait until it answers."""
        self.home.mkdir(mode=0o700, parents=True, exist_ok=True)
        (self.folder / "server.json").unlink(missing_ok=True)  # of one that was killed
        self._process = self._spawned()
        facts = self._facts()
        self.url, self.port, self.key, self.pid = facts["url"], facts["port"], facts["key"], facts["pid"]

    def stop(self) -> int:
        """End it as ``tellurio down`` does; returns its exit status."""
        return self._end(signal.SIGTERM)

    def kill(self) -> None:
        """Kill it with no chance to say anything."""
        self._end(signal.SIGKILL)

    def restart(self) -> None:
        """Stop it if it runs, and start it again, on the same port."""
        self.stop()
        self.start()

    def client(self, key: str | None = None, **options: Any) -> httpx2.Client:
        """A client that sends the local user's key, or ``key``; an empty one is not sent."""
        key = self.key if key is None else key
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        return httpx2.Client(base_url=self.url, headers=headers, timeout=PATIENCE, trust_env=False, **options)

    def _spawned(self) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", self._module, "--home", str(self.folder), "--port", str(self.port)]
        env = {**os.environ, "TELLURIO_HOME": str(self.home)}
        with (self.home / "log").open("ab") as log:
            return subprocess.Popen(
                [*command, *self._arguments], stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=env
            )

    def _facts(self) -> dict[str, Any]:
        assert self._process is not None
        file, end = self.folder / "server.json", time.monotonic() + PATIENCE
        while not file.exists():
            if self.port and self._process.poll() == PORT_TAKEN:
                self._process = self._spawned()  # somebody got the port while it was free: until they leave it again
            assert self._process.poll() is None, f"the server ended: {self.log}"
            assert time.monotonic() < end, f"the server did not start: {self.log}"
            time.sleep(0.02)
        facts: dict[str, Any] = orjson.loads(file.read_bytes())
        return facts

    def _end(self, number: int) -> int:
        process, self._process = self._process, None
        if process is None:
            return 0
        process.send_signal(number)
        return process.wait(PATIENCE)
