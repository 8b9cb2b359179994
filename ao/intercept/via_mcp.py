"""MCP: ``ClientSession.call_tool`` of the ``mcp`` package, over whatever transport."""

from __future__ import annotations

import time
from typing import Any

from ao.dialects import _json
from ao.intercept.calls import Call, Desk
from ao.intercept.flow import apause
from ao.intercept.patching import Patches
from ao.intercept.seam import Exchange, Live, Replay
from ao.intercept.where import place, task_name, thread_name

__all__ = ["patch"]

_RESULT = "x-mcp-result"
"""The header, in our records only, that says of which class the result was."""


def patch(session: Any, patches: Patches, desk: Desk) -> None:
    """See the tool calls of ``session.ClientSession``; ``session`` is the module ``mcp.client.session``."""
    results = _Results(session)

    def around(before: Any) -> Any:
        async def call_tool(self: Any, name: str, arguments: Any = None, *args: Any, **options: Any) -> Any:
            call = _call(desk, name, arguments)
            if call is None:
                return await before(self, name, arguments, *args, **options)
            decision = call.decision
            if isinstance(decision, Replay):
                await apause(0.0)
                error = call.given(decision).error({})
                if error is not None:
                    raise error
                return results.made(decision)
            try:
                result = await before(self, name, _arguments(decision, arguments), *args, **options)
            except BaseException as error:
                call.broke(error)
                raise
            try:
                results.tell(call, result)
            except Exception as error:  # noqa: BLE001 - a result of a kind that we do not know
                desk.failed_on(error)
            return result

        return call_tool

    patches.wrap(session.ClientSession, "call_tool", around)


def _call(desk: Desk, name: str, arguments: Any) -> Call | None:
    recorder = desk.recorder if desk.listening("") else None
    if recorder is None:
        return None
    try:
        exchange = _exchange(name, arguments)
        call = None if exchange is None else desk.begin(recorder, exchange)
    except Exception as error:  # noqa: BLE001 - the script must not notice
        desk.failed_on(error)
        return None
    if call is not None:
        call.attempt()
    return call


def _arguments(decision: Live, given: Any) -> Any:
    return given if decision.body is None else _json.loads(decision.body).get("arguments")


def _exchange(name: str, arguments: Any) -> Exchange | None:
    """The call; None when its arguments have no JSON form (then it fails anyway)."""
    asked = {"name": name, "arguments": arguments}
    try:
        body = _json.dumps(asked)
    except (TypeError, ValueError):
        return None
    where = place()
    return Exchange(
        method="tools/call",
        url="mcp:tools/call",
        path="tools/call",
        dialect="mcp.tools",
        label=name,
        model="",
        body=body,
        json=asked,
        streaming=False,
        location=(where.file, where.line) if where.file else None,
        function=where.function,
        library="mcp",
        thread=thread_name(),
        task=task_name(),
        started=time.time(),
    )


class _Results:
    """Results of tools as JSON, and back."""

    def __init__(self, session: Any) -> None:
        self._types = session.types

    def tell(self, call: Call, result: Any) -> None:
        """The result, as MCP spells it on the wire."""
        text: str = result.model_dump_json(by_alias=True, exclude_none=True)
        tee = call.tee(200, [(_RESULT, type(result).__name__)], encoded=False)
        tee.feed(text.encode())
        tee.finish(complete=True)

    def made(self, replay: Replay) -> Any:
        """The object that the script was given, or would have been."""
        kind = dict(replay.headers).get(_RESULT, "CallToolResult")
        return getattr(self._types, kind, self._types.CallToolResult).model_validate_json(replay.body)
