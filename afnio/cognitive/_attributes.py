"""What happens when something is assigned to an attribute of a Module.

Torch's rule: a value of a registered kind takes over its name; a name that holds a registered value takes
only values of that kind, or None, until ``del``; everything else is an ordinary attribute.  The kinds are
tried in the order of `KINDS`, as torch tries parameter, module, buffer.

Two kinds never register by assignment: any Variable may be an ordinary attribute, and so may any dict.
They need `register_buffer` and `register_completion_config`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from afnio._functions import function_name
from afnio._utils import (
    MultiTurnMessages,
    _is_valid_function,
    _validate_function,
    _validate_multi_turn_messages,
    is_multi_turn_messages,
)
from afnio.models.base import BaseModel
from afnio.parameter import Parameter
from afnio.variable import Variable

__all__ = [
    "BUFFERS",
    "CHATS",
    "COMPLETION_CONFIGS",
    "FUNCTIONS",
    "KINDS",
    "MODELS",
    "MODULES",
    "PARAMETERS",
    "Attributes",
    "Kind",
    "typename",
]


@dataclass(frozen=True, slots=True, eq=False)
class Kind:
    """One kind of registered value.

    Attributes:
        slot: the instance dict that holds name -> value.
        word: what error messages call it.
        child: what torch calls it when it is assigned (a "child module").
        expected: the type, for error messages.
        fits: whether a name of this kind may hold the value (None it may hold always).
        decides: whether assigning the value registers it.
        check: raises for a value that does not fit, where there is more to say than the type.
    """

    slot: str
    word: str
    child: str
    expected: str
    fits: Callable[[Any], bool]
    decides: Callable[[Any], bool]
    check: Callable[[Any], None] | None = None


def _never(_: object) -> bool:
    return False


def _is_parameter(value: object) -> bool:
    return isinstance(value, Parameter)


def _is_module(value: object) -> bool:
    return isinstance(value, Attributes)


def _is_model(value: object) -> bool:
    return isinstance(value, BaseModel)


def _is_dict(value: object) -> bool:
    return isinstance(value, dict)


def _is_buffer(value: object) -> bool:
    return isinstance(value, Variable)


def _is_chat_with_content(value: object) -> bool:
    # An empty list says nothing yet: it stays an ordinary attribute.
    return isinstance(value, list) and bool(value) and is_multi_turn_messages(value)


def _is_function(value: object) -> bool:
    return value is not None and _is_valid_function(value)


def _is_savable_function(value: object) -> bool:
    # What a checkpoint would refuse (``json.loads``) must not become state without being asked for.
    return callable(value) and function_name(value) is not None and _is_valid_function(value)


_P = "afnio.cognitive.Parameter"
PARAMETERS = Kind("_parameters", "parameter", "parameter", _P, _is_parameter, _is_parameter)
MODULES = Kind("_modules", "module", "child module", "afnio.cognitive.Module", _is_module, _is_module)
CHATS = Kind(
    "_chats",
    "chat",
    "chat",
    "list of {'role': str, 'content': [Variable, ...]}",
    is_multi_turn_messages,
    _is_chat_with_content,
    _validate_multi_turn_messages,
)
MODELS = Kind("_models", "model", "model", "afnio.models.BaseModel", _is_model, _is_model)
COMPLETION_CONFIGS = Kind("_completion_configs", "completion config", "completion config", "dict", _is_dict, _never)
FUNCTIONS = Kind(
    "_functions",
    "function",
    "function",
    "function at the top of a module",
    _is_function,
    _is_savable_function,
    _validate_function,
)
BUFFERS = Kind("_buffers", "buffer", "buffer", "afnio.Variable", _is_buffer, _never)

KINDS = (PARAMETERS, MODULES, CHATS, MODELS, COMPLETION_CONFIGS, FUNCTIONS, BUFFERS)
"""All kinds, in the order in which they claim a value or a name."""


class Attributes:
    """The registered values of a Module, and the rules of its attributes."""

    training: bool
    _parameters: dict[str, Parameter | None]
    _buffers: dict[str, Variable | None]
    _chats: dict[str, MultiTurnMessages | None]
    _modules: dict[str, Any]
    _models: dict[str, BaseModel | None]
    _completion_configs: dict[str, dict[str, Any] | None]
    _functions: dict[str, Callable[..., Any] | None]
    _non_persistent_buffers_set: set[str]

    def __init__(self) -> None:
        for kind in KINDS:
            self.__dict__[kind.slot] = {}
        self.__dict__["_non_persistent_buffers_set"] = set()

    # register

    def register_parameter(self, name: str, param: Parameter | None) -> None:
        """Add a parameter, as ``self.name = param`` does; None holds the place.

        Raises:
            AttributeError: ``Module.__init__()`` was not called.
            TypeError: ``name`` is not a string, or the value is of the wrong type.
            KeyError: the name has a ``"."``, is empty, or is an attribute already.
            ValueError: a Parameter that is not a leaf.
        """
        self._register(PARAMETERS, name, param)

    def register_buffer(self, name: str, variable: Variable | None, persistent: bool = True) -> None:
        """Add a Variable that is state but not learned; only a persistent one is in ``state_dict()``.

        Raises: see `register_parameter`.
        """
        self._register(BUFFERS, name, variable)
        if persistent:
            self._non_persistent_buffers_set.discard(name)
        else:
            self._non_persistent_buffers_set.add(name)

    def register_chat(self, name: str, messages: MultiTurnMessages | None) -> None:
        """Add a conversation, as assigning one that is not empty does.

        Raises: see `register_parameter`; ValueError too for a message without role or content.
        """
        self._register(CHATS, name, messages)

    def register_model(self, name: str, model: BaseModel | None) -> None:
        """Add an LM client, as ``self.name = client`` does.  Raises: see `register_parameter`."""
        self._register(MODELS, name, model)

    def register_completion_config(self, name: str, args: dict[str, Any] | None) -> None:
        """Add arguments of completions (model, temperature, ...), to be saved with the Module.

        A dict that is only assigned stays an ordinary attribute.  Once registered, the name takes other dicts.

        Raises: see `register_parameter`.
        """
        self._register(COMPLETION_CONFIGS, name, args)

    def register_function(self, name: str, func: Callable[..., Any] | None) -> None:
        """Add a function that is saved by its name, as assigning one from the top of a module does.

        Raises: see `register_parameter`; TypeError too for a lambda, closure or method, ValueError for a
        function that cannot be found again by its name.
        """
        self._register(FUNCTIONS, name, func)

    def register_module(self, name: str, module: Any) -> None:
        """Add a child Module, as ``self.name = module`` does.  Raises: see `register_parameter`."""
        self._register(MODULES, name, module)

    def _register(self, kind: Kind, name: str, value: Any) -> None:
        members = self._members(kind, kind.word)
        if kind is MODULES and value is not None:  # torch's order
            _check_value(kind, name, value)
        _check_name(kind, name)
        if name not in members and hasattr(self, name):
            raise KeyError(f"attribute '{name}' already exists")
        if value is not None:
            _check_value(kind, name, value)
        members[name] = value

    def _members(self, kind: Kind, what: str) -> dict[str, Any]:
        members: dict[str, Any] | None = self.__dict__.get(kind.slot)
        if members is None:
            raise AttributeError(f"cannot assign {what} before Module.__init__() call")
        return members

    # attributes

    def __setattr__(self, name: str, value: Any) -> None:
        inherited = getattr(type(self), name, None)
        if not hasattr(inherited, "__set__"):  # a property sets itself
            for kind in KINDS:
                # A function may stand in for a method of the class, as in any Python object.
                if kind.decides(value) and not (kind is FUNCTIONS and inherited is not None):
                    self._take_over(kind, name, value)
                    return
                members = self.__dict__.get(kind.slot)
                if members is not None and name in members:
                    members[name] = _refill(kind, name, value)
                    return
        object.__setattr__(self, name, value)

    def _take_over(self, kind: Kind, name: str, value: Any) -> None:
        members = self._members(kind, f"{kind.word}s" if kind is PARAMETERS else kind.word)
        _check_name(kind, name)
        _check_value(kind, name, value)
        if hasattr(type(self), name):
            raise KeyError(f"attribute '{name}' already exists")
        for other in KINDS:
            if other is not kind:
                self.__dict__[other.slot].pop(name, None)
        self._non_persistent_buffers_set.discard(name)
        self.__dict__.pop(name, None)
        members[name] = value

    def __getattr__(self, name: str) -> Any:
        for kind in KINDS:
            members = self.__dict__.get(kind.slot)
            if members is not None and name in members:
                return members[name]
        hint = "" if MODULES.slot in self.__dict__ else ": call super().__init__() first"
        raise AttributeError(f"'{type(self).__name__}' object has no attribute '{name}'{hint}")

    def __delattr__(self, name: str) -> None:
        for kind in KINDS:
            if name in self.__dict__.get(kind.slot, ()):
                del self.__dict__[kind.slot][name]
                self._non_persistent_buffers_set.discard(name)
                return
        object.__delattr__(self, name)

    def __dir__(self) -> list[str]:
        names = {*dir(type(self)), *self.__dict__}
        names.update(*(self.__dict__.get(kind.slot, ()) for kind in KINDS))
        # Names like "0" of containers are no Python attributes.
        return sorted(name for name in names if not name[0].isdigit())


def _check_name(kind: Kind, name: object) -> None:
    if not isinstance(name, str):
        raise TypeError(f"{kind.word} name should be a string. Got {typename(name)}")
    if "." in name:
        raise KeyError(f'{kind.word} name can\'t contain ".", got: {name}')
    if name == "":
        raise KeyError(f'{kind.word} name can\'t be empty string ""')


def _check_value(kind: Kind, name: str, value: Any) -> None:
    if kind.check is not None:
        kind.check(value)
    elif kind is MODULES and not kind.fits(value):
        raise TypeError(f"{typename(value)} is not a Module subclass")
    elif not kind.fits(value):
        raise TypeError(
            f"cannot assign '{typename(value)}' object to {kind.word} '{name}' ({kind.expected} or None required)"
        )
    if kind is PARAMETERS and not value.is_leaf:
        raise ValueError(
            f"Cannot assign non-leaf Variable to parameter '{name}'. A Module's parameters must be created "
            f"explicitly. To express '{name}' as a function of another Variable, compute the value in forward()."
        )


def _refill(kind: Kind, name: str, value: Any) -> Any:
    """``value``, if the name, which holds a registered value of ``kind``, may hold it."""
    if value is not None and not kind.fits(value):
        raise TypeError(
            f"cannot assign '{typename(value)}' as {kind.child} '{name}' ({kind.expected} or None expected; "
            f"`del` the attribute first to make it an ordinary one)"
        )
    return value


def typename(value: object) -> str:
    """The type of ``value`` with its module, as torch's messages show it."""
    kind = type(value)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
