"""Where the files of a data set are, and how they get there."""

from __future__ import annotations

import hashlib
import os
import time
from pathlib import Path
from typing import Any, BinaryIO

from afnio._files import atomic_write
from afnio.errors import DatasetError

__all__ = ["data_home", "describe", "fetch"]

TIMEOUT = 60.0
"""Seconds a server may stay silent."""

WAITS = (0.5, 2.0)
"""Seconds between the tries of a download."""


def data_home(root: str | os.PathLike[str] | None) -> Path:
    """``root``; by default ``$AFNIO_DATA_HOME``, else ``~/.cache/afnio/datasets``."""
    if root is not None:
        return Path(root).expanduser()
    return Path(os.environ.get("AFNIO_DATA_HOME") or "~/.cache/afnio/datasets").expanduser()


def fetch(path: Path, url: str, md5: str) -> bytes:
    """The content of ``path``, downloaded from ``url`` if it is not there yet.

    A download goes to a temporary file; only one with the right MD5 sum becomes ``path``.  One that breaks, or comes
    wrong, is tried again twice.

    Raises:
        DatasetError: the server cannot be reached, the sum is wrong, or the file cannot be written.
    """
    if not path.exists():
        _download(path, url, md5)
    content = path.read_bytes()
    found = _md5(content)
    if found != md5:
        raise DatasetError(
            f"{path} is not the file this data set is made of: its MD5 sum is {found}, expected {md5}. "
            f"Delete it to have it downloaded from {url} again."
        )
    return content


def describe(dataset: Any, **facts: object) -> str:
    """A ``repr`` in the style of torchvision's data sets."""
    lines = [f"Dataset {type(dataset).__name__}", f"    Number of datapoints: {len(dataset)}"]
    return "\n".join(lines + [f"    {name.replace('_', ' ').capitalize()}: {fact}" for name, fact in facts.items()])


def _download(path: Path, url: str, md5: str) -> None:
    from http.client import HTTPException  # it brings ssl

    way_out = f"Download it by other means and put it at {path}."
    for wait in (*WAITS, None):
        try:
            _try(path, url, md5)
        except (OSError, HTTPException, _WrongSumError) as error:
            if wait is not None and _may_heal(error):
                time.sleep(wait)
                continue
            if isinstance(error, _WrongSumError):
                raise DatasetError(f"{error} Try again later. {way_out}") from None
            raise DatasetError(f"{path.name} cannot be downloaded from {url}: {error}. {way_out}") from error
        else:
            return


class _WrongSumError(Exception):
    """What came is not the expected file; cut on the way, perhaps."""


def _try(path: Path, url: str, md5: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as file:
        found = _copy(url, file)
        if found != md5:
            raise _WrongSumError(
                f"What {url} sent is not the expected file: its MD5 sum is {found}, expected {md5}. Nothing was kept."
            )


def _may_heal(error: Exception) -> bool:
    """Whether to ask once more: not where the server says that there is no such file, nor for a full disk."""
    from http.client import HTTPException
    from urllib.error import HTTPError, URLError

    if isinstance(error, HTTPError):
        return error.code >= 500 or error.code in (408, 429)
    return isinstance(error, (URLError, HTTPException, TimeoutError, ConnectionError, _WrongSumError))


def _copy(url: str, file: BinaryIO) -> str:
    from urllib.request import Request, urlopen

    if not url.startswith(("https://", "http://")):
        raise DatasetError(f"A data set is downloaded over http or https, not from {url}.")
    digest = hashlib.md5(usedforsecurity=False)
    with urlopen(Request(url, headers={"User-Agent": "afnio"}), timeout=TIMEOUT) as answer:  # noqa: S310 - checked above
        while block := answer.read(1 << 16):
            digest.update(block)
            file.write(block)
    return digest.hexdigest()


def _md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()
