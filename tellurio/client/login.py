"""Which server, which key: ``te.login``, and `connect` for all that needs a server."""

from __future__ import annotations

import logging
import os
import uuid
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from afnio.errors import InvalidAPIKeyError
from tellurio.client.config import Config, read_config, update_config
from tellurio.client.http import Client, is_loopback
from tellurio.client.identity import check_installation
from tellurio.client.lines import show_lines
from tellurio.client.local import ensure_local_server
from tellurio.client.paths import config_file, home

__all__ = ["connect", "login", "needs_key", "server_url"]

_BASE, _PORT, _KEY = "TELLURIO_BACKEND_HTTP_BASE_URL", "TELLURIO_BACKEND_HTTP_PORT", "TELLURIO_API_KEY"
_SOURCES = {
    "argument": "the one given",
    "environment": f"the one in {_KEY}",
    "file": "the one stored by the last login",
    "local": "the local server's own",
}

_logger = logging.getLogger("afnio.tellurio")


@dataclass(frozen=True)
class _Session:
    """A login that worked.  It is good as long as ``settings`` are what they were."""

    client: Client
    source: str  # of the key
    user: dict[str, Any]
    settings: tuple[Any, ...]
    id: str


_session: _Session | None = None


def login(api_key: str | None = None, relogin: bool = False, *, url: str | None = None) -> dict[str, str]:
    """Log in to a Tellurio server; what needs a server afterwards uses this one.

    Nothing has to be set up: without a server of your own, the local one is started and its key is known.

    The server is ``url``, else ``TELLURIO_BACKEND_HTTP_BASE_URL`` (with ``TELLURIO_BACKEND_HTTP_PORT``), else that of
    the last login, else the local one; ``url="local"`` goes back to the local one.  The key is ``api_key``, else
    ``TELLURIO_API_KEY``, else that of the last login to this server, else the local server's own.

    A key that was given or is in the environment, and works, is stored for the next time: in ``config.json`` in the
    home folder (``~/.tellurio``), which only you can read (0600).  No keyring is used: it is missing where training
    runs, and asks for a password where it is not.

    Args:
        api_key: made by ``tellurio user`` or on the server's page of settings; it begins with ``tel_``.
        relogin: leave the stored key aside.
        url: of the server, e.g. ``"https://tellurio.example.com"``.

    Returns:
        ``{"email", "username", "session_id"}``.

    Raises:
        ValueError: there is no key for the server, or an address that is none.
        InvalidAPIKeyError: the server does not know the key.
        ServerUnreachableError, ServerVersionError, ServerStartError: no server that could be used.
    """
    global _session
    show_lines()
    session = _log_in(api_key, relogin, url)
    _remember(session)
    _session = session
    user = session.user
    _logger.info("Logged in as '%s' at %s.", user["username"], session.client.url)
    return {"email": user["email"], "username": user["username"], "session_id": session.id}


def connect() -> Client:
    """The server to use, ready: logged in silently, the local one started if it is the one and does not run.

    Raises:
        ValueError, TellurioError: as `login`.
    """
    global _session
    session = _session
    if session is None or session.settings != _settings():
        session = _log_in(None, False, None)
    elif session.client.is_local:  # it may have ended since, or run elsewhere by now
        session = _followed(session)
    _session = session
    return session.client


def server_url(url: str | None = None) -> str | None:
    """The address of the server to use, None for the local one; `login` says in which order it is looked for.

    Raises:
        ValueError: it is no address of a server.
    """
    if url is not None:
        return None if url == "local" else _address(url, "the url")
    base, port = os.environ.get(_BASE), os.environ.get(_PORT)
    if base:
        return _address(base, _BASE, port)
    if port:
        raise ValueError(f"{_PORT} is set and {_BASE} is not: set both, or none for the local server.")
    stored = read_config().url
    return _address(stored, f"'url' in {config_file()}") if stored else None


def needs_key(url: str | None = None, *, relogin: bool = False) -> bool:
    """Whether `login` would find no key for the server, so that a person could be asked for it.

    Raises:
        ValueError: ``url`` is no address of a server.
    """
    where = server_url(url)
    config = read_config()
    stored = None if relogin or config.url != where else config.key
    return where is not None and not os.environ.get(_KEY) and not stored


def _log_in(api_key: str | None, relogin: bool, url: str | None) -> _Session:
    check_installation()
    settings = _settings()
    where = server_url(url)
    local_key = None
    address = where
    if address is None:
        address, local_key = ensure_local_server()
    key, source = _key(api_key, where, None if relogin else read_config(), local_key)
    if address.startswith("http://") and not is_loopback(address):
        _logger.warning("The API key travels to %s unencrypted. Use https:// where others share the network.", address)
    client = Client(address, key, is_local=where is None)
    return _Session(client, source, _user(client, source), settings, uuid.uuid4().hex)


