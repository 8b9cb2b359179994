"""Recorded scripts as processes of this machine: stopped, and started again.

Only what was recorded on this machine is started, for the user of this machine, by a server that only this machine
can reach: the command of a recording is never one that somebody sent.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from sqlalchemy import Connection

from tellurio.client.folders import journals_in
from tellurio.client.restarting import CannotRun, family, records, restart, tell
from tellurio.server.log import log
from tellurio.server.outputs import Outputs, Said
from tellurio.server.refusals import Refused, unknown
from tellurio.store import runs
from tellurio.store.edits import make_draft, not_begun
from tellurio.store.users import local_user

__all__ = ["Processes"]

GRACE = 5.0
"""Seconds between SIGINT and SIGTERM."""

PATIENCE = 15.0
"""Seconds in which a script that was told to stop has to be gone, before it is run again."""

BEGINS = 30.0
"""Seconds in which a script that is run again is waited for to begin, or to fail at that; then it is left to itself."""

SHOWN = 2000
"""Bytes of what a script printed that are told to who started it, when it did not begin."""

_PAUSE = 0.1
_WATCHED = 0.5  # seconds between two looks at how much a script has printed
_later: set[asyncio.Task[None]] = set()


class Started:
    """A script that was started for a Run.

    Attributes:
        process: None: it could not even be started.
        failing: it has ended, and that it did not begin is just being stored.  Whoever reads the store has to look at
            this next and only then at `failed`: a Run that has crashed would else look like one that has begun.
        failed: why it did not begin, once that is stored; what it printed is in the lines below the first.
    """

    process: subprocess.Popen[bytes] | None = None
    failing = False
    failed = ""

    def __init__(self, run_id: str, command: list[str]) -> None:
        self.run_id, self.command = run_id, command

    def running(self) -> bool:
        """Wait a moment for its end; whether it has not come."""
        if self.process is None:
            return False
        try:
            self.process.wait(_WATCHED)
        except subprocess.TimeoutExpired:
            return True
        return False

    def failure(self, said: str) -> str:
        """Why it did not begin, in a line; then what it printed."""
        status = None if self.process is None else self.process.returncode
        if status is None:
            how = f"{self.command[0]} could not be started"
        else:
            how = f"exit status {status}" if status >= 0 else f"ended by signal {-status}"
        lines = [line for line in said.splitlines() if line.strip()]
        last = f": {lines[-1].strip()[:500]}" if lines else ", and it printed nothing"
        return "\n".join([f"The rerun did not begin ({how}){last}", *lines[:-1]])


class Processes:
    """What may be done with the scripts of recordings.

    Args:
        app: the server.
    """

    def __init__(self, app: FastAPI) -> None:
        self._store, self._settings, self._hub = app.state.store, app.state.settings, app.state.hub
        self._outputs = Outputs(app.state.store.folder)

    async def stop(self, user: Mapping[str, Any], run_id: str) -> int:
        """Tell the script to stop; returns its process id.

        Raises:
            Refused: it does not run, or not here.
        """
        run = await self._of(user, run_id)
        command = await self._store.aread(runs.command_of, run_id)
        pid = int((command or {}).get("pid") or 0)
        if run["status"] != "RUNNING" or not self._records(pid, run_id):
            raise Refused(409, f"The script of the Run {run['name']!r} does not run on this machine.")
        told = await asyncio.to_thread(_interrupt, pid)
        task = asyncio.create_task(_insist(told))
        _later.add(task)
        task.add_done_callback(_later.discard)
        log("recording_stopped", run=run_id, pid=pid)
        return pid

    async def rerun(
        self, user: Mapping[str, Any], run_id: str, environ: Mapping[str, str], *, cache: bool
    ) -> dict[str, Any]:
        """Start the script again; returns the Run it becomes.

        It is waited for until it begins.  A draft that does not begin stays one, and says why; a copy that was made to
        be run has crashed.

        Raises:
            Refused: it cannot be started here, or did not begin; says why.
        """
        run = await self._of(user, run_id)
        if run["kind"] not in ("recording", "rerun"):
            raise Refused(409, f"The Run {run['name']!r} is no recording: nobody knows how its script is started.")
        stored = await self._store.aread(runs.command_of, run_id) or {}
        _check(stored, environ)
        try:
            given = {**_own_environment(), **dict(stored.get("env") or {}), **environ}
            _, _, given = restart(stored, run_id, cache=cache, environ=given)  # now: keys of one that runs go with it
            if run["status"] == "RUNNING":
                await self._stopped(user, run_id)
            draft = run if run["status"] == "DRAFT" else await self._store.awrite(_copied, run, durable=True)
            command, where, env = restart(stored, draft["id"], cache=cache, environ=given)
        except CannotRun as error:
            raise Refused(409, str(error)) from None
        started = Started(draft["id"], [command[0], "-u", *command[1:]])  # what it prints is there when it prints it
        await asyncio.to_thread(self._start, started, where, env)
        log("recording_started", run=draft["id"], again=run_id)
        return await self._begun(dict(draft), started)

    async def output(self, user: Mapping[str, Any], run_id: str, last: int) -> Said:
        """The end of what a script printed that was started here.

        Raises:
            Refused: it was not, or is somebody else's.
        """
        await self._own(user, run_id)
        said = await asyncio.to_thread(self._outputs.read, run_id, last)
        if said is None:
            message = "This server did not start the script of that Run: what it printed went where it was started."
            raise Refused(404, message)
        return said

    async def printed(self, user: Mapping[str, Any], run_id: str) -> int | None:
        """How many bytes `output` has for this user; None: nothing, or not for them."""
        try:
            return (await self.output(user, run_id, 1)).size
        except Refused:
            return None

    def _start(self, started: Started, where: str, env: Mapping[str, str]) -> None:
        output = self._outputs.begin(started.run_id)
        try:
            started.process = subprocess.Popen(
                started.command,
                cwd=where,
                env=dict(env),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        except OSError as error:
            os.write(output, f"{error}\n".encode())
        finally:
            os.close(output)
        threading.Thread(target=self._watch, args=(started,), name="rerun", daemon=True).start()

    def _watch(self, started: Started) -> None:
        """Until its end: it is this process's child, and what it prints is bounded."""
        while started.running():
            self._outputs.trim(started.run_id)
        self._outputs.end(started.run_id)
        if not self._has_begun(started.run_id):
            said = self._outputs.read(started.run_id, SHOWN)
            failure = started.failure("" if said is None else said.text)
            started.failing = True
            try:
                told = self._store.write(not_begun, started.run_id, failure.partition("\n")[0])
                started.failed = "" if told is None else failure
            finally:
                started.failing = False
            if told is not None:
                log("recording_not_begun", run=started.run_id, reason=told["reason"])
                self._hub.tell(told["project_id"], started.run_id, ["status"], told["status"])

    def _has_begun(self, run_id: str) -> bool:
        """Whether it is a recording, stored or still to be stored: in this order, as it goes from one to the other."""
        folder = self._settings.journals_home / "journals" / run_id
        return bool(journals_in(folder)) or self._store.read(runs.status, run_id) != "DRAFT"

    async def _begun(self, draft: dict[str, Any], started: Started) -> dict[str, Any]:
        end = time.monotonic() + BEGINS
        while time.monotonic() < end:
            found: dict[str, Any] | None = await self._store.aread(runs.run, draft["id"])
            if not started.failing:
                if started.failed:
                    raise Refused(
                        409, f"{started.failed}\nSee all of it: ao-tool output {draft['id'][:8]}", run=draft["id"]
                    )
                if found is None or found["status"] != "DRAFT":
                    return found or draft
            await asyncio.sleep(_PAUSE)
        return draft

    async def _of(self, user: Mapping[str, Any], run_id: str) -> dict[str, Any]:
        """The Run, if its script is the caller's business on this machine."""
        run = await self._own(user, run_id)
        command = await self._store.aread(runs.command_of, run_id)
        host = (command or {}).get("host")
        if host and host != socket.gethostname():
            raise Refused(409, f"It was recorded on another machine, {str(host)[:100]}.")
        return run

    async def _own(self, user: Mapping[str, Any], run_id: str) -> dict[str, Any]:
        """The Run, if it is one of this machine's user, and who asks is that."""
        run: dict[str, Any] | None = await self._store.aread(runs.run, run_id)
        if run is None:
            raise unknown("Run", run_id)
        owner = await self._store.aread(local_user)
        if not self._settings.local or self._settings.journals_home is None:
            raise Refused(409, "Only a local server starts and stops scripts: use ao-tool where it was recorded.")
        if owner is None or not owner["id"] == user["id"] == run["user"]["id"]:
            raise Refused(403, "Only this machine's user may start and stop scripts here, and only their own.")
        return run

    def _records(self, pid: int, run_id: str) -> bool:
        home: Path = self._settings.journals_home
        return records(pid, home / "journals" / run_id)

    async def _stopped(self, user: Mapping[str, Any], run_id: str) -> None:
        try:
            await self.stop(user, run_id)
        except Refused as refused:  # it may have ended by itself just now, which is stored in a moment
            try:
                await self._ended(run_id)
            except Refused:
                raise refused from None
        else:
            await self._ended(run_id)

    async def _ended(self, run_id: str) -> None:
        for _ in range(int(PATIENCE / _PAUSE)):
            if await self._store.aread(runs.status, run_id) != "RUNNING":
                return
            await asyncio.sleep(_PAUSE)
        raise Refused(409, "Its script was told to stop, and still runs. Try again when it has ended.")


