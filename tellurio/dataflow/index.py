"""Edges between LM calls, inferred from what their texts have in common."""

from __future__ import annotations

import json
from array import array
from collections.abc import Iterable
from hashlib import blake2b
from typing import Any, NamedTuple

from tellurio.dataflow.cover import Run, cover, longest_runs
from tellurio.dataflow.edges import Edge, Link, Span
from tellurio.dataflow.judge import ENOUGH_VALUES, Judge
from tellurio.dataflow.outputs import CARRIERS, GRAM, Outputs, Text, grams
from tellurio.dataflow.program import Program
from tellurio.dataflow.readers import Answer, Leaf, Part, read_request, read_response
from tellurio.dataflow.tokens import UNIT, Tokens, Vocabulary
from tellurio.dataflow.variants import variants

__all__ = ["ContentIndex", "StoredCall"]

CERTAIN = 1_000 * UNIT
"""Weight of what needs no text: an answer given back as the assistant's message, the id of a tool call."""


SLACK = 0.05
"""Seconds by which clocks may disagree about what was first."""


MOST_LOST = 32
"""So many stretches of one text that lost to others are told of, the longest."""

_ENCODER = json.JSONEncoder(sort_keys=True, ensure_ascii=False, default=str)


class StoredCall(NamedTuple):
    """A call as it was recorded; times in seconds, None if they are not known."""

    call_id: str
    request: Any
    response: Any
    api_format: str = ""
    started: float | None = None
    finished: float | None = None


class _Hit(NamedTuple):
    """Text of a part that an earlier answer explains; ``leaf`` is a path below the part's."""

    source: int
    leaf: str
    start: int
    end: int
    origin: Span
    weight: int
    strong: bool = True
    unit: bool = True
    lost: bool = False


class _Read(NamedTuple):
    """A leaf that was looked up, to be learned from when the whole request has been."""

    tokens: Tokens
    looked_up: list[int]
    answered: set[int]  # grams that answers carry or explain
    explained: list[tuple[int, int]]  # tokens that answers explain


