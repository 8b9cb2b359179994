"""The engine: walks the graph as a wavefront and runs optimizer rules; all ready LM calls run at once."""

from __future__ import annotations

import contextlib
import copy
import inspect
from collections.abc import Coroutine, Iterator, Sequence
from pathlib import Path
from types import CoroutineType
from typing import TYPE_CHECKING, Any, NamedTuple, get_args

from afnio import _dispatch
from afnio.autodiff.feedback import EMPTY, IDENTITY, EdgePieces, Pieces, as_gradient, distinct, grad_output, per_edge
from afnio.autodiff.graph import AccumulateGrad, Node
from afnio.autodiff.job import BackwardJob, StepJob
from afnio.autodiff.settings import DEFAULT, EngineSettings, settings_slot
from afnio.autodiff.together import together
from afnio.calls import Budget, CallLog, Session
from afnio.calls.log import Mode
from afnio.gradient import Gradient
from afnio.variable import Variable

if TYPE_CHECKING:
    import asyncio

    from afnio.calls import Ledger

__all__ = ["LocalEngine", "call_backward", "edges_of", "local_engine", "through_hooks"]


class LocalEngine:
    """Runs backward passes and optimizer steps in this process.

    Args:
        call_log: where LM calls are recorded and read again: a `CallLog`, or None.
        budget: bounds what all LM calls together may cost.
        settings: how calls and tokens are spent.
    """

    inline = True

    def __init__(
        self,
        call_log: CallLog | None = None,
        budget: Budget | None = None,
        settings: EngineSettings | None = None,
    ) -> None:
        self.settings = settings or DEFAULT
        self._session = Session(log=call_log, budget=budget)

    @property
    def ledger(self) -> Ledger:
        """What the calls of this engine's session cost so far."""
        return self._session.ledger

    def session(self) -> contextlib.AbstractContextManager[Any]:
        """The context in which LM calls go to this engine's ledger, budget and call log."""
        return self._session.activate()

    async def run_backward(self, job: BackwardJob) -> None:
        """Walk the graph of ``job``; fill its results."""
        token = settings_slot.set(self.settings)
        try:
            await _Walk(job, self.settings).run()
        finally:
            settings_slot.reset(token)

    async def run_step(self, job: StepJob) -> list[Any]:
        """Run the optimizer rule on each parameter, all at once."""
        rule = _dispatch.rules[job.rule]
        token = settings_slot.set(self.settings)
        try:
            return await together([rule(**item) for item in job.items], inline=job.inline)
        finally:
            settings_slot.reset(token)


class _Call(NamedTuple):
    """A node about to run, and the feedback on each of its outputs."""

    node: Node
    ctx: Any
    outputs: list[Pieces]


