"""`Variable`: a value with a role, and where it came from.  It knows no network, lock, log or engine."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

from afnio import _dispatch
from afnio._types import Data

if TYPE_CHECKING:
    from typing import Self

__all__ = ["JAGGED", "RemovableHandle", "Variable", "is_scalar_variable", "is_variable"]

IDENTITY_GRADIENT_DATA = ""


class _Jagged:
    """The size of a dimension whose lists differ in length."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "j"


JAGGED = _Jagged()


_hook_ids = itertools.count()


class RemovableHandle:
    """Takes back a registered hook.  Works as a context manager too.

    Source: ``torch.utils.hooks.RemovableHandle``.
    """

    __slots__ = ("_hooks", "id")

    def __init__(self, hooks: dict[int, Callable[..., Any]], hook: Callable[..., Any]) -> None:
        self._hooks = hooks
        self.id = next(_hook_ids)
        hooks[self.id] = hook

    def remove(self) -> None:
        """Remove the hook; a second call does nothing."""
        self._hooks.pop(self.id, None)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.remove()


class Variable:
    """A value that prompts are made of, with the role it plays and the gradients it was given.

    Args:
        data: ``None``, a ``str``, ``int`` or ``float``, or a list of these, nested as deep as you like.  All
            leaves but ``None`` are strings, or all are numbers; ints beside floats become floats.
        role: what the value is for, in words.  The critic and the optimizer read it.
        requires_grad: whether gradients are computed for it.

    A gradient of a Variable is a list of Variables (`grad`), one for each piece of feedback; gradients
    accumulate by appending, until ``optimizer.clear_grad()``.

    Raises:
        TypeError: ``data`` is of another type, or mixes strings and numbers; ``role`` is no text; ``requires_grad`` is
            no bool.

    Modelled on ``torch.Tensor``: https://docs.pytorch.org/docs/stable/tensors.html
    """

    __slots__ = (
        "__weakref__",
        "_accumulator",
        "_data",
        "_grad",
        "_grad_fn",
        "_hooks",
        "_is_leaf",
        "_output_nr",
        "_retain_grad",
        "_samples",
        "requires_grad",
        "role",
    )

    requires_grad: bool
    role: str

    _extra: ClassVar[tuple[str, ...]] = ()
    """Attributes of a subclass that belong to the value: copied and pickled with it."""

    def __init__(self, data: Data = "", role: str = "", requires_grad: bool = False) -> None:
        self._data = data if type(data) is str else _checked(data)
        if type(role) is not str or type(requires_grad) is not bool:
            role = _checked_facts(role, requires_grad)
        self.role = role
        self.requires_grad = requires_grad
        self._grad: list[Variable] | None = None
        self._grad_fn: Any = None
        self._output_nr = 0
        self._is_leaf = True
        self._retain_grad = False
        self._hooks: dict[int, Callable[[Variable], Variable | None]] | None = None
        self._samples: tuple[str, ...] | None = None
        self._accumulator: Any = None

    # values

    @property
    def data(self) -> Any:
        """The value itself."""
        return self._data

    @data.setter
    def data(self, value: Data) -> None:
        self._data = _checked(value)

    @property
    def shape(self) -> tuple[Any, ...]:
        """Sizes of the nested lists; ``()`` for a scalar; `JAGGED` for each level below one that is uneven."""
        return _shape(self.data)

    @property
    def variable_id(self) -> None:
        """Kept for scripts that read it; a Variable has no server-side id here."""
        return None

    def is_floating_point(self) -> bool:
        """Whether the value is a float, or a list whose leaves (at least one) are all floats."""
        leaves = [leaf for leaf in _leaves(self.data) if leaf is not None]
        return bool(leaves) and all(isinstance(leaf, float) for leaf in leaves)

    def item(self) -> Any:
        """The value of a Variable that holds one: a plain str, int or float; a list of one gives its only element.

        Raises:
            ValueError: it holds another number of values, or none.
        """
        leaves = list(_leaves(self.data))
        if len(leaves) != 1 or leaves[0] is None:
            raise ValueError(
                f"item() needs one value; {self.role!r} holds {len(leaves) if self.data is not None else 0}."
            )
        return leaves[0]

    def to(self, dtype: type | None = None) -> Variable:
        """A new Variable whose leaves are cast to ``dtype`` (``str``, ``int`` or ``float``); None copies."""
        data = copy.deepcopy(self.data) if dtype is None else _cast(self.data, dtype)
        return Variable(data, self.role, self.requires_grad)

    def detach(self) -> Variable:
        """A new Variable with the same data and role that is in no graph."""
        other = Variable(self.data, self.role)
        other._samples = self._samples
        return other

    def copy_(self, src: Variable) -> Self:
        """Take over data, role and ``requires_grad`` of ``src``.

        Raises:
            TypeError: ``src`` is not a Variable.
            ValueError: the shapes differ.
        """
        if not isinstance(src, Variable):
            raise TypeError(f"copy_() expects a Variable, got {type(src).__name__}.")
        if self.shape != src.shape:
            raise ValueError(f"copy_() expects the same shape: this Variable has {self.shape}, the source {src.shape}.")
        self._data = copy.deepcopy(src.data)
        self.role = src.role
        self.requires_grad = src.requires_grad
        return self

    # graph

    @property
    def output_nr(self) -> int:
        """Which output of `grad_fn` this Variable is."""
        return self._output_nr

    @output_nr.setter
    def output_nr(self, value: int) -> None:
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            raise TypeError(f"output_nr must be an int of at least 0, got {value!r}.")
        self._output_nr = value

    @property
    def grad_fn(self) -> Any:
        """The graph node that made this Variable, or None."""
        return self._grad_fn

    @grad_fn.setter
    def grad_fn(self, value: Any) -> None:
        raise AttributeError("grad_fn is set by the forward pass and cannot be assigned.")

    def _set_grad_fn(self, node: Any, output_nr: int = 0) -> None:
        self._grad_fn = node
        self._output_nr = output_nr
        self._is_leaf = not self.requires_grad or node is None

    @property
    def is_leaf(self) -> bool:
        """True where gradients end: made by the user, or not requiring gradients."""
        return self._is_leaf

    def requires_grad_(self, mode: bool = True) -> Self:
        """Set ``requires_grad`` in place.

        Raises:
            TypeError: ``mode`` is no bool.
        """
        if not isinstance(mode, bool):
            raise TypeError(f"requires_grad must be True or False, got {mode!r}.")
        self.requires_grad = mode
        self._is_leaf = not mode or self._grad_fn is None
        return self

    def backward(
        self,
        gradient: Variable | None = None,
        retain_graph: bool | None = None,
        create_graph: bool = False,
        inputs: Any = None,
    ) -> None:
        """Compute the gradients of this Variable with respect to the leaves of its graph.

        Args:
            gradient: feedback on this Variable.  Not needed for an evaluator's score or explanation.
            retain_graph: keep the graph for another backward.
            create_graph: not supported; must be False.
            inputs: accumulate into these Variables only.

        Raises:
            GraphError: this Variable is a leaf, or its graph was freed, or a gradient is needed.
            NoEngineError: no active Run and no engine.

        See also `afnio.autodiff.backward`, `abackward`, and https://docs.pytorch.org/docs/stable/generated/torch.Tensor.backward.html
        """
        _dispatch.entry_points["backward"](self, gradient, retain_graph, create_graph, inputs)

    async def abackward(
        self,
        gradient: Variable | None = None,
        retain_graph: bool | None = None,
        create_graph: bool = False,
        inputs: Any = None,
    ) -> None:
        """`backward`, for code that runs in an event loop."""
        await _dispatch.entry_points["abackward"](self, gradient, retain_graph, create_graph, inputs)

    # gradients

    @property
    def grad(self) -> list[Variable]:
        """The gradients: a list of Variables, in order, empty where there are none.

        Raises:
            RuntimeError: this Variable is not a leaf and `retain_grad` was not called.
        """
        self._check_holds_grad()
        if self._grad is None:
            self._grad = []
        return self._grad

    @grad.setter
    def grad(self, value: list[Variable]) -> None:
        if not isinstance(value, list) or not all(isinstance(item, Variable) for item in value):
            raise TypeError("grad must be a list of Variables.")
        self._check_holds_grad()
        self._grad = value

    def append_grad(self, gradient: Variable) -> None:
        """Add one gradient to the same list object.

        Raises:
            TypeError: it is no Variable.
        """
        if not isinstance(gradient, Variable):
            raise TypeError(f"append_grad() takes a Variable that holds feedback, got {type(gradient).__name__}.")
        self.grad.append(gradient)

    def retain_grad(self) -> None:
        """Keep the gradients of this Variable although it is not a leaf.

        Raises:
            RuntimeError: it is a leaf, which keeps its gradients anyway.
        """
        if self._is_leaf:
            raise RuntimeError("retain_grad() is for Variables that are not leaves; a leaf keeps its gradients anyway.")
        self._retain_grad = True
        self._grad_fn.watch(self)

    def register_hook(self, hook: Callable[[Variable], Variable | None]) -> RemovableHandle:
        """Call ``hook(gradient)`` for each gradient computed for this Variable, in order, before it is used.

        A Variable returned by the hook takes the gradient's place.

        Raises:
            RuntimeError: this Variable does not require gradients.

        Source: https://docs.pytorch.org/docs/stable/generated/torch.Tensor.register_hook.html
        """
        if not self.requires_grad:
            raise RuntimeError("A hook needs a Variable with requires_grad=True.")
        if self._hooks is None:
            self._hooks = {}
            if self._grad_fn is not None:
                self._grad_fn.watch(self)
        return RemovableHandle(self._hooks, hook)

    def _check_holds_grad(self) -> None:
        if not self._is_leaf and not self._retain_grad:
            raise RuntimeError(
                "Only leaf Variables keep gradients. Call retain_grad() on this Variable before backward() to read "
                "its grad."
            )

    # operators

    def __add__(self, other: Variable) -> Variable:
        if not isinstance(other, Variable):
            raise TypeError(
                f"Only a Variable can be added to a Variable, got {type(other).__name__}: wrap it in Variable(...)."
            )
        result: Variable = _dispatch.ops["Add"].apply(self, other)
        return result

    def __iadd__(self, other: Variable) -> Self:
        result = self + other
        self._data, self.role, self.requires_grad = result._data, result.role, result.requires_grad
        self._samples = result._samples
        if result._grad_fn is not None:
            self._set_grad_fn(result._grad_fn, result._output_nr)
            self._accumulator = None
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Variable:
        if not self._is_leaf:
            raise RuntimeError("Only leaf Variables can be deep-copied; use detach() first.")
        other = type(self).__new__(type(self))
        memo[id(self)] = other
        Variable.__init__(other, copy.deepcopy(self.data, memo), self.role, self.requires_grad)
        other._samples = self._samples
        for name, value in self._extras().items():
            setattr(other, name, copy.deepcopy(value, memo))
        return other

    def __reduce__(self) -> Any:
        # Only the value travels: a graph belongs to the process that built it.
        value = (self.data, self.role, self.requires_grad)
        return (_rebuild, (type(self), value, self._grad if self._is_leaf else None, self._samples, self._extras()))

    def _extras(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self._extra} | getattr(self, "__dict__", {})

    def __repr__(self) -> str:
        return self._show("Variable", repr(self.data))

    def __str__(self) -> str:
        return self._show("variable", _short(self.data))

    def _show(self, name: str, data: str) -> str:
        if self._grad_fn is not None and self.requires_grad:
            return f"{name}(data={data}, role={self.role}, grad_fn={self._grad_fn.name()})"
        return f"{name}(data={data}, role={self.role}, requires_grad={self.requires_grad})"


