"""A second truth table, written from the specification alone, before the index's code or the first table was read.

Each kind is a small workflow as agents are written: its calls, what a scripted model answers, and which earlier answers
the program put into which request (``of``).  ``maybe`` names answers that nobody could tell from a true source.
No request contains its own answer.
"""

from __future__ import annotations

import base64
import datetime as dt
import html
import json
import re
import textwrap
import unicodedata
import urllib.parse
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

__all__ = ["FLOW", "NO_FLOW", "Call", "Workload", "workloads"]

CHAT, CLAUDE, RESPONSES, EMBED = "openai.chat", "anthropic.messages", "openai.responses", "openai.embeddings"


@dataclass(frozen=True)
class Call:
    """A call as a recorder sees it, and the truth about it."""

    name: str
    api: str
    request: dict[str, Any]
    response: dict[str, Any]
    of: tuple[str, ...]
    maybe: tuple[str, ...]


@dataclass
class Workload:
    """The calls of one workflow in order; the object that a kind's function calls as its model."""

    name: str
    calls: list[Call] = field(default_factory=list)

    def __call__(
        self,
        name: str,
        prompt: str | list[dict[str, Any]],
        answer: str | dict[str, Any],
        of: str = "",
        maybe: str = "",
        **more: Any,
    ) -> str:
        """One chat completion; ``of`` and ``maybe`` are names, with spaces between."""
        messages = [{"role": "user", "content": prompt}] if isinstance(prompt, str) else prompt
        message = {"role": "assistant", "content": answer} if isinstance(answer, str) else answer
        self.add(name, CHAT, {"model": "gpt-5", "messages": messages, **more}, chat_reply(message), of, maybe)
        return str(message.get("content") or "")

    def add(
        self, name: str, api: str, request: dict[str, Any], response: dict[str, Any], of: str = "", maybe: str = ""
    ) -> dict[str, Any]:
        self.calls.append(Call(name, api, request, response, tuple(of.split()), tuple(maybe.split())))
        return response

    def claude(
        self,
        name: str,
        messages: str | list[dict[str, Any]],
        answer: str | list[dict[str, Any]],
        of: str = "",
        maybe: str = "",
        **more: Any,
    ) -> str:
        messages = [{"role": "user", "content": messages}] if isinstance(messages, str) else messages
        blocks = [{"type": "text", "text": answer}] if isinstance(answer, str) else answer
        request = {"model": "claude-sonnet-5", "max_tokens": 1000, "messages": messages, **more}
        self.add(name, CLAUDE, request, claude_reply(blocks), of, maybe)
        return answer if isinstance(answer, str) else ""

    def respond(
        self,
        name: str,
        given: str | list[dict[str, Any]],
        answer: str | list[dict[str, Any]],
        of: str = "",
        maybe: str = "",
        **more: Any,
    ) -> str:
        items = [responses_text(answer)] if isinstance(answer, str) else answer
        self.add(name, RESPONSES, {"model": "gpt-5", "input": given, **more}, responses_reply(items), of, maybe)
        return answer if isinstance(answer, str) else ""

    def embed(self, name: str, given: str | list[str], of: str = "", maybe: str = "") -> None:
        many = len(given) if isinstance(given, list) else 1
        data = [{"object": "embedding", "index": i, "embedding": [0.013 * i, -0.4217, 0.07719]} for i in range(many)]
        usage = {"prompt_tokens": 8, "total_tokens": 8}
        reply = {"object": "list", "data": data, "model": "text-embedding-3-small", "usage": usage}
        self.add(name, EMBED, {"model": "text-embedding-3-small", "input": given}, reply, of, maybe)

    @property
    def truth(self) -> set[tuple[str, str]]:
        return {(source, call.name) for call in self.calls for source in call.of}

    @property
    def allowed(self) -> set[tuple[str, str]]:
        return self.truth | {(source, call.name) for call in self.calls for source in call.maybe}


def chat_reply(message: dict[str, Any]) -> dict[str, Any]:
    reason = "tool_calls" if message.get("tool_calls") else "stop"
    return {
        "id": "chatcmpl-B9MBs8CjcvOU2jLn4n570S5qMJKcT",
        "object": "chat.completion",
        "created": 1741569952,
        "model": "gpt-5",
        "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": reason}],
        "usage": {"prompt_tokens": 19, "completion_tokens": 10, "total_tokens": 29},
    }


def claude_reply(blocks: list[dict[str, Any]]) -> dict[str, Any]:
    reason = "tool_use" if any(block["type"] == "tool_use" for block in blocks) else "end_turn"
    return {
        "id": "msg_013Zva2CMHLNnXjNJJKqJ2EF",
        "type": "message",
        "role": "assistant",
        "model": "claude-sonnet-5",
        "content": blocks,
        "stop_reason": reason,
        "stop_sequence": None,
        "usage": {"input_tokens": 25, "output_tokens": 15},
    }


def responses_text(text: str) -> dict[str, Any]:
    content = [{"type": "output_text", "text": text, "annotations": []}]
    return {"type": "message", "id": "msg_67ccd3ac", "status": "completed", "role": "assistant", "content": content}


def responses_reply(items: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "id": "resp_67ccd2bed1ec8190",
        "object": "response",
        "created_at": 1741476542,
        "status": "completed",
        "model": "gpt-5",
        "output": items,
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "usage": {
            "input_tokens": 32,
            "input_tokens_details": {"cached_tokens": 0},
            "output_tokens": 18,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": 50,
        },
    }


Kind = Callable[[Workload], None]
FLOW: list[Kind] = []
NO_FLOW: list[Kind] = []


def flow(kind: Kind) -> Kind:
    """Text of an answer is in a later request, and the graph has to say so."""
    FLOW.append(kind)
    return kind


def no_flow(kind: Kind) -> Kind:
    """Nothing flows, or not there where it looks like it."""
    NO_FLOW.append(kind)
    return kind


def workloads(kinds: Iterable[Kind]) -> list[Workload]:
    done = []
    for kind in kinds:
        workload = Workload(kind.__name__)
        kind(workload)
        done.append(workload)
    return done


# ---------------------------------------------------------------------------------------------------- chains and plans


@flow
def rag_chain(lm: Workload) -> None:
    docs = [
        "Refunds above 500 EUR need the approval of a team lead (policy 7.2).",
        "Parcels to islands take two more working days.",
    ]
    query = lm(
        "rewrite",
        "Rewrite the user's question as a search query.\n\nQuestion: hey, my money is not back, it was a lot??",
        "refund delay for large amounts approval threshold",
    )
    found = "\n".join(f"[{i}] {doc}" for i, doc in enumerate(docs))
    said = lm(
        "answer",
        f"Context:\n{found}\n\nSearch query: {query}\n\nAnswer the question from the context only.",
        "Your repayment is held until a supervisor signs it off, since it exceeds our five-hundred limit.",
        of="rewrite",
    )
    lm(
        "grounded",
        f"Context:\n{found}\n\nAnswer: {said}\n\nIs every claim supported? Reply GROUNDED or UNGROUNDED.",
        "GROUNDED",
        of="answer",
    )


@flow
def rag_hyde_embedding(lm: Workload) -> None:
    passage = lm(
        "hyde",
        "Write a passage that would answer: why do transformers overheat in summer?",
        "Oil-cooled units lose their thermal margin when ambient temperature climbs and fans clog with pollen.",
    )
    lm.embed("embed", passage, of="hyde")


@flow
def embed_batch(lm: Workload) -> None:
    lines = lm(
        "queries",
        "Give three search queries on alpine railway safety, one a line.",
        "rack railway brake certification\navalanche gallery sensors\nnarrow gauge derailment statistics",
    ).splitlines()
    lm.embed("embed", lines, of="queries")


@flow
def planner_executor(lm: Workload) -> None:
    plan = lm(
        "plan",
        "Make a plan of three steps for migrating the billing database.",
        "1. Freeze schema changes on the ledger tables\n2. Dual-write invoices into the new cluster\n"
        "3. Cut readers over behind a feature flag",
    )
    steps = [re.sub(r"^\d+\.\s*", "", line) for line in plan.splitlines()]
    results = []
    for i, step in enumerate(steps):
        answer = ["Locked by DDL trigger", "Shadow writer deployed on both shards", "Flag rolled out to all pods"][i]
        results.append(lm(f"step{i}", f"You are an executor. Do this step and report.\nStep: {step}", answer, "plan"))
    lm("report", "Write a status report from:\n- " + "\n- ".join(results), "All done.", of="step0 step1 step2")


