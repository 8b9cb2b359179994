"""Of the environment: what is stored so that a script can be run again, and what must be given to a rerun instead."""

from __future__ import annotations

import os

__all__ = ["kept", "needed"]

KEPT = (
    *("PATH", "PYTHONPATH", "PYTHONHASHSEED", "VIRTUAL_ENV", "LANG", "LC_ALL", "TZ"),
    *("OPENAI_BASE_URL", "ANTHROPIC_BASE_URL", "OLLAMA_HOST"),
)


def kept() -> dict[str, str]:
    """What is stored.  No keys, and no addresses with a password in them."""
    return {name: os.environ[name] for name in KEPT if name in os.environ and not _has_password(os.environ[name])}


def needed() -> list[str]:
    """Names of what a rerun must be given: keys, and addresses that are not stored for their password."""
    keys = [name for name in os.environ if name.endswith("_API_KEY")]
    return sorted([*keys, *(name for name in KEPT if _has_password(os.environ.get(name, "")))])


def _has_password(value: str) -> bool:
    host, _, arguments = value.partition("://")[2].partition("?")
    return "@" in host.partition("/")[0] or bool(arguments)
