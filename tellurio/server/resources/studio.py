"""Studio: the built page, the same for all its addresses, and its files.

It holds no data: all it shows it asks the API for, which asks who wants to know.  Where it was not built, there are
plain pages in its place.
"""

from __future__ import annotations

import asyncio
import gzip
import re
from pathlib import Path
from typing import NamedTuple

from starlette.requests import Request
from starlette.responses import Response

from tellurio.server.doors import Permission, Resource
from tellurio.server.edge import CSP
from tellurio.server.refusals import Refused
from tellurio.server.resources.plain import plain_home, plain_project, plain_run

__all__ = ["studio"]

studio = Resource("studio", prefix="")

POLICY = f"{CSP}; script-src 'self'; style-src 'self'; connect-src 'self'"
"""Nothing inline, nothing from elsewhere."""

PAGE = {
    "Content-Security-Policy": POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-cache",  # it names its files, whose names change with each build
    "X-Frame-Options": "DENY",
}
FOR_EVER = "public, max-age=31536000, immutable"
"""A file of another content has another name."""

KINDS = {
    ".js": "text/javascript",
    ".css": "text/css",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".ico": "image/x-icon",
    ".woff2": "font/woff2",
    ".json": "application/json",
    ".map": "application/json",
    ".txt": "text/plain",
    ".wasm": "application/wasm",
}
PACKED = (".js", ".css", ".svg", ".json", ".map", ".txt")
SMALL = 1000  # bytes that are not worth packing

_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]{0,199}\Z")

RUN = "/{ns}/projects/{project}/runs/{run}/"


@studio.route("GET", "/", permission=Permission.PUBLIC, listed=False)
async def get_home(request: Request) -> Response:
    """The projects."""
    return await _page(request) or await plain_home(request)


@studio.route("GET", "/{ns}/projects/{project}/", permission=Permission.PUBLIC, listed=False)
async def get_project_page(request: Request) -> Response:
    """The Runs of a project."""
    return await _page(request) or await plain_project(request)


@studio.route("GET", RUN, permission=Permission.PUBLIC, listed=False)
async def get_run_page(request: Request) -> Response:
    """A Run."""
    return await _page(request) or await plain_run(request)


@studio.route("GET", RUN + "{view}", permission=Permission.PUBLIC, listed=False)
async def get_view_page(request: Request) -> Response:
    """A view of a Run."""
    return await _page(request) or await plain_run(request)


@studio.route("GET", "/assets/{name}", permission=Permission.PUBLIC, listed=False)
async def get_asset(request: Request, name: str) -> Response:
    """A file of the page."""
    kind = KINDS.get(Path(name).suffix)
    file = None
    if kind is not None and _NAME.match(name):
        file = await asyncio.to_thread(_files.get, request.app.state.settings.static / "assets" / name)
    if file is None:
        raise Refused(404, "The page has no such file. It was built anew, perhaps: reload it.")
    headers = {"Cache-Control": FOR_EVER, "Vary": "Accept-Encoding"}
    packed = file.packed is not None and "gzip" in request.headers.get("accept-encoding", "")
    if packed:
        headers["Content-Encoding"] = "gzip"
    return Response(file.packed if packed else file.content, media_type=kind, headers=headers)


async def _page(request: Request) -> Response | None:
    file = await asyncio.to_thread(_files.get, request.app.state.settings.static / "index.html")
    return None if file is None else Response(file.content, media_type="text/html", headers=PAGE)


class _File(NamedTuple):
    state: tuple[int, int]
    content: bytes
    packed: bytes | None


class _Files:
    """The files as they are on the disk now: a build is seen without a restart."""

    MOST = 200

    def __init__(self) -> None:
        self._known: dict[Path, _File] = {}

    def get(self, path: Path) -> _File | None:
        """The file at ``path``, None if there is none."""
        try:
            facts = path.stat()
            state = (facts.st_mtime_ns, facts.st_size)
            known = self._known.get(path)
            if known is not None and known.state == state:
                return known
            content = path.read_bytes()
        except OSError:
            return None
        pack = path.suffix in PACKED and len(content) > SMALL
        file = _File(state, content, gzip.compress(content, 9, mtime=0) if pack else None)
        if len(self._known) >= self.MOST:
            self._known.clear()
        self._known[path] = file
        return file


_files = _Files()
