"""One ``load_state_dict``: how each kind of value is taken over, what was wrong, and how to take it back.

Loading is whole or not at all: every write is noted, and undone if there was an error.
"""

from __future__ import annotations

import contextlib
import copy
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple

from afnio._utils import MultiTurnMessages, _validate_multi_turn_messages
from afnio.cognitive import _attributes as kinds
from afnio.cognitive._attributes import Kind, typename
from afnio.demos import Demos
from afnio.models.base import BaseModel
from afnio.models.model_registry import MODEL_REGISTRY
from afnio.parameter import Parameter
from afnio.variable import Variable

__all__ = ["IncompatibleKeys", "Loading"]


class _Keys(NamedTuple):
    missing_keys: list[str]
    unexpected_keys: list[str]


class IncompatibleKeys(_Keys):
    """The keys that a Module has and its state has not, and the other way round."""

    __slots__ = ()

    def __repr__(self) -> str:
        if not self.missing_keys and not self.unexpected_keys:
            return "<All keys matched successfully>"
        return f"IncompatibleKeys(missing_keys={self.missing_keys}, unexpected_keys={self.unexpected_keys})"

    __str__ = __repr__


@dataclass(slots=True, eq=False)
class Loading:
    """One `load_state_dict`: what it was asked, what it found, and how to take it back."""

    assign: bool
    model_clients: dict[str, BaseModel]
    keys: IncompatibleKeys = field(default_factory=lambda: IncompatibleKeys([], []))
    errors: list[str] = field(default_factory=list)
    undo: list[Callable[[], Any]] = field(default_factory=list)
    usages: dict[tuple[int, str], tuple[BaseModel, dict[str, Any]]] = field(default_factory=dict)
    taken: set[str] = field(default_factory=set)

    def check(self, name: str, strict: bool) -> None:
        unknown = [key for key in self.model_clients if key not in self.taken]
        if strict and unknown:
            self.errors.append(f"Unexpected key(s) in model_clients: {_quoted(unknown)}. ")
        if strict and self.keys.unexpected_keys:
            self.errors.insert(0, f"Unexpected key(s) in state_dict: {_quoted(self.keys.unexpected_keys)}. ")
        if strict and self.keys.missing_keys:
            self.errors.insert(0, f"Missing key(s) in state_dict: {_quoted(self.keys.missing_keys)}. ")
        if self.errors:
            listed = "\n\t".join(self.errors)
            raise RuntimeError(f"Error(s) in loading state_dict for {name}:\n\t{listed}")

    def take_back(self) -> None:
        while self.undo:
            with contextlib.suppress(Exception):  # a user's set_extra_state() must not stop the others
                self.undo.pop()()

    def add_usages(self) -> None:
        for client, usage in self.usages.values():
            client.update_usage(usage)

    # writes

    def put(self, members: dict[str, Any], name: str, value: Any) -> None:
        if name in members:
            self.undo.append(partial(members.__setitem__, name, members[name]))
        else:
            self.undo.append(partial(members.pop, name, None))
        members[name] = value

    def copy(self, target: Variable, source: Variable) -> None:
        """Data and role; whether it is learned is for the Module to say, as in torch."""
        before = target.data, target.role

        def undo() -> None:
            target.data, target.role = before

        self.undo.append(undo)
        target.data, target.role = copy.deepcopy(source.data), source.role

    def give_client(self, members: dict[str, Any], name: str, key: str) -> None:
        """Put in the client given for a model that the state does not have."""
        if key in self.model_clients and key not in self.taken:
            self.taken.add(key)
            self.put(members, name, self.model_clients[key])

    # one value; each returns what is wrong with it

    def load(self, kind: Kind, members: dict[str, Any], name: str, key: str, value: Any, over: bool) -> str | None:
        """Take over ``value``, whatever is there with ``over``, else into what is there."""
        current = None if over else members[name]
        if kind is kinds.MODELS:
            return self._load_model(members, name, key, value, over)
        if kind is kinds.CHATS:
            return self._load_chat(members, name, key, current, value)
        if kind in (kinds.PARAMETERS, kinds.BUFFERS):
            return self._load_variable(kind, members, name, key, current, value)
        if not kind.fits(value):
            return _wrong_type(kind, key, value)
        copied = kind is kinds.COMPLETION_CONFIGS and not self.assign
        self.put(members, name, copy.deepcopy(value) if copied else value)
        return None

    def _load_variable(
        self, kind: Kind, members: dict[str, Any], name: str, key: str, current: Variable | None, value: Any
    ) -> str | None:
        if not isinstance(value, Variable):
            return _wrong_type(kind, key, value)
        if current is not None and current.shape != value.shape and not isinstance(current, Demos):
            return _size_mismatch(key, value, current)
        if isinstance(current, Parameter) and (error := _outside(key, value, current)):
            return error
        if current is not None and not self.assign:
            self.copy(current, value)
            return None
        fresh = value if self.assign else _fresh(value)
        if isinstance(current, Parameter) and type(current) is not Parameter and type(value) is not type(current):
            fresh = copy.deepcopy(current)  # a number stays one, with its range, where only its value was saved
            fresh.data, fresh.role = copy.deepcopy(value.data), value.role
        if kind is kinds.PARAMETERS:
            if not isinstance(fresh, Parameter):
                fresh = Parameter(fresh.data, fresh.role)
            if current is not None:
                fresh.requires_grad_(current.requires_grad)
        self.put(members, name, fresh)
        return None

    def _load_chat(
        self, members: dict[str, Any], name: str, key: str, current: MultiTurnMessages | None, value: Any
    ) -> str | None:
        try:
            _validate_multi_turn_messages(value)
        except (TypeError, ValueError) as error:
            return f"{_wrong_type(kinds.CHATS, key, value)} ({error})"
        if self.assign or not current:
            self.put(members, name, value if self.assign else _fresh_chat(value))
            return None
        if mismatch := _chat_mismatch(key, value, current):
            return mismatch
        for saved, message in zip(value, current, strict=True):
            for extra in saved.keys() - {"content"}:
                self.put(message, extra, saved[extra])
            self._load_content(message, saved["content"])
        return None

    def _load_content(self, message: dict[str, Any], saved: list[Variable]) -> None:
        content = list(message["content"])
        for index, (target, source) in enumerate(zip(content, saved, strict=True)):
            if target.is_leaf:
                self.copy(target, source)
            else:  # the output of an earlier call: its graph keeps it as it was
                content[index] = _fresh(source)
        if content != message["content"]:
            self.put(message, "content", content)

    def _load_model(self, members: dict[str, Any], name: str, key: str, value: Any, over: bool) -> str | None:
        if not isinstance(value, Mapping) or not isinstance(value.get("class_type"), str):
            return _wrong_type(kinds.MODELS, key, value)
        client = self.model_clients.get(key)
        wanted = value["class_type"]
        if client is None:
            if members[name] is not None or over:
                return None
            return f'Missing model client for "{key}": pass model_clients={{"{key}": {wanted}(...)}}.'
        self.taken.add(key)
        if not _is_instance(client, wanted):
            return f"model mismatch for {key}: expected a client of class {wanted}, got {typename(client)}."
        self.put(members, name, client)
        usage = value.get("usage")
        if usage:
            # Several names of one client carry the same usage: it is added once.
            self.usages[id(client), json.dumps(usage, sort_keys=True)] = (client, usage)
        return None


