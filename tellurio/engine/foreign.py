"""What runs in the client: a user's own Function, hooks, and checks of constraints."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from afnio.autodiff.feedback import IDENTITY, EdgePieces, Pieces, parts_of
from afnio.autodiff.function import Context, Function
from afnio.gradient import Gradient
from afnio.variable import Variable
from tellurio.engine.current import current_job, digest
from tellurio.schemas.jobs import Foreign
from tellurio.schemas.pack import Definitions, PackError

__all__ = ["FOREIGN", "check_of", "run_hooks"]


class ClientFunction(Function):
    """Stands for a Function that only the client has."""

    calls_lm = True  # it waits, as an LM call does
    built_in = True

    @staticmethod
    async def backward(ctx: Any, *grad_outputs: Gradient) -> EdgePieces:
        """Ask the client to run the node's backward."""
        job, told = current_job(), Definitions()
        came = [parts_of(given) if given.data or given is IDENTITY else () for given in grad_outputs]
        outputs = [job.codec.pieces(pieces, told) for pieces in came]
        data = {"node": ctx.number, "outputs": outputs, "wanted": ctx.needs_edge, "told": told}
        answer = await job.ask("backward", str(ctx.number), data)
        with _reading(f"the answer of node {ctx.number}"):
            job.codec.learn(answer["told"])
            edges = EdgePieces(job.codec.read_pieces(names) for names in answer["edges"])
        if len(edges) != len(ctx.needs_edge):
            raise PackError(f"The answer of node {ctx.number} has {len(edges)} edges, expected {len(ctx.needs_edge)}.")
        return edges


@contextmanager
def _reading(what: str) -> Iterator[None]:
    try:
        yield
    except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
        raise PackError(f"It cannot be read, {what}: {type(error).__name__}: {error}") from error


def _context(number: int) -> Context:
    ctx = Context()
    ctx.number = number  # type: ignore[attr-defined]
    return ctx


FOREIGN = Foreign(ClientFunction, _context)


async def run_hooks(variable: Variable, pieces: Pieces) -> Pieces:
    """What the hooks of ``variable``, in the client, make of its gradients."""
    job, told = current_job(), Definitions()
    number = job.codec.variable(variable)
    names = job.codec.pieces(pieces, told)
    answer = await job.ask("hooks", str(number), {"variable": number, "pieces": names, "told": told})
    with _reading(f"the answer of the hooks of {variable.role!r}"):
        job.codec.learn(answer["told"])
        return job.codec.read_pieces(answer["pieces"])


def check_of(number: int) -> Callable[[str], Any]:
    """The check of a constraint, in the client: returns an awaitable."""

    async def check(value: str) -> bool:
        about = f"{number}:{digest(value)}"  # which of several values is checked first, is a matter of time
        return bool(await current_job().ask("check", about, {"callable": number, "value": value}))

    return check
