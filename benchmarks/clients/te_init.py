"""How long ``te.init`` takes: with the server running, or to be started (``cold``, which also stops it again)."""

from __future__ import annotations

import json
import sys
import time

import afnio.tellurio as te


def main(cold: bool) -> None:
    """The first ``te.init`` of the process, and a second one; one JSON line."""
    taken = []
    for _ in range(2):
        cpu, started = time.process_time(), time.perf_counter()
        run = te.init("bench", "Beginnings")
        taken.append({"wall": time.perf_counter() - started, "cpu": time.process_time() - cpu})
        run.finish()
    print(json.dumps(taken))
    if cold:
        from tellurio.client.local import stop_local_server

        stop_local_server()


if __name__ == "__main__":
    main(sys.argv[1] == "cold")
