"""Who stores recordings: the local server, started if it does not run; or a process that feeds a server elsewhere."""

from __future__ import annotations

import os
import sys

from ao.home import configured, home, server_process

__all__ = ["alive", "ensure_server", "start_and_wait"]

_START = "from tellurio.client.local import ensure_local_server as start; start()"


def ensure_server(folder: str) -> None:
    """See that somebody stores what is recorded in ``folder``; waits for nobody, and no error is the script's.

    A local server that runs finds the folder by itself.  Otherwise a process is started that starts it, or that sends
    the folder to the server that was configured.
    """
    if configured():
        _spawn(["-m", "tellurio.client.feeding", folder])
    elif not alive(server_process()):
        _spawn(["-c", _START])


def start_and_wait() -> str:
    """Start the local server if it is the one to use and does not run; returns what went wrong, ``""`` if nothing."""
    if configured() or alive(server_process()):
        return ""
    import subprocess

    quiet = subprocess.DEVNULL
    done = subprocess.run(
        [sys.executable, "-c", _START], stdin=quiet, stdout=quiet, stderr=subprocess.PIPE, check=False
    )
    return "" if done.returncode == 0 else done.stderr.decode(errors="replace").strip().rpartition("\n")[2]


def alive(pid: object) -> bool:
    """Whether there is such a process, and it may be a server.

    One that was killed may be a zombie for ever (in a container there may be nobody to ask how it ended), and its
    number may be another program's by now.
    """
    if not isinstance(pid, int) or pid <= 0:
        return False
    try:
        os.kill(pid, 0)
    except OSError as error:
        return isinstance(error, PermissionError)
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:  # a zombie has none
            return b"tellurio" in file.read()
    except OSError:  # there is no /proc here
        return True


def _spawn(arguments: list[str]) -> None:
    """A process of its own, quiet: it outlives the script, and Ctrl-C in its terminal is not for it.

    It is no child of the script's, which may wait for any of its own: a shell starts it, and ends.
    """
    command = [sys.executable, *arguments]
    try:
        if not hasattr(os, "posix_spawn"):
            import subprocess

            quiet = subprocess.DEVNULL
            subprocess.Popen(command, stdin=quiet, stdout=quiet, stderr=quiet, cwd=home())
            return
        nothing = [(os.POSIX_SPAWN_OPEN, fd, os.devnull, os.O_RDWR, 0) for fd in (0, 1, 2)]
        shell = ["sh", "-c", '"$@" &', "sh", *command]
        try:
            os.waitpid(os.posix_spawn("/bin/sh", shell, os.environ, file_actions=nothing, setsid=True), 0)
        except FileNotFoundError:  # a machine without a shell
            os.posix_spawn(sys.executable, command, os.environ, file_actions=nothing, setsid=True)
    except OSError:
        pass  # the folder stays, and is found by the next server
