"""`Function`: an operation with a forward and a backward, built in or a user's own.

Source: https://docs.pytorch.org/docs/stable/autograd.html#torch.autograd.Function
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Coroutine, Sequence
from types import CoroutineType
from typing import Any, ClassVar

from afnio.autodiff.grad_mode import _enabled, no_grad
from afnio.autodiff.graph import Node, edges_to
from afnio.calls import run_async, run_inline, run_sync
from afnio.variable import Variable

__all__ = ["Context", "Function", "variables_of"]


class Context:
    """What a forward hands to its backward.  Any attribute may be set on it.

    Attributes:
        needs_input_grad: one bool for each argument of ``forward``: whether a gradient is wanted for it.
        saved_variables: what `save_for_backward` was given.
    """

    needs_input_grad: tuple[bool, ...] = ()
    saved_variables: tuple[Variable | None, ...] = ()
    arguments: tuple[Any, ...] = ()
    needs_edge: Sequence[bool]
    label: str = ""

    def save_for_backward(self, *variables: Variable | None) -> None:
        """Keep ``variables`` for the backward; read them as ``ctx.saved_variables``."""
        self.saved_variables = variables


class Function:
    """An operation on Variables that feedback can flow back through.

    Subclass it with static methods::

        class Shout(Function):
            @staticmethod
            def forward(ctx, x):
                return Variable(x.data.upper(), role=f"shouted {x.role}")

            @staticmethod
            def backward(ctx, grad_output):
                return Variable(f"Once shouted: {grad_output.data}", role=grad_output.role)

        y = Shout.apply(x)

    ``forward(ctx, *args, **kwargs)`` returns a Variable or a tuple of Variables; with ``setup_context(ctx,
    inputs, output)`` defined it is ``forward(*args, **kwargs)``.  It may be ``async def``.

    ``backward(ctx, *grad_outputs)`` gets one Variable for each output: the feedback on it, as text (several
    pieces as one numbered text; ``grad_output.parts`` has them one by one; ``""`` for an output without
    feedback).  It returns one value for each argument of ``forward``: a Variable, a list of Variables, or
    None.  Handing on ``grad_output`` itself hands on each piece unchanged.  Sample ids are carried along by
    the engine.  It runs in the thread that called ``backward()``, also when the engine is a server's; it is
    not called at all where there is nothing to improve.
    """

    calls_lm: ClassVar[bool] = False
    """Whether forward or backward makes LM calls: both are then coroutines for the LM loop."""

    is_linear: ClassVar[bool] = False
    """Whether feedback passes through unchanged, so that ``backward()`` may start at a sum of evaluations."""

    has_families: ClassVar[bool] = False
    """Whether nodes of this op may run together: it then has ``families(calls)`` and ``backward_together(calls)``."""

    built_in: ClassVar[bool] = False
    """Whether the engine may run the backward itself, or must ask the process that defined it."""

    _is_evaluator: ClassVar[bool] = False

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        raise RuntimeError(f"{type(self).__name__} is not instantiated; call {type(self).__name__}.apply(...).")

    @staticmethod
    def forward(*args: Any, **kwargs: Any) -> Any:
        """Compute the outputs; to be defined."""
        raise NotImplementedError("A Function needs a static method forward(ctx, *args, **kwargs).")

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> Any:
        """Keep on ``ctx`` what the backward needs; optional."""
        raise NotImplementedError("setup_context is optional; define it to write forward() without ctx.")

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Any) -> Any:
        """Turn feedback on the outputs into feedback on the inputs; to be defined."""
        raise NotImplementedError("A Function needs a static method backward(ctx, *grad_outputs).")

    @classmethod
    def inputs_of(cls, ctx: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[Variable]:
        """The Variables that feedback may flow to, one edge each, in order."""
        return variables_of((args, tuple(kwargs.values())))

    @classmethod
    def kept(cls, ctx: Any) -> tuple[str, ...]:
        """Names of the attributes of ``ctx`` that a built-in backward reads, besides ``arguments`` and ``label``.

        They hold Variables, plain values and what else ``tellurio.schemas.pack`` knows: a server runs the backward.
        """
        return ()

    @classmethod
    def runs_inline(cls, *args: Any, **kwargs: Any) -> bool:
        """Whether this call never waits (a scripted model), so that no event loop is needed."""
        return False

    @classmethod
    def apply(cls, *args: Any, **kwargs: Any) -> Any:
        """Run the forward and, where a gradient is wanted, add a node to the graph."""
        ctx = Context()
        result = _forward(cls, ctx, args, kwargs)
        if isinstance(result, CoroutineType):
            result = run_inline(result) if cls.runs_inline(*args, **kwargs) else run_sync(result)
        return _attach(cls, ctx, args, kwargs, result)

    @classmethod
    async def aapply(cls, *args: Any, **kwargs: Any) -> Any:
        """`apply`, for code that runs in an event loop."""
        ctx = Context()
        result = _forward(cls, ctx, args, kwargs)
        if isinstance(result, CoroutineType):
            result = await (_on_lm_loop(result) if cls.calls_lm else result)
        return _attach(cls, ctx, args, kwargs, result)


async def _on_lm_loop(coro: Coroutine[Any, Any, Any]) -> Any:
    return await run_async(coro)


def _forward(cls: type[Function], ctx: Context, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    if cls.calls_lm:
        # Built-in LM ops make plain output Variables and apply no other op: no grad mode to switch off.
        return cls.forward(ctx, *args, **kwargs)
    with no_grad():
        if cls.setup_context is Function.setup_context:
            output = cls.forward(ctx, *args, **kwargs)
            return _awaited(cls, ctx, (), output) if inspect.iscoroutine(output) else output
        output = cls.forward(*args, **kwargs)
        given = _arguments(cls, args, kwargs)
        if inspect.iscoroutine(output):
            return _awaited(cls, ctx, given, output)
        cls.setup_context(ctx, given, output)
        return output


async def _awaited(cls: type[Function], ctx: Context, given: tuple[Any, ...], coro: Coroutine[Any, Any, Any]) -> Any:
    """The output of a user's ``async def forward``, which builds no graph inside either."""
    with no_grad():
        output = await coro
        if cls.setup_context is not Function.setup_context:
            cls.setup_context(ctx, given, output)
        return output


