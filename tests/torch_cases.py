"""Random cases that torch and this library must end the same; the library is an argument.

``scripts/compare_with_torch.py`` runs them in torch and writes down what it saw, `tests/test_against_torch.py` runs
them here.  Every observation is a value that JSON can hold.
"""

from __future__ import annotations

import asyncio
import random
import warnings
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, NamedTuple


class Library(NamedTuple):
    """What a case is made of.

    Attributes:
        modules: Module and the containers, by name.
        hooks: the functions that register hooks for every module, by name.
        parameter, value: make a Parameter, and what a buffer holds, with so many items.
        text: brings a message or ``repr`` into the form all libraries share.
    """

    modules: Any
    hooks: Any
    parameter: Callable[[int], Any]
    value: Callable[[int], Any]
    text: Callable[[str], str]


# --- trees: names, order, walks, state dicts and their errors


class _Tree:
    """One random tree; some modules and parameters occur twice."""

    def __init__(self, library: Library, rng: random.Random) -> None:
        self.library, self.rng = library, rng
        self.modules: list[Any] = []
        self.parameters: list[Any] = []
        self.root = self.build(0)

    def build(self, depth: int) -> Any:
        kind = self.rng.choice(["Module", "Module", "ModuleList", "Sequential", "ModuleDict"])
        module = getattr(self.library.modules, kind)()
        if kind == "Module":
            self.fill(module)
        for index in range(self.rng.randint(0, 3) if depth < 3 else 0):
            self.add_child(kind, module, index, depth)
        self.modules.append(module)
        return module

    def fill(self, module: Any) -> None:
        for index in range(self.rng.randint(0, 3)):
            module.register_parameter(f"p{index}", self.parameter())
        for index in range(self.rng.randint(0, 2)):
            persistent = self.rng.random() < 0.7
            module.register_buffer(f"b{index}", self.library.value(2), persistent=persistent)

    def parameter(self) -> Any:
        chance = self.rng.random()
        if chance < 0.15:
            return None
        if chance < 0.4 and self.parameters:
            return self.rng.choice(self.parameters)
        self.parameters.append(self.library.parameter(self.rng.randint(1, 3)))
        return self.parameters[-1]

    def add_child(self, kind: str, module: Any, index: int, depth: int) -> None:
        chance = self.rng.random()
        if chance < 0.2 and self.modules:
            child = self.rng.choice(self.modules)
        elif chance < 0.3 and kind == "Module":
            child = None
        else:
            child = self.build(depth + 1)
        if kind in ("ModuleList", "Sequential"):
            module.append(child)
        else:
            module.add_module(f"c{index}", child)


def trees(library: Library, seed: int) -> Any:
    """What a random tree is called, drawn, saved and loaded as."""
    rng = random.Random(seed)
    root = _Tree(library, rng).root
    state = root.state_dict()
    return {
        "names": _names(root),
        "applied": _applied(root),
        "drawn": library.text(repr(root)),
        "keys": list(state),
        "versions": {key: dict(value) for key, value in state._metadata.items()},
        "found": _found(rng, root),
        "loaded": _loading(library, rng, root, state),
    }


def _names(module: Any) -> Any:
    every = [module.named_children()]
    for once in (True, False):
        every.append(module.named_modules(remove_duplicate=once))
        for recurse in (True, False):
            every.append(module.named_parameters("pre", recurse, once))
            every.append(module.named_buffers("", recurse, once))
    return [[name for name, _ in pairs] for pairs in every]


def _applied(module: Any) -> list[str]:
    names = {id(part): name for name, part in module.named_modules()}
    order: list[str] = []
    module.apply(lambda part: order.append(names[id(part)]))
    return order


def _found(rng: random.Random, module: Any) -> list[Any]:
    """Whether each name leads somewhere, and whether something can be put there."""
    parts = ["c0", "c1", "0", "1", "p0", "b0", "training", "gone", ""]
    names = [".".join(rng.choices(parts, k=rng.randint(1, 3))) for _ in range(6)]
    seen = []
    for name in names:
        for method in ("get_submodule", "get_parameter", "get_buffer"):
            found = _error(lambda: getattr(module, method)(name))  # noqa: B023 - called at once
            seen.append("none" if found is None else found)
    return [names, seen]


def _loading(library: Library, rng: random.Random, module: Any, state: Any) -> Any:
    keys = list(state)
    for key in keys:
        chance = rng.random()
        if chance < 0.1:
            del state[key]
        elif chance < 0.2:
            state[key] = library.value(5)
    wrong = [rng.choice(keys) + rng.choice(["x", ".y", "_extra_state"]) for _ in range(rng.randint(0, 2)) if keys]
    for key in [*wrong, "other.key"][: rng.randint(0, 3)]:
        state[key] = library.value(1)
    return [_loaded(library, module, state, strict) for strict in (True, False)]


def _loaded(library: Library, module: Any, state: Any, strict: bool) -> Any:
    try:
        return [list(keys) for keys in module.load_state_dict(state, strict=strict)]
    except RuntimeError as error:
        return library.text(str(error))


