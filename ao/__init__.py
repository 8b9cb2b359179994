"""`ao`: the recorder.  ``ao-record script.py`` records the LM calls of any script, unmodified.

    import ao

    with ao.record("sample-1"):
        ao.log("right", success=True)

Importing it has no effects and costs next to nothing: what it offers is imported when it is used.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ao.runner.context_manager import ao_launch as launch
    from ao.runner.context_manager import ao_record as record
    from ao.runner.context_manager import log as log

__all__ = ["launch", "log", "record"]

_NAMES = {"record": "ao_record", "launch": "ao_launch", "log": "log"}


def __getattr__(name: str) -> Any:
    if name not in _NAMES:
        raise AttributeError(f"module 'ao' has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module("ao.runner.context_manager"), _NAMES[name])  # layers: when used


def __dir__() -> list[str]:
    return sorted([*globals(), *_NAMES])
