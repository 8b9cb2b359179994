"""Which server and which key is used, what is stored, and what a person is told when it does not work."""

from __future__ import annotations

import json
import logging
import os
import stat
import traceback
from pathlib import Path
from typing import Any

import pytest

import tellurio.client.identity
from afnio.errors import InvalidAPIKeyError, ServerUnreachableError, ServerVersionError, TellurioError
from tellurio.client.config import read_config, update_config
from tellurio.client.login import connect, login, needs_key, server_url
from tests.tellurio.client.odd import USER, knows, serving, website


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def config(home: Path) -> Any:
    return json.loads((home / "config.json").read_text())


def test_a_given_key_is_checked_stored_for_this_user_alone_and_found_the_next_time(home: Path) -> None:
    before = os.umask(0)
    try:
        with serving(knows("tel_right")) as server:
            user = login("tel_right", url=server.url)
            assert {name: user[name] for name in ("email", "username")} == {"email": USER["email"], "username": "ada"}
            assert set(user) == {"email", "username", "session_id"}
            assert user["session_id"]
            assert config(home) == {"url": server.url, "key": "tel_right", "username": "ada"}
            assert (mode(home), mode(home / "config.json")) == (0o700, 0o600)
            assert connect().url == server.url
            assert login()["username"] == "ada"
            assert login()["session_id"] != user["session_id"]
    finally:
        os.umask(before)


