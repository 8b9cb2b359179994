"""The critic of one LM call: feedback on its outputs becomes feedback on its Variables."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from afnio.autodiff.chat import Chat, Item
from afnio.autodiff.feedback import EMPTY, EdgePieces, Pieces, feedback_role, joined_trail, parts_of, union
from afnio.autodiff.quoting import quoted
from afnio.autodiff.reduce import Reducer, feedback_contract, reduce_feedback, tokens
from afnio.autodiff.settings import EngineSettings, current_settings
from afnio.autodiff.showing import Pictures, Reading, said
from afnio.autodiff.template import placeholders
from afnio.autodiff.together import together
from afnio.gradient import Gradient, Trail
from afnio.models.backward_client import BackwardModelClient, get_backward_model_client
from afnio.models.contract import ask
from afnio.models.invoke import is_inline
from afnio.variable import Variable

__all__ = ["criticise"]


@dataclass(slots=True)
class _Slot:
    """A Variable, or one position of a batched one, that the critic is asked about.

    Attributes:
        name: what the request calls it: ``v1``, ``v2``, ...
        edges: the edges its feedback is delivered along.
        index: position in a batched Variable's list, or None.
        samples: the samples it concerns, or None: all.
    """

    variable: Variable
    name: str
    edges: list[int]
    index: int | None
    samples: set[int] | None

    def concerned(self, group: Iterable[int]) -> list[int]:
        """The samples of ``group`` that it concerns."""
        samples = self.samples
        return list(group) if samples is None else [index for index in group if index in samples]


_Slots = dict[tuple[int, int | None], _Slot]
"""(id of the Variable, position in its list or None) -> its slot."""


NO_PICTURES: frozenset[int] = frozenset()


class _Shown(NamedTuple):
    """A part of a request: its text, and the numbers of the pictures it refers to."""

    text: str
    pictures: frozenset[int]

    @property
    def size(self) -> int:
        """Its estimated size in tokens."""
        return tokens(self.text) + (PICTURE_TOKENS * len(self.pictures) if self.pictures else 0)


PICTURE_TOKENS = 1_000
"""What a picture is counted as, when it is decided which samples share a request."""


class _Case:
    """What a critic works on: call and samples in words.

    Attributes:
        chat: the call.
        slots: what it is asked about.
        pictures: the images in it.
        by_sample: the feedback on each failing sample.
        call: the call in words, without what is of one sample.
        blocks: each failing sample in words.
        is_turn: whether the critic needs to know of tools, pictures or settings.
    """

    __slots__ = ("blocks", "by_sample", "call", "chat", "is_turn", "pictures", "slots")

    def __init__(self, chat: Chat, answers: Sequence[Any], slots: _Slots, by_sample: dict[int, Pieces]) -> None:
        self.chat, self.slots, self.by_sample = chat, slots, by_sample
        self.is_turn = _is_turn(chat)
        self.pictures = Pictures()
        shared = own = Reading(self.pictures)
        text = _call_block(chat, slots, shared)
        self.call = _Shown(text, frozenset(shared.numbers) if self.is_turn else NO_PICTURES)
        self.blocks: dict[int, _Shown] = {}
        for index, pieces in by_sample.items():
            if self.is_turn:
                own = Reading(self.pictures, shared)
            block = _sample_block(chat, answers[index], index, pieces, slots, own)
            self.blocks[index] = _Shown(block, frozenset(own.numbers) if self.is_turn else NO_PICTURES)


async def criticise(
    chat: Chat, outputs: Sequence[Any], grad_output: Gradient, wanted: Sequence[bool], node: str
) -> EdgePieces:
    """Feedback on the wanted Variables of ``chat``, one list of pieces for each edge; `EMPTY` for what may stay.

    Args:
        chat: the call.
        outputs: its answers, one a sample: a text, or a dict with ``content`` (blocks), ``stop`` (the stop reason) and
            ``fault`` (what is wrong with its form, or None).
        grad_output: the feedback on them.
        wanted: for each edge whether feedback is wanted along it.
        node: label of the node, for the ledger.
    """
    settings, client = current_settings(), get_backward_model_client()
    by_sample = _by_sample(chat, grad_output)
    if None in outputs:
        by_sample = {index: pieces for index, pieces in by_sample.items() if outputs[index] is not None}
    if max(map(len, by_sample.values()), default=0) > 1:
        by_sample = await _reduced(chat, outputs, by_sample, client, node)
    case = _Case(chat, outputs, _slots(chat, wanted), by_sample)
    groups = _groups(case, settings)
    if len(groups) == 1:
        answers = [await _ask(client, case, groups[0], node)]
    else:
        asking = [_ask(client, case, group, node) for group in groups]
        answers = await together(asking, is_inline(client._client))
    edges = EdgePieces([[] for _ in wanted])
    for pairs in answers:
        for slot, piece in pairs:
            for edge in slot.edges:
                edges[edge].append(piece)
    return edges


async def _reduced(
    chat: Chat, outputs: Sequence[Any], by_sample: dict[int, Pieces], client: BackwardModelClient, node: str
) -> dict[int, Pieces]:
    """The feedback on each sample, in fewer pieces where it is too long."""
    reducer = Reducer(client._client, client.completion_args)
    role = f"answer to {chat.title}"
    reductions = [
        reduce_feedback(pieces, role, said(outputs[index]), node, reducer) for index, pieces in by_sample.items()
    ]
    return dict(zip(by_sample, await together(reductions, is_inline(client._client)), strict=True))


def _slots(chat: Chat, wanted: Sequence[bool]) -> _Slots:
    """What to ask about: each Variable once, however many edges lead to it."""
    found: _Slots = {}
    for edge, (variable, text, sample, at) in enumerate(_texts(chat)):
        if not wanted[edge]:
            continue
        positions: Iterable[tuple[int | None, Any]] = enumerate(text) if isinstance(text, list) else ((at, text),)
        for index, one in positions:
            if one is None:
                continue  # this sample has no such part
            only = index if sample is None else sample
            slot = found.get((id(variable), index))
            if slot is None:
                name, samples = f"v{len(found) + 1}", None if only is None else {only}
                slot = found[id(variable), index] = _Slot(variable, name, [], index, samples)
            elif only is None:
                slot.samples = None
            elif slot.samples is not None:
                slot.samples.add(only)
            slot.edges.append(edge)
    return found


_Text = tuple[Variable, Any, int | None, int | None]
"""A Variable, its text or texts, the only sample it belongs to, its position there."""


def _texts(chat: Chat) -> list[_Text]:
    """The Variables with their texts, in the order of the edges."""
    found: list[_Text] = []
    for _, parts in chat.contents:
        for variable, text, _, each in parts:
            if each is not None:
                found += [(own, text[sample], sample, at) for sample, (own, at) in enumerate(each)]
            elif variable is not None:
                found.append((variable, text, None, None))
    for given, text in chat.inputs.values():
        if isinstance(given, list):
            found += [(variable, text[sample], sample, None) for sample, variable in enumerate(given)]
        elif given is not None:
            found.append((given, text, None, None))
    for tool in chat.tools:
        if tool.variable is not None:
            found.append((tool.variable, tool.text, None, None))
    for _, variable, value in chat.arguments:
        found.append((variable, str(value), None, None))
    return found


def _by_sample(chat: Chat, grad_output: Gradient) -> dict[int, Pieces]:
    """The feedback on each sample that has any; feedback on the whole batch goes to every sample."""
    if not chat.batched:
        return {0: list(parts_of(grad_output))}
    found: dict[int, Pieces] = {}
    for part in parts_of(grad_output):
        if part.index is not None and part.index < chat.size:
            found.setdefault(part.index, []).append(part)
        else:  # about the whole batch, or about a list of other length that a user's op made of it
            for index in chat.indices:
                found.setdefault(index, []).append(part)
    return dict(sorted(found.items()))


def _groups(case: _Case, settings: EngineSettings) -> list[list[int]]:
    """Samples that share a critic call."""
    if len(case.blocks) == 1:
        return [list(case.blocks)]
    groups: list[list[int]] = []
    room = 0
    for index, block in case.blocks.items():
        size = block.size
        full = settings.samples_per_critic is not None and groups and len(groups[-1]) >= settings.samples_per_critic
        if not groups or full or size > room:
            groups.append([])
            room = settings.critic_tokens - case.call.size
        groups[-1].append(index)
        room -= size
    return groups


def _marked(slots: _Slots, variable: Variable | None, index: int | None, text: str, shown: str | None = None) -> str:
    """``text`` as the critic sees it: in a tag with its name if it is asked about, else quoted.

    ``shown`` is what stands there in any case, where it is not the text itself.
    """
    slot = slots.get((id(variable), index))
    if slot is None:
        return quoted(text) if shown is None else shown
    inner = text if shown is None else shown
    return f'<variable id="{slot.name}" role="{slot.variable.role}">{inner}</variable>'


def _call_block(chat: Chat, slots: _Slots, reading: Reading) -> str:
    """The messages, once: what differs from sample to sample is shown with the samples."""
    lines = ["<call>"]
    for tool in chat.tools:
        description = _marked(slots, tool.variable, None, tool.text)
        schema = quoted(json.dumps(tool.parameters, ensure_ascii=False))
        lines.append(f'<tool name="{quoted(tool.name)}">{description}\n<parameters>{schema}</parameters></tool>')
    for name, variable, value in chat.arguments:
        lines.append(f'<argument name="{name}">{_marked(slots, variable, None, str(value))}</argument>')
    for role, parts in chat.contents:
        texts = [_shared(item, slots, reading) for item in parts]
        lines.append(f'<message role="{role}">{chr(10).join(texts)}</message>')
    for name, (given, text) in chat.inputs.items():
        if not isinstance(text, list):
            shown = _marked(slots, given, None, text) if isinstance(given, Variable) else quoted(text)
            lines.append(f'<input name="{name}">{shown}</input>')
    return "\n".join([*lines, "</call>"])


def _shared(item: Item, slots: _Slots, reading: Reading) -> str:
    """A part of a message as it stands in the call."""
    if isinstance(item.text, list):
        return f"(of each sample: {'content' if item.variable is None else item.variable.role})"
    return _marked(slots, item.variable, None, item.text, None if item.blocks is None else reading.text(item.blocks))


def _sample_block(chat: Chat, answer: Any, index: int, pieces: Pieces, slots: _Slots, reading: Reading) -> str:
    """What one sample sent, what came back, and the feedback on it."""
    lines = []
    for role, parts in chat.contents:
        for variable, text, blocks, each in parts:
            if isinstance(text, list) and text[index] is not None:
                shown = None if blocks is None else reading.text(blocks[index])
                whose, at = (variable, index) if each is None else each[index]
                lines.append(f'<message role="{role}">{_marked(slots, whose, at, text[index], shown)}</message>')
    for name, (given, text) in chat.inputs.items():
        if isinstance(text, list):
            variable, at = (given[index], None) if isinstance(given, list) else (given, index)
            shown = quoted(text[index]) if variable is None else _marked(slots, variable, at, text[index])
            lines.append(f'<input name="{name}">{shown}</input>')
    lines += _output(answer, reading)
    lines += [f"<feedback>{quoted(piece.data)}</feedback>" for piece in pieces]
    return "\n".join(lines)


def _output(answer: Any, reading: Reading) -> list[str]:
    if isinstance(answer, str):
        return [f"<output>{quoted(answer)}</output>"]
    stop = "" if answer["stop"] in QUIET else f' stop="{answer["stop"]}"'
    lines = [f"<output{stop}>{reading.text(answer['content'])}</output>"]
    if answer["fault"]:
        lines.append(f"<fault>The output breaks the schema asked for: {quoted(answer['fault'])}</fault>")
    return lines


QUIET = (None, "end_turn", "stop_sequence")
"""Stop reasons that say no more than that the model had finished."""


def _is_turn(chat: Chat) -> bool:
    """Whether the critic needs to know of tools, pictures or settings."""
    if chat.tools or chat.arguments:
        return True
    for _, parts in chat.contents:
        for item in parts:
            if item.blocks is not None:
                return True
    return False


async def _ask(client: BackwardModelClient, case: _Case, group: list[int], node: str) -> list[tuple[_Slot, Gradient]]:
    """One critic call: the feedback on each slot that concerns a sample of ``group``."""
    chat, by_sample = case.chat, case.by_sample
    asked = {slot.name: slot for slot in case.slots.values() if slot.samples is None or slot.concerned(group)}
    if not asked:
        return []
    settings = current_settings()
    system, label = _words(settings, case.is_turn)
    goals = dict.fromkeys([piece.goal for index in group for piece in by_sample[index] if piece.goal])
    ids = {index: ",".join(_ids(by_sample[index])) or str(index) for index in group}
    user = "\n".join(
        [
            *[f"<goal>{goal}</goal>" for goal in goals],
            case.call.text,
            *[f'<sample id="{ids[index]}">\n{case.blocks[index].text}\n</sample>' for index in group],
            f"Give feedback on: {', '.join([f'{name} ({slot.variable.role})' for name, slot in asked.items()])}.",
        ]
    )
    content: Any = user
    if case.is_turn and (numbers := case.call.pictures.union(*[case.blocks[index].pictures for index in group])):
        content = [{"type": "text", "text": user}, *case.pictures.parts(numbers)]
    texts: dict[str, str] = await ask(
        client._client,
        [{"role": "system", "content": system}, {"role": "user", "content": content}],
        feedback_contract(tuple(asked), may_be_empty=True, may_all_be_empty=case.is_turn),
        role="backward",
        node=node,
        variable=next(iter(asked.values())).variable.role,
        completion_args=client.completion_args,
        words=label,
    )
    origins: dict[tuple[int, ...], _Origin] = {}
    found = []
    everyone = tuple(group)
    for name, slot in asked.items():
        indices = everyone if slot.samples is None else tuple(slot.concerned(group))
        origin = origins.get(indices)
        if origin is None:
            origin = origins[indices] = _origin(chat, indices, by_sample)
        found.append((slot, _piece(slot, texts[name], origin) if texts[name] else EMPTY))
    return found


def _words(settings: EngineSettings, is_turn: bool) -> tuple[str, str]:
    """What the critic is told, and its label."""
    words = settings.words_of("critic")
    if not is_turn:
        return words.system, words.label
    more = settings.words_of("turns")
    return f"{words.system}\n{more.system}", f"{words.label} {more.label}"


class _Origin(NamedTuple):
    """Where a critic's text comes from."""

    samples: tuple[str, ...]
    trail: Trail
    goal: str


