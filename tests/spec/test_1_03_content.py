"""`_content_blocks`, `_masks`, `_op_result`."""

from __future__ import annotations

from typing import Any

import pytest

from afnio import Variable, _content_blocks, _masks, _op_result
from afnio._content_blocks import StopReason


def test_blocks_have_these_names() -> None:
    for name in ["Text", "ToolUse", "ToolResult", "Thinking", "Image", "Document", "Provider"]:
        assert hasattr(_content_blocks, f"{name}Block")
    kinds = ["DOCUMENT", "IMAGE", "PROVIDER", "TEXT", "THINKING", "TOOL_RESULT", "TOOL_USE"]
    assert {getattr(_content_blocks, kind) for kind in kinds} == set(_content_blocks.KNOWN_BLOCK_TYPES)
    assert {kind.lower() for kind in kinds} == set(_content_blocks.KNOWN_BLOCK_TYPES)
    reasons = {"end_turn", "tool_use", "max_tokens", "stop_sequence", "refusal", "content_filter", "pause"}
    assert {str(reason.value) for reason in StopReason} == reasons
    assert issubclass(StopReason, str)
    assert issubclass(_content_blocks.ContentBlockError, TypeError)
    assert issubclass(_content_blocks.MessageError, TypeError)
    assert _content_blocks._strip_framework_keys({"role": "user", "_stop_reason": 1}) == {"role": "user"}


def test_a_mask_counts_and_joins() -> None:
    mask, other = _masks.BoolMask([True, False]), _masks.BoolMask([True, True])
    assert (list(mask.values), mask.any(), mask.all(), len(mask), mask[0]) == ([True, False], True, False, 2, True)
    assert [list(one) for one in (~mask, mask & other, mask | other, mask ^ other)] == [
        [False, True],
        [True, False],
        [True, True],
        [False, True],
    ]
    for wrong in (lambda: bool(mask), lambda: mask & _masks.BoolMask([True])):
        with pytest.raises(ValueError):
            wrong()
    for value in (mask, _masks.StopReasonView([])):
        with pytest.raises(TypeError, match="unhashable"):
            hash(value)


def test_stop_reasons_compare_to_masks() -> None:
    view = _masks.StopReasonView([StopReason("end_turn"), StopReason("tool_use")])
    assert list(view == "tool_use") == [False, True]
    assert list(view != "tool_use") == [True, False]
    threads: Any = [
        [{"role": "user", "content": []}, {"role": "assistant", "content": [], "_stop_reason": StopReason("end_turn")}],
        [{"role": "assistant", "content": [], "_stop_reason": StopReason("end_turn")}, {"role": "user", "content": []}],
    ]
    assert list(_masks.last_stop_reason(threads) == "end_turn") == [True, False]


def test_an_op_result_checks_its_lengths() -> None:
    ends = [StopReason("end_turn")]
    result: Any = _op_result.OpResult(Variable(["a"]), [[]], ends)
    assert (list(result.parsed), result.fields, list(result.parse_error)) == ([], None, [])
    make: Any = _op_result.OpResult
    cases: Any = (
        lambda: make(Variable(["a"]), [[], []], ends),
        lambda: make(Variable(["a"]), [[]], ends, parsed=[1, 2]),
        lambda: make(Variable(["a"]), [[]], ends, parse_error=[1, 2]),
    )
    for wrong in cases:
        with pytest.raises(ValueError):
            wrong()
