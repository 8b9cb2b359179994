"""Bodies that came compressed, decompressed piece by piece."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from typing import Any, Protocol

__all__ = ["Decoder", "decoder"]


class Decoder(Protocol):
    """Takes the pieces in order; some give nothing yet."""

    def __call__(self, piece: bytes) -> bytes:
        """What ``piece`` adds."""


def decoder(encodings: Sequence[str]) -> Decoder | None:
    """For a body in these encodings, undone from the last to the first; None when there is none that we can read."""
    steps = [_MAKERS[name]() if name in _MAKERS else None for name in reversed(encodings)]
    known = [step for step in steps if step is not None]
    if not known or len(known) < len(steps):
        return None
    return known[0] if len(known) == 1 else _Chain(known)


class _Chain:
    def __init__(self, steps: list[Decoder]) -> None:
        self._steps = steps

    def __call__(self, piece: bytes) -> bytes:
        for step in self._steps:
            piece = step(piece)
        return piece


class _Gzip:
    """A gzip body may have several members, one after the other."""

    def __init__(self) -> None:
        self._zlib = importlib.import_module("zlib")
        self._inner = self._zlib.decompressobj(31)

    def __call__(self, piece: bytes) -> bytes:
        found: list[bytes] = []
        while piece:
            found.append(self._inner.decompress(piece))
            piece = self._inner.unused_data
            if piece:
                self._inner = self._zlib.decompressobj(31)
        return b"".join(found)


class _Deflate:
    """With zlib's header, as the standard says, or without, as some servers send it."""

    def __init__(self) -> None:
        self._zlib = importlib.import_module("zlib")
        self._inner = self._zlib.decompressobj()
        self._started = False

    def __call__(self, piece: bytes) -> bytes:
        try:
            found = bytes(self._inner.decompress(piece))
        except self._zlib.error:
            if self._started:
                raise
            self._inner = self._zlib.decompressobj(-15)
            found = bytes(self._inner.decompress(piece))
        self._started = self._started or bool(piece)
        return found


def _brotli() -> Decoder | None:
    for name in ("brotli", "brotlicffi"):
        library = _there(name)
        if library:
            inner = library.Decompressor()
            run: Any = getattr(inner, "decompress", None) or inner.process
            return lambda piece: bytes(run(piece))
    return None


def _zstd() -> Decoder | None:
    for name in ("compression.zstd", "backports.zstd"):
        library = _there(name)
        if library:
            plain = library.ZstdDecompressor()
            return lambda piece: b"" if plain.eof else bytes(plain.decompress(piece))
    library = _there("zstandard")
    if library is None:
        return None
    inner = library.ZstdDecompressor().decompressobj()
    return lambda piece: b"" if inner.eof else bytes(inner.decompress(piece))


def _there(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError:
        return None


_MAKERS: dict[str, Callable[[], Decoder | None]] = {
    "gzip": _Gzip,
    "x-gzip": _Gzip,
    "deflate": _Deflate,
    "br": _brotli,
    "zstd": _zstd,
}
