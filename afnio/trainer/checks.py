"""The checks of what a Trainer is given, each with the way out."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from afnio.cognitive.module import Module
from afnio.optim.optimizer import Optimizer
from afnio.trainer.gates import BatchGate, Gate

__all__ = [
    "check_agent",
    "check_ckpt_path",
    "check_clients",
    "check_defined",
    "check_positive",
    "gate_of",
    "mode_of",
    "optimizers_of",
]


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
            raise TypeError(
                f"{type(agent).__name__}.configure_optimizers() must return an Optimizer or a list of them, "
                f"got {type(one).__name__}."
            )
    if not found:
        raise TypeError(f"{type(agent).__name__}.configure_optimizers() returned an empty list.")
    return found
