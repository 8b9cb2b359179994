from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from tests.calls.endpoint import Answer, Endpoint


@pytest.fixture
def serve() -> Iterator[Callable[..., Endpoint]]:
    """``serve(answer, ...)`` starts an endpoint that lives as long as the test."""
    with ExitStack() as stack:

        def start(*answers: Answer) -> Endpoint:
            return stack.enter_context(Endpoint(*answers))

        yield start
