"""Answers by a schema: what is sent, what is read, what is sent back once, and the Variables of the fields."""

from __future__ import annotations

import asyncio
import json
from typing import Any, Literal

import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

from afnio import functional as F
from afnio.autodiff.schema import fault_of, leaves, strictly
from afnio.autodiff.structured import shape_of
from afnio.errors import ReplyContractError, UnsupportedFormatError
from afnio.models.scripted import Scripted
from afnio.parameter import Parameter
from afnio.variable import Variable

DRIVES = ("sync", "async")


class Place(pydantic.BaseModel):
    city: str
    rooms: int | None = None


class Node(pydantic.BaseModel):
    value: int
    below: list[Node] = []


class Ticket(pydantic.BaseModel):
    """A ticket."""

    urgency: Literal["low", "high"]
    score: float = pydantic.Field(ge=0, le=1)
    sure: bool
    place: Place | None = None
    tags: list[str] = []
    tree: Node | None = None


GOOD: dict[str, Any] = {
    "urgency": "low",
    "score": 0.5,
    "sure": True,
    "place": {"city": "Rome", "rooms": 2},
    "tags": ["a"],
    "tree": None,
}
PLAIN = {
    "type": "object",
    "properties": {"urgency": {"enum": ["low", "high"]}, "score": {"type": "number", "maximum": 1}},
    "required": ["urgency"],
}


def turn(drive: str, model: Any, form: Any, texts: Any = "x", **how: Any) -> Any:
    messages = [{"role": "user", "content": [Parameter("Read {x}.", "prompt")]}]
    how = {"response_format": form, "model": "m", **how}
    if drive == "sync":
        return F.chat_turn(model, messages, {"x": texts}, **how)
    return asyncio.run(F.achat_turn(model, messages, {"x": texts}, **how))


@pytest.mark.parametrize("drive", DRIVES)
def test_a_model_is_sent_strictly_and_read(drive: str) -> None:
    script = Scripted([GOOD])
    result = turn(drive, script, Ticket)
    assert result.parsed == [Ticket(**GOOD)]
    assert result.parse_error == [None]
    sent = script.requests[0]["response_format"]
    assert (sent["type"], sent["json_schema"]["name"], sent["json_schema"]["strict"]) == ("json_schema", "Ticket", True)
    assert _is_strict(sent["json_schema"]["schema"])
    assert {name: field.data for name, field in result.fields.items()} == {
        "urgency": "low", "score": 0.5, "sure": True, "place.city": "Rome", "place.rooms": 2, "tags": '["a"]',
        "tree.value": None, "tree.below": None,
    }  # fmt: skip
    assert result.fields["place.city"].role == "place.city of answer to prompt"
    assert result.fields["score"].requires_grad


def _is_strict(schema: Any) -> bool:
    """Every object in it closed, with all properties required; no reference with something beside it."""
    if isinstance(schema, list):
        return all(map(_is_strict, schema))
    if not isinstance(schema, dict):
        return True
    if "properties" in schema and (
        schema.get("additionalProperties") is not False or set(schema["required"]) != set(schema["properties"])
    ):
        return False
    if "$ref" in schema and len(schema) > 1:
        return False
    return "default" not in schema and all(map(_is_strict, schema.values()))


@pytest.mark.parametrize("drive", DRIVES)
@pytest.mark.parametrize("form", [PLAIN, {"type": "json_schema", "json_schema": {"name": "t", "schema": PLAIN}}])
def test_a_plain_schema_works_as_well(drive: str, form: Any) -> None:
    script = Scripted([{"urgency": "high"}])
    result = turn(drive, script, form)
    assert result.parsed == [{"urgency": "high"}]
    assert {name: field.data for name, field in result.fields.items()} == {"urgency": "high", "score": None}
    assert script.requests[0]["response_format"]["json_schema"]["schema"]["required"] == ["urgency", "score"]


def test_a_format_without_a_schema_is_the_endpoint_s_business() -> None:
    script = Scripted(['{"a": 1}'])
    result = turn("sync", script, {"type": "json_object"})
    assert script.requests[0]["response_format"] == {"type": "json_object"}
    assert (result.parsed, result.fields, result.parse_error) == ([], None, [])


FAULTS = [
    (Ticket, {**GOOD, "urgency": "medium"}, "'urgency': Input should be 'low' or 'high'"),
    (Ticket, {**GOOD, "score": 2}, "'score': Input should be less than or equal to 1"),
    (Ticket, {**GOOD, "place": {}}, "'place.city': Field required"),
    (PLAIN, {"urgency": "medium"}, '\'urgency\' must be one of "low", "high", not "medium"'),
    (PLAIN, {"urgency": "low", "score": 2}, "'score' must be at most 1"),
    (PLAIN, {}, "it has no 'urgency'"),
    (PLAIN, "Sorry.", "it is not JSON"),
    (PLAIN, '{"urgency": "lo', "it is not valid JSON"),
]


@pytest.mark.parametrize("drive", DRIVES)
@pytest.mark.parametrize(("form", "bad", "fault"), FAULTS)
def test_one_repair_turn_quotes_the_fault(drive: str, form: Any, bad: Any, fault: str) -> None:
    good = GOOD if form is Ticket else {"urgency": "low"}
    script = Scripted([bad, good])
    result = turn(drive, script, form)
    assert result.parse_error == [None]
    first, repair = script.requests
    assert repair["messages"][: len(first["messages"])] == first["messages"]
    assert fault in repair["messages"][-1]["content"]
    assert json.loads(result.output.data) == good