# --- hooks: who is called when, with what


def hooks(library: Library, seed: int, how: str = "sync") -> Any:
    """A call between random hooks, some of them for every module; ``how`` says how it is called."""
    rng = random.Random(seed)
    trace: list[Any] = []
    module = library.modules.Module()
    module.forward = _forward(rng, trace, how)
    handles = [_hook(library, rng, module, number, trace) for number in range(rng.randint(0, 6))]
    if handles and rng.random() < 0.3:
        rng.choice(handles).remove()
    z = rng.randint(0, 3)
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            result = _called(module, z, how)
    finally:
        for handle in handles:
            handle.remove()
    return [result, trace, [str(warning.message) for warning in caught]]


def _forward(rng: random.Random, trace: list[Any], how: str) -> Any:
    fails = rng.random() < 0.3

    def compute(*args: int, **kwargs: int) -> int:
        trace.append(["forward", list(args), [list(item) for item in kwargs.items()]])
        if fails:
            raise ValueError("boom")
        return sum(args) + kwargs.get("z", 0)

    async def acompute(*args: int, **kwargs: int) -> int:
        await asyncio.sleep(0)
        return compute(*args, **kwargs)

    return acompute if how == "async" else compute


def _called(module: Any, z: int, how: str) -> Any:
    try:
        if how == "sync":
            return module(1, 2, z=z)
        return asyncio.run(module(1, 2, z=z) if how == "async" else module.acall(1, 2, z=z))
    except Exception as error:
        return [type(error).__name__, str(error)]


def _hook(library: Library, rng: random.Random, module: Any, number: int, trace: list[Any]) -> Any:
    with_kwargs, prepend, always = (rng.random() < 0.4 for _ in range(3))
    act = rng.choice(["none", "none", "none", "change", "raise", "bad"])

    def before(_: Any, args: Any, *kwargs: Any) -> Any:
        trace.append(["before", number, list(args), repr(kwargs)])
        if act == "raise":
            raise KeyError(number)
        if act == "change":
            changed = tuple(x + 1 for x in args)
            return (changed, {**kwargs[0], "z": 5}) if kwargs else changed[0]
        return {"bad": "bad" if kwargs else (1, 2, 3)}.get(act)

    def after(_: Any, args: Any, *rest: Any) -> Any:
        trace.append(["after", number, list(args), repr(rest)])
        if act == "raise":
            raise KeyError(number)
        return rest[-1] * 2 if act in ("change", "bad") and rest[-1] is not None else None

    if rng.random() < 0.25:
        if rng.random() < 0.5:
            return library.hooks.register_module_forward_pre_hook(before)
        # Not both: after a failure torch 2.13 forgets that such a hook wants the keyword arguments.
        always = always and not with_kwargs
        return library.hooks.register_module_forward_hook(after, with_kwargs=with_kwargs, always_call=always)
    if rng.random() < 0.5:
        return module.register_forward_pre_hook(before, prepend=prepend, with_kwargs=with_kwargs)
    return module.register_forward_hook(after, prepend=prepend, with_kwargs=with_kwargs, always_call=always)


# --- attributes: what an assignment does


def attributes(library: Library, seed: int) -> Any:
    """What a random row of assignments leaves behind."""
    rng = random.Random(seed)
    trace: list[Any] = []
    module = library.modules.Module()
    make: dict[str, Callable[[], Any]] = {
        "parameter": lambda: library.parameter(1),
        "module": library.modules.Module,
        "variable": lambda: library.value(1),
        "none": lambda: None,
        "int": lambda: 5,
        "list": list,
        "dict": lambda: {"a": 1},
        "str": lambda: "text",
    }
    for _ in range(rng.randint(1, 14)):
        name, kind, persistent = rng.choice("xyz"), rng.choice(list(make)), rng.random() < 0.5
        operation: Callable[[], Any] = rng.choice(
            [
                *[lambda: setattr(module, name, make[kind]())] * 6,  # noqa: B023 - called at once
                lambda: delattr(module, name),  # noqa: B023
                lambda: module.register_parameter(name, make[kind]()),  # noqa: B023
                lambda: module.register_buffer(name, make[kind](), persistent=persistent),  # noqa: B023
                lambda: module.register_module(name, make[kind]()),  # noqa: B023
                lambda: module.set_submodule(name, make[kind](), strict=persistent),  # noqa: B023
                lambda: module.get_parameter(name),  # noqa: B023
                lambda: module.get_buffer(name),  # noqa: B023
                lambda: module.get_submodule(name),  # noqa: B023
            ]
        )
        trace.append(_error(operation) or "ok")
        slots = (module._parameters, module._buffers, module._modules, module._non_persistent_buffers_set)
        trace.append([sorted(slot) for slot in slots])
        trace.append([sorted({*"xyz"} & {*names}) for names in (vars(module), dir(module))])
    return trace


# --- containers: a random row of operations on each


