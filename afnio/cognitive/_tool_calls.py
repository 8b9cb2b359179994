"""Running the tools that a turn called: side by side, each call once."""

from __future__ import annotations

import contextvars
import dataclasses
import inspect
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Literal, NamedTuple

from afnio._content_blocks import KNOWN_BLOCK_TYPES, Block, ContentBlockError, ToolResultBlock, _validate_content_block
from afnio._op_result import OpResult
from afnio.autodiff.function import variables_of
from afnio.autodiff.ops.chat_completion import HOPELESS
from afnio.autodiff.ops.run_tool import Called, Calls, RunTool
from afnio.autodiff.showing import Pictures, Reading
from afnio.autodiff.turn import ToolResult, Turn
from afnio.calls import run_sync
from afnio.calls.loop import in_thread
from afnio.cognitive.module import Module
from afnio.cognitive.tools import Tool
from afnio.errors import ToolError
from afnio.variable import Variable

__all__ = ["OnError", "arun_tools", "calls_of", "run_tools", "tools_by_name"]

OnError = Literal["tell", "raise"]

THREADS = 64
RESULT_BLOCKS = ("text", "image", "document")
"""What a tool's result may be made of."""


class _Job(NamedTuple):
    """One call to be made.

    Attributes:
        sample: position in the batch.
        block: the call.
        tool: the tool, or None: there is none of that name.
        fault: why the call cannot be made, or None.
    """

    sample: int
    block: Any
    tool: Tool | None
    fault: str | None


def calls_of(blocks: Sequence[Block] | None) -> list[Any]:
    """The tool calls among ``blocks``."""
    return [block for block in blocks or () if block["type"] == "tool_use"]


def tools_by_name(tools: Sequence[Any]) -> dict[str, Tool]:
    """Name -> tool; a function becomes one.

    Raises:
        TypeError: an item is neither.
        ValueError: two have one name.
    """
    if not isinstance(tools, (list, tuple)):
        raise TypeError(f"tools must be a list of Tools or functions, got {type(tools).__name__}.")
    found: dict[str, Tool] = {}
    for item in tools:
        made = item if isinstance(item, Tool) else Tool(item)
        if made.name in found:
            raise ValueError(f"Two tools have the name {made.name!r}: give one of them another (Tool(fn, name=...)).")
        found[made.name] = made
    return found


def run_tools(turn: Turn, tools: Sequence[Any], on_error: OnError) -> list[ToolResult]:
    """What the tools answer that ``turn`` called; from sync code.  One call runs in this thread, several in their own.

    See `afnio.cognitive.functional.run_tools`.
    """
    jobs = _jobs(turn, tools, on_error)
    works = [_work(job) for job in jobs]
    if len(works) == 1:
        outcomes = [_tried(_waiting(works[0]))]
    else:
        from concurrent.futures import ThreadPoolExecutor

        with ThreadPoolExecutor(max(1, min(THREADS, len(works))), thread_name_prefix="afnio-tool") as pool:
            contexts = [contextvars.copy_context() for _ in works]
            waits = [
                pool.submit(context.run, _tried, _waiting(work)) for context, work in zip(contexts, works, strict=True)
            ]
            outcomes = [wait.result() for wait in waits]
    return _results(turn, jobs, outcomes, on_error)


async def arun_tools(turn: Turn, tools: Sequence[Any], on_error: OnError) -> list[ToolResult]:
    """`run_tools`, for code that runs in an event loop: async tools run in it, others in threads."""
    import asyncio

    jobs = _jobs(turn, tools, on_error)
    outcomes = await asyncio.gather(*[_awaited(_work(job), job) for job in jobs])
    return _results(turn, jobs, outcomes, on_error)


def _jobs(turn: Turn, tools: Sequence[Any], on_error: OnError) -> list[_Job]:
    if not isinstance(turn, Turn):
        raise TypeError(f"run_tools() takes what chat_turn() returned, got {type(turn).__name__}.")
    if on_error not in ("tell", "raise"):
        raise ValueError(f"on_error is 'tell' or 'raise', got {on_error!r}.")
    known = tools_by_name(tools)
    return [_job(sample, block, known) for sample, blocks in enumerate(turn._content) for block in calls_of(blocks)]


def _job(sample: int, block: Any, known: Mapping[str, Tool]) -> _Job:
    name = block["name"]
    if name not in known:
        return _Job(sample, block, None, f"There is no tool {name!r}. Known tools: {', '.join(known) or 'none'}.")
    fault = known[name].fault(block["input"])
    return _Job(sample, block, known[name], fault and f"The arguments do not fit: {fault}.")


def _work(job: _Job) -> Callable[[], Any]:
    """The call itself; may return a coroutine."""

    def work() -> Any:
        if job.tool is None or job.fault is not None:
            return None
        return job.tool(**job.tool.arguments(job.block["input"]))

    return work


def _waiting(work: Callable[[], Any]) -> Callable[[], Any]:
    """``work``, whose coroutine is run to its end on the LM loop."""

    def waiting() -> Any:
        result = work()
        return run_sync(_wait(result)) if inspect.isawaitable(result) else result

    return waiting


async def _wait(awaitable: Awaitable[Any]) -> Any:
    return await awaitable


