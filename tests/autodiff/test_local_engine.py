"""`afnio.local_engine`: what it is given is heeded, or refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import afnio
from afnio.calls import CallLog


def test_a_mode_that_nobody_would_heed_is_refused(tmp_path: Path) -> None:
    """Who asks for a replay does not want to pay."""
    refused: list[tuple[dict[str, Any], str]] = [
        ({"mode": "replay"}, "needs the file to replay"),
        ({"mode": "zz"}, "expected 'live', 'cache' or 'replay'"),
    ]
    with CallLog(tmp_path / "calls.jsonl") as log:
        for arguments, says in [*refused, ({"call_log": log, "mode": "replay"}, "was opened with mode='cache'")]:
            with pytest.raises(ValueError, match=says), afnio.local_engine(**arguments):
                pass
        with pytest.raises(TypeError, match="a path or a CallLog, got int"), afnio.local_engine(3):  # type: ignore[arg-type]
            pass
        with afnio.local_engine(log), afnio.local_engine(log, mode="cache"), afnio.local_engine(mode="live"):
            pass
