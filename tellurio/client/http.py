"""One server, spoken to by HTTP: JSON in and out, typed errors, a few tries."""

from __future__ import annotations

import contextlib
import ipaddress
import logging
import os
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

from afnio.errors import InvalidAPIKeyError, ServerError, ServerUnreachableError
from tellurio.schemas.version import HEADER, check_versions, our_version

if TYPE_CHECKING:
    import httpx2

__all__ = ["Client", "is_loopback", "segment"]

_IDEMPOTENT = frozenset({"GET", "HEAD", "PUT", "DELETE"})
_WAITS = (0.1, 0.4)  # between the tries of a request; a server that restarts is back by then, or is away
_LONGEST_WAIT = 5.0  # what a server that is full may ask us to wait, before we tell the caller instead

Content = bytes | Iterable[bytes]


class Client:
    """Speaks to the server at ``url`` with the API key ``key``.

    May be used by many threads, and after a fork.  A connection is made at the first request and kept.

    Args:
        url: of the server, without a path of the API: ``"http://127.0.0.1:7117"``.
        key: the API key; None for what is public.
        is_local: it is the local server of this user, started from this user's home folder.
        any_version: of the server will do; for who only asks whether it is there.
    """

    def __init__(self, url: str, key: str | None, *, is_local: bool = False, any_version: bool = False) -> None:
        self.url, self.key, self.is_local, self._any_version = url.rstrip("/"), key, is_local, any_version
        self._checked: str | None = None  # the server's version that was found to fit
        self._pool: tuple[int, httpx2.Client] | None = None  # of the process with this id
        self._lock = (os.getpid(), threading.Lock())

    def __repr__(self) -> str:
        return f"Client({self.url!r})"

    def get(self, path: str, **options: Any) -> Any:
        """``request("GET", ...)``."""
        return self.request("GET", path, **options)

    def post(self, path: str, **options: Any) -> Any:
        """``request("POST", ...)``."""
        return self.request("POST", path, **options)

    def patch(self, path: str, **options: Any) -> Any:
        """``request("PATCH", ...)``."""
        return self.request("PATCH", path, **options)

    def put(self, path: str, **options: Any) -> Any:
        """``request("PUT", ...)``."""
        return self.request("PUT", path, **options)

    def delete(self, path: str, **options: Any) -> Any:
        """``request("DELETE", ...)``."""
        return self.request("DELETE", path, **options)

    def request(
        self,
        method: str,
        path: str,
        *,
        json: Any = None,
        content: Content | None = None,
        params: Mapping[str, Any] | Iterable[tuple[str, Any]] | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float = 30.0,
        retry: bool | None = None,
    ) -> Any:
        """Send a request; returns the decoded JSON of the answer, or None when it has no body.

        Args:
            path: from the root of the server: ``"/api/v1/me"``.
            json: the body, to be encoded.
            content: the body, as it is; a stream is sent once, whatever ``retry`` says.
            params: the query; None values are left out.
            timeout: seconds without a sign of the server.  Making the connection may take 5 of them at most.
            retry: whether a request that broke is sent again; by default GET, HEAD, PUT and DELETE are.  Where no
                connection could be made, or the server asked to wait a little, nothing was done yet, and every
                method is, unless ``retry`` is False.

        Raises:
            ServerUnreachableError: no Tellurio server answers there.
            InvalidAPIKeyError: it does not know the key (401).
            ServerError: any other status from 400 on, with its body and request id.
            ServerVersionError: it is too old or too new for this client.
        """
        import httpx2

        if json is not None:
            content, headers = _encoded(json), {"Content-Type": "application/json", **(headers or {})}
        tries = 1 if retry is False or not isinstance(content, (bytes, type(None))) else len(_WAITS) + 1
        again = method in _IDEMPOTENT if retry is None else retry
        arguments = {"content": content, "params": _given(params), "headers": headers, "timeout": timeout}
        for number in range(tries):
            last = number == tries - 1
            try:
                response = self._connection().request(method, self.url + path, **self._prepared(arguments))
            except httpx2.TransportError as error:
                if last or not _nothing_was_done(error, again):
                    raise self._unreachable(error) from None  # what failed is in its text
                time.sleep(_WAITS[number])
                continue
            wait = _wait_asked(response)
            if wait is None or last:
                return self._answer(response)
            time.sleep(wait)
        raise AssertionError("the last try returns or raises")

    @contextlib.contextmanager
    def stream(self, path: str, *, timeout: float = 60.0) -> Iterator[Iterator[bytes]]:
        """GET ``path`` and hand out its body in pieces, for what may be large.

        Raises:
            TellurioError: as `request` does.
        """
        import httpx2

        try:
            options = self._prepared({"timeout": timeout})
            with self._connection().stream("GET", self.url + path, **options) as response:
                if response.status_code >= 300:
                    response.read()
                    self._answer(response)
                self._check_server(response)
                yield response.iter_bytes()
        except httpx2.TransportError as error:
            raise self._unreachable(error) from None  # what failed is in its text

    def close(self) -> None:
        """Close the connections; a later request opens new ones."""
        pool, self._pool = self._pool, None
        if pool is not None and pool[0] == os.getpid():
            pool[1].close()

    def __del__(self) -> None:
        with contextlib.suppress(Exception):  # at the end of the interpreter much is gone already
            self.close()

    def _connection(self) -> httpx2.Client:
        """A connection pool of this process: one that came along in a fork belongs to the parent."""
        pid = os.getpid()
        if self._lock[0] != pid:  # it may have been held when the fork was made
            self._lock = (pid, threading.Lock())
        with self._lock[1]:
            if self._pool is None or self._pool[0] != pid:
                self._pool = (pid, _pool(self.url))
            return self._pool[1]

    def _prepared(self, arguments: dict[str, Any]) -> dict[str, Any]:
        import httpx2

        own = {HEADER: our_version(), **({"Authorization": f"Bearer {self.key}"} if self.key else {})}
        timeout = arguments["timeout"]
        return {
            **arguments,
            "headers": {**own, **(arguments.get("headers") or {})},
            "timeout": httpx2.Timeout(timeout, connect=min(5.0, timeout)),
        }

    def _unreachable(self, error: Exception) -> ServerUnreachableError:
        reason = str(error) or type(error).__name__
        if type(error).__name__.endswith("Timeout"):
            reason = "it did not answer in time"
        return ServerUnreachableError(
            f"Cannot reach the Tellurio server at {self.url}: {reason}. {self._what_to_type()}"
        )

    def _what_to_type(self) -> str:
        if self.is_local:
            return "See what it says: tellurio logs. Start it: tellurio up"
        return "Check the address (TELLURIO_BACKEND_HTTP_BASE_URL, or afnio login --server URL), and that it runs."

    def _answer(self, response: httpx2.Response) -> Any:
        self._check_server(response)
        if response.status_code == 204 or not response.content:
            body: Any = None
        else:
            body = _decoded(response)
        if response.status_code < 300:
            return body
        raise self._refused(response, body)

    def _check_server(self, response: httpx2.Response) -> None:
        """It is a Tellurio server, of a version that fits."""
        theirs = response.headers.get(HEADER)
        if theirs is None:
            what = response.headers.get("content-type", "no type").partition(";")[0]
            reason = f"what answers there is no Tellurio server (status {response.status_code}, {what})"
            if target := response.headers.get("location"):
                where = urlsplit(target)
                reason += f"; it sends us to {where.scheme}://{where.netloc}" if where.netloc else ""
            raise self._unreachable(ConnectionError(reason))
        if theirs != self._checked and not self._any_version:
            check_versions(our_version(), theirs)
            self._checked = theirs

    def _refused(self, response: httpx2.Response, body: Any) -> ServerError:
        error = body.get("error") if isinstance(body, dict) else None
        reason = error.get("message") if isinstance(error, dict) else None
        details = {
            "status_code": response.status_code,
            "body": body,
            "request_id": response.headers.get("x-request-id"),
        }
        if response.status_code == 401:
            return InvalidAPIKeyError(
                f"The server at {self.url} does not know the API key{'' if self.key else ': none was given'}. "
                "Log in with another one: afnio login --relogin",
                **details,
            )
        asked = f"{response.request.method} {response.request.url.path}"
        shown = f" [request {details['request_id']}]" if details["request_id"] else ""
        reason = reason or response.reason_phrase or "no reason given"
        return ServerError(
            f"The server at {self.url} answered {asked} with {response.status_code}: {reason}{shown}", **details
        )


