"""Run a function after a module was imported, whenever that is, without touching ``builtins.__import__``."""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import ModuleType
    from typing import Any

__all__ = ["Watch"]


class Watch:
    """A finder at the front of ``sys.meta_path`` that finds nothing itself.

    It lets the others find a watched module, and has their loader call ``then`` when the module is complete.  It
    leaves ``sys.meta_path`` when there is nothing left to wait for.

    Args:
        names: of the modules to wait for; those that are imported already are handed over by ``start``.
        then: called once with each name and module.  It must not raise.
    """

    def __init__(self, names: Iterable[str], then: Callable[[str, ModuleType], None]) -> None:
        self._then = then
        self._waiting = set(names)
        self._finding: set[str] = set()

    def start(self) -> None:
        """Hand over what is imported, and wait for the rest."""
        sys.meta_path.insert(0, self)
        for name in list(self._waiting):
            _wait_for_import(name)
            module = sys.modules.get(name)
            if module is not None and not _half_made(module):
                self._arrived(name, module)

    def stop(self) -> None:
        """Wait for nothing more."""
        self._waiting.clear()
        self._leave()

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        """Part of the protocol of finders."""
        if name not in self._waiting or name in self._finding:
            return None
        self._finding.add(name)
        try:
            spec = _found_by_others(self, name, path, target)
        finally:
            self._finding.discard(name)
        if spec is not None and spec.loader is not None:
            self._follow(name, spec.loader)
        return spec

    def _follow(self, name: str, loader: Any) -> None:
        """The loader stays the very object it is: only this one's ``exec_module`` is covered, for one call."""
        run = loader.exec_module

        def exec_module(module: ModuleType) -> None:
            if getattr(module, "__name__", None) == name:
                _uncover(loader, exec_module)
            run(module)
            if getattr(module, "__name__", None) == name:
                self._arrived(name, module)

        try:
            loader.exec_module = exec_module
        except AttributeError:
            pass  # a loader that takes no attributes: this module goes unseen

    def _arrived(self, name: str, module: ModuleType) -> None:
        if name in self._waiting:
            self._waiting.discard(name)
            self._then(name, module)
        if not self._waiting:
            self._leave()

    def _leave(self) -> None:
        try:
            sys.meta_path.remove(self)
        except ValueError:
            pass


def _half_made(module: ModuleType) -> bool:
    """Its import is on this thread's stack, and not at its end."""
    return bool(getattr(getattr(module, "__spec__", None), "_initializing", False))


def _wait_for_import(name: str) -> None:
    """Until no other thread is importing it: it does not know of us.  One on our own stack is not waited for."""
    importing: Any = sys.modules["_frozen_importlib"]
    try:
        importing._lock_unlock_module(name)
    except AttributeError:
        pass  # a Python that locks them otherwise


def _found_by_others(us: Watch, name: str, path: Any, target: Any) -> Any:
    for finder in list(sys.meta_path):
        find = getattr(finder, "find_spec", None)
        if finder is us or find is None:
            continue
        spec = find(name, path, target)
        if spec is not None:
            return spec
    return None


def _uncover(loader: Any, ours: Any) -> None:
    if vars(loader).get("exec_module") is ours:
        del loader.exec_module
