"""afnio: where its calls are asked for, and what the recorder knows of calls that it tells its own tracker of.

The line that makes a blocking call is on another stack than the request, which runs on a loop of its own.  And of a
Run that a recorded script began by ``te.init``, afnio's tracker records the calls: by what is told it here they are the
same calls as the recorder's, to be found, edited and answered again by one name.  Of those that failed it would hear
nothing.
"""

from __future__ import annotations

import sys
from contextvars import ContextVar
from typing import Any

from ao.intercept.calls import Call, Desk
from ao.intercept.patching import Patches
from ao.intercept.seam import Replay
from ao.intercept.where import asked_here, asked_no_more

__all__ = ["patch"]


def patch(module: Any, patches: Patches, desk: Desk) -> None:
    """Patch one of afnio's modules."""
    _PATCHES[module.__name__](module, patches, desk)


def _loop(loop: Any, patches: Patches, desk: Desk) -> None:
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


_made: ContextVar[list[Call] | None] = ContextVar("ao_made", default=None)
"""The requests of the call of afnio that is being made.  A list, as they may be made in a task of their own."""


def _caller(caller: Any, patches: Patches, desk: Desk) -> None:
    """Know which requests are made for a call that is made for once, and not answered by an earlier one."""

    def around(before: Any) -> Any:
        async def run(self: Any) -> Any:
            _made.set([])  # until the tracker was told, which is done by who awaits this
            try:
                return await before(self)
            except Exception as error:
                try:
                    _tell_failed(self.request, error)
                except Exception as problem:  # noqa: BLE001 - the script's own error is the one it shall see
                    desk.failed_on(problem)
                raise

        return run

    patches.wrap(caller._Live, "run", around)
    desk.heeds.append(_heed)


def _heed(call: Call) -> None:
    made = _made.get()
    if made is not None:
        made.append(call)


def _tell_failed(request: Any, error: Exception) -> None:
    """Tell the tracker of a call that failed."""
    made, modules = _made.get(), sys.modules
    tracker: Any = modules["afnio._dispatch"].current_tracker() if made else None
    if not made or tracker is None:
        return
    failure = getattr(made[-1].exchange.note, "failure", None)
    record = None if failure is None else failure(made[-1].exchange, error)
    if record is not None:
        phase = modules["afnio.calls.session"].current_phase()
        tracker.call({**record, "node": request.node, "role": request.role, "words": request.words, "phase": phase})


def _tracker(tracker: Any, patches: Patches, desk: Desk) -> None:
    """Complete what the tracker of a Run is told of a call."""

    def around(before: Any) -> Any:
        def call(self: Any, record: Any) -> None:
            before(self, {**record, **_beside(record)})

        return call

    patches.wrap(tracker.RunTracker, "call", around)


def _beside(record: Any) -> dict[str, Any]:
    made = _made.get()
    if not made or record.get("source") != "live":
        return {}
    last = made[-1]
    made.clear()
    beside = getattr(last.exchange.note, "beside", None)
    return {} if beside is None else dict(beside(last.exchange, replayed=isinstance(last.decision, Replay)))


_PATCHES = {"afnio.calls.loop": _loop, "afnio.calls.caller": _caller, "tellurio.client.tracker": _tracker}
