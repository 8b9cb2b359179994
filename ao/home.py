"""Where this user's recordings, settings and local server are; what must be known before anything heavy is imported."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["config", "configured", "folder", "home", "journals", "server", "server_process"]


def home() -> str:
    """The home folder; as ``tellurio.client.paths.home``, which a recorder cannot afford to import."""
    given = os.environ.get("TELLURIO_HOME")
    return os.path.abspath(os.path.expanduser(given or os.path.join("~", ".tellurio")))


def journals() -> str:
    """The folder of the Runs' journals."""
    return os.path.join(home(), "journals")


def folder(run_id: str) -> str:
    """The folder of a Run's journals."""
    return os.path.join(journals(), run_id)


def config() -> dict[str, Any]:
    """The user's settings, as far as they can be read; `tellurio.client.config` says what is wrong with the rest."""
    return _json(os.path.join(home(), "config.json"))


def configured() -> str:
    """The address of the server to use; empty: the local one."""
    return str(os.environ.get("TELLURIO_BACKEND_HTTP_BASE_URL") or config().get("url") or "").rstrip("/")


def server() -> dict[str, Any]:
    """Where the local server listens, and its user's key; empty while it does not run."""
    return _json(os.path.join(home(), "server", "server.json"))


def server_process() -> int:
    """The process of the local server, 0 if there is none; known without reading JSON, which takes an import."""
    found = _content(os.path.join(home(), "server", "server.json")).partition(b'"pid"')[2].lstrip(b" :")
    digits = found[: len(found) - len(found.lstrip(b"0123456789"))]
    return int(digits or 0)


def _content(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError:
        return b""


def _json(path: str) -> dict[str, Any]:
    content = _content(path)
    if not content:
        return {}
    import json

    try:
        found = json.loads(content)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
