"""Reading the pickles in checkpoints of old versions, without running them.

A pickle is a program: it names classes and functions, and calls them.  Python's unpickler is not used at all.  This
machine knows the instructions that old checkpoints are made of, and no others.  A name is only a name to it; the few
"calls" it can make are in a table here and make plain containers.  Names of functions become functions when the
program has ended, by the rule of ``afnio._functions``.

What a short program can blow up is bounded: memory slots are a dict, keys are never nested (hashing shared tuples takes
time without end), and what is read in the end may not be far larger than the file.

Source: ``pickletools`` describes the instructions, https://docs.python.org/3/library/pickletools.html
"""

from __future__ import annotations

from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from afnio._functions import find_function
from afnio.errors import CheckpointError
from afnio.parameter import Parameter
from afnio.variable import Variable

__all__ = ["loads"]


class _Name(NamedTuple):
    """What a pickle calls a class or function.  Not the thing itself."""

    module: str
    name: str


_VARIABLES = {
    _Name("afnio._variable", "Variable"): Variable,
    _Name("afnio.cognitive.parameter", "Parameter"): Parameter,
}
_FACTORIES = {_Name("builtins", cls.__name__): cls for cls in (dict, float, int, list, set, str)}
_OBJECT = _Name("builtins", "object")
_RENAMED = {"__builtin__": "builtins", "copy_reg": "copyreg"}  # protocols 0 to 2 write the names of Python 2


class _Old:
    """A Variable as an old pickle holds it: its class and its attributes, whatever they are called."""

    __slots__ = ("cls", "state")

    def __init__(self, cls: type[Variable]) -> None:
        self.cls = cls
        self.state: dict[str, Any] = {}


def loads(content: bytes) -> Any:
    """The object in an old pickle.

    Raises:
        CheckpointError: it names anything but Variables, plain containers and functions of loaded modules, would do
            anything but make them, or is damaged.
    """
    return _Converter(len(content)).convert(_Machine().run(content))


# The machine


class _Machine:
    """Runs the instructions of a pickle on a stack, as ``pickle`` would, with inert values."""

    def __init__(self) -> None:
        self.stack: list[Any] = []
        self.below: list[list[Any]] = []  # the stacks under the marks
        self.memo: dict[int, Any] = {}

    def run(self, content: bytes) -> Any:
        """What is on the stack at the end."""
        import pickletools  # 10 ms, for old files only

        try:
            for opcode, argument, _ in pickletools.genops(content):
                if opcode.name == "STOP":
                    return self.stack.pop()
                self.step(opcode.name, argument)
        except CheckpointError:
            raise
        except (IndexError, KeyError, ValueError) as error:
            raise CheckpointError(f"its pickle is damaged: {error}") from error
        raise CheckpointError("its pickle is damaged: it has no end")

    def step(self, name: str, argument: Any) -> None:
        """One instruction."""
        if name in _CONSTANTS:
            self.stack.append(argument)
        elif name in _EMPTY:
            self.stack.append(_EMPTY[name]())
        elif name in _INSTRUCTIONS:
            _INSTRUCTIONS[name](self, argument)
        else:
            raise CheckpointError(f"its pickle is damaged, or was made to do harm: it has the instruction {name}")

    def push(self, value: Any) -> None:
        self.stack.append(value)

    def to_mark(self) -> list[Any]:
        """What was pushed since the last mark, taken off with it."""
        items, self.stack = self.stack, self.below.pop()
        return items

    def taken(self, count: int) -> list[Any]:
        """The top values, taken off."""
        if len(self.stack) < count:
            raise IndexError("the stack is empty")
        items = self.stack[-count:]
        del self.stack[-count:]
        return items

    def mark(self, _: Any) -> None:
        self.below.append(self.stack)
        self.stack = []

    def pop(self, _: Any) -> None:
        if self.stack:
            self.stack.pop()
        else:
            self.to_mark()

    def put(self, number: int) -> None:
        self.memo[int(number)] = self.stack[-1]

    def memoize(self, _: Any) -> None:
        self.memo[len(self.memo)] = self.stack[-1]

    def get(self, number: int) -> None:
        self.stack.append(self.memo[int(number)])

    def name(self, spelled: str) -> None:
        module, _, name = spelled.partition(" ")
        self.stack.append(_named(module, name))

    def stack_name(self, _: Any) -> None:
        self.stack.append(_named(*self.taken(2)))

    def call(self, _: Any) -> None:
        what, arguments = self.taken(2)
        self.stack.append(_called(what, arguments))

    def new(self, _: Any) -> None:
        what, arguments = self.taken(2)
        if not isinstance(what, _Name) or what not in _VARIABLES or arguments != ():
            raise _not_callable(what)
        self.stack.append(_Old(_VARIABLES[what]))

    def build(self, _: Any) -> None:
        (state,) = self.taken(1)
        _give_state(self.stack[-1], state)

    def append(self, items: list[Any]) -> None:
        _of_type(self.stack[-1], list).extend(items)

    def set_items(self, flat: list[Any]) -> None:
        _of_type(self.stack[-1], dict).update(_pairs(flat))

    def add(self, items: list[Any]) -> None:
        _of_type(self.stack[-1], set).update(map(_key, items))