@flow
def map_reduce(lm: Workload) -> None:
    chapters = [
        "It was a wet spring in Bergen ...",
        "The ferry had left at noon ...",
        "Nobody answered the telegram ...",
    ]
    answers = [
        "Heavy rainfall ruins the harvest and Ingrid sells her loom.",
        "Missing the boat, Ingrid meets a whaler called Tormod.",
        "Their message stays unread because the operator has fled.",
    ]
    parts = [
        lm(f"map{i}", f"Summarise this chapter in a sentence:\n{chapter}", answers[i])
        for i, chapter in enumerate(chapters)
    ]
    lm("reduce", "Combine the summaries into one:\n\n" + "\n\n".join(parts), "A novel of losses.", of="map0 map1 map2")


@flow
def refine_loop(lm: Workload) -> None:
    draft = lm("draft", "Write a slogan for a bakery.", "Crumbs worth crossing town for")
    critique = lm(
        "critique",
        f"Criticise this slogan: {draft}",
        "Too whimsical; mention sourdough and the early opening hours.",
        of="draft",
    )
    lm(
        "final",
        f"Improve the slogan.\nSlogan: {draft}\nCritique: {critique}",
        "Sourdough at sunrise",
        of="draft critique",
    )


@flow
def react_agent_in_text(lm: Workload) -> None:
    first = lm(
        "think1",
        "Question: How tall is the tallest lighthouse?\nThought:",
        "I need the register of maritime structures.\nAction: lookup[Jeddah Light]",
    )
    observation = "Jeddah Light: 133 m, built 1990"
    second = lm(
        "think2",
        f"Question: How tall is the tallest lighthouse?\nThought: {first}\nObservation: {observation}\nThought:",
        "That entry settles it.\nAction: finish[one hundred thirty-three metres]",
        of="think1",
    )
    found = re.search(r"finish\[(.*)\]", second)
    assert found is not None
    lm("judge", f"Grade this answer: {found.group(1)}", "PASS", of="think2")


@flow
def supervisor_router_argument(lm: Workload) -> None:
    route = json.loads(
        lm(
            "route",
            "Pick a worker and an instruction for: my printer smokes. Answer in JSON.",
            json.dumps({"worker": "hardware", "instruction": "Tell the caller to unplug the fuser unit at once"}),
        )
    )
    lm(
        "worker",
        [
            {"role": "system", "content": f"You are the {route['worker']} specialist."},
            {"role": "user", "content": route["instruction"]},
        ],
        "Pull the plug, then wait ten minutes.",
        of="route",
    )


@flow
def debate_rounds(lm: Workload) -> None:
    pro = lm("pro", "Argue for four-day weeks.", "Rested staff ship fewer defects, as the Reykjavik trial showed.")
    con = lm(
        "con", f"Rebut: {pro}", "Iceland measured public offices; factories with shifts cannot copy that.", of="pro"
    )
    pro2 = lm("pro2", f"Rebut: {con}", "Toyota's Gothenburg plant runs six-hour shifts profitably.", of="con")
    lm("judge", f"A: {pro}\nB: {con}\nA: {pro2}\nWho wins?", "Side A", of="pro con pro2")


@flow
def diamond(lm: Workload) -> None:
    root = lm("root", "Name an invention of 1878.", "The phonograph of Menlo Park")
    left = lm("left", f"Who profited from {root}?", "Record labels in New Jersey", of="root")
    right = lm("right", f"Who lost by {root}?", "Makers of musical boxes in Sainte-Croix", of="root")
    lm("join", f"Compare: {left} versus {right}", "Both adapted.", of="left right")


@flow
def transitive_only_nearest(lm: Workload) -> None:
    a = lm("a", "Invent a product name and claim.", "Velquor, the kettle that hums in B flat when ready")
    b = lm(
        "b",
        f"Write a press release around: {a}",
        "ZURICH. Today we present Velquor, the kettle that hums in B flat when ready. Orders open on Monday.",
        of="a",
    )
    lm("c", f"Shorten this press release:\n{b}", "Humming kettle on sale.", of="b")


@flow
def self_consistency_vote(lm: Workload) -> None:
    votes = []
    for i, text in enumerate(
        ["Reasoning: add the tolls. Result: 418 crowns", "Reasoning: ignore ferries. Result: 377 crowns"]
    ):
        votes.append(lm(f"sample{i}", "What does the trip cost? Think step by step.", text))
    lm(
        "vote",
        "Candidates:\n" + "\n".join(f"({i + 1}) {vote}" for i, vote in enumerate(votes)) + "\nWhich is right?",
        "The first",
        of="sample0 sample1",
    )


@flow
def best_of_n(lm: Workload) -> None:
    titles = ["Salt Roads", "A Lantern for Odessa", "The Ninth Cartographer"]
    drafts = [lm(f"try{i}", "Propose a title for the novel.", title) for i, title in enumerate(titles)]
    lm(
        "blurb",
        f"Write a blurb for the novel titled “{max(drafts, key=len)}”.",
        "A mapmaker vanishes.",
        of="try2",
    )


@flow
def tree_of_thoughts(lm: Workload) -> None:
    thoughts = lm(
        "expand",
        "Propose three next moves, separated by ---",
        "Trade the bishop for the h-pawn\n---\nDouble rooks on the d-file\n---\nMarch the king to c3",
    ).split("\n---\n")
    for i, thought in enumerate(thoughts):
        lm(f"score{i}", f"Rate the move from 1 to 10: {thought}", str(3 + 2 * i), of="expand")


@flow
def write_then_test_code(lm: Workload) -> None:
    reply = lm(
        "code",
        "Write a Python function that merges overlapping intervals.",
        "Here you go:\n```python\ndef merge(spans):\n    out = []\n    for lo, hi in sorted(spans):\n"
        "        if out and lo <= out[-1][1]:\n            out[-1][1] = max(out[-1][1], hi)\n"
        "        else:\n            out.append([lo, hi])\n    return out\n```\nLet me know!",
    )
    found = re.search(r"```python\n(.*?)```", reply, re.DOTALL)
    assert found is not None
    lm("tests", f"Write pytest tests for this code:\n\n{found.group(1)}", "def test_touching(): ...", of="code")


@flow
def code_indented_in_prompt(lm: Workload) -> None:
    code = lm(
        "code",
        "Write a shell loop that compresses logs.",
        'for f in /var/log/*.log; do\n  zstd -19 "$f" && rm -- "$f"\ndone',
    )
    lm("review", "Review:\n\n" + textwrap.indent(code, "    "), "Quote is fine.", of="code")


@flow
def fix_traceback_loop(lm: Workload) -> None:
    code = lm("v1", "Write a parser for key=value lines.", "dict(l.split('=') for l in text.splitlines())")
    lm(
        "v2",
        f"The code\n{code}\nfailed with\nValueError: dictionary update sequence element #3 has length 1; 2 is required",
        "{k: v for k, _, v in (l.partition('=') for l in text.splitlines())}",
        of="v1",
    )


# ------------------------------------------------------------------------------------------------------ JSON and fields


@flow
def json_fields_to_two_prompts(lm: Workload) -> None:
    data = json.loads(
        lm(
            "extract",
            "Extract name and complaint as JSON from the mail below.\n...",
            '{"name": "Oluwaseun Adeyemi", "complaint": "the left hinge squeals since delivery"}',
        )
    )
    lm("greet", f"Write a greeting to {data['name']}.", "Good morning!", of="extract")
    lm("triage", f"Which team handles: {data['complaint']}?", "Carpentry", of="extract")


@flow
def json_fenced(lm: Workload) -> None:
    reply = lm(
        "extract",
        "Return JSON in a fence.",
        '```json\n{\n  "vendor": "Kestrel Optics GmbH",\n  "iban": "DE89370400440532013000"\n}\n```',
    )
    data = json.loads(reply.strip("`").removeprefix("json"))
    lm("check", f"Is this a valid account of the vendor? IBAN {data['iban']}", "Checksum holds", of="extract")


@flow
def json_repasted_indented(lm: Workload) -> None:
    data = json.loads(
        lm("extract", "Order as JSON.", '{"sku":"QX-7741-B","quantity":18,"note":"leave behind the blue barrel"}')
    )
    lm("confirm", f"Confirm this order:\n{json.dumps(data, indent=4)}", "Confirmed.", of="extract")