def _origin(chat: Chat, indices: Sequence[int], by_sample: dict[int, Pieces]) -> _Origin:
    """Ids and texts of the samples at ``indices``, and what the score at the end measures."""
    pieces = by_sample[indices[0]] if len(indices) == 1 else [piece for at in indices for piece in by_sample[at]]
    own = _own_texts(chat, indices[0]) if len(indices) == 1 else [t for at in indices for t in _own_texts(chat, at)]
    return _Origin(_ids(pieces), joined_trail(pieces, tuple(own)), pieces[0].goal)


def _ids(pieces: Pieces) -> tuple[str, ...]:
    """Ids of the samples that ``pieces`` came from."""
    return pieces[0].samples if len(pieces) == 1 else union([piece.samples for piece in pieces])


def _piece(slot: _Slot, text: str, origin: _Origin) -> Gradient:
    """The critic's text with the ids and texts of the samples it came from."""
    samples, trail, goal = origin
    role = feedback_role(slot.variable.role)
    return Gradient(text, role, samples=samples, index=slot.index, sources=trail, goal=goal)


def _own_texts(chat: Chat, index: int) -> list[str]:
    """The texts that belong to one sample alone.

    Of a call that is no batch: what fills its placeholders, and what the user says in texts without any.
    """
    if not chat.batched:
        found = [text for given, text in chat.inputs.values() if not _is_learnable(given)]
        for role, parts in chat.contents:
            if role == "user":
                for variable, text, _, _ in parts:
                    if text and not placeholders(text) and not _is_learnable(variable):
                        found.append(text)
        return found
    contents = [item.text for _, parts in chat.contents for item in parts]
    own = [text[index] for text in (*contents, *(text for _, text in chat.inputs.values())) if isinstance(text, list)]
    return [text for text in own if text]


def _is_learnable(given: Variable | list[Variable] | None) -> bool:
    """Whether it is a parameter: no sample's text."""
    return isinstance(given, Variable) and given.is_leaf and given.requires_grad
