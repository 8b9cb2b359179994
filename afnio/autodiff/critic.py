"""The critic of one LM call: feedback on its outputs becomes feedback on its Variables."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from afnio.autodiff.chat import Chat
from afnio.autodiff.feedback import EdgePieces, Pieces, joined_trail, parts_of, union
from afnio.autodiff.quoting import quoted
from afnio.autodiff.reduce import Reducer, feedback_contract, reduce_feedback, tokens
from afnio.autodiff.settings import EngineSettings, current_settings
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
    text: str
    name: str
    edges: list[int]
    index: int | None
    samples: set[int] | None

    def concerned(self, group: Iterable[int]) -> list[int]:
        """The samples of ``group`` that it concerns."""
        return [index for index in group if self.samples is None or index in self.samples]


_Slots = dict[tuple[int, int | None], _Slot]
"""(id of the Variable, position in its list or None) -> its slot."""


async def criticise(
    chat: Chat, outputs: Sequence[str], grad_output: Gradient, wanted: Sequence[bool], node: str
) -> EdgePieces:
    """Feedback on the wanted Variables of ``chat``, one list of pieces for each edge.

    Args:
        chat: the call.
        outputs: its answers, one a sample.
        grad_output: the feedback on them.
        wanted: for each edge whether feedback is wanted along it.
        node: label of the node, for the ledger.
    """
    settings, client = current_settings(), get_backward_model_client()
    slots = _slots(chat, wanted)
    by_sample = _by_sample(chat, grad_output)
    inline = is_inline(client._client)
    reducer = Reducer(client._client, client.completion_args)
    role = f"answer to {chat.title}"
    reductions = [reduce_feedback(pieces, role, outputs[index], node, reducer) for index, pieces in by_sample.items()]
    by_sample = dict(zip(by_sample, await together(reductions, inline), strict=True))
    blocks = {index: _sample_block(chat, outputs, index, pieces, slots) for index, pieces in by_sample.items()}
    groups = _groups(blocks, _call_block(chat, slots), settings)
    answers = await together([_ask(client, chat, group, blocks, by_sample, slots, node) for group in groups], inline)
    edges = EdgePieces([] for _ in wanted)
    for pairs in answers:
        for slot, piece in pairs:
            for edge in slot.edges:
                edges[edge].append(piece)
    return edges


def _slots(chat: Chat, wanted: Sequence[bool]) -> _Slots:
    """What to ask about: each Variable once, however many edges lead to it."""
    found: _Slots = {}
    for edge, (variable, text, sample) in enumerate(_texts(chat)):
        if not wanted[edge]:
            continue
        positions = enumerate(text) if isinstance(text, list) else [(None, text)]
        for index, one in positions:
            only = sample if index is None else index
            slot = found.get((id(variable), index))
            if slot is None:
                name, samples = f"v{len(found) + 1}", None if only is None else {only}
                slot = found[id(variable), index] = _Slot(variable, one, name, [], index, samples)
            elif only is None:
                slot.samples = None
            elif slot.samples is not None:
                slot.samples.add(only)
            slot.edges.append(edge)
    return found


def _texts(chat: Chat) -> Iterable[tuple[Variable, Any, int | None]]:
    """(Variable, its text or texts, the only sample it belongs to) in the order of the edges."""
    for _, parts in chat.contents:
        for variable, text in parts:
            yield variable, text, None
    for given, text in chat.inputs.values():
        if isinstance(given, list):
            for sample, variable in enumerate(given):
                yield variable, text[sample], sample
        elif given is not None:
            yield given, text, None


def _by_sample(chat: Chat, grad_output: Gradient) -> dict[int, Pieces]:
    """The feedback on each sample that has any; feedback on the whole batch goes to every sample."""
    found: dict[int, Pieces] = {}
    for part in parts_of(grad_output):
        if not chat.batched:
            found.setdefault(0, []).append(part)
        elif part.index is not None and part.index < chat.size:
            found.setdefault(part.index, []).append(part)
        else:  # about the whole batch, or about a list of other length that a user's op made of it
            for index in range(chat.size):
                found.setdefault(index, []).append(part)
    return dict(sorted(found.items()))


def _groups(blocks: dict[int, str], call: str, settings: EngineSettings) -> list[list[int]]:
    """Samples that share a critic call."""
    groups: list[list[int]] = []
    room = 0
    for index, block in blocks.items():
        size = tokens(block)
        full = settings.samples_per_critic is not None and groups and len(groups[-1]) >= settings.samples_per_critic
        if not groups or full or size > room:
            groups.append([])
            room = settings.critic_tokens - tokens(call)
        groups[-1].append(index)
        room -= size
    return groups


def _marked(slots: _Slots, variable: Variable, index: int | None, text: str) -> str:
    """``text`` as the critic sees it: in a tag with its name if it is asked about, else quoted."""
    slot = slots.get((id(variable), index))
    return quoted(text) if slot is None else f'<variable id="{slot.name}" role="{variable.role}">{text}</variable>'


def _call_block(chat: Chat, slots: _Slots) -> str:
    """The messages, once: what differs from sample to sample is shown with the samples."""
    lines = ["<call>"]
    for role, parts in chat.contents:
        texts = [
            f"(of each sample: {variable.role})" if isinstance(text, list) else _marked(slots, variable, None, text)
            for variable, text in parts
        ]
        lines.append(f'<message role="{role}">{chr(10).join(texts)}</message>')
    for name, (given, text) in chat.inputs.items():
        if not isinstance(text, list):
            shown = _marked(slots, given, None, text) if isinstance(given, Variable) else quoted(text)
            lines.append(f'<input name="{name}">{shown}</input>')
    return "\n".join([*lines, "</call>"])


def _sample_block(chat: Chat, outputs: Sequence[str], index: int, pieces: Pieces, slots: _Slots) -> str:
    """What one sample sent, what came back, and the feedback on it."""
    lines = [
        f'<message role="{role}">{_marked(slots, variable, index, text[index])}</message>'
        for role, parts in chat.contents
        for variable, text in parts
        if isinstance(text, list)
    ]
    for name, (given, text) in chat.inputs.items():
        if isinstance(text, list):
            variable, at = (given[index], None) if isinstance(given, list) else (given, index)
            shown = quoted(text[index]) if variable is None else _marked(slots, variable, at, text[index])
            lines.append(f'<input name="{name}">{shown}</input>')
    lines.append(f"<output>{quoted(outputs[index])}</output>")
    lines += [f"<feedback>{quoted(piece.data)}</feedback>" for piece in pieces]
    return "\n".join(lines)


async def _ask(
    client: BackwardModelClient,
    chat: Chat,
    group: list[int],
    blocks: dict[int, str],
    by_sample: dict[int, Pieces],
    slots: _Slots,
    node: str,
) -> list[tuple[_Slot, Gradient]]:
    """One critic call: the feedback on each slot that concerns a sample of ``group``."""
    asked = {slot.name: slot for slot in slots.values() if slot.concerned(group)}
    if not asked:
        return []
    words = current_settings().words_of("critic")
    goals = dict.fromkeys(piece.goal for index in group for piece in by_sample[index] if piece.goal)
    ids = {index: ",".join(union(piece.samples for piece in by_sample[index])) or str(index) for index in group}
    user = "\n".join(
        [
            *(f"<goal>{goal}</goal>" for goal in goals),
            _call_block(chat, slots),
            *(f'<sample id="{ids[index]}">\n{blocks[index]}\n</sample>' for index in group),
            f"Give feedback on: {', '.join(f'{name} ({slot.variable.role})' for name, slot in asked.items())}.",
        ]
    )
    texts: dict[str, str] = await ask(
        client._client,
        [{"role": "system", "content": words.system}, {"role": "user", "content": user}],
        feedback_contract(tuple(asked)),
        role="backward",
        node=node,
        variable=next(iter(asked.values())).variable.role,
        completion_args=client.completion_args,
        words=words.label,
    )
    origins: dict[tuple[int, ...], _Origin] = {}
    found = []
    for name, slot in asked.items():
        indices = tuple(slot.concerned(group))
        origin = origins.get(indices) or origins.setdefault(indices, _origin(chat, indices, by_sample))
        found.append((slot, _piece(slot, texts[name], origin)))
    return found


class _Origin(NamedTuple):
    """Where a critic's text comes from."""

    samples: tuple[str, ...]
    trail: Trail
    goal: str