@flow
def json_number_reformatted(lm: Workload) -> None:
    data = json.loads(lm("total", "Give the total as JSON.", '{"total": 1234.5}'))
    lm("letter", f"Write: the invoice comes to EUR {data['total']:,.2f}.", "Dear customer ...", of="total")


@flow
def json_number_thousands(lm: Workload) -> None:
    data = json.loads(lm("count", "How many inhabitants? JSON.", '{"inhabitants": 8432119}'))
    lm("text", f"Describe a city of {data['inhabitants']:,} people.", "A metropolis.", of="count")


@flow
def json_integer_plain(lm: Workload) -> None:
    data = json.loads(lm("id", "Which ticket? JSON.", '{"ticket_id": 90871}'))
    lm("load", f"Summarise ticket {data['ticket_id']}.", "A broken hinge.", of="id")


@flow
def json_keys_iterated(lm: Workload) -> None:
    data = json.loads(
        lm(
            "topics",
            "Count topics as a JSON object.",
            '{"late delivery": 14, "damaged packaging": 9, "rude courier": 3}',
        )
    )
    for i, topic in enumerate(data):
        lm(f"topic{i}", f"Suggest one measure against: {topic}", f"Measure {'ABC'[i]}", of="topics")


@flow
def json_key_in_prose(lm: Workload) -> None:
    data = json.loads(lm("scores", "Score each supplier, JSON.", '{"Brightwater Foods": 7, "Hallam & Sons": 4}'))
    best = max(data, key=data.get)
    lm("why", f"Explain to the board why {best} should get the contract.", "Because of price.", of="scores")


@flow
def json_nested_list_items_to_workers(lm: Workload) -> None:
    tasks = json.loads(
        lm(
            "split",
            "Split the project into tasks as JSON.",
            '{"tasks": [{"title": "Draft the tenancy clauses", "owner": "Mirela"},'
            ' {"title": "Price the scaffolding", "owner": "Jomo"}]}',
        )
    )["tasks"]
    lm("w0", f"{tasks[0]['owner']}, please do: {tasks[0]['title']}", "Clause 1 ...", of="split")
    lm("w1", f"{tasks[1]['owner']}, please do: {tasks[1]['title']}", "EUR 4,100", of="split")


@flow
def json_escapes_inside_string(lm: Workload) -> None:
    data = json.loads(lm("quote", "Quote as JSON.", '{"quote": "He said: \\"never \\u00e0 la carte\\"\\nand left."}'))
    lm("translate", f"Translate into Polish: {data['quote']}", "Powiedział ...", of="quote")


@flow
def json_string_inside_json(lm: Workload) -> None:
    text = lm("note", "Write a field note.", 'Seven "grey" herons\nnear the weir at dusk')
    lm("store", "Validate this record: " + json.dumps({"note": text, "v": 2}), "valid", of="note")


@flow
def json_lines(lm: Workload) -> None:
    rows = lm(
        "rows",
        "Emit JSON lines.",
        '{"city": "Tbilisi", "verdict": "steep but worth it"}\n{"city": "Cork", "verdict": "bring an umbrella"}',
    ).splitlines()
    lm("use", f"Expand the verdict: {json.loads(rows[1])['verdict']}", "It rains.", of="rows")


@flow
def json_bool_table_as_yaml(lm: Workload) -> None:
    data = json.loads(lm("features", "JSON.", '{"balcony": true, "heating": "pellet stove", "floor": 5}'))
    lm("ad", "Write an advert for:\n" + "\n".join(f"{k}: {v}" for k, v in data.items()), "Cosy!", of="features")


@flow
def json_dict_repr(lm: Workload) -> None:
    data = json.loads(lm("profile", "JSON.", '{"pet": "axolotl", "keeper": "Wanjiru", "since": "2019-04-02"}'))
    lm("story", f"Write a story about {data}", "Once ...", of="profile")


@flow
def csv_from_json(lm: Workload) -> None:
    rows = json.loads(lm("rows", "JSON rows.", '[["Anholt", 41.5], ["Læsø", 118.0], ["Samsø", 112.2]]'))
    lm("table", "Islands:\n" + "\n".join(f"{name};{size}" for name, size in rows), "Three islands", of="rows")


@flow
def structured_output_enum_then_used(lm: Workload) -> None:
    schema = {"type": "object", "properties": {"intent": {"enum": ["refund_request", "address_change", "other"]}}}
    data = json.loads(
        lm(
            "classify",
            "Classify: I moved to Lyon last week",
            '{"intent": "address_change"}',
            response_format={"type": "json_schema", "json_schema": {"name": "intent", "schema": schema}},
        )
    )
    lm("act", f"Handle the following intent for customer 7: {data['intent']}", "Done.", of="classify")


# ----------------------------------------------------------------------------------------------------- cutting, joining


@flow
def regex_group(lm: Workload) -> None:
    said = lm("invoice", "Read the scan.", "The invoice number is INV-2291-KX and it is due in March.")
    found = re.search(r"INV-\S+", said)
    assert found is not None
    lm("pay", f"Prepare the payment of {found.group(0)}", "Prepared.", of="invoice")


@flow
def regex_after_label(lm: Workload) -> None:
    said = lm("cot", "Think, then answer.", "The tide turns first, so the barge waits.\nFinal answer: Port Lockroy")
    lm("next", f"Tell me the weather at {said.rsplit('Final answer: ')[-1]}.", "Cold.", of="cot")


@flow
def xml_tag(lm: Workload) -> None:
    said = lm.claude(
        "tagged",
        "Answer inside tags.",
        "<thinking>Compare tariffs.</thinking>\n<answer>Switch to the night tariff of Enovos</answer>",
    )
    found = re.search(r"<answer>(.*)</answer>", said)
    assert found is not None
    lm.claude("mail", f"Write a mail that advises: {found.group(1)}", "Dear Sir", of="tagged")


@flow
def first_half(lm: Workload) -> None:
    text = lm(
        "long", "Describe the garden.", "Behind the quince hedge a rusted gate leads to beehives nobody has tended."
    )
    lm("half", f"Continue: {text[: len(text) // 2]}", "... stairs", of="long")


@flow
def second_half(lm: Workload) -> None:
    text = lm(
        "long", "Describe the attic.", "Trunks of moth-eaten uniforms lean against a dismantled harmonium in the dark."
    )
    lm("half", f"Which object is meant: {text[len(text) // 2 :]}", "an organ", of="long")


@flow
def truncated_at_40(lm: Workload) -> None:
    text = lm("long", "Tell a fact.", "Lampreys have survived four mass extinctions with hardly any change of shape.")
    lm("cut", f"Finish this: {text[:40]}…", "fish", of="long")


@flow
def sentences_to_workers(lm: Workload) -> None:
    text = lm(
        "claims",
        "Make three claims.",
        "Basalt columns cool in hexagons. Obsidian edges are sharper than scalpels. Pumice floats for years.",
    )
    for i, sentence in enumerate(text.split(". ")):
        lm(f"check{i}", f"Fact-check: {sentence}", ["true", "mostly true", "depends"][i], of="claims")


@flow
def list_items_over_workers(lm: Workload) -> None:
    items = [
        line[2:]
        for line in lm(
            "list", "Five dishes as a list.", "- borscht\n- khachapuri\n- ceviche\n- laksa\n- pierogi"
        ).splitlines()
    ]
    for i, item in enumerate(items):
        lm(f"recipe{i}", f"Give me a recipe for {item}.", f"Recipe number {'IVXLC'[i]}", of="list")


@flow
def comma_list_to_workers(lm: Workload) -> None:
    names = lm("names", "Name four moons.", "Enceladus, Umbriel, Callisto, Proteus").split(", ")
    for i, name in enumerate(names):
        lm(f"moon{i}", f"How far is {name} from its planet?", f"{238 + 91 * i} thousand km", of="names")


@flow
def joined_from_words(lm: Workload) -> None:
    word1 = lm("w1", "An adjective?", "gossamer")
    word2 = lm("w2", "An animal?", "pangolin")
    lm("poem", f"Write a poem on a {word1} {word2}.", "In the dusk ...", of="w1 w2")


@flow
def template_fill(lm: Workload) -> None:
    name = lm("name", "A Welsh first name?", "Myfanwy")
    town = lm("town", "A Norwegian town?", "Kongsvinger")
    lm("story", f"Write about {name}, who moves to {town} to learn weaving.", "She packed.", of="name town")