def _named(module: object, name: object) -> _Name:
    """The name, if it is one that an old checkpoint may hold."""
    if not isinstance(module, str) or not isinstance(name, str):
        raise CheckpointError("its pickle is damaged: a name is no text")
    found = _Name(_RENAMED.get(module, module), name)
    if found in _VARIABLES or found in _CALLS or found in _FACTORIES or found == _OBJECT:
        return found
    if find_function(":".join(found)) is not None:
        return found
    raise CheckpointError(
        f"it is of an old version and names {found.module}.{name}, which is neither a Variable nor a plain container. "
        "If that is a function of yours, import its module before load()"
    )


def _not_callable(what: object) -> CheckpointError:
    shown = ".".join(what) if isinstance(what, _Name) else f"a {type(what).__name__}"
    return CheckpointError(f"it is damaged, or was made to do harm: it calls {shown}, which is no Variable")


def _called(what: object, arguments: object) -> Any:
    if not isinstance(what, _Name) or what not in _CALLS or not isinstance(arguments, tuple):
        raise _not_callable(what)
    try:
        return _CALLS[what](*arguments)
    except TypeError:  # too many arguments, or of another kind
        raise _not_callable(what) from None


def _reconstructor(cls: object, base: object, state: object) -> _Old:
    """``copyreg._reconstructor``, which protocols 0 and 1 use, for the two Variable classes alone."""
    if not isinstance(cls, _Name) or cls not in _VARIABLES or base != _OBJECT or state is not None:
        raise _not_callable(cls)
    return _Old(_VARIABLES[cls])


def _default_dict(factory: object = None) -> defaultdict[Any, Any]:
    if factory is None:
        return defaultdict()
    if not isinstance(factory, _Name) or factory not in _FACTORIES:
        raise _not_callable(factory)
    made: Callable[[], Any] = _FACTORIES[factory]
    return defaultdict(made)


def _ordered_dict(pairs: object = ()) -> OrderedDict[Any, Any]:
    items = [(_key(key), value) for key, value in _sequence(pairs)]
    return OrderedDict(items)


def _encoded(text: object, codec: object) -> bytes:
    """``_codecs.encode``, by which protocols 0 to 2 write bytes."""
    if not isinstance(text, str) or codec != "latin1":
        raise TypeError
    return text.encode("latin-1")


_CALLS: dict[_Name, Callable[..., Any]] = {
    _Name("collections", "OrderedDict"): _ordered_dict,
    _Name("collections", "defaultdict"): _default_dict,
    _Name("builtins", "set"): lambda items=(): {_key(item) for item in _sequence(items)},
    _Name("builtins", "frozenset"): lambda items=(): frozenset(_key(item) for item in _sequence(items)),
    _Name("copyreg", "_reconstructor"): _reconstructor,
    _Name("_codecs", "encode"): _encoded,
}


def _give_state(target: object, state: object) -> None:
    parts: tuple[Any, ...] = state if isinstance(state, tuple) and len(state) == 2 else (state, None)
    if isinstance(target, _Old) and all(part is None or isinstance(part, dict) for part in parts):
        for part in parts:
            target.state.update({key: value for key, value in (part or {}).items() if isinstance(key, str)})
    elif isinstance(target, OrderedDict) and isinstance(state, dict):
        target._metadata = state.get("_metadata")  # type: ignore[attr-defined]  # beside a state_dict's values
    else:
        raise CheckpointError(f"it is damaged, or was made to do harm: it changes a {type(target).__name__}")


def _key(key: Any) -> Any:
    if key is None or isinstance(key, (str, int, float, bytes)):
        return key
    raise CheckpointError(f"it is damaged: a {type(key).__name__} is a key, or an item of a set")


def _pairs(flat: list[Any]) -> list[tuple[Any, Any]]:
    keys, values = flat[::2], flat[1::2]
    if len(keys) != len(values):
        raise ValueError("a key has no value")
    return [(_key(key), value) for key, value in zip(keys, values, strict=True)]


def _sequence(items: object) -> Iterable[Any]:
    if isinstance(items, (list, tuple, set)):
        return items
    raise TypeError


def _of_type(target: Any, cls: type) -> Any:
    if not isinstance(target, cls):
        raise CheckpointError(
            f"its pickle is damaged: it adds to a {type(target).__name__} as if it were a {cls.__name__}"
        )
    return target


