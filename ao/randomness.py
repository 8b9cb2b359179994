"""Randomness that a rerun repeats: ``random``, ``numpy``, ``torch`` and ``uuid.uuid4`` begin at the recording's seed.

They are seeded once, when the script starts or when it imports them.  A seed that the script sets itself holds: nothing
seeds again.  ``time`` stays real, and so do ``os.urandom`` and ``secrets``.

The child of a fork goes on from a seed of its own: Python itself seeds ``random`` anew there, whatever the parent's
seed was, and two children must not make the same UUIDs.  Other child processes are left alone: what their modules seed
when they are imported is not known.
"""

from __future__ import annotations

import os
import sys

from ao.intercept.imports import Watch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType
    from typing import Any

__all__ = ["forked", "repeatable"]

_OURS = ("afnio.", "tellurio.", "ao.")


_draws: list[Any] = []
"""What ``uuid4`` draws from, once it is seeded."""


def repeatable(seed: int) -> Callable[[], None]:
    """Seed what is imported, and the rest when it is; returns what stops that."""

    def arrived(name: str, module: ModuleType) -> None:
        if hasattr(module, _MARKS[name]):
            _SEEDERS[name](module, seed)

    watch = Watch(_SEEDERS, arrived)
    watch.start()
    return watch.stop


def forked(seed: int, tag: str) -> None:
    """In the child of a fork, before ``random`` hears of it.

    Args:
        seed: of the recording.
        tag: which of its processes this is.
    """
    import hashlib

    _own[:] = [int.from_bytes(hashlib.sha256(f"{seed} {tag}".encode()).digest()[:8], "big")]
    for draw in _draws:
        draw.seed(f"uuid4 {_own[0]}")


_own: list[int] = []
"""The seed of this process, if it is the child of a fork."""


def _random(module: ModuleType, seed: int) -> None:
    module.seed(seed)
    if hasattr(os, "register_at_fork"):  # after the module's own, so that it is called after that
        os.register_at_fork(after_in_child=lambda: module.seed(_own[0]) if _own else None)


def _numpy(module: ModuleType, seed: int) -> None:
    module.seed(seed % 2**32)


def _torch(module: ModuleType, seed: int) -> None:
    module.manual_seed(seed % 2**63)


def _uuid(module: ModuleType, seed: int) -> None:
    """``uuid4`` draws from a generator of its own, so that nothing else of the script is drawn differently."""
    import random

    draw = random.Random(f"uuid4 {seed}")
    _draws.append(draw)
    made: Any = module.UUID
    system: Any = module.uuid4

    def uuid4() -> Any:
        """Generate a random UUID."""
        if sys._getframe(1).f_globals.get("__name__", "").startswith(_OURS):
            return system()  # a Run or a job of a rerun is another one
        return made(int=draw.getrandbits(128), version=4)

    module.uuid4 = uuid4  # type: ignore[attr-defined]


_SEEDERS: dict[str, Callable[[ModuleType, int], None]] = {
    "random": _random,
    "numpy.random": _numpy,
    "torch": _torch,
    "uuid": _uuid,
}
_MARKS = {"random": "SystemRandom", "numpy.random": "RandomState", "torch": "manual_seed", "uuid": "getnode"}
"""What each of them has; a script's own file of that name has not, and is left alone."""