@flow
def markdown_stripped(lm: Workload) -> None:
    text = lm(
        "md", "Describe the bug.", "## Root cause\n\nThe **scheduler** drops `SIGCHLD` when *two* workers exit at once."
    )
    lm("plain", "Explain: " + re.sub(r"[*`#]", "", text), "A race.", of="md")


@flow
def bullets_renumbered(lm: Workload) -> None:
    text = lm("bul", "Risks?", "* flooding of the lower vault\n* mould on the parchment\n* theft by contractors")
    numbered = "\n".join(f"{i}) {line[2:]}" for i, line in enumerate(text.splitlines(), 1))
    lm("rank", f"Rank these risks:\n{numbered}", "2, 1, 3", of="bul")


@flow
def sorted_lines(lm: Workload) -> None:
    text = lm("un", "List colleagues.", "Zbigniew Wrona\nAnneke de Boer\nMalik Traoré")
    lm("sorted", "Seat them in this order:\n" + "\n".join(sorted(text.splitlines())), "seated", of="un")


@flow
def deduplicated_words(lm: Workload) -> None:
    text = lm("kw", "Keywords?", "turbine, gearbox, nacelle, turbine, yaw bearing, gearbox")
    lm("tag", "Tag the article with: " + " | ".join(dict.fromkeys(text.split(", "))), "ok", of="kw")


@flow
def interleaved(lm: Workload) -> None:
    a = lm(
        "qs", "Three questions.", "Who keeps the keys?\nWhen was the vault sealed?\nWhy is the ledger wet?"
    ).splitlines()
    b = lm("as", "Three answers.", "The sexton does\nIn the winter of 1911\nBecause of the spring thaw").splitlines()
    text = "\n".join(f"Q: {x}\nA: {y}" for x, y in zip(a, b, strict=True))
    lm("grade", f"Grade the pairs:\n{text}", "3 of 3", of="qs as")


@flow
def word_wrapped(lm: Workload) -> None:
    text = lm(
        "long",
        "Explain ballast.",
        "Ballast tanks are flooded in harbour so that an empty tanker keeps its propeller submerged at sea.",
    )
    lm("wrapped", "Edit this:\n" + textwrap.fill(text, 28), "Edited.", of="long")


# ------------------------------------------------------------------------------------------------- transformations


@flow
def uppercase(lm: Workload) -> None:
    text = lm("t", "A motto?", "steady hands, quiet engines")
    lm("u", f"Design a badge with: {text.upper()}", "badge", of="t")


@flow
def lowercase(lm: Workload) -> None:
    text = lm("t", "A sign?", "BEWARE OF THE FALLING CHESTNUTS")
    lm("u", f"Rhyme with: {text.lower()}", "rhyme", of="t")


@flow
def titlecase(lm: Workload) -> None:
    text = lm("t", "A theme?", "forgotten ferries of the danube delta")
    lm("u", f"Design a poster titled {text.title()}", "poster", of="t")


@flow
def slug(lm: Workload) -> None:
    text = lm("t", "A blog title?", "Why Herring Gulls Steal Chips")
    lm("u", f"Check the URL /blog/{text.lower().replace(' ', '-')}/", "ok", of="t")


@flow
def snake_case(lm: Workload) -> None:
    text = lm("t", "A variable in words?", "remaining orbit insertion burns")
    lm("u", f"Write a function that returns {text.replace(' ', '_')}", "def ...", of="t")


@flow
def whitespace_collapsed(lm: Workload) -> None:
    text = lm("t", "Note?", "The   locksmith\n\n   never\treturned\n the spare   key.")
    lm("u", f"Analyse: {' '.join(text.split())}", "theft", of="t")


@flow
def html_escaped(lm: Workload) -> None:
    text = lm("t", "A formula?", 'if a < b & c > "delta" then halt the pump')
    lm("u", f"<p>{html.escape(text)}</p>", "seen", of="t")


@flow
def html_unescaped(lm: Workload) -> None:
    text = lm("t", "A caption?", "Fish &amp; chips at Dún Laoghaire &mdash; caf&eacute; terrace")
    lm("u", f"Describe: {html.unescape(text)}", "photo", of="t")


@flow
def url_encoded(lm: Workload) -> None:
    text = lm("t", "A search phrase?", "vintage theodolite repair münchen")
    lm("u", f"Fetch https://example.com/search?q={urllib.parse.quote_plus(text)}", "fetched", of="t")


@flow
def url_quoted_percent(lm: Workload) -> None:
    text = lm("t", "File name?", "Quarterly report (final) Søren.xlsx")
    lm("u", f"Download /files/{urllib.parse.quote(text)}", "downloaded", of="t")


@flow
def typographic_quotes(lm: Workload) -> None:
    text = lm("t", "Quote?", "“Don’t trust the barometer” – she said…")
    plain = text.replace("“", '"').replace("”", '"').replace("’", "'").replace("–", "-").replace("…", "...")
    lm("u", f"Who says: {plain}", "the captain", of="t")


@flow
def accents_removed(lm: Workload) -> None:
    text = lm("t", "A name?", "Étienne Çavuşoğlu-Þórarinsson")
    plain = "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))
    lm("u", f"Find the account of {plain}", "found", of="t")


@flow
def fullwidth_normalised(lm: Workload) -> None:
    text = lm("t", "Code?", "ＡＢＸ－４４１９ｑ　Nagoya")
    lm("u", f"Track parcel {unicodedata.normalize('NFKC', text)}", "in transit", of="t")


@flow
def stripped_punctuation(lm: Workload) -> None:
    text = lm("t", "Motto?", '"Per aspera, ad Kiruna!"')
    lm("u", f"Translate: {text.strip(chr(34)).rstrip('!')}", "through hardships", of="t")


@flow
def number_rounded_display(lm: Workload) -> None:
    value = float(lm("v", "Measure the flux; number only.", "48213.70"))
    lm("u", f"Is a flux of {value:,.1f} dangerous?", "yes", of="v")


@flow
def percent_value(lm: Workload) -> None:
    data = json.loads(lm("v", "JSON churn?", '{"churn": 0.1837}'))
    lm("u", f"Comment a churn of {data['churn']:.2%}", "high", of="v")


@flow
def date_kept(lm: Workload) -> None:
    day = lm("d", "When does the lease end? ISO date.", "2031-08-17")
    lm("u", f"Set a reminder a month before {day}.", "set", of="d")


@flow
def date_reformatted(lm: Workload) -> None:
    day = dt.date.fromisoformat(lm("d", "When is the hearing? ISO date.", "2029-11-23"))
    lm("u", f"Draft a summons for {day:%d.%m.%Y}.", "drafted", of="d")


@flow
def base64_attachment(lm: Workload) -> None:
    text = lm("t", "Write a readme.", "Run the bootstrap script twice; the first pass only seeds the cache.")
    lm("u", f"Decode and lint: {base64.b64encode(text.encode()).decode()}", "linted", of="t")


# ------------------------------------------------------------------------------------------------------- short values


@flow
def yes_no_as_field(lm: Workload) -> None:
    verdict = lm("gate", "Does the mail mention a lawyer? One word.", "yes")
    lm("act", f"Legal threat detected: {verdict}\nWrite the reply accordingly.", "Dear Madam", of="gate")


@flow
def score_number(lm: Workload) -> None:
    score = lm("score", "Rate the essay out of ten; number only.", "7")
    lm("act", f"Score: {score}\nExplain the score to the pupil.", "Good work", of="score")


@flow
def short_label_as_value(lm: Workload) -> None:
    label = lm("label", "Label the mood of the tweet in a word of your own.", "wistful")
    lm("act", f"Pick music for this mood: {label}", "Satie", of="label")


@flow
def offered_label(lm: Workload) -> None:
    label = lm("classify", "Classify as BILLING, SHIPPING or TECHNICAL: the app crashes at login", "TECHNICAL")
    lm("act", f"You are an agent of the queue {label}. Answer the customer.", "Please restart", of="classify")


@flow
def offered_label_again_in_loop(lm: Workload) -> None:
    mails = ["where is my parcel", "refund me", "it will not boot"]
    for i, label in enumerate(["logistics", "accounting", "support"]):
        said = lm(f"c{i}", f"Route to logistics, accounting or support.\nMail: {mails[i]}", label)
        lm(f"a{i}", f"Department: {said}\nMail: {mails[i]}\nWrite a reply.", f"Reply {'xyz'[i]}", of=f"c{i}")


@flow
def email_address(lm: Workload) -> None:
    address = lm("who", "Who owns the domain? Mail address only.", "hostmaster@lindqvist-foundry.se")
    lm("mail", f"Write a mail to {address}", "Hello", of="who")


