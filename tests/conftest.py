"""For all tests: nothing depends on the clock, on a key, or on a home folder."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

# A deadline would make a busy machine fail; the time a test takes is nobody's law. Examples are drawn by the test's
# source: the same commit fails everywhere or nowhere. `pytest --hypothesis-profile=explore` looks for new ones.
LAWS: dict[str, Any] = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow], "print_blob": True}
settings.register_profile("explore", **LAWS, derandomize=False)
settings.register_profile("afnio", **LAWS, derandomize=True)
settings.load_profile("afnio")

# A shell that runs us in the background lets us ignore Ctrl-C, and the children whose Ctrl-C is tested inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def _empty_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(autouse=True)
def _no_keys_and_an_empty_home(monkeypatch: pytest.MonkeyPatch, _empty_home: Path) -> None:
    """A test that wants a key or a cached data set says so."""
    for name in list(os.environ):
        if name.startswith(("OPENAI_", "ANTHROPIC_", "AFNIO_", "TELLURIO_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(_empty_home))


@pytest.fixture(autouse=True)
def _endpoints_are_forgotten() -> Iterator[None]:
    """A port is soon another test's: what the process learned of the endpoint that was there is of no use any more."""
    yield
    for module, name in (("afnio.calls.limiter", "_limiters"), ("afnio.calls.streaming", "_without_usage")):
        if module in sys.modules:
            getattr(sys.modules[module], name).clear()
