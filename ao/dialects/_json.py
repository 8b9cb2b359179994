"""JSON for the hot path: orjson, imported at the first call."""

from __future__ import annotations

import json
from typing import Any

__all__ = ["dumps", "loads"]


def loads(content: bytes | str) -> Any:
    """The value of a JSON text; ``ValueError`` when it is none.  Bytes that are no UTF-8 become U+FFFD."""
    import orjson

    try:
        return orjson.loads(content)
    except ValueError:
        return json.loads(content.decode(errors="replace") if isinstance(content, bytes) else content)


def dumps(value: object) -> bytes:
    """Compact UTF-8 JSON."""
    import orjson

    try:
        return orjson.dumps(value)
    except TypeError:  # whole numbers beyond 64 bits, half characters
        return json.dumps(value, separators=(",", ":")).encode()
