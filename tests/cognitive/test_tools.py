"""Tools: what a function says of itself, how its calls are run, and what goes wrong."""

from __future__ import annotations

import asyncio
import dataclasses
import enum
import json
import re
import threading
from collections.abc import Callable, Sequence
from typing import Annotated, Any, Literal, TypedDict

import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

import afnio
import afnio.cognitive as cog
from afnio import functional as F
from afnio._masks import BoolMask, StopReasonView, last_stop_reason
from afnio._op_result import OpResult
from afnio.autodiff.schema import fault_of
from afnio.errors import BudgetExceeded, ToolError
from afnio.models.scripted import Scripted
from afnio.parameter import Parameter
from afnio.variable import Variable

DRIVES = ("sync", "async")
PIXEL = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}}


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Place(pydantic.BaseModel):
    """Where."""

    city: str
    rooms: int = 1


@dataclasses.dataclass
class Span:
    start: int
    end: int = 9


class Row(TypedDict):
    name: str


def google(
    a: int,
    b: float = 1.5,
    *,
    names: list[str] | None = None,
    kind: Literal["x", "y"] = "x",
    note: Annotated[str, "a note"] = "",
) -> None:
    """Do it.

    At once.

    Args:
        a (int): the first,
            on two lines.
        b: the second: with a colon.

    Returns:
        nothing.
    """


def numpy_style(a: int, b: str) -> None:
    """Do it.

    Parameters
    ----------
    a : int
        the first
    b : str
        the second

    Returns
    -------
    None
    """


def sphinx(a: int, b: str) -> None:
    """Do it.

    :param a: the first
    :param str b: the second
    """


def everything(
    c: Colour, p: Place, s: Span, r: Row, t: tuple[int, ...], d: dict[str, float], a: Any, u: int | str
) -> str:
    """Take all kinds of things."""
    return repr((c, p, s, r, t, d, a, u))


def no_hint(x) -> str:  # type: ignore[no-untyped-def]
    """Do it."""
    return str(x)


def no_docstring(x: str) -> str:
    return x


def starred(*words: str) -> str:
    """Do it."""
    return " ".join(words)


def mixed(x: tuple[int, str]) -> str:
    """Mixed."""
    return str(x)


def odd(x: threading.Thread) -> str:
    """Do it."""
    return str(x)


# --- what a function says of itself


def test_schema_and_descriptions_come_from_hints_and_docstring() -> None:
    tool = cog.Tool(google)
    assert (tool.name, tool.description.data, tool.description.role) == (
        "google", "Do it.\n\nAt once.", "description of the tool google",
    )  # fmt: skip
    assert tool.schema == {
        "type": "object",
        "properties": {
            "a": {"type": "integer", "description": "the first, on two lines."},
            "b": {"type": "number", "description": "the second: with a colon.", "default": 1.5},
            "names": {"anyOf": [{"type": "array", "items": {"type": "string"}}, {"type": "null"}]},
            "kind": {"type": "string", "enum": ["x", "y"], "default": "x"},
            "note": {"type": "string", "description": "a note", "default": ""},
        },
        "required": ["a"],
        "additionalProperties": False,
    }


@pytest.mark.parametrize("fn", [numpy_style, sphinx])
def test_other_docstrings_are_read_too(fn: Callable[..., Any]) -> None:
    tool = cog.Tool(fn)
    assert tool.description.data == "Do it."
    assert [each["description"] for each in tool.schema["properties"].values()] == ["the first", "the second"]


def test_arguments_become_what_the_types_say() -> None:
    tool = cog.Tool(everything)
    given_ = {
        "c": "blue", "p": {"city": "Rome"}, "s": {"start": 1}, "r": {"name": "n"}, "t": [1, 2], "d": {"x": 1},
        "a": [None], "u": "7",
    }  # fmt: skip
    assert tool.fault(given_) is None
    made = tool.arguments(given_)
    assert made == {
        "c": Colour.BLUE, "p": Place(city="Rome"), "s": Span(1), "r": {"name": "n"}, "t": (1, 2), "d": {"x": 1.0},
        "a": [None], "u": "7",
    }  # fmt: skip
    assert tool.schema["properties"]["p"]["required"] == ["city"]
    assert tool.schema["properties"]["s"]["required"] == ["start"]


