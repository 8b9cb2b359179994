"""The redaction of recorded text: one hook that every record passes before it is stored.

By default what looks like a credential is replaced.  A recorded answer is stored as the hook returns it: where an
answer itself held a credential, a replay gives the redacted text.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from urllib.parse import urlsplit, urlunsplit

__all__ = ["EMAIL", "PATTERNS", "patterns", "public_url", "redact_with", "redacted"]

PATTERNS: tuple[re.Pattern[bytes], ...] = (
    re.compile(rb"\bsk-[A-Za-z0-9_-]{16,}"),  # OpenAI, Anthropic and who follows them
    re.compile(rb"\bAKIA[0-9A-Z]{16}\b"),  # AWS
    re.compile(rb"\bAIza[0-9A-Za-z_-]{35}"),  # Google
    re.compile(rb"\bgh[pousr]_[A-Za-z0-9]{30,}"),  # GitHub
    re.compile(rb"\bxox[abprs]-[A-Za-z0-9-]{10,}"),  # Slack
    re.compile(rb"(?<=Bearer )[A-Za-z0-9._~+/-]{16,}=*"),
)
"""What is replaced by default.  None matches a quote or a backslash, so that JSON stays JSON."""

_STARTS: dict[re.Pattern[bytes], re.Pattern[bytes]] = {
    pattern: re.compile(start)
    for pattern, start in zip(
        PATTERNS, (rb"sk-", rb"AKIA", rb"AIza", rb"gh[pousr]_", rb"xox", rb"Bearer "), strict=True
    )
}
"""The letters that each of them begins with.  To look for these is a hundred times faster than to look for ``\\b``, and
nearly no record has them."""

EMAIL = re.compile(rb"[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+")
"""E-mail addresses: ``redact_with(patterns(*PATTERNS, EMAIL))`` takes them out too."""

Hook = Callable[[bytes], bytes]


def patterns(*each: re.Pattern[bytes]) -> Hook:
    """A hook that replaces what any of the patterns matches."""
    known = [(pattern, _STARTS.get(pattern)) for pattern in each]

    def hook(record: bytes) -> bytes:
        for pattern, starts in known:
            if starts is None or starts.search(record):
                record = pattern.sub(b"[redacted]", record)
        return record

    return hook


_default = patterns(*PATTERNS)
_hook: Hook = _default


def redact_with(hook: Hook | None) -> Callable[[], None]:
    """Use ``hook`` for all records from now on; None: the default.  Returns the function that undoes it.

    Args:
        hook: gets a record as one line of JSON in UTF-8, returns the line to store, JSON too.
    """
    global _hook
    before, _hook = _hook, _default if hook is None else hook

    def undo() -> None:
        global _hook
        _hook = before

    return undo


def redacted(record: bytes) -> bytes:
    """``record`` as it may be stored."""
    return _hook(record)


def public_url(url: str) -> str:
    """``url`` without user name, password, query."""
    try:
        parts = urlsplit(url)
        host = parts.netloc.rpartition("@")[2]
        return urlunsplit((parts.scheme, host, parts.path, "", ""))
    except ValueError:
        return "an invalid URL"
