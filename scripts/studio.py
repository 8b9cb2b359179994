"""What is done with Studio, the web page, while it is worked on.

python -m scripts.studio build        build it, unless it is up to date (make studio)
python -m scripts.studio check        build it, check its types and run the tests of its logic (a part of make check)
python -m scripts.studio types        write studio/src/api/schema.d.ts anew, from the server's OpenAPI
python -m scripts.studio npm ...      the npm of this environment, in studio/
python -m scripts.studio hint         nothing, or how to get the page
"""

from __future__ import annotations

import difflib
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from scripts.build_studio import FAILED, PageError, Studio

ROOT = Path(__file__).resolve().parents[1]
SCHEMA = ROOT / "studio" / "src" / "api" / "schema.d.ts"


def build(studio: Studio) -> int:
    """Build the page."""
    built = studio.build()
    print(f"The web page {'was built' if built else 'is up to date'}: {studio.page.relative_to(ROOT)}")
    return 0


def check(studio: Studio) -> int:
    """Build the page, and see whether all about it is right."""
    build(studio)
    studio.install()
    for command in (("typescript/bin/tsc", "--noEmit"), ("vitest/vitest.mjs", "run", "--reporter=default")):
        done = studio.node(f"node_modules/{command[0]}", *command[1:], quiet=True)
        if done.returncode != 0:
            print(done.stdout + done.stderr, file=sys.stderr)
            return done.returncode
        print(f"{Path(command[0]).stem}: {_said(done.stdout) or 'fine'}")
    if generated(studio) != SCHEMA.read_text():
        print(f"{SCHEMA.relative_to(ROOT)} is not what the server's API is. Type: make studio-types", file=sys.stderr)
        return 1
    return 0


def _said(output: str) -> str:
    """How many tests passed."""
    return " ".join(line.split(maxsplit=1)[1] for line in output.splitlines() if line.split()[:1] == ["Tests"])


def types(studio: Studio) -> int:
    """Write the types of the API anew."""
    studio.install()
    new, old = generated(studio), SCHEMA.read_text() if SCHEMA.exists() else ""
    SCHEMA.write_text(new)
    changed = sum(line[:1] in "+-" for line in difflib.unified_diff(old.splitlines(), new.splitlines(), n=0))
    print(f"{SCHEMA.relative_to(ROOT)}: {'nothing has' if not changed else f'{changed} lines have'} changed")
    return 0


def generated(studio: Studio) -> str:
    """The types of the API as it is now."""
    with tempfile.TemporaryDirectory() as folder:
        described, written = Path(folder) / "openapi.json", Path(folder) / "schema.d.ts"
        with described.open("w") as out:
            subprocess.run([sys.executable, "-m", "scripts.openapi"], cwd=ROOT, stdout=out, check=True)
        command = ("node_modules/openapi-typescript/bin/cli.js", str(described), "-o", str(written))
        done = studio.node(*command, quiet=True)
        if done.returncode != 0:
            raise PageError(f"openapi-typescript failed: {done.stderr}")
        return written.read_text()


def hint(studio: Studio) -> int:
    """Say how to get the page, where it is missing or old."""
    if not studio.is_current():
        state = "is older than its sources" if (studio.page / "index.html").exists() else "is not built"
        if studio.why_not():
            print(studio.why_not())
        print(f"The web page {state}; training does not need it. To get it: make studio")
    return 0


def npm(studio: Studio) -> int:
    """Run npm."""
    return studio.node(studio.npm(), *sys.argv[2:]).returncode


COMMANDS: dict[str, Callable[[Studio], int]] = {
    each.__name__: each for each in (build, check, types, hint, npm)
}  # fmt: skip


def main() -> int:
    """Do what the command line says."""
    command = COMMANDS.get(sys.argv[1] if len(sys.argv) > 1 else "")
    if command is None:
        print(__doc__, file=sys.stderr)
        return 2
    try:
        return command(Studio(ROOT))
    except PageError as error:
        print(f"{FAILED}: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
