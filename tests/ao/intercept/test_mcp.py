"""Calls of MCP tools, with the real package: an in-memory server."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from ao.dialects.reading import read
from ao.intercept import install, not_recorded
from ao.intercept.seam import Decision, Exchange, Live
from tests.ao.intercept.tape import Tape


def _server(seen: list[Any]) -> Any:
    from mcp.server.mcpserver import MCPServer

    server = MCPServer("tools")

    @server.tool()
    def add(a: int, b: int) -> int:
        seen.append((a, b))
        return a + b

    @server.tool()
    def fail() -> str:
        raise ValueError("no luck")

    return server


def run(seen: list[Any], name: str = "add", arguments: Any = None, *, quiet: bool = False) -> Any:
    from mcp import Client

    async def main() -> Any:
        async with Client(_server(seen)) as client:
            if quiet:
                with not_recorded():
                    return await client.call_tool(name, arguments)
            return await client.call_tool(name, arguments)

    return asyncio.run(main())


def test_a_tool_call_is_recorded_and_replayed(tape: Tape) -> None:
    seen: list[Any] = []
    recorded = run(seen, "add", {"a": 1, "b": 2})
    exchange, outcome = tape.only()
    tape.replaying = True
    replayed = run(seen, "add", {"a": 1, "b": 2})
    assert seen == [(1, 2)]
    assert replayed == recorded
    assert (exchange.dialect, exchange.label, exchange.json) == (
        "mcp.tools",
        "add",
        {"name": "add", "arguments": {"a": 1, "b": 2}},
    )
    assert exchange.location
    assert exchange.location[0] == __file__
    reading = read(exchange.dialect, 200, outcome.body, streamed=False)
    assert (reading.text, reading.error) == ("3", "")


def test_edited_arguments_are_what_the_tool_gets(tape: Tape) -> None:
    seen: list[Any] = []
    tape.edit = lambda exchange: Live(b'{"name": "add", "arguments": {"a": 5, "b": 6}}')
    assert "11" in str(run(seen, "add", {"a": 1, "b": 2}))
    assert seen == [(5, 6)]


def test_a_tool_that_fails(tape: Tape) -> None:
    assert run([], "fail", {}).is_error
    exchange, outcome = tape.only()
    assert "fail" in read(exchange.dialect, 200, outcome.body, streamed=False).error


def test_a_tool_that_is_not_there_fails_as_without_us(tape: Tape) -> None:
    def failure(quiet: bool) -> Any:
        try:
            return run([], "nothing", {}, quiet=quiet)
        except Exception as error:
            return type(error), str(error)

    assert failure(quiet=True) == failure(quiet=False)
    assert len(tape.exchanges) == 1


def test_a_recorder_that_fails_does_not_harm_the_script() -> None:
    class Clumsy(Tape):
        def begin(self, exchange: Exchange) -> Decision:
            raise KeyError

    tape = Clumsy()
    undo = install(tape, notice=tape.notices.append)
    try:
        assert "3" in str(run([], "add", {"a": 1, "b": 2}))
    finally:
        undo()
    assert "KeyError" in tape.notices[0]


def test_arguments_that_have_no_json_form_fail_as_without_us(tape: Tape) -> None:
    with pytest.raises(BaseException):  # noqa: B017 - of whichever kind the package raises
        run([], "add", {"a": object()})
    assert tape.exchanges == []
