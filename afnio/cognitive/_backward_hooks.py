"""Hooks of the backward pass: they see the feedback on what a Module returned, and on what it was given.

As in torch, the Variables that go into a call with such hooks, and those that come out of it, pass through a
`Function` that hands feedback on unchanged, unless a hook says otherwise.  It runs in the process that called
``backward()``, whichever engine does the rest.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from afnio.autodiff import Function, is_grad_enabled
from afnio.variable import Variable

__all__ = ["BackwardHooks"]

Hook = Callable[..., Any]
Gradients = tuple[Variable | None, ...]


class BackwardHooks:
    """The hooks of one call, and what they have seen so far."""

    def __init__(self, module: object, before: list[Hook], after: list[Hook]) -> None:
        self.module, self.before, self.after = module, before, after
        self.sizes = {"output": 0, "input": 0}
        self.inputs_want_feedback = False
        self.grad_output: Gradients | None = None

    def of_inputs(self, args: tuple[Any, ...]) -> tuple[Any, ...]:
        """The positional arguments, those that are Variables watched."""
        self.sizes["input"] = len(args)
        watched = self._watched(args, self._inputs_done)
        self.inputs_want_feedback = watched is not None
        return args if watched is None else tuple(watched)

    def of_output(self, output: Any) -> Any:
        """The output, watched: a Variable, or a tuple with Variables in it."""
        if isinstance(output, Variable):
            self.sizes["output"] = 1
            watched = self._watched((output,), self._outputs_done)
            return output if watched is None else watched[0]
        if isinstance(output, tuple):
            self.sizes["output"] = len(output)
            watched = self._watched(output, self._outputs_done)
            if watched is not None:
                return type(output)(*watched) if hasattr(output, "_fields") else tuple(watched)
        return output

    def _watched(self, values: tuple[Any, ...], done: Callable[[Gradients], Gradients]) -> list[Any] | None:
        places = [place for place, value in enumerate(values) if isinstance(value, Variable)]
        variables = [values[place] for place in places]
        if not is_grad_enabled() or not any(variable.requires_grad for variable in variables):
            return None
        made = _Watch.apply(_Spread(places, len(values), done), *variables)
        everything = list(values)
        for place, variable in zip(places, made, strict=True):
            everything[place] = variable
        return everything

    def _outputs_done(self, gradients: Gradients) -> Gradients:
        for hook in self.before:
            changed = _as_tuple(hook(self.module, gradients))
            if changed is not None:
                gradients = _same_length(changed, gradients, "Backward pre hook", "grad_output")
        self.grad_output = gradients
        if not self.inputs_want_feedback:
            nothing = (None,) * self.sizes["input"]
            for hook in self.after:
                changed = _as_tuple(hook(self.module, nothing, gradients))
                if changed is not None and any(gradient is not None for gradient in changed):
                    raise RuntimeError(
                        "Backward hook for Modules where no input requires gradient should always return None or None "
                        "for all gradients."
                    )
        return gradients

    def _inputs_done(self, gradients: Gradients) -> Gradients:
        if self.grad_output is None:
            return gradients  # feedback that did not come through the output
        for hook in self.after:
            changed = _as_tuple(hook(self.module, gradients, self.grad_output))
            if changed is not None:
                gradients = _same_length(changed, gradients, "Backward hook", "grad_input")
        self.grad_output = None
        return gradients


class _Spread:
    """Between the Variables of a call and all its values: a gradient for each value, None where it is no Variable."""

    def __init__(self, places: list[int], size: int, done: Callable[[Gradients], Gradients]) -> None:
        self.places, self.size, self.done = places, size, done

    def __call__(self, gradients: tuple[Variable, ...]) -> tuple[Variable | None, ...]:
        everything: list[Variable | None] = [None] * self.size
        for place, gradient in zip(self.places, gradients, strict=True):
            everything[place] = gradient
        done = self.done(tuple(everything))
        return tuple(done[place] for place in self.places)


class _Watch(Function):
    """The same values; backward: the feedback, after the hooks."""

    is_linear: ClassVar[bool] = True

    @staticmethod
    def forward(ctx: Any, spread: _Spread, *variables: Variable) -> tuple[Variable, ...]:
        ctx.spread = spread
        return tuple(_same(variable) for variable in variables)

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Variable) -> tuple[Any, ...]:
        return None, *ctx.spread(grad_outputs)


def _same(variable: Variable) -> Variable:
    same = Variable(variable.data, variable.role)
    same._samples = variable._samples
    return same


def _as_tuple(changed: Any) -> tuple[Any, ...] | None:
    if changed is None or isinstance(changed, tuple):
        return changed
    return tuple(changed) if isinstance(changed, list) else (changed,)


def _same_length(changed: tuple[Any, ...], gradients: Gradients, what: str, name: str) -> Gradients:
    if len(changed) != len(gradients):
        raise RuntimeError(
            f"{what} returned an invalid number of {name}, got {len(changed)}, but expected {len(gradients)}"
        )
    for value in changed:
        if value is not None and not isinstance(value, Variable):
            raise TypeError(f"{what} must return Variables or None, got {type(value).__name__}.")
    return changed
