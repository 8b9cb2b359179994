"""Attributes replaced on classes and modules, and put back."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

__all__ = ["Patches"]


class Patches:
    """Everything that was replaced, so that it can be undone."""

    def __init__(self) -> None:
        self._done: list[tuple[Any, str, Any, Any, bool]] = []

    def wrap(self, owner: Any, name: str, around: Callable[[Any], Any]) -> None:
        """Replace ``owner.name`` by ``around(what it was)``.

        Raises:
            AttributeError: ``owner`` has no such attribute: a version of the library that we do not know.
        """
        before = getattr(owner, name)
        own = name in vars(owner)
        after = around(before)
        after.__name__ = getattr(before, "__name__", name)
        after.__qualname__ = getattr(before, "__qualname__", name)
        after.__doc__ = getattr(before, "__doc__", None)
        after.__wrapped__ = before
        setattr(owner, name, after)
        self._done.append((owner, name, before, after, own))

    def undo(self) -> None:
        """Put everything back, except where somebody has patched on top of us: taking that away is not ours to do."""
        while self._done:
            owner, name, before, after, own = self._done.pop()
            if vars(owner).get(name) is not after:
                continue
            if own:
                setattr(owner, name, before)
            else:
                delattr(owner, name)
