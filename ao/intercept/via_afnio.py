"""afnio: the line that makes a blocking call is on another stack than the request, which runs on a loop of its own."""

from __future__ import annotations

from typing import Any

from ao.intercept.calls import Desk
from ao.intercept.patching import Patches
from ao.intercept.where import asked_here, asked_no_more

__all__ = ["patch"]


def patch(loop: Any, patches: Patches, desk: Desk) -> None:
    """Let what is started on afnio's loop know the statement that waits for it."""

    def around(before: Any) -> Any:
        def start(self: Any) -> None:
            token = asked_here() if desk.recorder is not None else None
            try:
                before(self)  # in a copy of this context
            finally:
                if token is not None:
                    asked_no_more(token)

        return start

    patches.wrap(loop._Running, "start", around)
