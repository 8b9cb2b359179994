"""Calls made from one place for different samples share a critic, as the samples of one batch do.

``async def`` steps make a node of its own for each sample.  Nodes of which all that is learnable in the messages is
the same are criticised together: the lesson is the same, and is paid for once.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from afnio.autodiff.chat import Chat, Item
from afnio.autodiff.critic import criticise
from afnio.autodiff.feedback import EMPTY, EdgePieces, Joined, Pieces
from afnio.gradient import Gradient
from afnio.variable import Variable

__all__ = ["Sibling", "criticise_together", "families"]


class Sibling(NamedTuple):
    """One call of a family.

    Attributes:
        chat: the call: one sample, or a batch.
        answers: what came back, one answer a sample.
        pieces: the feedback on it.
        wanted: for each of its edges whether feedback is wanted along it.
        node: label for the ledger.
    """

    chat: Chat
    answers: Sequence[Any]
    pieces: Pieces
    wanted: Sequence[bool]
    node: str

    @property
    def samples(self) -> frozenset[str]:
        """The samples its feedback came from."""
        return frozenset(sample for piece in self.pieces for sample in piece.samples)


def families(calls: Iterable[Sibling]) -> list[list[int]]:
    """The positions of calls that may be criticised together, in order; most families have one member.

    Only calls for different samples belong together: each sample's feedback is to arrive once for each edge.
    """
    found: dict[Any, list[list[int]]] = {}
    seen: dict[int, set[str]] = {}
    order: list[list[int]] = []
    for position, call in enumerate(calls):
        key = _likeness(call)
        if key is None:
            order.append([position])
            continue
        family = next((f for f in found.get(key, []) if not seen[id(f)] & call.samples), None)
        if family is None:
            family = []
            order.append(family)
            seen[id(family)] = set()
            found.setdefault(key, []).append(family)
        family.append(position)
        seen[id(family)] |= call.samples
    return order


def _likeness(call: Sibling) -> Any:
    """What siblings have in common; None: this call shares with nobody."""
    for piece in call.pieces:
        if not piece.samples:
            return None  # nobody knows whether it is for another one's sample
    chat, asked = call.chat, list(zip(call.chat.variables(), call.wanted, strict=True))
    about = [id(variable) for variable, wanted in asked if wanted]
    if len(set(about)) < len(about):
        return None  # a Variable in two places has two edges here, and perhaps one in a sibling
    contents: list[tuple[Any, ...]] = []
    edge, shared = 0, False
    for role, parts in chat.contents:
        for variable, text, blocks, _ in parts:
            if variable is None:
                contents.append((role, len(parts), "blocks"))
                continue
            if not call.wanted[edge]:
                contents.append((role, len(parts), variable.role, blocks is None))
            elif blocks is not None:
                contents.append((role, len(parts), type(variable)))  # a turn or a tool's result: each has its own
            elif isinstance(text, list):
                return None  # each sample has its own: there is no lesson to share
            else:
                contents.append((role, id(variable), text))
                shared = True
            edge += 1
    plain = not (chat.tools or chat.arguments)
    end = len(call.wanted) - (0 if plain else len(_settings(chat)))
    inputs_wanted = any(call.wanted[edge:end])
    if not (shared or any(call.wanted[end:])) or (inputs_wanted and chat.batched):
        return None
    given = tuple([(name, value is None) for name, (value, _) in chat.inputs.items()])
    inputs = tuple(call.wanted[edge:end]) if inputs_wanted else False
    if plain:
        return tuple(contents), given, inputs
    settings = [(id(variable), wanted) for variable, wanted in asked[end:]]
    values = [(tool.name, tool.text, json.dumps(tool.parameters)) for tool in chat.tools]
    values += [(name, repr(value), "") for name, _, value in chat.arguments]
    return tuple(contents), given, inputs, tuple(settings), tuple(values)


def _settings(chat: Chat) -> list[Variable]:
    """The Variables that are neither contents nor inputs: those of tools and arguments, the last edges."""
    tools = [tool.variable for tool in chat.tools if tool.variable is not None]
    return [*tools, *(variable for _, variable, _ in chat.arguments)]


async def criticise_together(family: Sequence[Sibling]) -> list[EdgePieces]:
    """What to change in the Variables of each call: feedback on what they share is given to the first one's edges."""
    merged = _Merged(family)
    edges = await criticise(merged.chat, merged.answers, Joined(merged.pieces), merged.wanted, family[0].node)
    results = [EdgePieces([] for _ in call.wanted) for call in family]
    receiver: dict[int, int] = {}
    for (number, edge), pieces in zip(merged.origins, edges, strict=True):
        # A Variable that several siblings took as input has an edge from each: its feedback travels along one.
        own = [piece for piece in pieces if piece is EMPTY or receiver.setdefault(id(piece), number) == number]
        results[number][edge].extend(own)
    return results