@flow
def uuid_value(lm: Workload) -> None:
    uid = lm("make", "Create the record; give its id.", "Created 7f9c24e5-2f0a-4c1b-9a37-51d0c9ab7e10 in eu-west.")
    found = re.search(r"[0-9a-f-]{36}", uid)
    assert found is not None
    lm("use", f"Delete record {found.group(0)}", "deleted", of="make")


@flow
def phone_number_reformatted(lm: Workload) -> None:
    number = lm("tel", "Phone of the harbour office?", "+47 555 01 88 23")
    lm("call", f"Dial {number.replace(' ', '')}", "ringing", of="tel")


@flow
def price_with_currency(lm: Workload) -> None:
    price = lm("price", "Price?", "€1,249.99")
    lm("cmp", f"Is {price} a fair price for a used cello bow?", "no", of="price")


@flow
def file_path_value(lm: Workload) -> None:
    path = lm("find", "Which file holds the bug?", "The bug is in src/billing/prorate.py, near the end.")
    found = re.search(r"src/\S+\.py", path)
    assert found is not None
    lm("open", f"Propose a patch for {found.group(0)}", "diff ...", of="find")


@flow
def first_name_in_prose(lm: Workload) -> None:
    who = lm("who", "Who should lead? First name only.", "Priyanka")
    lm(
        "mail",
        f"Draft an announcement that Priyanka-led squads ship twice a month; thank {who} warmly.",
        "Team!",
        of="who",
    )


@flow
def name_pulled_from_prose(lm: Workload) -> None:
    text = lm("news", "News of the day?", "At noon the minister, Halldóra Briem, resigned over the ferry tender.")
    found = re.search(r"minister, ([^,]+),", text)
    assert found is not None
    lm("bio", f"Write a short biography of {found.group(1)}.", "Born in ...", of="news")


@flow
def single_surname_from_prose(lm: Workload) -> None:
    text = lm("crew", "Who repaired the pump?", "The pump was repaired by Okonkwo during the second dog watch.")
    found = re.search(r"by (\w+)", text)
    assert found is not None
    lm("thank", f"Write a thank-you card to {found.group(1)}.", "Thanks!", of="crew")


@flow
def sql_from_model(lm: Workload) -> None:
    sql = lm("sql", "Write SQL for the top customers.", "SELECT name, SUM(net) FROM orders GROUP BY name LIMIT 5;")
    rows = "Ada | 120\nBo | 95"
    lm("say", f"The query was:\n{sql}\nThe rows are:\n{rows}\nExplain them.", "Ada leads.", of="sql")


# ---------------------------------------------------------------------------------------------------- other alphabets


@flow
def cjk_sentence(lm: Workload) -> None:
    text = lm("ja", "Write a haiku in Japanese.", "古池や蛙飛びこむ水の音")
    lm("tr", f"Translate into English: {text}", "old pond", of="ja")


@flow
def cjk_part(lm: Workload) -> None:
    text = lm("zh", "介绍一个城市。", "敦煌位于河西走廊的最西端,以石窟壁画闻名。")
    lm("zh2", f"请解释:{text[5:14]}", "地理位置", of="zh")


@flow
def cyrillic_upper(lm: Workload) -> None:
    text = lm("ru", "Девиз для пекарни?", "тёплый хлеб с первой электричкой")
    lm("ru2", f"Нарисуй вывеску: {text.upper()}", "вывеска", of="ru")


@flow
def arabic_sentence(lm: Workload) -> None:
    text = lm("ar", "اكتب مثلاً", "الصبر مفتاح الفرج في مواسم القحط")
    lm("ar2", f"اشرح المثل التالي: {text}", "شرح", of="ar")


@flow
def emoji_and_text(lm: Workload) -> None:
    text = lm("e", "A status post?", "🚀 Shipped the lighthouse beta 🎉 after 93 rebuilds")
    lm("e2", f"Make this formal: {text.replace('🚀', '').replace('🎉', '')}", "We released.", of="e")


# ------------------------------------------------------------------------------------------------------- conversations


@flow
def chat_history(lm: Workload) -> None:
    messages: list[dict[str, Any]] = [{"role": "system", "content": "You are a terse travel agent."}]
    replies = ["Try Ljubljana in May", "The Emonec hotel has rooms", "Buses leave from Metelkova"]
    for i, question in enumerate(["Where to go?", "Where to sleep?", "How to reach Bled?"]):
        messages.append({"role": "user", "content": question})
        said = lm(f"t{i}", list(messages), replies[i], of=" ".join(f"t{j}" for j in range(i)))
        messages.append({"role": "assistant", "content": said})


@flow
def chat_history_short_answers(lm: Workload) -> None:
    messages: list[dict[str, Any]] = []
    for i, reply in enumerate(["yes", "no", "maybe later"]):
        messages.append({"role": "user", "content": f"Statement {'ABC'[i]}: shall we?"})
        lm(f"t{i}", list(messages), reply, of=" ".join(f"t{j}" for j in range(i)))
        messages.append({"role": "assistant", "content": reply})


@flow
def chat_summary_memory(lm: Workload) -> None:
    first = lm("t0", "Where is the key?", "Under the third flowerpot, the cracked one.")
    memory = lm(
        "sum",
        f"Summarise the conversation.\nUser: Where is the key?\nAssistant: {first}",
        "The assistant disclosed a hiding place near broken pottery.",
        of="t0",
    )
    lm(
        "t1",
        [{"role": "system", "content": f"Memory: {memory}"}, {"role": "user", "content": "And the spare?"}],
        "No idea.",
        of="sum",
    )


@flow
def tool_call_arguments_and_result(lm: Workload) -> None:
    call = {
        "id": "call_9xkQ2",
        "type": "function",
        "function": {"name": "get_weather", "arguments": '{"city": "Ulaanbaatar"}'},
    }
    tools = [{"type": "function", "function": {"name": "get_weather", "parameters": {"type": "object"}}}]
    question = {"role": "user", "content": "Do I need a coat at the steppe capital?"}
    message = {"role": "assistant", "content": None, "tool_calls": [call]}
    lm("decide", [question], message, tools=tools)
    result = {"role": "tool", "tool_call_id": "call_9xkQ2", "content": '{"celsius": -19, "sky": "clear"}'}
    lm("answer", [question, message, result], "Yes, a thick one.", of="decide", tools=tools)


@flow
def tool_arguments_to_subagent(lm: Workload) -> None:
    arguments = {"brief": "Compare peat extraction licences in Latvia and Estonia", "words": 200}
    call = {"id": "call_s1", "type": "function", "function": {"name": "delegate", "arguments": json.dumps(arguments)}}
    lm("boss", "Delegate something.", {"role": "assistant", "content": None, "tool_calls": [call]})
    lm("sub", f"{arguments['brief']}\nIn at most {arguments['words']} words.", "Latvia issues ...", of="boss")


@flow
def subagent_result_to_boss(lm: Workload) -> None:
    call = {
        "id": "call_s2",
        "type": "function",
        "function": {"name": "delegate", "arguments": '{"brief": "Count swans on the Alster"}'},
    }
    asked = {"role": "user", "content": "How many birds?"}
    boss = {"role": "assistant", "content": None, "tool_calls": [call]}
    lm("boss", [asked], boss)
    said = lm("sub", "Count swans on the Alster", "Roughly one hundred and twenty were fed this winter", of="boss")
    lm("boss2", [asked, boss, {"role": "tool", "tool_call_id": "call_s2", "content": said}], "Many.", of="boss sub")


@flow
def anthropic_blocks(lm: Workload) -> None:
    use = {"type": "tool_use", "id": "toolu_01A09q", "name": "search", "input": {"q": "dike height Delfzijl"}}
    blocks: list[dict[str, Any]] = [{"type": "text", "text": "I will look that up."}, use]
    lm.claude("a", "How high is the dike?", blocks)
    result = {"type": "tool_result", "tool_use_id": "toolu_01A09q", "content": [{"type": "text", "text": "8.9 m +NAP"}]}
    lm.claude(
        "b",
        [
            {"role": "user", "content": "How high is the dike?"},
            {"role": "assistant", "content": blocks},
            {"role": "user", "content": [result]},
        ],
        "Almost nine metres.",
        of="a",
    )


@flow
def anthropic_system_prompt(lm: Workload) -> None:
    persona = lm.claude("persona", "Invent a persona.", "Aldous, a retired tram conductor with a fear of bells")
    lm.claude("chat", "Who are you?", "Just an old man.", of="persona", system=f"Stay in character: {persona}")


