"""The connection to a server, and the errors it has."""

from __future__ import annotations

from afnio.errors import InvalidAPIKeyError, ServerError, ServerUnreachableError, ServerVersionError, TellurioError
from tellurio.client.http import Client
from tellurio.client.login import connect, login

__all__ = [
    "Client",
    "InvalidAPIKeyError",
    "ServerError",
    "ServerUnreachableError",
    "ServerVersionError",
    "TellurioError",
    "connect",
    "login",
]
