"""Runs, metrics and experiments on a Tellurio server: ``import afnio.tellurio as te``.

Another name for ``tellurio.client``.  Importing it loads nothing yet, and contacts no server: ``te.login`` and
``te.init`` do, and start the local server where none is configured.
"""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from afnio.logging_config import configure_logging as configure_logging
    from tellurio.client.api import Api as Api
    from tellurio.client.begin import init as init
    from tellurio.client.login import login as login
    from tellurio.client.project import Project as Project
    from tellurio.client.run import Run as Run
    from tellurio.client.run import RunStatus as RunStatus
    from tellurio.client.run import log as log

__all__ = [
    "Api",
    "Project",
    "Run",
    "RunStatus",
    "configure_logging",
    "init",
    "log",
    "login",
    "suppress_variable_notifications",
]

_HOMES = {
    "Api": "tellurio.client.api",
    "Project": "tellurio.client.project",
    "Run": "tellurio.client.run",
    "RunStatus": "tellurio.client.run",
    "configure_logging": "afnio.logging_config",
    "init": "tellurio.client.begin",
    "log": "tellurio.client.run",
    "login": "tellurio.client.login",
}
_SUBMODULES = ("client", "consent", "project", "run", "run_context")


@contextlib.contextmanager
def suppress_variable_notifications() -> Iterator[None]:
    """Does nothing: Variables are local, and a server is never told of them.  Older scripts use it."""
    yield


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        value = globals()[name] = getattr(importlib.import_module(_HOMES[name]), name)
        return value
    if name in _SUBMODULES:
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, *_SUBMODULES})
