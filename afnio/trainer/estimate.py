"""What a fit will presumably cost, counted without a single call."""

from __future__ import annotations

import math
from collections.abc import Sized
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from afnio.calls import Usage
from afnio.calls.ledger import dollars
from afnio.calls.tokens import estimate_body
from afnio.cognitive import ChatCompletion, LMJudgeEvaluator
from afnio.cognitive.module import Module
from afnio.models.backward_client import get_backward_model_client
from afnio.models.prices import price
from afnio.optim.optimizer import Optimizer
from afnio.variable import Variable

__all__ = ["Estimate", "Part", "Plan", "estimate_fit"]

PROBE = 32  # samples of a data set whose length is looked at
INSTRUCTIONS = 400  # tokens of the critic's and the optimizer's own prompts
FEEDBACK = 150  # tokens of a piece of feedback
FAILING = 0.5  # share of a batch that the critic is shown


@dataclass(frozen=True, slots=True)
class Part:
    """The calls of one kind.

    Attributes:
        calls: their number.
        input_tokens: what they send, in all.
        output_tokens: what they answer, in all.
        model: the model, or None: not known.
        usd: dollars, or None: no price is known.
    """

    calls: int
    input_tokens: int
    output_tokens: int
    model: str | None
    usd: Decimal | None


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a fit will presumably cost: an estimate by length, not a measurement.

    It takes every batch to need one update that the gate keeps.  Prompts that stay as they are make it cheaper (their
    answers are reused), updates that are undone dearer.  Of a search it takes all that a step may try; what a search
    holds it has tried, so that the gate asks nothing anew.

    Attributes:
        parts: ``"forward"``, ``"backward"``, ``"optimizer"``, ``"search"``, ``"gate"``, ``"validation"`` -> its calls.
    """

    parts: dict[str, Part]

    @property
    def calls(self) -> int:
        """Calls in all."""
        return sum(part.calls for part in self.parts.values())

    @property
    def tokens(self) -> int:
        """Tokens in all, sent and answered."""
        return sum(part.input_tokens + part.output_tokens for part in self.parts.values())

    @property
    def usd(self) -> Decimal | None:
        """Dollars in all; None: the price of a model is not known."""
        known = [part.usd for part in self.parts.values() if part.usd is not None]
        return sum(known, Decimal(0)) if len(known) == len(self.parts) else None

    def __str__(self) -> str:
        rows = [f"{name}: {_shown(p.calls, p.input_tokens + p.output_tokens, p.usd)}" for name, p in self.parts.items()]
        return "\n".join([*rows, f"estimated total: {_shown(self.calls, self.tokens, self.usd)}"])


@dataclass(frozen=True, slots=True)
class Plan:
    """What a fit is asked to do.

    Attributes:
        epochs: number of epochs.
        max_steps: batches at most, or None.
        gate: whether updates are judged.
        model: the forward model's name, or None: as the agent last used it.
        calls_per_sample: LM calls of a step for each sample, or None: one for each ChatCompletion of the agent.
        output_tokens: tokens of an answer.
    """

    epochs: int
    max_steps: int | None
    gate: bool
    model: str | None
    calls_per_sample: int | None
    output_tokens: int


def estimate_fit(agent: Module, optimizers: list[Optimizer], train: Any, validation: Any, plan: Plan) -> Estimate:
    """Count the calls of a fit and guess their tokens."""
    samples, steps, length = _measure(train)
    steps_done = min(steps * plan.epochs, plan.max_steps or steps * plan.epochs)
    seen = min(samples * plan.epochs, math.ceil(samples / steps * steps_done))
    prompts = [estimate_body(param.data) for param in agent.parameters()]
    calls, name, client = _calls_per_sample(agent, plan), plan.model or _model_of(agent), next(agent.models(), None)

    def forward(count: int, each: int) -> Part:
        sent = count * (sum(prompts) + calls * each)
        return _part(count * calls, sent, count * calls * plan.output_tokens, name, client)

    backward = steps_done * calls if any(optimizer.needs_gradients for optimizer in optimizers) else 0
    shown = math.ceil(FAILING * seen) * (length + plan.output_tokens + FEEDBACK) if backward else 0
    parts = {
        "forward": forward(seen, length),
        "backward": _backward(backward, shown + backward * (INSTRUCTIONS + sum(prompts)), len(prompts) or 1),
        "optimizer": _optimizer(optimizers, steps_done),
    }
    if tries := sum(optimizer.tries_per_step for optimizer in optimizers):
        parts["search"] = forward(seen * tries, length)
    if plan.gate and not all(optimizer.needs_closure for optimizer in optimizers):
        parts["gate"] = forward(seen, length)
    if validation is not None:
        count, _, each = _measure(validation)
        parts["validation"] = forward(count * math.ceil(steps_done / steps), each)
    return Estimate(parts)


def _backward(calls: int, sent: int, prompts: int) -> Part:
    try:
        critic = get_backward_model_client()
    except RuntimeError:
        return _part(calls, sent, calls * prompts * FEEDBACK, None, None)
    return _part(calls, sent, calls * prompts * FEEDBACK, critic.completion_args.get("model"), critic._client)


def _optimizer(optimizers: list[Optimizer], steps: int) -> Part:
    calls = sent = answered = 0
    model, client = None, None
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            client = client or group.get("model_client")
            model = model or (group.get("completion_args") or {}).get("model")
            for param in group["params"]:
                size = estimate_body(param.data)
                requests = steps * optimizer.requests_per_step
                calls += requests
                sent += requests * (INSTRUCTIONS + size + FEEDBACK)
                answered += requests * (size + FEEDBACK)
    return _part(calls, sent, answered, model, client)


def _part(calls: int, sent: int, answered: int, model: str | None, client: Any) -> Part:
    usd = None
    if model is not None and client is not None:
        endpoint = getattr(getattr(client, "_route", None), "endpoint", "")
        inline = bool(getattr(client, "inline", False))
        usd = price(client.get_provider() or "", endpoint, model, Usage(sent, answered), free=inline).usd
    return Part(calls, sent, answered, model, usd)


def _measure(loader: Any) -> tuple[int, int, int]:
    """Samples and batches of an epoch, and the mean tokens of a sample."""
    data = getattr(loader, "dataset", None)
    if data is None or not isinstance(loader, Sized) or not isinstance(data, Sized):
        raise TypeError(
            f"estimate() needs a DataLoader, whose length and data set are known; got {type(loader).__name__}."
        )
    sampler = getattr(loader, "sampler", None)
    samples = len(sampler) if isinstance(sampler, Sized) and getattr(loader, "batch_size", None) else len(data)
    every = max(1, len(data) // PROBE)
    lengths = [estimate_body(_plain(data[index])) for index in range(0, len(data), every)]  # type: ignore[index]
    return samples, len(loader), math.ceil(sum(lengths) / len(lengths))


def _plain(value: Any) -> Any:
    if isinstance(value, Variable):
        return value.data
    if isinstance(value, dict):
        return [_plain(part) for part in value.values()]
    return [_plain(part) for part in value] if isinstance(value, (list, tuple)) else value


def _calls_per_sample(agent: Module, plan: Plan) -> int:
    if plan.calls_per_sample is not None:
        return plan.calls_per_sample
    return max(1, sum(isinstance(module, (ChatCompletion, LMJudgeEvaluator)) for module in agent.modules()))


def _model_of(agent: Module) -> str | None:
    return next((args["model"] for args in agent.completion_configs() if args and "model" in args), None)


def _shown(calls: int, tokens: int, usd: Decimal | None) -> str:
    return f"{calls} calls, {tokens:,} tokens, {'unpriced' if usd is None else dollars(usd, 0)}"
