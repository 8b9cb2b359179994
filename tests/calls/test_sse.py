"""Server-sent events: the same, however their bytes are cut."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from afnio.calls.sse import DONE, EventParser, event_of

words = st.text(st.characters(exclude_characters="\r\n\x00", exclude_categories=["Cs"]), max_size=8)
names = words.filter(lambda name: name.strip() == name and name != "")
written = st.lists(st.tuples(st.one_of(st.just(""), names), st.lists(words, min_size=1, max_size=3)), max_size=5)


def parsed(content: bytes, cuts: list[int]) -> list[tuple[str, str]]:
    parser, found, start = EventParser(), [], 0
    for cut in [*sorted(cut % (len(content) + 1) for cut in cuts), len(content)]:
        found += parser.feed(content[start:cut])
        start = cut
    return found + parser.end()


@given(written, st.sampled_from(["\n", "\r\n", "\r"]), st.lists(st.integers(0, 500), max_size=6), st.booleans())
def test_events_survive_any_cut(events: list[tuple[str, list[str]]], end: str, cuts: list[int], bom: bool) -> None:
    text = "\ufeff" * bom
    for name, lines in events:
        text += f": a comment{end}id: 3{end}" + (f"event: {name}{end}" if name else "")
        text += "".join([f"data: {line}{end}" for line in lines]) + end
    assert parsed(text.encode(), cuts) == [(name, "\n".join(lines)) for name, lines in events]


def test_without_a_blank_or_the_last_empty_line() -> None:
    assert parsed(b"data:a\n\ndata: b", []) == [("", "a"), ("", "b")]
    assert parsed(b"event: ping\n\n: hi\n\n", []) == [], "an event without data is none"
    assert parsed(b"", []) == []


def test_data_is_a_json_object_or_the_end() -> None:
    assert event_of("x", '{"a": 1}') == ("x", {"a": 1})
    assert event_of("", "[DONE]") == (DONE, {})
    for data in ("[1]", "x", ""):
        with pytest.raises(ValueError, match=r".*"):
            event_of("", data)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_each_single_cut_and_byte_by_byte(end: str) -> None:
    """A line's end may be cut in two, and be an empty line for who does not wait for its second half."""
    content = f"\ufeffevent: größe{end}data: a{end}data: b{end}{end}data: c{end}{end}".encode()
    expected = [("größe", "a\nb"), ("", "c")]
    assert [cut for cut in range(len(content)) if parsed(content, [cut]) != expected] == []
    assert parsed(content, list(range(len(content)))) == expected
