"""What ``te.init`` is given: checked before anything is made."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from afnio.calls import Budget
from afnio.calls.redact import redacted
from tellurio.client.journal import to_json
from tellurio.schemas.slugs import NAMESPACE, slugify

__all__ = ["budget_of", "config_of", "lease_of_runs", "limits_of", "project_slug", "tags_of", "text_of"]

LEASE = 30.0  # seconds without a sign of life after which a server takes a Run for crashed


def project_slug(namespace: object, project: object) -> str:
    """The project's slug, if both names can be used."""
    for value, what in ((namespace, "namespace_slug"), (project, "project_display_name")):
        if not isinstance(value, str):
            raise TypeError(f"te.init: {what} must be a string, got {type(value).__name__}: {value!r:.100}.")
    if not NAMESPACE.fullmatch(str(namespace)):
        raise ValueError(
            f"te.init(namespace_slug={namespace!r:.100}): expected 1 to 64 lower-case letters, digits, '_' and '-', "
            f"the first one a letter or digit, e.g. {_suggestion(str(namespace))!r}."
        )
    slug = slugify(str(project))
    if not slug or len(str(project)) > 200:
        raise ValueError(
            f"te.init(project_display_name={project!r:.100}): expected a name of 1 to 200 characters with a letter a "
            f"to z or a digit in it, e.g. 'My Project': its address is made of these."
        )
    return slug


def _suggestion(namespace: str) -> str:
    return re.sub(r"[^a-z0-9_-]+", "-", namespace.lower()).lstrip("_-").rstrip("-")[:64] or "my-team"


def text_of(value: object, what: str, most: int) -> str | None:
    """A text of at most ``most`` characters, or None for none and for an empty one."""
    if value is not None and not isinstance(value, str):
        raise TypeError(f"te.init: {what} must be a string or None, got {type(value).__name__}: {value!r:.100}.")
    _check_text(value or "", what, most)
    return value or None


def _check_text(text: str, what: str, most: int) -> None:
    """ValueError for a text that no server would store."""
    if len(text) > most:
        raise ValueError(f"te.init({what}=...): at most {most:,} characters are taken, this has {len(text):,}.")
    if "\0" in text or any("\ud800" <= letter <= "\udfff" for letter in text):
        raise ValueError(f"te.init({what}={text!r:.100}): it holds a NUL character or half of a surrogate pair.")


def tags_of(tags: object) -> list[str]:
    """The tags, none of them empty."""
    if tags is None:
        return []
    if isinstance(tags, (str, bytes)) or not isinstance(tags, Iterable):
        raise TypeError(f"te.init(tags=...): expected a list of strings, got {tags!r:.100}.")
    given = list(tags)
    if not all(isinstance(tag, str) and tag for tag in given):
        raise TypeError(f"te.init(tags=...): each tag must be a string that is not empty, got {given!r:.100}.")
    for tag in given:
        _check_text(tag, "tags", 200)
    return given


def config_of(config: object) -> dict[str, Any] | None:
    """The config as JSON can hold it, without what looks like a credential."""
    if config is None:
        return None
    if not isinstance(config, Mapping):
        raise TypeError(f"te.init(config=...): expected a dict, got {type(config).__name__}: {config!r:.100}.")
    import orjson

    try:
        plain: dict[str, Any] = orjson.loads(redacted(to_json(_finite(config))))
    except RecursionError:
        raise ValueError("te.init(config=...): it is nested too deeply, or holds itself.") from None
    return plain


def _finite(value: Any) -> Any:
    """``value`` with the words ``"nan"``, ``"inf"`` and ``"-inf"`` for the numbers that JSON has no form for."""
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def budget_of(budget: Any) -> Budget | None:
    """A budget; a number is dollars."""
    if budget is None or isinstance(budget, Budget):
        return budget
    if isinstance(budget, bool) or not isinstance(budget, (int, float, str, Decimal)):
        raise TypeError(f"te.init(budget=...): expected dollars or a Budget, got {budget!r:.100}.")
    try:
        return Budget(usd=budget)
    except (ArithmeticError, ValueError):
        raise ValueError(f"te.init(budget={budget!r:.100}): expected dollars, 0 or more, e.g. 2.50.") from None


def limits_of(budget: Budget | None) -> dict[str, Any] | None:
    """The limits of a budget as the server is told of them."""
    if budget is None:
        return None
    limits = {name: getattr(budget, name) for name in ("usd", "tokens", "calls", "seconds")}
    return {name: str(limit) if name == "usd" else limit for name, limit in limits.items() if limit is not None}


def lease_of_runs() -> float:
    """Seconds without a sign of life that a Run is allowed; short ones are for tests."""
    try:
        return max(1.0, float(os.environ.get("TELLURIO_LEASE", LEASE)))
    except ValueError:
        return LEASE
