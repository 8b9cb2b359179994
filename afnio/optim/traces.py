"""`Trace`: what a call that shows examples was given and what it answered, read off the graph of an evaluation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from afnio.autodiff.graph import Node
from afnio.autodiff.template import fill
from afnio.demos import Demos
from afnio.optim.evaluation import Evaluation, evaluators, nodes_behind
from afnio.parameter import Parameter
from afnio.variable import Variable

__all__ = ["Trace", "traces"]


@dataclass(frozen=True, slots=True)
class Trace:
    """One sample's way through the call that has the examples.

    Attributes:
        position: of the sample in the evaluation.
        given: what the call was given.
        answer: what it answered.
        right: whether the sample came out right.
        target: what would have been right, where the answer is what was evaluated; else None.
    """

    position: int
    given: str
    answer: str
    right: bool
    target: str | None


def traces(param: Demos, evaluation: Evaluation) -> list[Trace]:
    """The traces of the samples of ``evaluation`` through calls that show ``param``; of each sample the first call."""
    found: dict[int, Trace] = {}
    start = 0
    for root in evaluation.roots:
        for judge in evaluators([root]):
            for node in _calls(judge, param):
                for index in range(len(judge.ctx.scored)):
                    trace = _trace(start + index, index, node, judge)
                    if trace is not None:
                        found.setdefault(trace.position, trace)
            start += len(judge.ctx.scored)
    return [found[position] for position in sorted(found)] if start == len(evaluation.scores) else []


def _calls(judge: Node, param: Demos) -> list[Node]:
    """The calls behind an evaluator that show ``param`` and have as many samples, nearest last."""
    size = len(judge.ctx.scored)
    return [
        node
        for node in _behind(judge)
        if hasattr(node.ctx, "answers") and node.ctx.chat.size == size and _shows(node.ctx.chat, param)
    ][::-1]


def _behind(judge: Node) -> list[Node]:
    probe = Variable("", "", requires_grad=True)
    probe._set_grad_fn(judge)
    return [node for node in nodes_behind([probe]) if node is not judge and node.ctx is not None]


def _shows(chat: Any, param: Demos) -> bool:
    return any(variable is param for variable in chat.variables())


def _trace(position: int, index: int, node: Node, judge: Node) -> Trace | None:
    answer, given = node.ctx.answers[index], _given(node.ctx.chat, index)
    if not isinstance(answer, str) or not answer.strip() or not given.strip():
        return None
    direct = any(edge.node is node for edge in judge.next_functions)
    wanted = judge.ctx.scored[index][1]
    target = wanted if direct and isinstance(wanted, str) and wanted.strip() else None
    return Trace(position, given, answer, judge.ctx.evaluation[1][index], target)


def _given(chat: Any, index: int) -> str:
    """What sample ``index`` gave the call besides what is learned: its inputs, else what the user's messages say."""
    values = chat.values(index)
    own = {name: values[name] for name, (given, _) in chat.inputs.items() if not _is_learned(given)}
    if len(own) == 1:
        return str(next(iter(own.values())))
    if own:
        return "\n".join(f"{name}: {text}" for name, text in own.items())
    texts = [
        fill(text[index] if isinstance(text, list) else text, values, "a message")
        for role, parts in chat.contents
        for variable, text in ((item.variable, item.text) for item in parts if item.blocks is None)
        if role == "user" and not _is_learned(variable)
        if (text[index] if isinstance(text, list) else text) is not None
    ]
    return "\n".join(texts)


def _is_learned(given: Variable | Sequence[Variable] | None) -> bool:
    return isinstance(given, Parameter) or (isinstance(given, list) and any(isinstance(v, Parameter) for v in given))
