"""``python -m afnio.models.lm_server [JSON]``: the server as a child process.

Prints one line of JSON with its port, or with the error that kept it from starting, and stops when its standard
input is closed (so it never outlives its parent).  People use ``afnio lm-server``.
"""

from __future__ import annotations

import json
import sys

from afnio.models.lm_server.running import serve
from afnio.models.lm_server.simulation import NOTICE, Settings


def _say(**what: object) -> None:
    sys.stdout.write(json.dumps({**what, "notice": NOTICE}) + "\n")
    sys.stdout.flush()


def main() -> None:
    """Read the options, serve until standard input ends."""
    options = json.loads(sys.argv[1]) if len(sys.argv) > 1 else {}
    port, faults = options.pop("port", 0), options.pop("faults", [])
    options["models"] = tuple(options.get("models", ()))
    try:
        serve(Settings(**options), port=port, faults=faults, started=lambda port: _say(port=port), until=sys.stdin.read)
    except (OSError, ValueError) as error:
        _say(error=str(error))


if __name__ == "__main__":
    main()