class _Walk:
    """One backward pass under way."""

    def __init__(self, job: BackwardJob, settings: EngineSettings) -> None:
        self.job, self.front = job, job.front
        # Only what is ready before any model has answered is held back to run together: later, what is ready at one
        # moment is a matter of time, and two processes would send different requests.
        self._held: list[_Call] | None = [] if settings.share_critics else None
        self._running: set[asyncio.Task[None]] = set()
        self._wake: asyncio.Event | None = None
        self._failed: BaseException | None = None

    async def run(self) -> None:
        try:
            while self.front.left:
                while (node := self.front.take()) is not None:
                    await self._start(node)
                if self._held is not None:
                    await self._start_families(self._let_go())
                    continue
                if self._failed is not None:
                    raise self._failed
                if self.front.left:
                    await self._until_something_ended()
        finally:
            await self._cancel_running()

    async def _start(self, node: Node) -> None:
        """Run code at once; LM calls and users' code as a task beside the others."""
        if isinstance(node, AccumulateGrad):
            await self._accumulate(node)
            return
        outputs = self.front.incoming(node)
        if self.front.leads_nowhere(node):
            self.front.finish(node)
            return
        if node._watched is not None:
            outputs = await self._watch(node, outputs)
        wanted = self.front.wants(node)
        if not any(outputs) or not any(wanted):
            self.front.finish(node)
        elif not _says_anything(outputs):
            self.front.skip(node)
        else:
            # Two passes over one graph with different `inputs` must not see each other's wishes.
            ctx = copy.copy(node.ctx) if self.front.restricted else node.ctx
            ctx.needs_edge = wanted
            call = _Call(node, ctx, outputs)
            if self._held is not None and node.op.has_families:
                self._held.append(call)
            else:
                await self._run(call)

    def _let_go(self) -> dict[Any, dict[int, _Call]]:
        """The calls that were held back, by their op, numbered; from now on none is."""
        held: dict[Any, dict[int, _Call]] = {}
        for call in self._held or ():
            calls = held.setdefault(call.node.op, {})
            calls[len(calls)] = call
        self._held = None
        return held

    async def _start_families(self, held: dict[Any, dict[int, _Call]]) -> None:
        """Run the calls that were held back, those of one family together; each is forgotten as it runs."""
        for op, calls in held.items():
            for positions in op.families((call.ctx, call.outputs[0]) for call in calls.values()):
                family = [calls.pop(position) for position in positions]
                if len(family) == 1:
                    await self._run(family[0])
                elif self.job.inline:
                    await self._run_family(family)
                else:
                    self._spawn(self._run_family(family))

    async def _run(self, call: _Call) -> None:
        if not self.job.inline and self._may_wait(call.node):
            self._spawn(self._run_node(call))
        else:
            result = call_backward(call.node.op, call.ctx, call.outputs)
            self._deliver(call, await result if isinstance(result, CoroutineType) or _is_awaitable(result) else result)

    async def _run_family(self, family: list[_Call]) -> None:
        results = await family[0].node.op.backward_together([(call.ctx, call.outputs[0]) for call in family])
        for call, result in zip(family, results, strict=True):
            self._deliver(call, result)

    def _may_wait(self, node: Node) -> bool:
        """Whether the node's backward waits for a model or for the thread that runs users' code, if anything does."""
        return node.op.calls_lm or not node.op.built_in

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        import asyncio

        task = asyncio.ensure_future(work)
        self._running.add(task)
        task.add_done_callback(self._ended)

    async def _run_node(self, call: _Call) -> None:
        if self.job.user is not None and not call.node.op.built_in:
            result = await self.job.user(lambda: call_backward(call.node.op, call.ctx, call.outputs))
        else:
            result = call_backward(call.node.op, call.ctx, call.outputs)
            if inspect.isawaitable(result):
                result = await result
        self._deliver(call, result)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        if self._failed is None:
            self._failed = _cancelled(task) if task.cancelled() else task.exception()
        if self._wake is not None:
            self._wake.set()

    async def _until_something_ended(self) -> None:
        import asyncio

        self._wake = self._wake or asyncio.Event()
        if self._running:
            await self._wake.wait()
        self._wake.clear()

    async def _cancel_running(self) -> None:
        if self._running:
            import asyncio

            running = list(self._running)
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)

    def _deliver(self, call: _Call, returned: Any) -> None:
        node, ctx, outputs = call
        self.front.finish(node, edges_of(ctx, outputs, returned))

    async def _accumulate(self, node: AccumulateGrad) -> None:
        deliveries = self.front.deliveries(node)
        self.front.finish(node)
        variable = node.variable
        if self.job.restricted is not None and id(variable) not in self.job.restricted:
            return
        # One gradient for each edge that leads here; an empty one only where there is nothing else.
        pieces = [piece for pieces in deliveries for piece in distinct(pieces)]
        found = [piece for piece in pieces if piece._data] or (
            [Gradient("", f"feedback to {variable.role}")] if pieces else []
        )
        if found:
            self.job.results.append((variable, await self._hooked(variable, found)))

    async def _watch(self, node: Node, outputs: list[Pieces]) -> list[Pieces]:
        for variable in node.watched():
            pieces = outputs[variable.output_nr]
            if not pieces:
                continue
            pieces = await self._hooked(variable, pieces)
            outputs[variable.output_nr] = pieces
            if variable._retain_grad and (self.job.restricted is None or id(variable) in self.job.restricted):
                self.job.results.append((variable, [_own(variable, piece) for piece in pieces]))
        return outputs

    async def _hooked(self, variable: Variable, pieces: Pieces) -> Pieces:
        if not variable._hooks:
            return pieces
        if self.job.hooks is not None:
            return await self.job.hooks(variable, pieces)
        if self.job.user is None:
            return through_hooks(variable, pieces)
        result: Pieces = await self.job.user(lambda: through_hooks(variable, pieces))
        return result


def _says_anything(outputs: Sequence[Pieces]) -> bool:
    """Whether any of the feedback has a text, or is the start of a backward without a gradient."""
    for pieces in outputs:
        for piece in pieces:
            if piece._data or piece is IDENTITY:
                return True
    return False


