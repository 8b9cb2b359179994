"""`Pool`: candidates with their scores sample by sample, and who of them is worth keeping.

A candidate that is best on some sample knows something the others do not: it stays, though its mean may be lower.

Source: the Pareto selection of GEPA, Agrawal et al., arXiv:2507.19457.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import random

__all__ = ["NAMELESS", "Candidate", "Pool", "mean"]

NAMELESS = "#"
"""What the ids of samples begin with that have no name of their own."""

REMEMBERED = 256
"""Samples without a name whose scores are kept: they do not come again."""


@dataclass(slots=True)
class Candidate:
    """Values of all parameters, and what they scored.

    Attributes:
        number: counts the candidates, from 0, the start.
        values: one for each parameter.
        scores: sample id -> score, higher is better.
        guesses: what it is taken to score on samples of earlier batches, which it has not seen: what its parents did.
        parents: numbers of those it was made from.
        reasoning: why each value is as it is, in the model's words.
    """

    number: int
    values: tuple[Any, ...]
    scores: dict[str, float] = field(default_factory=dict)
    guesses: dict[str, float] = field(default_factory=dict)
    parents: tuple[int, ...] = ()
    reasoning: tuple[str, ...] = ()

    @property
    def estimate(self) -> dict[str, float]:
        """Sample id -> its score, known or guessed."""
        return {**self.guesses, **self.scores}

    def scored(self, scores: Mapping[str, float]) -> None:
        """Take in scores; of samples without a name only the last `REMEMBERED` are kept."""
        self.scores |= scores
        for table in (self.scores, self.guesses):
            nameless = [name for name in table if name.startswith(NAMELESS)]
            for name in nameless[:-REMEMBERED]:
                del table[name]


@dataclass(slots=True)
class Pool:
    """The candidates that are kept.

    Attributes:
        size: most candidates.
        members: the candidates, oldest first.
        start: the values of the first one, which every other comes from.
        count: candidates made so far.
        merged: pairs of numbers that were merged.
    """

    size: int
    members: list[Candidate] = field(default_factory=list)
    start: tuple[Any, ...] = ()
    count: int = 0
    merged: set[tuple[int, int]] = field(default_factory=set)

    def add(self, values: Sequence[Any], parents: Sequence[Candidate] = (), reasoning: Sequence[str] = ()) -> Candidate:
        """A candidate with these values: the one there is, or a new one."""
        known = self.find(values)
        if known is not None:
            return known
        numbers = tuple(parent.number for parent in parents)
        made = Candidate(self.count, tuple(values), {}, _inherited(parents), numbers, tuple(reasoning))
        self.start = self.start or made.values
        self.count += 1
        self.members.append(made)
        return made

    def find(self, values: Sequence[Any]) -> Candidate | None:
        """The member with these values."""
        return next((member for member in self.members if _same(member.values, values)), None)

    def drop(self, values: Sequence[Any]) -> None:
        """Let go of the member with these values, if there is one."""
        self.members = [member for member in self.members if not _same(member.values, values)]

    def wins(self) -> dict[int, set[str]]:
        """Number of each member that none makes superfluous -> the samples on which none is better.

        Samples of earlier batches count too, by the scores of a member or of its parents.
        """
        found = {member.number: member.estimate for member in self.members}
        common = set.intersection(*map(set, found.values())) if found else set()
        best = {sample: max(scores[sample] for scores in found.values()) for sample in common}
        wins = {
            number: {sample for sample in common if scores[sample] == best[sample]} for number, scores in found.items()
        }
        for member in sorted(self.members, key=lambda one: (mean(found[one.number], common), -one.number)):
            others = [samples for number, samples in wins.items() if number != member.number]
            if others and wins[member.number] <= set().union(*others):
                del wins[member.number]
        return wins

    def parents(self, count: int, rng: random.Random, first: Candidate) -> list[Candidate]:
        """At most ``count`` members to go on from: ``first``, the others drawn by the samples they are best on."""
        wins = self.wins()
        front = [member for member in self.members if member.number in wins and member is not first]
        drawn = [first]
        while front and len(drawn) < count:
            weights = [max(len(wins[member.number]), 1) for member in front]
            drawn.append(front.pop(rng.choices(range(len(front)), weights)[0]))
        return drawn

    def pairs(self, count: int) -> list[tuple[Candidate, Candidate]]:
        """At most ``count`` pairs of members that are each best on samples of their own and were not merged yet."""
        wins = self.wins()
        front = sorted(
            (member for member in self.members if member.number in wins),
            key=lambda member: (-len(wins[member.number]), member.number),
        )
        found: list[tuple[Candidate, Candidate]] = []
        for place, one in enumerate(front):
            for other in front[place + 1 :]:
                apart = wins[one.number] - wins[other.number] and wins[other.number] - wins[one.number]
                if len(found) < count and apart and _pair(one, other) not in self.merged:
                    self.merged.add(_pair(one, other))
                    found.append((one, other))
        return found

    def prune(self, keep: Candidate) -> None:
        """Let go of the worst until the pool has its size again; ``keep`` stays."""
        wins = self.wins()
        ranked = sorted(
            self.members,
            key=lambda one: (one is keep, one.number in wins, mean(one.estimate), -one.number),
            reverse=True,
        )
        kept = {member.number for member in ranked[: self.size]}
        self.members = [member for member in self.members if member.number in kept]
        self.merged = {pair for pair in self.merged if set(pair) <= kept}

    # state

    def state(self) -> dict[str, Any]:
        """All of it as plain values."""
        return {
            "members": [asdict(member) for member in self.members],
            "start": self.start,
            "count": self.count,
            "merged": sorted(self.merged),
        }

    def load(self, state: Any) -> None:
        """Take over what `state` returned, from JSON too."""
        self.members = [
            Candidate(
                one["number"],
                tuple(one["values"]),
                dict(one["scores"]),
                dict(one["guesses"]),
                tuple(one["parents"]),
                tuple(one["reasoning"]),
            )
            for one in state["members"]
        ]
        self.start, self.count = tuple(state["start"]), state["count"]
        self.merged = {(first, second) for first, second in state["merged"]}


def mean(scores: dict[str, float], samples: Iterable[str] | None = None) -> float:
    """The mean score over ``samples``, or over all; one without a score counts 0, or as the worst if that is less."""
    names = list(scores if samples is None else samples)
    worst = min([0.0, *scores.values()])
    return sum(scores.get(name, worst) for name in names) / len(names) if names else 0.0


def _inherited(parents: Sequence[Candidate]) -> dict[str, float]:
    """What a child is taken to score where it was not tried: the mean of its parents."""
    estimates = [parent.estimate for parent in parents]
    samples = {name: None for scores in estimates for name in scores}
    return {
        name: sum(scores[name] for scores in estimates if name in scores) / sum(name in scores for scores in estimates)
        for name in samples
    }


def _pair(one: Candidate, other: Candidate) -> tuple[int, int]:
    return min(one.number, other.number), max(one.number, other.number)


def _same(one: Sequence[Any], other: Sequence[Any]) -> bool:
    return list(one) == list(other) and [type(value) for value in one] == [type(value) for value in other]
