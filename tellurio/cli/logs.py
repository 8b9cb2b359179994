"""``tellurio logs``: what the local server says."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, BinaryIO

import typer

from tellurio.client.paths import server_log

__all__ = ["logs"]

_PIECE = 65536
_PAUSE = 0.1


def logs(
    follow: Annotated[bool, typer.Option("-f", "--follow", help="Go on as lines come; Ctrl-C ends it.")] = False,
    lines: Annotated[int, typer.Option("-n", "--lines", min=0, help="How many of the last lines.")] = 50,
) -> None:
    """Show the last lines of the local server's log."""
    path = server_log()
    try:
        file = path.open("rb")
    except FileNotFoundError:
        typer.echo(f"There is no log yet: {path}. Start the server: tellurio up", err=True)
        raise typer.Exit(1) from None
    with file:
        _to_last_lines(file, lines)
        _show(file)
        shown = file.tell()
    if follow:
        for piece in _coming(path, shown):
            _write(piece)


def _to_last_lines(file: BinaryIO, lines: int) -> None:
    """Go back from the end by pieces: a log may be large."""
    position = file.seek(0, os.SEEK_END)
    wanted = lines + 1  # line ends: that of the last line, and that before the first of them
    while position > 0 and wanted > 0:
        size = min(_PIECE, position)
        position = file.seek(position - size)
        piece = file.read(size)
        found = piece.count(b"\n")
        if found >= wanted:
            for _ in range(wanted):
                size = piece.rindex(b"\n", 0, size)
            file.seek(position + size + 1)
            return
        wanted -= found
    file.seek(0)


def _coming(path: Path, shown: int) -> Iterator[bytes]:
    """What is appended from now on; a log that was put aside is followed by the new one."""
    while True:
        try:
            size = path.stat().st_size
            if size < shown:
                shown = 0
            if size > shown:
                with path.open("rb") as file:
                    file.seek(shown)
                    piece = file.read()
                shown += len(piece)
                yield piece
                continue
        except FileNotFoundError:
            shown = 0
        time.sleep(_PAUSE)


def _show(file: BinaryIO) -> None:
    while piece := file.read(_PIECE):
        _write(piece)


def _write(piece: bytes) -> None:
    sys.stdout.buffer.write(piece)  # as it is: a piece may end within a character
    sys.stdout.buffer.flush()
