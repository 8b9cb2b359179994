"""The LM calls of a script that knows nothing of us: seen, told, answered from a record.

``install`` puts the patches in place; ``ao.intercept.seam`` is what a recorder must know.  Importing this patches
nothing and loads none of the libraries.
"""

from __future__ import annotations

from ao.intercept.install import install as install

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ao.intercept.quiet import not_recorded as not_recorded

__all__ = ["install", "not_recorded"]


def __getattr__(name: str) -> Any:
    if name != "not_recorded":
        raise AttributeError(f"module 'ao.intercept' has no attribute {name!r}")
    import importlib

    return importlib.import_module("ao.intercept.quiet").not_recorded  # layers: when used
