"""What happens around one request, written once; two drivers do its I/O, one by calling, one by awaiting."""

from __future__ import annotations

import sys
import time
from collections.abc import Awaitable, Callable, Generator
from typing import Any, TypeAlias

from ao.intercept.calls import Desk, Given, Sent
from ao.intercept.quiet import enter, leave
from ao.intercept.seam import Live, Replay

__all__ = ["Flow", "Step", "adrive", "apause", "drive", "flow", "pause"]

Step: TypeAlias = Live | Given
Flow: TypeAlias = Generator[Step | None, Any, Any]
"""Yields what is to be carried out, which gives a response; None to give others a turn."""

_AS_IT_IS = Live()


def flow(desk: Desk, sent: Sent) -> Flow:
    """The request of a script, from asking the recorder to the response that the script gets."""
    call = desk.call_of(sent)
    if call is None:
        return (yield _AS_IT_IS)
    if isinstance(call.decision, Replay):
        yield None
        given = call.given(call.decision)
        if call.decision.status is None and (error := given.error(sent.parts())) is not None:
            raise error
        return (yield given)
    token = enter()
    try:
        response = yield call.decision
    except BaseException as error:
        call.broke(sent.seen(error))
        raise
    finally:
        leave(token)
    try:
        return sent.teed(response, call)
    except Exception as error:  # noqa: BLE001 - a response that only looks like one of the library's
        desk.failed_on(error)
        return response


def drive(steps: Flow, act: Callable[[Step], Any]) -> Any:
    """Run a flow in a library that blocks."""
    try:
        step = next(steps)
        while True:
            try:
                got = None if step is None else act(step)
            except BaseException as error:  # noqa: BLE001 - the flow raises it again
                step = steps.throw(error)
            else:
                step = steps.send(got)
    except StopIteration as done:
        return done.value


async def adrive(steps: Flow, act: Callable[[Step], Awaitable[Any]]) -> Any:
    """Run a flow in a library that awaits."""
    try:
        step = next(steps)
        while True:
            try:
                got = await (apause(0.0) if step is None else act(step))
            except BaseException as error:  # noqa: BLE001 - the flow raises it again
                step = steps.throw(error)
            else:
                step = steps.send(got)
    except StopIteration as done:
        return done.value


def pause(seconds: float) -> None:
    """Wait, if there is anything to wait for."""
    if seconds > 0:
        time.sleep(seconds)


async def apause(seconds: float) -> None:
    """Wait, and give others a turn in any case; under asyncio, trio and whatever else anyio knows."""
    asyncio = sys.modules.get("asyncio")
    if asyncio is not None and asyncio._get_running_loop() is not None:
        await asyncio.sleep(max(seconds, 0.0))
    else:
        import anyio

        await anyio.sleep(max(seconds, 0.0))
