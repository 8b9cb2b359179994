"""Laws of the world ``shop``: what its agent does is a function of the texts, the conversation and the pictures."""

from __future__ import annotations

import json
import struct
import zlib
from base64 import b64encode
from decimal import Decimal
from statistics import fmean
from typing import Any

import anthropic
import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st

from afnio.models.lm_server import LMServer
from afnio.models.lm_server.worlds.shop import (
    CALCULATOR,
    CATALOGUE,
    LAWS,
    PROMPT,
    SEARCH,
    WRONG,
    Question,
    calculator,
    code_in,
    picture_of,
    questions,
    search,
)
from afnio.models.lm_server.worlds.shop.laws import BOOKS, wrong_rules
from afnio.models.lm_server.worlds.shop.reading import Item, Order, read
from tests.lm_server.shop import Texts, accuracy, in_process, run, tool, whole

MODEL = in_process()
ASKED = questions(40, seed=3, pictures=True)
NAMES = [law.name for law in LAWS]

PARAPHRASES = {
    "lookup": ["Search for all the products before answering.", "Find each item's price first; look up every item."],
    "decimals": ["Amounts have two decimal places.", "Write 2 decimals."],
    "shipping": ["Delivered orders below 50 EUR cost 4.90 more."],
    "bulk": ["A discount of 10% for at least 10 pieces of one product."],
    "club": ["Club members get five percent off."],
    "picture": ["Use the code shown in the image."],
    "single": ["Give one product name per query.", "Search without the quantity."],
    "singular": ["Use the singular form."],
    "factors": ["Write a discount by multiplying."],
}


# -- the tools


def test_the_search_finds_by_name_and_by_code_and_nothing_else() -> None:
    assert search("brass hinge") == search("H11") == "brass hinge (code H11): 4.20 EUR each"
    assert search("hinge").count("\n") == 1
    for query in ("3 brass hinges", "brass hinges", "", "a brass hinge please"):
        assert search(query).startswith("Nothing found")


@given(st.lists(st.decimals(0, 100, places=2), min_size=1, max_size=4), st.sampled_from("+-*"))
def test_the_calculator_is_exact(numbers: list[Decimal], sign: str) -> None:
    text = f" {sign} ".join(str(number) for number in numbers)
    exact = eval(sign.join(f"Decimal('{number}')" for number in numbers))
    assert abs(Decimal(calculator(text)) - exact) <= Decimal("0.005")


@pytest.mark.parametrize(
    "text", ["", "4.20 EUR", "3 - 5%", "1/0", "__import__('os')", "2 ** 9", "'a' * 3", "1 if 1 else 2"]
)
def test_the_calculator_refuses_the_rest(text: str) -> None:
    with pytest.raises(ValueError, match="Cannot read"):
        calculator(text)


# -- what a text states


@pytest.mark.parametrize("law", LAWS, ids=NAMES)
def test_a_laws_text_states_it_and_nothing_else(law: Any) -> None:
    assert set(BOOKS[""].stated(law.text)) == set(BOOKS[law.about].stated(law.text)) == {law.name}
    assert not wrong_rules(law.text, law.about)


@pytest.mark.parametrize("rule", WRONG, ids=lambda rule: rule.name)
def test_a_wrong_rule_is_known_and_states_no_law(rule: Any) -> None:
    assert wrong_rules(rule.text, rule.about) == ((rule.text, rule.name),)
    assert not set(BOOKS[""].stated(rule.text))


@pytest.mark.parametrize(("name", "text"), [(name, text) for name, texts in PARAPHRASES.items() for text in texts])
def test_other_words_state_it_too(name: str, text: str) -> None:
    assert set(BOOKS[""].stated(text)) == {name}


@pytest.mark.parametrize("text", ["Never use the calculator.", "Do not give two decimals.", SEARCH, CALCULATOR])
def test_what_says_something_else_states_no_law(text: str) -> None:
    assert not set(BOOKS[""].stated(text))
    assert set(BOOKS[""].stated(PROMPT)) == {"calculator"}


