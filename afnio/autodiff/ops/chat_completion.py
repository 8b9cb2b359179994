"""ChatCompletion: one LM call for each sample."""

from __future__ import annotations

import functools
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
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

__all__ = ["HOPELESS", "ChatCompletion", "asked", "sibling"]

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

    One LM call for each sample; its answer is a Variable that feedback flows back through.

    Args:
        forward_model_client: an ``afnio.models`` client, or an ``openai`` SDK client of yours.
        messages: ``[{"role": "system", "content": [Variable, ...]}, ...]``.  Several content Variables in one
            message are sent as separate text parts.
        inputs: what fills the ``{placeholders}`` of every content Variable: name -> str, list of str, Variable, or
            list of Variables.  A list anywhere makes a batch: one call for each sample, all at once; what is no list
            is the same for all.
        completion_args: passed to the API: ``model``, ``temperature``, ...  A Variable among them is an input of the
            call: its value is sent, and feedback flows to it.

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
        """Contents, inputs, arguments."""
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
        chat = Chat(messages, inputs, "chat_completion()", arguments=completion_args)
        node, role = _labels(chat.title)
        args = chat.plain_args(completion_args) if chat.arguments else completion_args
        replies = await _answers(forward_model_client, chat, node, args)
        texts = [reply.text for reply in replies]
        ctx.chat, ctx.node, ctx.answers = chat, node, texts  # type: ignore[attr-defined]
        data: Data = [*texts] if chat.batched else texts[0]
        result = Variable(data, role)
        result._samples = chat.samples
        return result

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


@functools.lru_cache(maxsize=1024)
def _labels(title: str) -> tuple[str, str]:
    """Label of the node, and role of the answer: the same texts for all calls that have the same title."""
    return f"ChatCompletion: {title}", f"answer to {title}"


def sibling(ctx: Any, pieces: Pieces) -> Sibling:
    """A call with the feedback on it, as what may share a critic with others."""
    return Sibling(ctx.chat, ctx.answers, pieces, ctx.needs_edge, ctx.node)


Ask = Callable[[list[dict[str, Any]]], Coroutine[Any, Any, Any]]
"""Messages -> a coroutine that makes the call."""


async def _answers(client: Any, chat: Chat, node: str, args: dict[str, Any]) -> list[Reply]:
    """The replies to all samples of ``chat``, in order; all are asked at once.

    Raises:
        BatchError: some failed, in ways the others need not.
    """
    if chat.size == 1:
        return [await complete(client, chat.request(0), role="forward", node=node, **args)]
    ask: Ask = functools.partial(complete, client, role="forward", node=node, **args)
    results = await asked(client, chat, ask)
    errors = {index: result for index, result in enumerate(results) if isinstance(result, BaseException)}
    if errors:
        raise BatchError(errors, chat.size)
    return results


async def asked(client: Any, chat: Chat, ask: Ask) -> list[Any]:
    """What ``ask`` returns for each sample of ``chat`` that is asked, in order, or its error; all are asked at once.

    Raises:
        an error that all samples would meet; where there is no batch, any error.
    """
    bodies = chat.requests()
    if not chat.batched:
        return [await ask(bodies[0])]
    if is_inline(client) or len(bodies) == 1:
        return [await _caught(ask, body) for body in bodies]
    results = await _all(ask, bodies)
    hopeless = next((result for result in results if isinstance(result, HOPELESS)), None)
    if hopeless is not None:
        raise hopeless
    return results


async def _all(ask: Ask, bodies: list[Any]) -> list[Any]:
    """Ask all at once.  An error all would meet ends the others: they would only cost time."""
    import asyncio

    tasks: list[asyncio.Task[Any]] = []
    hopeless = False

    def ended(task: asyncio.Task[Any]) -> None:
        nonlocal hopeless
        if not task.cancelled() and isinstance(task.exception(), HOPELESS):
            hopeless = True
            for other in tasks:
                other.cancel()

    try:
        for number, body in enumerate(bodies, 1):
            tasks.append(asyncio.ensure_future(ask(body)))
            tasks[-1].add_done_callback(ended)
            if number % BURST == 0 and not hopeless:
                await asyncio.sleep(0)
            if hopeless:
                break
        return list(await asyncio.gather(*tasks, return_exceptions=True))
    except BaseException:
        for task in tasks:
            task.cancel()
        raise


async def _caught(ask: Ask, body: Any) -> Any:
    try:
        return await ask(body)
    except HOPELESS:
        raise
    except Exception as error:  # noqa: BLE001  # told with those of the other samples
        return error
