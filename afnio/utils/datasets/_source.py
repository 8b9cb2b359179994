"""Where the files of a data set are, and how they get there."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any, BinaryIO

from afnio._files import atomic_write
from afnio.errors import DatasetError

__all__ = ["data_home", "describe", "fetch"]

TIMEOUT = 60.0
"""Seconds a server may stay silent."""


def data_home(root: str | os.PathLike[str] | None) -> Path:
    """``root``; by default ``$AFNIO_DATA_HOME``, else ``~/.cache/afnio/datasets``."""
    if root is not None:
        return Path(root).expanduser()
    return Path(os.environ.get("AFNIO_DATA_HOME") or "~/.cache/afnio/datasets").expanduser()


def fetch(path: Path, url: str, md5: str) -> bytes:
    """The content of ``path``, downloaded from ``url`` if it is not there yet.

    A download goes to a temporary file; only one with the right MD5 sum becomes ``path``.

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
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(path) as file:
            found = _copy(url, file)
            if found != md5:
                raise DatasetError(
                    f"What {url} sent is not the expected file: its MD5 sum is {found}, expected {md5}. "
                    f"Nothing was kept. Try again later. {way_out}"
                )
    except (OSError, HTTPException) as error:
        raise DatasetError(f"{path.name} cannot be downloaded from {url}: {error}. {way_out}") from error


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
