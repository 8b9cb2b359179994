"""Start the simulated model's server: in a thread, in a process of its own, or here and blocking."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import threading
from collections.abc import Iterable, Mapping
from http.client import HTTPConnection
from types import TracebackType
from typing import Any, Self

from afnio.models.lm_server.faults import Fault
from afnio.models.lm_server.server import listen
from afnio.models.lm_server.simulation import Settings, Simulation
from afnio.models.lm_server.worlds import World

__all__ = ["LMServer", "serve"]

Faults = Iterable[Fault | str | Mapping[str, Any]]


class LMServer:
    """A simulated LM behind an OpenAI- and Anthropic-compatible HTTP server on loopback.  A simulation, not an AI.

    Use it as a context manager::

        with LMServer(latency=0.05) as server:
            client = AsyncOpenAI(api_key="any", base_url=server.base_url)

    Args:
        world: ``"tickets"``, ``"echo"`` or a ``World`` object.
        latency, jitter: seconds; see ``Settings``.
        port: 0 takes a free one.
        faults: ``Fault`` objects or their texts (``"429@3"``).
        seed, bad_share, context_limit, models: see ``Settings``.
        process: run in a process of its own, so that its work does not slow the client's (benchmarks).
            The world must then be given by name.
    """

    def __init__(
        self,
        world: str | World = "tickets",
        *,
        latency: float = 0.0,
        jitter: float = 0.0,
        port: int = 0,
        faults: Faults = (),
        seed: int = 0,
        bad_share: float | None = None,
        context_limit: int = 200_000,
        models: Iterable[str] = (),
        process: bool = False,
    ) -> None:
        self.settings = Settings(world, latency, jitter, seed, bad_share, context_limit, tuple(models))
        self.port = port
        self._faults = [Fault.of(fault) for fault in faults]
        self._running: _Thread | _Process = _Process(self.settings) if process else _Thread(self.settings)

    def start(self) -> Self:
        """Start listening; ``base_url`` is known from here on."""
        self.port = self._running.start(self.port, self._faults)
        return self

    def stop(self) -> None:
        """Stop listening and close every connection."""
        self._running.stop()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """``http://127.0.0.1:PORT``: what the Anthropic SDK takes as its base URL."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def base_url(self) -> str:
        """``http://127.0.0.1:PORT/v1``: what the OpenAI SDK and our clients take as their base URL."""
        return f"{self.url}/v1"

    def stats(self, *, rows: bool = True) -> dict[str, Any]:
        """Counts since the start or the last reset (``Stats.as_dict``); ``rows``: with one row a request."""
        answer: dict[str, Any] = self._ask("GET", "/__stats" if rows else "/__stats?rows=0")
        return answer

    def requests(self, last: int = 100) -> list[dict[str, Any]]:
        """The last request bodies, oldest first: ``n``, ``role``, ``path``, ``body`` (its text, byte for byte)."""
        answer: list[dict[str, Any]] = self._ask("GET", f"/__requests?last={last}")
        return answer

    def reset(self) -> None:
        """Forget all counts; the faults stay and count from the start."""
        self._ask("POST", "/__reset")

    @property
    def faults(self) -> list[dict[str, Any]]:
        """The faults in force, each with ``met``: how often it was met.  Assign to replace them."""
        answer: list[dict[str, Any]] = self._ask("GET", "/__faults")
        return answer

    @faults.setter
    def faults(self, faults: Faults) -> None:
        self._ask("POST", "/__faults", [Fault.of(fault).as_dict() for fault in faults])

    def _ask(self, method: str, path: str, body: object = None) -> Any:
        connection = HTTPConnection("127.0.0.1", self.port, timeout=150)
        try:
            connection.request(method, path, None if body is None else json.dumps(body))
            return json.loads(connection.getresponse().read())
        finally:
            connection.close()


class _Thread:
    """The server on an event loop in a daemon thread."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._up = threading.Event()
        self._port = 0
        self._error: BaseException | None = None

    def start(self, port: int, faults: list[Fault]) -> int:
        simulation = Simulation(self.settings, faults)
        self._up.clear()
        self._error = None
        self._thread = threading.Thread(target=self._run, args=(simulation, port), name="lm-server", daemon=True)
        self._thread.start()
        self._up.wait()
        if self._error:
            raise self._error
        return self._port

    def _run(self, simulation: Simulation, port: int) -> None:
        asyncio.run(self._main(simulation, port))

    async def _main(self, simulation: Simulation, port: int) -> None:
        self._loop, self._done = asyncio.get_running_loop(), asyncio.Event()
        try:
            listening, self._port = await listen(simulation, port)
        except OSError as error:
            self._error = error
            return
        finally:
            self._up.set()
        await self._done.wait()
        await listening.close()

    def stop(self) -> None:
        if self._thread is None or self._loop is None:
            return
        if not self._error:
            self._loop.call_soon_threadsafe(self._done.set)
        self._thread.join()
        self._thread = None


class _Process:
    """The server as ``python -m afnio.models.lm_server``."""

    def __init__(self, settings: Settings) -> None:
        if not isinstance(settings.world, str):
            raise TypeError("With process=True the world must be given by its name.")
        self.settings, self.world = settings, settings.world
        self._process: subprocess.Popen[str] | None = None

    def start(self, port: int, faults: list[Fault]) -> int:
        given = self.settings
        options: dict[str, Any] = {
            "world": self.world,
            "latency": given.latency,
            "jitter": given.jitter,
            "seed": given.seed,
            "bad_share": given.bad_share,
            "context_limit": given.context_limit,
            "models": given.models,
            "faults": [fault.as_dict() for fault in faults],
            "port": port,
        }
        command = [sys.executable, "-m", "afnio.models.lm_server", json.dumps(options)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout
        said = json.loads(self._process.stdout.readline() or '{"error": "its process ended"}')
        if "error" in said:
            self.stop()
            raise OSError(f"The simulated LM's server did not start on port {port}: {said['error']}")
        return int(said["port"])

    def stop(self) -> None:
        if self._process:
            self._process.communicate()


def serve(settings: Settings, *, port: int = 0, faults: Faults = (), started: Any = None, until: Any = None) -> None:
    """Serve until Ctrl-C.

    Args:
        settings: how the server behaves.
        port: 0 takes a free one.
        faults: ``Fault`` objects or their texts.
        started: called with the port once the server listens.
        until: a blocking function; the server stops when it returns.
    """
    try:
        asyncio.run(_serve(Simulation(settings, faults), port, started, until))
    except KeyboardInterrupt:
        pass


async def _serve(simulation: Simulation, port: int, started: Any, until: Any) -> None:
    listening, port = await listen(simulation, port)
    try:
        if started:
            started(port)
        if until:
            await asyncio.to_thread(until)
        else:
            await asyncio.Event().wait()
    finally:
        await listening.close()
