"""The texts a display shows: made here, so that all displays say the same."""

from __future__ import annotations

from afnio.trainer.averages import Metrics
from afnio.trainer.costs import Costs
from afnio.trainer.results import LOSS

__all__ = ["clock", "figures", "pace", "position"]


def position(label: str, done: int, total: int | None) -> str:
    """``[Training] 3/8``."""
    return f"[{label}] {done}/{'?' if total is None else total}"


def clock(seconds: float) -> str:
    """``0:01:05``."""
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}"


def pace(seconds: float, done: int, total: int | None, samples: int) -> str:
    """``0.2m/step 4.1 samples/s ETA 0:01:05``: minutes a step, samples a second, time left."""
    if not done:
        return "-.-m/step"
    text = f"{seconds / done / 60:.1f}m/step"
    if samples and seconds:
        text += f" {samples / seconds:.1f} samples/s"
    if total is not None and done < total:
        text += f" ETA {clock(seconds / done * (total - done))}"
    return text


def figures(costs: Costs, metrics: Metrics) -> str:
    """``tot_cost: $0.0000 train_loss: 0.8750 ± 0.1250 - val_loss: 0.9000``; losses first, the rest sorted."""
    names = sorted(metrics, key=lambda name: (not name.endswith(f"_{LOSS}") and name != LOSS, _order(name), name))
    return f"tot_cost: {costs} {' - '.join(f'{name}: {_number(metrics, name)}' for name in names)}".rstrip()


def _order(name: str) -> int:
    return 0 if name.startswith("train_") else 1


def _number(metrics: Metrics, name: str) -> str:
    error = metrics.stderr.get(name)
    return f"{metrics[name]:.4f}" + (f" ± {error:.4f}" if error else "")
