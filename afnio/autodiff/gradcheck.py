"""`gradcheck`: whether a Function of yours keeps the laws that feedback obeys.

Source of the idea: https://docs.pytorch.org/docs/stable/generated/torch.autograd.gradcheck.gradcheck.html
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any

from afnio import _dispatch
from afnio.autodiff.backward import backward
from afnio.autodiff.engine import LocalEngine
from afnio.autodiff.function import variables_of
from afnio.errors import GradcheckError
from afnio.gradient import Gradient
from afnio.variable import Variable

__all__ = ["gradcheck"]


def gradcheck(function: Callable[..., Any], inputs: Sequence[Any], *, raise_exception: bool = True) -> bool:
    """Check the backward of ``function``, most often ``YourFunction.apply``.

    The laws: forward returns Variables that say their role; each input that requires a gradient gets feedback
    with some text; the feedback on every output reaches every such input, with its samples, and no sample is
    invented; nothing given is changed; a second pass gives the same texts.

    Args:
        function: called with ``inputs``.
        inputs: leaf Variables, at least one of which requires a gradient, and whatever else it takes.
        raise_exception: False returns False where True raises.

    Returns:
        whether all laws hold.

    Raises:
        GradcheckError: the first law that does not, in words.
    """
    try:
        first = _texts(function, inputs)
        second = _texts(function, inputs)
        _require(first == second, f"two passes over the same inputs gave different feedback: {first} and {second}")
    except GradcheckError:
        if raise_exception:
            raise
        return False
    return True


def _texts(function: Callable[..., Any], inputs: Sequence[Any]) -> list[list[str]]:
    """The feedback on each input that requires a gradient, checked."""
    leaves = [variable for variable in variables_of(list(inputs)) if variable.requires_grad]
    _require(bool(leaves), "no input requires a gradient: pass a Variable with requires_grad=True")
    _require(all(variable.is_leaf for variable in leaves), "the inputs must be leaves")
    before = [copy.copy(variable.data) for variable in variables_of(list(inputs))]
    outputs = _outputs(function(*inputs))
    seeds = [Gradient(f"say it shorter ({i})", "feedback", samples=(f"sample-{i}",)) for i in range(len(outputs))]
    kept = [list(variable.grad) for variable in leaves]
    for variable in leaves:
        variable.grad.clear()
    try:
        with _dispatch.use_engine(LocalEngine()):
            backward(outputs, seeds)
        grads = [list(variable.grad) for variable in leaves]
    finally:
        for variable, grad in zip(leaves, kept, strict=True):
            variable.grad[:] = grad
    _require(
        before == [variable.data for variable in variables_of(list(inputs))],
        "forward or backward changed an input's data",
    )
    wanted = {sample for seed in seeds for sample in seed.samples}
    for variable, grad in zip(leaves, grads, strict=True):
        _check(variable, grad, wanted)
    return [[str(gradient.data) for gradient in grad] for grad in grads]


def _outputs(result: Any) -> list[Variable]:
    outputs = variables_of(result)
    _require(bool(outputs), "forward returned no Variable")
    for output in outputs:
        _require(not output.is_leaf, f"the output {output.role!r} is not connected to the inputs")
        _require(bool(output.role.strip()), "an output has no role: say what it is, the critic reads it")
    return outputs


def _check(variable: Variable, grad: list[Variable], wanted: set[str]) -> None:
    _require(bool(grad), f"the input {variable.role!r} got no feedback")
    _require(all(gradient.data for gradient in grad), f"the input {variable.role!r} got empty feedback")
    reached = {sample for gradient in grad if isinstance(gradient, Gradient) for sample in gradient.samples}
    _require(wanted <= reached, f"feedback on {sorted(wanted - reached)} did not reach the input {variable.role!r}")
    _require(
        reached <= wanted, f"the input {variable.role!r} got feedback on {sorted(reached - wanted)}, which nobody gave"
    )


def _require(holds: bool, law: str) -> None:
    if not holds:
        raise GradcheckError(f"gradcheck: {law}.")
