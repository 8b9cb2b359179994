"""Edges between a recording's calls, worked out as the calls come."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from typing import Any
from weakref import WeakValueDictionary

from sqlalchemy import Connection

from tellurio.dataflow import ContentIndex, Edge
from tellurio.server.live import Hub
from tellurio.server.log import log
from tellurio.store import edges as stored
from tellurio.store.runs import run, runs_by_keys
from tellurio.store.store import Store

__all__ = ["Edging"]

INDICES = 16
"""Indices kept in memory: as many Runs as go on at once here, usually.  One that was dropped is built again."""

PIECE = 200
"""Calls that are read, and whose edges are written, at once."""

PATIENCE = 5.0
"""Seconds that somebody who asks for a graph waits for edges of calls that came before; the work goes on after that."""


class Busy:
    """A lock that somebody has, or waits for."""

    def __init__(self) -> None:
        self.lock = threading.Lock()


class Edging:
    """Feeds each recording's new calls to its content index, in the order they came, and stores the edges.

    It runs beside ingest, not in it: a call is stored whether or not its edges can be worked out, and what was missed
    while the server was away is made up for when it starts.
    """

    def __init__(self, store: Store, hub: Hub) -> None:
        self._store, self._hub = store, hub
        self._indices: OrderedDict[int, tuple[ContentIndex, dict[str, int], int]] = OrderedDict()
        self._waiting: dict[str, None] = {}
        self._plain: set[str] = set()
        self._asked: dict[str, asyncio.Task[None]] = {}
        self._busy: WeakValueDictionary[int, Busy] = WeakValueDictionary()
        self._wake = asyncio.Event()
        self._stopping = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[None] | None = None
        hub.listeners.append(self._hear)

    async def start(self) -> None:
        """Begin, with what was not done before."""
        self._loop = asyncio.get_running_loop()
        for run_id in await self._store.aread(stored.behind):
            self._note(run_id)
        self._task = asyncio.create_task(self._for_ever(), name="edging")

    async def stop(self) -> None:
        """End after what is under way."""
        self._stopping = True
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        if self._asked:
            await asyncio.wait(self._asked.values())

    async def catch_up(self, run_id: str) -> None:
        """Work out the edges of a Run of any kind now, for who asks for its graph; a long one is gone on with later."""
        task = self._asked.get(run_id)
        if task is None:
            task = self._asked[run_id] = asyncio.create_task(asyncio.to_thread(self._index, run_id))
            task.add_done_callback(lambda done: self._answered(run_id, done))
        await asyncio.wait({task}, timeout=PATIENCE)

    def _answered(self, run_id: str, done: asyncio.Task[None]) -> None:
        del self._asked[run_id]
        error = None if done.cancelled() else done.exception()
        if error is not None:
            log("edges_failed", logging.ERROR, error, run=run_id)

    def _hear(self, run_id: str, what: Iterable[str]) -> None:
        """From any thread: something of a Run has changed."""
        if "calls" in what and run_id not in self._plain and self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._note, run_id)

    def _note(self, run_id: str) -> None:
        self._waiting[run_id] = None
        self._wake.set()

    async def _for_ever(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._waiting:
                run_ids, self._waiting = list(self._waiting), {}
                settled = await self._settled(run_ids)
                for run_id in run_ids:
                    if run_id not in settled:
                        await self._tried(run_id)

    async def _settled(self, run_ids: list[str]) -> set[str]:
        """Those of them with nothing to find: a recording of many parts has many of one call."""
        try:
            return await self._store.awrite(stored.settle, run_ids)
        except Exception as error:  # noqa: BLE001 - they are looked at one by one
            log("edges_failed", logging.ERROR, error, runs=len(run_ids))
            return set()

    async def _tried(self, run_id: str) -> None:
        try:
            await asyncio.to_thread(self._recording, run_id)
        except Exception as error:  # noqa: BLE001 - the edges of one Run do not hold up the others'
            log("edges_failed", logging.ERROR, error, run=run_id)

    def _recording(self, run_id: str) -> None:
        found = self._store.read(run, run_id)
        if found is not None and found["kind"] == "run":
            self._plain.add(run_id)  # its edges are worked out when somebody asks for its graph
        elif found is not None:
            self._catch_up(found)

    def _index(self, run_id: str) -> None:
        behind = self._store.read(_behind, run_id)
        settled = self._store.write(stored.settle, [found["id"] for found in behind]) if len(behind) > 1 else set()
        for found in behind:
            if found["id"] not in settled:
                self._catch_up(found)

    def _catch_up(self, found: Mapping[str, Any]) -> None:
        """Only one thread at a time has a Run's index; another waits, and finds little to do."""
        busy = self._busy.setdefault(found["key"], Busy())
        with busy.lock:
            self._go_on(found)

    def _go_on(self, found: Mapping[str, Any]) -> None:
        key = found["key"]
        done = self._store.read(stored.indexed, key)
        if done >= self._store.read(stored.last, key):
            return  # all edges are known: no index has to be built for that
        index, keys, at = self._indices.pop(key, (ContentIndex(), {}, 0))
        if at > done:  # the database is an older one than the index was made from
            index, keys, at = ContentIndex(), {}, 0
        while not self._stopping and (calls := self._store.read(stored.uncounted, key, at, PIECE)):
            edges: list[stored.Stored] = []
            for at, record in calls:
                name = str(record.get("call_id") or at)
                keys[name] = at
                found_edges = _edges(index, name, record)
                if at > done:
                    edges += [_stored(edge, keys) for edge in found_edges if edge.source in keys]
            if at > done:
                self._store.write(stored.add_edges, key, edges, at)
                if edges:
                    self._hub.tell(found["project_id"], found["id"], ["edges"])
        self._indices[key] = index, keys, at
        if len(self._indices) > INDICES:
            self._indices.popitem(last=False)


def _behind(connection: Connection, run_id: str) -> list[dict[str, Any]]:
    """What of a Run has calls whose edges are not known."""
    return runs_by_keys(connection, stored.behind_in(connection, run_id))


def _edges(index: ContentIndex, name: str, record: Mapping[str, Any]) -> list[Edge]:
    started = record.get("started")
    times: dict[str, Any] = {}
    if isinstance(started, (int, float)):
        times = {"started": started, "finished": started + float(record.get("seconds") or 0.0)}
    return index.call(name, record.get("request"), record.get("response"), str(record.get("format") or ""), **times)


def _stored(edge: Edge, keys: Mapping[str, int]) -> stored.Stored:
    spans = edge.as_dict()["spans"]
    return stored.Stored(
        *(keys[edge.source], keys[edge.target], edge.kind, edge.confidence, edge.weak, edge.alternative, spans)
    )
