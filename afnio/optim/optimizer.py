"""`Optimizer`: parameters in groups, their state, and a step that an engine runs.

Source: https://docs.pytorch.org/docs/stable/optim.html#torch.optim.Optimizer
"""

from __future__ import annotations

import copy
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from afnio import _dispatch
from afnio.autodiff.job import StepJob
from afnio.calls import run_async, run_inline, run_sync
from afnio.models.base import BaseModel
from afnio.models.invoke import is_inline
from afnio.models.paths import as_model
from afnio.optim.naming import name_by_role
from afnio.optim.telling import Update, tell
from afnio.optim.update import Proposal, Version
from afnio.variable import Variable

__all__ = ["Optimizer", "Params", "Snapshot", "Update"]

Params = Iterable[Variable] | Iterable[tuple[str, Variable]] | Iterable[dict[str, Any]]

HISTORY = 32
"""Proposals kept for each parameter: they are in every checkpoint, and no request shows more than a few."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Parameters and optimizer state at one moment; see `Optimizer.snapshot`."""

    data: tuple[Any, ...]
    state: dict[int, dict[str, Any]]


class Optimizer:
    """Base of all optimizers.

    Args:
        params: Variables, or pairs ``(name, Variable)`` as of ``named_parameters()``, or dicts with ``"params"`` and
            settings of their own.
        defaults: settings of groups that do not have their own.

    Attributes:
        param_groups: the groups, with their settings.
        state: parameter -> what the optimizer remembers of it.
        last_updates: what the last step changed.

    Raises:
        TypeError: ``params`` is a single Variable, a set, or holds something else than Variables.
        ValueError: no parameters, a non-leaf, or a parameter that is in two groups.
    """

    rule: str = ""
    """Name of the update rule in the table of rules."""

    lasting: tuple[str, ...] = ("history",)
    """What of a parameter's state an undo leaves as it is: what was learned from the values that were tried."""

    needs_closure: bool = False
    """Whether `step` cannot do without its ``closure``, because it tries values."""

    tries_per_step: int = 0
    """How often a step evaluates its batch at most, besides the first time: for an estimate of what a fit costs."""

    requests_per_step: int = 1
    """How many requests a step makes for each parameter at most."""

    needs_gradients: bool = True
    """Whether it learns from feedback: False, and a Trainer computes none for it."""

    def __init__(self, params: Params, defaults: dict[str, Any]) -> None:
        self.defaults = defaults
        self.param_groups: list[dict[str, Any]] = []
        self.state: defaultdict[Variable, dict[str, Any]] = defaultdict(dict)
        self.last_updates: list[Update] = []
        self._names: dict[Variable, str] = {}
        self._steps = 0
        for group in _groups(params):
            self.add_param_group(group)

    # groups

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add parameters with settings of their own."""
        if not isinstance(param_group, dict):
            raise TypeError(f"A parameter group is a dict, got {type(param_group).__name__}.")
        group = dict(param_group)
        params = group.get("params")
        group["params"], names = _unnamed([params] if isinstance(params, Variable) else _ordered(params))
        for param in group["params"]:
            if not isinstance(param, Variable):
                raise TypeError(f"An optimizer optimizes Variables, got {type(param).__name__}.")
            if not param.is_leaf:
                raise ValueError(
                    f"Cannot optimize {param.role!r}: it is not a leaf, it was computed from other Variables."
                )
        for name, value in self.defaults.items():
            group.setdefault(name, value)
        known = {id(param) for other in self.param_groups for param in other["params"]}
        if any(id(param) in known for param in group["params"]):
            raise ValueError("A parameter appears in more than one parameter group.")
        if len({id(param) for param in group["params"]}) != len(group["params"]):
            raise ValueError("A parameter appears twice in a parameter group.")
        self.check(group)
        if names:
            group["param_names"] = names
            self._names.update(zip(group["params"], names, strict=True))
        self.param_groups.append(group)

    def check(self, group: dict[str, Any]) -> None:
        """Check the settings of a group that is about to be added; optimizers with settings raise here."""

    def params(self) -> list[Variable]:
        """All parameters, in order."""
        return [param for group in self.param_groups for param in group["params"]]

    # steps

    def clear_grad(self) -> None:
        """Forget the gradients; the list objects stay the same.

        Raises:
            NoEngineError: no active Run and no engine.
        """
        _dispatch.require_engine("optimizer.clear_grad()")
        for param in self.params():
            param.grad.clear()

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        """Parameters and state of its own.  Model clients are shared, not copied."""
        clients = [value for group in self.param_groups for value in group.values() if isinstance(value, BaseModel)]
        memo.update((id(client), client) for client in clients)
        twin = type(self).__new__(type(self))
        memo[id(self)] = twin
        twin.__dict__.update({name: copy.deepcopy(value, memo) for name, value in self.__dict__.items()})
        return twin

    def zero_grad(self, set_to_none: bool = True) -> None:
        """`clear_grad` by torch's name; ``set_to_none`` makes no difference: no feedback is an empty list."""
        self.clear_grad()

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Rewrite each parameter that has feedback, all at once; all change, or none.

        Args:
            closure: computes the loss again, ``backward()`` included; called first.

        Returns:
            what ``closure`` returned, or ``(None, None)``.

        Raises:
            NoEngineError: no active Run and no engine.
            ReplyContractError: a model's reply could not be used; no parameter was changed.
        """
        engine = _dispatch.require_engine("optimizer.step()")
        self._begin()
        loss = closure() if closure is not None else (None, None)
        due = self._due()
        if due:
            inline = engine.inline and all(is_inline(group.get("model_client")) for _, group in due)
            coro = engine.run_step(self._job(due, inline))
            self._apply(due, run_inline(coro) if inline else run_sync(coro))
        return loss

    async def astep(self, closure: Callable[[], Any] | None = None) -> Any:
        """`step`, for code that runs in an event loop; ``closure`` may be ``async def``."""
        engine = _dispatch.require_engine("optimizer.astep()")
        self._begin()
        loss: Any = (None, None)
        if closure is not None:
            loss = closure()
            loss = await loss if hasattr(loss, "__await__") else loss
        due = self._due()
        if due:
            self._apply(due, await run_async(engine.run_step(self._job(due, False))))
        return loss

    def item(self, param: Variable, group: dict[str, Any]) -> Any:
        """What the rule needs to know of ``param``; to be defined by each optimizer."""
        raise NotImplementedError(f"{type(self).__name__} must define item().")

    def remember(self, param: Variable, group: dict[str, Any], before: Any) -> None:
        """Called for each parameter after its update; optimizers with momentum keep what they need."""

    def tell_as(self, names: Mapping[str, Variable], steps: int) -> None:
        """Say what parameters are called where they are tracked, and how many steps were made before the next.

        A Trainer does; without one, parameters have the names they were given in pairs, else their roles.
        """
        self._names.update((param, name) for name, param in names.items())
        self._steps = steps

    def _begin(self) -> None:
        self._steps += 1
        self.last_updates = []

    def _due(self) -> list[tuple[Variable, dict[str, Any]]]:
        """The parameters that have something to improve."""
        return [
            (param, group)
            for group in self.param_groups
            for param in group["params"]
            if param.requires_grad and any(gradient.data for gradient in param.grad)
        ]

    def _job(self, due: Sequence[tuple[Variable, dict[str, Any]]], inline: bool) -> StepJob:
        return StepJob(self.rule, [{"item": self.item(param, group)} for param, group in due], inline)

    def _apply(self, due: Sequence[tuple[Variable, dict[str, Any]]], proposals: Sequence[Proposal]) -> None:
        tracker = _dispatch.current_tracker()
        for (param, group), proposal in zip(due, proposals, strict=True):
            before = param.data
            param.data = proposal.value
            self.remember(param, group, before)
            name = self._names.get(param) or name_by_role(tracker, param)
            self.last_updates.append(Update(param, before, param.data, proposal.reasoning, name, self._steps))
        tell(self.last_updates)

    # undo

    def snapshot(self) -> Snapshot:
        """Parameters and state as they are now."""
        state = {index: _copied(self.state[param]) for index, param in enumerate(self.params()) if param in self.state}
        return Snapshot(tuple(copy.copy(param.data) for param in self.params()), state)

    def restore(self, snapshot: Snapshot) -> None:
        """Bring parameters and state back to ``snapshot``; the history of what was tried, and gradients, stay."""
        for index, (param, data) in enumerate(zip(self.params(), snapshot.data, strict=True)):
            param.data = data
            lasting = {name: value for name, value in self.state.get(param, {}).items() if name in self.lasting}
            self.state[param] = _copied(snapshot.state.get(index, {})) | lasting

    def record(self, score: float | None, kept: bool = True) -> None:
        """Note what the last step's values scored; the next requests show it to the model.

        A Trainer does; without one, call it when the new values were measured.

        Args:
            score: higher is better; None: it was not measured.
            kept: False: they were taken back.
        """
        for update in self.last_updates:
            if update.after != update.before:
                version = Version(str(update.after), score, "kept" if kept else "undone")
                history = self.state[update.parameter].setdefault("history", [])
                history.append(version)
                del history[:-HISTORY]

    # state

    def state_dict(self) -> dict[str, Any]:
        """State and settings; parameters by their number, clients by class and usage."""
        params = self.params()
        numbers = {id(param): index for index, param in enumerate(params)}
        groups = []
        for group in self.param_groups:
            saved = {name: _saved(value) for name, value in group.items() if name != "params"}
            groups.append({**saved, "params": [numbers[id(param)] for param in group["params"]]})
        state = {numbers[id(param)]: _saved_state(kept) for param, kept in self.state.items() if kept}
        return {"state": state, "param_groups": groups}

    def load_state_dict(self, state_dict: Mapping[str, Any], model_clients: Mapping[int, Any] | None = None) -> None:
        """Take over what `state_dict` returned.

        Args:
            state_dict: the saved state.
            model_clients: group number -> client (or path of one) to use; groups that are not named keep theirs.

        Raises:
            ValueError: the groups do not fit, or a group has no client.
        """
        if not isinstance(state_dict, Mapping) or not {"state", "param_groups"} <= set(state_dict):
            raise ValueError("This is no state of an optimizer: pass what optimizer.state_dict() returned.")
        saved = state_dict["param_groups"]
        clients = {number: as_model(client) for number, client in (model_clients or {}).items()}
        if len(saved) != len(self.param_groups):
            raise ValueError(
                f"The saved state has {len(saved)} parameter groups, this optimizer {len(self.param_groups)}."
            )
        for number, (group, other) in enumerate(zip(self.param_groups, saved, strict=True)):
            if len(group["params"]) != len(other["params"]):
                raise ValueError(
                    f"Parameter group {number} has {len(group['params'])} parameters, "
                    f"the saved one {len(other['params'])}."
                )
            if other.get("model_client") is not None and clients.get(number, group.get("model_client")) is None:
                raise ValueError(
                    f"Parameter group {number} has no model client: pass model_clients={{{number}: client}}."
                )
        if unknown := set(clients) - set(range(len(saved))):
            raise ValueError(f"model_clients names the groups {sorted(unknown, key=str)}; there are {len(saved)}.")
        params = self.params()
        if strangers := [index for index in state_dict["state"] if not 0 <= int(index) < len(params)]:
            raise ValueError(f"The saved state names the parameters {strangers}; there are {len(params)}.")
        state = {params[int(index)]: _loaded_state(kept) for index, kept in state_dict["state"].items()}
        for number, (group, other) in enumerate(zip(self.param_groups, saved, strict=True)):
            kept = {name: value for name, value in other.items() if name not in _OWN}
            group.update(copy.deepcopy(kept))
            if number in clients:
                group["model_client"] = clients[number]
        self.state.clear()
        self.state.update(state)

    def __repr__(self) -> str:
        lines = [f"{type(self).__name__} ("]
        for number, group in enumerate(self.param_groups):
            lines.append(f"Parameter Group {number}")
            lines += [f"    {name}: {group[name]}" for name in sorted(group) if name not in ("params", "messages")]
        return "\n".join([*lines, ")"])


_OWN = ("params", "param_names", "model_client", "constraints")
"""What a group keeps of its own when a state is loaded: a client has connections, a constraint may have a check."""


def _groups(params: Any) -> list[dict[str, Any]]:
    if isinstance(params, Variable):
        raise TypeError("params must be an iterable of Variables or dicts: write [parameter].")
    given = _ordered(params)
    if not given:
        raise ValueError("The optimizer got an empty parameter list.")
    return given if isinstance(given[0], dict) else [{"params": given}]


def _ordered(params: Any) -> list[Any]:
    if isinstance(params, (set, frozenset)):
        raise TypeError("Parameters in a set have no order that lasts from run to run; use a list instead.")
    if not isinstance(params, Iterable) or isinstance(params, (str, bytes, Mapping)):
        hint = ": write agent.parameters()" if callable(getattr(params, "parameters", None)) else ""
        raise TypeError(f"params must be an iterable of Variables or dicts, got {type(params).__name__}{hint}.")
    return list(params)


def _unnamed(params: list[Any]) -> tuple[list[Any], list[str]]:
    """The parameters of pairs ``(name, Variable)``, and the names; the parameters as they are, and no names.

    Raises:
        ValueError: only some have names.
    """
    named = [isinstance(param, tuple) and len(param) == 2 and isinstance(param[0], str) for param in params]
    if not any(named):
        return params, []
    if not all(named):
        raise ValueError("Some parameters have names and some have none: give all of them in pairs, or none.")
    return [param for _, param in params], [name for name, _ in params]


def _copied(state: Mapping[str, Any]) -> dict[str, Any]:
    return {name: list(value) if isinstance(value, list) else value for name, value in state.items()}


def _saved(value: Any) -> Any:
    if hasattr(value, "get_provider") and hasattr(value, "get_usage"):
        return copy.deepcopy(value)  # a model: its class, provider and usage
    if isinstance(value, (list, tuple)):
        return [_saved(item) for item in value]
    if isinstance(value, Mapping):
        return {name: _saved(item) for name, item in value.items()}
    return getattr(value, "text", value) if type(value).__name__ == "Constraint" else value


def _saved_state(kept: Mapping[str, Any]) -> dict[str, Any]:
    saved = _copied(kept)
    if "history" in saved:
        saved["history"] = [[version.value, version.score, version.status] for version in saved["history"]]
    return saved


def _loaded_state(kept: Mapping[str, Any]) -> dict[str, Any]:
    loaded = _copied(kept)
    if "history" in loaded:
        loaded["history"] = [Version(*entry) for entry in loaded["history"]]
    if "momentum_buffer" in loaded:
        loaded["momentum_buffer"] = [(value, list(given)) for value, given in loaded["momentum_buffer"]]
    return loaded