def test_the_description_is_a_parameter() -> None:
    mine = Parameter("Mine.", "my description")
    loop = cog.ToolLoop(
        [cog.Tool(google), cog.Tool(sphinx, description=mine), cog.Tool(numpy_style, requires_grad=False)]
    )
    names = [name for name, _ in loop.named_parameters()]
    assert names == [f"tools.{name}.description" for name in ("google", "sphinx", "numpy_style")]
    assert loop.tools["sphinx"].description is mine
    assert [parameter.requires_grad for parameter in loop.parameters()] == [True, True, False]
    twin = cog.ToolLoop([google, sphinx, numpy_style])
    twin.tools["google"].description.data = "Learned."
    loop.load_state_dict(twin.state_dict(), strict=False)
    assert loop.tools["google"].description.data == "Learned."


def test_the_decorator_makes_a_tool() -> None:
    @cog.tool
    def add(a: int, b: int) -> int:
        """Add."""
        return a + b

    @cog.tool(name="times", description="Multiply.")
    def multiply(a: int, b: int) -> int:
        return a * b

    assert (add(1, 2), multiply(a=2, b=3)) == (3, 6)
    assert (add.name, multiply.name, multiply.description.data) == ("add", "times", "Multiply.")
    assert "add(a, b)" in repr(add)


def test_a_module_is_a_tool_with_its_parameters() -> None:
    class Helper(cog.Module):
        """Helps."""

        def __init__(self) -> None:
            super().__init__()
            self.prompt = Parameter("Help.", "prompt of the helper")

        def forward(self, word: str) -> str:
            return f"help with {word}"

    tool = cog.Tool(Helper(), name="helper")
    assert tool.description.data == "Helps."
    assert [name for name, _ in tool.named_parameters()] == ["description", "fn.prompt"]
    assert tool(word="x") == "help with x"


