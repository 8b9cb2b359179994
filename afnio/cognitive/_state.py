"""``state_dict`` and ``load_state_dict``: what a Module keeps, by dotted name, in torch's order and words.

Within a Module: parameters, persistent buffers, chats, models, completion configs, functions, extra state;
then its children.
"""

from __future__ import annotations

import copy
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, ClassVar

from afnio._utils import MultiTurnMessages
from afnio.autodiff.turn import Native
from afnio.cognitive import _attributes as kinds
from afnio.cognitive._attributes import Attributes, Kind
from afnio.cognitive._hooks import add_hook
from afnio.cognitive._loading import IncompatibleKeys, Loading
from afnio.cognitive._walk import visits
from afnio.models.base import BaseModel
from afnio.variable import RemovableHandle, Variable

__all__ = ["IncompatibleKeys", "Stateful"]

_EXTRA = "_extra_state"


class Stateful(Attributes):
    """A tree of registered values that can be saved and loaded."""

    _version: ClassVar[int] = 1
    """Saved as metadata; `_load_from_state_dict` of a newer class can tell an old state by it."""

    _keeps_latest_call: ClassVar[bool] = False
    """Whether the registered values record the latest call: any state can then be loaded over them."""

    _state_dict_pre_hooks: OrderedDict[int, Callable[..., Any]]
    _state_dict_hooks: OrderedDict[int, Callable[..., Any]]
    _load_state_dict_pre_hooks: OrderedDict[int, Callable[..., Any]]
    _load_state_dict_post_hooks: OrderedDict[int, Callable[..., Any]]

    def __init__(self) -> None:
        super().__init__()
        for name in ("_state_dict_pre_hooks", "_state_dict_hooks"):
            self.__dict__[name] = OrderedDict()
        for name in ("_load_state_dict_pre_hooks", "_load_state_dict_post_hooks"):
            self.__dict__[name] = OrderedDict()

    # save

    def state_dict(
        self, *, destination: dict[str, Any] | None = None, prefix: str = "", keep_vars: bool = False
    ) -> dict[str, Any]:
        """The state of this Module and all below it: an OrderedDict of dotted name -> value.

        Parameters and buffers are detached Variables (with ``keep_vars`` the Variables themselves), chats lists
        of ``{"role", "content"}``, models ``{"class_type", "provider", "usage"}``; completion configs and functions
        are the objects themselves.  What is None is left out.  ``_metadata`` of the dict holds the versions.

        Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.Module.html#torch.nn.Module.state_dict
        """
        if destination is None:
            destination = OrderedDict()
            destination._metadata = OrderedDict()  # type: ignore[attr-defined]
        for event, path, module in visits(self, prefix, whole=_saves_itself):
            if event == "enter":
                module._enter_state_dict(destination, path, keep_vars)
            elif event == "whole":
                module.state_dict(destination=destination, prefix=path, keep_vars=keep_vars)
            else:
                module._leave_state_dict(destination, path)
        return destination

    def _enter_state_dict(self, destination: dict[str, Any], prefix: str, keep_vars: bool) -> None:
        if hasattr(destination, "_metadata"):
            destination._metadata[prefix[:-1]] = {"version": self._version}
        for hook in list(self._state_dict_pre_hooks.values()):
            hook(self, prefix, keep_vars)
        self._save_to_state_dict(destination, prefix, keep_vars)

    def _leave_state_dict(self, destination: dict[str, Any], prefix: str) -> None:
        for hook in list(self._state_dict_hooks.values()):
            if hook(self, destination, prefix, {"version": self._version}) is not None:
                raise RuntimeError("state_dict post-hook must return None")

    def _save_to_state_dict(self, destination: dict[str, Any], prefix: str, keep_vars: bool) -> None:
        """Put what this Module itself keeps into ``destination``; subclasses may add to it."""
        for kind, name, value in _persistent(self):
            if value is not None:
                save = _SAVERS.get(kind)
                destination[prefix + name] = value if save is None else save(value, keep_vars)
        if type(self).get_extra_state is not Stateful.get_extra_state:
            destination[prefix + _EXTRA] = self.get_extra_state()

    def get_extra_state(self) -> Any:
        """More state to save with this Module: values that JSON can hold.  Define `set_extra_state` too."""
        raise RuntimeError(f"{type(self).__name__} has no extra state: define get_extra_state() to save some.")

    def set_extra_state(self, state: Any) -> None:
        """Take over what `get_extra_state` returned."""
        raise RuntimeError(f"{type(self).__name__} has no extra state: define set_extra_state() to load it.")

    # load

    def load_state_dict(
        self,
        state_dict: Mapping[str, Any],
        strict: bool = True,
        assign: bool = False,
        model_clients: Mapping[str, BaseModel] | None = None,
    ) -> IncompatibleKeys:
        """Take over the state that `state_dict` of such a Module returned.

        Args:
            state_dict: dotted name -> value.
            strict: whether missing and unexpected keys are errors; they are returned in any case.
            assign: put the given Variables into the Module instead of copying data and role into its own
                (``requires_grad`` stays as it is here); make the optimizer afterwards.
            model_clients: dotted name -> client, for the models of the state; the saved usage is added to it.
                A model that is there already is kept.

        A name registered as None, or a chat that is empty, takes what the state has.  A chat is copied message by
        message into the one that is there, so that Parameters in it stay the same objects.

        Raises:
            TypeError: ``state_dict`` is not a mapping by name, or ``model_clients`` none at all.
            RuntimeError: everything that did not fit, in one text.  The Module is as it was before.

        Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.Module.html#torch.nn.Module.load_state_dict
        """
        if not isinstance(state_dict, Mapping):
            raise TypeError(f"Expected state_dict to be dict-like, got {type(state_dict)}.")
        for key in state_dict:
            if not isinstance(key, str):
                raise TypeError(f"The keys of state_dict are dotted names, got {key!r}.")
        if model_clients is not None and not isinstance(model_clients, Mapping):
            raise TypeError(f"model_clients is a dict of dotted name -> client, got {type(model_clients).__name__}.")
        if "agent_state_dict" in state_dict:
            raise TypeError("This is a Trainer's checkpoint: pass its agent's part, checkpoint['agent_state_dict'].")
        loading = Loading(assign, dict(model_clients or {}))
        try:
            self._load_tree(state_dict, loading)
            loading.check(type(self).__name__, strict)
        except BaseException:
            loading.take_back()
            raise
        loading.add_usages()
        return loading.keys

    def _load_tree(self, state_dict: Mapping[str, Any], loading: Loading) -> None:
        metadata = getattr(state_dict, "_metadata", None) or {}
        states = [OrderedDict(state_dict)]
        for event, prefix, module in visits(self):
            if event == "enter":
                if prefix:
                    states.append(OrderedDict(item for item in states[-1].items() if item[0].startswith(prefix)))
                local = {**metadata.get(prefix[:-1], {}), "assign_to_params_buffers": loading.assign}
                local["loading"] = loading
                module._load_from_state_dict(states[-1], prefix, local, True, *loading.keys, loading.errors)
                for name in module._models:
                    loading.give_client(module._models, name, prefix + name)
            else:
                states.pop()
                for hook in list(module._load_state_dict_post_hooks.values()):
                    hook(module, loading.keys)

    def _load_from_state_dict(
        self,
        state_dict: dict[str, Any],
        prefix: str,
        local_metadata: dict[str, Any],
        strict: bool,
        missing_keys: list[str],
        unexpected_keys: list[str],
        error_msgs: list[str],
    ) -> None:
        """Load what this Module itself keeps; subclasses may rename keys in ``state_dict`` (a copy) first.

        ``local_metadata`` holds the ``"version"`` that was saved, if any.
        """
        for hook in list(self._load_state_dict_pre_hooks.values()):
            hook(self, state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs)
        loading: Loading = local_metadata["loading"]
        _adopt(self, state_dict, prefix, loading)
        known = set()
        for kind, name, current in _persistent(self):
            known.add(key := prefix + name)
            if key in state_dict:
                members, over = self.__dict__[kind.slot], self._keeps_latest_call
                if error := loading.load(kind, members, name, key, state_dict[key], over):
                    error_msgs.append(error)
            elif current is not None and strict and not self._keeps_latest_call:
                missing_keys.append(key)
        known.add(prefix + _EXTRA)
        self._load_extra_state(state_dict, prefix + _EXTRA, strict, missing_keys, unexpected_keys, loading)
        if strict:
            unexpected_keys.extend(_unexpected(self, state_dict, prefix, known))

    def _load_extra_state(
        self,
        state_dict: dict[str, Any],
        key: str,
        strict: bool,
        missing_keys: list[str],
        unexpected_keys: list[str],
        loading: Loading,
    ) -> None:
        if type(self).set_extra_state is not Stateful.set_extra_state:
            if key in state_dict:
                saves = type(self).get_extra_state is not Stateful.get_extra_state
                before = copy.deepcopy(self.get_extra_state()) if saves else None
                self.set_extra_state(state_dict[key])
                if saves:
                    loading.undo.append(partial(self.set_extra_state, before))
            elif strict:
                missing_keys.append(key)
        elif strict and key in state_dict:
            unexpected_keys.append(key)

    # hooks

    def register_state_dict_pre_hook(self, hook: Callable[..., None]) -> RemovableHandle:
        """Call ``hook(module, prefix, keep_vars)`` before this Module is saved."""
        return add_hook(self._state_dict_pre_hooks, hook)

    def register_state_dict_post_hook(self, hook: Callable[..., None]) -> RemovableHandle:
        """Call ``hook(module, state_dict, prefix, local_metadata)`` when this Module and its children are saved."""
        return add_hook(self._state_dict_hooks, hook)

    def register_load_state_dict_pre_hook(self, hook: Callable[..., None]) -> RemovableHandle:
        """Call ``hook(module, state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs)``.

        Before this Module is loaded; it may rename keys in ``state_dict``, which is a copy.
        """
        return add_hook(self._load_state_dict_pre_hooks, hook)

    def register_load_state_dict_post_hook(self, hook: Callable[..., None]) -> RemovableHandle:
        """Call ``hook(module, incompatible_keys)`` when this Module and its children are loaded.

        It may change the lists of keys in place, and with them what ``strict`` complains of.
        """
        return add_hook(self._load_state_dict_post_hooks, hook)