@pytest.mark.parametrize("drive", DRIVES)
@pytest.mark.parametrize(("form", "bad", "fault"), FAULTS)
def test_broken_twice_is_a_typed_error_or_told_for_the_sample(drive: str, form: Any, bad: Any, fault: str) -> None:
    with pytest.raises(ReplyContractError) as error:
        turn(drive, Scripted([bad, bad]), form)
    assert fault in error.value.fault
    assert (error.value.role, error.value.node) == ("forward", "ChatTurn: answer to prompt")
    good = GOOD if form is Ticket else {"urgency": "low"}
    script = Scripted(lambda body: bad if "bad one" in body["messages"][0]["content"] else good)
    result = turn(drive, script, form, ["fine", "bad one"])
    assert result.parse_error[0] is None
    assert isinstance(result.parse_error[1], ReplyContractError)
    assert result.parsed[1] is None
    assert result.fields["urgency"].data == ["low", None]
    assert result.output.data[1] == (bad if isinstance(bad, str) else json.dumps(bad, separators=(",", ":")))


def test_an_endpoint_without_schemas_is_told_in_words() -> None:
    def plain(body: dict[str, Any]) -> Any:
        if "response_format" in body:
            return UnsupportedFormatError("no schemas here", status_code=400)
        return f"Here:\n```json\n{json.dumps(GOOD)}\n```"

    result = turn("sync", Scripted(plain), Ticket)
    assert result.fields["urgency"].data == "low"


@pytest.mark.parametrize(
    ("form", "error", "says"),
    [
        ("Ticket", TypeError, "a pydantic model class or the JSON schema of an object"),
        (Ticket(**GOOD), TypeError, "a pydantic model class"),
        ({"type": "array"}, ValueError, "must describe an object with properties"),
        ({"type": "object"}, ValueError, "must describe an object with properties"),
        ({"type": "json_schema"}, ValueError, "must describe an object"),
        (pydantic.RootModel[list[int]], ValueError, "must describe an object"),
    ],
)
def test_what_is_no_format_says_so_before_anything_is_sent(form: Any, error: type[Exception], says: str) -> None:
    script = Scripted([])
    with pytest.raises(error, match=says):
        turn("sync", script, form)
    assert script.calls == 0


def test_an_object_with_names_of_its_own_is_not_sent_as_strict() -> None:
    class Free(pydantic.BaseModel):
        counts: dict[str, int]

    script = Scripted([{"counts": {"a": 1}}])
    result = turn("sync", script, Free)
    assert script.requests[0]["response_format"]["json_schema"]["strict"] is False
    assert result.fields["counts"].data == '{"a": 1}'


def test_values_of_two_kinds_in_one_batch_become_text() -> None:
    class Mixed(pydantic.BaseModel):
        value: int | str

    answers = iter([{"value": 1}, {"value": "one"}, {"value": True}])
    result = turn("sync", Scripted(lambda body: next(answers)), Mixed, ["a", "b", "c"])
    assert result.fields["value"].data == ["1", "one", "1"]


def test_a_model_that_holds_itself_is_a_leaf_where_it_does() -> None:
    shape = shape_of(Node, "here")
    assert shape is not None
    assert shape.names == ("value", "below")
    assert strictly(Node.model_json_schema())[1]


names = st.sampled_from("abc")
schemas = st.recursive(
    st.sampled_from([{"type": "string"}, {"type": "integer"}, {"type": "array", "items": {"type": "string"}}]),
    lambda inner: st.dictionaries(names, inner, min_size=1, max_size=3).map(
        lambda properties: {"type": "object", "properties": properties}
    ),
    max_leaves=6,
)


def _example(schema: Any) -> Any:
    kinds = {"string": "s", "integer": 3, "array": ["x"]}
    if schema["type"] in kinds:
        return kinds[schema["type"]]
    return {name: _example(each) for name, each in schema["properties"].items()}


@given(st.dictionaries(names, schemas, min_size=1, max_size=3))
def test_fields_are_the_leaves_of_any_object(properties: dict[str, Any]) -> None:
    schema = {"type": "object", "properties": properties}
    sent, strict = strictly(schema)
    value = _example(schema)
    assert strict
    assert _is_strict(sent)
    assert fault_of(value, sent) is None
    result = turn("sync", Scripted([value]), schema)
    assert list(result.fields) == [".".join(path) for path in leaves(schema)]
    for path in leaves(schema):
        found: Any = value
        for name in path:
            found = found[name]
        shown = json.dumps(found) if isinstance(found, list) else found
        assert result.fields[".".join(path)].data == shown


def test_fields_fill_other_prompts() -> None:
    result = turn("sync", Scripted([GOOD, {**GOOD, "place": None}]), Ticket, ["a", "b"])
    script = Scripted(["fine", "fine"])
    F.chat_turn(
        script, [{"role": "user", "content": [Variable("{u} {s}")]}],
        {"u": result.fields["urgency"], "s": result.fields["score"]}, model="m",
    )  # fmt: skip
    assert [request["messages"][0]["content"] for request in script.requests] == ["low 0.5", "low 0.5"]