def _is_awaitable(result: Any) -> bool:
    # Most are an op's answer: asking `inspect` takes as long as all the rest of delivering it.
    return not isinstance(result, (tuple, list, Variable)) and inspect.isawaitable(result)


def call_backward(op: Any, ctx: Any, outputs: Sequence[Pieces]) -> Any:
    """What ``op.backward`` returns for the feedback on each of its outputs."""
    if len(outputs) == 1 and outputs[0]:
        return op.backward(ctx, grad_output(outputs[0]))
    return op.backward(ctx, *[grad_output(pieces) if pieces else Gradient("") for pieces in outputs])


def edges_of(ctx: Any, outputs: Sequence[Pieces], returned: Any) -> list[Pieces]:
    """What a backward returned, one list of pieces for each edge of its node.

    Raises:
        GraphError: it does not fit the arguments of the forward.
    """
    if isinstance(returned, EdgePieces):
        return returned
    everything = outputs[0] if len(outputs) == 1 else distinct([piece for pieces in outputs for piece in pieces])
    return per_edge(ctx.arguments, returned, grad_output(everything))


def _own(variable: Variable, piece: Gradient) -> Gradient:
    """``piece`` as the user may keep it: the two that all graphs share are not given away."""
    return Gradient("", f"feedback to {variable.role}") if piece is EMPTY or piece is IDENTITY else piece


def _cancelled(task: asyncio.Task[None]) -> BaseException:
    """The error of a backward that was cancelled from inside, by a user's code: nobody else would tell."""
    import asyncio

    return asyncio.CancelledError(f"A backward in the graph was cancelled: {task.get_coro()!r}")


def through_hooks(variable: Variable, pieces: Pieces) -> Pieces:
    """What the hooks of ``variable`` make of its gradients."""
    result = []
    for piece in pieces:
        for hook in list((variable._hooks or {}).values()):
            returned = hook(piece)
            if returned is not None:
                if not isinstance(returned, Variable):
                    raise TypeError(f"A gradient hook returns a Variable or None, got {type(returned).__name__}.")
                piece = as_gradient(returned, piece)
        result.append(piece)
    return result


def _log_of(call_log: CallLog | str | Path | None, mode: Mode | None) -> CallLog | None:
    """A mode that nobody would heed is refused: who asks for a replay does not want to pay."""
    if mode not in (None, *get_args(Mode)):
        raise ValueError(f"local_engine(mode={mode!r}): expected 'live', 'cache' or 'replay'.")
    if isinstance(call_log, (str, Path)):
        return CallLog(call_log, mode=mode or "cache")
    if call_log is None:
        if mode == "replay":
            raise ValueError(
                "local_engine(mode='replay') needs the file to replay: local_engine(call_log=..., mode=...)."
            )
        return None
    if not isinstance(call_log, CallLog):
        raise TypeError(f"call_log is a path or a CallLog, got {type(call_log).__name__}.")
    if mode is not None and call_log.mode != mode:
        raise ValueError(f"local_engine(mode={mode!r}): this CallLog was opened with mode={call_log.mode!r}.")
    return call_log


@contextlib.contextmanager
def local_engine(
    call_log: CallLog | str | Path | None = None,
    mode: Mode | None = None,
    *,
    budget: Budget | None = None,
    settings: EngineSettings | None = None,
) -> Iterator[LocalEngine]:
    """Work offline: compute gradients and updates in this process, without a server, login or Run.

    Args:
        call_log: a file to record LM calls in (appended to, never overwritten), or an open `CallLog`.
        mode: ``"cache"`` answers a recorded call from the file and records the others; ``"live"`` only records;
            ``"replay"`` only reads: a request that was never recorded raises `ReplayMissError`.  None: ``"cache"``, or
            that of an open `CallLog`.
        budget: bounds all LM calls inside the block together.
        settings: how calls and tokens are spent.

    Yields:
        the engine; ``engine.ledger`` says what was spent.

    Raises:
        ValueError: there is no such mode, no ``call_log`` that it could be of, or the open one has another.
        TypeError: ``call_log`` is none.
    """
    opened = _log_of(call_log, mode)
    engine = LocalEngine(opened, budget, settings)
    try:
        with engine.session(), _dispatch.use_engine(engine):
            yield engine
    finally:
        if opened is not None and opened is not call_log:
            opened.close()
