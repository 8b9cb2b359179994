"""Laws of the world ``tickets``: what the model answers is a function of its prompt."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from afnio.models.lm_server.worlds.tickets import (
    FIELDS,
    JOB_PROMPT,
    LAWS,
    blanket_rules,
    job_tickets,
    naive,
    read,
    shown_laws,
    stated_laws,
    truth,
)
from afnio.models.simulated import simulated
from afnio.utils.datasets import SupportTickets

TICKETS = [str(SupportTickets(split)[index][0].data) for split in ("train", "val", "test") for index in range(60)]
NAMES = [law.name for law in LAWS]

PARAPHRASES = {
    "refund": [
        "Anyone who wants a refund belongs to billing.",
        "Route money-back requests to billing rather than technical support.",
        "Do not send refund requests to technical; send them to the billing queue instead.",
        "billing: invoices, payments, refunds",
        "If the customer asks to be reimbursed, the queue is billing.",
        "Queues: technical (crashes, errors), billing (refunds), sales (quotes).",
        "Refunds: billing; quotes: sales",
    ],
    "cancel": [
        "Cancellations are handled by sales.",
        "Tickets about leaving us for a competitor: queue = sales",
        "When a customer wants to terminate the contract, choose the sales queue.",
    ],
    "damaged": [
        "A device damaged in transit is a shipping matter.",
        "Use the shipping queue for anything that was broken on arrival.",
        "Parcels with missing parts -> shipping",
    ],
    "sign_in": [
        "Login trouble should go to account.",
        "Forgotten passwords are account tickets, never technical ones.",
        "If the user is locked out, assign it to the account team.",
        "Authentication problems: account queue.",
    ],
    "outage": [
        "Outages are high urgency.",
        "If many users are affected, set the urgency to high.",
        "Problems that stop an entire team are critical.",
    ],
    "deadline": [
        "A deadline within 24 hours makes a ticket urgent.",
        "Mark the urgency as high if the customer has to finish something by tomorrow.",
        "Same-day deadlines: high.",
    ],
    "fraud": [
        "Suspicious or unauthorised activity is always high urgency, even if the tone is relaxed.",
        "Treat a hacked account as urgent.",
        "Security incidents have the highest urgency.",
    ],
    "wish": [
        "Feature requests are low urgency.",
        "Suggestions for new features: urgency low, whatever the customer says.",
        "Never rate a feature request above low: its urgency is low.",
    ],
    "sarcasm": [
        "Sarcasm counts as negative.",
        "Ironic compliments should be labelled as negative sentiment.",
        "If praise is meant sarcastically, the sentiment is negative, not positive.",
    ],
    "again": [
        "Repeated contact about the same issue is negative.",
        "Customers who had to follow up have negative sentiment.",
        "If someone writes for the third time, label the sentiment negative.",
    ],
}
NOT_STATED = [
    "Do not route refunds to billing.",
    "Refunds go to technical, not billing.",
    "Feature requests are high urgency.",
    "Sarcasm counts as positive.",
    "Refunds need care.",
    "Refunds: account; quotes: billing",
    "The billing queue is busy.",
    "Password problems are technical rather than account matters.",
    JOB_PROMPT,
    "Read the message and determine its sentiment: positive, neutral or negative.",
]


# -- how a prompt states a law


@pytest.mark.parametrize("law", LAWS, ids=NAMES)
def test_a_laws_text_states_it_and_nothing_else(law: Any) -> None:
    assert stated_laws(law.text) == (law,)
    assert not blanket_rules(law.text)
    assert 10 <= len(law.text.split()) <= 20


@pytest.mark.parametrize(("name", "text"), [(name, text) for name, texts in PARAPHRASES.items() for text in texts])
def test_other_words_state_it_too(name: str, text: str) -> None:
    assert [law.name for law in stated_laws(text)] == [name]


@pytest.mark.parametrize("text", NOT_STATED)
def test_what_says_something_else_states_no_law(text: str) -> None:
    assert stated_laws(text) == ()


@given(st.lists(st.sampled_from(LAWS), unique=True), st.sampled_from(["\n- ", "\n\n", " "]))
def test_a_prompt_states_the_laws_it_holds(laws: list[Any], between: str) -> None:
    prompt = between.join([JOB_PROMPT, *[law.text for law in laws]])
    assert set(stated_laws(prompt)) == set(laws)


@pytest.mark.parametrize(
    ("sentence", "rule"),
    [
        ("Treat every ticket as high urgency.", ("urgency", "high")),
        ("Send all tickets to the technical queue.", ("queue", "technical")),
        ("Every message has neutral sentiment.", ("sentiment", "neutral")),
    ],
)
def test_a_blanket_rule_overrules_everything(sentence: str, rule: tuple[str, str]) -> None:
    prompt = "\n".join([JOB_PROMPT, *[law.text for law in LAWS], sentence])
    assert blanket_rules(prompt) == ((sentence, *rule),)
    assert {read(ticket, prompt)[rule[0]] for ticket in TICKETS} == {rule[1]}


def test_a_list_of_values_is_no_blanket_rule() -> None:
    assert not blanket_rules("Classify every ticket: queue (billing, technical, account), urgency (low, medium, high).")
    assert not blanket_rules("Every ticket that mentions an invoice goes to the billing queue.")


# -- what follows from it


def right(ticket: str, prompt: str) -> bool:
    return read(ticket, prompt) == truth(ticket)


@given(st.permutations(LAWS))
def test_each_law_makes_more_tickets_right_and_none_wrong(order: list[Any]) -> None:
    prompt, before = JOB_PROMPT, [right(ticket, JOB_PROMPT) for ticket in TICKETS]
    for law in order:
        prompt = f"{prompt}\n{law.text}"
        after = [right(ticket, prompt) for ticket in TICKETS]
        assert all(now or not then for then, now in zip(before, after, strict=True))
        assert sum(after) > sum(before)
        before = after
    assert all(before)


@given(st.sampled_from(TICKETS), st.lists(st.sampled_from(LAWS), unique=True))
def test_only_the_shown_laws_matter(ticket: str, laws: list[Any]) -> None:
    shown = set(shown_laws(ticket))
    alone = "\n".join(law.text for law in laws if law in shown)
    assert read(ticket, "\n".join(law.text for law in laws)) == read(ticket, alone)


def test_the_start_prompt_is_a_naive_reading() -> None:
    assert all(read(ticket, JOB_PROMPT) == naive(ticket) for ticket in TICKETS)


# -- in which form it answers

LOVE = "I love the app, but the invoice is wrong. This is urgent."
SCHEMA_ENUM = {
    "type": "object",
    "properties": {"sentiment": {"type": "string", "enum": ["positive", "neutral", "negative"]}},
    "required": ["sentiment"],
    "additionalProperties": False,
}


def ask(system: str, user: str, **given: Any) -> str:
    messages = [{"role": "system", "content": system}] if system else []
    return simulated().chat(messages=[*messages, {"role": "user", "content": user}], **given)


def test_all_fields_as_json() -> None:
    assert json.loads(ask(JOB_PROMPT, LOVE)) == {"sentiment": "positive", "urgency": "high", "queue": "billing"}
    assert list(json.loads(ask(JOB_PROMPT, LOVE))) == list(FIELDS)


@pytest.mark.parametrize(
    ("prompt", "answer"),
    [
        ("Which sentiment has this message? One word.", "positive"),
        ("Give the urgency as JSON.", '{"urgency": "high"}'),
        ("Give the priority and the tone in JSON.", '{"tone": "positive", "priority": "high"}'),
        ("Give the urgency as JSON in a ```json fence.", '```json\n{"urgency": "high"}\n```'),
        ("Give the urgency within <answer> tags.", "<answer>high</answer>"),
    ],
)
def test_what_is_asked_for_in_the_form_asked_for(prompt: str, answer: str) -> None:
    assert ask(prompt, LOVE) == answer


def test_a_schema_decides_the_names_and_the_values() -> None:
    form = {"type": "json_schema", "json_schema": {"name": "sentiment_response", "strict": True, "schema": SCHEMA_ENUM}}
    assert ask("Determine the sentiment.", LOVE, response_format=form) == '{"sentiment": "positive"}'


def test_a_facility_support_request_gets_a_plausible_answer() -> None:
    properties: dict[str, Any] = {
        "urgency": {"type": "string", "enum": ["low", "medium", "high"]},
        "sentiment": SCHEMA_ENUM["properties"]["sentiment"],  # type: ignore[index]
        "categories": {
            "type": "object",
            "properties": {
                name: {"type": "boolean"} for name in ("specialized_cleaning_services", "general_inquiries")
            },
        },
    }
    form = {
        "type": "json_schema",
        "json_schema": {"name": "facility", "schema": {"type": "object", "properties": properties}},
    }
    mail = "Subject: Carpets\n\nWe need specialized cleaning of our carpets as soon as possible. Best regards, A."
    user = f"Read the following message and determine its urgency and sentiment.\n\n**Message:**\n\n{mail}\n\n"
    assert json.loads(ask("You are an expert.", user, response_format=form)) == {
        "urgency": "high",
        "sentiment": "neutral",
        "categories": {"specialized_cleaning_services": True, "general_inquiries": False},
    }


@pytest.mark.parametrize("law", LAWS, ids=NAMES)
@pytest.mark.parametrize(
    "template",
    [
        "{prompt}\n\nTicket: {ticket}",
        "{prompt}\n\n<ticket>\n{ticket}\n</ticket>\n\nAnswer now.",
        "{prompt}\n\nCustomer message:\n{ticket}",
        "{prompt}\n\n{ticket}",
    ],
)
def test_prompt_and_ticket_may_share_a_message(template: str, law: Any) -> None:
    ticket = next(ticket for ticket in TICKETS if shown_laws(ticket) == (law,))
    told = template.format(prompt=f"{JOB_PROMPT}\n- {law.text}", ticket=ticket)
    untold = template.format(prompt=JOB_PROMPT, ticket=ticket)
    assert json.loads(ask("", told)) == truth(ticket)
    assert json.loads(ask("", untold)) == naive(ticket)


# -- the tickets of the benchmark job


@pytest.mark.parametrize("every_step_learns", [False, True])
def test_the_job_starts_at_13_of_24(every_step_learns: bool) -> None:
    tickets = job_tickets(every_step_learns=every_step_learns)
    assert len({ticket for ticket, _ in tickets}) == 24
    assert sum(naive(ticket) == answer for ticket, answer in tickets) == 13
    assert all(truth(ticket) == answer for ticket, answer in tickets)
    assert not any(stated_laws(ticket) or blanket_rules(ticket) for ticket, _ in tickets)
    assert max(len(ticket.split()) for ticket, _ in tickets) <= 50


def test_what_each_batch_of_the_job_shows() -> None:
    def shown(every_step_learns: bool) -> list[set[str]]:
        tickets = job_tickets(every_step_learns=every_step_learns)
        batches = [tickets[start : start + 8] for start in (0, 8, 16)]
        return [{law.name for ticket, _ in batch for law in shown_laws(ticket)} for batch in batches]

    assert shown(False) == [{"refund", "again", "sign_in", "outage", "wish"}] * 3
    assert shown(True) == [{"refund", "again"}, {"sign_in", "outage"}, {"wish"}]