def is_variable(obj: object) -> bool:
    """Whether ``obj`` is a Variable."""
    return isinstance(obj, Variable)


def is_scalar_variable(obj: object) -> bool:
    """Whether ``obj`` is a Variable that holds one str, int or float."""
    return isinstance(obj, Variable) and isinstance(obj.data, (str, int, float))


def _rebuild(
    cls: type[Variable],
    value: tuple[Data, str, bool],
    grad: list[Variable] | None,
    samples: tuple[str, ...] | None,
    extras: dict[str, Any],
) -> Variable:
    variable = cls.__new__(cls)
    Variable.__init__(variable, *value)
    variable._grad, variable._samples = grad, samples
    for name, item in extras.items():
        setattr(variable, name, item)
    return variable


def _checked_facts(role: Any, requires_grad: Any) -> str:
    """The role; None is none."""
    if role is not None and not isinstance(role, str):
        raise TypeError(f"role must be text that says what the value is for, got {type(role).__name__}.")
    if not isinstance(requires_grad, bool):
        raise TypeError(f"requires_grad must be True or False, got {requires_grad!r}.")
    return role or ""


def _checked(data: Any) -> Any:
    """``data`` if it is allowed, with ints made floats where floats stand beside them."""
    if data is None or isinstance(data, (str, int, float)):
        return data
    if not isinstance(data, list):
        raise TypeError(
            f"A Variable holds None, str, int, float or a list of these; got {type(data).__name__}."
            + (" Use a list instead of a tuple." if isinstance(data, tuple) else "")
        )
    kinds = {_kind(leaf) for leaf in _leaves(data)} - {None}
    if str in kinds and len(kinds) > 1:
        raise TypeError("The items of a Variable's list must be all strings or all numbers; got both.")
    return _cast(data, float) if kinds == {int, float} else data