# -- what follows from it


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("pictures", [False, True])
def test_it_starts_low_and_can_be_perfect(seed: int, pictures: bool) -> None:
    asked = questions(60, seed=seed, pictures=pictures)
    assert (0.2 if pictures else 0.3) <= accuracy(MODEL, asked, Texts()) <= 0.55
    traces = [run(MODEL, question, whole()) for question in asked]
    assert fmean(trace.answer == question.answer for trace, question in zip(traces, asked, strict=True)) == 1
    assert {trace.turns for trace in traces} == {3, 4, 5, 6}


@pytest.mark.parametrize("law", [law.name for law in LAWS if law.name not in ("pieces", "naming", "bare")])
def test_each_law_is_needed(law: str) -> None:
    assert accuracy(MODEL, ASKED, whole(without=[law])) < 1


@pytest.mark.parametrize("rule", WRONG, ids=lambda rule: rule.name)
def test_each_wrong_rule_does_harm(rule: Any) -> None:
    texts = whole()
    worse = {
        "system": Texts(f"{texts.prompt}\n{rule.text}", texts.search, texts.calculator),
        "search": Texts(texts.prompt, f"{texts.search}\n{rule.text}", texts.calculator),
        "calculator": Texts(texts.prompt, texts.search, f"{texts.calculator}\n{rule.text}"),
    }
    assert accuracy(MODEL, ASKED, worse[rule.about]) < 0.9


def test_a_law_holds_only_in_the_text_it_is_about() -> None:
    everything = "\n".join(law.text for law in LAWS)
    wrong_place = Texts(f"{PROMPT}\n{everything}", SEARCH, CALCULATOR)
    assert accuracy(MODEL, ASKED, wrong_place) < 0.6


def test_a_query_follows_the_description() -> None:
    question = Question("What do I pay for 3 brass hinges and an oak board?", "31.35", "brass hinge", 4)
    queries = {
        texts: [given["query"] for name, given in run(MODEL, question, texts).calls if name == "search"]
        for texts in (
            Texts(),
            Texts(search="One product per query."),
            Texts(search="Use the singular."),
            Texts(f"{PROMPT}\nLook up every product.", "One product per query, in the singular."),
        )
    }
    assert list(queries.values()) == [
        ["3 brass hinges"],
        ["brass hinges"],
        ["3 brass hinge"],
        ["brass hinge", "oak board"],
    ]


def test_a_discount_is_a_percentage_until_the_description_says_better() -> None:
    question = Question("What do I pay for a desk lamp? I am a member of the club.", "37.91", "desk lamp", 1)
    known = whole()
    trace = run(MODEL, question, known)
    assert trace.calls[-1] == ("calculator", {"expression": "(39.90) * 0.95"})
    assert trace.answer == "37.91"
    trace = run(MODEL, question, Texts(known.prompt, known.search, CALCULATOR))
    assert trace.calls[-1] == ("calculator", {"expression": "(39.90) - 5%"})
    assert trace.answer == "37.00"


def test_searches_can_be_made_at_once() -> None:
    texts = whole()
    question = next(question for question in ASKED if len(read(question.text).items) == 4)
    trace = run(MODEL, question, Texts(f"{texts.prompt}\nSearch at the same time.", texts.search, texts.calculator))
    assert (trace.answer, trace.turns, len(trace.calls)) == (question.answer, 3, 5)


def test_what_was_asked_before_plays_no_part() -> None:
    first, second = ASKED[1], ASKED[2]
    before = run(MODEL, first, whole()).messages
    messages = [*before, {"role": "user", "content": second.text}]
    body = {"model": "m", "messages": messages, "tools": [tool("search", whole().search, "query")]}
    call = MODEL(body)["choices"][0]["message"]["tool_calls"][0]["function"]
    assert json.loads(call["arguments"])["query"] == read(second.text).items[0].name


def test_a_tool_is_known_by_its_description_and_its_first_text() -> None:
    tools = [tool("prices", "Looks up an article in the catalogue.", "article")]
    messages = [{"role": "user", "content": "How much is a desk lamp?"}]
    call = MODEL({"model": "m", "messages": messages, "tools": tools})["choices"][0]["message"]["tool_calls"][0]
    assert (call["function"]["name"], call["function"]["arguments"]) == ("prices", '{"article": "desk lamp"}')


