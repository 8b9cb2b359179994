"""What the script reads of an answer, kept as it passes by."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Container, Iterator
from contextlib import contextmanager
from time import perf_counter
from typing import Any

from ao.intercept.decoding import Decoder, decoder

__all__ = ["Tee"]

_COST_OF_A_PIECE = 64


class Tee:
    """Gets the pieces that the script gets, when it gets them; tells once, when there will be no more.

    It never reads, and nothing it does can fail the script.

    Args:
        status, headers: of the answer.
        zero: the ``perf_counter`` that times are counted from.
        limit: bytes to keep; of what comes after, only the length is.
        ended: called once with this object.
        encoded: the pieces are compressed, if ``Content-Encoding`` says so.  They are kept decompressed.
        decodes: the encodings that the library decompresses for the script; a body in another one is kept as it came.
    """

    def __init__(
        self,
        status: int,
        headers: list[tuple[str, str]],
        *,
        zero: float,
        limit: int,
        ended: Callable[[Tee], None],
        encoded: bool,
        decodes: Container[str],
    ) -> None:
        self.status = status
        self.headers = headers
        self.kept = bytearray()
        self.chunks: list[tuple[float, int]] = []
        self.omitted = 0
        self.complete = self.left = False
        self.error: BaseException | None = None
        self.first: float | None = None
        self.last: float | None = None
        self.busy = False
        self._zero = zero
        self._room = limit
        self._ended: Callable[[Tee], None] | None = ended
        self._process = os.getpid()
        self._encoded = encoded
        self._encodings = _encodings(headers)
        self._decode: Decoder | None = None
        self._raw = any(name not in decodes for name in self._encodings)

    @property
    def open(self) -> bool:
        """Whether it still listens."""
        return self._ended is not None

    def feed(self, piece: Any, *, encoded: bool | None = None) -> None:
        """The script was given ``piece``; ``encoded``: this one is (not) compressed, whatever others are."""
        if not piece or self._ended is None:
            return
        self.last = perf_counter() - self._zero
        if self.first is None:
            self.first = self.last
        if self._encoded if encoded is None else encoded:
            piece = self._decoded(piece)
        if piece:
            self._keep(piece)

    @contextmanager
    def reading(self) -> Iterator[None]:
        """The library is at work; what it closes now, the script has not."""
        self.busy = True
        try:
            yield
        finally:
            self.busy = False

    def finish(self, *, complete: bool, error: BaseException | None = None) -> None:
        """There will be no more: the body is at its end (``complete``), or was left, or broke (``error``).

        ``left`` says whether the script left it by itself, and not because it was being stopped or cancelled.
        """
        ended, self._ended = self._ended, None
        if ended is None or os.getpid() != self._process:
            return
        if not self._raw:
            self._say_plain()
        self.error = error or self.error
        self.complete = complete and self.error is None
        self.left = not complete and self.error is None and not _interrupted()
        ended(self)

    def __del__(self) -> None:
        if getattr(self, "_ended", None) is not None:
            self.finish(complete=False)

    def _keep(self, piece: bytes) -> None:
        room = self._room
        if room <= 0:
            self.omitted += len(piece)
            return
        self.kept += piece if len(piece) <= room else piece[:room]
        self.omitted += max(len(piece) - room, 0)
        self.chunks.append((self.last or 0.0, min(len(piece), room)))
        self._room = room - len(piece) - _COST_OF_A_PIECE

    def _decoded(self, piece: bytes) -> bytes:
        if self._decode is None:
            known = None if self._raw else decoder(self._encodings)
            self._raw, self._decode = known is None, known or _unread
        decode: Decoder = self._decode
        try:
            return decode(piece)
        except Exception as error:  # noqa: BLE001 - the script's own library will say what is wrong with it
            self.error, self._decode = error, _nothing
            return b""

    def _say_plain(self) -> None:
        """What is kept is decompressed, so the headers kept with it must not say otherwise."""
        if self._encodings:
            gone = ("content-encoding", "content-length")
            self.headers = [(name, value) for name, value in self.headers if name.lower() not in gone]


def _interrupted() -> bool:
    """Whether Ctrl-C or a cancellation is on its way through the script."""
    error = sys.exc_info()[1]
    return error is not None and not isinstance(error, (Exception, GeneratorExit, SystemExit))


def _encodings(headers: list[tuple[str, str]]) -> list[str]:
    """In the order they were applied."""
    told = ",".join(value for name, value in headers if name.lower() == "content-encoding")
    names = (name.strip().lower() for name in told.split(","))
    return [name for name in names if name not in ("", "identity")]


def _unread(piece: bytes) -> bytes:
    return piece


def _nothing(piece: bytes) -> bytes:
    return b""
