"""HTTP by aiohttp: one connection pool on the LM loop, shared by all clients of the process."""

from __future__ import annotations

import gc
import importlib
import os
import re
import sys
import threading
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from afnio.calls import _json
from afnio.calls.loop import on_exit
from afnio.calls.redact import public_url as public_url
from afnio.calls.request import Request
from afnio.calls.sse import EventParser
from afnio.calls.transport import RawResponse, Take, Timeout
from afnio.errors import APIConnectionError, APIConnectTimeoutError, APITimeoutError, APIUnreachableError

if TYPE_CHECKING:
    import aiohttp

__all__ = ["AioTransport", "merged_headers", "pool", "public_url", "warm", "without_secrets"]

KEY_HEADERS = frozenset({"authorization", "api-key", "x-api-key", "api_key", "auth_token"})
SECRET_HEADERS = ("auth", "key", "token", "secret", "password", "credential", "cookie", "signature")
"""Headers whose values are nobody's business, by a part of their names: gateways have headers of their own."""
Headers = Callable[[], Awaitable[Mapping[str, str]]]


class AioTransport:
    """Posts JSON over kept-alive connections; has no connection limit of its own.

    Args:
        headers: awaited for each attempt, so that keys can be renewed.
        query: appended to every URL.

    Proxies are taken from the environment (``HTTPS_PROXY``, ``NO_PROXY``, ...).
    """

    inline = False

    def __init__(self, headers: Headers, query: Mapping[str, str] | None = None) -> None:
        self.headers, self.query = headers, dict(query or {})
        self._targets: dict[tuple[str, str], tuple[Any, str | None]] = {}

    async def send(self, request: Request, timeout: Timeout) -> RawResponse:
        """Post the request's body once.

        Raises:
            APIUnreachableError: no connection can be made.
            APIConnectionError: it broke before the whole answer was there.
            APITimeoutError: it took longer than ``timeout``.
        """
        limit = (timeout.total, None)
        return await self._post(request, request.body, timeout, limit, _whole)

    async def stream(self, request: Request, body: dict[str, Any], timeout: Timeout, take: Take) -> RawResponse:
        """Post ``body`` once and give each event of the answer to ``take``.

        ``timeout.total`` limits the wait for each piece: a long answer may take longer as a whole.
        """
        return await self._post(request, body, timeout, (None, timeout.total), partial(_events, take))

    async def _post(
        self,
        request: Request,
        body: dict[str, Any],
        timeout: Timeout,
        limit: tuple[float | None, float | None],
        read: Callable[[aiohttp.ClientResponse], Awaitable[RawResponse]],
    ) -> RawResponse:
        import aiohttp

        headers: Mapping[str, str] = await self.headers()
        if request.headers:
            headers = merged_headers(headers, request.headers)
        url, proxy = self._target(request)
        if url.user is not None:  # a user name in the URL means basic authentication, and that is the same header
            headers = {name: value for name, value in headers.items() if name.lower() != "authorization"}
        limits = aiohttp.ClientTimeout(total=limit[0], sock_read=limit[1], sock_connect=timeout.connect)
        content = _json.dumps(body)
        try:
            async with pool().post(url, data=content, headers=headers, timeout=limits, proxy=proxy) as response:
                answer = await read(response)
                if response.status >= 400 and isinstance(answer.content, bytes):
                    answer.content = without_secrets(answer.content, headers)
                return answer
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise _failure(error, request, timeout) from error

    def _target(self, request: Request) -> tuple[Any, str | None]:
        from yarl import URL

        key = (request.endpoint, request.path)
        target = self._targets.get(key)
        if target is None:
            try:
                url = URL(request.endpoint.rstrip("/") + request.path)
            except ValueError as error:
                raise _no_url(request) from error
            target = (url.update_query(self.query) if self.query else url, _proxy(url))
            self._targets[key] = target
        return (target[0].update_query(request.query), target[1]) if request.query else target


async def _whole(response: aiohttp.ClientResponse) -> RawResponse:
    return RawResponse(response.status, await response.read(), response.headers)


async def _events(take: Take, response: aiohttp.ClientResponse) -> RawResponse:
    """Give the events of a stream to ``take``; an answer that is none is returned whole."""
    if response.status >= 400 or "event-stream" not in response.headers.get("content-type", ""):
        return await _whole(response)
    parser = EventParser()
    async for content in response.content.iter_any():
        for event in parser.feed(content):
            take(*event)
    for event in parser.end():
        take(*event)
    return RawResponse(response.status, b"", response.headers, streamed=True)


