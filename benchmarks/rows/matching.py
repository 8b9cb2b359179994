"""What it costs to find where the text of a prompt came from."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from itertools import accumulate
from statistics import median
from time import process_time
from typing import Any

from benchmarks.figures import Figure
from tellurio.dataflow import ContentIndex, Edge
from tellurio.dataflow.words import COMMON

__all__ = ["NOTES", "matching_figures"]

PROMPT, CHAT = 1.0, 10.0  # ms
SIZES = (200, 1_000, 2_000)
MESSAGES, ANSWERS = 100, 200

NOTES = (
    (
        "A prompt of 2 KB, a third of it copied from one of the stored outputs of 2 KB each; frequent and rare words "
        "are mixed as in English. Milliseconds of the process's own CPU time. The edge, and no other, is found each "
        "time, or the row fails. The control splits as many texts into words by a regular expression, five times over: "
        "it moves with the machine's load, as the row does."
    ),
    (
        "The chat is asked with all that was said: 50 questions and 50 answers of 500 bytes, beside 150 other stored "
        "outputs of 2 KB. Its last call is measured, which has an edge from each answer."
    ),
)


class _Texts:
    """Texts with words as frequent as in English, sentences of 8 to 20 words; the same ones each time."""

    def __init__(self) -> None:
        self._random = random.Random(20)
        syllables = [a + b for a in "bcdfglmnprstv" for b in "aeiou"]
        rare = ["".join(self._random.choices(syllables, k=self._random.randint(2, 4))) for _ in range(20_000)]
        first = ["the", "of", "and", "to", "in", "a", "is", "that", "for", "it", "as", "was", "with", "be", "by", "on"]
        self._words = [*first, *self._random.sample(sorted(COMMON), 600), *rare]
        self._weights = list(accumulate(1 / (rank + 2) for rank in range(len(self._words))))

    def text(self, size: int) -> str:
        words: list[str] = []
        while sum(map(len, words)) + len(words) < size:
            sentence = self._random.choices(self._words, cum_weights=self._weights, k=self._random.randint(8, 20))
            words += [sentence[0].capitalize(), *sentence[1:-1], sentence[-1] + "."]
        return " ".join(words)[:size]


def matching_figures(quick: bool) -> Iterator[Figure]:
    """Milliseconds a call, with few and with many stored outputs; and for a long chat."""
    texts, smallest = _Texts(), 0.0
    for size in (20, 40) if quick else SIZES:
        times = _prompts(texts, size, 3 if quick else 100)
        smallest = smallest or median(times)
        yield Figure(
            f"matching.prompt.{size}",
            f"matching a prompt of 2 KB against {size:,} stored outputs",
            times,
            "ms",
            None if quick else PROMPT,
            compared=f"{median(times) / smallest:.2f} of the fewest outputs; control: {_control(texts):.2f} ms",
        )
    yield Figure(
        "matching.chat",
        f"matching a chat of {MESSAGES} messages, {ANSWERS} stored outputs",
        _chat(texts, 10 if quick else MESSAGES, 20 if quick else ANSWERS, 3 if quick else 20),
        "ms",
        None if quick else CHAT,
    )


def _prompts(texts: _Texts, size: int, repeats: int) -> list[float]:
    index, outputs = ContentIndex(), [texts.text(2_000) for _ in range(size)]
    for number, output in enumerate(outputs):
        index.insert(str(number), _answering(output), "openai.chat")
    times: list[float] = []
    for repeat in range(repeats):
        source = repeat * 7919 % size
        request = _asking([texts.text(900) + " " + outputs[source][600:1_300] + " " + texts.text(400)])
        found = [edge.source for edge in _query(index, f"asks-{repeat}", request, times) if edge.shown]
        if found != [str(source)]:
            raise RuntimeError(f"the prompt quotes output {source}, found were {found}")
    return times


def _control(texts: _Texts) -> float:
    words, times = re.compile(r"\w+"), []
    for text in [texts.text(2_000) for _ in range(50)]:
        before = process_time()
        for _ in range(5):
            words.findall(text)
        times.append(1_000 * (process_time() - before))
    return median(times)


def _chat(texts: _Texts, messages: int, outputs: int, repeats: int) -> list[float]:
    times: list[float] = []
    for _ in range(repeats):
        index, said = ContentIndex(), [texts.text(500)]
        for number in range(outputs - messages // 2):
            index.insert(f"other-{number}", _answering(texts.text(2_000)), "openai.chat")
        for turn in range(messages // 2):
            index.query(f"turn-{turn}", _asking(said), "openai.chat")
            said += [texts.text(500), texts.text(500)]
            index.insert(f"turn-{turn}", _answering(said[-2]), "openai.chat")
        edges = _query(index, "last", _asking(said), times)
        if sum(edge.shown for edge in edges) != messages // 2:
            raise RuntimeError(f"{messages // 2} answers were sent again, found were {len(edges)}")
    return times


def _query(index: ContentIndex, call: str, request: dict[str, Any], times: list[float]) -> list[Edge]:
    before = process_time()
    edges = index.query(call, request, "openai.chat")
    times.append(1_000 * (process_time() - before))
    return edges


def _asking(said: list[str]) -> dict[str, Any]:
    roles = ("user", "assistant")
    messages = [{"role": roles[place % 2], "content": text} for place, text in enumerate(said)]
    return {"model": "m", "messages": [{"role": "system", "content": "You are a helpful assistant."}, *messages]}


def _answering(text: str) -> dict[str, Any]:
    return {"choices": [{"message": {"role": "assistant", "content": text}}]}
