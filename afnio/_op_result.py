"""`OpResult`: what a turn of a conversation gives besides its text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from afnio._content_blocks import Block, StopReason
from afnio._masks import StopReasonView
from afnio.variable import Variable

__all__ = ["OpResult"]

T = TypeVar("T")


@dataclass
class OpResult(Generic[T]):
    """What a model said, sample by sample; without a batch the lists have one item.

    Attributes:
        output: the text, or the texts of a batch; None where a sample was not asked or failed.  In an assistant
            message of a later turn the model's own blocks are sent.
        content: the blocks of each sample, or None.
        stop_reason: why the model stopped; ``result.stop_reason == "tool_use"`` is a `BoolMask`.
        parsed: of each sample what its answer says by the ``response_format``, or None; empty without one.
        fields: name of a field -> Variable that feedback flows through; None without a ``response_format``.
        parse_error: of each sample the error of an answer that broke the schema twice, or None; empty without a
            ``response_format``.
        messages: the whole conversation, this answer included: what a next turn goes on from.

    Raises:
        ValueError: the lists differ in length.
    """

    output: Variable
    content: list[list[Block] | None]
    stop_reason: StopReasonView | Sequence[StopReason | None]
    parsed: list[T | None] = field(default_factory=list)
    fields: Mapping[str, Variable] | None = None
    parse_error: list[Exception | None] = field(default_factory=list)
    messages: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        if len(self.stop_reason) != len(self.content):
            raise ValueError(
                f"OpResult: stop_reason has {len(self.stop_reason)} items and content {len(self.content)}: "
                "give one for each sample."
            )
        for name in ("parsed", "parse_error"):
            given = getattr(self, name)
            if given and len(given) != len(self.content):
                raise ValueError(
                    f"OpResult: {name} has {len(given)} items and content {len(self.content)}: give one for each "
                    "sample, or none."
                )
        if not isinstance(self.stop_reason, StopReasonView):
            self.stop_reason = StopReasonView(self.stop_reason)
