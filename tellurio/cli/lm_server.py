"""``afnio lm-server``: the simulated LM as a server."""

from __future__ import annotations

from typing import Annotated

import typer

from afnio.models.lm_server import ABOUT, KINDS, WORLDS, Fault, Settings, serve
from tellurio.cli._common import steps

__all__ = ["NEXT", "lm_server"]

NEXT = steps(
    "Examples:",
    ("afnio lm-server --port 8080", "then, in another terminal:"),
    ("OPENAI_BASE_URL=http://127.0.0.1:8080/v1 OPENAI_API_KEY=simulated python train.py", ""),
    ("afnio lm-server --latency 0.5 --fault 429@3", "half a second for each answer, and one refusal"),
)
_FAULT_HELP = (
    "A fault on demand; may be given several times. 429@3: the third request is refused. 429@1x4:retry_after=0.2: the "
    "first four are. 500@1:role=optimizer: the first optimizer request. 500:p=0.05: one request in twenty. "
    "bad_arguments@2: the second answer that calls tools does so wrongly. "
    f"Kinds: {', '.join(KINDS)}. Options: role, p, retry_after, seconds."
)
_WORLD_HELP = f"Who answers. {' '.join([f'{name}: {about}.' for name, about in ABOUT.items()])}"


def lm_server(
    world: Annotated[str, typer.Option(help=_WORLD_HELP)] = "tickets",
    latency: Annotated[float, typer.Option(min=0.0, help="Seconds until an answer.")] = 0.0,
    jitter: Annotated[float, typer.Option(min=0.0, help="Seconds more or less, at most.")] = 0.0,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port on 127.0.0.1; 0 takes a free one.")] = 0,
    seed: Annotated[int, typer.Option(help="Seed of every draw.")] = 0,
    bad_share: Annotated[
        float | None,
        typer.Option(min=0.0, max=1.0, help="Share of the optimizer's updates that are bad; default: the world's."),
    ] = None,
    context_limit: Annotated[int, typer.Option(min=1, help="Tokens a request may have.")] = 200_000,
    fault: Annotated[list[str] | None, typer.Option(help=_FAULT_HELP)] = None,
) -> None:
    """Serve a simulated language model on this machine.

    It is a simulation by rules, not an AI: no key, no cost, the same answers every time. It speaks OpenAI chat
    completions and responses and Anthropic messages.
    """
    if world not in WORLDS:
        raise typer.BadParameter(f"there is no world {world!r}; worlds: {', '.join(WORLDS)}", param_hint="--world")
    try:
        faults = [Fault.parse(text) for text in fault or []]
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--fault") from None
    settings = Settings(world, latency, jitter, seed, bad_share, context_limit)
    try:
        serve(settings, port=port, faults=faults, started=lambda port: _say(world, port))
    except OSError as error:
        reason = error.strerror or error
        typer.echo(f"[simulation] Cannot listen on 127.0.0.1:{port}: {reason}. Try --port 0.", err=True)
        raise typer.Exit(1) from None
    typer.echo("[simulation] Stopped.")


def _say(world: str, port: int) -> None:
    url = f"http://127.0.0.1:{port}"
    typer.echo(
        f"[simulation] This is a simulation, not an AI: world '{world}' answers by rules.\n"
        f"[simulation] OpenAI:    OPENAI_BASE_URL={url}/v1 OPENAI_API_KEY=simulated\n"
        f"[simulation] Anthropic: ANTHROPIC_BASE_URL={url} ANTHROPIC_API_KEY=simulated\n"
        f"[simulation] Counts: {url}/__stats   Ctrl-C stops it."
    )
