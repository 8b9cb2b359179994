"""What belongs to the program, and to the models' habits: text that is no evidence.

The base file of plagiarism detectors, learned on the way: a text first seen in a prompt, and in no answer before it,
was written by the program (its templates, system prompts, documents).  An answer that quotes it, and a prompt that has
it again, are not linked by it.  What several calls wrote of their own accord is a habit of the model and says little.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain

from tellurio.dataflow.outputs import GRAM, Outputs, grams
from tellurio.dataflow.slots import Slots
from tellurio.dataflow.tokens import Tokens, Vocabulary
from tellurio.dataflow.words import STOCK

__all__ = ["Program"]

HALF, HARDLY = 3, 6
"""So many calls that used a word of their own accord make it say half as much, or hardly anything."""


class Program:
    """Grams and words that are no evidence."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self.fixed: set[int] = set(chain.from_iterable(grams(Tokens(phrase, vocabulary).ids) for phrase in STOCK))
        self.words: set[int] = set()
        self.habits: dict[int, int] = {}  # gram -> calls that wrote it of their own accord, after the first
        self.slots = Slots()
        self._users: dict[int, list[int]] = {}  # token -> the first calls that used it of their own accord
        self._vocabulary = vocabulary

    def learn(self, ids: list[int], unknown: set[int], explained: list[tuple[int, int]], outputs: Outputs) -> None:
        """A prompt's text has been read: grams and words that no answer carries are the program's."""
        self.fixed |= unknown
        self.words |= set(ids) - outputs.carried
        self.slots.add(ids, explained)

    def wrote(self, gram: int, parents: set[int], outputs: Outputs) -> None:
        """A call that read the answers of ``parents`` (and wrote its own) has answered with ``gram``."""
        if gram in outputs.entries and parents.isdisjoint(outputs.carriers(gram)):
            self.habits[gram] = self.habits.get(gram, 0) + 1

    def used(self, ids: Iterable[int], call: int, parents: set[int]) -> None:
        """A call that read the answers of ``parents`` has answered with these tokens: words of the trade say less."""
        weights = self._vocabulary.weights
        for token in ids:
            if weights[token] > 1:
                users = self._users.setdefault(token, [])
                if parents.isdisjoint(users):
                    users.append(call)
                    if len(users) in (HALF, HARDLY):
                        weights[token] = weights[token] // 2 if len(users) == HALF else 1

    def evidence(self, ids: list[int], looked_up: list[int], judged: set[int]) -> list[int]:
        """How much each token of a prompt's text says: nothing where all grams through it are the program's.

        Right for the tokens whose grams are all in ``judged``.
        """
        weights = list(map(self._vocabulary.weights.__getitem__, ids))
        if not looked_up:
            return [0 if token in self.words else weight for token, weight in zip(ids, weights, strict=True)]
        habits = self.habits
        if ours := self.fixed & judged:
            touched: dict[int, int] = {}
            for place in [place for place, gram in enumerate(looked_up) if gram in ours]:
                for token in (place, place + 1, place + 2):
                    touched[token] = touched.get(token, 0) + 1
            for token, count in touched.items():
                through = min(GRAM, token + 1, len(ids) - token)
                weights[token] = weights[token] // 2 if count < through else 0
        if habitual := habits.keys() & judged:
            for place, gram in enumerate(looked_up):
                if gram in habitual:
                    for token in range(place, place + GRAM):
                        weights[token] = min(weights[token], 1 if habits[gram] < HALF - 1 else 0)
        return weights

    def novel(self, looked_up: list[int]) -> int:
        """How many of these grams are neither the program's nor a habit."""
        return sum(gram not in self.fixed and gram not in self.habits for gram in looked_up)

    def ours(self, looked_up: list[int]) -> int:
        """How many of these grams are the program's."""
        return sum(gram in self.fixed for gram in looked_up)

    def weight(self, token: int) -> int:
        """Of a token by itself."""
        return self._vocabulary.weights[token]

    def plain_weight(self, token: int) -> int:
        """The same, however often it has been used."""
        return self._vocabulary.plain[token]
