"""The hub: who watches which project, and hints of what changed in its Runs, as server-sent events.

A hint names a Run and what of it changed, never what to: whoever gets it asks for what they show.  A Run's hints are
gathered to a few a second.  What nobody watches is not even noted.

There is one hub a process now.  Where several servers write to one database, the hub of each is to hear all of them:
`Hub.tell` then tells the database, and what listens to the database calls what `Hub.tell` calls now.
"""

from __future__ import annotations

import asyncio
import secrets
import threading
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import orjson

__all__ = ["WHATS", "Hub"]

WHATS = ("status", "facts", "metrics", "texts", "calls", "prompts", "events", "artifacts", "edges", "deleted")
"""What of a Run can change; ``facts`` are its name, notes and tags.  With its ``calls`` its cost changes."""

PAUSE = 0.25
"""Seconds between two hints on the same Run."""

KEPT = 1000
"""Hints of a project that are kept for those who come back."""

LINGER = 60.0
"""Seconds a project is watched on after the last one left: a line that broke is soon there again."""

RETRY = 1000
"""Milliseconds after which a browser whose line broke asks again."""


class _Hint(NamedTuple):
    number: int
    run_id: str
    event: bytes


@dataclass(slots=True)
class _Change:
    what: set[str] = field(default_factory=set)
    status: str | None = None


class Hub:
    """Passes hints on to those who watch.

    Attributes:
        id: of this hub: numbers of another one say nothing here.
        listeners: told of each change too, with the Run's id and what changed, from whichever thread tells.
    """

    def __init__(self) -> None:
        self.listeners: list[Callable[[str, Iterable[str]], None]] = []
        self.id = secrets.token_hex(8)
        self._projects: dict[str, _Watched] = {}
        self._number = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = 0

    def tell(self, project_id: str, run_id: str, what: Iterable[str], status: str | None = None) -> None:
        """Something of a Run changed, and is stored.  For any thread; where nobody watches, it costs next to nothing.

        Args:
            project_id: the Run's project.
            run_id: the Run.
            what: some of `WHATS`.
            status: the Run's status now, if it changed.
        """
        for listener in self.listeners:
            listener(run_id, what)
        watched = self._projects.get(project_id)
        if watched is None or self._loop is None:
            return
        if threading.get_ident() == self._thread:
            watched.note(run_id, what, status)
        elif not self._loop.is_closed():
            self._loop.call_soon_threadsafe(watched.note, run_id, tuple(what), status)

    def tell_subruns(self, project_id: str, subruns: Mapping[str, tuple[Iterable[str], str | None]]) -> None:
        """`tell` for each of several Runs: what changed, and the status."""
        for run_id, (what, status) in subruns.items():
            self.tell(project_id, run_id, what, status)

    async def watch(
        self, project_id: str, run_id: str | None = None, last: str = "", idle: float = 15.0
    ) -> AsyncGenerator[bytes]:
        """The hints of a project, or of one Run of it, from now on: server-sent events.

        The first one is ``hello``.  Then come those that were missed since ``last``, or ``reset`` if they are not all
        known any more: anything may have changed then.

        Args:
            last: ``<hub>:<number>``, the id of the last event that was got.
            idle: seconds of silence after which nothing (``b""``) is handed out, for the caller to look around.
        """
        self._loop, self._thread = asyncio.get_running_loop(), threading.get_ident()
        watched = self._projects.get(project_id)
        if watched is None:
            watched = self._projects[project_id] = _Watched(self, self._loop)
        hub, _, number = last.partition(":")
        ours = hub == self.id and number.isascii() and number.isdigit() and len(number) < 16
        resumed = ours and watched.since <= int(number) <= self._number
        at = int(number) if resumed else self._number
        woken = asyncio.Event()
        watched.watchers.add(woken)
        try:
            yield b"retry: %d\n" % RETRY + self._event("hello", at, {"hub": self.id, "resumed": resumed})
            if last and not resumed:
                yield self._event("reset", at, {})
            while not watched.ended:
                woken.clear()
                if at < watched.since:  # too slow: what it has not got is forgotten
                    at = self._number
                    yield self._event("reset", at, {})
                    continue
                hints = watched.after(at)
                if not hints:
                    try:
                        await asyncio.wait_for(woken.wait(), idle)
                    except TimeoutError:
                        yield b""
                    continue
                at = hints[-1].number
                if mine := b"".join(hint.event for hint in hints if run_id is None or hint.run_id == run_id):
                    yield mine
        finally:
            watched.watchers.discard(woken)
            if not watched.watchers:
                self._loop.call_later(LINGER, self._forget, project_id, watched)

    def end(self, project_id: str) -> None:
        """End the streams of a project: who may see it has changed, or it is gone."""
        watched = self._projects.pop(project_id, None)
        if watched is not None:
            watched.end()

    def watches(self, project_id: str) -> int:
        """How many streams a project has."""
        watched = self._projects.get(project_id)
        return 0 if watched is None else len(watched.watchers)

    @property
    def number(self) -> int:
        """The number of the last hint; those of all projects are counted together."""
        return self._number

    def changed(self, run_id: str, change: _Change) -> _Hint:
        """The hint that a Run has changed."""
        self._number = number = self._number + 1
        data: dict[str, object] = {"run_id": run_id, "what": [what for what in WHATS if what in change.what]}
        if change.status is not None:
            data["status"] = change.status
        return _Hint(number, run_id, self._event("changed", number, data))

    def _event(self, kind: str, number: int, data: dict[str, object]) -> bytes:
        return b"id: %s:%d\nevent: %s\ndata: %s\n\n" % (self.id.encode(), number, kind.encode(), orjson.dumps(data))

    def _forget(self, project_id: str, watched: _Watched) -> None:
        if not watched.watchers and self._projects.get(project_id) is watched:
            del self._projects[project_id]
            watched.end()


