"""`FewShot`: learns which examples a prompt should show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from afnio.demos import Demos
from afnio.optim.bench import Bench
from afnio.optim.evaluation import Evaluation, all_right
from afnio.optim.groups import check_count
from afnio.optim.optimizer import Params
from afnio.optim.search import Search
from afnio.optim.traces import Trace, traces

if TYPE_CHECKING:
    import random

__all__ = ["Demo", "FewShot"]

KEPT = 64
"""Examples of each kind that are kept to choose from; the oldest go first."""

BOOTSTRAPPED, LABELLED = "bootstrapped", "labelled"


@dataclass(frozen=True, slots=True)
class Demo:
    """An example that could be shown.

    Attributes:
        given: the input.
        answer: the output.
        kind: ``"bootstrapped"``: the agent's own answer to a sample that came out right; ``"labelled"``: the target of
            one that did not.
    """

    given: str
    answer: str
    kind: str

    @property
    def pair(self) -> list[str]:
        """As `Demos` hold it."""
        return [self.given, self.answer]


class FewShot(Search):
    """Examples as parameters: gathers them from the batches, tries sets of them, keeps a set that helps.

    Each step evaluates the present examples on the batch by the closure.  What came out right becomes a bootstrapped
    example: input and answer of the very call that shows the examples, also where it is one of several calls.  What
    did not becomes a labelled one, where the target is known.  Then sets drawn from all gathered so far are tried on
    the batch.  A sample that is itself an example, of a set or of the present one, does not count when the two are
    compared: it would be right for the wrong reason.  The best set is held if it is better than the present one.

    No model is asked for anything but the agent's own answers, and no feedback is needed.

    Args:
        params: `Demos`, or pairs ``(name, Demos)``, or groups: dicts with ``"params"``, ``max_bootstrapped`` and
            ``max_labelled``.
        max_bootstrapped: most bootstrapped examples in a set.
        max_labelled: most labelled ones.
        candidates: sets to try in a step.
        seed: of the draws.
        reuse_answers: answer a forward call that was made before from memory (a Trainer has a memory of its own).

    ``step(closure)`` needs a closure; a Trainer gives one.

    Raises:
        TypeError: a parameter that is no `Demos`.
        ValueError: a number that makes no sense, or a set would always be empty.

    Source: BootstrapFewShotWithRandomSearch of DSPy, arXiv:2310.03714; examples as parameters as in AdalFlow,
    arXiv:2501.16673.
    """

    rule = "FewShot"
    lasting = ("history", "demos")
    needs_gradients = False
    requests_per_step = 0

    def __init__(
        self,
        params: Params,
        max_bootstrapped: int = 4,
        max_labelled: int = 4,
        *,
        candidates: int = 4,
        seed: int = 0,
        reuse_answers: bool = True,
    ) -> None:
        check_count("candidates", candidates, 1)
        check_count("seed", seed, 0)
        self.candidates, self.seed, self.tries_per_step = candidates, seed, candidates
        super().__init__(params, {"max_bootstrapped": max_bootstrapped, "max_labelled": max_labelled}, reuse_answers)

    def check(self, group: dict[str, Any]) -> None:
        """Check the settings of a group."""
        for param in group["params"]:
            if not isinstance(param, Demos):
                raise TypeError(
                    f"FewShot learns examples, which are Demos; {param.role!r} is a {type(param).__name__}. "
                    "Give it to TGD or Evolution."
                )
        for name in ("max_bootstrapped", "max_labelled"):
            check_count(name, group[name], 0)
        if not group["max_bootstrapped"] + group["max_labelled"]:
            raise ValueError("max_bootstrapped and max_labelled are both 0: no set could hold an example.")

    async def search(self, bench: Bench) -> Any:
        """Evaluate, gather, try sets, hold the best."""
        now = tuple(param.data for param in self.params())
        (present,) = await bench.evaluate([now])
        seen = self._gather(present)
        sets = [] if all_right(present) else self._sets(now)  # nothing to gain: nothing is paid
        if sets:
            self._decide(now, present, sets, await bench.evaluate(sets), seen)
        return present.returned

    def _gather(self, evaluation: Evaluation) -> dict[int, str]:
        """Keep what the batch has to show; position -> input of each sample."""
        seen: dict[int, str] = {}
        for param in self.parameters():
            assert isinstance(param, Demos)
            found = traces(param, evaluation)
            seen |= {trace.position: trace.given for trace in found}
            known = {demo.given: demo for demo in self.state[param].get("demos", [])}
            for demo in filter(None, map(_demo, found)):
                known[demo.given] = demo
            self.state[param]["demos"] = _newest(list(known.values()))
        return seen

    def _sets(self, now: tuple[Any, ...]) -> list[tuple[Any, ...]]:
        """What is tried in place of the present examples: first the newest, then draws."""
        import random  # 3 ms, for those who search

        rng = random.Random(f"{self.seed}:{self._steps}")
        found: list[tuple[Any, ...]] = []
        for number in range(self.candidates):
            made = tuple(
                self._draw(param, group, data, rng if number else None)
                for group in self.param_groups
                for param, data in zip(group["params"], self._of_group(group, now), strict=True)
            )
            if made != now and made not in found:
                found.append(made)
        return found

    def _of_group(self, group: Mapping[str, Any], values: Sequence[Any]) -> list[Any]:
        numbers = {id(param): place for place, param in enumerate(self.params())}
        return [values[numbers[id(param)]] for param in group["params"]]

    def _draw(self, param: Demos, group: Mapping[str, Any], data: list[Any], rng: random.Random | None) -> list[Any]:
        """A set for one parameter: the newest examples of each kind, or some at random."""
        known: list[Demo] = self.state[param].get("demos", [])
        if not param.requires_grad or not known:
            return data
        drawn: list[Demo] = []
        for kind, most in ((BOOTSTRAPPED, group["max_bootstrapped"]), (LABELLED, group["max_labelled"])):
            there = [demo for demo in known if demo.kind == kind]
            count = min(most, len(there))
            if count:
                drawn += there[-count:] if rng is None else rng.sample(there, rng.randint(0, count))
        return [demo.pair for demo in drawn] or data

    def _decide(
        self,
        now: tuple[Any, ...],
        present: Evaluation,
        sets: Sequence[tuple[Any, ...]],
        tried: Sequence[Evaluation],
        seen: Mapping[int, str],
    ) -> None:
        gains = [
            _gain(present, found, _shown(now) | _shown(made), seen) for made, found in zip(sets, tried, strict=True)
        ]
        best = max(range(len(sets)), key=lambda place: (gains[place], -place))
        if gains[best] > 0:
            why = f"Better by {gains[best]:.3g} on the samples that are no examples themselves."
            self.take(sets[best], [why] * len(now))

    # state

    def state_dict(self) -> dict[str, Any]:
        """State and settings, the gathered examples too."""
        saved = super().state_dict()
        saved["state"] = {
            number: {**kept, "demos": [[demo.given, demo.answer, demo.kind] for demo in kept.get("demos", [])]}
            for number, kept in saved["state"].items()
        }
        return saved

    def load_state_dict(self, state_dict: Mapping[str, Any], model_clients: Mapping[int, Any] | None = None) -> None:
        """Take over what `state_dict` returned; see `Optimizer.load_state_dict`."""
        super().load_state_dict(state_dict, model_clients)
        for kept in self.state.values():
            kept["demos"] = [Demo(*entry) for entry in kept.get("demos", [])]


def _demo(trace: Trace) -> Demo | None:
    if trace.right:
        return Demo(trace.given, trace.answer, BOOTSTRAPPED)
    return None if trace.target is None else Demo(trace.given, trace.target, LABELLED)


def _newest(demos: list[Demo]) -> list[Demo]:
    """The last `KEPT` of each kind, in order."""
    kept = {demo for kind in (BOOTSTRAPPED, LABELLED) for demo in [one for one in demos if one.kind == kind][-KEPT:]}
    return [demo for demo in demos if demo in kept]


def _shown(values: Sequence[Any]) -> set[str]:
    return {given for demos in values for given, _ in demos}


def _gain(present: Evaluation, found: Evaluation, shown: set[str], seen: Mapping[int, str]) -> float:
    """How much better a set is, on average over the samples that are no examples."""
    both = min(len(present.scores), len(found.scores))
    counted = [place for place in range(both) if seen.get(place) not in shown]
    gained = sum(found.scores[place] - present.scores[place] for place in counted)
    return gained / len(counted) if counted and len(present.scores) == len(found.scores) else 0.0