class ContentIndex:
    """The texts of one Run's calls, and what went from which answer into which request.

    Feed it in the order in which things arrive: `query` when a call starts, `insert` when it is answered; or `call`
    for calls that are over, in the order of their ends.  The same calls in the same order give the same edges, in any
    process; so an index is never stored, it is rebuilt (`replay`).  No I/O, no clock, no global state.  Not safe for
    threads at once.

    What makes an edge, strongest first:

    - **An id of a tool call** that an answer made up and a request gives back, whatever the texts are.
    - **An assistant's message** that is an earlier answer.  Each request of a chat gives back all answers so far, so
      each call of a chat has an edge from every earlier one: its model did read them all.  (A graph that wants less
      ink can leave out what a path explains; the index can't know what its reader asks.)
    - **A run of text** that weighs enough: words count 1, frequent words a quarter, numbers and ids by their length;
      text of the program (first seen in a prompt) counts nothing, words and phrases that several calls used of their
      own accord count less and less.
    - **A whole unit**, a value as a program takes it out (JSON value, list line, tagged or quoted text, ...), needs
      less.  A single ordinary word makes an edge only if it is a unit of the prompt too; amid a sentence only a name, a
      rare or long word or a number that one of the latest answers had as a value; and a word that a prompt offered
      only as all of a field, just after it was answered.
    - **A template's place** that answers filled before.  Where the program filled it with a word of its own, another
      word that some answer has as well is chance.

    Less than that makes a *weak* edge.  Text that several answers carry is explained by the most recent of them; the
    others get *alternative* edges if they would have been enough.

    A message that was seen before costs its hash; its edges are those found when it was seen first, but that the last
    message of a request comes from the latest call that gave the same answer.

    Attributes:
        lookups: how many looks into the tables there were: what it has cost, without a clock.
    """

    def __init__(self) -> None:
        self.lookups = 0
        self._vocabulary = Vocabulary()
        self._outputs = Outputs(self._vocabulary)
        self._program = Program(self._vocabulary)
        self._numbers: dict[str, int] = {}
        self._ids: list[str] = []
        self._parents: list[set[int]] = []
        self._finished: list[float | None] = []
        self._answered: dict[int, int] = {}  # call -> how many were answered before
        self._messages: dict[bytes, list[_Hit]] = {}
        self._threads: dict[bytes, int] = {}  # all parts of a request, in order -> the latest call that asked it
        self._answers: dict[bytes, list[tuple[int, tuple[Leaf, ...]]]] = {}
        self._said: dict[int, bytes] = {}  # call -> key of its answer
        self._issued: dict[str, list[tuple[int, Span]]] = {}

    # --- Feeding

    def call(
        self,
        call_id: str,
        request: Any,
        response: Any,
        api_format: str = "",
        *,
        started: float | None = None,
        finished: float | None = None,
    ) -> list[Edge]:
        """`query` and `insert` of a call that is over.  With times, no edge comes from an answer after ``started``."""
        edges = self.query(call_id, request, api_format, started=started)
        self.insert(call_id, response, api_format, finished=finished)
        return edges

    def query(self, call_id: str, request: Any, api_format: str = "", *, started: float | None = None) -> list[Edge]:
        """The edges into a call with this request's body, in the order in which their sources were first seen.

        Bodies are what ``json.loads`` gives, or a text; what cannot be read has no edges.  Asking twice for the same
        call (a retry of its transport) is asking once more.
        """
        number = self._number(call_id)
        hits: list[tuple[str, _Hit]] = []
        read: list[_Read] = []
        thread = b""
        parts = list(read_request(request, api_format))
        for part in parts:
            before, thread, key = thread, *_keys(thread, part)
            known = self._messages.get(key)
            self.lookups += 1
            if known is None:
                known = self._messages[key] = self._hits(part, before, read, started)
            elif part is parts[-1]:
                known = [self._said_again(hit, started) for hit in known]
            hits += ((part.path, hit) for hit in known)
        for leaf in read:
            self._program.learn(*leaf)
        self._threads[thread] = number
        hits = [(path, hit) for path, hit in hits if hit.source != number and self._before(hit.source, started)]
        self._parents[number] |= {hit.source for _, hit in hits}
        return self._edges(call_id, hits)

    def insert(self, call_id: str, response: Any, api_format: str = "", *, finished: float | None = None) -> None:
        """A call was answered with this body; None, or an error's body, adds nothing."""
        number = self._number(call_id)
        self._finished[number] = finished
        self._answered[number] = len(self._answered)
        for answer in read_response(response, api_format):
            for leaf in answer.leaves:
                self._insert_leaf(number, leaf)
            self._enter_answer(number, answer)

    @classmethod
    def replay(cls, calls: Iterable[StoredCall]) -> ContentIndex:
        """The index after `call` of each of ``calls``."""
        index = cls()
        for stored in calls:
            index.call(*stored[:4], started=stored.started, finished=stored.finished)
        return index

    # --- Calls

    def _number(self, call_id: str) -> int:
        number = self._numbers.get(call_id)
        if number is None:
            number = self._numbers[call_id] = len(self._ids)
            self._ids.append(call_id)
            self._parents.append(set())
            self._finished.append(None)
        return number

    def _before(self, source: int, started: float | None) -> bool:
        finished = self._finished[source]
        return started is None or finished is None or finished <= started + SLACK

    # --- Answers

    def _insert_leaf(self, number: int, leaf: Leaf) -> None:
        tokens = Tokens(leaf.text, self._vocabulary)
        if not tokens.ids:
            return
        _, chosen = self._outputs.add(number, leaf.path, tokens)
        self._enter(number, chosen)
        self._program.used(set(tokens.ids), number, self._parents[number] | {number})
        for start, end, other in variants(leaf.text):
            text, chosen = self._outputs.add(number, leaf.path, Tokens(other, self._vocabulary))
            text.rewritten = True
            text.starts, text.ends = array("I", [start] * len(text.starts)), array("I", [end] * len(text.ends))
            self._enter(number, chosen)

    def _enter(self, number: int, chosen: list[tuple[int, int]]) -> None:
        program, outputs, parents = self._program, self._outputs, self._parents[number]
        self.lookups += len(chosen)
        for gram, place in chosen:
            if gram not in program.fixed:
                program.wrote(gram, parents | {number}, outputs)
                outputs.enter(gram, place)

    def _enter_answer(self, number: int, answer: Answer) -> None:
        spoken = [leaf for leaf in answer.leaves if not _thought(leaf.path)]
        ways = [answer.leaves, spoken, *([leaf] for leaf in answer.leaves[:32])]
        if answer.leaves:
            self._said[number] = _answer_key(answer.leaves)
        for key, leaves in {_answer_key(leaves): tuple(leaves) for leaves in ways if leaves}.items():
            entries = self._answers.setdefault(key, [])
            entries.append((number, leaves))
            del entries[:-CARRIERS]
        for issued, path in answer.ids:
            below = [leaf for leaf in answer.leaves if leaf.path.startswith(path + "/")]
            span = Span(below[0].path, 0, len(below[0].text)) if below else Span(path, 0, 0)
            entries_of_id = self._issued.setdefault(issued, [])
            entries_of_id.append((number, span))
            del entries_of_id[:-CARRIERS]

    # --- Requests

    def _hits(self, part: Part, before: bytes, read: list[_Read], started: float | None) -> list[_Hit]:
        """What earlier answers explain of a part that is new."""
        hits = self._by_ids(part, started)
        if part.model:
            spoken = self._spoken(part, before, started)
            if hits or spoken:
                return hits + spoken
        for leaf in part.leaves:
            hits += self._by_text(leaf._replace(path=leaf.path[len(part.path) :]), leaf.text, read, started)
        return hits

    def _said_again(self, hit: _Hit, started: float | None) -> _Hit:
        """Of a message that is asked once more: its source is the latest call that gave the very same answer.

        (Not the latest that carries the text: the first answer to this message may quote it.)
        """
        entries = self._answers.get(self._said.get(hit.source, b""), ())
        later = [source for source, _ in entries if source > hit.source and self._before(source, started)]
        return hit._replace(source=later[-1]) if later else hit

    def _by_ids(self, part: Part, started: float | None) -> list[_Hit]:
        hits = []
        for given, path in dict.fromkeys(part.ids):
            sources = [found for found in self._issued.get(given, ()) if self._before(found[0], started)]
            if sources:
                leaf = next((leaf for leaf in part.leaves if leaf.path.startswith(path)), Leaf(path, ""))
                source, origin = sources[-1]
                hits.append(_Hit(source, leaf.path[len(part.path) :], 0, len(leaf.text), origin, CERTAIN))
        return hits

    def _spoken(self, part: Part, before: bytes, started: float | None) -> list[_Hit]:
        """The call whose answer this message is: the one that was asked all that stands before it, or the latest."""
        found = self._answers.get(_answer_key(part.leaves), []) if part.leaves else []
        found = [entry for entry in found if self._before(entry[0], started)]
        if not found:
            return []
        asked = self._threads.get(before)
        source, leaves = next((entry for entry in found if entry[0] == asked), found[-1])
        return [
            _Hit(
                source, leaf.path[len(part.path) :], 0, len(leaf.text), Span(origin.path, 0, len(origin.text)), CERTAIN
            )
            for leaf, origin in zip(part.leaves, leaves, strict=False)
        ]

    def _by_text(self, leaf: Leaf, text: str, read: list[_Read], started: float | None) -> list[_Hit]:
        tokens = Tokens(text, self._vocabulary)
        looked_up = grams(tokens.ids)
        self.lookups += 3 * len(tokens.ids)
        outputs = self._outputs
        texts = outputs.texts
        known = outputs.known(looked_up)
        seeds = outputs.seeds(looked_up, known)
        runs = [Run(place, place + length, *where) for place, length, *where in outputs.short_seeds(tokens.ids)]
        if started is not None:
            seeds = (seed for seed in seeds if self._before(texts[seed[1]].call, started))
            runs = [run for run in runs if self._before(texts[run.carrier].call, started)]
        runs = longest_runs(tokens.data, seeds, texts.__getitem__, GRAM) + runs
        self.lookups += len(known) + len(runs)
        if not runs:
            read.append(_Read(tokens, looked_up, known, []))
            return []
        judge = Judge(tokens, looked_up, runs, self._program)
        chosen, lost = cover(runs, _least, self._derived)
        judged = [(run, self._hit(run, leaf, tokens, judge, lost=False)) for run in chosen]
        won = list(judged)
        for run in sorted(lost, key=_length, reverse=True)[:MOST_LOST]:
            hit = self._hit(run, leaf, tokens, judge, lost=True)
            judged.append((run, hit._replace(lost=False) if hit and self._is_own(run, hit, won) else hit))
        explained = [(run.start, run.end) for run, hit in judged if hit and hit.strong and not hit.lost]
        covered = (looked_up[run.start : run.end - GRAM + 1] for run in chosen if run.end - run.start >= GRAM)
        # A short value that was put into a template makes no stretch with it that is the program's.
        around = (looked_up[max(start - GRAM + 1, 0) : end] for start, end in explained if end - start < GRAM)
        read.append(_Read(tokens, looked_up, known.union(*covered, *around), explained))
        return [hit for _, hit in judged if hit]

    def _is_own(self, lost: Run, hit: _Hit, won: list[tuple[Run, _Hit | None]]) -> bool:
        """Whether only longer stretches of the same call took this one's place, which say less than it does."""
        winners = [(run, other) for run, other in won if run.start < lost.end and run.end > lost.start]
        return all(
            self._outputs.texts[run.carrier].call == hit.source and not (other and other.strong)
            for run, other in winners
        )

    def _derived(self, carrier: int, other: int) -> bool:
        first, second = self._outputs.texts[carrier].call, self._outputs.texts[other].call
        return first == second or first in self._parents[second]

    def _hit(self, run: Run, leaf: Leaf, tokens: Tokens, judge: Judge, *, lost: bool) -> _Hit | None:
        text: Text = self._outputs.texts[run.carrier]
        verdict = judge.verdict(run, text, len(self._answered) - self._answered[text.call])
        if not verdict.weight or (lost and not verdict.strong):
            return None
        last = run.origin + run.end - run.start - 1
        origin = Span(text.path, text.starts[run.origin], text.ends[last])
        return _Hit(text.call, leaf.path, tokens.start(run.start), tokens.end(run.end - 1), origin, *verdict, lost)

    # --- Edges

    def _edges(self, call_id: str, hits: list[tuple[str, _Hit]]) -> list[Edge]:
        by_source: dict[int, list[tuple[str, _Hit]]] = {}
        for path, hit in hits:
            by_source.setdefault(hit.source, []).append((path, hit))
        return [self._edge(call_id, source, by_source[source]) for source in sorted(by_source)]

    def _edge(self, call_id: str, source: int, hits: list[tuple[str, _Hit]]) -> Edge:
        won = [(path, hit) for path, hit in hits if not hit.lost]
        values = {(hit.origin, hit.weight) for _, hit in won if hit.unit}
        strong = any(hit.strong for _, hit in won) or sum(weight for _, weight in values) >= ENOUGH_VALUES
        alternative = not strong and any(hit.lost for _, hit in hits)
        kept = [(path, hit) for path, hit in hits if hit.lost] if alternative else won
        weak = not strong and not alternative
        return Edge(
            self._ids[source],
            call_id,
            _confidence(sum({hit.origin: hit.weight for _, hit in kept}.values()), weak=weak, alternative=alternative),
            weak,
            alternative,
            tuple(sorted({Link(Span(path + hit.leaf, hit.start, hit.end), hit.origin) for path, hit in kept})),
        )