def _saves_itself(module: Stateful) -> bool:
    return type(module).state_dict is not Stateful.state_dict


def _persistent(module: Attributes) -> Iterator[tuple[Kind, str, Any]]:
    for kind in _SAVED:
        for name, value in list(module.__dict__[kind.slot].items()):
            if not (kind is kinds.BUFFERS and name in module._non_persistent_buffers_set):
                yield kind, name, value


def _unexpected(module: Attributes, state_dict: Mapping[str, Any], prefix: str, known: set[str]) -> Iterator[str]:
    for key in state_dict:
        if key.startswith(prefix) and key not in known:
            first, dot, _ = key[len(prefix) :].partition(".")
            if not dot or first not in module._modules:
                yield key


def _adopt(module: Attributes, state_dict: Mapping[str, Any], prefix: str, loading: Loading) -> None:
    """Register ordinary attributes whose value was undecided here (a dict, an empty list, None) and is in the state."""
    for name, value in list(module.__dict__.items()):
        saved = state_dict.get(prefix + name)
        if isinstance(value, dict) and isinstance(saved, dict):
            kind = kinds.COMPLETION_CONFIGS
        elif (value is None or value == []) and kinds.CHATS.decides(saved):
            kind = kinds.CHATS
        else:
            continue
        loading.undo.append(partial(module.__dict__.__setitem__, name, value))
        del module.__dict__[name]
        loading.put(module.__dict__[kind.slot], name, None)


def _save_variable(value: Variable, keep_vars: bool) -> Variable:
    return value if keep_vars else value.detach()


def _save_chat(messages: MultiTurnMessages, keep_vars: bool) -> MultiTurnMessages:
    return [
        {**message, "content": [_save_variable(_in_words(content), keep_vars) for content in message["content"]]}
        for message in messages
    ]


def _in_words(content: Variable) -> Variable:
    """A turn or a tool's result as its text: what a conversation said, not what only its provider understands."""
    return Variable(content.data, content.role) if isinstance(content, Native) else content


def _save_model(model: BaseModel, keep_vars: bool) -> dict[str, Any]:
    return {
        "class_type": type(model).__name__,
        "provider": model.get_provider(),
        "usage": copy.deepcopy(model.get_usage()),
    }


_SAVED = (kinds.PARAMETERS, kinds.BUFFERS, kinds.CHATS, kinds.MODELS, kinds.COMPLETION_CONFIGS, kinds.FUNCTIONS)

_SAVERS: dict[Kind, Callable[[Any, bool], Any]] = {
    kinds.PARAMETERS: _save_variable,
    kinds.BUFFERS: _save_variable,
    kinds.CHATS: _save_chat,
    kinds.MODELS: _save_model,
}
