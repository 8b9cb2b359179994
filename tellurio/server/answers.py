"""JSON answers."""

from __future__ import annotations

import json
import math
from typing import Any

import orjson
from starlette.responses import Response

__all__ = ["answer", "finite"]


def answer(data: Any, status: int = 200) -> Response:
    """``data`` as the JSON body of an answer."""
    try:
        body = orjson.dumps(data, option=orjson.OPT_NON_STR_KEYS)
    except TypeError:  # orjson writes 254 levels, but reads (and we store) 1,024
        body = json.dumps(data).encode()
    return Response(body, status, media_type="application/json")


def finite(value: float | None) -> float | str | None:
    """A number as JSON has it."""
    if value is None or math.isfinite(value):
        return value
    return "nan" if math.isnan(value) else "inf" if value > 0 else "-inf"
