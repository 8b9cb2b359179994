"""The records of a Run's journal: one JSON object a line, in the order they were logged.

Every record has ``n`` (its number in the journal, from 1), ``t`` (Unix time) and ``k`` (its kind):

========  ==================================================================================================
``m``     a metric: ``name``, ``v`` (a number, or ``"nan"``, ``"inf"``, ``"-inf"``), ``step`` (int or None)
``v``     any other value: ``name``, ``type`` (``"text"``, ``"table"``, ``"json"``, ``"image"``), ``v``, ``step``
``c``     an LM call: ``record``, as ``afnio.calls.record`` makes it
``e``     an event: ``kind`` (``"prompt"``, ``"gate"``, ``"fit_start"``, ...), ``data``
``a``     an artifact: ``name``, ``kind``, ``files`` (``[{"path", "sha256", "size"}]``); its blobs are stored already
``s``     the end of the Run: ``status``, and ``reason`` (a text) where that needs words
========  ==================================================================================================
"""

from __future__ import annotations

import math
from typing import Any, Literal

__all__ = ["STATUSES", "Kind", "number_in", "number_out"]

Kind = Literal["m", "v", "c", "e", "a", "s"]

STATUSES = ("RUNNING", "COMPLETED", "CRASHED", "FAILED")
"""The states of a Run."""

_SPECIAL = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}


def number_out(value: float) -> float | str:
    """``value`` as JSON has it: NaN and the infinities as words."""
    if isinstance(value, int) or math.isfinite(value):
        return value
    return "nan" if math.isnan(value) else "inf" if value > 0 else "-inf"


def number_in(value: Any) -> float:
    """The inverse of `number_out`.

    Raises:
        ValueError: it is no number.
    """
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return value
    if isinstance(value, str) and value in _SPECIAL:
        return _SPECIAL[value]
    raise ValueError(f"expected a number, 'nan', 'inf' or '-inf', got {value!r}")