def _kind(leaf: Any) -> type | None:
    if leaf is None:
        return None
    if isinstance(leaf, str):
        return str
    if isinstance(leaf, float):
        return float
    if isinstance(leaf, int):
        return int
    raise TypeError(f"A Variable's list holds None, str, int, float or lists of these; got {type(leaf).__name__}.")


def _leaves(data: Any) -> list[Any]:
    """The leaves of nested lists, in order.  Iterative: nesting may be deep."""
    if not isinstance(data, list):
        return [data]
    leaves: list[Any] = []
    stack = [iter(data)]
    while stack:
        for item in stack[-1]:
            if isinstance(item, list):
                stack.append(iter(item))
                break
            leaves.append(item)
        else:
            stack.pop()
    return leaves


def _cast(data: Any, dtype: type) -> Any:
    if isinstance(data, list):
        return [_cast(item, dtype) for item in data]
    return None if data is None else dtype(data)


def _shape(data: Any) -> tuple[Any, ...]:
    if not isinstance(data, list):
        return ()
    if not data:
        return (0,)
    inner = [_shape(item) for item in data]
    if all(shape == inner[0] for shape in inner):
        return (len(data), *inner[0])
    return (len(data), *(JAGGED for _ in range(max(map(len, inner)))))


def _short(data: Any) -> str:
    if isinstance(data, str):
        return repr(data if len(data) <= 40 else f"{data[:20]}...{data[-20:]}")
    if isinstance(data, list):
        items = [_short(item) for item in (data if len(data) <= 6 else [*data[:3], *data[-3:]])]
        if len(data) > 6:
            items.insert(3, "...")
        return f"[{', '.join(items)}]"
    return repr(data)
