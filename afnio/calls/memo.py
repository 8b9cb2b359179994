"""The memo: answers of a fit that the same requests get again, up to a number of bytes."""

from __future__ import annotations

import sys
import threading
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from afnio.calls.request import Reply

__all__ = ["MEMO_BYTES", "Memo"]

MEMO_BYTES = 64 << 20
"""Bytes of requests and answers a memo keeps, unless it is told another number."""

OVERHEAD = 2000
"""Bytes of a reply besides its texts, about."""


class Memo:
    """Request key -> reply.  When it is full, what was used longest ago goes first; safe to use from several threads.

    Args:
        limit: bytes; None: no limit.
    """

    def __init__(self, limit: int | None = MEMO_BYTES) -> None:
        self.limit, self.bytes = limit, 0
        self._replies: OrderedDict[str, tuple[Reply, int]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: str) -> Reply | None:
        """The reply, which counts as used now; None if there is none."""
        with self._lock:
            found = self._replies.get(key)
            if found is None:
                return None
            self._replies.move_to_end(key)
            return found[0]

    def setdefault(self, key: str, reply: Reply) -> Reply:
        """The reply that is there; if there is none, ``reply``, which is now."""
        with self._lock:
            found = self._replies.get(key)
            if found is None:
                self._put(key, reply)
                return reply
            self._replies.move_to_end(key)
            return found[0]

    def update(self, replies: Mapping[str, Reply] | Iterable[tuple[str, Reply]]) -> None:
        """Take over ``replies``, in their order; they take the place of what is there."""
        pairs = list(replies.items() if isinstance(replies, Mapping) else replies)
        with self._lock:
            for key, reply in pairs:
                if key in self._replies:
                    self.bytes -= self._replies.pop(key)[1]
                self._put(key, reply)

    def items(self) -> Iterator[tuple[str, Reply]]:
        """Key and reply, what was used longest ago first."""
        with self._lock:
            pairs = [(key, reply) for key, (reply, _) in self._replies.items()]
        return iter(pairs)

    def __len__(self) -> int:
        return len(self._replies)

    def _put(self, key: str, reply: Reply) -> None:
        size = OVERHEAD + len(reply.text) + _texts(reply.request.body) + _texts(reply.body)
        self._replies[key] = reply, size
        self.bytes += size
        while self.limit is not None and self.bytes > self.limit and self._replies:
            self.bytes -= self._replies.popitem(last=False)[1][1]


def _texts(value: Any) -> int:
    """Bytes of the texts in a JSON value."""
    total, waiting = 0, [value]
    while waiting:
        each = waiting.pop()
        if isinstance(each, str):
            total += sys.getsizeof(each)
        elif isinstance(each, Mapping):
            waiting.extend(each.values())
        elif isinstance(each, (list, tuple)):
            waiting.extend(each)
    return total
