"""The built-in ops, one a file."""

from afnio.autodiff.ops.add import Add as Add
from afnio.autodiff.ops.chat_completion import ChatCompletion as ChatCompletion
from afnio.autodiff.ops.chat_turn import ChatTurn as ChatTurn
from afnio.autodiff.ops.deterministic_evaluator import DeterministicEvaluator as DeterministicEvaluator
from afnio.autodiff.ops.exact_match_evaluator import ExactMatchEvaluator as ExactMatchEvaluator
from afnio.autodiff.ops.fields import Fields as Fields
from afnio.autodiff.ops.lm_judge_evaluator import LMJudgeEvaluator as LMJudgeEvaluator
from afnio.autodiff.ops.merge import Merge as Merge
from afnio.autodiff.ops.run_tool import RunTool as RunTool
from afnio.autodiff.ops.split import Split as Split
from afnio.autodiff.ops.sum import Sum as Sum

__all__ = [
    "Add",
    "ChatCompletion",
    "ChatTurn",
    "DeterministicEvaluator",
    "ExactMatchEvaluator",
    "Fields",
    "LMJudgeEvaluator",
    "Merge",
    "RunTool",
    "Split",
    "Sum",
]