def _tried(work: Callable[[], Any]) -> Any:
    """What ``work`` returns, or the error it raises."""
    try:
        return work()
    except Exception as error:  # noqa: BLE001  # told to the model, or raised with its place
        return error


async def _awaited(work: Callable[[], Any], job: _Job) -> Any:
    try:
        if job.tool is not None and job.fault is None and _is_async(job.tool.fn):
            arguments = job.tool.arguments(job.block["input"])
            fn = job.tool.fn
            return await (fn.acall(**arguments) if isinstance(fn, Module) else fn(**arguments))
        result = await in_thread(work)
        return await result if inspect.isawaitable(result) else result
    except Exception as error:  # noqa: BLE001  # told to the model, or raised with its place
        return error


def _is_async(fn: Any) -> bool:
    return isinstance(fn, Module) or inspect.iscoroutinefunction(fn)


def _results(turn: Turn, jobs: Sequence[_Job], outcomes: Sequence[Any], on_error: OnError) -> list[ToolResult]:
    """The results as Variables, in the order of the calls."""
    batched = isinstance(turn.data, list)
    rows: list[list[Called] | None] = [None] * len(turn._content)
    for job, outcome in zip(jobs, outcomes, strict=True):
        row = rows[job.sample] or []
        row.append(_called(job, outcome, on_error, batched))
        rows[job.sample] = row
    if not jobs:
        raise ValueError("run_tools(): the turn called no tool. Call it only `if (stop_reason == 'tool_use').any():`.")
    variables = [variable for row in rows for called in row or () for variable in called.variables]
    results = RunTool.apply(turn, variables, Calls(rows))
    learning = {number for row in rows for number, called in enumerate(row or ()) if called.variables}
    # Feedback on other results would only go to the turn that called for them, which the critic judges anyway.
    return [result if number in learning else result.detach() for number, result in enumerate(results)]


def _called(job: _Job, outcome: Any, on_error: OnError, batched: bool) -> Called:
    name = job.block["name"]
    sample = job.sample if batched else None
    if isinstance(outcome, HOPELESS):
        raise outcome
    if job.fault is not None or isinstance(outcome, Exception):
        told = job.fault or f"{type(outcome).__name__}: {outcome}"
        if on_error == "raise":
            which = f"{name!r}" + ("" if sample is None else f" (sample {sample})")
            raise ToolError(
                f"The tool {which} failed: {told.rstrip('.')}. The model gave {job.block['input']!r:.300}. With "
                "on_error='tell' the model is told and goes on.",
                tool=name,
                sample=sample,
            ) from (outcome if isinstance(outcome, Exception) else None)
        return Called(name, told, _block(job, told, failed=True))
    content, variables = _spoken(outcome, name, sample)
    text = content if isinstance(content, str) else Reading(Pictures()).text(content)
    return Called(name, text, _block(job, content), variables)


def _block(job: _Job, content: Any, *, failed: bool = False) -> Block:
    block: ToolResultBlock = {"type": "tool_result", "tool_use_id": job.block["id"], "content": content}
    if failed:
        block["is_error"] = True
    return block


# ---------------------------------------------------------------------------------------------- what a tool returned


def _spoken(value: Any, tool: str, sample: int | None) -> tuple[str | list[Any], list[Variable]]:
    """What a tool returned, as a text or as blocks; and the Variables in it that want feedback."""
    if isinstance(value, OpResult):
        value = value.output
    variables = [variable for variable in variables_of(value) if variable.requires_grad]
    if isinstance(value, Variable):
        value = value.data
    if isinstance(value, str):
        return value, variables
    if _is_block(value):
        return [dict(value)], variables
    if isinstance(value, (list, tuple)) and any(map(_is_block, value)):
        return [_part(item, tool, sample) for item in value], variables
    return _json(value, tool, sample), variables


def _is_block(value: Any) -> bool:
    if not isinstance(value, Mapping) or value.get("type") not in KNOWN_BLOCK_TYPES:
        return False
    try:
        _validate_content_block(value)
    except ContentBlockError:
        return False
    return value["type"] in RESULT_BLOCKS


def _part(item: Any, tool: str, sample: int | None) -> dict[str, Any]:
    if _is_block(item):
        return {name: part.data if isinstance(part, Variable) else part for name, part in item.items()}
    text, _ = _spoken(item, tool, sample)
    return {"type": "text", "text": text}


def _json(value: Any, tool: str, sample: int | None) -> str:
    try:
        return json.dumps(value, ensure_ascii=False, default=_plain)
    except (TypeError, ValueError) as error:
        raise ToolError(
            f"The tool {tool!r} returned a {type(value).__name__}, which has no JSON form ({error}). Return text, a "
            "number, a list or dict of these, a dataclass, a pydantic model, a Variable or a content block.",
            tool=tool,
            sample=sample,
        ) from None


def _plain(value: Any) -> Any:
    if isinstance(value, Variable):
        return value.data
    if isinstance(value, OpResult):
        return value.output.data
    if hasattr(value, "model_dump"):
        return value.model_dump(mode="json")
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    if hasattr(value, "isoformat"):
        return value.isoformat()
    raise TypeError(f"a {type(value).__name__} in it")