_CONSTANTS = {
    *("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT"),
    *("STRING", "BINSTRING", "SHORT_BINSTRING", "UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8"),
    *("BINBYTES", "SHORT_BINBYTES", "BINBYTES8"),
}

_EMPTY: dict[str, Callable[[], Any]] = {
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "EMPTY_LIST": list,
    "EMPTY_TUPLE": tuple,
    "EMPTY_DICT": dict,
    "EMPTY_SET": set,
}

_INSTRUCTIONS: dict[str, Callable[[_Machine, Any], Any]] = {
    "PROTO": lambda machine, _: None,
    "FRAME": lambda machine, _: None,
    "MARK": _Machine.mark,
    "POP": _Machine.pop,
    "POP_MARK": lambda machine, _: machine.to_mark(),
    "PUT": _Machine.put,
    "BINPUT": _Machine.put,
    "LONG_BINPUT": _Machine.put,
    "MEMOIZE": _Machine.memoize,
    "GET": _Machine.get,
    "BINGET": _Machine.get,
    "LONG_BINGET": _Machine.get,
    "GLOBAL": _Machine.name,
    "STACK_GLOBAL": _Machine.stack_name,
    "REDUCE": _Machine.call,
    "NEWOBJ": _Machine.new,
    "BUILD": _Machine.build,
    "LIST": lambda machine, _: machine.push(machine.to_mark()),
    "TUPLE": lambda machine, _: machine.push(tuple(machine.to_mark())),
    "TUPLE1": lambda machine, _: machine.push(tuple(machine.taken(1))),
    "TUPLE2": lambda machine, _: machine.push(tuple(machine.taken(2))),
    "TUPLE3": lambda machine, _: machine.push(tuple(machine.taken(3))),
    "DICT": lambda machine, _: machine.push(dict(_pairs(machine.to_mark()))),
    "FROZENSET": lambda machine, _: machine.push(frozenset(map(_key, machine.to_mark()))),
    "APPEND": lambda machine, _: machine.append(machine.taken(1)),
    "APPENDS": lambda machine, _: machine.append(machine.to_mark()),
    "SETITEM": lambda machine, _: machine.set_items(machine.taken(2)),
    "SETITEMS": lambda machine, _: machine.set_items(machine.to_mark()),
    "ADDITEMS": lambda machine, _: machine.add(machine.to_mark()),
}
"""Every instruction that is obeyed; extension codes, persistent ids, buffers, ``INST`` and ``OBJ`` are not."""


# What comes of it


class _Converter:
    """Makes today's objects out of what the machine built; what was one Variable stays one."""

    def __init__(self, size: int) -> None:
        self._made: dict[int, Variable] = {}
        # A value takes a byte or more in the file, unless it is shared; legitimate files share Variables only.
        self._left = 16 * size + 1000

    def convert(self, value: Any) -> Any:
        self._count()
        kind = type(value)
        if kind is _Old:
            return self._variable(value)
        if kind is _Name:
            return self._function(value)
        if kind in (list, tuple):
            return kind(self.convert(item) for item in value)
        if kind in (dict, OrderedDict, defaultdict):
            return self._dict(value)
        return value  # a scalar, or a set of scalars

    def _count(self) -> None:
        self._left -= 1
        if self._left < 0:
            raise CheckpointError("it holds far more than its size allows: it was made to fill the memory")

    def _function(self, value: _Name) -> Any:
        found = find_function(":".join(value))
        if found is None:
            raise CheckpointError(f"it holds {'.'.join(value)} itself, which is neither a Variable nor a function")
        return found

    def _dict(self, value: dict[Any, Any]) -> dict[Any, Any]:
        made = defaultdict(value.default_factory) if isinstance(value, defaultdict) else type(value)()
        for key, item in value.items():
            made[key] = self.convert(item)
        if isinstance(made, OrderedDict) and getattr(value, "_metadata", None) is not None:
            made._metadata = self.convert(value._metadata)  # type: ignore[attr-defined]
        return made

    def _variable(self, old: _Old) -> Variable:
        if id(old) in self._made:
            return self._made[id(old)]
        state = old.state
        role, grad = state.get("role", ""), state.get("_grad") or []
        if not isinstance(role, str) or not isinstance(grad, list):
            raise CheckpointError("it is damaged: the role of a Variable is no text, or its gradients are no list")
        made = old.cls.__new__(old.cls)
        data = self._data(state.get("_data", state.get("data")))
        Variable.__init__(made, data, role, bool(state.get("requires_grad", False)))
        self._made[id(old)] = made  # before its gradients: they may name it
        made.grad = self.convert(grad)
        return made

    def _data(self, data: Any) -> Any:
        """Old Variables could hold tuples; ours hold lists."""
        self._count()
        return [self._data(item) for item in data] if isinstance(data, (list, tuple)) else data
