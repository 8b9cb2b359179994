"""ChatCompletion: how templates and inputs become requests, what comes back, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import afnio
from afnio import functional as F
from afnio.errors import BatchError, InternalServerError, NotFoundError, PlaceholderError
from afnio.models.lm_server.ask import Ask
from afnio.models.lm_server.simulation import Refusal
from afnio.parameter import Parameter
from afnio.variable import Variable
from tests.autodiff.lab import Lab, by_role, open_lab, system, user


def V(data: Any, role: str = "", *, grad: bool = False) -> Variable:
    return Variable(data, role, requires_grad=grad)


def echo(lab: Lab) -> None:
    lab.brain.rule = by_role(forward=lambda ask: f"{ask.system}|{ask.user}")


# inputs and batches


def test_one_call_answers_with_text(lab: Lab) -> None:
    echo(lab)
    answer = lab.chat(
        [system(Parameter("Sort {x}.", "system prompt")), user(V("{x} for {who}"))], {"x": V("a"), "who": "me"}
    )
    assert (answer.data, answer.role) == ("Sort a.|a for me", "answer to system prompt")
    assert (answer.requires_grad, answer.is_leaf, answer.shape) == (True, False, ())
    assert answer.grad_fn.name() == "ChatCompletionBackward"


KINDS = {
    "a list of texts": ["a", "b", "c"],
    "a tuple of texts": ("a", "b", "c"),
    "a Variable with a list": V(["a", "b", "c"]),
    "a list of Variables": [V("a"), V("b"), V("c")],
    "numbers": V([1, 2, 3]),
}


@pytest.mark.parametrize("kind", list(KINDS))
def test_a_list_anywhere_makes_a_batch(lab: Lab, kind: str) -> None:
    echo(lab)
    answer = lab.chat([system(V("Do {x}, {y}"))], {"x": KINDS[kind], "y": "now"})
    texts = [str(number) for number in (1, 2, 3)] if kind == "numbers" else ["a", "b", "c"]
    assert answer.data == [f"Do {text}, now|" for text in texts]
    assert len(lab.brain.asked) == 3


@settings(max_examples=30, deadline=None)
@given(st.lists(st.text(min_size=1, max_size=5), min_size=1, max_size=5), st.booleans())
def test_a_batch_is_its_samples_one_by_one(rows: list[str], in_content: bool) -> None:
    with open_lab() as lab:
        echo(lab)
        literal = [row.replace("{", "").replace("}", "") for row in rows]
        messages = [system(V("Do"), V(literal))] if in_content else [system(V("Do {x}"))]
        batch = lab.chat(messages, None if in_content else {"x": rows})
        assert len(batch.data) == len(rows)
        for index, row in enumerate(rows):
            alone = [system(V("Do"), V(literal[index]))] if in_content else messages
            assert lab.chat(alone, None if in_content else {"x": row}).data == batch.data[index]


def test_a_batch_of_one_is_a_batch(lab: Lab) -> None:
    assert lab.chat([system(V("Do {x}"))], {"x": ["a"]}).data == ["answer"]


def test_several_contents_are_separate_parts_and_batches_keep_their_ids(inline: Lab) -> None:
    tickets = V(["a", "b"])
    tickets._samples = ("17", "4")
    answer = inline.chat([system(V("one"), V("two")), user(tickets)])
    assert answer._samples == ("17", "4")
    assert inline.client.requests[1]["messages"] == [
        {"role": "system", "content": [{"type": "text", "text": "one"}, {"type": "text", "text": "two"}]},
        {"role": "user", "content": "b"},
    ]


def test_completion_args_reach_the_endpoint(inline: Lab) -> None:
    inline.chat([user(V("a"))], temperature=0.5, seed=3)
    assert {"temperature": 0.5, "seed": 3, "model": "brain"}.items() <= inline.client.requests[0].items()


def test_the_answer_needs_no_gradient_if_nothing_did(lab: Lab) -> None:
    assert not lab.chat([system(V("Do {x}"))], {"x": V("a")}).requires_grad
    assert lab.chat([system(V("Do {x}"))], {"x": V("a", grad=True)}).requires_grad
    with afnio.no_grad():
        assert not lab.chat([system(Parameter("Do", "p"))]).requires_grad


def test_what_is_changed_later_does_not_change_the_past(inline: Lab) -> None:
    """The critic sees the call as it was made."""
    prompt = Parameter("Old {x}", "prompt")
    answer = inline.chat([system(prompt)], {"x": "a"})
    prompt.data = "New {x}"
    answer.backward(V("wrong"))
    assert "Old {x}" in inline.brain.of("backward")[0].user


def test_forward_needs_no_engine(engine: str, served: Any) -> None:
    with open_lab(engine, "sync", *served) as lab:
        client = lab.client
        lab.brain.rule = by_role(forward="fine")
    assert F.chat_completion(client, [user(V("a"))], model="brain").data == "fine"


# placeholders


def test_a_missing_input_names_template_and_cure(lab: Lab) -> None:
    with pytest.raises(
        PlaceholderError, match=r"'greeting' uses \{name\}, but inputs has 'x'.*inputs=\{'name': \.\.\.\}"
    ):
        lab.chat([system(V("Hi {name}, {x}", "greeting"))], {"x": "a"})
    with pytest.raises(PlaceholderError, match="no inputs were given"):
        lab.chat([system(V("Hi {name}", "greeting"))])
    assert lab.brain.asked == []


def test_an_input_nobody_uses_is_an_error(lab: Lab) -> None:
    with pytest.raises(PlaceholderError, match=r"inputs has 'y', but no message uses \{y\}"):
        lab.chat([system(V("Do {x}"))], {"x": "a", "y": "b"})
    with pytest.raises(PlaceholderError, match="inputs has 'x'"):
        lab.chat([system(V("Do {{x}}"))], {"x": "a"})


def test_doubled_braces_are_text(lab: Lab) -> None:
    echo(lab)
    assert lab.chat([system(V('{{x}} {"a": {x}} {}'))], {"x": "{y}"}).data == '{x} {"a": {y}} {}|'


# arguments of a wrong kind


@pytest.mark.parametrize(
    ("messages", "inputs", "error", "says"),
    [
        ("hi", None, TypeError, "messages must be a list of dicts"),
        (["hi"], None, TypeError, "messages must be a list of dicts"),
        ([], None, ValueError, "messages is empty"),
        ([{"role": "user"}], None, ValueError, r"needs 'role' and 'content', got \['role'\]"),
        ([{"content": [V("a")]}], None, ValueError, "needs 'role' and 'content'"),
        ([{"role": 3, "content": [V("a")]}], None, TypeError, "role must be a string, got int"),
        ([{"role": "user", "content": "a"}], None, TypeError, "content must be a list of Variables, got str"),
        ([{"role": "user", "content": V("a")}], None, TypeError, "list of Variables, got Variable"),
        ([{"role": "user", "content": []}], None, TypeError, "got an empty list"),
        ([{"role": "user", "content": [V("a"), "b"]}], None, TypeError, "got a list of Variable, str"),
        ([user(V(None, "nothing"))], None, TypeError, "'nothing' must hold text"),
        ([user(V(["a", None], "holes"))], None, TypeError, "'holes' must hold text"),
        ([user(V([["a"]], "deep"))], None, TypeError, "'deep' must hold text"),
        ([user(V("{x}"))], {"x": None}, TypeError, r"inputs\['x'\] must be a string.*got NoneType"),
        ([user(V("{x}"))], {"x": 3}, TypeError, "got int"),
        ([user(V("{x}"))], {"x": []}, TypeError, "got an empty list"),
        ([user(V("{x}"))], {"x": ["a", V("b")]}, TypeError, "got a list of Variable, str"),
        ([user(V("{x}"))], {"x": [V("a"), V(["b"], "inner")]}, TypeError, "'inner' holds a list"),
        ([user(V("{x}{y}"))], {"x": ["a"], "y": ["b", "c"]}, ValueError, r"inputs\['x'\] has 1, inputs\['y'\] has 2"),
        ([user(V(["a", "b"], "pair"), V("{x}"))], {"x": ["c"]}, ValueError, "content 'pair' has 2"),
        ([user(V("{x}"))], ["a"], TypeError, "inputs must be a dict of placeholder -> value, got list"),
    ],
)
def test_refused(lab: Lab, messages: Any, inputs: Any, error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        lab.chat(messages, inputs)
    assert lab.brain.asked == []


@pytest.mark.parametrize("client", ["gpt-4o", None, object()])
def test_a_client_that_is_none(client: Any) -> None:
    with pytest.raises((TypeError, ValueError), match="model client|'provider/model'"):
        F.chat_completion(client, [user(V("a"))], model="brain")


def test_a_call_without_a_model_says_to_pass_one(http: Lab) -> None:
    with pytest.raises(TypeError, match="pass model="):
        F.chat_completion(http.client, [user(V("a"))])


# errors of samples


def test_some_failing_samples_are_told_apart_and_the_others_answered(lab: Lab) -> None:
    def rule(ask: Ask, role: str) -> str:
        if ask.user in ("b", "d"):
            raise Refusal(500, "server_error", f"no luck with {ask.user}")
        return "fine"

    lab.brain.rule = rule
    with pytest.raises(
        BatchError, match="2 of 4 samples failed; sample 1: InternalServerError.*no luck with b"
    ) as error:
        lab.chat([user(V("{x}"))], {"x": ["a", "b", "c", "d"]})
    assert {index: type(one) for index, one in error.value.errors.items()} == {
        1: InternalServerError,
        3: InternalServerError,
    }
    assert len(lab.brain.asked) == 4


def test_an_error_that_all_samples_would_meet_is_raised_as_it_is(lab: Lab) -> None:
    def rule(ask: Ask, role: str) -> str:
        raise Refusal(404, "invalid_request_error", "The model 'brain' does not exist", "model_not_found")

    lab.brain.rule = rule
    with pytest.raises(NotFoundError, match="does not exist"):
        lab.chat([user(V("{x}"))], {"x": ["a", "b", "c"]})
