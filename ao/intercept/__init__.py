"""The LM calls of a script that knows nothing of us: seen, told, answered from a record.

``install`` puts the patches in place; ``ao.intercept.seam`` is what a recorder must know.  Importing this patches
nothing and loads none of the libraries.
"""

from __future__ import annotations

from ao.intercept.install import install as install
from ao.intercept.quiet import not_recorded as not_recorded

__all__ = ["install", "not_recorded"]