def _origin(chat: Chat, indices: Sequence[int], by_sample: dict[int, Pieces]) -> _Origin:
    """Ids and texts of the samples at ``indices``, and what the score at the end measures."""
    pieces = [piece for index in indices for piece in by_sample[index]]
    own = [text for index in indices for text in _own_texts(chat, index)]
    return _Origin(union([piece.samples for piece in pieces]), joined_trail(pieces, own), pieces[0].goal)


def _piece(slot: _Slot, text: str, origin: _Origin) -> Gradient:
    """The critic's text with the ids and texts of the samples it came from."""
    role, (samples, trail, goal) = f"feedback to {slot.variable.role}", origin
    return Gradient(text, role, samples=samples, index=slot.index, sources=trail, goal=goal)


def _own_texts(chat: Chat, index: int) -> list[str]:
    """The texts that belong to one sample alone.

    Of a call that is no batch: what fills its placeholders, and what the user says in texts without any.
    """
    if not chat.batched:
        said = [part for role, parts in chat.contents if role == "user" for part in parts]
        texts = [(given, text) for given, text in chat.inputs.values()]
        texts += [(variable, text) for variable, text in said if not placeholders(text)]
        return [text for given, text in texts if not _is_learnable(given)]
    contents = [text for _, parts in chat.contents for _, text in parts]
    return [text[index] for text in (*contents, *(text for _, text in chat.inputs.values())) if isinstance(text, list)]


def _is_learnable(given: Variable | list[Variable] | None) -> bool:
    """Whether it is a parameter: no sample's text."""
    return isinstance(given, Variable) and given.is_leaf and given.requires_grad
