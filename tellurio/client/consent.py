"""Whether provider keys of this machine may go to the server that makes the LM calls."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

from afnio.errors import ConsentError
from tellurio.client.config import read_config, update_config
from tellurio.client.http import Client
from tellurio.client.login import connect
from tellurio.client.paths import config_file

__all__ = ["check_consent"]

_VARIABLE = "ALLOW_API_KEY_SHARING"

_given: set[str] = set()
"""Servers the user said yes to, for this process."""


def check_consent(client: Client | None = None, *, ask: Callable[[str], str] = input) -> None:
    """Return if the keys of your LM providers may be sent to the server; they stay in its memory, for the session only.

    The local server is yours and is not asked about.  For another one, in this order: ``ALLOW_API_KEY_SHARING=true``;
    ``"allow_api_key_sharing": true`` in ``config.json``, unless that is about another server, or
    ``ALLOW_API_KEY_SHARING=false``; a question, where there is a terminal to ask at.

    Args:
        client: of the server; None: the one that `connect` finds.
        ask: how a person is asked; gets the question, returns the answer.

    Raises:
        ConsentError: nobody consented.
        ValueError: ``ALLOW_API_KEY_SHARING`` is neither true nor false.
    """
    client = connect() if client is None else client
    if client.is_local:
        return
    said = _said()
    if said or client.url in _given or (said is None and _stored(client)):
        return
    if not (_is_terminal(sys.stdin) and _is_terminal(sys.stdout)):
        raise _refused(client, "nobody was asked: there is no terminal")
    _asked(client, ask)


def _said() -> bool | None:
    value = os.environ.get(_VARIABLE, "").strip().lower()
    if value not in ("", "true", "false"):
        raise ValueError(f"{_VARIABLE} must be true or false, got {value!r}.")
    return {"": None, "true": True, "false": False}[value]


def _stored(client: Client) -> bool:
    """What the file says was said about the server that the file names; it may name none."""
    config = read_config()
    return config.allow_api_key_sharing and config.url in (None, client.url)


def _asked(client: Client, ask: Callable[[str], str]) -> None:
    question = (
        f"The server at {client.url} makes LM calls for you, and needs the API keys of your LM providers.\n"
        "They are kept in its memory for this session only. Send them? [yes/always/no] "
    )
    for _ in range(3):
        try:
            answer = ask(question).strip().lower()
        except EOFError:
            break
        if answer in ("y", "yes"):
            _given.add(client.url)
            return
        if answer in ("a", "always"):
            _given.add(client.url)
            update_config(allow_api_key_sharing=True)
            return
        if answer in ("n", "no"):
            break
        question = "Please answer yes, always or no: "
    raise _refused(client, "the answer was no")


def _refused(client: Client, reason: str) -> ConsentError:
    return ConsentError(
        f"The API keys of your LM providers may not be sent to {client.url}: {reason}. To allow it, set "
        f"{_VARIABLE}=true, or put "
        f'"allow_api_key_sharing": true into {config_file()}, or answer yes when asked at a terminal. To keep them on '
        'this machine, let it make the calls itself: te.init(..., lm_calls="client").'
    )


def _is_terminal(stream: object) -> bool:
    """A stream may be closed, missing (a daemon's) or a notebook's own."""
    try:
        return bool(stream.isatty())  # type: ignore[attr-defined]
    except (AttributeError, ValueError):
        return False
