"""Randomness that a rerun repeats: ``random``, ``numpy``, ``torch`` and ``uuid.uuid4`` begin at the recording's seed.

They are seeded once, when the script starts or when it imports them.  A seed that the script sets itself holds: nothing
seeds again.  ``time`` stays real, and so do ``os.urandom`` and ``secrets``.
"""

from __future__ import annotations

from ao.intercept.imports import Watch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType
    from typing import Any

__all__ = ["repeatable"]


def repeatable(seed: int) -> Callable[[], None]:
    """Seed what is imported, and the rest when it is; returns what stops that."""

    def arrived(name: str, module: ModuleType) -> None:
        _SEEDERS[name](module, seed)

    watch = Watch(_SEEDERS, arrived)
    watch.start()
    return watch.stop


def _random(module: ModuleType, seed: int) -> None:
    module.seed(seed)


def _numpy(module: ModuleType, seed: int) -> None:
    module.seed(seed % 2**32)


def _torch(module: ModuleType, seed: int) -> None:
    module.manual_seed(seed % 2**63)


def _uuid(module: ModuleType, seed: int) -> None:
    """``uuid4`` draws from a generator of its own, so that nothing else of the script is drawn differently."""
    import random

    draw = random.Random(f"uuid4 {seed}")
    made: Any = module.UUID

    def uuid4() -> Any:
        """Generate a random UUID."""
        return made(int=draw.getrandbits(128), version=4)

    module.uuid4 = uuid4  # type: ignore[attr-defined]


_SEEDERS: dict[str, Callable[[ModuleType, int], None]] = {
    "random": _random,
    "numpy.random": _numpy,
    "torch": _torch,
    "uuid": _uuid,
}
