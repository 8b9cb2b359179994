"""What the store raises about input, as refusals."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tellurio.server.refusals import Refused

__all__ = ["of_input"]


@contextmanager
def of_input() -> Iterator[None]:
    """What is raised inside is the caller's fault: `ValueError` is 422, `LookupError` 404."""
    try:
        yield
    except ValueError as error:
        raise Refused(422, str(error)[:2000]) from error
    except LookupError as error:
        raise Refused(404, str(error)[:2000]) from error
