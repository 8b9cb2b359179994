"""A schema is obeyed, whatever it is; nothing a client sends makes a world fail."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from afnio.models.lm_server.ask import Ask, Turn
from afnio.models.lm_server.filling import fill
from afnio.models.lm_server.roles import role_of
from afnio.models.lm_server.simulation import Settings, Simulation

NAMES = st.sampled_from(["sentiment", "urgency", "queue", "score", "explanation", "categories", "cleaning_services"])
LEAVES: st.SearchStrategy[dict[str, Any]] = st.one_of(
    st.sampled_from([{"type": kind} for kind in ("string", "integer", "number", "boolean", "null")]),
    st.lists(st.text(max_size=5), min_size=1, max_size=3).map(lambda values: {"type": "string", "enum": values}),
    st.just({"anyOf": [{"type": "string"}, {"type": "null"}]}),
    st.just({"const": "always"}),
)
SCHEMAS = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.dictionaries(NAMES, inner, max_size=3).map(
            lambda properties: {"type": "object", "properties": properties, "required": list(properties)}
        ),
        st.tuples(inner, st.integers(0, 3)).map(
            lambda pair: {"type": "array", "items": pair[0], "minItems": pair[1], "maxItems": 3}
        ),
    ),
    max_leaves=8,
)
KINDS: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "null": (type(None),),
}


def fits(value: Any, schema: dict[str, Any]) -> bool:
    """Whether ``value`` is what ``schema`` allows."""
    if "anyOf" in schema:
        return any(fits(value, option) for option in schema["anyOf"])
    if "const" in schema:
        return bool(value == schema["const"])
    if "enum" in schema:
        return value in schema["enum"]
    kind: str = schema["type"]
    if kind == "object":
        return (
            isinstance(value, dict)
            and set(value) == set(schema["properties"])
            and all(fits(value[name], sub) for name, sub in schema["properties"].items())
        )
    if kind == "array":
        return (
            isinstance(value, list)
            and schema["minItems"] <= len(value) <= 3
            and all(fits(item, schema["items"]) for item in value)
        )
    return isinstance(value, KINDS[kind])


@given(SCHEMAS, st.one_of(st.none(), st.text(max_size=5), st.integers(), st.booleans(), st.floats(allow_nan=False)))
def test_what_is_filled_fits(schema: dict[str, Any], guess: Any) -> None:
    assert fits(fill(schema, lambda name, allowed: guess), schema)


@given(st.dictionaries(NAMES, LEAVES, min_size=1, max_size=4), st.text(max_size=80))
def test_both_worlds_obey_it(properties: dict[str, Any], text: str) -> None:
    schema = {"type": "object", "properties": properties}
    for world in ("tickets", "echo"):
        ask = Ask("m", [Turn("user", text)], schema=schema)
        assert fits(json.loads(Simulation(Settings(world)).answer(ask, role_of(ask), None).text), schema)


def test_references_are_followed() -> None:
    schema = {"properties": {"mood": {"$ref": "#/$defs/Mood"}}, "$defs": {"Mood": {"enum": ["good", "bad"]}}}
    assert fill(schema, lambda name, allowed: "bad") == {"mood": "bad"}


PIECES = st.sampled_from(
    [
        "<variable", '<variable id="v1" role="x">', "</variable>", "<feedback>", "</feedback>",
        '<sample id="1">', "</sample>", "<output>", "</output>", "<call>", "</call>", "<history>",
        '<version status="undone">', "</version>",
        "{message}", "refund", "billing", "target", "urgency: high", "\n", "Give feedback on: v1, v9.", "score",
        "explanation", "not", "every ticket", '"', "Ticket:",
    ]
)  # fmt: skip


@given(
    st.lists(st.one_of(PIECES, st.text(max_size=8)), max_size=25).map(" ".join),
    st.sampled_from(["forward", "backward", "reducer", "optimizer", "judge"]),
    st.sampled_from(["", "system prompt"]),
)
def test_no_request_makes_the_world_fail(text: str, role: str, system: str) -> None:
    turns = [Turn("system", system), Turn("user", text)] if system else [Turn("user", text)]
    simulation = Simulation(Settings("tickets", bad_share=0.5))
    assert isinstance(simulation.answer(Ask("m", turns), role, None).text, str)


@pytest.mark.parametrize("kind", ["malformed", "destructive", "no_placeholder"])
def test_faults_of_content_leave_the_answer_a_text(kind: str) -> None:
    task = '<variable role="system prompt">Read {message}.</variable>\n<feedback>Refunds go to billing.</feedback>'
    schema = {"type": "object", "properties": {"reasoning": {"type": "string"}, "value": {"type": "string"}}}
    simulation = Simulation(Settings("tickets", bad_share=0.0), [kind])
    ask = Ask("m", [Turn("user", task)], schema_name="afnio_update", schema=schema)
    text = simulation.answer(ask, "optimizer", simulation.plan.pick("optimizer", "k")).text
    if kind == "malformed":
        with pytest.raises(ValueError, match="Expecting"):
            json.loads(text)
        return
    value = json.loads(text)["value"]
    assert ("{message}" in value) is (kind == "destructive")
    assert ("Refund" in value) is (kind == "no_placeholder")