@flow
def anthropic_tool_input_used(lm: Workload) -> None:
    use = {
        "type": "tool_use",
        "id": "toolu_77",
        "name": "file",
        "input": {"title": "Cracked flange on pump 4B", "sev": 2},
    }
    lm.claude("a", "File a bug.", [use])
    lm.claude("b", f"Estimate the effort of: {use['input']['title']}", "Two days", of="a")  # type: ignore[index]


@flow
def responses_items(lm: Workload) -> None:
    call = {
        "type": "function_call",
        "id": "fc_1",
        "call_id": "call_r7",
        "name": "stock",
        "arguments": '{"isin":"CH0038863350"}',
        "status": "completed",
    }
    user = {"role": "user", "content": "Price of my share?"}
    lm.respond("a", [user], [call])
    output = {"type": "function_call_output", "call_id": "call_r7", "output": "98.14"}
    said = lm.respond("b", [user, call, output], "It trades a little under a hundred.", of="a")
    lm.respond("c", f"Translate into Romansh: {said}", "...", of="b")


@flow
def responses_instructions(lm: Workload) -> None:
    style = lm.respond("style", "Invent a style guide.", "Never use semicolons; address readers as fellow gardeners.")
    lm.respond("text", "Write on compost.", "Friends ...", of="style", instructions=style)


@flow
def mixed_providers(lm: Workload) -> None:
    fact = lm.respond("gpt", "A fact on tardigrades?", "Tardigrades replace their water with trehalose glass")
    view = lm.claude("claude", f"Is this right? {fact}", "Vitrification is only partly explained by sugars", of="gpt")
    lm("final", f"Merge both views:\n{fact}\n{view}", "Partly.", of="gpt claude")


@flow
def streamed(lm: Workload) -> None:
    text = lm("s", "Stream a line.", "Copper roofs turn green by way of brochantite", stream=True)
    lm("u", f"Explain: {text}", "patina", of="s", stream=True)


@flow
def image_message_with_text(lm: Workload) -> None:
    text = lm("ocr", "Transcribe.", "Platform 9: trains towards Tarvisio are suspended")
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgoAAAANSUhEUg=="}}
    content = [{"type": "text", "text": f"Does the sign say: {text}?"}, image]
    lm("check", [{"role": "user", "content": content}], "Indeed", of="ocr")


# ---------------------------------------------------------------------------------------- many calls, formulaic texts


@flow
def formulaic_mails(lm: Workload) -> None:
    """The same letter for many customers: only names and numbers tell the answers apart."""
    firsts = ["Anna", "Boris", "Chloe", "Dmitri", "Elena", "Farid", "Greta", "Hugo"]
    lasts = ["Falk", "Moreau", "Ortega", "Novak", "Haddad", "Lund", "Petrov", "Silva"]
    for i in range(24):
        name, order = f"{firsts[i % 8]} {lasts[(i * 3 + i // 8) % 8]}", 48100 + 37 * i
        mail = lm(
            f"w{i}",
            f"Write to the customer of row {i}.",
            f"Dear {name}, we are sorry that your order {order} is late. We will refund you. Kind regards, the team",
        )
        lm(f"c{i}", f"Check the tone of this mail:\n\n{mail}", f"tone {i} fine", of=f"w{i}")


@flow
def formulaic_mails_batched(lm: Workload) -> None:
    """All are written, then all are checked, so that the nearest is never the right one."""
    cities = ["Turku", "Lviv", "Porto", "Gdansk", "Bergen", "Split", "Ghent", "Graz", "Vilnius", "Cadiz"]
    mails = [
        lm(
            f"w{i}",
            f"Invite the guest of row {i}.",
            f"Dear guest, we are happy to invite you to {city} on {3 + 2 * i} June. Please reply within {4 + i} days.",
        )
        for i, city in enumerate(cities)
    ]
    for i, mail in enumerate(mails):
        lm(f"c{i}", f"Make it shorter:\n{mail}", f"short {i}", of=f"w{i}")


@flow
def ticket_pipeline(lm: Workload) -> None:
    for i, (order, what) in enumerate(
        [("A-1093", "kettle"), ("A-2177", "kettle"), ("A-5518", "toaster"), ("A-9920", "kettle")]
    ):
        data = lm(f"x{i}", f"Extract from mail {i}.", json.dumps({"order": order, "product": what, "wants": "refund"}))
        said = lm(
            f"r{i}", f"Write a reply for {data}", f"We will pay back the {what} of order {order} soon.", of=f"x{i}"
        )
        lm(f"q{i}", f"Quality check:\n{said}", f"passed {i}", of=f"r{i}")


@flow
def pagination(lm: Workload) -> None:
    cursor, names = "start", ["tok_h3Kd91", "tok_p0Zz47", "tok_w8Xy22"]
    for i, token in enumerate(names):
        reply = lm(
            f"p{i}", f"List the next page after cursor {cursor}.", f"next_cursor: {token}", of=f"p{i - 1}" if i else ""
        )
        cursor = reply.split(": ")[1]


@flow
def rolling_state(lm: Workload) -> None:
    state = "{}"
    answers = [{"mood": "curious", "gold": 12}, {"mood": "wary", "gold": 9}, {"mood": "ruined", "gold": 0}]
    for i, answer in enumerate(answers):
        state = lm(
            f"s{i}",
            f"Game state: {state}\nMove {i}: update the state.",
            json.dumps(answer),
            of=f"s{i - 1}" if i else "",
        )


@flow
def same_answer_twice_latest_used(lm: Workload) -> None:
    lm("a", "City of the fair?", "Pardubice")
    city = lm("b", "City of the race?", "Pardubice")
    lm("c", f"Hotels in {city}?", "Two", of="b", maybe="a")


@flow
def retry_same_prompt_second_answer(lm: Workload) -> None:
    lm("bad", "Give me valid JSON of the fleet.", "Sure! Fleet: vans=3, lorries=oops")
    good = lm("good", "Give me valid JSON of the fleet.", '{"vans": 3, "depots": ["Zwolle", "Almelo"]}')
    lm(
        "use",
        f"Plan routes from {json.loads(good)['depots'][0]} and {json.loads(good)['depots'][1]}.",
        "Routes",
        of="good",
    )


@flow
def retry_with_error_feedback(lm: Workload) -> None:
    bad = lm("bad", "Fleet as JSON.", "vans=3, lorries=seventeen or so")
    lm("good", f"Your answer was not valid JSON:\n{bad}\nTry again.", '{"vans": 3}', of="bad")


@flow
def long_report_one_sentence_quoted(lm: Workload) -> None:
    report = lm(
        "report",
        "Write a long report on harbours.",
        " ".join(
            f"Berth {i} reports {['calm water', 'silt', 'queues', 'new cranes'][i % 4]} and {17 * i} calls."
            for i in range(40)
        )
        + " Only the pilot station at Skagen asked for a second tug in every single gale this season. "
        + " ".join(f"Quay {i} was inspected by team {i % 7}." for i in range(40)),
    )
    sentence = next(s for s in report.split(". ") if "Skagen" in s)
    lm("ask", f"Why would that be? “{sentence}”", "Currents.", of="report")


@flow
def long_prompt_small_quote(lm: Workload) -> None:
    word = lm("codename", "Invent a codename.", "Project Thistledown Ferret")
    filler = " ".join(
        f"Section {i} of the handbook explains rule {i * 3} for visitors and staff alike." for i in range(60)
    )
    lm(
        "ask",
        f"{filler}\n\nIn the above, replace the project's name by {word}. {filler[:200]}",
        "Replaced.",
        of="codename",
    )


@flow
def reasoning_stripped(lm: Workload) -> None:
    text = lm(
        "think",
        "Solve it.",
        "<think>Maybe it is Tuesday? No, the market is shut.</think>The market opens on alternate Fridays.",
    )
    lm("use", f"Make a calendar entry: {text.split('</think>')[1]}", "made", of="think")


@flow
def evaluation_pipeline(lm: Workload) -> None:
    for i, (question, gold, said) in enumerate(
        [
            ("Capital of Bhutan?", "Thimphu", "It must be Paro, I believe"),
            ("Longest fjord?", "Scoresby Sund", "Probably Sognefjord in Norway"),
            ("Oldest brewery?", "Weihenstephan", "Some abbey near Freising, surely"),
        ]
    ):
        answer = lm(f"a{i}", question, said)
        lm(f"j{i}", f"Question: {question}\nExpected: {gold}\nGot: {answer}\nCORRECT or WRONG?", "WRONG", of=f"a{i}")


