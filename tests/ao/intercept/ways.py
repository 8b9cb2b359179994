"""The ways in which scripts ask: every library, and every manner of reading an answer, as one table.

Each way takes a URL and a JSON body and returns what the script sees: status, some headers, the pieces it read.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

Seen = tuple[int, str | None, list[bytes]]
HEADERS = {"content-type": "application/json", "authorization": "Bearer sk-secret"}


def _seen(status: int, headers: Any, pieces: list[Any]) -> Seen:
    return status, headers.get("content-type"), [piece for piece in pieces if piece]


def _httpx(name: str, how: str) -> Callable[[str, Any], Seen]:
    def ask(url: str, body: Any) -> Seen:
        library = __import__(name)
        with library.Client(verify=False) as client:
            if how == "whole":
                answer = client.post(url, json=body, headers=HEADERS)
                return _seen(answer.status_code, answer.headers, [answer.content])
            with client.stream("POST", url, json=body, headers=HEADERS) as answer:
                read = {
                    "bytes": answer.iter_bytes,
                    "tens": lambda: answer.iter_bytes(10),
                    "lines": lambda: (line.encode() for line in answer.iter_lines()),
                }[how]
                return _seen(answer.status_code, answer.headers, list(read()))

    return ask


def _ahttpx(name: str, how: str) -> Callable[[str, Any], Seen]:
    async def ask(url: str, body: Any) -> Seen:
        library = __import__(name)
        async with library.AsyncClient(verify=False) as client:
            if how == "whole":
                answer = await client.post(url, json=body, headers=HEADERS)
                return _seen(answer.status_code, answer.headers, [answer.content])
            async with client.stream("POST", url, json=body, headers=HEADERS) as answer:
                pieces = [piece async for piece in answer.aiter_bytes()]
                return _seen(answer.status_code, answer.headers, pieces)

    return lambda url, body: asyncio.run(ask(url, body))


def _requests(how: str) -> Callable[[str, Any], Seen]:
    def ask(url: str, body: Any) -> Seen:
        import requests

        with requests.Session() as session:
            answer = session.post(url, json=body, headers=HEADERS, stream=how != "whole")
            with answer:
                read: dict[str, Callable[[], Any]] = {
                    "whole": lambda: [answer.content],
                    "bytes": lambda: answer.iter_content(None),
                    "tens": lambda: answer.iter_content(10),
                    "lines": answer.iter_lines,
                    "raw": lambda: iter(lambda: answer.raw.read(7, decode_content=True), b""),
                }
                return _seen(answer.status_code, answer.headers, list(read[how]()))

    return ask


def _urllib3(how: str) -> Callable[[str, Any], Seen]:
    def ask(url: str, body: Any) -> Seen:
        import urllib3

        with urllib3.PoolManager() as pool:
            options: dict[str, Any] = {
                "body": json.dumps(body).encode(),
                "headers": HEADERS | {"accept-encoding": "gzip"},
            }
            answer = pool.request("POST", url, preload_content=how == "whole", **options)
            read: dict[str, Callable[[], Any]] = {
                "whole": lambda: [answer.data],
                "bytes": lambda: answer.stream(),
                "read": lambda: [answer.read()],
                "lines": lambda: iter(answer),
            }
            seen = _seen(answer.status, answer.headers, list(read[how]()))
            answer.release_conn()
            return seen

    return ask


def _aiohttp(how: str) -> Callable[[str, Any], Seen]:
    async def ask(url: str, body: Any) -> Seen:
        import aiohttp

        async with aiohttp.ClientSession() as session, session.post(url, json=body, headers=HEADERS) as answer:
            if how == "whole":
                pieces = [await answer.read()]
            elif how == "lines":
                pieces = [line async for line in answer.content]
            elif how == "tens":
                pieces = [piece async for piece in answer.content.iter_chunked(10)]
            elif how == "chunks":
                pieces = [piece async for piece, _ in answer.content.iter_chunks()]
            else:
                pieces = [piece async for piece in answer.content.iter_any()]
            return _seen(answer.status, answer.headers, pieces)

    return lambda url, body: asyncio.run(ask(url, body))


WAYS: dict[str, Callable[[str, Any], Seen]] = {
    **{
        f"{name} {how}": _httpx(name, how)
        for name in ("httpx", "httpx2")
        for how in ("whole", "bytes", "tens", "lines")
    },
    **{f"{name} async {how}": _ahttpx(name, how) for name in ("httpx", "httpx2") for how in ("whole", "bytes")},
    **{f"requests {how}": _requests(how) for how in ("whole", "bytes", "tens", "lines", "raw")},
    **{f"urllib3 {how}": _urllib3(how) for how in ("whole", "bytes", "read", "lines")},
    **{f"aiohttp {how}": _aiohttp(how) for how in ("whole", "any", "tens", "lines", "chunks")},
}
"""Name -> way."""
