"""Templates: what a placeholder is, how it is filled, what is refused."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from afnio.autodiff.template import fill, placeholders
from afnio.errors import PlaceholderError

names = st.from_regex(r"[A-Za-z_]\w{0,6}", fullmatch=True)
texts = st.text(max_size=20)


@given(st.lists(st.tuples(texts.map(lambda text: text.replace("{", "").replace("}", "")), names), max_size=5), texts)
def test_filling_puts_each_value_in_its_place(parts: list[tuple[str, str]], value: str) -> None:
    template = "".join(f"{literal}{{{name}}}" for literal, name in parts)
    inputs = {name: f"<{name}:{value}>" for _, name in parts}
    assert fill(template, inputs, "here") == "".join(f"{literal}{inputs[name]}" for literal, name in parts)
    assert placeholders(template) == tuple(dict.fromkeys(name for _, name in parts))


@given(st.dictionaries(st.text(max_size=5), st.one_of(st.integers(), st.text(max_size=5), st.lists(st.integers()))))
def test_json_is_text(value: dict[str, object]) -> None:
    template = json.dumps(value, indent=1)
    if not placeholders(template):  # {"{x}": 1} has one
        assert fill(template, {}, "here").replace("{", "").replace("}", "") == template.replace("{", "").replace(
            "}", ""
        )


@given(texts, texts)
def test_values_are_never_parsed(value: str, other: str) -> None:
    """A ticket that says {name} fills nothing."""
    assert fill("{x}{y}", {"x": value, "y": other}, "here") == value + other
    assert fill("{x}", {"x": "{y} {x} {{x}}", "y": "no"}, "here") == "{y} {x} {{x}}"


@pytest.mark.parametrize(
    ("template", "filled", "found"),
    [
        ("{{name}}", "{name}", ()),
        ("{{name}} {name}", "{name} Ann", ("name",)),
        ("{{{name}}}", "{{name}}", ()),
        ('{"a": 1}', '{"a": 1}', ()),
        ('{{"a": 1}}', '{{"a": 1}}', ()),
        ("{}", "{}", ()),
        ("{0}", "{0}", ()),
        ("{ name }", "{ name }", ()),
        ("{name!r} {name:>8}", "{name!r} {name:>8}", ()),
        ("{name", "{name", ()),
        ("{name}{name}", "AnnAnn", ("name",)),
        ("", "", ()),
    ],
)
def test_what_is_a_placeholder(template: str, filled: str, found: tuple[str, ...]) -> None:
    assert fill(template, {"name": "Ann"}, "here") == filled
    assert placeholders(template) == found


def test_a_missing_value_is_an_error_that_says_what_to_do() -> None:
    with pytest.raises(PlaceholderError) as error:
        fill("Hello {nmae}", {"name": "Ann"}, "greeting")
    said = str(error.value)
    assert "'greeting'" in said
    assert "{nmae}" in said
    assert "inputs has 'name'" in said
    assert "inputs={'nmae': ...}" in said
    assert "{{nmae}}" in said
    with pytest.raises(PlaceholderError, match="no inputs were given"):
        fill("{x}", {}, "greeting")