def _arguments(cls: type[Function], args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, ...]:
    """The arguments in the order of ``forward``'s signature, which is the order of what ``backward`` returns."""
    if not kwargs:
        return args
    signature = _signature(cls.forward, cls.setup_context is Function.setup_context)
    bound = signature.bind(*args, **kwargs)
    bound.apply_defaults()
    given: list[Any] = []
    for name, value in bound.arguments.items():
        kind = signature.parameters[name].kind
        if kind is inspect.Parameter.VAR_POSITIONAL:
            given.extend(value)
        elif kind is inspect.Parameter.VAR_KEYWORD:
            given.extend(value.values())
        else:
            given.append(value)
    return tuple(given)


@functools.lru_cache(maxsize=256)
def _signature(forward: Callable[..., Any], has_ctx: bool) -> inspect.Signature:
    """The signature of a ``forward`` without ``ctx``."""
    signature = inspect.signature(forward)
    return signature.replace(parameters=list(signature.parameters.values())[has_ctx:])


def _attach(cls: type[Function], ctx: Context, args: tuple[Any, ...], kwargs: dict[str, Any], result: Any) -> Any:
    """Make ``result``'s Variables outputs of a new node, if any input wants a gradient."""
    if not _enabled.get():
        return result
    if kwargs and not cls.calls_lm:
        args, kwargs = _arguments(cls, args, kwargs), {}
    inputs = cls.inputs_of(ctx, args, kwargs)
    for variable in inputs:
        if variable.requires_grad:
            break
    else:
        return result
    result = _fresh(result, inputs)
    outputs = (result,) if isinstance(result, Variable) else [out for out in result if isinstance(out, Variable)]
    node = Node(cls, ctx, edges_to(inputs), len(outputs))
    if not cls.calls_lm:
        ctx.arguments = args
        ctx.needs_input_grad = tuple([any(v.requires_grad for v in variables_of(arg)) for arg in args])
    for number, output in enumerate(outputs):
        output.requires_grad = True
        output._set_grad_fn(node, number)
    return result


def _fresh(result: Any, inputs: list[Variable]) -> Any:
    """``result`` with copies of what is not its own (inputs, leaves, outputs of others): an output has one origin."""
    if isinstance(result, Variable):
        return result.detach() if _is_known(result, inputs) else result
    if not isinstance(result, (tuple, list)):
        raise TypeError(f"forward must return a Variable or a tuple of Variables, got {type(result).__name__}.")
    outputs = [item for item in result if isinstance(item, Variable)]
    if len({id(item) for item in outputs}) == len(outputs) and not any(_is_known(item, inputs) for item in outputs):
        return result
    seen = list(inputs)
    fresh = []
    for item in result:
        fresh.append(item.detach() if isinstance(item, Variable) and _is_known(item, seen) else item)
        seen.append(fresh[-1])
    return tuple(fresh)


def _is_known(output: Variable, others: list[Variable]) -> bool:
    if output.requires_grad or output._grad_fn is not None:
        return True
    return id(output) in map(id, others)


def variables_of(value: Any) -> list[Variable]:
    """The Variables in nested lists, tuples and dicts, in order."""
    found: list[Variable] = []
    _collect(value, found)
    return found


def _collect(value: Any, found: list[Variable]) -> None:
    if isinstance(value, Variable):
        found.append(value)
    elif isinstance(value, (list, tuple)):
        for item in value:
            _collect(item, found)
    elif isinstance(value, dict):
        for item in value.values():
            _collect(item, found)