@pytest.mark.parametrize(
    ("make", "error", "says"),
    [
        (lambda: cog.Tool(no_hint), TypeError, "parameter 'x' of the tool 'no_hint' has no type hint.*Write `x: str`"),
        (lambda: cog.Tool(no_docstring), ValueError, "'no_docstring' has no description.*write a docstring"),
        (lambda: cog.Tool(starred), TypeError, r"\*words.*cannot give by name"),
        (lambda: cog.Tool(odd), TypeError, "parameter 'x' of the tool 'odd' has the type.*no JSON form"),
        (lambda: cog.Tool(mixed), TypeError, r"has the type tuple\[int, str\], which has no JSON form"),
        (lambda: cog.Tool(lambda x: x), ValueError, "1 to 64 letters.*pass Tool"),
        (lambda: cog.Tool(google, name="with space"), ValueError, "got 'with space'"),
        (lambda: cog.Tool(3), TypeError, "made of a function, got int"),  # type: ignore[arg-type]
        (
            lambda: cog.ToolLoop([google, cog.Tool(sphinx, name="google")]),
            ValueError,
            "Two tools have the name 'google'",
        ),
        (lambda: cog.ToolLoop(google), TypeError, "list of Tools"),  # type: ignore[arg-type]
        (lambda: cog.ToolLoop([google], max_turns=0), ValueError, "max_turns.*at least 1; got 0"),
        (lambda: cog.ToolLoop([google], on_error="ignore"), ValueError, "'tell' or 'raise'"),  # type: ignore[arg-type]
    ],
)
def test_what_cannot_be_a_tool_says_why(make: Callable[[], Any], error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        make()


def test_a_tool_may_be_called_what_a_dict_s_methods_are() -> None:
    loop = cog.ToolLoop([cog.Tool(google, name="get"), cog.Tool(sphinx, name="update")])
    assert [name for name, _ in loop.named_parameters()] == ["tools.get.description", "tools.update.description"]
    assert loop.tools["get"].name == "get"


# --- running them


def calling(*calls: tuple[str, Any]) -> Scripted:
    """A model that makes these calls."""
    blocks = [
        {"type": "tool_use", "id": f"c{n}", "name": name, "input": given} for n, (name, given) in enumerate(calls)
    ]
    return Scripted(lambda body: blocks)


def run(drive: str, model: Scripted, tools: Sequence[Any], **how: Any) -> list[Any]:
    """One turn, and the results of the tools it calls."""
    turn = F.chat_turn(model, [{"role": "user", "content": [Parameter("go", "prompt")]}], tools=[])
    if drive == "sync":
        return [*F.run_tools(turn, tools, **how)]
    return [*asyncio.run(F.arun_tools(turn, tools, **how))]


@pytest.mark.parametrize("drive", DRIVES)
def test_calls_run_side_by_side_once_each(drive: str) -> None:
    together, made = threading.Barrier(3, timeout=150), []

    def wait(n: int) -> int:
        """Wait for the others."""
        made.append(n)
        together.wait()
        return n * 10

    results = run(drive, calling(*[("wait", {"n": n}) for n in range(3)]), [wait])
    assert sorted(made) == [0, 1, 2]
    assert [result.data for result in results] == ["0", "10", "20"]


def test_async_tools_run_in_the_callers_loop() -> None:
    async def where(n: int) -> str:
        """Where am I?"""
        await asyncio.sleep(0)
        return threading.current_thread().name

    names = {result.data for result in run("async", calling(("where", {"n": 1}), ("where", {"n": 2})), [where])}
    assert names == {threading.main_thread().name}
    assert len(run("sync", calling(("where", {"n": 1})), [where])) == 1


def returned(drive: str, value: Any) -> Any:
    def give() -> Any:
        """Give it."""
        return value

    (result,) = run(drive, calling(("give", {})), [give])
    return result


@pytest.mark.parametrize("drive", DRIVES)
@pytest.mark.parametrize(
    ("value", "content"),
    [
        ("text", "text"),
        (3, "3"),
        (None, "null"),
        ({"ä": [1, None]}, '{"ä": [1, null]}'),
        (Place(city="Rome"), '{"city": "Rome", "rooms": 1}'),
        ([Span(1)], '[{"start": 1, "end": 9}]'),
        (Variable("held", "h"), "held"),
        (Variable([1, 2], "h"), "[1, 2]"),
        ({"v": Variable(0.5, "h")}, '{"v": 0.5}'),
        (PIXEL, [PIXEL]),
        (["see", PIXEL], [{"type": "text", "text": "see"}, PIXEL]),
        ({"type": "image"}, '{"type": "image"}'),  # data that only looks like a block
    ],
)
def test_a_result_may_be_anything_with_a_json_form(drive: str, value: Any, content: Any) -> None:
    block = returned(drive, value)._content[0][0]
    assert block == {"type": "tool_result", "tool_use_id": "c0", "content": content}


@pytest.mark.parametrize("drive", DRIVES)
def test_a_result_without_a_json_form_is_an_error_of_the_tool(drive: str) -> None:
    with pytest.raises(
        ToolError, match=r"'give' returned a dict, which has no JSON form \(a object in it\).*Return text"
    ):
        returned(drive, {"x": object()})


def failing(x: int) -> int:
    """Fail."""
    raise KeyError(f"no {x}")


FAULTS: list[tuple[tuple[str, Any], str]] = [
    (("failing", {"x": 1}), r"KeyError: 'no 1'"),
    (("fialing", {"x": 1}), r"There is no tool 'fialing'\. Known tools: failing"),
    (("failing", {"x": "1"}), r"The arguments do not fit: 'x' must be a whole number, not \"1\""),
    (("failing", {}), r"do not fit: it has no 'x'"),
    (("failing", {"x": 1, "y": 2}), r"it has 'y', which is not known; known: 'x'"),
    (("failing", '{"x": 1'), r"must be one JSON object, not '\{\"x\": 1'"),
]


@pytest.mark.parametrize("drive", DRIVES)
@pytest.mark.parametrize(("call", "says"), FAULTS)
def test_what_goes_wrong_is_told_to_the_model(drive: str, call: tuple[str, Any], says: str) -> None:
    (result,) = run(drive, calling(call), [failing])
    (block,) = result._content[0]
    assert block["is_error"] is True
    assert re.search(says, block["content"])
    with pytest.raises(ToolError, match=f"tool {call[0]!r} failed: .*{says}") as error:
        run(drive, calling(call), [failing], on_error="raise")
    assert (error.value.tool, error.value.sample) == (call[0], None)


@pytest.mark.parametrize("drive", DRIVES)
def test_an_error_that_ends_everything_is_not_told_to_the_model(drive: str) -> None:
    def spend() -> str:
        """Spend."""
        raise BudgetExceeded("no more", limit="usd")

    with pytest.raises(BudgetExceeded):
        run(drive, calling(("spend", {})), [spend])


def test_a_turn_without_calls_has_nothing_to_run() -> None:
    with pytest.raises(ValueError, match="the turn called no tool"):
        run("sync", Scripted(["hi"]), [failing])
    with pytest.raises(TypeError, match="takes what chat_turn"):
        F.run_tools("hi", [failing])  # type: ignore[arg-type]


def test_no_graph_is_built_inside_of_no_grad() -> None:
    def leaf() -> Variable:
        """Give it."""
        return Parameter("x", "inner") + Variable("y")

    with afnio.no_grad():
        (result,) = run("sync", calling(("leaf", {})), [leaf])
    assert not result.requires_grad
    (result,) = run("sync", calling(("leaf", {})), [leaf])
    assert len([node for node, _ in result.grad_fn.next_functions if node is not None]) == 2


# --- schemas, masks, results


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(max_size=3), lambda x: st.lists(x, max_size=2)))
def test_any_value_fits_an_empty_schema_and_none_that_forbids(value: Any) -> None:
    assert fault_of(value, {}) is None
    assert fault_of(value, False) is not None
    assert fault_of(value, {"const": value}) is None
    assert fault_of(json.loads(json.dumps(value)), {"anyOf": [{"type": "object"}, {"enum": [value]}]}) is None