def test_the_key_is_the_arguments_then_the_environments_then_the_stored_one(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(knows("tel_argument", "tel_environment", "tel_stored")) as server:
        login("tel_stored", url=server.url)
        assert connect().key == "tel_stored"
        monkeypatch.setenv("TELLURIO_API_KEY", " tel_environment\n")
        assert connect().key == "tel_environment"
        assert config(home)["key"] == "tel_stored"  # connecting stores nothing
        login()
        assert config(home)["key"] == "tel_environment"
        login("tel_argument")
        assert (connect().key, config(home)["key"]) == ("tel_argument", "tel_argument")


def test_relogin_leaves_the_stored_key_aside(home: Path) -> None:
    with serving(knows("tel_right", "tel_new")) as server:
        login("tel_right", url=server.url)
        with pytest.raises(
            ValueError, match=r"no API key for the server .*afnio login --server http.*TELLURIO_API_KEY"
        ):
            login(relogin=True)
        assert config(home)["key"] == "tel_right"
        login("tel_new", relogin=True)
        assert config(home)["key"] == "tel_new"


def test_a_configured_server_without_a_key_is_an_error_that_says_what_to_type(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TELLURIO_BACKEND_HTTP_BASE_URL", "https://tellurio.example.com")
    assert needs_key()
    with pytest.raises(ValueError, match=r"no API key for the server https://tellurio.example.com\. .*afnio login"):
        login()
    assert not home.exists()


def test_a_stored_key_goes_to_no_server_but_its_own(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(knows("tel_right")) as server, serving(knows("tel_right")) as other:
        login("tel_right", url=server.url)
        monkeypatch.setenv("TELLURIO_BACKEND_HTTP_BASE_URL", other.url)
        with pytest.raises(ValueError, match="no API key"):
            connect()
        assert other.asked == []


def test_a_wrong_key_is_neither_stored_nor_shown(
    home: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    with serving(knows("tel_right")) as server:
        with pytest.raises(InvalidAPIKeyError, match=r"does not know the API key: the one given") as wrong:
            login("tel_secret_1", url=server.url)
        assert (wrong.value.status_code, wrong.value.request_id) == (401, "r1")
        monkeypatch.setenv("TELLURIO_API_KEY", "tel_secret_2")
        with pytest.raises(InvalidAPIKeyError, match=r"the one in TELLURIO_API_KEY\. Set TELLURIO_API_KEY to"):
            login(url=server.url)
        assert not home.exists()
        update_config(url=server.url, key="tel_secret_3")
        monkeypatch.delenv("TELLURIO_API_KEY")
        with pytest.raises(InvalidAPIKeyError, match=r"stored by the last login\. Log in again: afnio login --relogin"):
            connect()
    said = caplog.text + "".join(capfd.readouterr()) + str(wrong.value) + repr(wrong.value) + repr(read_config())
    assert "secret" not in said


@pytest.mark.parametrize("key", ["", "  ", "tel_a b", "tel_a\nb", "tel_ä", "tel_\x00"])
def test_what_can_be_no_key_is_sent_nowhere(key: str, home: Path) -> None:
    with serving(knows()) as server:
        with pytest.raises(ValueError, match="api_key is no API key: one begins with tel_"):
            login(key, url=server.url)
        assert server.asked == []
    with pytest.raises(TypeError, match="api_key must be a string, got int"):
        login(5, url="http://localhost:1")  # type: ignore[arg-type]


def test_another_user_or_server_loses_the_consent_that_was_given_before(home: Path) -> None:
    with serving(knows("tel_a", "tel_b")) as server, serving(knows("tel_a")) as other:
        login("tel_a", url=server.url)
        update_config(allow_api_key_sharing=True)
        login("tel_b")  # the same user, another key
        assert read_config().allow_api_key_sharing
        login("tel_a", url=other.url)
        assert not read_config().allow_api_key_sharing
        update_config(allow_api_key_sharing=True, username="somebody else")
        login("tel_a", url=server.url)
        assert "allow_api_key_sharing" not in config(home)


def test_logging_in_says_who_and_where_connecting_says_nothing(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with serving(knows("tel_a")) as server:
        login("tel_a", url=server.url)
        assert capsys.readouterr().err == f"INFO : Logged in as 'ada' at {server.url}.\n"
        connect()
        assert capsys.readouterr() == ("", "")


# The server's address


@pytest.mark.parametrize(
    ("base", "port", "url"),
    [
        ("https://platform.example.com", "443", "https://platform.example.com"),
        ("https://platform.example.com/", None, "https://platform.example.com"),
        ("http://localhost", "7117", "http://localhost:7117"),
        ("http://localhost:7117", "7117", "http://localhost:7117"),
        ("http://[::1]:7117", None, "http://[::1]:7117"),
        ("https://Example.com/tellurio/", None, "https://example.com/tellurio"),
    ],
)
def test_the_address_is_put_together_from_base_and_port(
    base: str, port: str | None, url: str, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TELLURIO_BACKEND_HTTP_BASE_URL", base)
    if port:
        monkeypatch.setenv("TELLURIO_BACKEND_HTTP_PORT", port)
    assert server_url() == url


@pytest.mark.parametrize(
    "url",
    ["", "tellurio.example.com", "ftp://a", "http://", "http://u:p@host", "http://h?a=1", "http://h:99999", "http://["],
)
def test_what_is_no_address_is_refused_and_a_password_in_it_is_not_shown(url: str, home: Path) -> None:
    with pytest.raises(ValueError, match="the url is no address of a server") as wrong:
        server_url(url)
    assert "u:p" not in str(wrong.value)


def test_ports_that_contradict_and_a_port_alone_are_refused(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TELLURIO_BACKEND_HTTP_PORT", "7000")
    with pytest.raises(ValueError, match=r"HTTP_PORT is set and .*BASE_URL is not"):
        server_url()
    monkeypatch.setenv("TELLURIO_BACKEND_HTTP_BASE_URL", "http://h:7001")
    with pytest.raises(ValueError, match="says port 7001 and .* says 7000"):
        server_url()
    monkeypatch.setenv("TELLURIO_BACKEND_HTTP_PORT", "seven")
    with pytest.raises(ValueError, match=r"must be a number from 1 to 65535, got 'seven'"):
        server_url()


def test_without_any_setting_the_server_is_the_local_one(home: Path) -> None:
    assert server_url() is None
    assert server_url("local") is None
    assert not needs_key()


# Servers that are none, or other ones


def test_what_is_no_tellurio_server_is_told_apart(home: Path) -> None:
    with serving(website) as server:
        with pytest.raises(ServerUnreachableError, match=r"no Tellurio server \(status 200, text/html\)"):
            login("tel_a", url=server.url)
        assert [each.path for each in server.asked] == ["/api/v1/me"]
    assert not home.exists()


def test_no_server_at_all(home: Path) -> None:
    with serving(website) as server:
        pass
    with pytest.raises(
        ServerUnreachableError, match=r"Cannot reach the Tellurio server at http.*HTTP_BASE_URL"
    ) as caught:
        login("tel_a", url=server.url)
    shown = "".join(traceback.format_exception(caught.value))
    assert "httpx" not in shown  # one error is shown, ours, without those of the libraries below it
    assert shown.count("Traceback") == 1


def test_a_server_of_another_version_in_both_directions(home: Path) -> None:
    with (
        serving(knows("tel_a", version="9.9.0")) as server,
        pytest.raises(ServerVersionError, match="upgrade the client: pip install"),
    ):
        login("tel_a", url=server.url)
    from tellurio.schemas.version import check_versions

    with pytest.raises(ServerVersionError, match="upgrade the server"):
        check_versions("9.9.0", "0.1.0")
    assert not home.exists()


# The file of settings


def test_a_broken_file_is_an_error_and_stays_as_it_is(home: Path) -> None:
    home.mkdir()
    file = home / "config.json"
    for broken, says in [
        ('{"key": "tel_secret"', "is not valid JSON"),
        ("[]", "must hold a JSON object, not list"),
        ('{"key": 5}', "'key' must be text in quotes, not int"),
        ('{"allow_api_key_sharing": "yes"}', "'allow_api_key_sharing' must be true or false, not str"),
    ]:
        file.write_text(broken)
        with pytest.raises(TellurioError, match=says) as wrong:
            connect()
        assert "secret" not in str(wrong.value)
    file.write_text("{,")
    with serving(knows("tel_a")) as server, pytest.raises(TellurioError, match=r"Mend it, or move it away"):
        login("tel_a", url=server.url)
    assert file.read_text() == "{,"


def test_settings_of_a_later_release_are_kept(home: Path) -> None:
    home.mkdir()
    (home / "config.json").write_text('{"theme": "dark", "key": "tel_a"}')
    update_config(url="http://h", key=None)
    assert config(home) == {"theme": "dark", "url": "http://h"}
    with pytest.raises(TypeError, match="no such settings: color"):
        update_config(color="red")


def test_a_home_that_cannot_be_made_is_an_error_that_names_the_variable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("TELLURIO_HOME", str(tmp_path / "file" / "home"))
    with serving(knows("tel_a")) as server, pytest.raises(TellurioError, match="Set TELLURIO_HOME to a folder you can"):
        login("tel_a", url=server.url)
    monkeypatch.setenv("TELLURIO_HOME", str(tmp_path / "file"))
    with pytest.raises(TellurioError, match="Set TELLURIO_HOME"):
        connect()


# Who else is installed


@pytest.mark.parametrize(("name", "package"), [("afnio", "afnio"), ("ao_dev", "ao")])
def test_a_distribution_that_shares_our_folders_is_refused(
    name: str, package: str, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    info = tmp_path / "site" / f"{name}-0.3.7.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 0.3.7\n")
    monkeypatch.syspath_prepend(str(info.parent))
    tellurio.client.identity.check_installation.cache_clear()
    with pytest.raises(TellurioError, match=rf"0\.3\.7, is installed beside .*package '{package}'.*pip uninstall"):
        connect()
    assert not home.exists()
