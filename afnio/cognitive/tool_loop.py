"""`ToolLoop`: ask, run the tools that were called, ask again, until the model has answered."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, ClassVar

from afnio._content_blocks import StopReason
from afnio._op_result import OpResult
from afnio.autodiff import ops
from afnio.autodiff.structured import Shape, shape_of
from afnio.autodiff.turn import ToolResult, Turn
from afnio.calls import run_inline
from afnio.cognitive._ahead import check_ahead
from afnio.cognitive._attributes import CHATS, COMPLETION_CONFIGS, MODELS, Kind
from afnio.cognitive._results import result_of
from afnio.cognitive._tool_calls import OnError, arun_tools, calls_of, run_tools, tools_by_name
from afnio.cognitive.containers import ModuleDict
from afnio.cognitive.ops import OpModule, plain
from afnio.errors import AfnioError, BatchError, ToolError

__all__ = ["ToolLoop"]

Ask = Callable[[list[Any], Sequence[bool] | None, int], Awaitable[Turn]]
Run = Callable[[Turn], Awaitable[list[ToolResult]]]


class ToolLoop(OpModule):
    """A conversation in which a model calls tools until it answers.

    ::

        self.loop = cog.ToolLoop([search, add])
        result = self.loop(client, messages, inputs={"question": question}, model="gpt-4o-mini")
        F.exact_match_evaluator(result.output, target).backward()

    Feedback on the answer reaches the messages' Variables and each tool's description from every turn, and what the
    tools themselves computed with Variables.

    Args:
        tools: `Tool` objects or functions.
        max_turns: how often a sample's model is asked at most.  One that still calls tools then has stop reason
            ``"tool_use"``, and what it said last as its output.
        response_format: see `functional.chat_turn`; asked of the answer, not of turns that call tools.
        on_error: ``"tell"``: the model is told of a tool that failed, of an unknown name and of wrong arguments, and
            goes on; ``"raise"``: `ToolError`.

    Attributes:
        tools: name -> `Tool`.

    Raises:
        TypeError, ValueError: see `Tool`; two tools of one name; ``max_turns`` below 1.
    """

    _arguments: ClassVar[dict[str, Kind]] = {
        "forward_model_client": MODELS,
        "messages": CHATS,
        "completion_args": COMPLETION_CONFIGS,
    }

    def __init__(
        self, tools: Sequence[Any], *, max_turns: int = 10, response_format: Any = None, on_error: OnError = "tell"
    ) -> None:
        super().__init__()
        if not isinstance(max_turns, int) or isinstance(max_turns, bool) or max_turns < 1:
            raise ValueError(f"max_turns is how often the model may be asked, at least 1; got {max_turns!r}.")
        if on_error not in ("tell", "raise"):
            raise ValueError(f"on_error is 'tell' or 'raise', got {on_error!r}.")
        self.tools = ModuleDict()
        self.tools._modules.update(
            tools_by_name(tools)
        )  # a tool may be called what a dict's methods are: "get", "update"
        self.max_turns, self.on_error = max_turns, on_error
        self.response_format = response_format
        self._shape = shape_of(response_format, "ToolLoop()")

    def forward(
        self,
        forward_model_client: Any,
        messages: Sequence[Mapping[str, Any]],
        inputs: Mapping[str, Any] | None = None,
        *,
        mask: Sequence[bool] | None = None,
        **completion_args: Any,
    ) -> OpResult[Any]:
        """The answer, or the answers of a batch; each turn asks only the samples that still go on.

        Args:
            forward_model_client, messages, inputs, mask, completion_args: see `functional.chat_turn`.  A
                ``tool_choice`` is for the first turn.

        Raises:
            BatchError: some samples of a batch failed; its ``result`` has the answers of the others.
            ToolError: with ``on_error="raise"``, or a tool returned what has no JSON form.
            ReplyContractError: there is no batch, and the answer broke the ``response_format`` twice.
        """
        self._record(
            forward_model_client=forward_model_client, messages=messages, completion_args=plain(completion_args)
        )
        tools = list(self.tools.values())
        check_ahead(messages, inputs, tools, completion_args)

        async def ask(thread: list[Any], going: Sequence[bool] | None, number: int) -> Turn:
            how = self._how(completion_args, number)
            turn: Turn = ops.ChatTurn.apply(forward_model_client, thread, inputs, tools=tools, mask=going, **how)
            return turn

        async def run(turn: Turn) -> list[ToolResult]:
            return run_tools(turn, tools, self.on_error)

        return run_inline(self._loop(ask, run, messages, mask))

    async def aforward(
        self,
        forward_model_client: Any,
        messages: Sequence[Mapping[str, Any]],
        inputs: Mapping[str, Any] | None = None,
        *,
        mask: Sequence[bool] | None = None,
        **completion_args: Any,
    ) -> OpResult[Any]:
        """`forward`, for code that runs in an event loop: ``await loop.acall(...)``."""
        self._record(
            forward_model_client=forward_model_client, messages=messages, completion_args=plain(completion_args)
        )
        tools = list(self.tools.values())
        check_ahead(messages, inputs, tools, completion_args)

        async def ask(thread: list[Any], going: Sequence[bool] | None, number: int) -> Turn:
            how = self._how(completion_args, number)
            turn: Turn = await ops.ChatTurn.aapply(forward_model_client, thread, inputs, tools=tools, mask=going, **how)
            return turn

        async def run(turn: Turn) -> list[ToolResult]:
            return await arun_tools(turn, tools, self.on_error)

        return await self._loop(ask, run, messages, mask)

    def extra_repr(self) -> str:
        """The limit."""
        return f"max_turns={self.max_turns}"

    def _how(self, args: dict[str, Any], number: int) -> dict[str, Any]:
        """What goes with the call of turn ``number``."""
        how = args if number == 1 else {name: value for name, value in args.items() if name != "tool_choice"}
        return {**how, "response_format": self._shape or self.response_format}

    async def _loop(
        self, ask: Ask, run: Run, messages: Sequence[Mapping[str, Any]], mask: Sequence[bool] | None
    ) -> OpResult[Any]:
        progress = _Progress()
        thread: list[Any] = list(messages)
        going = mask
        for number in range(1, self.max_turns + 1):
            try:
                turn = await ask(thread, going, number)
            except AfnioError as error:
                raise _placed(error, number) from error.__cause__
            going = progress.add(turn, number)
            if not any(going) or number == self.max_turns:
                break
            thread.append({"role": "assistant", "content": [turn]})
            if any(calls_of(blocks) for blocks in turn._content):
                thread.append({"role": "tool", "content": await self._ran(run, turn, number)})
        return progress.result(self._shape, thread, self.max_turns)

    async def _ran(self, run: Run, turn: Turn, number: int) -> list[ToolResult]:
        try:
            return await run(turn)
        except ToolError as error:
            raise _placed(error, number) from error.__cause__


class _Progress:
    """How far each sample has come.

    Attributes:
        turns: the turns so far.
        ends: for each sample the number of the last turn that answered it, or None.
        errors: position -> what a sample failed with.
        going: which samples go on.
    """

    def __init__(self) -> None:
        self.turns: list[Turn] = []
        self.ends: list[int | None] = []
        self.errors: dict[int, BaseException] = {}
        self.going: list[bool] = []

    def add(self, turn: Turn, number: int) -> list[bool]:
        """Take over turn ``number``; which samples go on: those that call tools, or paused."""
        self.ends = self.ends or [None] * len(turn._content)
        self.going = []
        for index, (blocks, outcome) in enumerate(zip(turn._content, turn._outcomes, strict=True)):
            if outcome.error is not None:
                self.errors[index] = _placed(outcome.error, number, index)
            if blocks is not None:
                self.ends[index] = len(self.turns)
            self.going.append(bool(calls_of(blocks)) or outcome.stop_reason is StopReason.PAUSE)
        self.turns.append(turn)
        return self.going

    def result(self, shape: Shape | None, thread: list[Any], limit: int) -> OpResult[Any]:
        """The last answer of each sample.

        Raises:
            BatchError: some samples failed.
        """
        for index in self.errors:
            self.ends[index] = None
        unfinished = {index: self._unfinished(index, limit) for index, going in enumerate(self.going) if going}
        said = {"role": "assistant", "content": [self.turns[-1]]}  # those that ended before have nothing in it
        result = result_of(self._final(), shape, [*thread, said], unfinished)
        if self.errors:
            failed = BatchError(self.errors, len(self.ends))
            failed.result = result
            raise failed
        return result

    def _final(self) -> Turn:
        used = sorted({end for end in self.ends if end is not None})
        if len(used) <= 1 and not self.errors:
            return self.turns[used[0]]
        turns = [self.turns[end] for end in used] or self.turns[-1:]
        merged: Turn = ops.Merge.apply(turns, [None if end is None else used.index(end) for end in self.ends])
        return merged

    def _unfinished(self, index: int, limit: int) -> ToolError:
        names = dict.fromkeys(block["name"] for block in calls_of(self.turns[-1]._content[index]))
        place = f" for sample {index}" if len(self.ends) > 1 else ""
        return ToolError(
            f"The tool loop ended{place} after max_turns={limit} turns, and the model still called "
            f"{', '.join(names) or 'nothing, but paused'}: there is no answer to read. Raise max_turns, or say in the "
            "prompt when to stop.",
            tool=next(iter(names), ""),
            sample=index if len(self.ends) > 1 else None,
        )


def _placed(error: Any, number: int, sample: int | None = None) -> Any:
    """``error``, which says now in which turn it happened."""
    if hasattr(error, "turn"):
        return error  # one error of several samples
    where = f"Turn {number} of the tool loop" + ("" if sample is None else f", sample {sample}")
    if error.args and isinstance(error.args[0], str):
        error.args = (f"{where}: {error.args[0]}", *error.args[1:])
    error.turn = number
    return error
