"""Which recording this process belongs to."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ao.recording.recording import Recording  # layers: types only

__all__ = ["active", "disabled", "set_active"]

_active: Recording | None = None


def active() -> Recording | None:
    """The recording of this process; None: nothing is recorded."""
    return _active


def set_active(recording: Recording | None) -> None:
    """Make it the one of this process."""
    global _active
    _active = recording


def disabled() -> bool:
    """Whether the user wants nothing recorded (``AO_DISABLED=1``)."""
    return os.environ.get("AO_DISABLED", "").lower() in ("1", "true", "yes")