class _Watched:
    """A project that is watched; lives on the event loop.

    Attributes:
        since: hints with a greater number are all kept.
        watchers: what wakes each stream.
        ended: there will be no more.
    """

    def __init__(self, hub: Hub, loop: asyncio.AbstractEventLoop) -> None:
        self.since, self.ended = hub.number, False
        self.watchers: set[asyncio.Event] = set()
        self._hub, self._loop = hub, loop
        self._kept: deque[_Hint] = deque()
        self._changes: dict[str, _Change] = {}
        self._told: dict[str, float] = {}  # run_id -> when last

    def note(self, run_id: str, what: Iterable[str], status: str | None) -> None:
        """Gather a change."""
        if self.ended:
            return
        change = self._changes.get(run_id)
        if change is None:
            change = self._changes[run_id] = _Change()
            due = self._told.get(run_id, 0.0) + PAUSE
            self._loop.call_at(due, self._tell, run_id)
        change.what.update(what)
        change.status = status or change.status

    def after(self, number: int) -> list[_Hint]:
        """The hints after that number."""
        if not self._kept or self._kept[-1].number <= number:
            return []
        found = []
        for hint in reversed(self._kept):
            if hint.number <= number:
                break
            found.append(hint)
        return found[::-1]

    def end(self) -> None:
        """Let all streams end."""
        self.ended = True
        for woken in self.watchers:
            woken.set()

    def _tell(self, run_id: str) -> None:
        change = self._changes.pop(run_id)
        if self.ended:
            return
        self._kept.append(self._hub.changed(run_id, change))
        if len(self._kept) > KEPT:
            self.since = self._kept.popleft().number
        now = self._loop.time()
        if len(self._told) >= KEPT:
            self._told = {run: when for run, when in self._told.items() if when + PAUSE > now}
        self._told[run_id] = now
        for woken in self.watchers:
            woken.set()
