"""ChatCompletion: one LM call for each sample."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from afnio._types import Data
from afnio.autodiff.chat import Chat
from afnio.autodiff.critic import criticise
from afnio.autodiff.feedback import EdgePieces, Pieces
from afnio.autodiff.function import Context, Function
from afnio.autodiff.ops._table import op
from afnio.autodiff.siblings import Sibling, criticise_together, families
from afnio.calls import Reply
from afnio.errors import (
    APIUnreachableError,
    AuthenticationError,
    BatchError,
    BudgetExceeded,
    CallLogError,
    MissingKeyError,
    NotFoundError,
    PermissionDeniedError,
    QuotaError,
)
from afnio.gradient import Gradient
from afnio.models.invoke import complete, is_inline
from afnio.variable import Variable

if TYPE_CHECKING:
    import asyncio

__all__ = ["ChatCompletion", "answers"]

HOPELESS = (
    APIUnreachableError,
    AuthenticationError,
    BudgetExceeded,
    CallLogError,
    MissingKeyError,
    NotFoundError,
    PermissionDeniedError,
    QuotaError,
)
"""Errors that every other sample of the batch would meet too."""


BURST = 8
"""Calls begun in one turn of the loop.  After each turn those before get on with connecting and sending, so that the
endpoint is at work on the first while the last are still being made."""


@op
class ChatCompletion(Function):
    """``chat_completion(forward_model_client, messages, inputs=None, **completion_args)``.

    Args:
        forward_model_client: an ``afnio.models`` client, or an ``openai`` SDK client of yours.
        messages: ``[{"role": "system", "content": [Variable, ...]}, ...]``.  Several content Variables in one
            message are sent as separate text parts.
        inputs: what fills the ``{placeholders}`` of every content Variable: name -> str, list of str, Variable, or
            list of Variables.  A list anywhere makes a batch: one call for each sample, all at once; what is no list
            is the same for all.
        completion_args: passed to the API: ``model``, ``temperature``, ...

    Returns:
        a Variable that holds the answer, or the list of answers of a batch.

    Backward: the backward model reads what the failing samples sent, what came back and the feedback on it, and
    says what to change in each Variable that requires a gradient; samples share a call as far as they fit.

    Raises:
        TypeError: arguments of a wrong type.
        ValueError: lists of different lengths.
        PlaceholderError: templates and inputs do not fit.
        BatchError: some samples of a batch failed; the answers of the others are recorded.
        APIError: the call failed (of a batch: in a way that all calls would).
    """

    calls_lm = True
    has_families = True

    @classmethod
    def runs_inline(cls, forward_model_client: Any, *args: Any, **kwargs: Any) -> bool:
        """Whether the model answers in process, without waiting."""
        return is_inline(forward_model_client)

    @classmethod
    def inputs_of(cls, ctx: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[Variable]:
        """Contents, then inputs."""
        return ctx.chat.variables() if hasattr(ctx, "chat") else []

    @classmethod
    def kept(cls, ctx: Any) -> tuple[str, ...]:
        """The call and its answers."""
        return ("chat", "node", "answers")

    @staticmethod
    async def forward(
        ctx: Context,
        forward_model_client: Any,
        messages: Sequence[Mapping[str, Any]],
        inputs: Mapping[str, Any] | None = None,
        **completion_args: Any,
    ) -> Variable:
        """The answer, or the answers of a batch."""
        chat = Chat(messages, inputs, "chat_completion()")
        node = f"ChatCompletion: {chat.title}"
        replies = await answers(forward_model_client, chat, "forward", node, completion_args)
        texts = [reply.text for reply in replies]
        ctx.chat, ctx.node, ctx.answers = chat, node, texts  # type: ignore[attr-defined]
        data: Data = [*texts] if chat.batched else texts[0]
        result = Variable(data, f"answer to {chat.title}")
        result._samples = chat.samples
        return result

    @staticmethod
    async def backward(ctx: Context, grad_output: Gradient) -> Any:
        """What to change in each Variable, in the backward model's words."""
        return await criticise(ctx.chat, ctx.answers, grad_output, ctx.needs_edge, ctx.node)  # type: ignore[attr-defined]

    @staticmethod
    def families(calls: Sequence[tuple[Any, Pieces]]) -> list[list[int]]:
        """Positions of the calls, given as (ctx, feedback), that one critic may look at together."""
        return families([_sibling(ctx, pieces) for ctx, pieces in calls])

    @staticmethod
    async def backward_together(calls: Sequence[tuple[Any, Pieces]]) -> list[EdgePieces]:
        """`backward` of each call of a family."""
        return await criticise_together([_sibling(ctx, pieces) for ctx, pieces in calls])


def _sibling(ctx: Any, pieces: Pieces) -> Sibling:
    return Sibling(ctx.chat, ctx.answers, pieces, ctx.needs_edge, ctx.node)


async def answers(client: Any, chat: Chat, role: str, node: str, args: dict[str, Any]) -> list[Reply]:
    """The replies to all samples of ``chat``, in order; all are asked at once.

    Raises:
        BatchError: some failed, in ways the others need not.
    """
    bodies = chat.requests()
    if len(bodies) == 1:
        reply: Reply = await complete(client, bodies[0], role=role, node=node, **args)
        return [reply]
    if is_inline(client):
        results = [await _caught(client, body, role, node, args) for body in bodies]
    else:
        results = await _all(client, bodies, role, node, args)
    errors = {index: result for index, result in enumerate(results) if isinstance(result, BaseException)}
    if errors:
        raise next((error for error in errors.values() if isinstance(error, HOPELESS)), None) or BatchError(
            errors, len(bodies)
        )
    return [result for result in results if not isinstance(result, BaseException)]


async def _all(
    client: Any, bodies: list[Any], role: str, node: str, args: dict[str, Any]
) -> list[Reply | BaseException]:
    """Ask all at once.  An error all would meet ends the others: they would only cost time."""
    import asyncio

    tasks: list[asyncio.Task[Reply]] = []
    hopeless = False

    def ended(task: asyncio.Task[Reply]) -> None:
        nonlocal hopeless
        if not task.cancelled() and isinstance(task.exception(), HOPELESS):
            hopeless = True
            for other in tasks:
                other.cancel()

    try:
        for number, body in enumerate(bodies, 1):
            tasks.append(asyncio.ensure_future(complete(client, body, role=role, node=node, **args)))
            tasks[-1].add_done_callback(ended)
            if number % BURST == 0 and not hopeless:
                await asyncio.sleep(0)
            if hopeless:
                break
        results = await asyncio.gather(*tasks, return_exceptions=True)
    except BaseException:
        for task in tasks:
            task.cancel()
        raise
    return list(results)


async def _caught(client: Any, body: Any, role: str, node: str, args: dict[str, Any]) -> Reply | BaseException:
    try:
        reply: Reply = await complete(client, body, role=role, node=node, **args)
    except HOPELESS:
        raise
    except Exception as error:  # noqa: BLE001  # told with those of the other samples
        return error
    return reply
