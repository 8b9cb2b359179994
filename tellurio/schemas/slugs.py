"""Names in addresses: client and server make the same slug of a name."""

from __future__ import annotations

import re
import unicodedata

__all__ = ["LONGEST_SLUG", "NAMESPACE", "slugify"]

LONGEST_SLUG = 100

NAMESPACE = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
"""What the slug of a namespace looks like, as a whole."""


def slugify(name: str) -> str:
    """``name`` for an address: ``"My Project!"`` is ``"my-project"``.  Empty if nothing of it can be in one."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:LONGEST_SLUG].strip("-")
