"""Signatures, told as text, and held against what there is."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any


def takes(function: Callable[..., Any], parameters: str) -> None:
    """Check that ``function`` can be called as ``parameters`` says: ``"a, b=None, *, c=3, **more"``.

    The named parameters come first and in this order, with these defaults; after them there may be more, which have
    defaults.  ``self`` and ``cls`` are not told.
    """
    have = [one for one in inspect.signature(function).parameters.values() if one.name not in ("self", "cls")]
    wanted = list(inspect.signature(eval(f"lambda {parameters}: None", {"sum": sum})).parameters.values())
    names = [one.name for one in wanted]
    first = [one for one in have if one.name in names]
    assert [one.name for one in first] == names, (function, first)
    for ours, theirs in zip(first, wanted, strict=True):
        assert ours.default == theirs.default, (function, ours, theirs)
        assert ours.kind == theirs.kind, (function, ours, theirs)
    for more in have:
        if more.name not in names:
            assert more.default is not more.empty or more.kind in (more.VAR_KEYWORD, more.VAR_POSITIONAL), more
            positional = more.kind is more.POSITIONAL_OR_KEYWORD
            assert not positional or have.index(more) > max(map(have.index, first), default=-1), f"{more} is in the way"
