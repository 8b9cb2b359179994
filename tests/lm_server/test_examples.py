"""World ``tickets``: worked examples in a prompt teach the laws they show, and nothing else."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from afnio.demos import Demos
from afnio.models.lm_server.worlds.tickets import JOB_PROMPT, LAWS, naive, read, shown_laws, truth
from afnio.models.lm_server.worlds.tickets.examples import taught_laws, without_examples
from afnio.models.simulated import simulated
from afnio.utils.datasets import SupportTickets

TICKETS = [str(SupportTickets("train")[index][0].data) for index in range(80)]


def answer(system: str, user: str) -> Any:
    messages = [{"role": "system", "content": system}, {"role": "user", "content": user}]
    return json.loads(simulated().chat(messages=messages))


@given(st.lists(st.sampled_from(TICKETS), max_size=4), st.sampled_from(TICKETS), st.booleans())
def test_a_ticket_is_read_by_the_laws_that_right_examples_show(shown: list[str], ticket: str, beside: bool) -> None:
    demos = Demos([(one, json.dumps(truth(one))) for one in shown])
    laws = [law for one in shown for law in shown_laws(one) if truth(one)[law.field] == law.value]
    expected = read(ticket, JOB_PROMPT, laws)
    system, user = (JOB_PROMPT, f"{demos.text}\n{ticket}") if beside else (f"{JOB_PROMPT}\n{demos.text}", ticket)
    assert answer(system, user) == expected
    if not shown:
        assert expected == naive(ticket)


@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.name)
def test_an_example_with_another_answer_teaches_nothing(law: Any) -> None:
    ticket = next(one for one in TICKETS if law in shown_laws(one))
    assert law not in taught_laws([(ticket, "no idea")])
    assert law in taught_laws([(ticket, json.dumps({law.field: law.value}))])


@given(st.lists(st.tuples(st.text(), st.text()), min_size=1, max_size=3), st.text(alphabet="ab \n"))
def test_what_demos_show_is_taken_out_whole(pairs: list[tuple[str, str]], text: str) -> None:
    demos = Demos(pairs)
    rest, found = without_examples(f"{text}\n{demos.text}")
    assert rest == text
    assert len(found) == len(pairs)


def test_a_text_without_examples_stays_as_it_is() -> None:
    assert without_examples("Say <output>.") == ("Say <output>.", [])
