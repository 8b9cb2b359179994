"""The threads that send a Run's journals, say what was logged, and show the server that the Run is alive."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from afnio.errors import InvalidAPIKeyError, ServerError, ServerUnreachableError, TellurioError
from tellurio.client import folders
from tellurio.client.http import Client
from tellurio.client.journal import Journal, said_of
from tellurio.client.shipping import FILES, HTTPKeeper, NoSuchRun, Tail, ship

__all__ = ["Sender", "Wake"]

LINGER = 0.25  # seconds in which what is logged gathers to one batch: sending is not to be in the way of training
GLANCE = 0.02  # seconds between two looks, meanwhile, whether somebody waits for it to be sent
SCAN = 1.0  # seconds between two looks for journals of child processes
BACK_OFF = (0.2, 5.0)  # seconds between two tries to reach the server: at first, at most
RESTART = 3.0  # seconds between two tries to start a local server again

_log = logging.getLogger("afnio.tellurio")


class Wake:
    """Wakes a thread.  Safe to call from a signal handler, which may have interrupted another call of it."""

    def __init__(self) -> None:
        self._closed = threading.Lock()
        self._closed.acquire()

    def __call__(self) -> None:
        if self._closed.locked():
            try:
                self._closed.release()
            except RuntimeError:  # another thread was faster
                pass

    def gather(self, seconds: float, hurry: Callable[[], bool]) -> None:
        """Sleep for ``seconds``, or until ``hurry()``; what wakes meanwhile counts as one."""
        until = time.monotonic() + seconds
        while not hurry() and (left := until - time.monotonic()) > 0:
            time.sleep(min(left, GLANCE))
        self.wait(0)

    def wait(self, seconds: float) -> bool:
        """Sleep until woken, or for ``seconds``; whether it was woken."""
        return self._closed.acquire(timeout=max(0.0, seconds))


@dataclass
class Road:
    """How one of the two threads gets on with the server."""

    pause: float = 0.0
    retry_at: float = 0.0
    faults: set[str] = field(default_factory=set)

    def failed(self, hurry: bool) -> None:
        self.pause = min(max(self.pause * 2, BACK_OFF[0]), BACK_OFF[0] if hurry else BACK_OFF[1])
        self.retry_at = time.monotonic() + self.pause

    def went_well(self) -> None:
        self.pause = self.retry_at = 0.0
        if self.faults:
            self.faults.clear()


class Sender:
    """Sends the journals in a Run's folder: this process's, and those of its children.

    Args:
        folder: the Run's folder, held by this process.
        run_id: the Run.
        name: of the Run, for the lines that say what was logged.
        client: of its server.
        renew: finds the server again after it has moved, or starts the local one again.
        heartbeat: seconds between two signs of life.
        release: lets go of the folder.
    """

    def __init__(
        self,
        folder: Path,
        run_id: str,
        name: str,
        client: Client,
        renew: Callable[[], Client],
        heartbeat: float,
        release: Callable[[], object],
    ) -> None:
        self.folder, self.run_id, self.name = folder, run_id, name
        self.gone = False  # the server knows no such Run any more
        self.wake, self.wake_files = Wake(), Wake()
        self._renew, self._heartbeat, self._release = renew, heartbeat, release
        self._keeper = HTTPKeeper(client, self._moved)
        self._renewed_at = 0.0
        self._tails: dict[Path, Tail] = {}
        self._said: dict[Path, int] = {}
        self._own: dict[Path, Journal] = {}
        self._contact = time.monotonic()
        self._scanned_at = 0.0
        self._progress = 0
        self._asked = self._clean = 0  # drains asked for; the last one that found everything stored
        self._goals: dict[Path, int] = {}  # how far each journal was when a drain was asked for
        self._goals_of = 0  # which drain that is
        self._stopped = self._alive = self._leaving = False
        self._saying, self._uploading = threading.Lock(), threading.Lock()
        self._threads: list[threading.Thread] = []

    # called by the Run

    def start(self) -> None:
        """Start sending."""
        self._alive = True
        self._thread("tellurio-sender", self._run)

    def add(self, journal: Journal) -> None:
        """Send a journal of this process too."""
        self._own[journal.path] = journal
        if journal.client_id.endswith(FILES):
            self._start_upload()
        self._scanned_at = 0.0
        self.wake()

    def drain(self, patience: float) -> bool:
        """Wait until all is stored that was logged up to now; False once nothing has moved for ``patience`` seconds.

        Takes no lock: a signal handler may call it.
        """
        self._asked += 1
        asked, progress, since = self._asked, self._progress, time.monotonic()
        self.wake()
        self.wake_files()
        while self._clean < asked:
            if progress != self._progress:
                progress, since = self._progress, time.monotonic()
            if self.gone or not self._threads[0].is_alive() or time.monotonic() - since > patience:
                return False
            time.sleep(0.002)
        return True

    def stop(self) -> None:
        """Everything is stored: end the threads, and remove it from the disk."""
        self._stopped, self._alive = True, False
        self.wake()
        self.wake_files()
        for thread in self._threads:
            thread.join(5.0)  # as a rule they end at once; one that gives a sign of life, when the server has answered
        self._tidy()

    def leave(self) -> None:
        """Go on sending for as long as the process lives, but give no more signs of life: the Run has ended."""
        self._leaving, self._alive = True, False
        self._asked += 1
        self.wake()

    def forget(self) -> None:
        """After a fork, in the child: let go of what belongs to the parent."""
        for tail in self._tails.values():
            tail.close()
        self._release()

    def _tidy(self) -> None:
        if not any(thread.is_alive() for thread in self._threads if thread is not threading.current_thread()):
            for journal in self._own.values():
                journal.close()
            folders.remove_if_done(self.folder, {path: tail.offset for path, tail in self._tails.items()})
            for tail in self._tails.values():
                tail.close()
            self._release()

    # the first thread: records and signs of life

    def _thread(self, name: str, work: Callable[[], None]) -> None:
        thread = threading.Thread(target=work, name=name, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _run(self) -> None:
        road = Road()
        while not self._stopped:
            asked = self._asked
            self._look(hurry=asked > self._clean)
            if self._goals_of <= self._clean < asked:
                self._goals_of, self._goals = asked, {path: tail.logged for path, tail in self._tails.items()}
            more = self._guarded(road, self._send)
            if not road.pause and self._reached():
                self._clean = max(self._clean, self._goals_of)
                if self._leaving and self._clean >= self._asked:
                    break
            if not more:
                self._rest(road)
        if self._leaving:
            self._stopped = True
            self.wake_files()
            for thread in self._threads:
                if thread is not threading.current_thread():
                    thread.join(5.0)
            self._tidy()

    def _reached(self) -> bool:
        """Whether all is stored that was logged when the drain was asked for; a child process may log for ever."""
        for path, goal in self._goals.items():
            tail = self._tails.get(path)
            if tail is not None and tail.stored < goal and tail.pending:
                return False
        self._goals = {}
        return True

    def _rest(self, road: Road) -> None:
        if self._clean < self._asked:
            time.sleep(min(0.2, max(0.002, road.retry_at - time.monotonic())))
            return
        until = min(self._contact + self._heartbeat if self._alive else float("inf"), self._scanned_at + SCAN)
        until = road.retry_at if road.pause else until
        if self.wake.wait(until - time.monotonic()) and self._clean >= self._asked and not self._leaving:
            self.wake.gather(LINGER, lambda: self._clean < self._asked or self._leaving)

    def _send(self) -> bool:
        """Send what there is; whether there may be more."""
        more = False
        for path, tail in self._tails.items():
            if not path.stem.endswith(FILES):
                if tail.journal is not None:
                    tail.journal.retry()
                    tail.journal.sync()
                more = self._ship(tail) or more
        if self._alive and time.monotonic() >= self._contact + self._heartbeat:
            self._keeper.client.post(f"/api/v1/runs/{self.run_id}/beat", timeout=self._heartbeat * 3, retry=False)
            self._contact = time.monotonic()
        return more

    def _ship(self, tail: Tail) -> bool:
        waited_for = tail.stored < self._goals.get(tail.path, 0)
        if not ship(tail, self.run_id, self._keeper):
            return False
        self._contact = time.monotonic()
        self._progress += waited_for
        return True

    def _look(self, *, hurry: bool) -> None:
        """Find the journals of child processes, and say what was logged."""
        now = time.monotonic()
        try:
            if hurry or now >= self._scanned_at + SCAN:
                self._scanned_at = now
                self._scan()
            self.say()
        except Exception:  # noqa: BLE001  a line that cannot be written, say: sending goes on
            _log.debug("Looking for what was logged failed", exc_info=True)

    def _scan(self) -> None:
        for path in folders.journals_in(self.folder):
            if path not in self._tails:
                self._tails = {**self._tails, path: Tail(path, self._own.get(path))}
                if path.stem.endswith(FILES):
                    self._start_upload()
        for path, tail in self._tails.items():
            tail.journal = tail.journal or self._own.get(path)  # the file may be found before `add` told of it
        self._let_go()
        self.wake_files()

    def _let_go(self) -> None:
        """Of the journals of child processes that are gone: there may be thousands, one after another."""
        if not self._saying.acquire(blocking=False):
            return  # whoever ends the Run reads them just now
        try:
            for path, tail in self._tails.items():
                sent = tail.journal is None and not path.stem.endswith(FILES) and self._said.get(path) == tail.offset
                if sent and folders.remove_journal(path, tail.offset):
                    self._tails = {each: other for each, other in self._tails.items() if other is not tail}
                    tail.close()
        finally:
            self._saying.release()

    def say(self) -> None:
        """Say what was logged and was not said yet."""
        if self._saying.acquire(timeout=5.0):
            try:
                for path, tail in self._tails.items():
                    if not path.stem.endswith(FILES):
                        self._say(tail)
            finally:
                self._saying.release()

    def _say(self, tail: Tail) -> None:
        offset = self._said.get(tail.path, 0)
        if not _log.isEnabledFor(logging.INFO):
            self._said[tail.path] = tail.end
            return
        end = tail.end
        while offset < end and (content := tail.read(offset)):
            for line in content.split(b"\n")[:-1]:
                offset += len(line) + 1
                self._said[tail.path] = offset
                said = said_of(line)
                if said is not None:
                    _log.info("Logged metric '%s'=%s for run '%s'.", *said, self.name)

    # the second thread: files of artifacts, which may be large

    def _start_upload(self) -> None:
        if self._uploading.acquire(blocking=False):  # for good: there is one such thread, whoever finds a file first
            self._thread("tellurio-uploader", self._upload)

    def _upload(self) -> None:
        road = Road()
        while not self._stopped:
            more = self._guarded(road, self._upload_pass)
            if more:
                self.wake()
            elif road.pause:
                self.wake_files.wait(road.retry_at - time.monotonic())
            else:
                self.wake_files.wait(60.0)

    def _upload_pass(self) -> bool:
        more = [self._ship(tail) for path, tail in self._tails.items() if path.stem.endswith(FILES)]
        return any(more)

    def _moved(self) -> None:
        self._progress += 1

    # the server may be away

    def _guarded(self, road: Road, work: Callable[[], bool]) -> bool:
        """``work()``, whatever the server does; whether there may be more to do at once."""
        if time.monotonic() < road.retry_at or self.gone:
            if self.gone:
                self._stopped = True
            return False
        try:
            more = work()
        except ServerUnreachableError as error:
            self._tell(road, error, f"What is logged waits in {self.folder} and is sent when it is back.")
            self._find_again()
        except InvalidAPIKeyError as error:
            self._tell(road, error, f"What is logged waits in {self.folder} until then.")
            self._find_again()
        except NoSuchRun as error:
            self.gone = True
            _log.warning(f"{error}. The Run was deleted: what is logged stays in {self.folder}.")
        except (TellurioError, OSError) as error:
            if not (isinstance(error, ServerError) and error.status_code == 429):
                self._tell(road, error, f"What is logged waits in {self.folder}; it is tried again.")
        except Exception:  # noqa: BLE001  a fault of ours must not end a training, nor the sending
            if "fault" not in road.faults:
                road.faults.add("fault")
                _log.exception("Sending what was logged failed; it waits in %s and is tried again.", self.folder)
        else:
            road.went_well()
            return more
        road.failed(self._asked > self._clean)
        return False

    def _tell(self, road: Road, error: Exception, what_then: str) -> None:
        """Warn once, until it works again.  A server that is back after a moment is worth no line."""
        fault = f"{type(error).__name__} {getattr(error, 'status_code', '')}"  # the text has the request's number
        if fault not in road.faults and road.pause >= 1.0:
            road.faults.add(fault)
            _log.warning("%s. %s", str(error).rstrip("."), what_then)

    def _find_again(self) -> None:
        now = time.monotonic()
        if now < self._renewed_at + RESTART:
            return
        self._renewed_at = now
        try:
            self._keeper.client = self._renew()
        except (TellurioError, ValueError, OSError) as error:
            _log.debug("The server could not be found again: %s", error)
