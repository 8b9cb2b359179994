"""Hosts that look like an LM API, so that one that is asked past us does not go unnoticed."""

from __future__ import annotations

import re
import threading
from typing import Any, Protocol

from ao.intercept.patching import Patches

__all__ = ["Hosts", "host_of", "looks_like_lm", "patch"]

_KNOWN = re.compile(
    r"^(?:api|api-inference|inference|gateway)\.(?:[\w-]+\.)?(?:openai|anthropic|mistral|groq|together|cohere|deepseek"
    r"|perplexity|x|fireworks|cerebras|sambanova|hyperbolic|moonshot|replicate|novita|deepinfra|stability)\.(?:com|ai|xyz|cn)$"
    r"|^(?:generativelanguage|[\w-]*aiplatform)\.googleapis\.com$"
    r"|\.(?:openai\.azure|cognitiveservices\.azure|services\.ai\.azure|inference\.ai\.azure)\.com$"
    r"|^bedrock-runtime[\w.-]*\.amazonaws\.com(?:\.cn)?$"
    r"|^(?:api\.)?(?:openrouter\.ai|deepinfra\.com)$|^(?:router|api-inference)\.huggingface\.co$"
    r"|^integrate\.api\.nvidia\.com$|^dashscope[\w-]*\.aliyuncs\.com$|^models\.(?:github\.ai|inference\.ai\.azure\.com)$",
    re.IGNORECASE,
)


def looks_like_lm(host: str) -> bool:
    """Whether ``host`` is one that LM calls go to."""
    return _KNOWN.search(host) is not None


def host_of(url: str) -> str:
    """The host in ``url``, without port and user."""
    rest = url.partition("://")[2]
    for end in "/?#":
        rest = rest.partition(end)[0]
    name = rest.rpartition("@")[2]
    return name[1:].partition("]")[0] if name.startswith("[") else name.partition(":")[0]


class Hosts:
    """Which such hosts were contacted, and which of them a call was recorded of."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._asked: dict[str, str] = {}
        self._heard: set[str] = set()

    def contacted(self, host: str, how: str = "") -> None:
        """``host`` is asked; ``how``: by which request, if that is known."""
        if host and looks_like_lm(host):
            with self._lock:
                self._asked[host] = how or self._asked.get(host, "")

    def heard(self, host: str) -> None:
        """A call to ``host`` is recorded."""
        self._heard.add(host)

    def unheard(self) -> list[str]:
        """One sentence for each host that was contacted although no call came of it."""
        with self._lock:
            left = {host: how for host, how in self._asked.items() if host not in self._heard}
        return [
            f"{host} looks like an LM API and was contacted{f' ({how})' if how else ''}, but no call was recorded. "
            "Either its requests have a shape that no dialect knows (teach it: ao.dialects.register), or they are "
            "made by a library that is not intercepted (those that are: httpx, httpx2, requests, urllib3, aiohttp)."
            for host, how in left.items()
        ]


class Desk(Protocol):
    """Who keeps count, while there is a recorder."""

    hosts: Hosts
    recorder: Any


def patch(socket: Any, patches: Patches, desk: Desk) -> None:
    """See the names that are looked up in Python, by whatever library."""

    def around(look_up: Any) -> Any:
        def getaddrinfo(host: Any, *args: Any, **options: Any) -> Any:
            if host and desk.recorder is not None:
                desk.hosts.contacted(host.decode() if isinstance(host, bytes) else str(host))
            return look_up(host, *args, **options)

        return getaddrinfo

    patches.wrap(socket, "getaddrinfo", around)
