"""The words the library sends to models: product, not code.

Each file of this package holds one model's instructions as data, with its version and the reason for each
part.  The version is stored with every call made with it.  To use others, pass ``messages=`` to the
optimizer, or ``EngineSettings(words={"critic": Words(...)})`` to the engine.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

__all__ = ["Part", "Words"]


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of an instruction.

    Attributes:
        text: what is sent.
        why: what it is there for, and where the practice comes from.
    """

    text: str
    why: str


@dataclass(frozen=True)
class Words:
    """Instructions for one model.

    Attributes:
        name: whose they are.
        version: changes with every change of the words.
        parts: the system message, joined by line breaks.
    """

    name: str
    version: str
    parts: tuple[Part, ...]

    @functools.cached_property
    def system(self) -> str:
        """The text of the system message."""
        return "\n".join(part.text for part in self.parts)

    @functools.cached_property
    def label(self) -> str:
        """Name and version, as stored with each call."""
        return f"{self.name}/{self.version}"
