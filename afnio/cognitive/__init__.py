"""Agents as Modules with learnable Parameters: ``import afnio.cognitive as cog``."""

from __future__ import annotations

from afnio._masks import BoolMask as BoolMask
from afnio._op_result import OpResult as OpResult
from afnio._utils import MultiTurnMessages as MultiTurnMessages
from afnio.cognitive import functional as functional
from afnio.cognitive.containers import ModuleDict as ModuleDict
from afnio.cognitive.containers import ModuleList as ModuleList
from afnio.cognitive.containers import Sequential as Sequential
from afnio.cognitive.functional import achat_completion as achat_completion
from afnio.cognitive.functional import achat_turn as achat_turn
from afnio.cognitive.functional import add as add
from afnio.cognitive.functional import alm_judge_evaluator as alm_judge_evaluator
from afnio.cognitive.functional import arun_tools as arun_tools
from afnio.cognitive.functional import chat_completion as chat_completion
from afnio.cognitive.functional import chat_turn as chat_turn
from afnio.cognitive.functional import deterministic_evaluator as deterministic_evaluator
from afnio.cognitive.functional import exact_match_evaluator as exact_match_evaluator
from afnio.cognitive.functional import lm_judge_evaluator as lm_judge_evaluator
from afnio.cognitive.functional import run_tools as run_tools
from afnio.cognitive.functional import split as split
from afnio.cognitive.functional import sum as sum
from afnio.cognitive.module import Module as Module
from afnio.cognitive.ops import Add as Add
from afnio.cognitive.ops import ChatCompletion as ChatCompletion
from afnio.cognitive.ops import ChatTurn as ChatTurn
from afnio.cognitive.ops import DeterministicEvaluator as DeterministicEvaluator
from afnio.cognitive.ops import ExactMatchEvaluator as ExactMatchEvaluator
from afnio.cognitive.ops import LMJudgeEvaluator as LMJudgeEvaluator
from afnio.cognitive.ops import Split as Split
from afnio.cognitive.ops import Sum as Sum
from afnio.cognitive.parameter_containers import ParameterDict as ParameterDict
from afnio.cognitive.parameter_containers import ParameterList as ParameterList
from afnio.cognitive.tool_loop import ToolLoop as ToolLoop
from afnio.cognitive.tools import Tool as Tool
from afnio.cognitive.tools import tool as tool
from afnio.demos import Demos as Demos
from afnio.domain import Choice as Choice
from afnio.domain import Number as Number
from afnio.parameter import Parameter as Parameter

__all__ = [
    "Add",
    "BoolMask",
    "ChatCompletion",
    "ChatTurn",
    "Choice",
    "Demos",
    "DeterministicEvaluator",
    "ExactMatchEvaluator",
    "LMJudgeEvaluator",
    "Module",
    "ModuleDict",
    "ModuleList",
    "Number",
    "OpResult",
    "Parameter",
    "ParameterDict",
    "ParameterList",
    "Sequential",
    "Split",
    "Sum",
    "Tool",
    "ToolLoop",
    "achat_completion",
    "achat_turn",
    "add",
    "alm_judge_evaluator",
    "arun_tools",
    "chat_completion",
    "chat_turn",
    "deterministic_evaluator",
    "exact_match_evaluator",
    "lm_judge_evaluator",
    "run_tools",
    "split",
    "sum",
    "tool",
]
