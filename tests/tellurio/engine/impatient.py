"""A server that waits a moment only for clients that are gone: ``python -m tests.tellurio.engine.impatient``."""

from __future__ import annotations

import functools
import sys

from tellurio.engine.jobs import Jobs
from tellurio.server import __main__ as server
from tellurio.server import app, serve, settings

if __name__ == "__main__":
    app.Jobs = functools.partial(Jobs, client_lease=0.3)  # type: ignore[assignment,attr-defined]
    serve.ServerSettings = functools.partial(settings.ServerSettings, sweep_seconds=0.1)  # type: ignore[assignment,attr-defined]
    sys.exit(server.main())
