"""PyTorch for prompts: agents are Modules with learnable Parameters, trained by feedback in words."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from afnio import autodiff as autodiff
from afnio import cognitive as cognitive
from afnio import optim as optim
from afnio import utils as utils
from afnio._utils import MultiTurnMessages as MultiTurnMessages
from afnio._utils import _validate_multi_turn_messages as _validate_multi_turn_messages
from afnio._utils import _validate_typed_sequence as _validate_typed_sequence
from afnio.autodiff import EngineSettings as EngineSettings
from afnio.autodiff import GradientEdge as GradientEdge
from afnio.autodiff import Loss as Loss
from afnio.autodiff import Node as Node
from afnio.autodiff import enable_grad as enable_grad
from afnio.autodiff import is_grad_enabled as is_grad_enabled
from afnio.autodiff import local_engine as local_engine
from afnio.autodiff import no_grad as no_grad
from afnio.autodiff import set_grad_enabled as set_grad_enabled
from afnio.calls import Budget as Budget
from afnio.calls import CallLog as CallLog
from afnio.cognitive import functional as functional
from afnio.demos import Demos as Demos
from afnio.domain import Choice as Choice
from afnio.domain import Number as Number
from afnio.models.backward_client import get_backward_model_client as get_backward_model_client
from afnio.models.backward_client import set_backward_model_client as set_backward_model_client
from afnio.variable import Variable as Variable

if TYPE_CHECKING:
    __version__: str
    from afnio import content as content
    from afnio import errors as errors
    from afnio import logging_config as logging_config
    from afnio import models as models
    from afnio import tellurio as tellurio  # layers: types only
    from afnio import trainer as trainer
    from afnio.serialization import load as load
    from afnio.serialization import save as save

__all__ = [
    "Budget",
    "CallLog",
    "Choice",
    "Demos",
    "EngineSettings",
    "GradientEdge",
    "Loss",
    "MultiTurnMessages",
    "Node",
    "Number",
    "Variable",
    "_validate_multi_turn_messages",
    "_validate_typed_sequence",
    "autodiff",
    "cognitive",
    "enable_grad",
    "functional",
    "get_backward_model_client",
    "is_grad_enabled",
    "load",
    "local_engine",
    "no_grad",
    "optim",
    "save",
    "set_backward_model_client",
    "set_grad_enabled",
    "utils",
]

_LAZY = ("content", "errors", "logging_config", "models", "serialization", "tellurio", "trainer")
_LAZY_NAMES = {"load": "afnio.serialization", "save": "afnio.serialization"}  # 15 ms: zipfile, hashlib, pickle


def __getattr__(name: str) -> Any:
    if name == "__version__":
        return _version()
    if name in _LAZY:
        return importlib.import_module(f"afnio.{name}")
    if name in _LAZY_NAMES:
        return getattr(importlib.import_module(_LAZY_NAMES[name]), name)
    raise AttributeError(f"module 'afnio' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_LAZY, *_LAZY_NAMES})


def _version() -> str:
    from importlib import metadata  # 30 ms: only for those who ask

    try:
        return metadata.version("afnio-studio")
    except metadata.PackageNotFoundError:
        return "unknown"
