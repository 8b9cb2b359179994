"""Keys of providers go nowhere unless somebody said so, and nobody is asked where nobody can answer."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from afnio.errors import ConsentError
from tellurio.client import consent
from tellurio.client.config import read_config, update_config
from tellurio.client.consent import check_consent
from tellurio.client.http import Client

REMOTE = "https://tellurio.example.com"


@pytest.fixture(autouse=True)
def _nothing_was_said(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(consent, "_given", set())


@pytest.fixture
def remote() -> Client:
    return Client(REMOTE, "tel_a")


def never(question: str) -> str:
    raise AssertionError(f"nobody was to be asked: {question}")


def test_the_local_server_is_not_asked_about(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALLOW_API_KEY_SHARING", "nonsense")
    check_consent(Client("http://127.0.0.1:7117", "tel_a", is_local=True), ask=never)


def test_a_server_on_this_machine_that_is_not_ours_is_asked_about() -> None:
    """Behind a port of the loopback interface may be a tunnel to anywhere."""
    with pytest.raises(ConsentError):
        check_consent(Client("http://127.0.0.1:7117", "tel_a"), ask=never)


@pytest.mark.parametrize("value", ["true", "True", " TRUE "])
def test_the_environment_allows_it(value: str, remote: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALLOW_API_KEY_SHARING", value)
    check_consent(remote, ask=never)


@pytest.mark.parametrize("value", ["yes", "1", "no"])
def test_any_other_word_is_an_error(value: str, remote: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALLOW_API_KEY_SHARING", value)
    with pytest.raises(ValueError, match=f"ALLOW_API_KEY_SHARING must be true or false, got '{value}'"):
        check_consent(remote, ask=never)


def test_the_file_allows_it_for_the_server_it_names(remote: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    update_config(allow_api_key_sharing=True)
    check_consent(remote, ask=never)
    update_config(url=REMOTE)
    check_consent(remote, ask=never)
    monkeypatch.setenv("ALLOW_API_KEY_SHARING", "false")
    with pytest.raises(ConsentError):
        check_consent(remote, ask=never)
    monkeypatch.delenv("ALLOW_API_KEY_SHARING")
    update_config(url="https://other.example.com")
    with pytest.raises(ConsentError):
        check_consent(remote, ask=never)


def test_without_a_terminal_nobody_is_asked_and_the_error_names_all_ways(remote: Client) -> None:
    with pytest.raises(ConsentError) as refused:
        check_consent(remote, ask=never)
    for way in ("ALLOW_API_KEY_SHARING=true", '"allow_api_key_sharing": true', "config.json", 'lm_calls="client"'):
        assert way in str(refused.value)
    assert REMOTE in str(refused.value)


ASK = """
import sys
from tellurio.client.consent import check_consent
from tellurio.client.http import Client
for _ in range(2):
    try:
        check_consent(Client(sys.argv[1], "tel_a"))
        print("ALLOWED")
    except Exception as error:
        print(type(error).__name__)
"""


def at_a_terminal(typed: str, *, stdout: Any = None, **environment: str) -> str:
    """What a person sees who types ``typed``."""
    master, slave = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", ASK, REMOTE],
        stdin=slave,
        stdout=slave if stdout is None else stdout,
        stderr=slave,
        env={**os.environ, **environment},
    )
    os.close(slave)
    os.write(master, typed.encode())
    said = b""
    while True:
        try:
            piece = os.read(master, 4096)
        except OSError:  # the other side has closed it
            break
        if not piece:
            break
        said += piece
    process.wait()
    os.close(master)
    return said.decode()


@pytest.mark.parametrize(
    ("typed", "results"),
    [
        ("yes\n", ["ALLOWED", "ALLOWED"]),
        ("Y\n", ["ALLOWED", "ALLOWED"]),
        ("no\nno\n", ["ConsentError", "ConsentError"]),
        ("maybe\nyes\n", ["ALLOWED", "ALLOWED"]),
        ("a\nb\nc\nyes\n", ["ALLOWED", "ALLOWED"]),
        ("1\n2\n3\nno\n", ["ConsentError", "ConsentError"]),
        ("\x04\x04", ["ConsentError", "ConsentError"]),
    ],
)
def test_at_a_terminal_a_person_is_asked(typed: str, results: list[str]) -> None:
    said = at_a_terminal(typed)
    assert f"The server at {REMOTE} makes LM calls for you" in said
    assert [word for word in said.split() if word in ("ALLOWED", "ConsentError")] == results
    assert read_config().allow_api_key_sharing is typed.startswith("a")


def test_always_is_stored_and_nobody_is_asked_again() -> None:
    assert "Send them?" in at_a_terminal("always\n")
    assert json.loads((Path(os.environ["TELLURIO_HOME"]) / "config.json").read_text()) == {
        "allow_api_key_sharing": True
    }
    assert "Send them?" not in at_a_terminal("")


def test_a_person_can_say_yes_where_the_environment_said_false() -> None:
    said = at_a_terminal("yes\n", ALLOW_API_KEY_SHARING="false")
    assert said.count("Send them?") == 1
    assert said.count("ALLOWED") == 2


def test_nobody_is_asked_when_the_output_goes_to_a_file(tmp_path: Path) -> None:
    with (tmp_path / "out").open("w") as out:
        assert "Send them?" not in at_a_terminal("yes\n", stdout=out)
    assert (tmp_path / "out").read_text().split() == ["ConsentError", "ConsentError"]
