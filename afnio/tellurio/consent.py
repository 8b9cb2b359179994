"""Whether provider keys may go to the server."""

from __future__ import annotations

from afnio.errors import ConsentError
from tellurio.client.consent import check_consent

__all__ = ["ConsentError", "check_consent"]
