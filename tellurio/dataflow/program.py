"""What belongs to the program, and to the models' habits: text that is no evidence.

The base file of plagiarism detectors, learned on the way: a text first seen in a prompt, and in no answer before it,
was written by the program (its templates, system prompts, documents).  An answer that quotes it, and a prompt that has
it again, are not linked by it.  What several calls wrote of their own accord is a habit of the model and says little.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain

from tellurio.dataflow.cover import Run
from tellurio.dataflow.outputs import GRAM, Outputs, grams
from tellurio.dataflow.tokens import Tokens, Vocabulary
from tellurio.dataflow.words import STOCK

__all__ = ["Program"]

HABIT = 3
"""So many calls that wrote the same without having read it make a habit."""


class Program:
    """Grams and words that are no evidence."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self.fixed: set[int] = set(chain.from_iterable(grams(Tokens(phrase, vocabulary).ids) for phrase in STOCK))
        self.words: set[int] = set()
        self.written: dict[int, int] = {}  # gram -> calls that wrote it of their own accord, after the first
        self._vocabulary = vocabulary

    def learn(self, ids: list[int], looked_up: list[int], explained: Iterable[Run], outputs: Outputs) -> None:
        """A prompt's text has been read: what no answer explains is the program's."""
        at = 0
        entries, carried = outputs.entries, outputs.carried
        for start, end in [*((run.start, run.end) for run in explained if run.end - run.start >= GRAM), (len(ids), 0)]:
            if at < start:
                self.fixed.update(gram for gram in looked_up[max(at - GRAM + 1, 0) : start] if gram not in entries)
                self.words.update(word for word in ids[at:start] if word not in carried)
            at = end

    def wrote(self, gram: int, parents: set[int], outputs: Outputs) -> None:
        """A call that read the answers of ``parents`` has answered with ``gram``."""
        if gram in outputs.entries and parents.isdisjoint(outputs.carriers(gram)):
            self.written[gram] = self.written.get(gram, 0) + 1

    def evidence(self, ids: list[int], looked_up: list[int]) -> list[int]:
        """How much each token of a prompt's text says: nothing where all grams through it are the program's."""
        weights = [self._vocabulary.weights[token] for token in ids]
        if not looked_up:
            return [0 if token in self.words else weight for token, weight in zip(ids, weights, strict=True)]
        fixed, written = self.fixed, self.written
        known = [1 if gram in fixed else 0 for gram in looked_up]
        if any(known):
            known = [known[0], known[0], *known, known[-1], known[-1]]
            shares = [a + b + c for a, b, c in zip(known, known[1:], known[2:], strict=False)]
            weights = [
                weight if not share else 0 if share == GRAM else weight // 2
                for weight, share in zip(weights, shares, strict=True)
            ]
        if written:
            for place, gram in enumerate(looked_up):
                if written.get(gram, 0) + 1 >= HABIT:
                    for token in range(place, place + GRAM):
                        weights[token] = min(weights[token], 1)
        return weights

    def weight(self, token: int) -> int:
        """Of a token by itself."""
        return self._vocabulary.weights[token]
