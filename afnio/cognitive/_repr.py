"""How a Module shows itself: a tree, as torch draws it."""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["indent", "tree"]


def indent(text: str, spaces: int = 2) -> str:
    """``text`` with every line but the first moved to the right; blank lines stay blank."""
    first, *rest = text.split("\n")
    return "\n".join([first, *(" " * spaces + line if line.strip() else "" for line in rest)])


def tree(name: str, extra: str, children: Iterable[tuple[str, str]]) -> str:
    """``name(extra)`` on one line if there are no children, else one line for each."""
    extra_lines = extra.split("\n") if extra else []
    child_lines = [f"({key}): {indent(text)}" for key, text in children]
    if len(extra_lines) <= 1 and not child_lines:
        return f"{name}({extra})"
    lines = "\n  ".join(extra_lines + child_lines)
    return f"{name}(\n  {lines}\n)"
