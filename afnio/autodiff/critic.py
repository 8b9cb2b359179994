"""The critic of one LM call: feedback on its outputs becomes feedback on its Variables."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from afnio.autodiff.chat import Chat
from afnio.autodiff.feedback import EdgePieces, Joined, Pieces, union
from afnio.autodiff.reduce import Reducer, feedback_contract, reduce_feedback, tokens
from afnio.autodiff.settings import EngineSettings, current_settings
from afnio.autodiff.together import together
from afnio.gradient import Gradient
from afnio.models.backward_client import BackwardModelClient, get_backward_model_client
from afnio.models.contract import ask
from afnio.models.invoke import is_inline
from afnio.variable import Variable

__all__ = ["criticise"]


@dataclass(slots=True)
class _Slot:
    """A Variable, or one position of a batched one, that the critic is asked about.

    Attributes:
        edges: the edges its feedback is delivered along.
        index: position in a batched Variable's list, or None.
        sample: the only sample it concerns, or None: all.
    """

    variable: Variable
    text: str
    edges: list[int]
    index: int | None
    sample: int | None


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
    for index, pieces in by_sample.items():
        by_sample[index] = await reduce_feedback(pieces, f"answer to {chat.title}", outputs[index], node, reducer)
    blocks = {index: _sample_block(chat, outputs, index, pieces, slots) for index, pieces in by_sample.items()}
    groups = _groups(blocks, _call_block(chat, slots), settings)
    answers = await together([_ask(client, chat, group, blocks, by_sample, slots, node) for group in groups], inline)
    edges = EdgePieces([] for _ in wanted)
    for pairs in answers:
        for slot, piece in pairs:
            for edge in slot.edges:
                edges[edge].append(piece)
    return edges


def _slots(chat: Chat, wanted: Sequence[bool]) -> list[_Slot]:
    """What to ask about: each Variable once, however many edges lead to it."""
    found: dict[tuple[int, int | None], _Slot] = {}
    for edge, (variable, text, sample) in enumerate(_texts(chat)):
        if not wanted[edge]:
            continue
        positions = enumerate(text) if isinstance(text, list) else [(None, text)]
        for index, one in positions:
            slot = found.setdefault((id(variable), index), _Slot(variable, one, [], index, sample if index is None else index))
            slot.edges.append(edge)
    return list(found.values())


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
    parts = grad_output.parts if isinstance(grad_output, Joined) else (grad_output,)
    found: dict[int, Pieces] = {}
    for part in parts:
        if not chat.batched:
            found.setdefault(0, []).append(part)
        else:
            for index in range(chat.size) if part.index is None else (part.index,):
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


def _name(slots: Sequence[_Slot], variable: Variable, index: int | None) -> str | None:
    for number, slot in enumerate(slots, 1):
        if slot.variable is variable and slot.index == index:
            return f"v{number}"
    return None


def _marked(slots: Sequence[_Slot], variable: Variable, index: int | None, text: str) -> str:
    name = _name(slots, variable, index)
    return text if name is None else f'<variable id="{name}" role="{variable.role}">{text}</variable>'


def _call_block(chat: Chat, slots: Sequence[_Slot]) -> str:
    """The messages, once: what differs from sample to sample is shown with the samples."""
    lines = ["<call>"]
    for role, parts in chat.contents:
        texts = [
            f"(of each sample: {variable.role})" if isinstance(text, list) else _marked(slots, variable, None, text)
            for variable, text in parts
        ]
        lines.append(f'<message role="{role}">{chr(10).join(texts)}</message>')
    lines += [
        f'<input name="{name}">{_marked(slots, given, None, text) if isinstance(given, Variable) else text}</input>'
        for name, (given, text) in chat.inputs.items()
        if not isinstance(text, list)
    ]
    return "\n".join([*lines, "</call>"])


def _sample_block(chat: Chat, outputs: Sequence[str], index: int, pieces: Pieces, slots: Sequence[_Slot]) -> str:
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
            shown = text[index] if variable is None else _marked(slots, variable, at, text[index])
            lines.append(f'<input name="{name}">{shown}</input>')
    lines.append(f"<output>{outputs[index]}</output>")
    lines += [f"<feedback>{piece.data}</feedback>" for piece in pieces]
    return "\n".join(lines)


async def _ask(
    client: BackwardModelClient,
    chat: Chat,
    group: list[int],
    blocks: dict[int, str],
    by_sample: dict[int, Pieces],
    slots: list[_Slot],
    node: str,
) -> list[tuple[_Slot, Gradient]]:
    """One critic call: the feedback on each slot that concerns a sample of ``group``."""
    asked = {f"v{number}": slot for number, slot in enumerate(slots, 1) if slot.sample is None or slot.sample in group}
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
    return [(slot, _piece(chat, slot, texts[name], group, by_sample)) for name, slot in asked.items()]


def _piece(chat: Chat, slot: _Slot, text: str, group: list[int], by_sample: dict[int, Pieces]) -> Gradient:
    """The critic's text with the ids and texts of the samples it came from."""
    indices = group if slot.sample is None else [slot.sample]
    pieces = [piece for index in indices for piece in by_sample[index]]
    own = [text for index in indices for text in _own_texts(chat, index)]
    return Gradient(
        text,
        f"feedback to {slot.variable.role}",
        samples=union(piece.samples for piece in pieces),
        index=slot.index,
        sources=union([own, *(piece.sources for piece in pieces)]),
        goal=pieces[0].goal,
    )


def _own_texts(chat: Chat, index: int) -> list[str]:
    """The texts that belong to one sample alone."""
    if not chat.batched:
        return [text for _, text in chat.inputs.values()]
    contents = [text for _, parts in chat.contents for _, text in parts]
    return [text[index] for text in (*contents, *(text for _, text in chat.inputs.values())) if isinstance(text, list)]
