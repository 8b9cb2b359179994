"""What a Run says of the process that made it."""

from __future__ import annotations

import platform
import shlex
import sys
from pathlib import Path
from typing import Any

from afnio.calls.redact import redacted
from tellurio.schemas.version import our_version

__all__ = ["about_client"]


def about_client() -> dict[str, Any]:
    """Versions, the command (what looks like a credential replaced) and the commit of the folder we are in."""
    command = shlex.join(sys.argv)[:10_000].encode(errors="replace")
    facts = {
        "version": our_version(),
        "python": platform.python_version(),
        "command": redacted(command).decode(errors="replace"),
        "git_commit": git_commit(Path.cwd()) if _has_cwd() else None,
    }
    return {name: value for name, value in facts.items() if value is not None}


def _has_cwd() -> bool:
    try:
        Path.cwd()
    except OSError:  # it was removed
        return False
    return True


def git_commit(folder: Path) -> str | None:
    """The commit that is checked out in ``folder`` or above it; read from git's files, as starting git takes longer."""
    try:
        for each in [folder, *folder.parents]:
            git = each / ".git"
            if git.is_file():  # a worktree
                git = each / git.read_text().partition(":")[2].strip()
            if (git / "HEAD").is_file():
                return _resolved(git)
    except (OSError, ValueError):
        pass
    return None


def _resolved(git: Path) -> str | None:
    head = (git / "HEAD").read_text().strip()
    if not head.startswith("ref: "):
        return head
    reference = head[5:]
    common = git / (git / "commondir").read_text().strip() if (git / "commondir").is_file() else git
    for place in (git, common):
        if (place / reference).is_file():
            return (place / reference).read_text().strip()
    for line in (common / "packed-refs").read_text().splitlines():
        if line.endswith(f" {reference}"):
            return line.partition(" ")[0]
    return None