@flow
def rubric_generated_then_applied(lm: Workload) -> None:
    rubric = lm("rubric", "Write a rubric.", "Award points for humility, for naming sources and for brevity")
    for i in range(3):
        essay = lm(f"e{i}", f"Write essay {i}.", ["Bees dance", "Wolves howl at trains", "Moss drinks fog"][i])
        lm(f"g{i}", f"Rubric: {rubric}\nEssay: {essay}\nGrade.", "ABC"[i] + "+", of=f"rubric e{i}")


@flow
def numbers_listed_in_table(lm: Workload) -> None:
    rows = json.loads(lm("q", "Quarterly sales as a JSON list.", "[18250, 19977, 20413, 23086]"))
    table = "\n".join(f"| Q{i} | {row} |" for i, row in enumerate(rows, 1))
    lm("say", f"Comment the table:\n| quarter | sales |\n|---|---|\n{table}", "Rising.", of="q")


@flow
def keyword_arguments_swapped_order(lm: Workload) -> None:
    data = json.loads(lm("x", "JSON.", '{"origin": "Piraeus", "destination": "Valletta", "cargo": "olive brine"}'))
    lm("y", f"Quote freight: {data['cargo']} to {data['destination']} from {data['origin']}", "EUR 900", of="x")


@flow
def translated_then_quoted_back(lm: Workload) -> None:
    de = lm("de", "Translate to German: the owl sleeps", "Die Eule schläft im Gebälk")
    back = lm("en", f"Translate to English: {de}", "An owl is asleep among the rafters", of="de")
    lm("cmp", f"Compare with the original: {back}", "Close", of="en")


@flow
def options_lettered(lm: Workload) -> None:
    opts = lm("opts", "Give three options, one a line.", "Lease the barge\nBuy the tug\nHire divers").splitlines()
    lettered = "\n".join(f"{'ABC'[i]}. {opt}" for i, opt in enumerate(opts))
    pick = lm("pick", f"Choose one and reply with its letter.\n{lettered}", "B", of="opts")
    lm("do", f"Write a purchase order for option: {opts['ABC'.index(pick)]}", "PO 1", of="opts")


@flow
def parallel_branches_near_identical(lm: Workload) -> None:
    a = lm("a", "Variant one of the tagline.", "The quiet way to cross the mountains by night")
    b = lm("b", "Variant two of the tagline.", "The quiet way to cross the mountains by rail")
    lm("ua", f"Draw a poster: {a}", "poster A", of="a")
    lm("ub", f"Paint a poster: {b}", "poster B", of="b")


@flow
def critic_quotes_only_three_words(lm: Workload) -> None:
    text = lm("t", "A poem line?", "salt-bitten ropes sing where herring ghosts convene")
    lm("u", "What does “" + " ".join(text.split()[4:7]) + "” mean?", "fish", of="t")


# ------------------------------------------------------------------------------------------------------------- no flow


@no_flow
def same_system_prompt(lm: Workload) -> None:
    system = {"role": "system", "content": "You are a careful assistant for the Northwind helpdesk. Be brief."}
    for i, (question, answer) in enumerate(
        [("Opening hours?", "Nine to five."), ("Parking?", "Behind the mill."), ("Dogs?", "On a leash.")]
    ):
        lm(f"c{i}", [system, {"role": "user", "content": question}], answer)


@no_flow
def same_question_resent(lm: Workload) -> None:
    for i, answer in enumerate(["Aubergine", "Celeriac", "Kohlrabi"]):
        lm(f"c{i}", "Name a vegetable you find underrated. One word.", answer)


@no_flow
def document_quoted_by_two_calls(lm: Workload) -> None:
    document = (
        "Clause 9. The tenant shall keep the chimney swept and the moat free of reeds. Clause 10. The landlord may "
        "visit after two days' notice."
    )
    lm(
        "a",
        f"{document}\n\nWhat must the tenant do?",
        'The text says: "keep the chimney swept and the moat free of reeds".',
    )
    lm("b", f"{document}\n\nWhen may the landlord visit?", "After notice of two days.")


@no_flow
def document_answer_then_unrelated_quote(lm: Workload) -> None:
    document = "The ferry Halcyon leaves Oban at 07:40 and calls at Craignure, Tobermory and Coll before noon."
    lm("a", f"Extract the ports.\n{document}", "Craignure, Tobermory, Coll")
    lm("b", f"When does it leave?\n{document}", "Twenty to eight")
    lm("c", f"What is the ship called?\n{document}", "The Halcyon, it seems")


@no_flow
def common_opening(lm: Workload) -> None:
    lm(
        "a",
        "Suggest a gift.",
        "Sure, here is a list of ideas: a kite, a thermos. Let me know if you need anything else!",
    )
    lm(
        "b",
        "Sure, here is a list of our products. Let me know if you need anything else!\nWhich is cheapest?",
        "The mug",
    )
    lm("c", "Write a mail that ends with: let me know if you need anything else", "Done as asked.")


@no_flow
def yes_by_coincidence(lm: Workload) -> None:
    lm("a", "Is it raining?", "yes")
    lm("b", "Reply yes or no: is the shop open on Monday?", "no")
    lm("c", "Was the answer no in the audit of 2019? Explain.", "It was.")


@no_flow
def small_number_by_coincidence(lm: Workload) -> None:
    lm("a", "How many legs has a stool?", "3")
    lm("b", "Give me 3 synonyms of tired.", "weary, drained, spent")
    lm("c", "In 10 words: why 3 witnesses?", "Custom.")


@no_flow
def loop_counter(lm: Workload) -> None:
    for i in range(6):
        lm(f"c{i}", f"Step {i} of 6: rate the draft from 0 to 5.", str((i + 1) % 6))


@no_flow
def constant_labels(lm: Workload) -> None:
    answers = ["positive", "negative", "neutral", "positive", "negative", "positive"]
    reviews = ["lovely hinge", "it broke", "it is a lamp", "my cat adores it", "scratched", "five stars"]
    for i, (review, answer) in enumerate(zip(reviews, answers, strict=True)):
        lm(f"c{i}", f"Is this review positive, negative or neutral?\n{review}", answer)


@no_flow
def labels_without_offer_then_named(lm: Workload) -> None:
    for i, answer in enumerate(["red", "green", "blue", "green", "red"]):
        lm(f"c{i}", f"Colour of object {i}? One word.", answer)
    lm("end", "Paint a red barn under a blue sky.", "Painted.")


@no_flow
def loop_names_last_one_word_answers(lm: Workload) -> None:
    """A loop over the program's own list, whose words the model happens to answer a little earlier."""
    fruits = ["mango", "papaya", "guava", "lychee", "durian", "rambutan", "quince", "medlar"]
    answers = ["guava", "durian", "Neither", "quince", "rambutan", "medlar", "mango"]
    for i, answer in enumerate(answers):
        lm(f"c{i}", f"Is {fruits[i]} sweeter than {fruits[i + 1]}? Name what is sweeter than both.", answer)


@no_flow
def dates_of_today(lm: Workload) -> None:
    for i, answer in enumerate(["Nothing on 2026-05-04.", "Dentist.", "A launch on 2026-05-04."]):
        lm(f"c{i}", f"Today is 2026-05-04. Appointment of person {i}?", answer)


@no_flow
def names_the_program_knows(lm: Workload) -> None:
    team = ["Ruth", "Imran", "Sofie"]
    lm("pick", f"Team: {', '.join(team)}. Who is on call tonight?", "Imran")
    for i, name in enumerate(team):
        lm(f"c{i}", f"Team: {', '.join(team)}. Write a birthday wish for {name}.", f"Cheers {'xyz'[i]}")


@no_flow
def translation_only(lm: Workload) -> None:
    lm("a", "Translate into Dutch: the mill stands still", "de molen staat stil")
    lm("b", "Translate into Danish: the river is high", "åen står højt")


@no_flow
def few_shot_examples_in_template(lm: Workload) -> None:
    shots = "Input: 2 apples, 1 pear\nOutput: 3 fruits\n\nInput: 4 figs\nOutput: 4 fruits\n\n"
    lm("a", f"{shots}Input: 1 kiwi, 2 plums\nOutput:", "3 fruits")
    lm("b", f"{shots}Input: 4 limes\nOutput:", "4 fruits")
    lm("c", f"{shots}Input: 5 dates, 4 nuts\nOutput:", "9 items")


