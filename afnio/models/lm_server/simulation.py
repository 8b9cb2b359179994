"""The simulated model without HTTP: settings, faults, counts; a request in, an answer out."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from afnio.models.lm_server.ask import Answer, Ask, ToolCall
from afnio.models.lm_server.counting import count, input_tokens
from afnio.models.lm_server.faults import NEEDS, Fault, FaultPlan
from afnio.models.lm_server.stats import Stats
from afnio.models.lm_server.worlds import World, make_world

__all__ = ["NOTICE", "Refusal", "Settings", "Simulation", "key_of", "refusal_of"]

NOTICE = "simulation, not an AI"
"""What every answer of the server says of itself."""
_PLACEHOLDER = re.compile(r"\{[A-Za-z_]\w*\}")


@dataclass(frozen=True, slots=True)
class Settings:
    """How the server behaves.

    Args:
        world: a world's name or object.
        latency: seconds from a request's arrival to its answer.
        jitter: at most so many seconds more or less, drawn by a hash of the request.
        seed: of every draw: bad updates, jitter, faults with a probability.
        bad_share: share of bad optimizer updates; None: the world's default.
        context_limit: tokens a request may have; more is a 400.
        models: the models served; empty: every name but those that begin with ``unknown``.
    """

    world: str | World = "tickets"
    latency: float = 0.0
    jitter: float = 0.0
    seed: int = 0
    bad_share: float | None = None
    context_limit: int = 200_000
    models: tuple[str, ...] = ()


@dataclass(slots=True, eq=False)
class Refusal(Exception):
    """The API refuses a request."""

    status: int
    kind: str
    message: str
    code: str | None = None
    retry_after: float | None = None


class Simulation:
    """World, faults and counts of one server."""

    def __init__(self, settings: Settings, faults: Iterable[Fault | str | Mapping[str, Any]] = ()) -> None:
        self.settings = settings
        self.world = make_world(settings.world, seed=settings.seed, bad_share=settings.bad_share)
        self.plan = FaultPlan(faults, seed=settings.seed)
        self.stats = Stats()

    def set_faults(self, faults: Iterable[Fault | str | Mapping[str, Any]]) -> None:
        """Replace the faults; their counting starts anew."""
        self.plan = FaultPlan(faults, seed=self.settings.seed)

    def reset(self) -> None:
        """Forget all counts; the faults stay and count from the start."""
        self.stats = Stats(open=self.stats.open)
        self.plan = FaultPlan(self.plan.faults, seed=self.settings.seed)

    def latency_of(self, key: str) -> float:
        """Seconds until the request with this hash is answered."""
        jitter = self.settings.jitter
        if not jitter:
            return self.settings.latency
        draw = hashlib.sha256(f"{self.settings.seed}/jitter/{key}".encode()).digest()
        return max(0.0, self.settings.latency + jitter * (int.from_bytes(draw[:4], "big") / 2**31 - 1.0))

    def check(self, ask: Ask, api_key: str) -> None:
        """Refuse a wrong key, an unknown model, a request longer than the context."""
        if api_key.startswith(("wrong", "invalid")):
            raise Refusal(401, "invalid_request_error", "Incorrect API key provided.", "invalid_api_key")
        models = self.settings.models
        if not ask.model or ask.model.startswith("unknown") or (models and ask.model not in models):
            message = f"The model '{ask.model}' does not exist or you do not have access to it."
            raise Refusal(404, "invalid_request_error", message, "model_not_found")
        size, limit = input_tokens(ask), self.settings.context_limit
        if size > limit:
            raise overflow(size, limit)

    def fault_for(self, ask: Ask, role: str, key: str) -> Fault | None:
        """The fault that a request meets, if any."""
        kind = ""
        if any(fault.kind in NEEDS for fault in self.plan.faults):
            kind = "tool_calls" if self._calls(ask, role) else "schema" if ask.schema is not None else ""
        return self.plan.pick(role, key, kind)

    def answer(self, ask: Ask, role: str, fault: Fault | None) -> Answer:
        """What the world says, spoiled by ``fault`` where the fault is one of content."""
        calls = self._calls(ask, role)
        if calls and fault:
            calls[0] = spoiled(calls[0], fault)
        answer = Answer("" if calls else self._text(ask, role, fault), calls)
        count(ask, answer)
        return answer

    def _calls(self, ask: Ask, role: str) -> list[ToolCall]:
        return self.world.calls(ask, role) if ask.tools else []

    def _text(self, ask: Ask, role: str, fault: Fault | None) -> str:
        kind = fault.kind if fault else ""
        if kind.startswith("malformed"):
            return "Certainly! Here is what I would suggest after some thought: {'text': make it better"
        if kind == "destructive":
            return self.world.destroy(ask)
        text = self.world.reply(ask, role)
        if kind == "broken_output":
            return text[: len(text) // 2]
        return _PLACEHOLDER.sub("", text) if kind == "no_placeholder" else text


def spoiled(call: ToolCall, fault: Fault) -> ToolCall:
    """A tool call as a fault of content leaves it."""
    if fault.kind == "unknown_tool":
        return ToolCall(f"{call.name}_by_telephone", call.arguments)
    if fault.kind == "bad_arguments":
        return ToolCall(call.name, call.arguments[: len(call.arguments) // 2])
    return call


def overflow(size: int, limit: int) -> Refusal:
    """The request is longer than the context."""
    message = f"This model's maximum context length is {limit} tokens. However, your messages have {size} tokens."
    return Refusal(400, "invalid_request_error", message, "context_length_exceeded")


def refusal_of(fault: Fault, ask: Ask, limit: int) -> Refusal | None:
    """The refusal a fault stands for, or None when it breaks the answer in another way."""
    if fault.kind == "overflow":
        return overflow(input_tokens(ask) + limit, limit)
    if fault.kind == "429":
        message = "Rate limit reached. Please try again later."
        return Refusal(429, "rate_limit_error", message, "rate_limit_exceeded", fault.retry_after)
    if fault.kind == "quota":
        message = "You exceeded your current quota, please check your plan and billing details."
        return Refusal(429, "insufficient_quota", message, "insufficient_quota")
    if fault.kind in ("500", "503"):
        return Refusal(int(fault.kind), "server_error", "The server had an error processing your request.")
    return None


def key_of(path: str, body: dict[str, Any]) -> str:
    """The ``key`` of ``afnio.calls.Request``: SHA-256 of the path and the canonical body, in hex.

    Whether the answer is streamed is no part of what is asked.
    """
    import orjson

    asked = {name: value for name, value in body.items() if name not in ("stream", "stream_options")}
    path = path if path == "/v1/messages" else path.removeprefix("/v1")  # its base URL ends before the version
    canonical = orjson.dumps({"path": path, "body": asked}, option=orjson.OPT_SORT_KEYS)
    return hashlib.sha256(canonical).hexdigest()
