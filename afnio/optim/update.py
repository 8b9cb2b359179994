"""The rule of TGD: one request to a model turns a value and the feedback on it into a new value.

Source: Yuksekgonul et al., TextGrad: automatic "differentiation" via text, arXiv:2406.07496.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from afnio import _dispatch
from afnio.autodiff.feedback import joined_trail
from afnio.autodiff.reduce import Reducer, reduce_feedback
from afnio.autodiff.template import fill
from afnio.domain import Domain
from afnio.gradient import Gradient
from afnio.models.contract import Contract, Fault, ask
from afnio.optim.checks import check_constraints, check_value, length
from afnio.optim.constraint import constraint_text
from afnio.words.optimizer import KIND, LIMIT

__all__ = ["Proposal", "TGDItem", "Version", "tgd_update"]


@dataclass(frozen=True, slots=True)
class Version:
    """A value that was tried.

    Attributes:
        value: the text.
        score: what it scored, higher is better; None: it was not measured.
        status: ``"kept"`` or ``"undone"``.
    """

    value: str
    score: float | None
    status: str


@dataclass(frozen=True, slots=True)
class Proposal:
    """What a rule proposes for one parameter.

    Attributes:
        value: the new value.
        reasoning: why, in the model's words.
        fault: what was wrong with the model's replies, where a rule can do without one of many; ``value`` is then the
            present one.
        reply: the last of them.
    """

    value: Any
    reasoning: str = ""
    fault: str = ""
    reply: str = ""


@dataclass(frozen=True, slots=True)
class TGDItem:
    """Everything the rule needs to know of one parameter, as plain values."""

    value: Any
    role: str
    feedback: Sequence[Gradient]
    past: Sequence[tuple[str, Sequence[str]]]
    history: Sequence[Version]
    constraints: Sequence[Any]
    messages: Sequence[tuple[str, Sequence[tuple[str, str]]]]
    inputs: Mapping[str, str]
    client: Any
    completion_args: Mapping[str, Any] = field(default_factory=dict)
    max_length: int | None = None
    demos: bool = False
    length_unit: str = "characters"
    domain: Domain | None = None
    words: str = ""
    label: str = "TGD"

    @property
    def node(self) -> str:
        """Label for the ledger."""
        return f"{self.label}: {self.role[:80]}"


async def tgd_update(item: TGDItem) -> Proposal:
    """Ask the model for a new value.

    Raises:
        ReplyContractError: neither its reply nor the mended one can be used.
    """
    reducer = Reducer(item.client, dict(item.completion_args))
    feedback = await reduce_feedback(list(item.feedback), item.role, str(item.value), item.node, reducer)
    sources = () if item.demos or item.domain is not None else joined_trail(item.feedback).read()
    contract = Contract("afnio_update", _schema(item.domain), functools.partial(_read, item, sources))
    proposal: Proposal = await ask(
        item.client,
        _request(item, feedback),
        contract,
        role="optimizer",
        node=item.node,
        variable=item.role,
        completion_args=dict(item.completion_args),
        words=item.words,
    )
    return proposal


def _schema(domain: Domain | None) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {
            "reasoning": {"type": "string"},
            "value": {"type": "string"} if domain is None else domain.schema(),
        },
        "required": ["reasoning", "value"],
        "additionalProperties": False,
    }


async def _read(item: TGDItem, sources: Sequence[str], reply: dict[str, Any]) -> Proposal:
    value, reasoning = reply["value"], reply["reasoning"]
    if item.domain is not None:
        value = await _inside(item.domain, value, item.constraints)
    else:
        value = await check_value(
            value,
            item.value,
            max_length=item.max_length,
            length_unit=item.length_unit,
            constraints=item.constraints,
            sources=sources,
        )
    return Proposal(value, reasoning if isinstance(reasoning, str) else "")


async def _inside(domain: Domain, value: Any, constraints: Sequence[Any]) -> Any:
    try:
        found = domain.check(value)
    except ValueError as error:
        raise Fault(f"'value' is out of range: {error}") from None
    await check_constraints(found, constraints)
    return found


def _request(item: TGDItem, feedback: Sequence[Gradient]) -> list[dict[str, Any]]:
    inputs = {**item.inputs, **_sections(item, feedback)}
    return [
        {"role": role, "content": "\n".join(fill(text, inputs, where) for where, text in parts).strip()}
        for role, parts in item.messages
    ]


def _sections(item: TGDItem, feedback: Sequence[Gradient]) -> dict[str, str]:
    """What stands in the places of the user message; a section begins on a line of its own or is empty."""
    past = [
        f"\n<past_version>{value}{''.join(f'{chr(10)}<feedback>{text}</feedback>' for text in texts)}</past_version>"
        for value, texts in item.past
    ]
    tried = [f'<version score="{_shown(v.score)}" status="{v.status}">{v.value}</version>' for v in item.history]
    return {
        "variable": f'<variable role="{item.role}">{item.value}</variable>',
        "feedback": "".join(f"\n<feedback{_shown_ids(ids)}>{text}</feedback>" for text, ids in _said(feedback)),
        "momentum": "".join(past),
        "history": "\n<history>\n{}\n</history>".format("\n".join(tried)) if tried else "",
        "constraints": "".join(f"\n<constraint>{text}</constraint>" for text in _rules(item)),
    }


def _rules(item: TGDItem) -> list[str]:
    """All that a new value must keep to, in words."""
    rules = [constraint_text(constraint) for constraint in item.constraints]
    if item.domain is not None:
        return [*rules, KIND.replace("<kind>", item.domain.in_words())]
    if item.max_length is None:
        return rules
    now = str(length(item.value, item.length_unit))
    return [
        *rules,
        LIMIT.replace("<limit>", str(item.max_length)).replace("<unit>", item.length_unit).replace("<now>", now),
    ]


def _said(feedback: Sequence[Gradient]) -> list[tuple[str, tuple[str, ...]]]:
    """Each text once, with the samples it came from: several turns of an agent often get the same lesson."""
    found: dict[str, dict[str, None]] = {}
    for piece in feedback:
        found.setdefault(str(piece.data), {}).update(dict.fromkeys(piece.samples))
    return [(text, tuple(ids)) for text, ids in found.items()]


def _shown_ids(ids: Sequence[str]) -> str:
    return f' samples="{",".join(ids)}"' if ids else ""


def _shown(score: float | None) -> str:
    return "unknown" if score is None else f"{score:.3g}"


_dispatch.rules["TGD"] = tgd_update
