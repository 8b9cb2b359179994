"""What a server can be told at its start."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

__all__ = ["DEFAULT_PORT", "LOOPBACK", "ServerSettings"]

DEFAULT_PORT = 7117

LOOPBACK = ("localhost", "127.0.0.1", "::1")
"""Names of this machine that no other machine answers to."""

MEGABYTE = 1 << 20

STATIC = Path(__file__).parent / "static"
"""Where Studio is built to."""


@dataclass(frozen=True, kw_only=True)
class ServerSettings:
    """Where a server listens, whom it listens to, and how much it takes.

    Attributes:
        host: address to listen on.
        port: port it listens on, which is a part of the Host and Origin it accepts.
        allowed_hosts: further values of the Host header, with the port where it is not the scheme's own: those of a
            proxy in front, or this machine's name in the network.
        journals_home: the home folder of the clients on this machine, whose journals of killed processes are collected;
            None: there is none.
        body_limit: bytes of an ordinary request's body.
        journal_limit: bytes of a batch of journal records.
        journal_lines: records of a batch.
        blob_limit: bytes of one file of an artifact.
        blob_uploads: files that are received at once.
        waiting_requests: batches that may wait for the database at once; the next is told to come back later.
        waiting_bytes: bytes that may wait for the database at once.
        identity_seconds: for how long a key, a session's user and a role are believed without asking the database
            again.  A key revoked by another process works for that long at most.
        code_seconds: for how long a one-time login code can be used.
        session_seconds: for how long a browser stays logged in.
        sweep_seconds: pause between two sweeps (Runs without a sign of life, journals of killed processes, jobs).
        live_seconds: for how long a stream of hints lasts; a page then asks for the next one.
        static: the folder of the built page.
        grace_seconds: for how long requests under way may go on when the server ends.
    """

    host: str = "127.0.0.1"
    port: int = DEFAULT_PORT
    allowed_hosts: tuple[str, ...] = ()
    journals_home: Path | None = None
    body_limit: int = 2 * MEGABYTE
    journal_limit: int = 16 * MEGABYTE
    journal_lines: int = 10_000
    blob_limit: int = 50 * 1024 * MEGABYTE
    blob_uploads: int = 4
    waiting_requests: int = 512
    waiting_bytes: int = 64 * MEGABYTE
    identity_seconds: float = 5.0
    code_seconds: float = 60.0
    session_seconds: float = 30 * 86_400.0
    sweep_seconds: float = 5.0
    live_seconds: float = 86_400.0
    static: Path = STATIC
    grace_seconds: float = 5.0

    @property
    def local(self) -> bool:
        """Whether only this machine can reach it."""
        return self.host in LOOPBACK

    @property
    def url(self) -> str:
        """Its address, as a browser on this machine types it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{'127.0.0.1' if host == '0.0.0.0' else host}:{self.port}"  # noqa: S104 - it is compared
