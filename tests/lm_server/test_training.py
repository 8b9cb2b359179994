"""Laws of the simulated critic, reducer, optimizer and judge: everything they say comes from the request."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from afnio.models.lm_server.roles import ROLES, role_of
from afnio.models.lm_server.spellings import openai_chat
from afnio.models.lm_server.worlds.tickets import JOB_PROMPT, LAWS, Law, naive, shown_laws, stated_laws, truth
from afnio.models.lm_server.worlds.tickets.book import WRONG_RULES
from afnio.models.simulated import simulated
from afnio.utils.datasets import SupportTickets

TICKETS = [str(message.data) for message, _ in SupportTickets("train")]
FAILING = [ticket for ticket in TICKETS if naive(ticket) != truth(ticket)]
ENTRY = {"type": "object", "properties": {"variable": {"type": "string"}, "text": {"type": "string"}}}
FEEDBACK = {"type": "object", "properties": {"feedback": {"type": "array", "items": ENTRY}}, "required": ["feedback"]}
UPDATE = {"type": "object", "properties": {"reasoning": {"type": "string"}, "value": {"type": "string"}}}

some_laws = st.lists(st.sampled_from(LAWS), unique=True)


def with_laws(start: str, laws: Sequence[Law]) -> str:
    return "\n".join([start, *[f"- {law.text}" for law in laws]])


def sample(ticket: str, said: dict[str, str], number: int = 0) -> str:
    right = json.dumps(truth(ticket))
    return (
        f'<sample id="{number}">\n<input name="message">{ticket}</input>\n<output>{json.dumps(said)}</output>\n'
        f"<feedback>Evaluated by 'exact match': the prediction \"{json.dumps(said)}\" does not match the target "
        f'"{right}"; score 0.</feedback>\n</sample>'
    )


def critic_task(prompt: str, samples: Sequence[str]) -> str:
    call = (
        f'<call>\n<message role="system"><variable id="v1" role="system prompt">{prompt}</variable></message>\n'
        '<message role="user">{message}</message>\n</call>'
    )
    return "\n".join(["<goal>exact match</goal>", call, *samples, "Give feedback on: v1 (system prompt)."])


def optimizer_task(value: str, feedback: Sequence[str], rest: str = "") -> str:
    pieces = [f'<feedback samples="1">{text}</feedback>' for text in feedback]
    return "\n".join([f'<variable role="system prompt">{value}</variable>', *pieces, rest])


def body(task: str, name: str, schema: dict[str, Any], system: str = "You help.") -> dict[str, Any]:
    form = {"type": "json_schema", "json_schema": {"name": name, "schema": schema}}
    messages = [{"role": "system", "content": system}, {"role": "user", "content": task}]
    return {"messages": messages, "response_format": form}


def criticize(task: str) -> list[dict[str, str]]:
    entries: list[dict[str, str]] = json.loads(simulated().chat(**body(task, "afnio_feedback", FEEDBACK)))["feedback"]
    return entries


def optimize(task: str, *, seed: int = 0, bad_share: float = 0.0) -> str:
    reply = json.loads(simulated(seed=seed, bad_share=bad_share).chat(**body(task, "afnio_update", UPDATE)))
    assert set(reply) == {"reasoning", "value"}
    return str(reply["value"])


# -- who asks


def test_roles_are_read_from_the_request() -> None:
    critic, reducer = (
        critic_task("p", [sample(FAILING[0], naive(FAILING[0]))]),
        '<variable id="v1">p</variable>\n<feedback>f</feedback>',
    )
    asked = {
        "forward": {"messages": [{"role": "user", "content": "hello"}]},
        "backward": body(critic, "afnio_feedback", FEEDBACK),
        "reducer": body(reducer, "afnio_feedback", FEEDBACK),
        "optimizer": body(optimizer_task("p", ["f"]), "afnio_update", UPDATE),
        "judge": {"messages": [{"role": "user", "content": "Reply with JSON: a score and an explanation."}]},
    }
    assert tuple(asked) == ROLES
    for role, request in asked.items():
        assert role_of(openai_chat.parse(request)) == role
        without = {"messages": request["messages"]}
        assert role_of(openai_chat.parse(without)) == role


def test_a_repair_turn_keeps_its_role_and_its_task() -> None:
    request = body(optimizer_task(JOB_PROMPT, [LAWS[0].text]), "afnio_update", UPDATE)
    first = simulated(bad_share=0).chat(**request)
    repair = [{"role": "assistant", "content": "?"}, {"role": "user", "content": "This reply cannot be used."}]
    request["messages"] = [*request["messages"], *repair]
    assert role_of(openai_chat.parse(request)) == "optimizer"
    assert simulated(bad_share=0).chat(**request) == first


# -- the critic


@given(st.lists(st.sampled_from(FAILING), min_size=1, max_size=5, unique=True), some_laws)
def test_the_critic_names_the_shown_laws_the_prompt_lacks_and_no_others(tickets: list[str], known: list[Law]) -> None:
    prompt = with_laws(JOB_PROMPT, known)
    outputs = [
        json.loads(
            simulated().chat(messages=[{"role": "system", "content": prompt}, {"role": "user", "content": ticket}])
        )
        for ticket in tickets
    ]
    failing = [(ticket, said) for ticket, said in zip(tickets, outputs, strict=True) if said != truth(ticket)]
    [entry] = criticize(critic_task(prompt, [sample(ticket, said) for ticket, said in failing]))
    expected = {law for ticket, _ in failing for law in shown_laws(ticket)} - set(known)
    assert entry["variable"] == "v1"
    assert set(stated_laws(entry["text"])) == expected
    assert not any(line in entry["text"] for ticket in tickets for line in ticket.split("\n") if len(line) > 25)


def test_the_critic_has_a_rule_removed_that_misled() -> None:
    ticket = next(ticket for ticket in TICKETS if truth(ticket)["urgency"] == "low" and not shown_laws(ticket))
    prompt = f"{JOB_PROMPT}\n{WRONG_RULES[0]}"
    [entry] = criticize(critic_task(prompt, [sample(ticket, truth(ticket) | {"urgency": "high"})]))
    assert entry["text"] == f'Remove the rule "{WRONG_RULES[0]}"'
    assert optimize(optimizer_task(prompt, [entry["text"]])) == JOB_PROMPT


def test_one_entry_for_each_variable_asked_for() -> None:
    task = (
        '<call>\n<message role="system"><variable id="v1" role="system prompt">p</variable></message>\n'
        '<message role="user"><variable id="v2" role="user prompt template">{message}</variable></message>\n</call>\n'
        f"{sample(FAILING[0], naive(FAILING[0]))}\n"
        '<sample id="7"><input name="message"><variable id="v3" role="summary">s</variable></input></sample>\n'
        "Give feedback on: v1 (system prompt), v2 (user prompt template)."
    )
    entries = criticize(task)
    assert [entry["variable"] for entry in entries] == ["v1", "v2"]
    assert stated_laws(entries[0]["text"]) == shown_laws(FAILING[0])
    assert entries[1]["text"] == "No change is needed here."


def test_a_field_judged_alone_names_the_laws_of_that_field() -> None:
    ticket = next(ticket for ticket in FAILING if {law.field for law in shown_laws(ticket)} == {"urgency", "queue"})
    said, right = naive(ticket)["urgency"], truth(ticket)["urgency"]
    text = (
        f'<sample id="0">\n<input name="message">{ticket}</input>\n<output>{said}</output>\n'
        f"<feedback>The prediction ('{said}') and the target ('{right}') differ; score 0.</feedback>\n</sample>"
    )
    [entry] = criticize(critic_task("Give the urgency.", [text]))
    assert [law.field for law in stated_laws(entry["text"])] == ["urgency"]


def test_feedback_from_a_later_node_is_passed_on() -> None:
    text = (
        '<sample id="0">\n<input name="message">a ticket</input>\n<output>a summary</output>\n'
        f"<feedback>State these rules: {LAWS[2].text}</feedback>\n</sample>"
    )
    [entry] = criticize(critic_task("Summarise.", [text]))
    assert stated_laws(entry["text"]) == (LAWS[2],)


def test_what_no_law_explains_gets_a_hint_that_is_followed_once() -> None:
    text = (
        '<sample id="0">\n<input name="message">Hello.</input>\n<output>{"urgency": "low"}</output>\n'
        '<feedback>The prediction "low" does not match the target "high"; score 0.</feedback>\n</sample>'
    )
    [entry] = criticize(critic_task(JOB_PROMPT, [text]))
    assert entry["text"] == "Read the whole message before deciding the urgency."
    new = optimize(optimizer_task(JOB_PROMPT, [entry["text"]]))
    assert new == f"{JOB_PROMPT}\n- {entry['text']}"
    assert optimize(optimizer_task(new, [entry["text"]])) == new


@given(st.lists(some_laws, min_size=1, max_size=5))
def test_the_reducer_keeps_every_law_once(groups: list[list[Law]]) -> None:
    pieces = [f"<feedback>{' '.join(law.text for law in laws) or 'Fine.'}</feedback>" for laws in groups]
    task = "\n".join(['<variable id="v1" role="system prompt">p</variable>', *pieces])
    [entry] = criticize(task)
    named = {law for laws in groups for law in laws}
    assert set(stated_laws(entry["text"])) == named
    assert all(entry["text"].count(law.text) == 1 for law in named)


# -- the optimizer


@given(some_laws, some_laws)
def test_the_optimizer_adds_what_is_named_and_keeps_what_is_there(known: list[Law], named: list[Law]) -> None:
    value = with_laws(JOB_PROMPT, known)
    new = optimize(optimizer_task(value, [law.text for law in named]))
    assert new.startswith(value)
    assert set(stated_laws(new)) == {*known, *named}


@pytest.mark.parametrize(
    "start",
    [
        "Classify this.\nTicket: {message}",
        "You get {message} from {name}.\nAnswer in JSON.",
        "{message}",
        "Be kind.\n\n<ticket>{message}</ticket>\n\nAnswer with {form}.",
    ],
)
@pytest.mark.parametrize("seed", range(5))
def test_start_text_and_placeholders_stay(start: str, seed: int) -> None:
    new = optimize(optimizer_task(start, [law.text for law in LAWS[:3]]), seed=seed, bad_share=0.5)
    lines = iter(new.split("\n"))
    assert all(line in lines for line in start.split("\n"))
    good = optimize(optimizer_task(start, [law.text for law in LAWS[:3]]))
    assert set(stated_laws(good)) == set(LAWS[:3])


TASKS = [
    optimizer_task(with_laws(JOB_PROMPT, [LAWS[0]]), [law.text for law in LAWS[1:4]], f"<!-- {n} -->")
    for n in range(400)
]


def test_a_share_of_the_updates_is_bad() -> None:
    good = optimize(TASKS[0])
    updates = [optimize(task, bad_share=0.15) for task in TASKS]
    bad = [text for text in updates if text != good]
    assert 0.08 * len(TASKS) < len(bad) < 0.22 * len(TASKS)
    assert any(len(text) > len(good) + 300 for text in bad)
    assert any(rule in text for text in bad for rule in WRONG_RULES)
    assert any(len(stated_laws(text)) < len(stated_laws(good)) for text in bad)


def test_an_undone_proposal_is_not_made_again() -> None:
    task = next(task for task in TASKS if optimize(task, bad_share=0.15) != optimize(task))
    undone: list[str] = []
    for _ in range(4):
        history = "".join([f'<version score="0.1" status="undone">{text}</version>' for text in undone])
        proposal = optimize(f"{task}\n<history>\n{history}\n</history>", bad_share=1.0)
        assert proposal not in undone
        undone.append(proposal)


def test_past_feedback_brings_a_lost_law_back() -> None:
    past = f"<past_version>{JOB_PROMPT}\n<feedback>{LAWS[4].text}</feedback></past_version>"
    new = optimize(optimizer_task(JOB_PROMPT, [LAWS[5].text], past))
    assert set(stated_laws(new)) == {LAWS[4], LAWS[5]}


def test_the_same_request_gets_the_same_answer_in_every_process() -> None:
    requests = [body(task, "afnio_update", UPDATE) for task in TASKS[:40]]
    requests += [body(critic_task(JOB_PROMPT, [sample(FAILING[0], naive(FAILING[0]))]), "afnio_feedback", FEEDBACK)]
    program = (
        "import json, sys; from afnio.models.simulated import simulated; "
        "print(json.dumps([simulated(seed=5, bad_share=0.5).chat(**body) for body in json.load(sys.stdin)]))"
    )
    given = json.dumps(requests)
    answers = {
        subprocess.run(
            [sys.executable, "-c", program],
            input=given,
            capture_output=True,
            text=True,
            check=True,
            env={"PYTHONHASHSEED": seed},
        ).stdout
        for seed in ("1", "2")
    }
    here = [simulated(seed=5, bad_share=0.5).chat(**request) for request in reversed(requests)]
    assert [json.loads(answer) for answer in answers] == [here[::-1]]


def test_without_a_schema_the_form_asked_for_is_used() -> None:
    system = "Answer with nothing but one JSON object in a ```json fence."
    messages = [{"role": "system", "content": system}, {"role": "user", "content": optimizer_task("p", [LAWS[0].text])}]
    text = simulated(bad_share=0).chat(messages=messages)
    assert text.startswith("```json\n")
    assert json.loads(text.removeprefix("```json").removesuffix("```"))["value"] == f"p\n- {LAWS[0].text}"


# -- the judge


@pytest.mark.parametrize(("predicted", "score"), [("high", 1), ("low", 0)])
@pytest.mark.parametrize(
    "shown",
    ["<prediction>{}</prediction> <target>high</target>", "Prediction: {}\nTarget: high", "Answer: {}\nExpected: high"],
)
def test_the_judge_compares(shown: str, predicted: str, score: int) -> None:
    messages = [
        {"role": "system", "content": "Compare. Reply with JSON: score (0 or 1) and explanation."},
        {"role": "user", "content": shown.format(predicted)},
    ]
    verdict = json.loads(simulated().chat(messages=messages))
    assert verdict["score"] == score
    assert verdict["explanation"]


@pytest.mark.parametrize("bad_share", [-0.1, 1.5])
def test_a_bad_share_is_a_share(bad_share: float) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        simulated(bad_share=bad_share)
