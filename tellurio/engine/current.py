"""The job that runs in this context."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from contextvars import ContextVar
from typing import Any

from afnio.calls import _json
from tellurio.engine.channel import Channel
from tellurio.schemas.pack import Codec

__all__ = ["Current", "current_job"]


class Current:
    """What the models, checks and Functions of a running job need to reach its client.

    Args:
        channel: the talk with it.
        codec: what both sides call things.
    """

    def __init__(self, channel: Channel, codec: Codec) -> None:
        self.channel, self.codec = channel, codec
        self._times: Counter[str] = Counter()

    async def ask(self, kind: str, about: str, data: Mapping[str, Any]) -> Any:
        """Ask the client.  The question's id is the same whenever the job is run: an answer is kept and given again."""
        name = f"{kind}:{about}"
        self._times[name] += 1
        return await self.channel.ask(f"{name}:{self._times[name]}", kind, data)


_slot: ContextVar[Current] = ContextVar("tellurio_job")


def current_job() -> Current:
    """The job that runs in this context; ``LookupError`` if there is none."""
    return _slot.get()


def set_current_job(current: Current) -> None:
    """Make it the job of this context, for good: each job has a task, and so a context, of its own."""
    _slot.set(current)


def digest(value: object) -> str:
    """A short name of a JSON value, the same in every process."""
    import hashlib

    return hashlib.sha256(_json.dumps(value, sort=True)).hexdigest()[:24]
