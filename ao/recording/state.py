"""Which recordings this process belongs to."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ao.recording.recording import Recording  # layers: types only

__all__ = ["active", "disabled", "living", "random_id"]

living: list[Recording] = []
"""Those that are being made, in the order they began."""


def active() -> Recording | None:
    """The recording of this process, or the first one that a block of its script began; None: nothing is recorded."""
    return living[0] if living else None


def disabled() -> bool:
    """Whether the user wants nothing recorded (``AO_DISABLED=1``)."""
    return os.environ.get("AO_DISABLED", "").lower() in ("1", "true", "yes")


def random_id() -> str:
    """A UUID (version 4), from the system's randomness: the script's own is not touched."""
    number = bytearray(os.urandom(16))
    number[6] = number[6] & 0x0F | 0x40
    number[8] = number[8] & 0x3F | 0x80
    text = number.hex()
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))
