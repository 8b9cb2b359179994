"""Print the description of the server's API (OpenAPI, JSON), without a running server."""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

from tellurio.server.app import make_app
from tellurio.server.settings import ServerSettings
from tellurio.store.store import Store


def main() -> None:
    """Write it to the standard output."""
    with tempfile.TemporaryDirectory() as folder:
        store = Store.open(Path(folder))
        try:
            described = make_app(store, ServerSettings()).openapi()
        finally:
            store.close()
    # The version would change the generated types at each release, which changes nothing.
    described["info"]["version"] = ""
    json.dump(described, sys.stdout, indent=1, sort_keys=True)


if __name__ == "__main__":
    main()
