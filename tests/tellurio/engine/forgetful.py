"""A server that stores no job while a file ``hold`` is in its home: ``python -m tests.tellurio.engine.forgetful``."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import Any

from tellurio.engine import jobs
from tellurio.server import __main__ as server

_put = jobs._put


def put(*args: Any) -> None:
    """Wait, then store the job."""
    hold = Path(os.environ["TELLURIO_HOME"], "hold")
    while hold.exists():
        time.sleep(0.01)
    _put(*args)


if __name__ == "__main__":
    jobs._put = put  # type: ignore[assignment]
    sys.exit(server.main())
