"""`backward` and `abackward`: check, hand the job to the current engine, append what comes back."""

from __future__ import annotations

import contextvars
import inspect
import threading
from collections.abc import Callable, Coroutine, Sequence
from typing import TYPE_CHECKING, Any

from afnio import _dispatch
from afnio.autodiff.feedback import IDENTITY, Pieces, spread
from afnio.autodiff.graph import AccumulateGrad, Node, edge_to
from afnio.autodiff.job import BackwardJob
from afnio.autodiff.wavefront import Wavefront
from afnio.calls import run_async, run_inline, run_sync
from afnio.calls.loop import CLEANUP_SECONDS, submit
from afnio.errors import GraphError
from afnio.gradient import Gradient
from afnio.models.backward_client import backward_runs_inline
from afnio.variable import Variable

if TYPE_CHECKING:
    import asyncio
    import queue

__all__ = ["abackward", "backward"]

_Variables = Variable | Sequence[Variable]
_appending = threading.Lock()


def backward(
    variables: _Variables,
    grad_variables: Variable | Sequence[Variable | None] | None = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    inputs: _Variables | None = None,
) -> None:
    """Compute the gradients of ``variables`` with respect to the leaves of their graph, and append them.

    Args:
        variables: where to start; all are walked in one pass, side by side.
        grad_variables: the feedback on each of them; not needed (None) for an evaluator's score or
            explanation, and for sums of these.
        retain_graph: keep the graph for another backward.
        create_graph: not supported; must be False.
        inputs: accumulate into these Variables only.

    Gradients are appended all at once when the pass is complete: one that fails changes nothing.

    Raises:
        GraphError: a variable is a leaf, its graph was freed, or it needs a gradient.
        NoEngineError: no active Run and no engine.
        ReplyContractError: the backward model broke the reply contract twice.
        APIError: a call to the backward model failed.
        BudgetExceeded: the budget does not allow the next call.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.autograd.backward.html
    """
    engine, job = _prepare(variables, grad_variables, retain_graph, create_graph, inputs)
    job.inline = engine.inline and _runs_inline(job)
    if job.inline:
        run_inline(engine.run_backward(job))
    elif _has_user_code(job):
        _run_with_inbox(engine, job)
    else:
        run_sync(engine.run_backward(job))
    _append(job)


async def abackward(
    variables: _Variables,
    grad_variables: Variable | Sequence[Variable | None] | None = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    inputs: _Variables | None = None,
) -> None:
    """`backward`, for code that runs in an event loop."""
    engine, job = _prepare(variables, grad_variables, retain_graph, create_graph, inputs)
    if _has_user_code(job):
        import asyncio

        job.user = _caller_of(asyncio.get_running_loop())
    await run_async(engine.run_backward(job))
    _append(job)


def _prepare(
    variables: _Variables,
    grad_variables: Variable | Sequence[Variable | None] | None,
    retain_graph: bool | None,
    create_graph: bool,
    inputs: _Variables | None,
) -> tuple[_dispatch.Engine, BackwardJob]:
    roots = _as_list(variables, "variables")
    if not roots:
        raise GraphError("backward() was given no Variables.")
    if create_graph:
        raise GraphError("create_graph=True is not supported: gradients are texts, they have no graph of their own.")
    given = _as_gradients(grad_variables, len(roots))
    if len(given) != len(roots):
        raise GraphError(f"backward() was given {len(roots)} variables and {len(given)} gradients; give one for each.")
    targets = None if inputs is None else _as_list(inputs, "inputs")
    if targets is not None:
        _check_targets(targets)
    engine = _dispatch.require_engine("backward()")
    front = Wavefront([_seed(root, gradient) for root, gradient in zip(roots, given, strict=True)], targets)
    _check_alive(front)
    _label(front)
    return engine, BackwardJob(front, bool(retain_graph), targets)


def _as_list(value: Any, name: str) -> list[Variable]:
    if isinstance(value, Variable):
        return [value]
    if not isinstance(value, Sequence) or isinstance(value, str):
        raise TypeError(f"{name} must be a Variable or a list of Variables, got {type(value).__name__}.")
    for number, item in enumerate(value):
        if not isinstance(item, Variable):
            raise TypeError(f"{name} must be a list of Variables; item {number} is a {type(item).__name__}.")
    return list(value)


def _as_gradients(value: Any, count: int) -> list[Variable | None]:
    if value is None:
        return [None] * count
    if isinstance(value, Variable):
        return [value]
    if not isinstance(value, Sequence) or isinstance(value, str):
        raise TypeError(f"A gradient is a Variable that holds the feedback, got {type(value).__name__}.")
    return list(value)


def _check_targets(targets: list[Variable]) -> None:
    if not targets:
        raise GraphError("inputs is empty: name the Variables to accumulate into, or leave it out.")
    for target in targets:
        if not target.requires_grad:
            raise GraphError(f"inputs has {target.role or 'a Variable'!r}, which does not require a gradient.")
        if not target.is_leaf and not target._retain_grad:
            raise GraphError(
                f"inputs has {target.role or 'a Variable'!r}, which is not a leaf and keeps no gradients: "
                "call its retain_grad() first."
            )


