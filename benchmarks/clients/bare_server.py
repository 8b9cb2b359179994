"""The control of the server: Starlette on uvicorn, one handler that reads the body and answers, and nothing else."""

from __future__ import annotations

import socket
import sys
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route


async def take(request: Request) -> JSONResponse:
    await request.body()
    return JSONResponse({"acknowledged": 1, "status": "RUNNING"})


class Server(uvicorn.Server):
    """Says in a file which port it listens on, as ours does."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        assert sockets
        _tell(sockets[0].getsockname()[1])


def _tell(port: int) -> None:
    part = Path(f"{sys.argv[1]}.part")
    part.write_text(str(port), encoding="ascii")
    part.rename(sys.argv[1])


def main() -> None:
    """Serve until SIGTERM."""
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.bind(("127.0.0.1", 0))
    listening.listen(100)
    app = Starlette(routes=[Route("/{path:path}", take, methods=["POST"])])
    config = uvicorn.Config(app, http="httptools", lifespan="off", access_log=False, log_level="warning")
    Server(config).run(sockets=[listening])


if __name__ == "__main__":
    main()
