"""Walks over the tree of Modules, in torch's order.  Iterative: a tree may be deep."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Literal, TypeAlias, TypeVar

from afnio.cognitive._attributes import Attributes, Kind

__all__ = ["children", "members", "preorder", "visits"]

M = TypeVar("M", bound=Attributes)
Event: TypeAlias = Literal["enter", "leave", "whole"]


def children(module: M) -> Iterator[tuple[str, M]]:
    """``(name, child)`` of each child, each child once."""
    seen: set[M] = set()
    for name, child in module._modules.items():
        if child is not None and child not in seen:
            seen.add(child)
            yield name, child


def preorder(
    root: M, memo: set[M] | None = None, prefix: str = "", remove_duplicate: bool = True
) -> Iterator[tuple[str, M]]:
    """``(dotted name, module)``, parents first.

    ``memo`` holds the modules met so far, which are left out (with what is below them).  Without
    ``remove_duplicate`` a module is met once for each path to it; one that contains itself is left out there.
    """
    memo = set() if memo is None else memo
    if root in memo:
        return
    path = [root]
    stack = [(prefix, iter(root._modules.items()))]
    if remove_duplicate:
        memo.add(root)
    yield prefix, root
    while stack:
        above, items = stack[-1]
        for name, module in items:
            if module is None or module in memo or (not remove_duplicate and module in path):
                continue
            if remove_duplicate:
                memo.add(module)
            here = f"{above}.{name}" if above else name
            yield here, module
            path.append(module)
            stack.append((here, iter(module._modules.items())))
            break
        else:
            stack.pop()
            path.pop()


def members(
    root: Attributes, kind: Kind, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
) -> Iterator[tuple[str, Any]]:
    """``(dotted name, value)`` of each registered value of ``kind`` that is not None."""
    seen: dict[int, Any] = {}
    modules = preorder(root, None, prefix, remove_duplicate) if recurse else iter([(prefix, root)])
    for path, module in modules:
        for name, value in module.__dict__[kind.slot].items():
            if value is None or id(value) in seen:
                continue
            if remove_duplicate:
                seen[id(value)] = value
            yield f"{path}.{name}" if path else name, value


def _is_never_whole(_: object) -> bool:
    return False


def visits(
    root: M, prefix: str = "", *, whole: Callable[[M], bool] = _is_never_whole, once: bool = False
) -> Iterator[tuple[Event, str, M]]:
    """``(event, prefix, module)``: ``"enter"`` a module, then its children, then ``"leave"`` it.

    A module is visited once for each path to it; with ``once``, once for each parent.  A child for which ``whole``
    is true sees to what is below it: it is met in one ``"whole"`` event.  Prefixes end in ``"."``.

    Raises:
        RecursionError: a module contains itself.
    """
    path = {root}
    stack = [(prefix, root, _items(root, once))]
    yield "enter", prefix, root
    while stack:
        above, parent, items = stack[-1]
        for name, module in items:
            here = f"{above}{name}."
            if whole(module):
                yield "whole", here, module
                continue
            if module in path:
                raise RecursionError(f"the module '{here[:-1]}' contains itself")
            yield "enter", here, module
            path.add(module)
            stack.append((here, module, _items(module, once)))
            break
        else:
            stack.pop()
            path.discard(parent)
            yield "leave", above, parent


def _items(module: M, once: bool) -> Iterator[tuple[str, M]]:
    if once:
        return children(module)
    return ((name, child) for name, child in module._modules.items() if child is not None)