def containers(library: Library, seed: int) -> Any:
    """What is in a container after each of some operations; parts are told by the order they were made in."""
    rng = random.Random(seed)
    kind = rng.choice(["ModuleList", "Sequential", "ModuleDict", "ParameterList", "ParameterDict"])
    box, made = getattr(library.modules, kind)(), _Made(library, kind)
    trace: list[Any] = [kind]
    for _ in range(rng.randint(1, 12)):
        operation = rng.choice(_BY_NAME if kind.endswith("Dict") else _BY_NUMBER)
        trace.append([*_outcome(made, lambda: operation(rng, box, made)), made.seen(box)])  # noqa: B023 - called at once
    return trace


class _Made:
    """Makes parts, and knows each by its number."""

    def __init__(self, library: Library, kind: str) -> None:
        self.library, self.kind = library, kind
        self.parts: list[Any] = []

    def part(self, rng: random.Random, always: bool = False) -> Any:
        if not always and rng.random() < 0.1 and not self.kind.startswith("Parameter"):
            return 5
        new = self.library.parameter(1) if self.kind.startswith("Parameter") else self.library.modules.Module()
        self.parts.append(new)
        return new

    def tell(self, value: Any) -> Any:
        for number, part in enumerate(self.parts):
            if part is value:
                return number
        if isinstance(value, tuple):
            return [self.tell(item) for item in value]
        return value if isinstance(value, (int, str, bool, type(None))) else self.seen(value)

    def seen(self, box: Any) -> Any:
        if not isinstance(box, self.library.modules.Module):
            return "something"
        pairs = box.named_parameters() if self.kind.startswith("Parameter") else box._modules.items()
        return [[name, self.tell(part)] for name, part in pairs]


def _outcome(made: _Made, operation: Callable[[], Any]) -> tuple[Any, Any]:
    try:
        return "ok", made.tell(operation())
    except Exception as error:
        # A name that is not in a ParameterDict is an AttributeError in torch; here it is that of a dict.
        return type(error).__name__.replace("AttributeError", "KeyError"), None


def _several(rng: random.Random, made: _Made) -> list[Any]:
    return [made.part(rng) for _ in range(rng.randint(0, 3))]


def _place(rng: random.Random) -> int:
    return rng.randint(-4, 4)


def _cut(rng: random.Random) -> slice:
    return slice(*(rng.choice([None, *range(-3, 4)]) for _ in range(2)))


def _added(rng: random.Random, box: Any, made: _Made) -> Any:
    if made.kind == "Sequential":
        other = made.library.modules.Sequential(*(p for p in _several(rng, made) if not isinstance(p, int)))
    else:
        other = _several(rng, made)
    box += other
    return box


Operation = Callable[[random.Random, Any, _Made], Any]

_BY_NUMBER: list[Operation] = [
    lambda rng, box, made: box.append(made.part(rng)),
    lambda rng, box, made: box.append(made.part(rng)),
    lambda rng, box, made: box.extend(_several(rng, made)),
    # Only what fits: torch's lists take anything at any place here, and are then broken.
    lambda rng, box, made: box.insert(rng.randint(0, len(box)), made.part(rng, always=True)) and None,
    lambda rng, box, made: box.__setitem__(_place(rng), made.part(rng)),
    lambda rng, box, made: box[_place(rng)],
    lambda rng, box, made: box[_cut(rng)],
    lambda rng, box, made: box.__delitem__(_place(rng)),
    lambda rng, box, made: box.__delitem__(_cut(rng)),
    lambda rng, box, made: box.pop(_place(rng)),
    lambda rng, box, made: len(box),
    lambda rng, box, made: tuple(box),
    _added,
]

_BY_NAME: list[Operation] = [
    lambda rng, box, made: box.__setitem__(rng.choice("abc"), made.part(rng)),
    lambda rng, box, made: box.__setitem__(rng.choice("abc"), made.part(rng)),
    lambda rng, box, made: box[rng.choice("abc")],
    lambda rng, box, made: box.__delitem__(rng.choice("abc")),
    lambda rng, box, made: box.pop(rng.choice("abc")),
    lambda rng, box, made: rng.choice("abc") in box,
    lambda rng, box, made: tuple(box),
    lambda rng, box, made: tuple(box.keys()),
    lambda rng, box, made: tuple(box.values()),
    lambda rng, box, made: tuple(box.items()),
    lambda rng, box, made: len(box),
    lambda rng, box, made: box.clear() if rng.random() < 0.2 else None,
    lambda rng, box, made: box.update(OrderedDict((rng.choice("bcd"), part) for part in _several(rng, made))),
    lambda rng, box, made: box.update([(rng.choice("bcd"), part) for part in _several(rng, made)]),
    lambda rng, box, made: box.update(rng.choice([5, [1], [("a",)], ["abc"]])),
]


def _error(operation: Callable[[], Any]) -> str | None:
    try:
        operation()
    except Exception as error:
        return type(error).__name__
    return None


CASES: dict[str, Callable[[Library, int], Any]] = {
    "trees": trees,
    "hooks": hooks,
    "attributes": attributes,
    "containers": containers,
}
