"""Textual automatic differentiation: the graph, its Functions, and the engine that walks it."""

from afnio.autodiff.backward import abackward as abackward
from afnio.autodiff.backward import backward as backward
from afnio.autodiff.decorators import evaluator as evaluator
from afnio.autodiff.engine import LocalEngine as LocalEngine
from afnio.autodiff.engine import local_engine as local_engine
from afnio.autodiff.function import Function as Function
from afnio.autodiff.grad_mode import enable_grad as enable_grad
from afnio.autodiff.grad_mode import is_grad_enabled as is_grad_enabled
from afnio.autodiff.grad_mode import no_grad as no_grad
from afnio.autodiff.grad_mode import set_grad_enabled as set_grad_enabled
from afnio.autodiff.gradcheck import gradcheck as gradcheck
from afnio.autodiff.graph import GradientEdge as GradientEdge
from afnio.autodiff.graph import Node as Node
from afnio.autodiff.loss import Loss as Loss
from afnio.autodiff.ops import Add as Add
from afnio.autodiff.ops import ChatCompletion as ChatCompletion
from afnio.autodiff.ops import DeterministicEvaluator as DeterministicEvaluator
from afnio.autodiff.ops import ExactMatchEvaluator as ExactMatchEvaluator
from afnio.autodiff.ops import LMJudgeEvaluator as LMJudgeEvaluator
from afnio.autodiff.ops import Split as Split
from afnio.autodiff.ops import Sum as Sum
from afnio.autodiff.settings import EngineSettings as EngineSettings

__all__ = [
    "EngineSettings",
    "Function",
    "GradientEdge",
    "LocalEngine",
    "Loss",
    "Node",
    "abackward",
    "backward",
    "enable_grad",
    "evaluator",
    "gradcheck",
    "is_grad_enabled",
    "local_engine",
    "no_grad",
    "set_grad_enabled",
]