@no_flow
def tool_result_of_outer_world(lm: Workload) -> None:
    lm("a", "Guess the price of the lamp.", "Perhaps 40 euros")
    lm("b", "The shop system says: price 45 euros, stock 40. Comment.", "Fine.")


@no_flow
def same_json_keys(lm: Workload) -> None:
    for i, (city, mood) in enumerate([("Oslo", "calm"), ("Lima", "busy"), ("Baku", "windy")]):
        lm(f"c{i}", f'Answer as {{"city": ..., "mood": ...}}. Row {i}.', json.dumps({"city": city, "mood": mood}))


@no_flow
def json_schema_repeated(lm: Workload) -> None:
    schema = {"type": "object", "properties": {"severity": {"type": "string"}, "component": {"type": "string"}}}
    more: dict[str, Any] = {
        "response_format": {"type": "json_schema", "json_schema": {"name": "bug", "schema": schema}}
    }
    for i, answer in enumerate([("low", "parser"), ("high", "cache"), ("low", "router")]):
        lm(f"c{i}", f"Triage report {i}.", json.dumps({"severity": answer[0], "component": answer[1]}), **more)


@no_flow
def boilerplate_answers(lm: Workload) -> None:
    for i in range(5):
        lm(
            f"c{i}",
            f"Summarise section {i}: ...",
            f"This section describes part {'abcde'[i]} of the process in detail.",
        )
    lm("end", "Does this section describe the process in detail? Answer for the appendix.", "It does not")


@no_flow
def parallel_independent_branches(lm: Workload) -> None:
    for i, animal in enumerate(["otter", "badger", "lynx"]):
        lm(
            f"a{i}",
            f"Where does the {animal} live?",
            ["In rivers and estuaries", "In setts below woods", "In rocky forests"][i],
        )
        lm(
            f"b{i}",
            f"What does the {animal} eat?",
            ["Fish, mostly eels", "Earthworms by night", "Roe deer and hares"][i],
        )


@no_flow
def code_scaffold(lm: Workload) -> None:
    lm("a", "Write a Python main guard.", "def main() -> None:\n    ...\n\nif __name__ == '__main__':\n    main()")
    lm("b", "What does `if __name__ == '__main__':` do?", "It guards imports.")


@no_flow
def common_phrase_in_document(lm: Workload) -> None:
    lm(
        "a",
        "Why is the sky blue?",
        "On the other hand, in order to see why, it is important to note that light scatters.",
    )
    lm("b", "Edit: It is important to note that, on the other hand, in order to win one must play.", "Edited.")


@no_flow
def years_and_units(lm: Workload) -> None:
    lm("a", "When was the bridge built?", "In 1998")
    lm("b", "Compare exports of 1998, 1999 and 2000 in kg.", "They rose.")


@no_flow
def months_and_weekdays(lm: Workload) -> None:
    lm("a", "Best day for the fair?", "Saturday")
    lm("b", "Our shop is open Monday to Saturday. Write a sign.", "Sign.")
    lm("c", "Best month?", "September")
    lm("d", "Write a plan for August and September.", "Plan.")


@no_flow
def control_flow_only(lm: Workload) -> None:
    verdict = lm("gate", "Is the text spam? SPAM or HAM.", "HAM")
    if verdict == "HAM":
        lm("next", "Write a friendly confirmation.", "Thanks for writing!")


@no_flow
def arithmetic_only(lm: Workload) -> None:
    total = int(lm("a", "How many crates? Number only.", "1700")) * 3
    lm("b", f"Plan transport of {total} crates.", "Use lorries.")


@no_flow
def length_only(lm: Workload) -> None:
    text = lm("a", "Write a motto.", "Oars up before dawn")
    lm("b", f"Is a motto of {len(text)} characters long?", "No.")


@no_flow
def url_constant(lm: Workload) -> None:
    url = "https://api.example.com/v1/orders"
    lm("a", f"Which verb reads {url}?", f"Use GET on {url} with a bearer token")
    lm("b", f"Which verb deletes {url}?", "DELETE")


@no_flow
def question_echoed(lm: Workload) -> None:
    question = "Which glacier feeds the river Aare?"
    lm("a", question, "You asked which glacier feeds the river Aare: two of them do.")
    lm("b", f"{question} Answer with one name.", "Unteraar")


@no_flow
def refusals(lm: Workload) -> None:
    for i in range(4):
        lm(f"c{i}", f"Open case {i}.", "I'm sorry, but I can't help with that.")
    lm("end", "A customer wrote: I'm sorry, but I can't help with that. Reply politely.", "No problem.", maybe="c3")


@no_flow
def numbered_ids_of_the_program(lm: Workload) -> None:
    for i in range(8):
        lm(
            f"c{i}",
            f"Ticket TK-{1000 + i} (previous: TK-{999 + i}): is it urgent?",
            f"TK-{1000 + i}: {'yes' if i % 2 else 'no'}",
        )


@no_flow
def greeting_names(lm: Workload) -> None:
    for i, name in enumerate(["Maria", "Jonas", "Maria", "Aiko"]):
        lm(f"c{i}", f"Customer {name} waits. Greet them.", f"Hello {name}, how are you today?")


@no_flow
def embeddings_of_corpus(lm: Workload) -> None:
    corpus = ["Peat stores carbon", "Bogs preserve butter", "Sphagnum holds water"]
    lm.embed("e0", corpus)
    lm("a", "Which is about food?\n" + "\n".join(corpus), "The second: Bogs preserve butter")
    lm.embed("e1", corpus)


@no_flow
def fields_of_a_loop(lm: Workload) -> None:
    """The program goes through its own queues; the model names queues as well."""
    queues = ["warranty", "invoices", "deliveries", "firmware", "returns"]
    answers = ["firmware", "warranty", "invoices", "none", "deliveries"]
    for i, (queue, answer) in enumerate(zip(queues, answers, strict=True)):
        lm(f"c{i}", f"Queue: {queue}\nWhich other queue is this one confused with most?", answer)


@no_flow
def rows_of_a_table(lm: Workload) -> None:
    rows = [("Nadia Brandt", "Trieste"), ("Koffi Mensah", "Accra"), ("Lena Vogt", "Bremen"), ("Tomas Rey", "Trieste")]
    for i, (name, city) in enumerate(rows):
        other = rows[(i + 1) % 4][1]
        lm(f"c{i}", f"Customer: {name}\nCity: {city}\nWhere might they travel next? One word.", other)


@no_flow
def levels_of_a_loop(lm: Workload) -> None:
    for i, answer in enumerate(["2", "1", "4", "3", "6", "5"]):
        lm(f"c{i}", f"Level: {i}\nHow many guards stand at this level? Only a number.", answer)


@no_flow
def graph_walk_of_the_program(lm: Workload) -> None:
    towns = ["Ghent", "Bruges", "Namur", "Dinant", "Tournai"]
    answers = ["- Bruges\n- Antwerp", "- Ghent\n- Ostend", "- Dinant\n- Charleroi", "- Namur", "- Mons"]
    for i, (town, answer) in enumerate(zip(towns, answers, strict=True)):
        lm(f"c{i}", f"Which towns are near {town}?", answer)


@no_flow
def quiz_about_one_person(lm: Workload) -> None:
    lm("a", "Who found radium?", "It was isolated by Marie Curie, working with her husband in a leaking shed.")
    lm("b", "In which city was Marie Curie born?", "In Warsaw, then under Russian rule.")
    lm("c", "Which prize did she get twice?", "The one from Stockholm.")


@no_flow
def statuses_of_rows(lm: Workload) -> None:
    states = ["open", "pending", "escalated", "open", "pending"]
    for i, state in enumerate(states):
        row = json.dumps({"row": i, "status": state})
        lm(f"c{i}", f"Row: {row}\nWhat should the next status be?", json.dumps({"status": states[(i + 1) % 5]}))


@no_flow
def topics_of_a_course(lm: Workload) -> None:
    topics = ["photosynthesis", "osmosis", "mitosis", "meiosis"]
    answers = [
        "Chloroplasts turn light into sugar, unlike osmosis, which moves water.",
        "Water passes a membrane; plants need it for photosynthesis and growth.",
        "A cell divides in four phases; meiosis is a different process.",
        "It halves the chromosomes, while mitosis keeps them.",
    ]
    for i, (topic, answer) in enumerate(zip(topics, answers, strict=True)):
        lm(f"c{i}", f"Explain {topic} to a child.", answer)