@pytest.mark.parametrize("choice", ["none", "required", "calculator"])
def test_tool_choice(choice: str) -> None:
    given: Any = {"type": "function", "function": {"name": choice}} if choice == "calculator" else choice
    tools = [tool("search", SEARCH, "query"), tool("calculator", CALCULATOR, "expression")]
    messages = [{"role": "user", "content": "Hello."}, {"role": "user", "content": "How much is a desk lamp?"}]
    said = MODEL({"model": "m", "messages": messages, "tools": tools, "tool_choice": given})["choices"][0]["message"]
    names = [call["function"]["name"] for call in said.get("tool_calls") or ()]
    assert names == {"none": [], "required": ["search"], "calculator": ["calculator"]}[choice]


def test_who_asks_for_no_product_is_told_so() -> None:
    assert "what our products cost" in run(MODEL, Question("Hello, who are you?", "", "", 0)).answer


# -- questions


def test_questions_are_drawn_by_their_seed() -> None:
    assert questions(30, seed=1) == questions(30, seed=1)
    assert not {question.text for question in questions(30, seed=1)} & {
        question.text for question in questions(30, seed=2)
    }


@pytest.mark.parametrize("question", ASKED, ids=lambda question: question.text[:40])
def test_a_question_is_read_as_it_was_meant(question: Question) -> None:
    order = read(question.text)
    assert sum(item.count for item in order.items) == question.quantity
    assert all(item.name in CATALOGUE for item in order.items if not item.shown)
    assert order.items[0].shown == (question.picture is not None)
    assert order.items[0].name in ("these", question.product)


def test_what_is_no_product_is_not_read_as_one() -> None:
    text = "I have a voucher of 1.25 EUR. I am a member of the club. What do I pay for 12 oak boards, delivered?"
    assert read(text) == Order((Item("oak board", 12, "12 oak boards"),), True, True, Decimal("1.25"))
    assert read("brass hinge (code H11): 4.20 EUR each") == Order(())


# -- pictures


@given(st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=12))
def test_a_picture_spells_its_code(code: str) -> None:
    assert code_in(picture_of(code)) == code


def test_no_other_bytes_do() -> None:
    picture = picture_of("H11")
    flipped = bytearray(picture)
    flipped[-20] ^= 1
    grey = picture.replace(zlib.compress(b""), b"")
    header = struct.pack(">I", 13)
    for data in (b"", b"H11", picture[:30], bytes(flipped), b"\x89PNG\r\n\x1a\n" + header):
        assert code_in(data) == ""
    assert code_in(grey) == "H11"


def test_a_picture_is_seen_only_if_its_bytes_are_sent() -> None:
    question = next(question for question in ASKED if question.picture)
    assert run(MODEL, question, whole()).answer == question.answer
    blind = Question(question.text, question.answer, question.product, question.quantity)
    assert run(MODEL, blind, whole()).answer != question.answer
    other = Question(question.text, "", "", 0, picture_of("H12"))
    assert run(MODEL, other, whole()).calls[0] == ("search", {"query": "H12"})


# -- typed answers

FIELDS: dict[str, Any] = {"product": {"type": "string"}, "quantity": {"type": "integer"}, "total": {"type": "number"}}


def typed(question: Question, texts: Texts, **fields: Any) -> Any:
    schema = {"type": "object", "properties": FIELDS | fields, "required": list(FIELDS), "additionalProperties": False}
    form = {"type": "json_schema", "json_schema": {"name": "Order", "schema": schema, "strict": True}}
    return json.loads(run(MODEL, question, texts, response_format=form).answer)


def test_each_field_follows_its_law() -> None:
    question = Question("What do I pay for 3 brass hinges and 2 oak boards?", "50.10", "brass hinge", 5)
    text = {"total": {"type": "string"}}
    assert typed(question, whole()) == {"product": "brass hinge", "quantity": 5, "total": 50.1}
    assert typed(question, whole(), **text)["total"] == "50.10"
    assert typed(question, whole(without=["bare"]), **text)["total"] == "50.10 EUR"
    assert typed(question, whole(without=["naming", "pieces"])) == {
        "product": "brass hinges",
        "quantity": 3,
        "total": 50.1,
    }


