"""Complete and exact: every failing sample's feedback arrives once for each edge that leads to a leaf.

Random graphs are built twice: as Variables, and as a plain structure from which `Reference` works out, from what
each edge may see, what must arrive.  The engine pushes feedback from the loss to the leaves; the reference pulls it.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import afnio.cognitive as cog
from afnio import functional as F
from afnio._op_result import OpResult
from afnio.autodiff import Function
from afnio.errors import ToolError
from afnio.models.lm_server import LMServer
from afnio.models.lm_server.ask import Ask, ToolCall
from afnio.parameter import Parameter
from afnio.variable import Variable
from tests.autodiff.lab import Lab, Served, by_role, feedback, names_of, open_lab, samples_of, system, texts, user

KINDS = ("chat", "chat", "chat_list", "loop", "loop", "turn", "add", "sum", "split", "custom", "evaluate", "evaluate")

step = st.tuples(st.sampled_from(KINDS), st.integers(0, 5), st.integers(0, 5), st.integers(0, 5), st.integers(0, 7))
SIZES = (0, 1, 2, 3)


def specs_of(*sizes: int) -> Any:
    """Random graphs over batches of these sizes."""
    return st.tuples(st.sampled_from(sizes), *_rest)


_rest = (
    st.lists(step, min_size=4, max_size=14),
    st.booleans(),
    st.booleans(),
    st.lists(st.integers(0, 7), min_size=1, max_size=4),
)
specs = specs_of(*SIZES)
"""(batch size, 0 for no batch; what to do; start from the sum of all scores; start from one value with feedback too;
which samples fail at values that nobody reads)"""


class Tangle(Function):
    """A user's op with two inputs and two outputs."""

    @staticmethod
    def forward(ctx: Any, x: Variable, y: Variable) -> tuple[Variable, Variable]:
        return Variable(y.data, "tangled y"), Variable(x.data, "tangled x")

    @staticmethod
    def backward(ctx: Any, on_y: Variable, on_x: Variable) -> tuple[Variable, Variable]:
        return Variable(f"x: {_short(on_x.data)} {_short(on_y.data)}"), Variable(f"y: {_short(on_y.data)}")