def _key(api_key: str | None, where: str | None, config: Config | None, local_key: str | None) -> tuple[str, str]:
    """The key to use for the server ``where`` and where it is from.  A stored key goes to no server but its own."""
    if api_key is not None:
        return _clean(api_key, "api_key"), "argument"
    if os.environ.get(_KEY):
        return _clean(os.environ[_KEY], _KEY), "environment"
    if config is not None and config.key and config.url == where:
        return _clean(config.key, f"'key' in {config_file()}"), "file"
    if local_key is not None:
        return local_key, "local"
    raise ValueError(
        f"There is no API key for the server {where}. Give one: type afnio login --server {where}, or call "
        f'te.login(api_key="tel_..."), or set {_KEY}.'
    )


def _clean(key: str, what: str) -> str:
    """The key without white space around it, which is easily copied along."""
    if not isinstance(key, str):
        raise TypeError(f"{what} must be a string, got {type(key).__name__}.")
    key = key.strip()
    if not key or not key.isascii() or not key.isprintable() or " " in key:
        raise ValueError(f"{what} is no API key: one begins with tel_ and has letters, digits, - and _ only.")
    return key


def _user(client: Client, source: str) -> dict[str, Any]:
    try:
        user: dict[str, Any] = client.get("/api/v1/me")["user"]
        return user
    except InvalidAPIKeyError as error:
        next_step = {
            "environment": f"Set {_KEY} to a key of this server, or unset it; for another server, set {_BASE}",
            "file": "Log in again: afnio login --relogin",
            "local": "Start the server again: tellurio down && tellurio up",
        }.get(source, "Keys are made by the server's admin and begin with tel_")
        raise InvalidAPIKeyError(
            f"The server at {client.url} does not know the API key: {_SOURCES[source]}. {next_step}.",
            status_code=error.status_code,
            body=error.body,
            request_id=error.request_id,
        ) from None


def _remember(session: _Session) -> None:
    """Store what the next process needs; a consent was for the server and the user of then."""
    client, username = session.client, session.user["username"]
    url = None if client.is_local else client.url
    key = None if session.source == "local" else client.key
    before = read_config()
    if (before.url, before.key) == (url, key):
        return
    changes: dict[str, Any] = {"url": url, "key": key, "username": username if key else None}
    if before.url != url or (before.username or username) != username:
        changes["allow_api_key_sharing"] = None
    update_config(**changes)


def _followed(session: _Session) -> _Session:
    """The same session on the local server, where it runs now."""
    url, local_key = ensure_local_server()
    key = local_key if session.source == "local" else session.client.key
    if (url, key) == (session.client.url, session.client.key):
        return session
    client = Client(url, key, is_local=True)
    return _Session(client, session.source, _user(client, session.source), session.settings, session.id)


def _settings() -> tuple[Any, ...]:
    return home(), *(os.environ.get(name) for name in (_BASE, _PORT, _KEY))


def _address(url: str, what: str, port: str | None = None) -> str:
    """``url`` in one spelling: no slash at the end, no port that goes without saying."""
    try:
        parts = urlsplit(url.strip())
        given = parts.port
    except ValueError as error:
        raise ValueError(
            f"{what} is no address of a server: {error}. Expected e.g. https://tellurio.example.com"
        ) from None
    if (
        parts.scheme not in ("http", "https")
        or not parts.hostname
        or parts.query
        or parts.fragment
        or "@" in parts.netloc
    ):
        raise ValueError(  # the address is not shown: it may hold a password
            f"{what} is no address of a server: expected http:// or https://, a host, perhaps a port, and no user, "
            "query or fragment, e.g. https://tellurio.example.com"
        )
    number = _port(port, given)
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    shown = "" if number in (None, {"http": 80, "https": 443}[parts.scheme]) else f":{number}"
    return f"{parts.scheme}://{host}{shown}{parts.path.rstrip('/')}"


def _port(named: str | None, given: int | None) -> int | None:
    if not named:
        return given
    if not named.strip().isdecimal() or not 0 < int(named) < 65536:
        raise ValueError(f"{_PORT} must be a number from 1 to 65535, got {named!r}.")
    if given is not None and given != int(named):
        raise ValueError(f"{_BASE} says port {given} and {_PORT} says {named}: remove one of them.")
    return int(named)
