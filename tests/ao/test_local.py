"""Whether the local server runs, as a recorder sees it that must not wait for it."""

from __future__ import annotations

import os
import subprocess
import sys

from ao.local import alive

WAITS = [sys.executable, "-c", "print(flush=True); input()"]


def test_a_process_is_a_server_by_its_command_and_only_while_it_lives() -> None:
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with (
        subprocess.Popen([*WAITS, "-m", "tellurio.server"], **pipes) as server,  # type: ignore[call-overload]
        subprocess.Popen([*WAITS, "-m", "another"], **pipes) as another,  # type: ignore[call-overload]
    ):
        for process in (server, another):
            process.stdout.readline()
        assert (alive(server.pid), alive(another.pid)) == (True, False)
        server.kill()
        os.waitid(os.P_PID, server.pid, os.WEXITED | os.WNOWAIT)  # it has ended, and nobody has asked how
        assert not alive(server.pid)
    assert not alive(server.pid)


def test_what_is_no_process_id_is_no_server() -> None:
    assert [alive(each) for each in (None, "1", 0, -1, 1.5)] == [False] * 5
