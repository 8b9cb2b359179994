"""One server process: its home folder, its socket, its beginning and its end."""

from __future__ import annotations

import contextlib
import getpass
import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import orjson
import uvicorn
from fastapi import FastAPI
from sqlalchemy import Connection

from afnio._files import atomic_write
from afnio.errors import StoreError
from tellurio.schemas.version import our_version
from tellurio.server.app import make_app
from tellurio.server.log import log
from tellurio.server.settings import DEFAULT_PORT, ServerSettings
from tellurio.store import users
from tellurio.store.store import Store

__all__ = ["PortTakenError", "serve"]

KEEP_ALIVE = 75
"""Seconds an idle connection is kept: longer than any pause of a client that gives signs of life."""


class PortTakenError(Exception):
    """The port that was asked for cannot be listened on."""


def serve(home: Path, host: str, port: int | None, allowed_hosts: tuple[str, ...]) -> None:
    """Serve the store in ``home`` until SIGTERM or SIGINT.

    Raises:
        StoreError: the store cannot be opened.
        PortTakenError: the port cannot be had.
    """
    store = Store.open(home)
    try:
        key = _local_key(store, home)
        listening = _bound(host, port)
        chosen = listening.getsockname()[1]
        settings = ServerSettings(
            host=host, port=chosen, allowed_hosts=allowed_hosts, journals_home=_clients_beside(home)
        )
        facts = {"url": settings.url, "port": chosen, "pid": os.getpid(), "key": key}
        facts |= {"version": our_version(), "server_id": store.server_id}
        app = make_app(store, settings)
        _Server(app, settings, home / "server.json", facts).run(sockets=[listening])
    finally:
        with contextlib.suppress(StoreError):
            store.close()
        log("stopped")


class _Server(uvicorn.Server):
    """Says in a file that it listens, and ends on a signal without dying of it."""

    def __init__(self, app: FastAPI, settings: ServerSettings, file: Path, facts: dict[str, Any]) -> None:
        config = uvicorn.Config(
            app,
            http="httptools",
            loop="asyncio",
            ws="none",
            lifespan="on",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_keep_alive=KEEP_ALIVE,
            timeout_graceful_shutdown=max(1, round(settings.grace_seconds)),
        )
        super().__init__(config)
        self._app, self._file, self._facts = app, file, facts

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        _write_secret(self._file, orjson.dumps(self._facts))
        log("started", **{name: self._facts[name] for name in ("url", "pid", "version", "server_id")})

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        log("stopping")
        self._file.unlink(missing_ok=True)  # first: nobody is to be sent here any more
        self._app.state.hooks.closing.set()
        await super().shutdown(sockets)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Uvicorn's would kill the process by the same signal afterwards, before the store is closed."""
        numbers = (signal.SIGTERM, signal.SIGINT)
        before = {number: signal.signal(number, self._asked_to_end) for number in numbers}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _asked_to_end(self, number: int, _frame: FrameType | None) -> None:
        self.force_exit = self.should_exit and number == signal.SIGINT
        self.should_exit = True


def _bound(host: str, port: int | None) -> socket.socket:
    """A socket that nobody else has: on the port asked for, or on ours, or where that is taken, on any."""
    try:
        return _listener(host, DEFAULT_PORT if port is None else port)
    except OSError as error:
        if port is None:
            with contextlib.suppress(OSError):
                return _listener(host, 0)
        where = f"{host}:{DEFAULT_PORT if port is None else port}"
        raise PortTakenError(
            f"Cannot listen on {where}: {error.strerror}. Choose another port with --port, or none for any free one."
        ) from error


def _listener(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # The protocol is named: asyncio sends at once (TCP_NODELAY) only then, else every answer waits 40 ms for an ACK.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(2048)
    except BaseException:
        listener.close()
        raise
    return listener


def _local_key(store: Store, home: Path) -> str:
    """The key of this machine's user, who is made at the first start."""
    file = home / "local_key"
    with contextlib.suppress(FileNotFoundError):
        key = file.read_text().strip()
        if store.read(users.user_of_key, key) is not None:
            return key
    key = store.write(_new_key, _username(), durable=True)
    _write_secret(file, key.encode())
    return key


def _new_key(connection: Connection, username: str) -> str:
    user = users.local_user(connection)
    if user is None:
        user = users.make_user(connection, username, f"{username}@localhost", is_admin=True)
    return users.make_key(connection, user["id"], "local")[1]


def _write_secret(file: Path, content: bytes) -> None:
    try:
        with atomic_write(file, mode=0o600) as out:
            out.write(content)
    except OSError as error:
        raise StoreError(
            f"Cannot write {file}: {error.strerror or error}. Make space, or name a folder that this user may write, "
            f"with --home or TELLURIO_HOME."
        ) from error


def _username() -> str:
    with contextlib.suppress(KeyError, OSError):
        name = getpass.getuser()
        if any(letter.isascii() and letter.isalnum() for letter in name):
            return name
    return "local"


def _clients_beside(home: Path) -> Path | None:
    """The home folder of this user's clients, if the server's is inside it."""
    return home.parent if home.name == "server" else None