def _short(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def echo(ask: Ask) -> Any:
    """A critic that says which samples it saw, and a digest of the feedback on them."""
    return feedback(ask, f"[{';'.join(ids for ids, _ in samples_of(ask))}] {_short(ask.user)}")


def calling(ask: Ask) -> list[ToolCall]:
    """A model that calls tools for none, one or two turns, one or two at once: as the text of the sample says."""
    turns = sum(turn.role == "assistant" for turn in ask.turns)
    draw = int(_short(f"{ask.user}/{turns}"), 16)
    if turns >= draw % 3:
        return []
    chosen = [ask.tools[(draw // 4 + number) % len(ask.tools)] for number in range(1 + draw // 3 % 2)]
    return [ToolCall(tool.name, json.dumps({"text": f"{ask.user}/{turns}/{n}"})) for n, tool in enumerate(chosen)]


def answering(ask: Ask) -> Any:
    """A model that answers by a digest of what it was told; by the schema, where there is one."""
    digest = _short(ask.user + ask.system + str([turn.text for turn in ask.turns if turn.role == "tool"]))
    return {"a": f"re|{digest}", "b": {"c": digest}} if ask.schema else f"re|{digest}"


SCHEMA = {
    "type": "object",
    "properties": {
        "a": {"type": "string"},
        "b": {"type": "object", "properties": {"c": {"type": "string"}}, "required": ["c"]},
    },
    "required": ["a", "b"],
}


@dataclass
class Op:
    """One node: which values it read, edge by edge, and which it made."""

    kind: str
    reads: list[int]
    makes: list[int] = field(default_factory=list)
    info: Any = None


@dataclass
class Net:
    """A graph, as Variables and as structure."""

    lab: Lab
    size: int
    values: list[Variable] = field(default_factory=list)
    leaves: list[int] = field(default_factory=list)
    ops: list[Op] = field(default_factory=list)
    losses: list[tuple[Any, Op]] = field(default_factory=list)
    tools: list[cog.Tool] = field(default_factory=list)
    described: list[int] = field(default_factory=list)
    setting: int = 0

    def leaf(self, variable: Variable) -> int:
        self.values.append(variable)
        self.leaves.append(len(self.values) - 1)
        return len(self.values) - 1

    def made(self, op: Op, *outputs: Variable) -> None:
        for output in outputs:
            self.values.append(output)
            op.makes.append(len(self.values) - 1)
        self.ops.append(op)

    def at(self, variable: Variable) -> int:
        """The value that a Variable is, one of those made inside of a tool too."""
        found = [number for number, value in enumerate(self.values) if value is variable]
        return found[0]

    def texts_at(self, number: int) -> Any:
        return self.values[number].data

    def pick(self, number: int, *, batched: bool) -> int:
        fit = [at for at, value in enumerate(self.values) if isinstance(value.data, list) == batched and _whole(value)]
        return fit[-1 - number % len(fit)]  # small numbers, which hypothesis likes, are the newest values


def _whole(value: Variable) -> bool:
    """Whether it holds something for every sample."""
    return not isinstance(value.data, list) or None not in value.data


def _add_tools(net: Net) -> None:
    """Tools that return plain text, a parameter, and what they computed; with learnable descriptions."""
    inner = net.leaf(Parameter("tool's own", "parameter inside of a tool"))

    def plain(text: str) -> str:
        return f"plain {text}"

    def held(text: str) -> Variable:
        return net.values[inner]

    def computed(text: str) -> Variable:
        return net.values[inner] + Variable(f" for {text}", "what the model gave")

    for number, fn in enumerate((plain, held, computed)):
        description = Parameter(f"Tool {number}.", f"description {number}", requires_grad=number != 2)
        net.described.append(net.leaf(description))
        net.tools.append(cog.Tool(fn, description=description))
    net.setting = net.leaf(Parameter("someone", "setting"))


def build(lab: Lab, spec: Any) -> Net:
    size, steps, _, _, ends = spec
    net = Net(lab, size)
    start: Any = [f"a{i}|b{i}" for i in range(size)] if size else "a|b"
    net.leaf(Parameter("Do {x}", "first prompt"))
    net.leaf(Parameter("Do it well {x}", "second prompt"))
    net.leaf(Variable("Do nothing", "fixed prompt"))
    net.leaf(Variable(start, "input", requires_grad=True))
    net.leaf(Variable(start, "fixed input"))
    _add_tools(net)
    for item in steps:
        STEPS[item[0]](net, *item[1:])
    read = {at for op in net.ops for at in op.reads}
    unread = [at for op in net.ops for at in op.makes if at not in read]
    for number, at in enumerate(unread or [3]):
        _judge(net, at, ends[number % len(ends)])
    return net


def _chat(net: Net, i: int, j: int, k: int, flags: int) -> None:
    prompt, second, x = j % 2, k % 3, net.pick(i, batched=bool(net.size))
    contents = [prompt, second] if flags & 1 else [prompt]
    values = net.values
    result = net.lab.chat([system(*(values[at] for at in contents)), user(values[1])], inputs={"x": values[x]})
    net.made(Op("chat", [*contents, 1, x]), result)


def _chat_list(net: Net, i: int, j: int, k: int, flags: int) -> None:
    """Several Variables, some perhaps twice, make the batch."""
    if not net.size:
        return _chat(net, i, j, k, flags)
    scalars = [net.pick(n, batched=False) for n in (i, j, k)][: net.size]
    values = net.values
    result = net.lab.chat([system(values[flags % 2])], inputs={"x": [values[at] for at in scalars]})
    net.made(Op("chat_list", [flags % 2, *scalars]), result)
    return None


def _loop(net: Net, i: int, j: int, k: int, flags: int) -> None:
    """A conversation with tools, perhaps with a learnable setting and a typed answer."""
    prompt, x = j % 2, net.pick(i, batched=bool(net.size))
    form = SCHEMA if flags & 2 else None
    loop = cog.ToolLoop(net.tools, max_turns=2 + k % 2, response_format=form)
    args = {"user": net.values[net.setting]} if flags & 1 else {}
    try:
        result = net.lab.loop(loop, [system(net.values[prompt]), user(net.values[1])], {"x": net.values[x]}, **args)
    except ToolError:  # no batch, and the model still calls tools: there is no typed answer
        return
    _conversation(net, result, [prompt, 1], [x, *net.described, *([net.setting] if args else [])])


def _turn(net: Net, i: int, j: int, k: int, flags: int) -> None:
    """One turn of some of the samples, with a typed answer."""
    prompt, x = j % 2, net.pick(i, batched=bool(net.size))
    mask = [bool((flags | 1) >> n & 1) for n in range(net.size)] if net.size else None
    messages = [system(net.values[prompt]), user(net.values[1])]
    args = {"response_format": SCHEMA, "mask": mask, "user": net.values[net.setting]}
    result = net.lab.turn(messages, {"x": net.values[x]}, **args)
    _conversation(net, result, [prompt, 1], [x, net.setting])


def _conversation(net: Net, result: OpResult[Any], contents: list[int], rest: list[int]) -> None:
    """The nodes of a conversation: its turns, the tools they called, its end."""
    turns = []
    for message in result.messages[2:]:
        if message["role"] == "assistant":
            turn = message["content"][0]
            active = [n for n, blocks in enumerate(turn._content) if blocks is not None] if net.size else None
            net.made(Op("turn", [*contents, *rest], info=active), turn)
            turns.append(turn)
        else:
            _results(net, turns[-1], message["content"])
        contents = [*contents, *(net.at(variable) for variable in message["content"])]
    if result.output is not turns[-1]:
        ends = [max(n for n, turn in enumerate(turns) if turn._content[sample]) for sample in range(net.size)]
        used = sorted(set(ends))
        asked = [[n for n, blocks in enumerate(turns[at]._content) if blocks is not None] for at in used]
        info = ([used.index(end) for end in ends], asked)
        net.made(Op("merge", [net.at(turns[at]) for at in used], info=info), result.output)
    if result.fields is not None:
        net.made(Op("fields", [net.at(result.output)]), *result.fields.values())


def _results(net: Net, turn: Any, results: list[Variable]) -> None:
    """What tools returned: each Variable among it is found where its text came from."""
    reads, told = [net.at(turn)], 0
    node: Any = next((result.grad_fn for result in results if result.requires_grad), None)
    places, variables = (node.ctx.places, node.ctx.arguments[1]) if node else ([], [])
    assert [result.requires_grad for result in results] == [
        any(place == number for place, _ in places) for number in range(len(results))
    ]
    for variable, (number, sample) in zip(variables, places, strict=True):
        text = results[number].data
        assert variable.data == (text[sample] if net.size else text)
        if all(value is not variable for value in net.values):
            inner = net.leaves[5]
            net.made(Op("add", [inner]), variable)
        reads.append(net.at(variable))
        told += 1
    texts = [text for result in results for text in (result.data if net.size else [result.data]) if text is not None]
    assert told == sum(text.startswith("tool's own") for text in texts)
    net.made(Op("run_tool", reads, info=(places, bool(net.size))), *results)


def _add(net: Net, i: int, j: int, k: int, flags: int) -> None:
    x, y = (net.pick(n, batched=bool(net.size)) for n in (i, j))
    if len(str(net.texts_at(x))) + len(str(net.texts_at(y))) < 2000:
        net.made(Op("add", [x, y]), net.values[x] + net.values[y])


def _sum(net: Net, i: int, j: int, k: int, flags: int) -> None:
    reads = [net.pick(n, batched=bool(net.size)) for n in (i, j, k)]
    if sum(len(str(net.texts_at(at))) for at in reads) < 2000:
        net.made(Op("sum", reads), F.sum([net.values[at] for at in reads]))


def _split(net: Net, i: int, j: int, k: int, flags: int) -> None:
    x = net.pick(i, batched=bool(net.size))
    net.made(Op("split", [x]), *F.split(net.values[x], "|", 2))


def _custom(net: Net, i: int, j: int, k: int, flags: int) -> None:
    x, y = (net.pick(n, batched=bool(net.size)) for n in (i, j))
    net.made(Op("custom", [x, y]), *Tangle.apply(net.values[x], net.values[y]))


def _evaluate(net: Net, i: int, j: int, k: int, flags: int) -> None:
    _judge(net, net.pick(i, batched=bool(net.size)), flags)


def _judge(net: Net, x: int, flags: int) -> None:
    """``flags``: which samples fail."""
    data, number = net.texts_at(x), len(net.losses)
    wrong = [bool(flags >> n & 1) for n in range(max(net.size, 1))]
    ids = tuple(f"e{number}s{n}" for n in range(len(wrong)))
    right = data if net.size else [data]
    wanted: Any = [f"not {text}" if bad else text for text, bad in zip(right, wrong, strict=True)]
    target = Variable(wanted if net.size else wanted[0], "target")
    target._samples = ids
    loss = F.exact_match_evaluator(net.values[x], target)
    op = Op("evaluate", [x])
    missing = [text is None for text in right]  # nothing is never right
    op.info = [(n if net.size else None, ids[n]) for n, bad in enumerate(wrong) if bad or missing[n]]
    net.ops.append(op)
    net.losses.append((loss, op))


STEPS = {
    "chat": _chat,
    "chat_list": _chat_list,
    "loop": _loop,
    "turn": _turn,
    "add": _add,
    "sum": _sum,
    "split": _split,
    "custom": _custom,
    "evaluate": _evaluate,
}

Piece = tuple[Any, int | None, frozenset[str]]
"""(where it was written, position in the batch, the samples it is about)"""


class Reference:
    """What must arrive, worked out from the structure by asking backwards: who read this value?"""

    def __init__(self, net: Net, seed: int | None) -> None:
        self.net, self.seed = net, seed
        self._known: dict[int, tuple[frozenset[Piece], bool]] = {}

    def at_value(self, value: int) -> tuple[frozenset[Piece], bool]:
        """The pieces that arrive at a value, and whether "nothing to improve" arrives there."""
        if not self.net.values[value].requires_grad:
            return frozenset(), False  # what a tool returned that learns nothing
        if value not in self._known:
            edges = [self.on_edge(op, at) for op, at in self.readers(value)]
            pieces = frozenset(piece for found, _ in edges for piece in found)
            if value == self.seed:
                pieces |= {("seed", None, frozenset())}
            self._known[value] = pieces, any(empty for _, empty in edges)
        return self._known[value]

    def readers(self, value: int) -> Iterator[tuple[Op, int]]:
        """The edges that lead to a value."""
        for op in self.net.ops:
            if self.is_walked(op):
                yield from ((op, at) for at, read in enumerate(op.reads) if read == value)

    def is_walked(self, op: Op) -> bool:
        return any(self.net.values[at].requires_grad for at in op.reads)

    def on_edge(self, op: Op, at: int) -> tuple[frozenset[Piece], bool]:
        """The pieces that one edge delivers, and whether it says that there is nothing to improve."""
        if op.kind == "evaluate":
            return frozenset((id(op), index, frozenset([sample])) for index, sample in op.info), not op.info
        arrived = [self.at_value(value) for value in op.makes]
        pieces = frozenset(piece for found, _ in arrived for piece in found)
        if not pieces:
            return pieces, any(empty for _, empty in arrived)
        if op.kind in ("run_tool", "fields"):
            return frozenset(self.from_tool(op, at, [found for found, _ in arrived])), False
        return frozenset(self.passed_on(op, at, self.asked(op, pieces))), False

    def asked(self, op: Op, pieces: frozenset[Piece]) -> frozenset[Piece]:
        """Those about samples that a turn was asked for: no others were its doing."""
        if op.kind != "turn" or op.info is None:
            return pieces
        return frozenset(piece for piece in pieces if piece[1] is None or piece[1] in op.info)

    def from_tool(self, op: Op, at: int, arrived: list[frozenset[Piece]]) -> Iterator[Piece]:
        """Each piece once to the turn; to what a tool returned, those on its own result."""
        if at == 0:
            for piece in frozenset(piece for found in arrived for piece in found):
                yield ((id(op), "about", piece), piece[1], piece[2])
            return
        places, batched = op.info
        number, sample = places[at - 1]
        for piece in arrived[number]:
            if not batched or piece[1] is None:
                yield piece
            elif piece[1] == sample:
                yield ((id(op), "of one", piece), None, piece[2])

    def ended(self, op: Op, at: int, pieces: frozenset[Piece]) -> Iterator[Piece]:
        """Each piece to the turn that its sample ended at."""
        ends, asked = op.info
        here = [sample for sample, end in enumerate(ends) if end == at]
        for piece in pieces:
            if piece[1] is not None:
                if ends[piece[1]] == at:
                    yield piece
            elif here == asked[at]:
                yield piece
            else:
                yield from (((id(op), "of one", piece, sample), sample, piece[2]) for sample in here)

    def passed_on(self, op: Op, at: int, pieces: frozenset[Piece]) -> Iterator[Piece]:
        read = op.reads[at]
        everything = frozenset(sample for _, _, ids in pieces for sample in ids)
        if not pieces:
            return
        if op.kind in ("add", "sum", "split"):
            yield from pieces
        elif op.kind == "merge":
            yield from self.ended(op, at, pieces)
        elif op.kind == "custom":
            index = next(iter(pieces))[1] if len(pieces) == 1 else None
            yield ((id(op), at), index, everything)
        elif op.kind == "chat_list" and at > 0:
            stands = [n - 1 for n, other in enumerate(op.reads) if n > 0 and other == read]
            ids = self.about(pieces, [*range(len(op.reads))] if read == op.reads[0] else stands)
            if ids is not None:
                yield ((id(op), read), None, ids)
        elif isinstance(self.net.values[read].data, list):
            for index in range(self.net.size) if op.kind != "turn" else op.info:
                if self.net.values[read].data[index] is None:
                    continue
                ids = self.about(pieces, [index])
                if ids is not None:
                    yield ((id(op), read, index), index, ids)
        else:
            yield ((id(op), read), None, everything)

    def about(self, pieces: frozenset[Piece], indices: list[int]) -> frozenset[str] | None:
        """The samples of the pieces about one of ``indices``; None: there is no such piece."""
        concerned = [ids for _, index, ids in pieces if index is None or index in indices]
        return frozenset(sample for ids in concerned for sample in ids) if concerned else None

    def leaf(self, value: int) -> tuple[Counter[frozenset[str]], int]:
        """Of a leaf: how often each set of samples arrives, and the number of different pieces."""
        edges = [self.on_edge(op, at) for op, at in self.readers(value)]
        counted = Counter(ids for found, _ in edges for _, _, ids in found)
        different = {piece for found, _ in edges for piece in found}
        if not counted and any(empty for _, empty in edges):
            return Counter([frozenset[str]()]), 1
        return counted, len(different)

    def critics(self) -> int:
        """How many nodes have something to work on."""
        chats = [op for op in self.net.ops if op.kind.startswith(("chat", "turn")) and self.is_walked(op)]
        return sum(1 for op in chats if self.asked(op, self.at_value(op.makes[0])[0]))


def run(lab: Lab, spec: Any, *, share: bool = False) -> tuple[Net, Reference]:
    """Build and walk the graph that ``spec`` says; ``share``: calls made one by one may share a critic."""
    lab.brain.rule, lab.brain.calling = by_role(forward=answering, backward=echo), calling
    net = build(lab, spec)
    _, _, summed, seeded, _ = spec
    roots = [loss.explanation for loss, _ in net.losses if loss.explanation.requires_grad]
    if summed and roots:
        roots = [F.sum([loss.score for loss, _ in net.losses if loss.score.requires_grad])]
    gradients: list[Variable | None] = [None] * len(roots)
    inner = [at for op in net.ops for at in op.makes if not net.values[at].is_leaf]
    seed = inner[-1] if seeded and inner else None
    if seed is not None:
        roots.append(net.values[seed])
        gradients.append(Variable("from outside", "feedback"))
    # Losses that are no roots of this pass are no readers of their predictions.
    net.ops = [op for op in net.ops if op.kind != "evaluate" or roots]
    if roots:
        with lab.settings(share_critics=share):
            lab.backward(roots, gradients)
    return net, _restricted(net, seed, roots)


def _restricted(net: Net, seed: int | None, roots: list[Variable]) -> Reference:
    reference = Reference(net, seed)
    reached = _reached(net, reference, seed)
    net.ops = [op for op in net.ops if id(op) in reached]
    return Reference(net, seed)


def _reached(net: Net, reference: Reference, seed: int | None) -> set[int]:
    """The ops from which feedback may start or pass: those below a root."""
    maker = {value: op for op in net.ops for value in op.makes}
    stack = [op for op in net.ops if op.kind == "evaluate" and reference.is_walked(op)]
    stack += [maker[seed]] if seed is not None else []
    found: set[int] = set()
    while stack:
        op = stack.pop()
        if id(op) not in found:
            found.add(id(op))
            stack += [maker[value] for value in op.reads if value in maker]
    return found


def check(net: Net, reference: Reference, *, joined: bool = False) -> None:
    """``joined``: like requests that are on their way at one time are one call."""
    for leaf in net.leaves:
        variable = net.values[leaf]
        if not variable.requires_grad:
            assert not variable.grad
            continue
        expected, different = reference.leaf(leaf)
        assert Counter(frozenset(gradient.samples) for gradient in variable.grad) == expected  # type: ignore[attr-defined]
        assert len({id(gradient) for gradient in variable.grad}) == different
        assert all(len(set(g.samples)) == len(g.samples) for g in variable.grad)  # type: ignore[attr-defined]
    calls, critics = net.lab.calls().get("backward", 0), reference.critics()
    assert calls <= critics if joined else calls == critics


@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True)
@pytest.mark.parametrize("size", SIZES)
@given(data=st.data())
def test_what_arrives_is_what_the_structure_says(size: int, data: st.DataObject) -> None:
    with open_lab() as lab:
        check(*run(lab, data.draw(specs_of(size))))


def _counted(value: Variable) -> Counter[str]:
    """How often each sample's feedback arrived."""
    return Counter(sample for gradient in value.grad for sample in gradient.samples)  # type: ignore[attr-defined]


@given(spec=specs)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_sharing_critics_saves_calls_and_loses_or_doubles_no_sample(spec: Any) -> None:
    with open_lab() as lab:
        alone, reference = run(lab, spec)
        calls = lab.calls().get("backward", 0)
        assert calls == reference.critics()
    with open_lab() as lab:
        shared, _ = run(lab, spec, share=True)
        assert lab.calls().get("backward", 0) <= calls
    for one, other in zip(_leaves(alone), _leaves(shared), strict=True):
        assert _counted(one) == _counted(other)


@given(spec=specs)
@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@pytest.mark.parametrize("drive", ["sync", "async"])
def test_over_http_the_same_arrives_in_the_same_order(drive: str, served: tuple[LMServer, Served], spec: Any) -> None:
    with open_lab() as lab:
        expected = [texts(value) for value in _leaves(run(lab, spec)[0])]
    with open_lab("http", drive, *served) as lab:
        net, reference = run(lab, spec)
        check(net, reference, joined=True)
        assert [texts(value) for value in _leaves(net)] == expected


def _leaves(net: Net) -> list[Variable]:
    return [net.values[at] for at in net.leaves]


def test_an_echo_names_exactly_the_samples_of_its_gradient(inline: Lab) -> None:
    net, _ = run(inline, (3, [("chat", 0, 0, 0, 1), ("chat", 0, 0, 0, 0)], False, False, [5]))
    for gradient in net.values[0].grad:
        assert gradient.data.startswith(f"[{';'.join(gradient.samples)}]")  # type: ignore[attr-defined]
        assert gradient.samples == ("e0s0", "e0s2")  # type: ignore[attr-defined]
    assert names_of(inline.brain.of("backward")[0].ask) == ["v1", "v2", "v3", "v5"]  # v4 is of sample 1


def test_sixteen_doublings_of_a_leaf_deliver_two(inline: Lab) -> None:
    leaf = Variable(1, "leaf", requires_grad=True)
    value = leaf
    for _ in range(16):
        value = value + value
    assert value.data == 2**16
    value.backward(Variable("too big", "feedback"))
    assert texts(leaf) == ["too big", "too big"]  # one for each edge that leads to it


@pytest.mark.parametrize("depth", [8, 16, 400])
def test_a_node_with_several_incoming_gradients_works_once(inline: Lab, depth: int) -> None:
    """Each of ``depth`` nodes is read twice: 2 ** depth paths, ``depth`` backward passes."""
    passes: list[int] = []

    class Counted(Tangle):
        @staticmethod
        def backward(ctx: Any, on_y: Variable, on_x: Variable) -> tuple[Variable, Variable]:
            passes.append(1)
            return on_y, on_x

    leaf = Variable("x", "leaf", requires_grad=True)
    left, right = leaf, leaf
    for _ in range(depth):
        left, right = Counted.apply(left, right)
    F.sum([left, right]).backward(Variable("wrong", "feedback"))
    assert len(passes) == depth
    assert texts(leaf) == ["wrong", "wrong"]
