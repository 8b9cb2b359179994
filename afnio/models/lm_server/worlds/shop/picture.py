"""Pictures of products: a PNG whose pixels spell the product's code, written and read with the standard library."""

from __future__ import annotations

import struct
import zlib

__all__ = ["code_in", "picture_of"]

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_BLOCK = 8
"""Pixels of a character's square, in each direction."""


def picture_of(code: str) -> bytes:
    """A PNG of 8 x 8 pixels a character: a square's red is the character, its green the complement, its blue 128."""
    row = b"\0" + b"".join([bytes([ord(letter), 255 - ord(letter), 128]) * _BLOCK for letter in code])
    header = struct.pack(">IIBBBBB", len(code) * _BLOCK, _BLOCK, 8, 2, 0, 0, 0)
    chunks = [_chunk(b"IHDR", header), _chunk(b"IDAT", zlib.compress(row * _BLOCK)), _chunk(b"IEND", b"")]
    return _SIGNATURE + b"".join(chunks)


def code_in(data: bytes) -> str:
    """The code that a picture of ours spells; ``""`` for any other picture, and for what is none."""
    try:
        chunks = _chunks(data)
        width = int(struct.unpack(">I", chunks[b"IHDR"][:4])[0])
        row = zlib.decompress(chunks[b"IDAT"])[1 : 1 + 3 * width]
    except (KeyError, ValueError, struct.error, zlib.error):
        return ""
    squares = [row[start : start + 3] for start in range(0, len(row), 3 * _BLOCK)]
    if not squares or any(len(square) < 3 or square[0] + square[1] != 255 or square[2] != 128 for square in squares):
        return ""
    return "".join([chr(square[0]) for square in squares])


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _chunks(data: bytes) -> dict[bytes, bytes]:
    if not data.startswith(_SIGNATURE):
        raise ValueError("not a PNG")
    found, at = {}, len(_SIGNATURE)
    while at + 12 <= len(data):
        size = int(struct.unpack(">I", data[at : at + 4])[0])
        kind, body, check = data[at + 4 : at + 8], data[at + 8 : at + 8 + size], data[at + 8 + size : at + 12 + size]
        if check != struct.pack(">I", zlib.crc32(kind + body)):
            raise ValueError("a chunk is damaged")
        found[kind] = body
        at += 12 + size
    return found