def _failure(error: BaseException, request: Request, timeout: Timeout) -> APIConnectionError:
    import aiohttp

    if isinstance(error, aiohttp.InvalidURL):
        return _no_url(request)
    where, about = public_url(request.endpoint), {"provider": request.provider, "model": request.model}
    if isinstance(error, aiohttp.ConnectionTimeoutError):
        failure = APIConnectTimeoutError(
            f"Cannot reach {where}: no connection within {timeout.connect:g} s. Check base_url, the network, the "
            f"firewall and the proxy settings.",
            **about,
        )
        failure.weight = 2  # type: ignore[attr-defined]  # a black hole seldom heals: tell the user soon
        return failure
    if isinstance(error, TimeoutError):
        return APITimeoutError(
            f"{where} did not answer within {timeout.total} s. Raise timeout= or ask for less.", **about
        )
    if isinstance(error, aiohttp.ClientSSLError):
        return APIUnreachableError(
            f"No trusted connection to {where}: {error}. Check https:// or http:// in base_url, and the certificate; "
            f"SSL_CERT_FILE names the file of a CA of your own.",
            **about,
        )
    if isinstance(error, aiohttp.ClientConnectorError):
        return APIUnreachableError(
            f"Cannot reach {where}: {error.os_error}. Check that a server runs there, base_url (scheme, host, "
            f"port), the network and the proxy settings.",
            **about,
        )
    return APIConnectionError(
        f"The connection to {where} broke before the whole answer was there: {type(error).__name__}: {error}.", **about
    )


def _no_url(request: Request) -> APIConnectionError:
    return APIUnreachableError(
        f"{public_url(request.endpoint)!r} is no URL. base_url looks like https://host/v1.",
        provider=request.provider,
        model=request.model,
    )


def merged_headers(headers: Mapping[str, str], more: Mapping[str, Any]) -> dict[str, str]:
    """``headers`` with those of ``more`` in their place, whatever their case; a value that is no text removes one."""
    replaced = {name.lower() for name in more}
    kept = {name: value for name, value in headers.items() if name.lower() not in replaced}
    return kept | {name: value for name, value in more.items() if isinstance(value, str)}


def without_secrets(content: bytes, headers: Mapping[str, str]) -> bytes:
    """``content`` without the keys of ``headers``: endpoints like to quote a wrong key in their answer."""
    for name, value in headers.items():
        key = re.sub(r"^(Bearer|Basic|Token) ", "", value, flags=re.IGNORECASE).encode()
        shortest = 4 if name.lower() in KEY_HEADERS else 8  # "true" is no secret, and JSON must stay JSON
        if len(key) >= shortest and any(part in name.lower() for part in SECRET_HEADERS):
            content = content.replace(key, b"***")
    return content


# ---------------------------------------------------------------------------------------------- the pool

_pools: list[tuple[object, aiohttp.ClientSession]] = []  # the last one is in use. Older ones belong to a parent
# process; they are kept, since collecting them would touch its connections


def pool() -> aiohttp.ClientSession:
    """The connections of the running loop, which is the LM loop."""
    import asyncio

    loop = asyncio.get_running_loop()
    if not _pools or _pools[-1][0] is not loop:
        session = _new_pool()
        _pools.append((loop, session))
        on_exit(session.close)
    return _pools[-1][1]


def _new_pool() -> aiohttp.ClientSession:
    import aiohttp

    connector = aiohttp.TCPConnector(limit=0, ttl_dns_cache=300, keepalive_timeout=60.0)
    return aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=True,
        read_bufsize=2**16,
    )


def _proxy(url: Any) -> str | None:
    from urllib.request import getproxies, proxy_bypass

    if url.host and proxy_bypass(url.host):
        return None
    proxies = getproxies()
    return proxies.get(url.scheme) or proxies.get("all")


# ---------------------------------------------------------------------------------------------- warming up

_warming: threading.Thread | None = None


def warm(*modules: str) -> None:
    """Start importing what the first call needs in the background, so that it does not pay for it."""
    global _warming
    missing = [name for name in ("orjson", "aiohttp", *modules) if name not in sys.modules]
    if missing and _warming is None:
        _warming = threading.Thread(target=_import, args=(missing,), name="afnio-warm", daemon=True)
        _warming.start()
        os.register_at_fork(before=_warming.join)  # a child must not inherit a half-done import and its lock


def _import(modules: list[str]) -> None:
    for name in modules:
        importlib.import_module(name)
    # The modules are here to stay. Sorted out now, they are not gone through in the middle of the first batch, where a
    # full collection holds up hundreds of calls for 15 to 50 ms.
    gc.collect()
