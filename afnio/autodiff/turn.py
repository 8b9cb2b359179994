"""`Turn` and `ToolResult`: Variables that stand for native content blocks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from afnio._content_blocks import Block, StopReason
from afnio.variable import Variable

if TYPE_CHECKING:
    from typing import Self

__all__ = ["Native", "Outcome", "ToolResult", "Turn"]


class Native(Variable):
    """A text, or one a sample, that stands for content blocks: in a message of the right role those are sent.

    Attributes:
        _content: the blocks of each sample (of one, where there is no batch); None: this sample has none.
    """

    __slots__ = ("_content",)

    _extra: ClassVar[tuple[str, ...]] = ("_content",)

    message_role: ClassVar[str] = ""
    """The role of the messages in which the blocks are sent; in others it is its text."""

    def __init__(self, data: Any, role: str, content: list[list[Block] | None]) -> None:
        super().__init__(data, role)
        self._content = content

    def detach(self) -> Variable:
        """The same value and blocks, in no graph."""
        other = type(self).__new__(type(self))
        Variable.__init__(other, self._data, self.role)
        other._samples = self._samples
        for name in self._extra:
            setattr(other, name, getattr(self, name))
        return other

    def __iadd__(self, other: Variable) -> Self:
        result: Self = self + other  # type: ignore[assignment]
        return result  # a plain Variable: the blocks are those of the old text


@dataclass(slots=True)
class Outcome:
    """How the call of one sample ended.

    Attributes:
        stop_reason: why the model stopped; None: it was not asked, or failed.
        parsed: what the answer says by the schema that was asked for, or None.
        fault: why there is no ``parsed`` where there should be one, or None.
        error: what the call failed with, or None.
        reply: the last reply that broke the schema.
    """

    stop_reason: StopReason | None = None
    parsed: Any = None
    fault: str | None = None
    error: BaseException | None = None
    reply: str = ""


class Turn(Native):
    """What a model said in one turn of a conversation: its text, and the blocks it is made of.

    Put into an assistant message of the next turn, the model's own blocks are sent back: thoughts with their
    signatures, tool calls with their ids.
    """

    __slots__ = ("_outcomes",)

    _extra: ClassVar[tuple[str, ...]] = ("_content", "_outcomes")
    message_role = "assistant"

    def __init__(self, data: Any, role: str, content: list[list[Block] | None], outcomes: list[Outcome]) -> None:
        super().__init__(data, role, content)
        self._outcomes = outcomes


class ToolResult(Native):
    """What a tool answered, one call a sample."""

    __slots__ = ()

    message_role = "tool"
