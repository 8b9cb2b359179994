"""Put the patches in place as libraries are imported, and take them away again."""

from __future__ import annotations

import importlib
from _thread import RLock

from ao.intercept.imports import Watch
from ao.intercept.patching import Patches

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType
    from typing import Any, Protocol

    from ao.intercept.calls import Desk
    from ao.intercept.seam import Recorder

    class Undo(Protocol):
        """Undoes ``install``."""

        def __call__(self, *, over: bool = False) -> None:
            """``over``: the script has come to its end by itself: answers that it is not just reading, it has left."""


__all__ = ["LIMIT", "install"]

LIMIT = 64 * 2**20
"""Bytes of one answer that are kept."""

_LIBRARIES = {
    "httpx": "ao.intercept.via_httpx",
    "httpx2": "ao.intercept.via_httpx",
    "urllib3": "ao.intercept.via_urllib3",
    "aiohttp": "ao.intercept.via_aiohttp",
    "mcp.client.session": "ao.intercept.via_mcp",
    "afnio.calls.loop": "ao.intercept.via_afnio",
    "afnio.calls.caller": "ao.intercept.via_afnio",
    "tellurio.client.tracker": "ao.intercept.via_afnio",
    "socket": "ao.intercept.hosts",
}
"""What is patched once it is imported, and by which module of ours: imported no sooner, so that a script that asks
nobody pays for nothing."""
_DESK = "ao.intercept.calls"

_lock = RLock()
_installed: Installed | None = None


def install(recorder: Recorder, *, notice: Callable[[str], None] | None = None, limit: int = LIMIT) -> Undo:
    """Have the LM calls of this process told to ``recorder``.

    Libraries that are imported are patched at once, others when they are.  Installing again puts another recorder in
    the place of the first; calls under way end where they began.

    Args:
        recorder: see ``ao.intercept.seam.Recorder``.
        notice: is told, in a sentence, what a person should know: a library of a version that we do not know, a host
            that looks like an LM API of which no call was recorded (told at the end), an answer too long to be kept.
            Without it, nobody is.
        limit: bytes of an answer to keep; the script gets all of it in any case.

    Returns:
        The function that undoes it: answers still being read are told as far as they came, the recorder before takes
        over again, and after the last one nothing is patched any more.
    """
    global _installed
    with _lock:
        first = _installed is None
        installed = _installed = _installed or Installed()
        undo = installed.use(recorder, notice or _nobody, limit)
    if first:
        installed.start()
    return undo


class Installed:
    """The patches in place."""

    def __init__(self) -> None:
        self._patches = Patches()
        self._desk: Desk | None = None
        self._users: list[tuple[Recorder, Callable[[str], None], int]] = []
        self._watch = Watch(_LIBRARIES, self._arrived)

    def use(self, recorder: Recorder, notice: Callable[[str], None], limit: int) -> Undo:
        """Tell this recorder from now on."""
        user = (recorder, notice, limit)
        self._users.append(user)
        self._put_on_desk()
        return lambda *, over=False: self._drop(user, over)

    def start(self) -> None:
        """Patch what is imported and wait for the rest; without the lock, as another thread may be importing too."""
        self._watch.start()

    def _drop(self, user: tuple[Any, Any, int], over: bool) -> None:
        global _installed
        with _lock:
            if not any(user is known for known in self._users):
                return
            if self._desk is not None and user is self._users[-1]:
                self._desk.finish_all(over=over)
                for sentence in self._desk.hosts.unheard():
                    self._desk.say(sentence)
            self._users = [known for known in self._users if known is not user]
            self._put_on_desk()
            if not self._users:
                _installed = None
                self._watch.stop()
                self._patches.undo()

    def _put_on_desk(self) -> None:
        if self._desk is None:
            return
        if self._users:
            self._desk.use(*self._users[-1])
        else:
            self._desk.recorder = None

    def _arrived(self, name: str, module: ModuleType) -> None:
        try:
            patch = importlib.import_module(_LIBRARIES[name]).patch
            make_desk = importlib.import_module(_DESK).Desk
            with _lock:
                if _installed is not self:
                    return  # undone by another thread, in the meantime
                patch(module, self._patches, self._the_desk(make_desk))
        except Exception as error:  # noqa: BLE001 - an import of the script's must not fail because of us
            self._say(
                f"Calls through {name} {getattr(module, '__version__', '')} are not recorded: this version is "
                f"unknown ({type(error).__name__}: {error}). Try: pip install --upgrade {name.partition('.')[0]}"
            )

    def _the_desk(self, make: Callable[[], Desk]) -> Desk:
        if self._desk is None:
            self._desk = make()
            self._put_on_desk()
        return self._desk

    def _say(self, text: str) -> None:
        if self._users:
            self._users[-1][1](text)


def _nobody(text: str) -> None:
    """Whom notices go to when nobody wants them."""
