"""Which names the server answers to, and which pages may call it.

A page of another site can make a browser send requests to this machine (CSRF), or have its own name point here (DNS
rebinding).  Neither gets past these two checks: the Host must be one of ours, and the Origin, where there is one, the
very origin the request is sent to.
"""

from __future__ import annotations

from tellurio.server.refusals import Refused
from tellurio.server.settings import LOOPBACK, ServerSettings

__all__ = ["Hosts"]


class Hosts:
    """The check of Host and Origin."""

    def __init__(self, settings: ServerSettings) -> None:
        port = "" if settings.port == 80 else f":{settings.port}"
        names = [*LOOPBACK, settings.host]
        bound = {f"[{name}]{port}" if ":" in name else f"{name}{port}" for name in names}
        self._known = {name.lower().encode() for name in bound | set(settings.allowed_hosts)}

    def check(self, host: bytes | None, origin: bytes | None) -> None:
        """Raise `Refused` unless both are ours."""
        if host is None or host.lower() not in self._known:
            shown = "none" if host is None else repr(host.decode("latin-1")[:100])
            raise Refused(
                400,
                f"This server does not answer to the Host header given ({shown}). Use its own address, or start it "
                f"with --allow-host.",
                code="host_refused",
            )
        if origin is not None and origin.lower() not in (b"http://" + host.lower(), b"https://" + host.lower()):
            raise Refused(403, "A page of another origin may not call this server.", code="origin_refused")
