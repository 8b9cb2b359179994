"""Hold `afnio.cognitive.Module` against `torch.nn.Module`: random cases, run in both, must end the same.

torch is no dependency of ours; the tests state what was observed here.  To run it again:

    python3 -m venv .venvs/torch && .venvs/torch/bin/pip install torch==2.13.0
    PYTHONPATH=.:$(echo .venv/lib/python3*/site-packages) .venvs/torch/bin/python scripts/compare_with_torch.py
"""

from __future__ import annotations

import asyncio
import random
import re
import sys
import warnings
from collections.abc import Callable
from typing import Any

import torch  # type: ignore[import-not-found]

import afnio.cognitive as cog
from afnio import Variable

nn: Any = torch.nn
Pair = tuple[Any, Any]


class Outcome:
    """Compares what both did, and stops at the first difference."""

    def __init__(self, what: str, seed: int) -> None:
        self.what, self.seed = what, seed

    def same(self, theirs: Any, ours: Any) -> None:
        if theirs != ours:
            sys.exit(f"{self.what}, seed {self.seed}:\n  torch {theirs}\n  here  {ours}")


# --- trees: names, order, walks, repr, state dicts and their errors


class _Tree:
    """One random tree in both libraries; some modules and parameters occur twice."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.modules: list[Pair] = []
        self.parameters: list[Pair] = []
        self.root = self.build(0)

    def build(self, depth: int) -> Pair:
        kind = self.rng.choice(["Module", "Module", "ModuleList", "Sequential", "ModuleDict"])
        pair = getattr(nn, kind)(), getattr(cog, kind)()
        if kind == "Module":
            self.fill(pair)
        for index in range(self.rng.randint(0, 3) if depth < 3 else 0):
            self.add_child(kind, pair, index, depth)
        self.modules.append(pair)
        return pair

    def fill(self, pair: Pair) -> None:
        for index in range(self.rng.randint(0, 3)):
            for module, parameter in zip(pair, self.parameter(), strict=True):
                module.register_parameter(f"p{index}", parameter)
        for index in range(self.rng.randint(0, 2)):
            persistent = self.rng.random() < 0.7
            for module, buffer in zip(pair, (torch.zeros(2), Variable(["y", "z"])), strict=True):
                module.register_buffer(f"b{index}", buffer, persistent=persistent)

    def parameter(self) -> Pair:
        chance = self.rng.random()
        if chance < 0.15:
            return None, None
        if chance < 0.4 and self.parameters:
            return self.rng.choice(self.parameters)
        size = self.rng.randint(1, 3)
        self.parameters.append((nn.Parameter(torch.zeros(size)), cog.Parameter(["x"] * size)))
        return self.parameters[-1]

    def add_child(self, kind: str, pair: Pair, index: int, depth: int) -> None:
        chance = self.rng.random()
        if chance < 0.2 and self.modules:
            children = self.rng.choice(self.modules)
        elif chance < 0.3 and kind == "Module":
            children = (None, None)
        else:
            children = self.build(depth + 1)
        for module, child in zip(pair, children, strict=True):
            if kind in ("ModuleList", "Sequential"):
                module.append(child)
            else:
                module.add_module(f"c{index}", child)


def compare_tree(seed: int) -> None:
    rng, outcome = random.Random(seed), Outcome("trees", seed)
    theirs, ours = _Tree(rng).root
    for observe in (_names, _applied, repr, _keys):
        outcome.same(observe(theirs), observe(ours))
    _compare_loading(rng, outcome, theirs, ours)


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


def _keys(module: Any) -> Any:
    state = module.state_dict()
    return list(state), dict(state._metadata)


def _compare_loading(rng: random.Random, outcome: Outcome, theirs: Any, ours: Any) -> None:
    states = theirs.state_dict(), ours.state_dict()
    keys = list(states[0])
    for key in keys:
        chance = rng.random()
        if chance < 0.1:
            del states[0][key], states[1][key]
        elif chance < 0.2:
            states[0][key], states[1][key] = torch.zeros(5), Variable(["q"] * 5)
    wrong = [rng.choice(keys) + rng.choice(["x", ".y", "_extra_state"]) for _ in range(rng.randint(0, 2)) if keys]
    for key in [*wrong, "other.key"][: rng.randint(0, 3)]:
        states[0][key], states[1][key] = torch.zeros(1), Variable(["n"])
    for strict in (True, False):
        results = [_loaded(module, state, strict) for module, state in zip((theirs, ours), states, strict=True)]
        outcome.same(*results)


def _loaded(module: Any, state: Any, strict: bool) -> Any:
    try:
        return tuple(module.load_state_dict(state, strict=strict))
    except RuntimeError as error:
        # torch.Size([2]) there, (2,) here
        return re.sub(r"torch\.Size\(\[(\d+)\]\)", r"(\1,)", str(error))


# --- hooks: who is called when, with what


def compare_hooks(seed: int) -> None:
    expected = _hooked(nn.Module, seed, "sync")
    for how in ("sync", "async", "acall"):
        Outcome(f"hooks, {how}", seed).same(expected, _hooked(cog.Module, seed, how))


def _hooked(base: Any, seed: int, how: str) -> Any:
    rng, trace = random.Random(seed), []  # type: tuple[random.Random, list[Any]]
    fails = rng.random() < 0.3

    def compute(*args: int, **kwargs: int) -> int:
        trace.append(("forward", args, tuple(kwargs.items())))
        if fails:
            raise ValueError("boom")
        return sum(args) + kwargs.get("z", 0)

    async def acompute(*args: int, **kwargs: int) -> int:
        await asyncio.sleep(0)
        return compute(*args, **kwargs)

    module = base()
    module.forward = acompute if how == "async" else compute
    handles = [_hook(rng, module, number, trace) for number in range(rng.randint(0, 6))]
    if handles and rng.random() < 0.3:
        rng.choice(handles).remove()
    z = rng.randint(0, 3)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            if how == "sync":
                result = module(1, 2, z=z)
            else:
                result = asyncio.run(module(1, 2, z=z) if how == "async" else module.acall(1, 2, z=z))
        except Exception as error:  # noqa: BLE001 - whatever it is, it must be the same
            result = (type(error).__name__, str(error))
    return result, trace, [str(warning.message) for warning in caught]


def _hook(rng: random.Random, module: Any, number: int, trace: list[Any]) -> Any:
    with_kwargs, prepend, always = (rng.random() < 0.4 for _ in range(3))
    act = rng.choice(["none", "none", "none", "change", "raise", "bad"])

    def before(_: Any, args: Any, *kwargs: Any) -> Any:
        trace.append(("before", number, args, repr(kwargs)))
        if act == "raise":
            raise KeyError(number)
        if act == "change":
            changed = tuple(x + 1 for x in args)
            return (changed, {**kwargs[0], "z": 5}) if kwargs else changed[0]
        return {"bad": "bad" if kwargs else (1, 2, 3)}.get(act)

    def after(_: Any, args: Any, *rest: Any) -> Any:
        trace.append(("after", number, args, repr(rest)))
        if act == "raise":
            raise KeyError(number)
        return rest[-1] * 2 if act in ("change", "bad") and rest[-1] is not None else None

    if rng.random() < 0.5:
        return module.register_forward_pre_hook(before, prepend=prepend, with_kwargs=with_kwargs)
    return module.register_forward_hook(after, prepend=prepend, with_kwargs=with_kwargs, always_call=always)


# --- attributes: what an assignment does


def compare_attributes(seed: int) -> None:
    theirs = _assigned(seed, nn.Module, lambda: nn.Parameter(torch.zeros(1)), lambda: torch.zeros(1))
    ours = _assigned(seed, cog.Module, lambda: cog.Parameter("x"), lambda: Variable("x"))
    Outcome("attributes", seed).same(theirs, ours)


def _assigned(seed: int, base: Any, parameter: Callable[[], Any], variable: Callable[[], Any]) -> Any:
    rng, trace, module = random.Random(seed), [], base()  # type: tuple[random.Random, list[Any], Any]
    make: dict[str, Callable[[], Any]] = {
        "parameter": parameter,
        "module": base,
        "variable": variable,
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
                lambda: module.get_parameter(name),  # noqa: B023
                lambda: module.get_buffer(name),  # noqa: B023
                lambda: module.get_submodule(name),  # noqa: B023
            ]
        )
        try:
            operation()
            trace.append("ok")
        except Exception as error:  # noqa: BLE001 - whatever it is, it must be the same
            trace.append(type(error).__name__)
        slots = (module._parameters, module._buffers, module._modules, module._non_persistent_buffers_set)
        trace.append([sorted(slot) for slot in slots])
        trace.append([sorted({*"xyz"} & {*names}) for names in (vars(module), dir(module))])
    return trace


def main() -> None:
    """Compare; exit with the first difference."""
    for compare, cases in ((compare_tree, 3000), (compare_hooks, 5000), (compare_attributes, 20000)):
        for seed in range(cases):
            compare(seed)
        print(f"{compare.__name__}: {cases} the same")


if __name__ == "__main__":
    main()
