"""A job in plain JSON and back: Variables, gradients, chats and what else an op or an optimizer rule is given.

One `Codec` on each side of a job.  Both know the same Variables, callables and models by number; gradients and trails
by a name (``c3`` made here, ``s7`` there), so that "the same feedback" stays the same object on both sides.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import fields
from typing import Any

from afnio.autodiff.chat import Chat, Item, OfferedTool
from afnio.autodiff.feedback import EMPTY, IDENTITY, Joined
from afnio.calls import _json
from afnio.domain import Domain
from afnio.gradient import NO_TRAIL, Gradient, Trail
from afnio.models.base import is_given
from afnio.optim.constraint import Constraint
from afnio.optim.update import Proposal, TGDItem, Version
from afnio.variable import Variable
from afnio.words import Part, Words

__all__ = ["Codec", "Definitions", "PackError"]

Definitions = dict[str, dict[str, Any]]
"""``{"g": {name: gradient}, "t": {name: trail}}``: what must be known before the names can be read."""

RECORDS = {cls.__name__: cls for cls in (TGDItem, Version, Proposal, Domain, Words, Part)}
"""Dataclasses that travel field by field."""

KNOWN = {"empty": EMPTY, "identity": IDENTITY}
"""Gradients that both sides have."""

HIDDEN_ARGS = ("extra_headers", "extra_query")
"""Completion arguments that may hold a key: they travel with the keys, and are stored nowhere."""

HIDDEN = "$hidden"
"""Stands among completion arguments for those that are hidden, with their number."""


class PackError(TypeError):
    """A value that cannot travel."""


class Codec:
    """Puts the values of one job into JSON, and reads those of the other side.

    Args:
        side: the first letter of the names this side gives.
    """

    def __init__(self, side: str) -> None:
        self.side = side
        self.variables: list[Variable] = []
        self.callables: list[Callable[..., Any]] = []
        self.models: list[Any] = []
        self.hidden: list[dict[str, Any]] = []
        self.shadow: Callable[[int], Any] | None = None
        """Reading only: number -> what stands for a callable of the other side."""
        self._numbers: dict[int, int] = {}
        self._gradients: dict[str, Gradient] = dict(KNOWN)
        self._trails: dict[str, Trail] = {}
        self._names: dict[int, str] = {id(gradient): name for name, gradient in KNOWN.items()}
        self._count = 0

    # gradients

    def pieces(self, pieces: Iterable[Gradient], into: Definitions) -> list[str]:
        """The names of gradients; those the other side may not know are defined in ``into``."""
        return [self._gradient(piece, into) for piece in pieces]

    def read_pieces(self, names: Sequence[str]) -> list[Gradient]:
        """The gradients of these names.

        Raises:
            PackError: one was never defined.
        """
        try:
            return [self._gradients[name] for name in names]
        except KeyError as error:
            raise PackError(f"the gradient {error.args[0]!r} was never told") from None

    def learn(self, told: Definitions) -> None:
        """Take over the definitions of the other side."""
        trails = {
            name: Trail(tuple(texts)) for name, (texts, _) in told.get("t", {}).items() if name not in self._trails
        }
        self._trails |= trails
        for name, trail in trails.items():
            trail.before = [self._trails[other] for other in told["t"][name][1]]
            self._names[id(trail)] = name
        for name, (data, role, samples, index, trail_name, goal) in told.get("g", {}).items():
            if name not in self._gradients:
                sources = NO_TRAIL if trail_name is None else self._trails[trail_name]
                gradient = Gradient(data, role, samples=tuple(samples), index=index, sources=sources, goal=goal)
                self._gradients[name] = gradient
                self._names[id(gradient)] = name

    def forget(self, side: str) -> None:
        """Forget what the other side told: it has begun anew and gives its names again."""
        for table in (self._gradients, self._trails):
            for name in [name for name in table if name.startswith(side) and name not in KNOWN]:
                self._names.pop(id(table.pop(name)), None)

    def _gradient(self, gradient: Gradient, into: Definitions) -> str:
        if isinstance(gradient, Joined):
            raise PackError("several gradients joined are sent as their parts")
        name = self._names.get(id(gradient))
        if name is None:
            name = self._name()
            self._gradients[name], self._names[id(gradient)] = gradient, name
        known = into.setdefault("g", {})
        if name not in known and name not in KNOWN and name.startswith(self.side):
            trail = self._trail(gradient.trail, into)
            data, role = str(gradient.data), gradient.role
            known[name] = [data, role, gradient.samples, gradient.index, trail, gradient.goal]
        return name

    def _trail(self, trail: Trail, into: Definitions) -> str | None:
        """The name of a trail; it and those before it are defined.  Iterative: a trail may be long."""
        if trail is NO_TRAIL:
            return None
        known = into.setdefault("t", {})
        first = self._trail_name(trail)
        stack = [trail]
        while stack:
            one = stack.pop()
            name = self._trail_name(one)
            if name in known or not name.startswith(self.side):
                continue
            before = [other for other in one.before if other is not NO_TRAIL]
            known[name] = [list(one.texts), [self._trail_name(other) for other in before]]
            stack.extend(before)
        return first

    def _trail_name(self, trail: Trail) -> str:
        name = self._names.get(id(trail))
        if name is None:
            name = self._name()
            self._trails[name], self._names[id(trail)] = trail, name
        return name

    def _name(self) -> str:
        self._count += 1
        return f"{self.side}{self._count}"

    # Variables

    def variable(self, variable: Variable) -> int:
        """The number of a Variable."""
        number = self._numbers.get(id(variable))
        if number is None:
            number = self._numbers[id(variable)] = len(self.variables)
            self.variables.append(variable)
        return number

    def variable_forms(self) -> list[list[Any]]:
        """What the other side must know of each Variable: role, whether it requires gradients, is a leaf, samples."""
        return [[v.role, v.requires_grad, v.is_leaf, v._samples] for v in self.variables]

    def read_variables(self, forms: Sequence[Sequence[Any]]) -> None:
        """Make a stand-in for each Variable of the other side."""
        for role, requires_grad, is_leaf, samples in forms:
            variable = Variable("", role, requires_grad)
            variable._is_leaf = is_leaf
            variable._samples = None if samples is None else tuple(samples)
            self.variable(variable)

    # values

    def value(self, value: Any, into: Definitions) -> Any:
        """``value`` in JSON.

        Raises:
            PackError: it cannot travel.
        """
        if value is None or isinstance(value, (bool, int, str)):
            return value
        if isinstance(value, float):
            return value if math.isfinite(value) else {"$": "f", "v": str(value)}
        if isinstance(value, list):
            return [self.value(item, into) for item in value]
        if isinstance(value, tuple):
            return {"$": "t", "v": [self.value(item, into) for item in value]}
        if isinstance(value, Mapping):
            return {"$": "d", "v": [[self.value(name, into), self.value(item, into)] for name, item in value.items()]}
        return self._object(value, into)

    def _object(self, value: Any, into: Definitions) -> Any:
        if isinstance(value, Gradient):
            return {"$": "g", "v": self._gradient(value, into)}
        if isinstance(value, Variable):
            return {"$": "v", "v": self.variable(value)}
        if isinstance(value, Chat):
            return {"$": "chat", "v": self._chat(value)}
        if isinstance(value, Constraint):
            return {"$": "constraint", "v": [value.text, None if value.check is None else self._callable(value.check)]}
        name = type(value).__name__
        if RECORDS.get(name) is type(value):
            return {"$": "o", "n": name, "v": [self._field(each.name, value, into) for each in fields(value)]}
        raise PackError(f"a {name} cannot be sent to the server: {value!r}")

    def _field(self, name: str, record: Any, into: Definitions) -> Any:
        value = getattr(record, name)
        if name == "client":
            return {"$": "m", "v": self.model(value)}
        if name == "completion_args":
            return {"$": "j", "v": self.args(value)}
        if name == "constraints":  # a constraint may be a Variable: its words are what counts
            value = [item.data if isinstance(item, Variable) else item for item in value]
        return self.value(value, into)

    def _chat(self, chat: Chat) -> list[Any]:
        contents = [[role, [self._item(item) for item in parts]] for role, parts in chat.contents]
        inputs = []
        for name, (given, text) in chat.inputs.items():
            numbers = [self.variable(v) for v in given] if isinstance(given, list) else None
            number = self.variable(given) if isinstance(given, Variable) else numbers
            inputs.append([name, number, text])
        form = [contents, inputs, chat.batched, chat.size, chat.samples, chat.title]
        if chat.tools or chat.arguments or chat.active is not None:
            tools = [[t.name, t.parameters, self._number(t.variable), t.text] for t in chat.tools]
            arguments = [[name, self.variable(v), self.value(value, {})] for name, v, value in chat.arguments]
            form.append({"tools": tools, "arguments": arguments, "active": chat.active})
        return form

    def _item(self, item: Item) -> list[Any]:
        form = [self._number(item.variable), item.text]
        return form if item.blocks is None else [*form, item.blocks]

    def _number(self, variable: Variable | None) -> int | None:
        return None if variable is None else self.variable(variable)

    def _callable(self, function: Callable[..., Any]) -> int:
        for number, known in enumerate(self.callables):
            if known is function:
                return number
        self.callables.append(function)
        return len(self.callables) - 1

    def model(self, model: Any) -> int:
        """The number of a model client."""
        for number, known in enumerate(self.models):
            if known is model:
                return number
        self.models.append(model)
        return len(self.models) - 1

    def args(self, args: Mapping[str, Any]) -> dict[str, Any]:
        """Completion arguments as JSON values; what may hold a key is hidden.

        Raises:
            PackError: one has no JSON form.
        """
        plain = plain_args(args)
        hidden = {name: plain.pop(name) for name in HIDDEN_ARGS if name in plain}
        if hidden:
            if hidden not in self.hidden:
                self.hidden.append(hidden)
            plain[HIDDEN] = self.hidden.index(hidden)
        return plain

    def revealed(self, args: Mapping[str, Any]) -> dict[str, Any]:
        """``args`` with what was hidden, for the one who makes the call."""
        if HIDDEN not in args:
            return dict(args)
        shown = {name: value for name, value in args.items() if name != HIDDEN}
        return {**shown, **self.hidden[args[HIDDEN]]}

    def structure(self, value: Any) -> Any:
        """The Variables in ``value``, in its lists, tuples and dicts; what else it holds stays at home."""
        if isinstance(value, Variable):
            return {"$": "v", "v": self.variable(value)}
        if isinstance(value, list):
            return [self.structure(item) for item in value]
        if isinstance(value, tuple):
            return {"$": "t", "v": [self.structure(item) for item in value]}
        if isinstance(value, dict):
            return {"$": "d", "v": [[str(name), self.structure(item)] for name, item in value.items()]}
        return None

    def read(self, form: Any) -> Any:
        """The inverse of `value` and `structure`.

        Raises:
            PackError: the form is not known here.
        """
        if isinstance(form, list):
            return [self.read(item) for item in form]
        if not isinstance(form, dict):
            return form
        kind = form.get("$")
        reader = self._READERS.get(kind) if isinstance(kind, str) else None
        if reader is None:
            raise PackError(f"a value of the kind {kind!r:.100} is not known here: upgrade the server")
        return reader(self, form)

    def _read_chat(self, form: Mapping[str, Any]) -> Chat:
        contents, inputs, batched, size, samples, title, *more = form["v"]
        known = self.variables
        chat = Chat.__new__(Chat)
        chat.contents = [(role, [self._read_item(*item) for item in parts]) for role, parts in contents]
        chat.inputs = {
            name: (
                [known[each] for each in number]
                if isinstance(number, list)
                else None
                if number is None
                else known[number],
                text,
            )
            for name, number, text in inputs
        }
        chat.batched, chat.size, chat.title = batched, size, title
        chat.samples = None if samples is None else tuple(samples)
        told = more[0] if more else {"tools": [], "arguments": [], "active": None}
        chat.tools = tuple(
            OfferedTool(name, parameters, None if number is None else known[number], text)
            for name, parameters, number, text in told["tools"]
        )
        chat.arguments = tuple((name, known[number], self.read(value)) for name, number, value in told["arguments"])
        chat.active = told["active"]
        return chat

    def _read_item(self, number: int | None, text: Any, blocks: Any = None) -> Item:
        return Item(None if number is None else self.variables[number], text, blocks)

    def _read_constraint(self, form: Mapping[str, Any]) -> Constraint:
        text, number = form["v"]
        if number is None:
            return Constraint(text)
        assert self.shadow is not None
        return Constraint(text, self.shadow(number))

    def _read_record(self, form: Mapping[str, Any]) -> Any:
        kind = RECORDS.get(form["n"])
        if kind is None:
            raise PackError(f"a record of the kind {form['n']!r:.100} is not known here: upgrade the server")
        made: Any = kind(*[self.read(item) for item in form["v"]])
        return made

    _READERS: Mapping[str, Callable[[Codec, Mapping[str, Any]], Any]] = {
        "f": lambda self, form: float(form["v"]),
        "t": lambda self, form: tuple(self.read(item) for item in form["v"]),
        "d": lambda self, form: {self.read(name): self.read(item) for name, item in form["v"]},
        "g": lambda self, form: self.read_pieces([form["v"]])[0],
        "v": lambda self, form: self.variables[form["v"]],
        "m": lambda self, form: self.models[form["v"]],
        "j": lambda self, form: form["v"],
        "chat": _read_chat,
        "constraint": _read_constraint,
        "o": _read_record,
    }


def plain_args(args: Mapping[str, Any]) -> dict[str, Any]:
    """Completion arguments as JSON values.

    Raises:
        PackError: one has no JSON form.
    """
    try:
        plain: dict[str, Any] = _json.loads(_json.dumps({k: v for k, v in args.items() if is_given(v)}))
    except TypeError as error:
        raise PackError(f"completion arguments must have a JSON form to be sent to the server: {error}") from None
    return plain
