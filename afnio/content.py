"""Content of messages besides plain text: pictures and documents, as blocks every provider's format can spell.

messages = [{"role": "user", "content": [content.text("What is this?"), content.image("cat.png")]}]
"""

from __future__ import annotations

import base64
import mimetypes
import os
from collections.abc import Iterable
from pathlib import Path

from afnio._content_blocks import ContentBlockError, DocumentBlock, ImageBlock, Source, StopReason, TextBlock
from afnio.variable import Variable

__all__ = ["StopReason", "document", "image", "text"]

_MAGIC = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF8", "image/gif"),
    (b"%PDF-", "application/pdf"),
)


def text(words: str | Variable) -> TextBlock:
    """A block of text."""
    if not isinstance(words, (str, Variable)):
        raise ContentBlockError(f"content.text() takes a str or a Variable, got {type(words).__name__}.")
    return {"type": "text", "text": words}


def image(source: str | os.PathLike[str] | bytes, media_type: str | None = None) -> ImageBlock:
    """A picture.

    Args:
        source: a path, a URL (``https://...`` or ``data:...``) or the picture's bytes.
        media_type: ``"image/png"``, say; found by the bytes or the file's name when left out.

    Raises:
        ContentBlockError: what it is cannot be told, or it is no picture.
        OSError: the file cannot be read.
    """
    return {"type": "image", "source": _source(source, media_type, "image", ("image/",))}


def document(
    source: str | os.PathLike[str] | bytes, media_type: str | None = None, title: str | None = None
) -> DocumentBlock:
    """A document: a PDF, or plain text (``.txt``, ``.md``, ``.csv``, ...), which models read as text.

    Args:
        source: a path, a URL or the document's bytes.
        media_type: ``"application/pdf"`` or ``"text/plain"``, say; found by the bytes or the name when left out.
        title: what the model is told it is called; the file's name by default.

    Raises:
        ContentBlockError: what it is cannot be told.
        OSError: the file cannot be read.
    """
    block: DocumentBlock = {
        "type": "document",
        "source": _source(source, media_type, "document", ("application/", "text/")),
    }
    title = title or _name(source)
    return {**block, "title": title} if title else block


def _source(source: str | os.PathLike[str] | bytes, media_type: str | None, what: str, kinds: Iterable[str]) -> Source:
    if isinstance(source, str) and source.startswith(("http://", "https://")):
        return {"type": "url", "url": source}
    if isinstance(source, str) and source.startswith("data:"):
        return _from_data_url(source)
    if isinstance(source, (bytes, bytearray)):
        data = bytes(source)
    elif isinstance(source, (str, os.PathLike)):
        data = Path(source).read_bytes()
    else:
        raise ContentBlockError(f"content.{what}() takes a path, a URL or bytes, got {type(source).__name__}.")
    media_type = media_type or _guessed(data, source)
    if media_type is None or not media_type.startswith(tuple(kinds)):
        raise ContentBlockError(
            f"content.{what}() was given {media_type or 'something unknown'}: pass media_type=..., for example "
            f"{'image/png' if what == 'image' else 'application/pdf'!r}."
        )
    if media_type.startswith("text/"):
        return {"type": "text", "media_type": "text/plain", "data": data.decode(errors="replace")}
    return {"type": "base64", "media_type": media_type, "data": base64.b64encode(data).decode()}


def _from_data_url(url: str) -> Source:
    head, comma, data = url.removeprefix("data:").partition(",")
    if not comma or not head.endswith(";base64"):
        raise ContentBlockError(f"A data URL looks like data:image/png;base64,...; got {url[:40]!r}.")
    return {"type": "base64", "media_type": head.removesuffix(";base64"), "data": data}


def _guessed(data: bytes, source: object) -> str | None:
    for start, kind in _MAGIC:
        if data.startswith(start):
            return kind
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "image/webp"
    if isinstance(source, (bytes, bytearray)):
        return None
    name = str(source)
    return "text/plain" if name.endswith((".md", ".rst")) else mimetypes.guess_type(name)[0]


def _name(source: object) -> str | None:
    is_file = isinstance(source, (str, os.PathLike)) and not str(source).startswith(("http:", "https:", "data:"))
    return Path(str(source)).name if is_file else None
