"""`Evolution`: a reflective evolutionary search over prompts and settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from afnio import _dispatch
from afnio.domain import Choice, Number
from afnio.errors import ReplyContractError
from afnio.gradient import Gradient
from afnio.optim.bench import Bench
from afnio.optim.constraint import checked_constraints
from afnio.optim.evaluation import Evaluation, all_right
from afnio.optim.groups import (
    check_count,
    check_group,
    check_params,
    copied_inputs,
    copied_messages,
    label_of,
    tgd_item,
)
from afnio.optim.optimizer import HISTORY, Params
from afnio.optim.pool import NAMELESS, Candidate, Pool, mean
from afnio.optim.search import Search, propose
from afnio.optim.update import Proposal, TGDItem, Version, tgd_update
from afnio.variable import Variable
from afnio.words import Words
from afnio.words.evolution import DIRECTIONS, EVOLUTION_USER, MERGE, SETTINGS
from afnio.words.optimizer import OPTIMIZER, PLACES

__all__ = ["EVOLUTION_MESSAGES", "Evolution", "evolution_update"]

_OWN = ("parents", "proposals", "merges", "pool", "seed", "reuse_answers")
"""Arguments that are no settings of a group."""

EVOLUTION_MESSAGES: list[dict[str, Any]] = [
    {"role": "system", "content": [Variable(OPTIMIZER.system, "system prompt of the evolutionary search")]},
    {"role": "user", "content": [Variable(EVOLUTION_USER, "user prompt of the evolutionary search")]},
]
"""The default messages.  Yours may use the places of `TGD_MESSAGES` and ``{direction}``."""


class Evolution(Search):
    """Reflective evolutionary search: several proposals from several parents, tried, the best kept.

    A step evaluates the pool's candidates on the batch by the closure, takes the present one and others that are best
    on some sample as parents, has the model write ``proposals`` new versions of each from the feedback on it (all at
    once, each in a direction of its own), merges two that are best on different samples, and tries what came of it.
    It holds the best of those that do no worse on the batch than the present values; samples of earlier batches
    count too, where a candidate has not seen them by the scores of its parents.  So a step never makes its batch
    worse, and a proposal that cannot be used costs only itself.

    Args:
        params: parameters, or pairs, or groups: see `TGD`.  Texts, `Choice` and `Number`.
        model_client: the model that writes: a client, or a path such as ``"openai/gpt-5"``.
        messages: what it is told; see `EVOLUTION_MESSAGES`.
        inputs: what fills further ``{placeholders}`` of ``messages``.
        constraints: rules a new value must keep: strings, Variables, or `Constraint` with a check.
        parents: candidates to go on from in a step.
        proposals: new versions of each of them.
        merges: pairs of candidates to merge in a step.
        pool: most candidates that are kept from step to step.  Each is evaluated on each batch.
        seed: of the draws among parents.
        max_length: greatest length of a text, told and checked; see `TGD`.
        length_unit: ``"characters"`` or ``"tokens"``.
        history: number of past proposals, with their scores, that are shown.
        demos: allow training samples to be copied into the value.
        reuse_answers: answer a forward call that was made before from memory (a Trainer has a memory of its own).
        completion_args: passed to the API: ``model``, ``temperature``, ...

    ``step(closure)`` needs a closure; a Trainer gives one.  All calls, those of the reflection too, are under the one
    budget.  ``optimizer.pool`` holds the candidates with their scores, and is part of ``state_dict()``.

    Raises:
        TypeError: plain Variables, `Demos`, constraints or messages that are none.
        ValueError: no client, or a number that makes no sense.
        PlaceholderError: the messages lack ``{variable}`` or ``{feedback}``, or have a place that nothing fills.

    Source: GEPA, arXiv:2507.19457; scored history as in OPRO, arXiv:2309.03409, and AdalFlow, arXiv:2501.16673.
    """

    rule = "Evolution"

    def __init__(
        self,
        params: Params,
        model_client: Any = None,
        messages: Sequence[Mapping[str, Any]] = EVOLUTION_MESSAGES,
        inputs: Mapping[str, Any] | None = None,
        constraints: Sequence[Any] | None = None,
        *,
        parents: int = 2,
        proposals: int = 2,
        merges: int = 1,
        pool: int = 4,
        seed: int = 0,
        max_length: int | None = None,
        length_unit: str = "characters",
        history: int = 4,
        demos: bool = False,
        reuse_answers: bool = True,
        **completion_args: Any,
    ) -> None:
        for name, value, least in (("parents", parents, 1), ("proposals", proposals, 1), ("merges", merges, 0)):
            check_count(name, value, least)
        check_count("pool", pool, 1)
        check_count("seed", seed, 0)
        self.parents, self.proposals, self.merges, self.seed = parents, proposals, merges, seed
        self.pool = Pool(pool)
        self.requests_per_step = parents * proposals + merges
        self.tries_per_step = pool - 1 + self.requests_per_step
        defaults = {
            "model_client": model_client,
            "messages": copied_messages(messages),
            "inputs": copied_inputs(inputs),
            "constraints": checked_constraints(constraints),
            "max_length": max_length,
            "length_unit": length_unit,
            "history": history,
            "demos": demos,
            "completion_args": completion_args,
        }
        super().__init__(params, defaults, reuse_answers)

    def check(self, group: dict[str, Any]) -> None:
        """Check the settings of a group."""
        super().check(group)
        check_group(group, "Evolution", self.defaults, (*PLACES, "direction"), _OWN)
        check_params(group["params"], "Evolution")

    # a step

    async def search(self, bench: Bench) -> Any:
        """Evaluate, reflect, try, keep the best."""
        here = self.pool.add([param.data for param in self.params()])
        others = [member for member in self.pool.members if member is not here]
        found = await self._evaluated(bench, [here])
        if all_right(found[here.number]):
            return found[here.number].returned  # nothing to learn here, and nothing is paid to see it
        found |= await self._evaluated(bench, others)
        batch = set(found[here.number].named(self._unnamed()))
        import random  # 3 ms, for those who search

        parents = self.pool.parents(self.parents, random.Random(f"{self.seed}:{self._steps}"), here)
        await self._reflect(bench, parents, found, here)
        known = self.pool.count
        await self._breed(parents, found)
        fresh = [member for member in self.pool.members if member.number >= known]
        await self._evaluated(bench, fresh)
        self._decide(here, fresh, batch, found)
        return found[here.number].returned

    async def _evaluated(self, bench: Bench, members: Sequence[Candidate]) -> dict[int, Evaluation]:
        found = await bench.evaluate([member.values for member in members])
        for member, evaluation in zip(members, found, strict=True):
            member.scored(evaluation.named(self._unnamed()))
        return {member.number: evaluation for member, evaluation in zip(members, found, strict=True)}

    def _unnamed(self) -> str:
        """What samples without an id are called: never the same in two steps, for they are other samples."""
        return f"{NAMELESS}{self._steps}."

    async def _reflect(
        self, bench: Bench, parents: Sequence[Candidate], found: Mapping[int, Evaluation], here: Candidate
    ) -> None:
        """Have the feedback on each parent at hand; that on the present values may have come with a backward before."""
        if any(param.grad for param in self.params()) and not any(found[here.number].grads):
            found[here.number].grads = [list(param.grad) for param in self.params()]
        await bench.feedback([parent.values for parent in parents], [found[parent.number] for parent in parents])

    async def _breed(self, parents: Sequence[Candidate], found: Mapping[int, Evaluation]) -> None:
        """New candidates, into the pool."""
        plans = [plan for parent in parents for plan in self._mutations(parent, found[parent.number])]
        plans += [self._merger(*pair) for pair in self.pool.pairs(self.merges)]
        said = await propose(self.rule, [item for _, plan in plans for _, item in plan])
        if said and all(proposal.fault for proposal in said):
            worst = said[0]
            item = next(item for _, plan in plans for _, item in plan)
            raise ReplyContractError(
                role="optimizer", node=item.node, variable=item.role, fault=worst.fault, reply=worst.reply
            )
        replies = iter(said)
        for (values, origins), plan in plans:
            new, reasons = list(values), [""] * len(values)
            for place, _ in plan:
                proposal: Proposal = next(replies)
                if not proposal.fault:
                    new[place], reasons[place] = proposal.value, proposal.reasoning
            self.pool.add(new, origins, reasons)

    def _mutations(self, parent: Candidate, evaluation: Evaluation) -> list[Any]:
        """For each proposal: what it starts from, and what is to be asked for which parameter."""
        due = [
            (place, param, group, [gradient for gradient in evaluation.grads[place] if gradient.data])
            for place, (param, group) in enumerate(self._placed())
            if param.requires_grad
        ]
        due = [each for each in due if each[3]]
        return [
            (
                (parent.values, (parent,)),
                [
                    (place, self._item(param, group, parent.values[place], grads, n))
                    for place, param, group, grads in due
                ],
            )
            for n in range(self.proposals)
            if due
        ]

    def _merger(self, one: Candidate, other: Candidate) -> Any:
        """What a merge starts from, and what the model is to write: a text that both have changed, each its own way."""
        values, plan = list(one.values), []
        for place, (param, group) in enumerate(self._placed()):
            mine, theirs, start = one.values[place], other.values[place], self.pool.start[place]
            if mine == theirs or theirs == start:
                continue
            if mine == start:
                values[place] = theirs
            elif isinstance(param, (Choice, Number)):
                values[place] = mine if mean(one.scores) >= mean(other.scores) else theirs
            else:
                text = MERGE.system.replace("<other>", str(theirs))
                plan.append(
                    (place, self._item(param, group, mine, [Gradient(text, f"feedback to {param.role}")], None))
                )
        return (tuple(values), (one, other)), plan

    def _placed(self) -> list[tuple[Variable, dict[str, Any]]]:
        return [(param, group) for group in self.param_groups for param in group["params"]]

    def _item(
        self, param: Variable, group: dict[str, Any], value: Any, grads: Sequence[Variable], number: int | None
    ) -> TGDItem:
        """What is asked for one parameter; ``number`` says which proposal it is, None: it is a merge."""
        history = self.state[param].get("history", []) if param in self.state else []
        domain = isinstance(param, (Choice, Number))
        extra = MERGE if number is None else SETTINGS if domain else DIRECTIONS
        words = label_of(group["messages"], EVOLUTION_MESSAGES, f"{OPTIMIZER.label} {extra.label}")
        direction = "" if number is None else f"\n<direction>{_direction(extra, number)}</direction>"
        asked = {**group, "inputs": {**group["inputs"], "direction": direction}}
        return replace(tgd_item(param, grads, (), history, asked, words, "Evolution"), value=value)

    def _decide(
        self, here: Candidate, fresh: Sequence[Candidate], batch: set[str], found: Mapping[int, Evaluation]
    ) -> None:
        """Hold the best of those that do the batch no harm: on it and on what is known of earlier ones."""
        harmless = [one for one in self.pool.members if mean(one.scores, batch) >= mean(here.scores, batch)]
        best = max(harmless, key=lambda one: (mean(one.estimate), one is here, -one.number))
        for member in fresh:
            self._note(member, batch, found)
        origin = next((number for number in best.parents if number in found), None)
        self.take(best.values, best.reasoning, found[origin].grads if origin is not None else None)
        self.pool.prune(best)

    def _note(self, member: Candidate, batch: set[str], found: Mapping[int, Evaluation]) -> None:
        """Remember what a proposal scored, for the next requests."""
        score = mean(member.scores, batch)
        origins = [one for one in self.pool.members if one.number in member.parents]
        worse = any(score < mean(one.scores, batch) for one in origins)
        for place, param in enumerate(self.params()):
            if any(member.values[place] != one.values[place] for one in origins):
                history = self.state[param].setdefault("history", [])
                history.append(Version(str(member.values[place]), score, "undone" if worse else "kept"))
                del history[:-HISTORY]

    def record(self, score: float | None, kept: bool = True) -> None:
        """Note that the last step's values were taken back: they are not proposed again.

        What values scored that are kept is known already.
        """
        if kept or not self.last_updates:
            return
        after = {id(update.parameter): update.after for update in self.last_updates}
        self.pool.drop([after.get(id(param), param.data) for param in self.params()])
        for update in self.last_updates:
            history = self.state[update.parameter].get("history", [])
            for place, version in enumerate(history):
                if version.value == str(update.after):
                    history[place] = Version(version.value, version.score if score is None else score, "undone")

    # state

    def state_dict(self) -> dict[str, Any]:
        """State, settings, and the pool of candidates."""
        return {**super().state_dict(), "pool": self.pool.state()}

    def load_state_dict(self, state_dict: Mapping[str, Any], model_clients: Mapping[int, Any] | None = None) -> None:
        """Take over what `state_dict` returned; see `Optimizer.load_state_dict`."""
        pool = Pool(self.pool.size)
        if "pool" in state_dict:
            pool.load(state_dict["pool"])
        if any(len(member.values) != len(self.params()) for member in pool.members):
            raise ValueError("The candidates of the saved state have another number of parameters.")
        super().load_state_dict(state_dict, model_clients)
        self.pool = pool


def _direction(words: Words, number: int) -> str:
    texts = [part.text for part in words.parts]
    again = number // len(texts)
    return texts[number % len(texts)] + (f" (Variant {again + 1}.)" if again else "")


async def evolution_update(item: TGDItem) -> Proposal:
    """Ask the model for a new value; replies that cannot be used cost this proposal only."""
    try:
        return await tgd_update(item)
    except ReplyContractError as error:
        return Proposal(item.value, fault=error.fault, reply=error.reply)


_dispatch.rules["Evolution"] = evolution_update