def _is_instance(client: object, class_name: str) -> bool:
    wanted = MODEL_REGISTRY.get(class_name)
    if wanted is not None:
        return isinstance(client, wanted)
    return isinstance(client, BaseModel) and any(cls.__name__ == class_name for cls in type(client).__mro__)


def _wrong_type(kind: Kind, key: str, value: object) -> str:
    expected = "{'class_type', 'provider', 'usage'}" if kind is kinds.MODELS else kind.expected
    if kind is kinds.PARAMETERS:
        expected = "afnio.Variable"
    return (
        f'While copying the {kind.word} named "{key}", expected {expected} from checkpoint but received {type(value)}'
    )


def _size_mismatch(key: str, saved: Variable, current: Variable) -> str:
    return (
        f"size mismatch for {key}: copying a param with shape {saved.shape} from checkpoint, "
        f"the shape in current model is {current.shape}."
    )


def _chat_mismatch(key: str, saved: MultiTurnMessages, current: MultiTurnMessages) -> str | None:
    """Why the chat in the state cannot be copied into the one that is there, or None."""
    if len(saved) != len(current):
        return _count_mismatch(key, "chat", "messages", len(saved), len(current))
    for index, (source, message) in enumerate(zip(saved, current, strict=True)):
        here = f"{key}[{index}]"
        if source["role"] != message["role"]:
            return (
                f"role mismatch for {here}: copying a message with role {source['role']!r} from checkpoint, "
                f"the role in current model is {message['role']!r}."
            )
        if len(source["content"]) != len(message["content"]):
            return _count_mismatch(here, "message", "contents", len(source["content"]), len(message["content"]))
        for number, (content, target) in enumerate(zip(source["content"], message["content"], strict=True)):
            if target.is_leaf and content.shape != target.shape:
                return _size_mismatch(f"{here}.content[{number}]", content, target)
    return None


def _outside(key: str, value: Variable, current: Parameter) -> str | None:
    try:
        current.checked(value.data)
    except (TypeError, ValueError) as error:
        return f"{key}: {error}"
    return None


def _count_mismatch(key: str, what: str, parts: str, saved: int, current: int) -> str:
    return (
        f"size mismatch for {key}: copying a {what} with {saved} {parts} from checkpoint, "
        f"the {what} in current model has {current}."
    )


def _fresh(variable: Variable) -> Variable:
    """A leaf of its own, with the same value."""
    cls = Parameter if isinstance(variable, Parameter) else Variable
    return cls(copy.deepcopy(variable.data), variable.role, variable.requires_grad)


def _fresh_chat(messages: MultiTurnMessages) -> MultiTurnMessages:
    return [{**message, "content": [_fresh(content) for content in message["content"]]} for message in messages]


def _quoted(keys: list[str]) -> str:
    return ", ".join(f'"{key}"' for key in keys)
