"""JSON pointers: what is at one is what was put there."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tellurio.schemas.pointer import PointerError, at, changed, pointer_of

BODY = {"messages": [{"role": "user", "content": "hi"}, {"a/b": 1, "m~n": 2}], "": 3}

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


def places(value: Any, pointer: str = "") -> list[str]:
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    found = [pointer]
    for name, child in children:
        found += places(child, f"{pointer}/{str(name).replace('~', '~0').replace('/', '~1')}")
    return found


@given(values, st.data())
def test_what_is_put_somewhere_is_there_and_the_rest_stays(value: Any, data: st.DataObject) -> None:
    pointer = data.draw(st.sampled_from(places(value)))
    before = {place: at(value, place) for place in places(value)}
    after = changed(copy.deepcopy(value), pointer, "new")
    assert at(after, pointer) == "new"
    for place, there in before.items():
        if not place.startswith(pointer) and not pointer.startswith(place):
            assert at(after, place) == there


def test_keys_are_added_lists_are_appended_to_and_things_are_removed() -> None:
    body = copy.deepcopy(BODY)
    changed(body, "/tools", [])
    changed(body, "/tools/-", "first")
    changed(body, "/tools/1", "second")
    changed(body, "/messages/1/a~1b", remove=True)
    assert body["tools"] == ["first", "second"]
    assert body["messages"][1] == {"m~n": 2}  # type: ignore[index]
    assert changed(body, "", {"all": "new"}) == {"all": "new"}


@pytest.mark.parametrize(
    ("pointer", "says"),
    [
        ("messages", "expected a JSON pointer like"),
        ("/messages/7/content", r"/messages is a list of 2 \(0 to 1\), not '7'"),
        ("/messages/x", r"is a list of 2 \(0 to 1\), not 'x'"),
        ("/nothing/here", "the body has 'messages'"),
        ("/mesages/0/role", "did you mean .messages."),
        ("/messages/0/role/x", "/messages/0/role is a text"),
    ],
)
def test_a_pointer_that_leads_nowhere_says_how_far_it_leads(pointer: str, says: str) -> None:
    with pytest.raises(PointerError, match=says):
        changed(copy.deepcopy(BODY), pointer, 1)


def test_people_may_write_dots() -> None:
    assert pointer_of("messages.0.content") == "/messages/0/content"
    assert pointer_of("/messages/0") == "/messages/0"
    assert pointer_of("") == ""
    assert at(BODY, pointer_of("messages.1.m~n")) == 2