def segment(text: str, *, safe: str = "") -> str:
    """``text`` as one part of a path, whatever is in it: ``"."`` and ``".."`` would be taken for steps in it."""
    quoted = quote(text, safe=safe)
    return "/".join(part.replace(".", "%2E") if part in (".", "..") else part for part in quoted.split("/"))


def is_loopback(url: str) -> bool:
    """Whether ``url`` is on this machine's loopback interface."""
    host = urlsplit(url).hostname or ""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _nothing_was_done(error: httpx2.TransportError, again: bool) -> bool:
    """Whether the request may be sent once more."""
    import httpx2

    if isinstance(error, httpx2.TimeoutException) and not isinstance(error, httpx2.ConnectTimeout):
        return False  # it was given all the time there was
    return again or isinstance(error, (httpx2.ConnectError, httpx2.ConnectTimeout))


class _NoNews(logging.Filter):
    """httpx2 logs a line at INFO for each request.  Those to a Tellurio server, several a second while a Run goes on,
    are no news for the log of a user who shows INFO lines; those of the user's own requests stay."""

    def __init__(self) -> None:
        super().__init__()
        self.servers: set[str] = set()

    def filter(self, record: logging.LogRecord) -> bool:
        arguments = record.args
        if not isinstance(arguments, tuple) or len(arguments) < 2:
            return True
        return not str(arguments[1]).startswith(tuple(self.servers))


_no_news = _NoNews()


def _pool(url: str) -> httpx2.Client:
    import httpx2

    _no_news.servers.add(f"{url}/")
    logging.getLogger("httpx2").addFilter(_no_news)
    # Certificates cost 80 ms to load, which http:// does not need.  A proxy of the environment is not asked for
    # what is on this machine.
    return httpx2.Client(verify=not url.startswith("http://"), trust_env=not is_loopback(url))


def _encoded(value: Any) -> bytes:
    import orjson

    return orjson.dumps(value)


def _decoded(response: httpx2.Response) -> Any:
    import orjson

    try:
        return orjson.loads(response.content)
    except orjson.JSONDecodeError:
        return response.text


def _given(params: Mapping[str, Any] | Iterable[tuple[str, Any]] | None) -> list[tuple[str, Any]] | None:
    if params is None:
        return None
    pairs = params.items() if isinstance(params, Mapping) else params
    return [(name, value) for name, value in pairs if value is not None]


def _wait_asked(response: httpx2.Response) -> float | None:
    """Seconds a server that is full asks us to wait, if that is not long; it has done nothing yet."""
    if response.status_code != 429:
        return None
    try:
        wait = float(response.headers.get("retry-after", ""))
    except ValueError:
        return _WAITS[-1]
    return wait if 0 <= wait <= _LONGEST_WAIT else None
