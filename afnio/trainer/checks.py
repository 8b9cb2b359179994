"""The checks of what a Trainer is given, each with the way out."""

from __future__ import annotations

import difflib
import logging
import os
from collections.abc import Iterable, Sequence
from typing import Any

from afnio.cognitive.module import Module
from afnio.optim.optimizer import Optimizer
from afnio.trainer.callbacks import Callback, ModelCheckpoint
from afnio.trainer.callbacks.base import HOOKS
from afnio.trainer.gates import BatchGate, Gate

__all__ = [
    "callbacks_of",
    "check_agent",
    "check_ckpt_path",
    "check_clients",
    "check_defined",
    "check_positive",
    "check_root",
    "gate_of",
    "mode_of",
    "monitor_of",
    "optimizers_of",
]

logger = logging.getLogger("afnio.trainer")


def check_agent(agent: object) -> None:
    """TypeError unless ``agent`` is a Module."""
    if not isinstance(agent, Module):
        raise TypeError(f"agent must be a cognitive.Module, got {type(agent).__name__}.")


def check_ckpt_path(path: object) -> None:
    """TypeError unless ``path`` is None, a path, ``"last"`` or ``"best"``."""
    if path is not None and not isinstance(path, (str, os.PathLike)):
        raise TypeError(f"ckpt_path must be a path, 'last', 'best' or None, got {type(path).__name__}.")


def check_clients(clients: Any) -> Sequence[Any]:
    """The clients whose usage is counted; TypeError if one has none."""
    if not isinstance(clients, (list, tuple)):
        raise TypeError(f"llm_clients must be a list of model clients, got {type(clients).__name__}.")
    for client in clients:
        if not (hasattr(client, "get_usage") and hasattr(client, "clear_usage")):
            raise TypeError(f"llm_clients holds a {type(client).__name__}, which has no get_usage() and clear_usage().")
    return clients


def check_defined(agent: Module, methods: Sequence[str]) -> None:
    """NotImplementedError, before anything is paid for, if ``agent`` lacks one of ``methods``."""
    for name in methods:
        if getattr(getattr(agent, name), "__func__", None) is getattr(Module, name):
            getattr(agent, name)(*([] if name == "configure_optimizers" else [None, 0]))  # says what is missing


def check_positive(name: str, value: object) -> None:
    """ValueError unless ``value`` is None or an int above 0."""
    if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < 1):
        raise ValueError(f"{name} must be an int of at least 1, or None, got {value!r}.")


def check_root(folder: object) -> None:
    """TypeError unless ``folder`` is None or a path."""
    if folder is not None and not isinstance(folder, (str, os.PathLike)):
        raise TypeError(f"default_root_dir must be a path or None, got {_shown(folder)}.")


def monitor_of(monitor: Any) -> str | None:
    """The name of a metric, or None; TypeError for anything else."""
    if monitor is not None and not isinstance(monitor, str):
        raise TypeError(f"monitor must be the name of a metric, e.g. 'val_loss', or None, got {_shown(monitor)}.")
    return monitor


def gate_of(gate: Any) -> Gate | None:
    """The gate a Trainer was asked for."""
    if gate is None:
        return None
    if gate == "batch":
        return BatchGate()
    if hasattr(gate, "keeps") and hasattr(gate, "proposals"):
        found: Gate = gate
        return found
    raise ValueError(f"gate must be 'batch', None or a Gate with keeps() and proposals, got {gate!r}.")


def mode_of(mode: str) -> str:
    """``"max"`` or ``"min"``, else ValueError."""
    if mode not in ("max", "min"):
        raise ValueError(f"mode must be 'max' (higher scores are better) or 'min', got {mode!r}.")
    return mode


def optimizers_of(configured: Any, agent: Module) -> list[Optimizer]:
    """The optimizers that ``configure_optimizers()`` returned.

    Raises:
        TypeError: it returned something else.
    """
    found = list(configured) if isinstance(configured, (list, tuple)) else [configured]
    for one in found:
        if not isinstance(one, Optimizer):
            hint = (
                " There are no schedulers here: return the optimizers alone." if isinstance(one, (dict, list)) else ""
            )
            raise TypeError(
                f"{type(agent).__name__}.configure_optimizers() must return an Optimizer or a list of them, "
                f"got {type(one).__name__}.{hint}"
            )
    if not found:
        raise TypeError(f"{type(agent).__name__}.configure_optimizers() returned an empty list.")
    return found


def callbacks_of(callbacks: Any) -> list[Any]:
    """The callbacks a Trainer was given: one, or a list of them.

    Raises:
        TypeError: something else is among them.
        ValueError: there are two `ModelCheckpoint`.
    """
    given = [callbacks] if isinstance(callbacks, Callback) else callbacks
    if given is None or isinstance(given, (str, bytes)) or not isinstance(given, Iterable):
        raise TypeError(f"callbacks must be a list of Callback objects, got {_shown(callbacks)}.")
    found = list(given)
    for one in found:
        if isinstance(one, type) and issubclass(one, Callback):
            raise TypeError(f"callbacks holds the class {one.__name__}; make an object of it: {one.__name__}().")
        if not isinstance(one, Callback):
            raise TypeError(
                f"callbacks holds {_shown(one)}, which is no Callback: derive its class from afnio.trainer.Callback."
            )
        _warn_of_hooks(one)
    if sum(isinstance(one, ModelCheckpoint) for one in found) > 1:
        raise ValueError("callbacks holds more than one ModelCheckpoint: a fit has one folder of checkpoints.")
    return found


def _warn_of_hooks(callback: Callback) -> None:
    """Warn of methods named like a hook that nobody will call."""
    for name in dir(callback):
        if name.startswith("on_") and name not in HOOKS and callable(getattr(callback, name)):
            near = difflib.get_close_matches(name, HOOKS, 1)
            hint = f" Did you mean {near[0]}()?" if near else f" The hooks are: {', '.join(HOOKS)}."
            logger.warning("%s.%s() is no hook: the Trainer never calls it.%s", type(callback).__name__, name, hint)


def _shown(value: object) -> str:
    return f"{value!r:.80} ({type(value).__name__})"