@pytest.mark.parametrize(
    ("value", "schema", "says"),
    [
        (True, {"type": "integer"}, "it must be a whole number, not true"),
        (1.5, {"type": "integer"}, "a whole number, not 1.5"),
        (2.0, {"type": "integer"}, None),
        ([1, "a"], {"items": {"type": "integer"}}, r"it\[1\] must be a whole number"),
        ({"a": {"b": 1}}, {"properties": {"a": {"properties": {"b": {"type": "string"}}}}}, "'a.b' must be text"),
        ("ab", {"minLength": 3}, "at least 3 characters"),
        ("ab", {"pattern": "^c"}, "match the pattern"),
        (5, {"exclusiveMaximum": 5}, "less than 5"),
        ([], {"minItems": 1}, "at least 1 items"),
        (1, {"anyOf": [{"type": "string"}, {"type": "null"}]}, "must be text, not 1 or it must be null"),
        (
            {"x": 1},
            {"$ref": "#/$defs/A", "$defs": {"A": {"properties": {"x": {"type": "string"}}}}},
            "'x' must be text",
        ),
        (1, True, None),
    ],
)
def test_faults_are_told_in_words(value: Any, schema: Any, says: str | None) -> None:
    fault = fault_of(value, schema)
    assert fault is None if says is None else fault is not None and re.search(says, fault)


def test_masks_work_sample_by_sample() -> None:
    one, other = BoolMask([True, False, True]), BoolMask([True, True, False])
    assert (one & other) == [True, False, False]
    assert (one | [False] * 3) == one
    assert (one ^ other) == BoolMask([False, True, True])
    assert ~one == [False, True, False]
    assert (one == other).values == [True, False, False]
    assert one != other
    assert (one.any(), one.all(), len(one), list(one[1:])) == (True, False, 3, [False, True])
    for bad in (lambda: bool(one), lambda: one & [True]):
        with pytest.raises(ValueError, match="truth|differ in length"):
            bad()
    for wrong in (lambda: hash(one), lambda: BoolMask([1]), lambda: one & 3):  # type: ignore[list-item]
        with pytest.raises(TypeError):
            wrong()


def test_stop_reasons_compare_to_masks() -> None:
    view = StopReasonView(["tool_use", None, "end_turn"])
    assert (view == "tool_use") == [True, False, False]
    assert (view != "tool_use") == [False, True, True]
    assert view == ["tool_use", None, "end_turn"]
    threads = [[{"role": "assistant", "_stop_reason": "refusal"}], [{"role": "user"}], []]
    assert last_stop_reason(threads) == ["refusal", None, None]
    with pytest.raises(ValueError, match="'lots' is not a valid StopReason"):
        StopReasonView(["lots"])
    with pytest.raises(ValueError, match="Compare them"):
        bool(view)


def test_results_have_one_item_a_sample() -> None:
    output = Variable(["a"], "answer")
    assert OpResult(output, [[]], ["end_turn"]).stop_reason == ["end_turn"]  # type: ignore[list-item]
    with pytest.raises(ValueError, match="stop_reason has 0 items and content 1"):
        OpResult(output, [[]], [])
    with pytest.raises(ValueError, match="parse_error has 2 items and content 1"):
        OpResult(output, [[]], ["end_turn"], parse_error=[None, None])  # type: ignore[list-item]


def test_a_turn_takes_plain_functions_as_tools_whose_docstrings_do_not_learn() -> None:
    def add(a: int, b: int) -> int:
        """Add two numbers."""
        return a + b

    model = Scripted([[{"type": "tool_use", "id": "c", "name": "add", "input": {"a": 1, "b": 2}}]])
    messages = [{"role": "user", "content": [Parameter("1 + 2?", "question")]}]
    turn = F.chat_turn(model, messages, tools=[add])
    (sent,) = model.requests[0]["tools"]
    assert (sent["function"]["name"], sent["function"]["description"]) == ("add", "Add two numbers.")
    assert list(turn.stop_reason) == ["tool_use"]
    assert [edge.node is not None for edge in turn.output.grad_fn.next_functions] == [True, False]
    (result,) = F.run_tools(turn, [add])
    assert result.data == "3"
