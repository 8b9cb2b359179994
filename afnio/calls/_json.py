"""JSON for the hot path: orjson, imported at the first call."""

from __future__ import annotations

import json
from typing import Any

__all__ = ["dumps", "loads"]


def dumps(value: object, *, sort: bool = False) -> bytes:
    """Compact UTF-8 JSON.

    Keys that are no strings (``logit_bias={50256: -100}``) and pydantic objects (a message of the SDK put
    back into ``messages``) are spelled the way the ``openai`` SDK spells them.

    Raises:
        TypeError: something in ``value`` has no JSON form.
    """
    import orjson

    option = orjson.OPT_SORT_KEYS if sort else 0
    try:
        return orjson.dumps(value, None, option)
    except TypeError:
        pass
    try:
        return orjson.dumps(value, _plain, option | orjson.OPT_NON_STR_KEYS)
    except TypeError as error:
        raise TypeError(f"A request must have a JSON form: {error.__cause__ or error}.") from None


def _plain(value: Any) -> Any:
    dump = getattr(value, "model_dump", None)
    if dump is None:
        raise TypeError(f"{type(value).__name__} is none of dict, list, str, int, float, bool and None")
    return dump(exclude_unset=True, mode="json")


def loads(content: bytes) -> Any:
    """The value of a JSON text; ``ValueError`` when it is none.

    Half characters (a model cut in the middle of an emoji) and bytes that are no UTF-8 become U+FFFD.
    """
    import orjson

    try:
        return orjson.loads(content)
    except ValueError:
        return _clean(json.loads(content.decode(errors="replace")))


def _clean(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, list):
        return [_clean(each) for each in value]
    if isinstance(value, dict):
        return {_clean(name): _clean(each) for name, each in value.items()}
    return value
