"""``python -m tellurio.server --home DIR``: serve the store in a folder."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from afnio.errors import StoreError
from tellurio.server import log, settings
from tellurio.server.serve import PortTakenError, serve

__all__ = ["main"]

STORE_FAILED, PORT_TAKEN = 3, 4


def main(arguments: list[str] | None = None) -> int:
    """Serve; returns the process's exit status."""
    given = _parser().parse_args(arguments)
    os.umask(0o077)  # what is in the folder is nobody else's
    log.set_up()
    try:
        serve(given.home, given.host, given.port, tuple(given.allow_host))
    except StoreError as error:
        return _failed(STORE_FAILED, error)
    except PortTakenError as error:
        return _failed(PORT_TAKEN, error)
    return 0


def _failed(status: int, error: Exception) -> int:
    sys.stderr.write(f"{error}\n")
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tellurio.server", description="A Tellurio server.")
    parser.add_argument("--home", type=Path, required=True, help="folder of its database and files")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: this machine only)")
    parser.add_argument(
        "--port", type=int, help=f"port to listen on (default: {settings.DEFAULT_PORT}, or where it is taken, any)"
    )
    parser.add_argument(
        "--allow-host", action="append", default=[], metavar="HOST[:PORT]", help="a further Host header to answer to"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