# -- the judge


@pytest.mark.parametrize(("said", "score"), [("37.91", 0), ("39.90", 1)])
def test_the_judge_knows_the_price(said: str, score: int) -> None:
    messages = [
        {"role": "system", "content": "Is it right? Reply with JSON: score (0 or 1) and explanation."},
        {"role": "user", "content": f"How much is a desk lamp?\nPrediction: {said}"},
    ]
    verdict = json.loads(MODEL({"model": "m", "messages": messages})["choices"][0]["message"]["content"])
    assert verdict["score"] == score


# -- over HTTP, with the vendors' own clients


@pytest.fixture(scope="module")
def server() -> Any:
    with LMServer("shop", bad_share=0.0) as running:
        yield running


@pytest.mark.parametrize("question", ASKED[:4], ids=lambda question: question.text[:20])
def test_the_openai_sdk_gets_the_same(server: LMServer, question: Question) -> None:
    with openai.OpenAI(api_key="any", base_url=server.base_url) as client:
        create: Any = client.chat.completions.create
        trace = run(lambda body: create(**body).model_dump(exclude_none=True), question, whole())
    assert trace.answer == question.answer
    assert trace.calls == run(MODEL, question, whole()).calls


def test_the_anthropic_sdk_gets_the_same(server: LMServer) -> None:
    texts, question = whole(), ASKED[1]
    tools: Any = [
        {**function, "input_schema": function.pop("parameters")}
        for function in (
            tool("search", texts.search, "query")["function"],
            tool("calculator", texts.calculator, "expression")["function"],
        )
    ]
    run_tool = {"search": search, "calculator": calculator}
    messages: list[Any] = [{"role": "user", "content": question.text}]
    with anthropic.Anthropic(api_key="any", base_url=server.url) as client:
        create: Any = client.messages.create
        turns, reply = 0, None
        while reply is None or reply.stop_reason == "tool_use":
            turns += 1
            reply = create(model="m", max_tokens=500, system=texts.prompt, tools=tools, messages=messages)
            messages.append({"role": "assistant", "content": reply.content})
            results = [
                {"type": "tool_result", "tool_use_id": use.id, "content": run_tool[use.name](*use.input.values())}
                for use in reply.content
                if use.type == "tool_use"
            ]
            messages.append({"role": "user", "content": results})
    assert reply.content[0].text == question.answer
    assert turns == run(MODEL, question, texts).turns


def test_openais_responses_get_the_same(server: LMServer) -> None:
    texts, question = whole(), next(question for question in ASKED if question.picture)
    tools: Any = [
        {"type": "function", **tool("search", texts.search, "query")["function"], "strict": False},
        {"type": "function", **tool("calculator", texts.calculator, "expression")["function"], "strict": False},
    ]
    run_tool = {"search": search, "calculator": calculator}
    url = f"data:image/png;base64,{b64encode(question.picture or b'').decode()}"
    content = [{"type": "input_text", "text": question.text}, {"type": "input_image", "image_url": url}]
    items: list[Any] = [{"role": "user", "content": content}]
    turns = 0
    with openai.OpenAI(api_key="any", base_url=server.base_url) as client:
        create: Any = client.responses.create
        while True:
            turns += 1
            reply = create(model="m", instructions=texts.prompt, input=items, tools=tools)
            calls = [item for item in reply.output if item.type == "function_call"]
            if not calls:
                break
            for call in calls:
                output = run_tool[call.name](*json.loads(call.arguments).values())
                items += [call, {"type": "function_call_output", "call_id": call.call_id, "output": output}]
    assert reply.output_text == question.answer
    assert turns == run(MODEL, question, texts).turns


@pytest.mark.parametrize("bad_share", [-0.1, 1.5])
def test_a_bad_share_is_a_share(bad_share: float) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        LMServer("shop", bad_share=bad_share).__enter__()
