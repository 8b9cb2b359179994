"""The user's settings on this machine: ``config.json`` in the home folder, for this user's eyes only (0600)."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from afnio._files import atomic_write
from afnio.errors import TellurioError
from tellurio.client import paths

__all__ = ["Config", "read_config", "read_section", "update_config", "update_section"]


@dataclass(frozen=True)
class Config:
    """What the file says.

    Attributes:
        url: the server to use; None: the local one.
        key: the API key for it; None: not logged in.
        username: whose key it is.
        allow_api_key_sharing: provider keys may go to this server, without a question each time.
    """

    url: str | None = None
    key: str | None = field(default=None, repr=False)
    username: str | None = None
    allow_api_key_sharing: bool = False


_TYPES: dict[str, type] = {"url": str, "key": str, "username": str, "allow_api_key_sharing": bool}


def read_config() -> Config:
    """The settings; all defaults when there is no file.

    Raises:
        TellurioError: the file cannot be read, or is not what we wrote.  It is never overwritten then.
    """
    path = paths.config_file()
    content = _content(path)
    return Config(**{name: _checked(path, name, content[name]) for name in _TYPES if content.get(name) is not None})


def update_config(**changes: Any) -> None:
    """Write ``changes`` (names of `Config`; None removes one) and leave the rest of the file as it is.

    Raises:
        TellurioError: the file is there and broken (it stays as it is), or cannot be written.
    """
    if unknown := set(changes) - set(_TYPES):
        raise TypeError(f"no such settings: {', '.join(sorted(unknown))}; there are {', '.join(_TYPES)}")
    _change(lambda content: {**content, **changes})


def read_section(name: str) -> dict[str, Any]:
    """The settings of a tool of ours: the object ``name`` in the file; empty where it is not there.

    Raises:
        TellurioError: as `read_config`.
    """
    path = paths.config_file()
    return _section(path, _content(path), name)


def update_section(name: str, **changes: str | None) -> None:
    """Write settings of a tool of ours; None removes one.

    Raises:
        TellurioError: as `update_config`.
    """

    def changed(content: dict[str, Any]) -> dict[str, Any]:
        section = {**_section(paths.config_file(), content, name), **changes}
        return {**content, name: {each: value for each, value in section.items() if value is not None} or None}

    _change(changed)


def _section(path: Path, content: dict[str, Any], name: str) -> dict[str, Any]:
    found = content.get(name)
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise TellurioError(f"{path}: {name!r} must be an object, not {type(found).__name__}. Mend it, or remove it.")
    return found


def _change(change: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    path = paths.config_file()
    with _alone(paths.private_folder(paths.home())):
        content = change(_content(path))
        kept = {name: value for name, value in content.items() if value is not None}
        try:
            with atomic_write(path, mode=0o600) as file:
                file.write(json.dumps(kept, indent=2).encode() + b"\n")
        except OSError as error:
            raise TellurioError(
                f"Cannot write {path}: {error.strerror or error}. Set TELLURIO_HOME to a folder you can read and write."
            ) from error


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Two processes that change a setting each both succeed: the second reads what the first wrote."""
    handle = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _content(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return {}
    except UnicodeDecodeError:
        raise TellurioError(f"{path} is not text. Mend it, or move it away and log in again: afnio login") from None
    except OSError as error:
        raise TellurioError(
            f"Cannot read {path}: {error.strerror or error}. Set TELLURIO_HOME to a folder you can read and write."
        ) from error
    try:
        content = json.loads(text)
    except ValueError as error:
        raise TellurioError(
            f"{path} is not valid JSON ({error}). Mend it, or move it away and log in again: afnio login"
        ) from None
    if not isinstance(content, dict):
        raise TellurioError(f"{path} must hold a JSON object, not {type(content).__name__}. Mend it, or move it away.")
    return content


def _checked(path: Path, name: str, value: Any) -> Any:
    if not isinstance(value, _TYPES[name]):  # the value may be a key: it is not shown
        expected = {"str": "text in quotes", "bool": "true or false"}[_TYPES[name].__name__]
        raise TellurioError(f"{path}: {name!r} must be {expected}, not {type(value).__name__}. Mend it, or remove it.")
    return value
