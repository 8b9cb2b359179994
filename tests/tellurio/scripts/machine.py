"""`Home`: a machine that knows nothing of us yet, on which scripts are run as their users do."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

TELLURIO = Path(sys.executable).parent / "tellurio"
READING = """
import dataclasses, json, sys
import afnio.tellurio as te

api, named = te.Api(), sys.argv[1]
run = api.run(named) if named.count("/") > 1 else next(iter(api.runs(named)))
print(json.dumps({
    "status": run.status,
    "name": run.name,
    "slug": run.slug,
    "url": run.url,
    "description": run.description,
    "calls": list(run.calls()),
    "cost": run.cost,
    "prompts": run.prompts(),
    "metrics": {one["name"]: [[point["step"], point["value"]] for point in run.metrics(one["name"])]
        for one in run.metrics()},
    "events": list(run.events()),
    "artifacts": [{"name": one.name, "version": one.version, "kind": one.kind, "files": one.files}
        for one in run.artifacts()],
}, default=str))
"""

OURS = ("OPENAI_", "ANTHROPIC_", "AFNIO_", "TELLURIO_", "ALLOW_API_KEY_SHARING")


@dataclass(frozen=True)
class Home:
    """A ``TELLURIO_HOME`` of its own; the local server is started by the first script that needs it."""

    folder: Path

    def environment(self, **more: str) -> dict[str, str]:
        """The environment of a user who has set nothing but ``more``."""
        given = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
        # Unbuffered, so that what is printed and what is logged are in the order they happened.
        return given | {"TELLURIO_HOME": str(self.folder), "PYTHONUNBUFFERED": "1"} | more

    def run(
        self, *command: str | Path, cwd: Path | None = None, together: bool = False, **env: str
    ) -> subprocess.CompletedProcess[str]:
        """Run ``python <command>``; ``together``: output and errors come as one text, as on a terminal."""
        return subprocess.run(
            [sys.executable, *map(str, command)],
            cwd=cwd or self.folder.parent,
            env=self.environment(**env),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT if together else subprocess.PIPE,
            text=True,
            timeout=300,
        )

    def stored(self, run: str) -> dict[str, Any]:
        """What the server has of a Run, or of the newest Run of a project, by ``te.Api``; dollars are strings."""
        done = self.run("-c", READING, run)
        assert done.returncode == 0, done.stderr
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    def tellurio(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run ``tellurio <command>``."""
        return subprocess.run(
            [TELLURIO, *command], env=self.environment(), capture_output=True, text=True, timeout=150, check=False
        )
