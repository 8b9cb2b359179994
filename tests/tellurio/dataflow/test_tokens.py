"""Tokens are the same however a text is written, and know where they were."""

from __future__ import annotations

import json
import pickle

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tellurio.dataflow.tokens import STRONG_TOKEN, UNIT, Tokens, Vocabulary
from tellurio.dataflow.units import NAME, SOFT, VALUE, units
from tellurio.dataflow.variants import variants

WORDS = st.sampled_from(
    ["Ärger", "naïve", "don't", "3.50", "1,234", "灯塔", "x", "é", "foo_bar", "ｗｉｄｅ", "ถนน", "हिन्दी"]
)
MARKS = st.sampled_from([" ", "\n", "\\n", "&amp;", "&lt;b&gt;", "\\u0020", '\\"', "\u200b ", "; ", "—", "%20", "\\"])


def ids(text: str, vocabulary: Vocabulary) -> list[int]:
    return Tokens(text, vocabulary).ids


@given(st.lists(st.tuples(WORDS, MARKS), max_size=12))
@example([("x", "\\"), ("n", "\n")])
@settings(deadline=None, max_examples=200)
def test_each_token_is_where_it_says(pieces: list[tuple[str, str]]) -> None:
    text = "".join(word + mark for word, mark in pieces)
    vocabulary = Vocabulary()
    tokens = Tokens(text, vocabulary)
    starts, ends = tokens.places()
    assert len(starts) == len(ends) == len(tokens.ids)
    assert starts == sorted(starts)
    for start, end, number in zip(starts, ends, tokens.ids, strict=True):
        assert ids(text[start:end], vocabulary) == [number]


@given(st.lists(st.sampled_from(["tea", "Ärger", "3.50", "x&amp;y", "a_b", "  ", "\n", "."]), max_size=30), st.data())
@settings(deadline=None)
def test_a_token_asked_for_by_itself_is_where_it_is_among_all(pieces: list[str], data: st.DataObject) -> None:
    text = " ".join(pieces)
    starts, ends = Tokens(text, Vocabulary()).places()
    tokens = Tokens(text, Vocabulary())
    for token in data.draw(st.lists(st.integers(0, max(len(starts) - 1, 0)), max_size=20 if starts else 0)):
        assert (tokens.start(token), tokens.end(token)) == (starts[token], ends[token])


@given(st.text(max_size=60))
@settings(deadline=None, max_examples=200)
def test_any_text_has_tokens_in_its_bounds(text: str) -> None:
    starts, ends = Tokens(text, Vocabulary()).places()
    assert all(0 <= start < end <= len(text) for start, end in zip(starts, ends, strict=True))


@given(st.lists(WORDS, min_size=1, max_size=8))
@settings(deadline=None)
def test_escaping_changes_no_token(words: list[str]) -> None:
    vocabulary, text = Vocabulary(), '"\n'.join(words)
    once = json.dumps(text)
    assert ids(once, vocabulary) == ids(text, vocabulary) == ids(json.dumps(once), vocabulary)
    assert ids(text.upper().lower(), vocabulary) == ids(text, vocabulary)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("1,234,567.50", "1234567.5"),
        ("007", "7"),
        ("3.0", "3"),
        ("12'500", "12500"),
        ("CAFÉ", "cafe\u0301"),
        ("ﬁne", "fine"),
        ("Ｗ１", "w1"),
        ("&eacute;t&#233;", "été"),
        ("&amp;lt;", "<"),
        ("so\u00adlar", "solar"),
        ("snake_case", "snake case"),
        ("m%C3%BCnchen+caf%C3%A9%20bar", "münchen café bar"),
        ("100%25", "100"),
        ("%FF%FE", "ff fe"),
        ("Étienne Çavuşoğlu", "Etienne Cavusoglu"),
    ],
)
def test_these_are_the_same(one: str, other: str) -> None:
    vocabulary = Vocabulary()
    assert ids(one, vocabulary) == ids(other, vocabulary)


@pytest.mark.parametrize(
    ("one", "other"),
    [("1.5", "15"), ("1.2.3", "1.23"), ("12,34", "1234"), ("tea", "teas"), ("й", "и"), ("%C3%BC", "c3 bc")],
)
def test_these_are_not(one: str, other: str) -> None:
    vocabulary = Vocabulary()
    assert ids(one, vocabulary) != ids(other, vocabulary)


def test_weights_say_how_much_a_word_tells() -> None:
    vocabulary = Vocabulary()
    weight = {
        word: vocabulary.weights[vocabulary[word]] for word in ("the", "lantern", "7", "2024", "48213", "9f3c2ab")
    }
    assert weight["the"] == weight["7"] == 1
    assert weight["2024"] < UNIT == weight["lantern"]
    assert weight["48213"] == weight["9f3c2ab"] == STRONG_TOKEN
    assert pickle.loads(pickle.dumps(vocabulary)) == vocabulary


def test_units_are_values_as_programs_take_them_out() -> None:
    text = '1. **amber** owl\n- key: `left door`\nHe said "come in" to Ada Byron King.\n'
    text += '{"town": "Bergen", "n": 12}\n<a>tin</a>'
    found = {text[unit.start : unit.end]: unit.grade for unit in units(text)}
    for value in ("amber", "left door", "Bergen", "12", "tin"):
        assert found[value] == VALUE, value
    assert found["come in"] == SOFT
    assert found["Ada Byron King"] == NAME
    assert "town" not in found


def test_addresses_paths_ids_and_arguments_are_values() -> None:
    text = "The bug of ada.l@kiln.example is in src/billing/prorate.py (INV-2291-KX).\nAction: lookup[Jeddah Light]"
    found = {text[unit.start : unit.end] for unit in units(text) if unit.grade == VALUE}
    assert found >= {"ada.l@kiln.example", "src/billing/prorate.py", "INV-2291-KX", "Jeddah Light"}
    plain = units("A well-known fact of 2026-05-04, 7.5 and 1.2.3 it is")
    assert not [unit for unit in plain if unit.grade == VALUE and unit.end - unit.start < 12]


def test_keys_are_values_where_they_are_data() -> None:
    text = '{"Brightwater Foods": 7, "delivery_date": "tomorrow", "note": "soon"}'
    found = {text[unit.start : unit.end] for unit in units(text)}
    assert "Brightwater Foods" in found
    assert not {"delivery_date", "note"} & found


def test_telephones_and_accounts_are_found_in_groups_and_without() -> None:
    assert {other for _, _, other in variants("Call +47 555 01 88 23 today")} == {"47555018823"}
    assert "DE89370400440532013000" in {other for _, _, other in variants("DE89 3704 0044 0532 0130 00")}
    assert "DE89 3704 0044 0532 0130 00" in {other for _, _, other in variants("IBAN DE89370400440532013000.")}


def test_dates_and_numbers_have_other_spellings() -> None:
    assert {other for _, _, other in variants("due 2031-08-17")} >= {"17 August 2031", "August 17 2031", "17 8 2031"}
    assert "1987 3 9" in {other for _, _, other in variants("signed on March 9th, 1987")}
    assert {other for _, _, other in variants("0.4172")} >= {"0.42", "41.72"}
    assert variants("2031-19-17 1.5 12") == []