def _seed(root: Variable, gradient: Variable | None) -> tuple[Node, int, Pieces]:
    if root.is_leaf or not root.requires_grad:
        raise GraphError(
            f"backward() was called on a leaf ({root.role or 'no role'!r}): it was not computed from any Variable with "
            "requires_grad=True, or it was computed inside no_grad(). Call it on the loss an evaluator returned."
        )
    node, output_nr = edge_to(root)
    assert node is not None
    if gradient is None:
        _check_implicit(root, node)
        return node, output_nr, [IDENTITY]
    if not isinstance(gradient, Variable):
        raise TypeError(f"A gradient is a Variable that holds the feedback, got {type(gradient).__name__}.")
    return node, output_nr, spread(gradient, Gradient(""), root)


def _check_implicit(root: Variable, start: Node) -> None:
    """A backward without a gradient must end, through linear ops only, at evaluators."""
    stack, seen = [start], set()
    while stack:
        node = stack.pop()
        if node in seen or node.op._is_evaluator:
            continue
        seen.add(node)
        if not node.op.is_linear:
            raise GraphError(
                f"backward() on {root.role or 'this Variable'!r} needs a gradient: only an evaluator's score or "
                f"explanation starts without one, and it was made by {node.name()}. "
                "Pass backward(gradient=Variable('what to improve'))."
            )
        stack.extend(target for target in node.targets if target and not isinstance(target, AccumulateGrad))


def _check_alive(front: Wavefront) -> None:
    for node in front.order:
        if node.ctx is None and not isinstance(node, AccumulateGrad) and not front.leads_nowhere(node):
            raise GraphError(
                f"The graph at {node.name()} was freed by an earlier backward(). "
                "Pass retain_graph=True to the first one to walk it again."
            )


def _label(front: Wavefront) -> None:
    """Number the evaluators by their place in the graph, where there are several: sample ids start with it."""
    evaluators = [
        node
        for node in front.order
        if node.op is not AccumulateGrad and node.op._is_evaluator and not front.leads_nowhere(node)
    ]
    for number, node in enumerate(evaluators):
        node.ctx.label = str(number) if len(evaluators) > 1 else ""


def _runs_inline(job: BackwardJob) -> bool:
    """Whether the whole pass can be driven in this thread: nothing in it waits."""
    calls_lm = False
    for node in job.front.order:
        if isinstance(node, AccumulateGrad):
            continue
        calls_lm = calls_lm or node.op.calls_lm
        if not node.op.built_in and inspect.iscoroutinefunction(node.op.backward):
            return False
    return not calls_lm or backward_runs_inline()


def _has_user_code(job: BackwardJob) -> bool:
    return any(
        node._watched or (node.variable._hooks if isinstance(node, AccumulateGrad) else not node.op.built_in)
        for node in job.front.order
    )


def _run_with_inbox(engine: _dispatch.Engine, job: BackwardJob) -> None:
    """Run the job on the LM loop; this thread meanwhile runs the user's code it asks for."""
    import queue  # 3 ms; for user code only

    inbox: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
    job.user = _poster(inbox)
    running = submit(engine.run_backward(job), lambda: inbox.put(None))
    try:
        while (work := inbox.get()) is not None:
            work()
    except BaseException:
        running.cancel()
        running.ended.wait(CLEANUP_SECONDS)
        raise
    running.result()


def _poster(inbox: queue.SimpleQueue[Callable[[], None] | None]) -> Callable[[Callable[[], Any]], Any]:
    import asyncio

    async def user(function: Callable[[], Any]) -> Any:
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Any] = loop.create_future()

        def work() -> None:
            try:
                result = function()
                if asyncio.iscoroutine(result):
                    result = run_sync(result) if asyncio._get_running_loop() else asyncio.run(result)
            except Exception as error:  # noqa: BLE001  # raised again where backward() was called
                loop.call_soon_threadsafe(_settle, answer, None, error)
            else:
                loop.call_soon_threadsafe(_settle, answer, result, None)

        inbox.put(work)
        return await answer

    return user


def _settle(answer: asyncio.Future[Any], result: Any, error: Exception | None) -> None:
    if answer.cancelled():
        return
    if error is not None:
        answer.set_exception(error)
    else:
        answer.set_result(result)


def _caller_of(home: asyncio.AbstractEventLoop) -> Callable[[Callable[[], Any]], Any]:
    """Run users' code for a backward awaited in ``home``: plain functions in a thread, coroutines in ``home``."""
    import asyncio

    context = contextvars.copy_context()

    async def call(function: Callable[[], Any]) -> Any:
        result = await asyncio.to_thread(context.copy().run, function)
        return await result if asyncio.iscoroutine(result) else result

    async def user(function: Callable[[], Any]) -> Any:
        coro: Coroutine[Any, Any, Any] = call(function)
        if asyncio.get_running_loop() is home:
            return await coro
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(coro, home))

    return user


def _append(job: BackwardJob) -> None:
    with _appending:  # all of one pass stand together, also where several end at once
        for variable, gradients in job.results:
            variable.grad.extend(gradients)
    if not job.retain_graph:
        _free(job)


def _free(job: BackwardJob) -> None:
    """Let go of what the graph keeps for its backward.  Whoever interrupts us before this can begin anew."""
    for node in job.front.order:
        if not job.front.leads_nowhere(node):
            node.ctx = None


_dispatch.entry_points["backward"] = backward
_dispatch.entry_points["abackward"] = abackward
