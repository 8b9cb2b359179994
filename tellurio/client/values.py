"""What can be logged, and which record it becomes."""

from __future__ import annotations

import numbers
import operator
import os
from collections.abc import Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

from afnio.variable import Variable
from tellurio.schemas.records import number_out

__all__ = ["Value", "checked_name", "checked_step", "image_type", "records_of"]

NAME_LENGTH = 500
TEXT_LENGTH = 1_000_000
STEPS = 2**53

_IMAGES = {b"\x89PNG\r\n\x1a\n": "png", b"\xff\xd8\xff": "jpeg", b"GIF8": "gif"}
_IMAGE_NAMES = (".png", ".jpg", ".jpeg", ".gif", ".webp")

Value = tuple[str, str, Any]
"""Name, type (``"number"``, ``"text"``, ``"table"``, ``"json"``, ``"image"``, ``"file"``), and what goes into the
record; an image or a file is bytes or a path."""


def checked_name(name: object) -> str:
    """``name``, if something can be logged under it.

    Raises:
        TypeError: it is no string.
        ValueError: it is empty, or too long.
    """
    if not isinstance(name, str):
        raise TypeError(f"run.log(name, value): the name must be a string, got {type(name).__name__}: {name!r:.100}.")
    if not 0 < len(name) <= NAME_LENGTH:
        raise ValueError(f"run.log(name, value): a name has 1 to {NAME_LENGTH} characters, this one {len(name)}.")
    if "\0" in name:
        raise ValueError(f"run.log(name, value): a name cannot contain a NUL character: {name!r:.100}.")
    return name


def checked_step(step: object) -> int | None:
    """``step`` as an int, or None.

    Raises:
        TypeError: it is no whole number.
        ValueError: it is larger than a server can count.
    """
    if step is None:
        return None
    try:
        if isinstance(step, bool):
            raise TypeError
        number = operator.index(step)  # type: ignore[arg-type]
    except TypeError:
        raise TypeError(
            f"run.log(..., step=...): the step must be an int or None, got {type(step).__name__}: {step!r:.100}."
        ) from None
    if abs(number) >= STEPS:
        raise ValueError(f"run.log(..., step=...): the step must lie between -2**53 and 2**53, got {number}.")
    return number


def records_of(name: str, value: Any) -> Iterator[Value]:
    """What ``value`` is logged as: one value, or those of a dict, each under ``name/key``.

    Raises:
        TypeError: it cannot be logged.
        ValueError: it is too large.
    """
    if isinstance(value, Variable):
        value = value.data
    if isinstance(value, Mapping):
        for key, each in value.items():
            yield from records_of(checked_name(f"{name}/{key}"), each)
        return
    number = _number(value)
    if number is not None:
        yield name, "number", number
    elif isinstance(value, str):
        yield name, "text", _bounded(name, value)
    else:
        yield _other(name, value)


def image_type(content: bytes) -> str | None:
    """``"png"``, ``"jpeg"``, ``"gif"`` or ``"webp"``; None for what is none of these."""
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return "webp"
    return next((kind for start, kind in _IMAGES.items() if content.startswith(start)), None)


def _number(value: Any) -> float | str | None:
    """``value`` as a metric has it; None if it is no number."""
    if type(value) is float:
        return number_out(value)
    if isinstance(value, (bool, int)):
        return int(value) if abs(value) < 2**63 else number_out(_float(value))
    if isinstance(value, (float, Decimal, numbers.Real)):
        return number_out(_float(value))
    item = getattr(value, "item", None)  # of numpy, torch, jax: a scalar, or an array of one element
    if callable(item):
        try:
            found = item()
        except (TypeError, ValueError, RuntimeError):
            return None
        return None if found is value or hasattr(found, "item") else _number(found)
    return None


def _float(value: Any) -> float:
    try:
        return float(value)
    except OverflowError:
        return float("inf") if value > 0 else float("-inf")


def _other(name: str, value: Any) -> Value:
    if isinstance(value, (bytes, bytearray)):
        if image_type(bytes(value[:16])) is None:
            raise TypeError(
                f"run.log({name!r}, bytes): bytes are taken as an image, and these are no PNG, JPEG, GIF or WebP. For "
                f"other data write a file and call run.log_artifact(path)."
            )
        return name, "image", bytes(value)
    if isinstance(value, os.PathLike):
        path = Path(value)
        if not path.exists():
            raise FileNotFoundError(f"run.log({name!r}, path): there is no file or folder {os.fspath(path)!r}.")
        return name, "image" if path.suffix.lower() in _IMAGE_NAMES else "file", path
    picture = _picture(value)
    if picture is not None:
        return name, "image", picture
    table = _table(value)
    if table is not None:
        return name, "table", _bounded_json(name, table)
    if isinstance(value, (list, tuple)) or hasattr(value, "tolist"):
        return name, "json", _bounded_json(name, value.tolist() if hasattr(value, "tolist") else list(value))
    raise TypeError(
        f"run.log({name!r}, value): a value is a number, a text, a dict of values, a table (list of dicts), a list, an "
        f"image (bytes, or a path) or a file (pathlib.Path); got {type(value).__name__}: {value!r:.100}."
    )


def _table(value: Any) -> list[dict[str, Any]] | None:
    """The rows of a list of dicts, or of a data frame."""
    if hasattr(value, "columns") and callable(getattr(value, "to_dict", None)):
        rows: list[dict[str, Any]] = value.to_dict("records")
        return rows
    if isinstance(value, (list, tuple)) and value and all(isinstance(row, Mapping) for row in value):
        return [dict(row) for row in value]
    return None


def _picture(value: Any) -> bytes | None:
    """A figure of matplotlib or an image of PIL as PNG."""
    import io

    stream = io.BytesIO()
    if callable(getattr(value, "savefig", None)):
        value.savefig(stream, format="png")
    elif callable(getattr(value, "save", None)) and hasattr(value, "getbands"):
        value.save(stream, "PNG")
    else:
        return None
    return stream.getvalue()


def _bounded(name: str, text: str) -> str:
    if len(text) > TEXT_LENGTH // 4 and len(text.encode("utf-8", "surrogatepass")) > TEXT_LENGTH:
        raise ValueError(
            f"run.log({name!r}, text): a text of {len(text):,} characters is too long: {TEXT_LENGTH:,} bytes are "
            f"taken. Write it to a file and call run.log_artifact(path)."
        )
    return text


def _bounded_json(name: str, value: Any) -> Any:
    import orjson

    try:
        size = len(orjson.dumps(value, str, orjson.OPT_NON_STR_KEYS))
    except TypeError:  # half characters, numbers without end: they are cleaned when they are written
        return value
    if size > TEXT_LENGTH:
        raise ValueError(
            f"run.log({name!r}, ...): a table or list of {size:,} bytes is too large, {TEXT_LENGTH:,} are taken. Write "
            f"it to a file and call run.log_artifact(path)."
        )
    return value
