"""The server's HTTP API for commands of the recorder, by the standard library: they start fast."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

from ao.home import config, configured, server

if TYPE_CHECKING:
    from urllib.error import HTTPError

__all__ = ["Api", "ApiError", "quoted"]


class ApiError(Exception):
    """What was asked for cannot be had; says why, and what to do.

    Attributes:
        status: of the server's answer; 0: there was none.
    """

    def __init__(self, message: str, status: int = 0) -> None:
        super().__init__(message)
        self.status = status


def quoted(text: str) -> str:
    """``text`` as a part of a path."""
    import urllib.parse

    return urllib.parse.quote(text, safe="")


class Api:
    """The configured server, else the local one.

    Raises:
        ApiError: there is none.
    """

    def __init__(self) -> None:
        local = server()
        url = configured() or local.get("url")
        if not url:
            raise ApiError("The local server does not run. Start it: ao-server start")
        own = url == local.get("url")
        key = local.get("key") if own else os.environ.get("TELLURIO_API_KEY") or config().get("key")
        if not key:
            raise ApiError(f"There is no API key for {url}. Log in: afnio login")
        self.url, self._key = str(url).rstrip("/"), str(key)

    def get(self, path: str) -> bytes:
        """The body of an answer to ``GET /api/v1<path>``.

        Raises:
            ApiError: the server refuses, or cannot be reached.
        """
        return self._asked("GET", path, None)

    def json(self, path: str) -> Any:
        """The same, as JSON."""
        return json.loads(self.get(path))

    def post(self, path: str, value: Any) -> Any:
        """The answer to a POST of ``value``."""
        return json.loads(self._asked("POST", path, value))

    def _asked(self, method: str, path: str, value: Any) -> bytes:
        import urllib.error
        import urllib.request

        headers = {"Authorization": f"Bearer {self._key}"}
        content = None if value is None else json.dumps(value).encode()
        if content is not None:
            headers["Content-Type"] = "application/json"
        url = f"{self.url}/api/v1{path}"
        request = urllib.request.Request(url, content, headers, method=method)  # noqa: S310 - the user's own server
        try:
            with urllib.request.urlopen(request, timeout=60.0) as answer:  # noqa: S310
                body: bytes = answer.read()
                return body
        except urllib.error.HTTPError as error:
            raise ApiError(_said(error), error.code) from None
        except (OSError, ValueError) as error:
            raise ApiError(f"The server at {self.url} cannot be reached: {error}. Try: ao-server status") from None


def _said(error: HTTPError) -> str:
    try:
        return str(json.loads(error.read())["error"]["message"])
    except (ValueError, KeyError, TypeError):
        return f"The server answered {error.code}."
