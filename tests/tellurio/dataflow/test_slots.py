"""Who filled a place of a template before: the program, or answers."""

from __future__ import annotations

from array import array

from hypothesis import given
from hypothesis import strategies as st

from tellurio.dataflow.slots import ASKED, FED, OWN, UNKNOWN, Slots

TELL, ME, ABOUT, IN, A, POEM, X, Y, Z, W = range(1, 11)


def data(ids: list[int]) -> bytes:
    return array("I", ids).tobytes()


def asked(*texts: tuple[list[int], list[tuple[int, int]]]) -> Slots:
    slots = Slots()
    for ids, explained in texts:
        slots.add(data(ids), explained)
    return slots


def test_a_template_that_the_program_filled_itself_is_its_own() -> None:
    slots = asked(([TELL, ME, ABOUT, X, IN, A, POEM], []))
    assert slots.filled([TELL, ME, ABOUT, Y, IN, A, POEM], 3, 4) == OWN
    assert slots.filled([TELL, ME, ABOUT, Y, Z, IN, A, POEM], 3, 5) == OWN


def test_one_that_an_answer_filled_is_fed_and_most_cases_count() -> None:
    own: tuple[list[int], list[tuple[int, int]]] = ([ME, ABOUT, X], [])
    fed = ([ME, ABOUT, Y], [(2, 3)])
    asks = [ME, ABOUT, Z]
    assert asked(fed).filled(asks, 2, 3) == FED
    assert asked(own, fed).filled(asks, 2, 3) == OWN
    assert asked(own, fed, ([ME, ABOUT, W], [(2, 3)])).filled(asks, 2, 3) == FED


def test_the_same_value_again_and_other_templates_say_nothing() -> None:
    slots = asked(([TELL, ME, ABOUT, X, IN, A, POEM], []))
    assert slots.filled([TELL, ME, ABOUT, X, IN, A, POEM], 3, 4) == UNKNOWN
    assert slots.filled([A, POEM, ABOUT, Y], 3, 4) == UNKNOWN
    assert slots.filled([Y, IN, TELL], 0, 1) == UNKNOWN
    assert Slots().filled([X], 0, 1) == UNKNOWN


def test_edges_of_a_text_are_context_too() -> None:
    slots = asked(([TELL, X], []))
    assert slots.filled([TELL, Y], 1, 2) == OWN
    assert slots.filled([TELL, Y, POEM], 1, 2) == UNKNOWN


def test_only_the_latest_texts_are_remembered() -> None:
    slots = asked(([TELL, ME, ABOUT, X], []), *[([POEM + 1 + i], []) for i in range(ASKED)])
    assert slots.filled([TELL, ME, ABOUT, Y], 3, 4) == UNKNOWN


@given(
    st.lists(st.lists(st.integers(1, 3), max_size=12), max_size=4), st.lists(st.integers(1, 300), min_size=1), st.data()
)
def test_any_place_of_any_text_can_be_asked_for(texts: list[list[int]], ids: list[int], draw: st.DataObject) -> None:
    start = draw.draw(st.integers(0, len(ids) - 1))
    end = draw.draw(st.integers(start + 1, len(ids)))
    assert asked(*((text, []) for text in texts)).filled(ids, start, end) in (OWN, UNKNOWN)