def _length(run: Run) -> int:
    return run.end - run.start


def _least(run: Run) -> int:
    return min(run.end - run.start, GRAM)


def _confidence(weight: int, *, weak: bool, alternative: bool) -> float:
    """Three words' worth are 0.6, twenty 0.9; shown edges have a half at least, weak ones less, alternatives half."""
    if weight >= CERTAIN and not alternative:
        return 1.0
    confidence = weight / (weight + 2 * UNIT)
    return round(min(confidence, 0.45) if weak else max(confidence, 0.5) / (2 if alternative else 1), 3)


def _keys(thread: bytes, part: Part) -> tuple[bytes, bytes]:
    """Of all parts up to this one, and of the part: what an assistant says is told by what stands before it."""
    try:
        value = _ENCODER.encode(part.value)
    except (RecursionError, TypeError):  # too deep, or keys that JSON does not have
        value = json.dumps(part.leaves, ensure_ascii=False)
    digest = blake2b(value.encode("utf-8", "surrogatepass"), digest_size=16).digest()
    thread = blake2b(thread + digest, digest_size=16).digest()
    return thread, thread if part.model else digest


def _answer_key(leaves: Iterable[Leaf]) -> bytes:
    text = "\n".join(leaf.text.strip() for leaf in leaves)
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()


def _thought(path: str) -> bool:
    return any(name in ("thinking", "reasoning", "reasoning_content", "thought", "summary") for name in path.split("/"))
