"""ChatTurn: one turn of a conversation for each sample, with tools, content blocks and a schema for the answer."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from afnio.autodiff.chat import Chat
from afnio.autodiff.critic import criticise
from afnio.autodiff.feedback import EdgePieces, Pieces
from afnio.autodiff.function import Context, Function
from afnio.autodiff.ops._table import op
from afnio.autodiff.ops.chat_completion import asked, sibling
from afnio.autodiff.siblings import criticise_together, families
from afnio.autodiff.structured import Shape, shape_of
from afnio.autodiff.turn import Outcome, Turn
from afnio.calls import Reply
from afnio.gradient import Gradient
from afnio.models.contract import Taken, take
from afnio.models.invoke import complete, is_inline
from afnio.variable import Variable

__all__ = ["ChatTurn"]


@op
class ChatTurn(Function):
    """One turn of a conversation; called as ``chat_turn(...)``.

    Args:
        forward_model_client: an ``afnio.models`` client, or an SDK client of yours.
        messages: as for `ChatCompletion`; beside Variables a content may hold content blocks (``{"type": "image",
            ...}``) and lists of them, one a sample.  Blocks are sent as they are.  A turn in an assistant message
            sends the blocks the model gave.
        inputs: as for `ChatCompletion`.
        tools: what the model may call: `afnio.cognitive.Tool`, or dicts with ``name``, ``description`` (a Variable, if
            it is to be learned) and ``parameters``.
        response_format: what the answer must look like; see `shape_of`.
        mask: of a batch, one bool a sample: whether to ask it; None: all.
        completion_args: passed to the API.  A Variable among them is an input of the call: its value is sent, and
            feedback flows to it.

    Returns:
        a `Turn` that holds the text of the answer, or of each (None where a sample was not asked, or failed).

    Backward: as for `ChatCompletion`; the critic is also shown the tools and how the turn ended.

    Raises:
        what `ChatCompletion` raises; of a batch only what all calls would meet: other errors are kept as outcomes.
        ContentBlockError: a content is no block.
    """

    calls_lm = True
    has_families = True

    @classmethod
    def runs_inline(cls, forward_model_client: Any, *args: Any, **kwargs: Any) -> bool:
        """Whether the model answers in process, without waiting."""
        return is_inline(forward_model_client)

    @classmethod
    def inputs_of(cls, ctx: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[Variable]:
        """Contents, inputs, descriptions of tools, arguments."""
        return ctx.chat.variables() if hasattr(ctx, "chat") else []

    @classmethod
    def kept(cls, ctx: Any) -> tuple[str, ...]:
        """The call and its answers."""
        return ("chat", "node", "answers")

    @staticmethod
    async def forward(
        ctx: Any,
        forward_model_client: Any,
        messages: Sequence[Mapping[str, Any]],
        inputs: Mapping[str, Any] | None = None,
        *,
        tools: Sequence[Any] = (),
        response_format: Any = None,
        mask: Sequence[bool] | None = None,
        **completion_args: Any,
    ) -> Turn:
        """The turn of each sample that is asked."""
        chat = Chat(messages, inputs, "chat_turn()", tools=tools, arguments=completion_args, mask=mask)
        ctx.chat, ctx.node = chat, f"ChatTurn: {chat.title}"
        shape, args = shape_of(response_format, "chat_turn()"), chat.plain_args(completion_args)
        if shape is None and response_format is not None:
            args["response_format"] = response_format
        results = await asked(forward_model_client, chat, _asking(forward_model_client, ctx.node, args, shape))
        content: list[Any] = [None] * chat.size
        outcomes = [Outcome() for _ in range(chat.size)]
        texts: list[Any] = [None] * chat.size
        for index, result in zip(chat.indices, results, strict=True):
            if isinstance(result, BaseException):
                outcomes[index].error = result
                continue
            reply = result.reply if isinstance(result, Taken) else result
            texts[index], content[index] = reply.text, reply.content
            outcomes[index] = _outcome(result, reply)
        ctx.answers = [
            None if blocks is None else {"content": blocks, "stop": _word(outcome), "fault": outcome.fault}
            for blocks, outcome in zip(content, outcomes, strict=True)
        ]
        turn = Turn(texts if chat.batched else texts[0], _role(chat), content, outcomes)
        turn._samples = chat.samples
        return turn

    @staticmethod
    async def backward(ctx: Context, grad_output: Gradient) -> Any:
        """What to change in each Variable, in the backward model's words."""
        return await criticise(ctx.chat, ctx.answers, grad_output, ctx.needs_edge, ctx.node)  # type: ignore[attr-defined]

    @staticmethod
    def families(calls: Iterable[tuple[Any, Pieces]]) -> list[list[int]]:
        """Positions of the calls, given as (ctx, feedback), that one critic may look at together."""
        return families(sibling(ctx, pieces) for ctx, pieces in calls)

    @staticmethod
    async def backward_together(calls: Sequence[tuple[Any, Pieces]]) -> list[EdgePieces]:
        """`backward` of each call of a family."""
        return await criticise_together([sibling(ctx, pieces) for ctx, pieces in calls])


def _asking(client: Any, node: str, args: dict[str, Any], shape: Shape | None) -> Any:
    """``messages`` -> a coroutine for the reply, or what was taken from it."""
    if shape is None:
        return functools.partial(complete, client, role="forward", node=node, **args)
    return functools.partial(
        _take, client, contract=shape.contract, role="forward", node=node, completion_args=args, calls="tools" in args
    )


async def _take(client: Any, messages: list[dict[str, Any]], **how: Any) -> Taken:
    return await take(client, messages, **how)


def _outcome(result: Reply | Taken, reply: Reply) -> Outcome:
    outcome = Outcome(reply.stop_reason, reply=reply.text)
    if isinstance(result, Taken):
        outcome.parsed, outcome.fault = result.value, result.fault
    return outcome


def _word(outcome: Outcome) -> str | None:
    return None if outcome.stop_reason is None else outcome.stop_reason.value


def _role(chat: Chat) -> str:
    """``answer to ...``, numbered where the conversation has turns already."""
    before = sum(role == "assistant" for role, _ in chat.contents)
    return f"answer {before + 1} to {chat.title}" if before else f"answer to {chat.title}"
