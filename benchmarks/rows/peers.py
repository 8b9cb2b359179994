"""Other libraries on the same job, each in a virtual environment of its own under ``.venvs/``."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from statistics import median

from afnio.models.lm_server import LMServer
from benchmarks.contender import REPO, ContenderError, Run, accuracy, run
from benchmarks.figures import Figure
from benchmarks.peers.world import PeersWorld
from benchmarks.rows.job import HAND, STAGES, TRAINER, job_samples, task

__all__ = ["NOTES", "peer_figures"]

NOTES = (
    "The server's world is put before an interpreter of the peers' wordings (`benchmarks/peers/world.py`): same laws.",
    (
        "textgrad: its tutorial's way, an exact-match function as the loss. Its optimizer is shown 20 words of the "
        "prompt; the interpreter takes the whole one from the conversation, in textgrad's favour."
    ),
    (
        "gepa and dspy: batches in the order of the samples as for all others (left alone they shuffle: their first "
        "batch then showed all laws, and they took 3.8 and 3.7 s at 500 ms with 73 calls), evaluations "
        "cached, 24 workers, three reflections, validated on the same 24 samples, which is their way."
    ),
    "Not run: Trace (1.3 GB to install, and it ends at the first 429), AdalFlow (its import needs the network).",
    "Memory is that of the client process. It includes its libraries.",
)


@dataclass(frozen=True, slots=True)
class Peer:
    """A library.

    Attributes:
        module: its client.
        packages: what is installed for it; empty: it is ours.
        stages: stages of its algorithm that must follow one another.
        gate: of the task.
    """

    name: str
    module: str
    packages: tuple[str, ...] = ()
    stages: int = STAGES[False]
    gate: bool = False


GEPA_STAGES = 1 + 3 * 4  # validation; then thrice: batch, reflection, batch again, validation

PEERS = (
    Peer("afnio, loop by hand", HAND),
    Peer("afnio, Trainer.fit with its gate", TRAINER, stages=STAGES[True], gate=True),
    Peer("textgrad 0.1.8", "benchmarks.peers.textgrad_client", ("textgrad==0.1.8",)),
    Peer("gepa 0.1.4", "benchmarks.peers.gepa_client", ("gepa==0.1.4", "litellm==1.106.2"), GEPA_STAGES),
    Peer("dspy 3.4.1, its GEPA", "benchmarks.peers.dspy_client", ("dspy==3.4.1",), GEPA_STAGES),
)


def peer_figures(quick: bool) -> Iterator[Figure]:
    """Wall time of the job, with calls, tokens, accuracy and memory beside it; a peer that cannot be run says why."""
    pythons = {peer.name: _python(peer) for peer in PEERS}
    for latency, repeats in ((0.01, 1),) if quick else ((0.5, 1), (0.05, 3)):
        for peer in PEERS:
            try:
                yield _measured(peer, pythons[peer.name], latency, repeats)
            except (ContenderError, subprocess.SubprocessError) as error:
                said = str(error).strip().splitlines()[-1][:200] if str(error).strip() else type(error).__name__
                what = f"job at {latency * 1000:g} ms: {peer.name}"
                yield Figure(f"peers.{peer.name}.{latency:g}", what, [], compared=f"could not be run: {said}")


def _measured(peer: Peer, python: str, latency: float, repeats: int) -> Figure:
    runs = []
    for _ in range(repeats):
        with LMServer(PeersWorld() if peer.packages else "tickets", latency=latency, bad_share=0.0) as server:
            runs += run(peer.module, task(server, gate=peer.gate), python=python)
    seconds = median(each.seconds for each in runs)
    return Figure(
        f"peers.{peer.name}.{latency:g}",
        f"job at {latency * 1000:g} ms: {peer.name}",
        [each.seconds for each in runs],
        "s",
        compared=f"{seconds / (peer.stages * latency):.2f} of its bound of {peer.stages} stages; {_counts(runs[-1])}",
    )


def _counts(last: Run) -> str:
    reached = accuracy(last.prompt, job_samples())
    return f"{last.calls} calls, {last.tokens:,} tokens, accuracy {reached:.3f}, {last.peak_mb:.0f} MB"


def _python(peer: Peer) -> str:
    """The interpreter of the peer's environment, which is made if it is not there."""
    if not peer.packages:
        return sys.executable
    folder = REPO / ".venvs" / peer.packages[0].replace("==", "-")
    if not (folder / "installed").exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", "--without-pip", folder], check=True)
        pip = [sys.executable, "-m", "pip", "--python", str(folder / "bin" / "python"), "install", "-q", *peer.packages]
        done = subprocess.run([*pip, "--disable-pip-version-check"], capture_output=True, text=True, check=False)
        if done.returncode == 0:
            (folder / "installed").touch()
    return str(folder / "bin" / "python")
