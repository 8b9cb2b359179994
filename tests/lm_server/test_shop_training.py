"""The critic, the reducer and the optimizer of the world ``shop``: everything they say comes from the request."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from afnio.models.lm_server.worlds.shop import CALCULATOR, LAWS, PROMPT, SEARCH, WRONG, Law, picture_of
from afnio.models.lm_server.worlds.shop.laws import BOOKS
from afnio.models.simulated import simulated

NOTHING = "No change is needed here."
HINGES = "What do I pay for 3 brass hinges?"
some_laws = st.lists(st.sampled_from(LAWS), unique=True)


def called(name: str, argument: str, text: str, result: str, *, failed: bool = False) -> str:
    mark = ' failed="true"' if failed else ""
    given = json.dumps({argument: text})
    return (
        f'<message role="assistant"><variable id="v9" role="turn"><tool_call call="1" name="{name}">{given}</tool_call>'
        f'</variable></message>\n<message role="tool"><tool_result call="1" name="{name}"{mark}>{result}</tool_result>'
        "</message>\n"
    )


def sample(question: str, said: str, target: str, before: str = "", feedback: str = "") -> str:
    told = (
        feedback
        or f'Evaluated by \'exact match\': the prediction "{said}" does not match the target "{target}"; score 0.'
    )
    return (
        f'<sample id="0">\n<input name="question">{question}</input>\n{before}<output>{said}</output>\n'
        f"<feedback>{told}</feedback>\n</sample>"
    )


def task(samples: Sequence[str], prompt: str = PROMPT, search: str = SEARCH, calculator: str = CALCULATOR) -> str:
    def tool(name: str, ident: str, description: str) -> str:
        inner = f'<variable id="{ident}" role="description of the tool {name}">{description}</variable>'
        return f'<tool name="{name}">{inner}\n<parameters>{{"type": "object"}}</parameters></tool>'

    call = "\n".join(
        [
            "<call>",
            tool("search", "v2", search),
            tool("calculator", "v3", calculator),
            f'<message role="system"><variable id="v1" role="system prompt">{prompt}</variable></message>',
            '<message role="user">{question}</message>',
            "</call>",
        ]
    )
    asked = "v1 (system prompt), v2 (description), v3 (description), v9 (turn)"
    return "\n".join([call, *samples, f"Give feedback on: {asked}."])


def criticize(text: str, *pictures: bytes) -> dict[str, set[str]]:
    """Variable -> the names of the laws that the critic names for it."""
    entries = json.loads(reply(text, "afnio_feedback", *pictures))["feedback"]
    return {entry["variable"]: set(BOOKS[""].stated(entry["text"])) for entry in entries}


def reply(text: str, schema: str, *pictures: bytes, seed: int = 0, bad_share: float = 0.0) -> str:
    content: list[Any] = [{"type": "text", "text": text}]
    for number, picture in enumerate(pictures, 1):
        url = f"data:image/png;base64,{b64encode(picture).decode()}"
        content += [{"type": "text", "text": f"image {number}:"}, {"type": "image_url", "image_url": {"url": url}}]
    form = {"type": "json_schema", "json_schema": {"name": schema, "schema": {"type": "object"}}}
    messages = [{"role": "user", "content": content}]
    return simulated("shop", seed=seed, bad_share=bad_share).chat(messages=messages, response_format=form)


def optimize(value: str, role: str, feedback: Sequence[str], *, history: str = "", **draws: Any) -> str:
    pieces = [f'<feedback samples="1">{text}</feedback>' for text in feedback]
    text = "\n".join([f'<variable role="{role}">{value}</variable>', *pieces, f"<history>{history}</history>"])
    return str(json.loads(reply(text, "afnio_update", **draws))["value"])


# -- the critic


def test_a_query_that_found_nothing_is_the_descriptions_matter() -> None:
    before = called("search", "query", "3 brass hinges", "Nothing found for '3 brass hinges'.")
    named = criticize(task([sample(HINGES, "30", "12.60", before)]))
    assert named["v2"] == {"single", "singular"}
    assert named["v1"] == {"decimals"}
    assert named["v3"] == set()


def test_without_the_call_there_is_nothing_to_see() -> None:
    assert criticize(task([sample(HINGES, "30", "12.60")]))["v2"] == set()


def test_a_percent_sign_is_the_calculators_matter() -> None:
    before = called("calculator", "expression", "(39.90) - 5%", "Cannot read", failed=True)
    text = "What do I pay for a desk lamp? I am a member of the club."
    named = criticize(task([sample(text, "37.00", "37.91", before)]))
    assert (named["v1"], named["v2"], named["v3"]) == ({"club"}, set(), {"factors"})


def test_what_is_stated_already_is_not_named_again() -> None:
    before = called("search", "query", "3 brass hinges", "Nothing found.")
    samples = [sample("What do I pay for 12 brass hinges and an oak board, delivered?", "30", "64.11", before)]
    full = {about: "\n".join(law.text for law in LAWS if law.about == about) for about in ("system", "search")}
    named = criticize(task(samples, prompt=full["system"], search=full["search"]))
    assert not any(named.values())
    assert criticize(task(samples))["v1"] == {"lookup", "shipping", "bulk", "decimals"}


def test_a_picture_is_named_only_if_the_critic_sees_it() -> None:
    question = "What do I pay for 2 of these?\n(see image 1)"
    before = called("search", "query", "these", "Nothing found.")
    samples = [sample(question, "20.25", "8.40", before)]
    assert criticize(task(samples), picture_of("H11"))["v1"] == {"picture"}
    assert criticize(task(samples))["v1"] == set()
    assert criticize(task(samples), b"no picture")["v1"] == set()


def test_each_field_has_its_law() -> None:
    def named(feedback: str) -> set[str]:
        return criticize(task([sample(HINGES, '{"total": "12.60 EUR"}', "", feedback=feedback)]))["v1"]

    assert named("quantity: the prediction (1) and the target (3) differ.") == {"pieces", "bare"}
    assert named("product: the prediction (brass hinges) and the target (brass hinge) differ.") == {"naming", "bare"}


def test_an_earlier_turn_hears_everything_and_passes_it_on() -> None:
    before = called("search", "query", "3 brass hinges", "Nothing found.")
    named = criticize(task([sample(HINGES, "30", "12.60", before)]))
    assert named["v9"] == named["v1"] | named["v2"] | named["v3"] != set()
    advice = "State these rules: " + " ".join(law.text for law in LAWS if law.name in ("club", "single", "factors"))
    passed = criticize(task([sample("Hello", "Hello", "", feedback=advice)]))
    assert (passed["v1"], passed["v2"], passed["v3"]) == ({"club"}, {"single"}, {"factors"})


@pytest.mark.parametrize("rule", WRONG, ids=lambda rule: rule.name)
def test_a_wrong_rule_is_to_be_removed_from_where_it_stands(rule: Law) -> None:
    texts = {"system": PROMPT, "search": SEARCH, "calculator": CALCULATOR}
    texts[rule.about] += f"\n- {rule.text}"
    text = task([sample(HINGES, "30", "12.60")], texts["system"], texts["search"], texts["calculator"])
    entries = {entry["variable"]: entry["text"] for entry in json.loads(reply(text, "afnio_feedback"))["feedback"]}
    told = {"v1": "system", "v2": "search", "v3": "calculator"}
    removing = {
        told[name] for name, text in entries.items() if name in told and f'Remove the rule "{rule.text}"' in text
    }
    assert removing == {rule.about}
    role = {"system": "system prompt", "search": "description of search", "calculator": "description of calculator"}
    new = optimize(texts[rule.about], role[rule.about], [f'Remove the rule "{rule.text}"'])
    assert rule.text not in new


def test_what_no_law_explains_gets_a_hint() -> None:
    entries = json.loads(reply(task([sample("Hello", "1.25", "2.25")]), "afnio_feedback"))["feedback"]
    texts = {entry["variable"]: entry["text"] for entry in entries}
    assert texts["v1"] == "Work out the total with more care."
    assert texts["v2"] == texts["v3"] == NOTHING


@given(st.lists(some_laws, min_size=1, max_size=4))
def test_the_reducer_keeps_every_law_once(groups: list[list[Law]]) -> None:
    pieces = [f"<feedback>{' '.join(law.text for law in laws) or 'Fine.'}</feedback>" for laws in groups]
    text = "\n".join(['<variable id="v1" role="system prompt">p</variable>', *pieces])
    assert criticize(text)["v1"] == {law.name for laws in groups for law in laws}


# -- the optimizer


@pytest.mark.parametrize("about", ["system", "search", "calculator"])
@given(known=some_laws, named=some_laws)
def test_each_text_gets_the_laws_about_it(about: str, known: list[Law], named: list[Law]) -> None:
    role = {"system": "system prompt of the shop", "search": "description of the tool 'search'"}
    own = {law.name for law in LAWS if law.about == about}
    start = "\n".join(["Start.", *[f"- {law.text}" for law in known if law.about == about]])
    new = optimize(start, role.get(about, "description of the tool 'calculator'"), [law.text for law in named])
    assert new.startswith(start)
    assert set(BOOKS[about].stated(new)) == {law.name for law in [*known, *named]} & own


def test_a_description_is_known_by_what_it_says_if_the_role_names_no_tool() -> None:
    everything = [law.text for law in LAWS]
    assert set(BOOKS[""].stated(optimize(SEARCH, "description of a tool", everything))) == {"single", "singular"}


def test_a_share_of_the_updates_is_bad() -> None:
    feedback = [law.text for law in LAWS if law.about == "system"]
    good = optimize(PROMPT, "system prompt", feedback)
    updates = [optimize(PROMPT, "system prompt", feedback, seed=seed, bad_share=0.15) for seed in range(200)]
    bad = [text for text in updates if text != good]
    assert 0.07 * 200 < len(bad) < 0.24 * 200
    assert any(rule.text in text for text in bad for rule in WRONG)
    assert any(len(BOOKS[""].laws) > len(set(BOOKS["system"].stated(text))) for text in bad)
    assert updates == [optimize(PROMPT, "system prompt", feedback, seed=seed, bad_share=0.15) for seed in range(200)]


def test_what_was_undone_is_said_in_other_words() -> None:
    """A step changes several texts: one that was undone may be right, and another one to blame."""
    law = next(law for law in LAWS if law.name == "factors")
    undone: list[str] = []
    for _ in range(4):
        history = "".join([f'<version score="0.1" status="undone">{text}</version>' for text in undone])
        undone.append(optimize(CALCULATOR, "description of calculator", [law.text], history=history))
        assert set(BOOKS["calculator"].stated(undone[-1])) == {"factors"}
    assert len(set(undone)) == 4


@pytest.mark.parametrize("seed", range(20))
def test_no_update_is_without_effect_if_there_is_something_to_say(seed: int) -> None:
    assert optimize(CALCULATOR, "description of calculator", [LAWS[-1].text], seed=seed, bad_share=1.0) != CALCULATOR
    assert optimize(CALCULATOR, "description of calculator", [NOTHING], seed=seed) == CALCULATOR
