"""What a checkpoint notes of the data it was trained on, so that a fit that goes on with other data says so."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from afnio.trainer.batches import known_ids, select
from afnio.utils.data import DataLoader
from afnio.variable import Variable

__all__ = ["differences", "fingerprint", "sizes"]


def sizes(loader: Any, batches: int | None) -> dict[str, Any]:
    """How much data ``loader`` has: ``samples`` and ``batches``, None where it does not say."""
    samples = len(loader.dataset) if isinstance(loader, DataLoader) else None
    return {"samples": samples, "batches": batches}


def fingerprint(batch: Any) -> dict[str, str] | None:
    """The first sample of ``batch``: its number in the data set, and a digest of what it says; None: not known."""
    names = known_ids(batch)
    return None if names is None else {"sample": names[0], "digest": _digest(select(batch, [0]))}


def differences(saved: Mapping[str, Any], loader: Any, batches: int | None) -> tuple[list[str], list[str]]:
    """What of the data is not as a checkpoint has it: in size, and in content; each a phrase with both sides.

    Args:
        saved: what `sizes` said then, with the `fingerprint` under ``"mark"``.
        loader: the data now; of a `DataLoader` one sample is read.
        batches: how many it has.
    """
    now = sizes(loader, batches)
    size = [
        f"{now[what]} {what} where there were {saved[what]}"
        for what in now
        if None not in (now[what], saved.get(what)) and now[what] != saved[what]
    ]
    mark = saved.get("mark")
    found = _again(loader, mark) if mark else None
    if mark is None or found in (None, mark["digest"]) or found != _again(loader, mark):
        return size, []
    return size, [f"another sample {mark['sample']} (fingerprint {found}, it was {mark['digest']})"]


def _again(loader: Any, mark: Mapping[str, str]) -> str | None:
    """The digest of the sample as ``loader`` has it now; None: it cannot be had."""
    if not isinstance(loader, DataLoader):
        return None
    try:
        batch = loader.collate_fn([loader.dataset[int(mark["sample"])]])
    except Exception:  # noqa: BLE001  # a data set of the user's may raise anything; the lengths say enough
        return None
    return _digest(batch)


def _digest(sample: Any) -> str:
    text = json.dumps(_plain(sample), sort_keys=True, ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _plain(value: Any) -> Any:
    """``value`` as plain JSON; of what is none only its type."""
    if isinstance(value, Variable):
        return _plain(value.data)
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if value is None or isinstance(value, (str, int, float)):
        return value
    return type(value).__qualname__
