"""What belongs to the program, and to the models' habits: text that is no evidence.

The base file of plagiarism detectors, learned on the way: a text first seen in a prompt, and in no answer before it,
was written by the program (its templates, system prompts, documents).  An answer that quotes it, and a prompt that has
it again, are not linked by it.  What several calls wrote of their own accord is a habit of the model and says little.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain, compress, count, filterfalse

from tellurio.dataflow.outputs import GRAM, Outputs, grams
from tellurio.dataflow.slots import Slots
from tellurio.dataflow.tokens import ASKED, Tokens, Vocabulary
from tellurio.dataflow.words import STOCK

__all__ = ["Program"]

HALF, HARDLY = 3, 6
"""So many calls that used a word of their own accord make it say half as much, or hardly anything."""


class Program:
    """Grams and words that are no evidence."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self.fixed: set[int] = set(chain.from_iterable(grams(Tokens(phrase, vocabulary).ids) for phrase in STOCK))
        self.habits: dict[int, int] = {}  # gram -> calls that wrote it of their own accord, after the first
        self.slots = Slots()
        self._users: dict[int, list[int]] = {}  # token -> the first calls that used it of their own accord
        self._vocabulary = vocabulary

    def learn(self, tokens: Tokens, looked_up: list[int], answered: set[int], explained: list[tuple[int, int]]) -> None:
        """A prompt's text has been read: grams and words that no answer carries are the program's.

        Args:
            tokens: of the text.
            looked_up: its grams.
            answered: grams that answers carry or explain.
            explained: ranges of tokens that come from answers.
        """
        self.fixed.update(filterfalse(answered.__contains__, looked_up))
        seen = self._vocabulary.seen
        for token in tokens.new(seen):
            seen[token] = ASKED
        self.slots.add(tokens.data, explained)

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

    def evidence(self, ids: list[int], looked_up: list[int], start: int, end: int) -> list[int]:
        """How much each of the tokens ``[start, end)`` of a prompt's text says.

        Nothing, where all grams through it are the program's; hardly anything in a habit of the models.
        """
        weights = list(map(self._vocabulary.weights.__getitem__, ids[start:end]))
        if not looked_up:
            return [0 if self.knows(token) else weight for token, weight in zip(ids[start:end], weights, strict=True)]
        first = max(start - GRAM + 1, 0)
        through = looked_up[first:end]
        touched: dict[int, int] = {}
        for place in compress(count(first), map(self.fixed.__contains__, through)):
            for token in range(max(place, start), min(place + GRAM, end)):
                touched[token] = touched.get(token, 0) + 1
        for token, ours in touched.items():
            most = min(GRAM, token + 1, len(ids) - token)
            weights[token - start] = weights[token - start] // 2 if ours < most else 0
        if not self.habits.keys().isdisjoint(through):
            for place, gram in enumerate(through, first):
                if gram in self.habits:
                    least = 1 if self.habits[gram] < HALF - 1 else 0
                    for token in range(max(place, start), min(place + GRAM, end)):
                        weights[token - start] = min(weights[token - start], least)
        return weights

    def novel(self, looked_up: list[int]) -> int:
        """How many of these grams are neither the program's nor a habit."""
        return sum(gram not in self.fixed and gram not in self.habits for gram in looked_up)

    def ours(self, looked_up: list[int]) -> int:
        """How many of these grams are the program's."""
        return sum(gram in self.fixed for gram in looked_up)

    def knows(self, token: int) -> bool:
        """Whether a prompt had the token before any answer."""
        return self._vocabulary.seen[token] == ASKED

    def weight(self, token: int) -> int:
        """Of a token by itself."""
        return self._vocabulary.weights[token]

    def plain_weight(self, token: int) -> int:
        """The same, however often it has been used."""
        return self._vocabulary.plain[token]
