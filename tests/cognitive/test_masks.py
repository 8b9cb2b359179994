"""The truth of what masks and stop reasons are compared with."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest

from afnio._masks import BoolMask, StopReasonView

SAID = ["end_turn", "tool_use", None]


@pytest.mark.parametrize("make", [BoolMask, StopReasonView])
def test_compared_with_a_list_it_is_equal_where_all_are(make: Any) -> None:
    kinds: list[Any] = [True, False] if make is BoolMask else SAID
    for one, other in product(product(kinds, repeat=2), repeat=2):
        assert bool(make(one) == list(other)) is (one == other)
        assert bool(make(one) != list(other)) is (one != other)
        assert bool(make(one) == make(other)) is (one == other)
        assert bool(make(one) != make(other)) is (one != other)
