"""Where things are on this machine: the home folder and what lies in it.

~/.tellurio/            0700; TELLURIO_HOME puts it elsewhere
|-- config.json         0600: which server, its key, what the user consented to
|-- journals/           what Runs log, until a server has it
`-- server/             the home of the local server: its database, blobs and log
    |-- server.json     0600: where it listens and the key of the local user, while it runs
    |-- server.log
    `-- start.lock      held while somebody starts or stops it
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from afnio.errors import TellurioError

__all__ = [
    "config_file",
    "home",
    "journals",
    "private_folder",
    "server_file",
    "server_home",
    "server_log",
    "start_lock",
]


def home() -> Path:
    """The home folder: ``TELLURIO_HOME``, else ``~/.tellurio``.  It may not be there yet: see `private_folder`."""
    given = os.environ.get("TELLURIO_HOME")
    try:
        return Path(given).expanduser().absolute() if given else Path.home() / ".tellurio"
    except RuntimeError as error:  # no HOME, and a user the system does not know
        raise TellurioError(f"There is no home folder ({error}). Set TELLURIO_HOME to a folder of yours.") from None


def config_file() -> Path:
    """The user's settings."""
    return home() / "config.json"


def journals() -> Path:
    """The folder of the Runs' journals."""
    return home() / "journals"


def server_home() -> Path:
    """The home of the local server."""
    return home() / "server"


def server_file() -> Path:
    """Written by the local server while it runs."""
    return server_home() / "server.json"


def server_log() -> Path:
    """What the local server says."""
    return server_home() / "server.log"


def start_lock() -> Path:
    """Held (flock) by whoever starts or stops the local server."""
    return server_home() / "start.lock"


def private_folder(folder: Path) -> Path:
    """Make ``folder``, the home folder or one in it, for this user alone (0700), whatever the umask says.

    A home folder that is there already keeps its mode: it is the user's.  The folders in it are ours, and are made
    private again.

    Raises:
        TellurioError: it cannot be made.
    """
    top = home()
    try:
        top.parent.mkdir(parents=True, exist_ok=True)
        for each in [top] if folder == top else [top, folder]:
            _make_private(each, tighten=each != top)
    except OSError as error:
        reason = "a file is in its way" if isinstance(error, FileExistsError) else error.strerror or error
        raise TellurioError(
            f"Cannot make the folder {folder}: {reason}. Set TELLURIO_HOME to a folder you can read and write."
        ) from error
    return folder


def _make_private(folder: Path, *, tighten: bool) -> None:
    try:
        folder.mkdir(mode=0o700)
    except FileExistsError:
        if not folder.is_dir():
            raise
        if tighten and stat.S_IMODE(folder.stat().st_mode) & 0o077:
            folder.chmod(0o700)