def _check(command: Mapping[str, Any], environ: Mapping[str, str]) -> None:
    """Only what was recorded here, and only with what it was recorded with: a path of modules would make it another."""
    if command.get("sent"):
        raise Refused(
            409, "Its command came over the network. This server starts only what it saw recorded: use ao-tool rerun."
        )
    needs = command.get("needs") or ()
    if other := sorted(set(environ) - set(needs)):
        allowed = ", ".join(needs) or "nothing"
        raise Refused(422, f"env: {other[0][:100]!r} may not be set for a rerun; this recording needs {allowed}.")
    if wrong := sorted(name for name in environ if "\0" in environ[name]):
        raise Refused(422, f"env: the value of {wrong[0]!r} has a NUL character.")


def _copied(connection: Connection, run: Mapping[str, Any]) -> dict[str, Any]:
    return make_draft(connection, run, "{}")


def _own_environment() -> dict[str, str]:
    """What a script needs to be found and to speak; no more of what this server was started with."""
    return {
        name: os.environ[name] for name in ("HOME", "PATH", "TELLURIO_HOME", "TMPDIR", "USER") if name in os.environ
    }


def _interrupt(pid: int) -> dict[int, str]:
    """Ctrl-C, for the script and its children; returns who was told."""
    told = family(pid)
    _signal(told, signal.SIGINT)
    return told


async def _insist(told: Mapping[int, str]) -> None:
    await asyncio.sleep(GRACE)
    await asyncio.to_thread(_signal, told, signal.SIGTERM)


def _signal(processes: Mapping[int, str], number: int) -> None:
    with contextlib.suppress(PermissionError):
        tell(processes, number)