class _Merged:
    """The calls of a family as one batch.

    Attributes:
        chat: the batch.
        answers: the answers to all its samples.
        pieces: the feedback on all of them.
        wanted: for each edge of the batch whether feedback is wanted along it.
        origins: each edge of the batch as (member of the family, edge of that member).
    """

    def __init__(self, family: Sequence[Sibling]) -> None:
        self.family = family
        self.sizes = [call.chat.size for call in family]
        self.origins: list[tuple[int, int]] = []
        self._edge = 0
        contents = [
            (role, [self._content(at, position, item) for position, item in enumerate(parts)])
            for at, (role, parts) in enumerate(family[0].chat.contents)
        ]
        first = family[0].chat
        inputs = self._inputs(self._edge)
        end = len(family[0].wanted) - len(_settings(first))
        self.origins += [(0, edge) for edge in range(end, len(family[0].wanted))]
        self.chat = Chat.assembled(contents, inputs, sum(self.sizes), first.title, first.tools, first.arguments)
        self.wanted = [family[number].wanted[edge] for number, edge in self.origins]
        self.answers = [answer for call in family for answer in call.answers]
        self.pieces = [piece for number, call in enumerate(family) for piece in self._placed(number, call)]

    def _content(self, at: int, position: int, item: Item) -> Item:
        items = [call.chat.contents[at][1][position] for call in self.family]
        each = self._own(items)
        if item.blocks is None:
            return Item(item.variable, self._texts([one.text for one in items]))
        if each is None and not isinstance(item.text, list) and all(one.blocks == item.blocks for one in items):
            return item
        rows = [
            (one.text, one.blocks) if isinstance(one.text, list) else ([one.text] * size, [one.blocks] * size)
            for one, size in zip(items, self.sizes, strict=True)
        ]
        texts = [text for row, _ in rows for text in row]
        return Item(item.variable, texts, [blocks for _, row in rows for blocks in row], each)

    def _own(self, items: list[Item]) -> list[tuple[Variable, int | None]] | None:
        """Note the edge of a part; where each call has a Variable of its own there, that of each sample."""
        if items[0].variable is None:
            return None
        edge, self._edge = self._edge, self._edge + 1
        if items[0].blocks is None or not self.family[0].wanted[edge]:
            self.origins.append((0, edge))
            return None
        each: list[tuple[Variable, int | None]] = []
        for number, (call, item) in enumerate(zip(self.family, items, strict=True)):
            assert item.variable is not None
            self.origins += [(number, edge)] * call.chat.size
            each += [(item.variable, at if isinstance(item.text, list) else None) for at in range(call.chat.size)]
        return each

    def _inputs(self, edge: int) -> dict[str, tuple[Any, Any]]:
        inputs: dict[str, tuple[Any, Any]] = {}
        for name, (given, _) in self.family[0].chat.inputs.items():
            values = [call.chat.inputs[name] for call in self.family]
            inputs[name] = None, self._texts([text for _, text in values])
            if isinstance(given, Variable) and self.family[0].wanted[edge]:
                inputs[name] = self._learnable(given, values, edge)
            edge += len(given) if isinstance(given, list) else given is not None
        return inputs

    def _learnable(self, given: Variable, values: list[tuple[Any, Any]], edge: int) -> tuple[Any, Any]:
        """An input that feedback is wanted on; its calls are no batches."""
        if all(variable is given for variable, _ in values):
            self.origins.append((0, edge))
            return given, values[0][1]
        self.origins.extend((number, edge) for number in range(len(self.family)))
        return [variable for variable, _ in values], [text for _, text in values]

    def _texts(self, texts: list[Any]) -> Any:
        """One text if it is the same for all samples, else one for each."""
        if not isinstance(texts[0], list) and all(text == texts[0] for text in texts):
            return texts[0]
        rows = [text if isinstance(text, list) else [text] * size for text, size in zip(texts, self.sizes, strict=True)]
        return [text for row in rows for text in row]

    def _placed(self, number: int, call: Sibling) -> Pieces:
        """The feedback on one call, as feedback on its samples in the batch; what is about all of them, on each."""
        start, size = sum(self.sizes[:number]), call.chat.size
        return [
            _at(piece, start + index)
            for piece in call.pieces
            for index in (
                [piece.index]
                if call.chat.batched and piece.index is not None and piece.index < size
                else call.chat.indices
            )
        ]


def _at(piece: Gradient, index: int) -> Gradient:
    return Gradient(piece.data, piece.role, samples=piece.samples, index=index, sources=piece.trail, goal=piece.goal)
