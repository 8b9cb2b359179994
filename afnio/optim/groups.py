"""The settings of a group whose parameters a model rewrites: checked, and put together for the rule."""

from __future__ import annotations

import copy
from collections.abc import Collection, Mapping, MutableMapping, Sequence
from typing import Any

from afnio._utils import _validate_multi_turn_messages
from afnio.autodiff.template import placeholders
from afnio.demos import Demos
from afnio.domain import Choice, Number
from afnio.errors import PlaceholderError
from afnio.gradient import Gradient
from afnio.models.invoke import checked_client
from afnio.optim.checks import UNITS
from afnio.optim.constraint import checked_constraints
from afnio.optim.keywords import check_keywords, check_settings
from afnio.optim.update import TGDItem
from afnio.variable import Variable
from afnio.words.optimizer import PLACES

__all__ = ["check_group", "check_params", "copied_inputs", "copied_messages", "label_of", "tgd_item"]

NEEDED = ("variable", "feedback")
"""What the messages must show: without them a model rewrites what it does not see, or for no reason."""


_ALSO = {"params", "param_names", "completion_args"}
"""What is in a group besides its settings."""


def check_group(
    group: MutableMapping[str, Any],
    name: str,
    settings: Collection[str],
    places: Collection[str] = PLACES,
    own: Collection[str] = (),
) -> None:
    """Check the settings of ``group``; a path of a model becomes its client, constraints a list.

    Args:
        group: the group.
        name: of the optimizer, for the errors.
        settings: what a group may say.
        places: what the messages may hold in braces.
        own: settings of the optimizer that no group has.

    Raises:
        TypeError: a client, constraints or messages that are none; a keyword that was meant for a setting.
        ValueError: no client, or a number that makes no sense.
        PlaceholderError: the messages lack ``{variable}`` or ``{feedback}``, or have a place that nothing fills.
    """
    if group["model_client"] is None:
        raise ValueError(f"{name} needs a model_client: the model that rewrites the parameters.")
    group["model_client"] = checked_client(group["model_client"])
    check_keywords(group["completion_args"], {*settings, *own} - _ALSO, name)
    check_settings(group, {*settings, *_ALSO}, name)
    for setting in ("momentum", "history"):
        check_count(setting, group.get(setting, 0), 0)
    if group["max_length"] is not None:
        check_count("max_length", group["max_length"], 1)
    if group["length_unit"] not in UNITS:
        raise ValueError(f"length_unit must be one of {', '.join(map(repr, UNITS))}, got {group['length_unit']!r}.")
    group["constraints"] = checked_constraints(group["constraints"])
    group["inputs"] = copied_inputs(group["inputs"])
    check_messages(group["messages"], group["inputs"], places)


def copied_messages(messages: Any) -> list[Any]:
    """A copy of the messages; TypeError if they are no list."""
    if not isinstance(messages, (list, tuple)):
        raise TypeError(f"messages must be a list of messages, got {type(messages).__name__}.")
    return copy.deepcopy(list(messages))


def copied_inputs(inputs: Any) -> dict[str, Any]:
    """A copy of the inputs; TypeError if they are no dict."""
    if inputs is not None and not isinstance(inputs, Mapping):
        raise TypeError(f"inputs must be a dict of name -> value, got {type(inputs).__name__}.")
    return dict(inputs or {})


def check_count(name: str, value: Any, least: int) -> None:
    """Raise ValueError unless ``value`` is an int of at least ``least``."""
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise ValueError(f"{name} must be an int of at least {least}, got {value!r}.")


def check_messages(messages: Any, inputs: Mapping[str, Any], places: Collection[str]) -> None:
    """Raise unless the messages have the places they need, and each of their places is filled."""
    _validate_multi_turn_messages(messages)
    listed = " ".join(f"{{{place}}}" for place in places)
    taken = [name for name in inputs if name in places]
    if taken:
        raise PlaceholderError(
            f"inputs must not have {', '.join(map(repr, taken))}: the optimizer fills {listed} itself."
        )
    used = {
        name for message in messages for content in message["content"] for name in placeholders(str(content.data or ""))
    }
    missing = [f"{{{name}}}" for name in NEEDED if name not in used]
    if missing:
        raise PlaceholderError(
            f"The optimizer's messages lack {' and '.join(missing)}: the model would not see what it needs. "
            f"Places that are filled: {listed}; {' and '.join(f'{{{name}}}' for name in NEEDED)} must be there."
        )
    unknown = sorted(used - set(places) - set(inputs))
    if unknown:
        raise PlaceholderError(
            f"The optimizer's messages use {', '.join(f'{{{name}}}' for name in unknown)}, which nothing fills. "
            f"Places that are filled: {listed}; others come from inputs={{...}}, and {{{{name}}}} is sent as text."
        )


def check_params(params: Sequence[Variable], name: str) -> None:
    """Raise TypeError for a parameter that no model rewrites; one that holds None may be filled later."""
    for param in params:
        if not isinstance(param, (Choice, Number, Demos)) and not isinstance(param.data, (str, type(None))):
            raise _no_text(param, name)
        if isinstance(param, Demos):
            raise TypeError(
                f"{name} does not rewrite examples ({param.role!r}): give Demos to FewShot, and the others to {name}."
            )


def _no_text(param: Variable, name: str) -> TypeError:
    return TypeError(
        f"{name} rewrites text; the parameter {param.role!r} holds {type(param.data).__name__}. "
        "A setting is a Number or a Choice, which say what it may be; examples are Demos, learned by FewShot."
    )


def label_of(messages: Sequence[Mapping[str, Any]], own: Sequence[Mapping[str, Any]], label: str) -> str:
    """Name and version of our words if ``messages`` are ``own``; ``""`` if they are the user's."""
    return label if _texts(messages) == _texts(own) else ""


def _texts(messages: Sequence[Mapping[str, Any]]) -> list[tuple[str, list[Any]]]:
    return [(message["role"], [content.data for content in message["content"]]) for message in messages]


def tgd_item(
    param: Variable,
    grads: Sequence[Variable],
    momentum_buffer: Sequence[tuple[Variable, Sequence[Variable]]],
    history: Sequence[Any],
    group: Mapping[str, Any],
    words: str = "",
    label: str = "TGD",
) -> TGDItem:
    """Everything the rule needs to know of ``param``.

    Raises:
        TypeError: the parameter holds neither text nor a value of a known domain.
    """
    domain = param.domain if isinstance(param, (Choice, Number)) else None
    if domain is None and not isinstance(param.data, str):
        raise _no_text(param, label)
    unique = list({id(gradient): gradient for gradient in grads if gradient.data}.values())
    momentum = group.get("momentum", 0)
    return TGDItem(
        value=param.data,
        role=param.role,
        feedback=[
            gradient if isinstance(gradient, Gradient) else Gradient(str(gradient.data), gradient.role)
            for gradient in unique
        ],
        past=[
            (str(value.data), [str(gradient.data) for gradient in given if gradient.data])
            for value, given in (momentum_buffer[-momentum:] if momentum else ())
        ],
        history=list(history)[-group["history"] :] if group["history"] else [],
        constraints=group["constraints"],
        messages=[
            (message["role"], [(content.role, content.data) for content in message["content"]])
            for message in group["messages"]
        ],
        inputs={
            name: str(value.data if isinstance(value, Variable) else value) for name, value in group["inputs"].items()
        },
        client=group["model_client"],
        completion_args=group["completion_args"],
        max_length=group["max_length"],
        demos=group["demos"],
        length_unit=group["length_unit"],
        domain=domain,
        words=words,
        label=label,
    )
