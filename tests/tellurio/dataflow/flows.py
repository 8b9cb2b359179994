"""The truth about edges: kinds of flow, each with scripted calls and the edges that are really there.

A call is ``(prompt, answer)``, as chat completions; or a `Body` with request, response and format as they are.  An edge
is ``(from, to)`` by the calls' places.  In rows without edges nothing flows: the program, or a document, has the text
from elsewhere.
"""

# ruff: noqa: E501 -- a table of texts
from __future__ import annotations

import json
from base64 import b64encode
from typing import Any, NamedTuple
from urllib.parse import quote

__all__ = ["FLOWS", "NO_FLOWS", "Body", "Flow", "bodies"]


class Body(NamedTuple):
    """A call in its API's own words."""

    request: Any
    response: Any
    api_format: str = "openai.chat"


class Flow(NamedTuple):
    """A kind of flow."""

    name: str
    calls: list[Any]
    edges: set[tuple[int, int]]


def chat(messages: list[dict[str, Any]], answer: str | dict[str, Any]) -> Body:
    message = {"role": "assistant", "content": answer, "refusal": None} if isinstance(answer, str) else answer
    return Body(
        {"model": "gpt-5", "temperature": 0.7, "messages": messages},
        {"id": "chatcmpl-1", "object": "chat.completion", "choices": [{"index": 0, "message": message}]},
    )


def user(text: str) -> dict[str, Any]:
    return {"role": "user", "content": text}


def said(text: str) -> dict[str, Any]:
    return {"role": "assistant", "content": text}


def bodies(flow: Flow) -> list[Body]:
    """The calls of a row as bodies."""
    return [call if isinstance(call, Body) else chat([user(call[0])], call[1]) for call in flow.calls]


LIGHTHOUSE = (
    "The lighthouse at Kervarec was finished in 1874 by two brothers from Brest. Its lamp burned rapeseed oil until "
    "the keepers wired it in 1931. Storm waves cracked the gallery twice, and the second repair used basalt from the "
    "quarry at Plouarzel. Today a ranger climbs the tower each Monday to wind the clock."
)
FIRST_HALF, SECOND_HALF = LIGHTHOUSE.split(" Storm waves ")
RECIPE = "Soak the chickpeas overnight, drain them, simmer with bay leaves, then fold in roasted peppers and sumac."
CODE = (
    "def running_median(stream):\n    low, high = [], []\n    for value in stream:\n"
    "        heappush(low, -heappushpop(high, value))\n        if len(low) > len(high):\n"
    "            heappush(high, -heappop(low))\n        yield high[0]\n"
)
FENCED = f"Here you go:\n\n```python\n{CODE}```\n\nIt keeps two heaps."
REPORT = "The quarterly revenue of Tessaract Dynamics rose to 4.7 million euros, driven by sensor sales in Norway."
DOCUMENT = (
    "Minutes of the harbour board. The dredging contract went to Nordhavn Marine for nine months. The board postponed the "
    "ferry terminal because the soil survey found peat below the northern pier. Chair Ingrid Solheim closed the session."
)
PERSON = '{"name": "Ottoline Varga", "age": 47, "city": "Szentendre", "job": "bookbinder"}'

FLOWS = [
    # --- the text as it was
    Flow(
        "verbatim", [("Write about a lighthouse.", LIGHTHOUSE), (f"Summarize:\n\n{LIGHTHOUSE}", "A tower.")], {(0, 1)}
    ),
    Flow(
        "verbatim sentence that answers the question in its words",
        [
            ("What is the capital of Burkina Faso?", "The capital of Burkina Faso is Ouagadougou."),
            ("Translate into French: The capital of Burkina Faso is Ouagadougou.", "..."),
        ],
        {(0, 1)},
    ),
    Flow("first half", [("Write about a lighthouse.", LIGHTHOUSE), (f"Go on: {FIRST_HALF}", "...")], {(0, 1)}),
    Flow("second half", [("Write about a lighthouse.", LIGHTHOUSE), (f"Go on: {SECOND_HALF}", "...")], {(0, 1)}),
    Flow("truncated", [("Write about a lighthouse.", LIGHTHOUSE), (f"Text: {LIGHTHOUSE[:93]}...", "...")], {(0, 1)}),
    Flow(
        "one sentence of many",
        [("Tell me.", LIGHTHOUSE), (f"Is this true? {LIGHTHOUSE.split('. ')[1]}.", "...")],
        {(0, 1)},
    ),
    Flow(
        "sentences in another order",
        [
            ("Tell me.", LIGHTHOUSE),
            ("Rank these. " + " ".join(s + "." for s in LIGHTHOUSE[:-1].split(". ")[::-1]), "..."),
        ],
        {(0, 1)},
    ),
    Flow(
        "both halves to two calls",
        [("Tell me.", LIGHTHOUSE), (f"A: {FIRST_HALF}", "x"), (f"B: {SECOND_HALF}", "y")],
        {(0, 1), (0, 2)},
    ),
    Flow(
        "the last line, after the reasoning",
        [
            (
                "Solve the riddle.",
                "The farmer leaves at dawn.\nSo the fox is alone.\nAnswer: the wolverine hides behind barn seven",
            ),
            ("Check: the wolverine hides behind barn seven", "..."),
        ],
        {(0, 1)},
    ),
    # --- as another writes it
    Flow(
        "upper case",
        [
            ("Give a motto.", "Steady hands mend broken lanterns."),
            ("Poster: STEADY HANDS MEND BROKEN LANTERNS.", "..."),
        ],
        {(0, 1)},
    ),
    Flow(
        "lower case",
        [
            ("Give a headline.", "Glacier Expedition Finds Buried Chapel"),
            ("tag this: glacier expedition finds buried chapel", "..."),
        ],
        {(0, 1)},
    ),
    Flow(
        "whitespace folded",
        [
            ("Write a poem.", "Moths\n  circle the\n\n\tamber lantern\nuntil   dawn."),
            ("Rate: Moths circle the amber lantern until dawn.", "..."),
        ],
        {(0, 1)},
    ),
    Flow("re-wrapped lines", [("Tell me.", LIGHTHOUSE), ("Text:\n" + LIGHTHOUSE.replace(" ", "\n"), "...")], {(0, 1)}),
    Flow(
        "indented",
        [("Write code.", FENCED), ("Review:\n" + "\n".join("    > " + line for line in CODE.splitlines()), "...")],
        {(0, 1)},
    ),
    Flow(
        "HTML escaped",
        [
            ("Write.", 'Fish & chips at Zoë\'s "Anchor" cost <ten> florins'),
            ("<p>Fish &amp; chips at Zo&euml;&#39;s &quot;Anchor&quot; cost &lt;ten&gt; florins</p>", "..."),
        ],
        {(0, 1)},
    ),
    Flow(
        "JSON escaped",
        [
            ("Write.", 'She said "törst kills sailors"\nand drank the brine'),
            (r'Data: {"t": "She said \"t\u00f6rst kills sailors\"\nand drank the brine"}', "..."),
        ],
        {(0, 1)},
    ),
    Flow(
        "JSON escaped twice",
        [
            ("Write.", 'Grumble "quartz veins"\nbelow mossy shale'),
            (r'"{\"t\": \"Grumble \\\"quartz veins\\\"\\nbelow mossy shale\"}"', "..."),
        ],
        {(0, 1)},
    ),
    Flow(
        "typographic quotes and dashes",
        [
            ("Write.", "\"Don't wake the heron\" - an old miller's proverb"),
            ("Explain: “Don’t wake the heron” — an old miller’s proverb", "..."),
        ],
        {(0, 1)},
    ),
    Flow(
        "accents composed otherwise",
        [
            ("Write.", "Crème brûlée façade déjà élan"),
            ("Spell: Cre\u0300me bru\u0302le\u0301e fac\u0327ade de\u0301ja\u0300 e\u0301lan", "..."),
        ],
        {(0, 1)},
    ),
    Flow(
        "full width letters",
        [("Write.", "Cobalt otter harvest 7719"), ("Read: Ｃｏｂａｌｔ　ｏｔｔｅｒ　ｈａｒｖｅｓｔ　７７１９", "...")],
        {(0, 1)},
    ),
    Flow(
        "markdown stripped",
        [
            (
                "Write.",
                "## Plan\n\n**Drain** the *eastern* `sluice`, then [inspect](http://x.y) the __turbine__ gasket.",
            ),
            ("Do it: Drain the eastern sluice, then inspect", "..."),
        ],
        {(0, 1)},
    ),
    Flow(
        "invisible characters",
        [
            ("Write.", "Velvet archipelago thunder porcelain"),
            ("Read: Vel\u00advet archi\u200bpelago thunder porce\u00adlain", "..."),
        ],
        {(0, 1)},
    ),
    Flow(
        "the answer's quotes removed",
        [("Give a slogan.", '"Sail softly, sleep soundly."'), ("Print on a mug: Sail softly, sleep soundly.", "...")],
        {(0, 1)},
    ),
    # --- other scripts
    Flow(
        "Chinese",
        [
            ("写一句话。", "灯塔守护人每天清晨擦拭铜镜，记录潮汐。"),
            ("请翻译：灯塔守护人每天清晨擦拭铜镜，记录潮汐。", "..."),
        ],
        {(0, 1)},
    ),
    Flow(
        "part of a Chinese sentence",
        [
            ("写一句话。", "灯塔守护人每天清晨擦拭铜镜，记录潮汐，然后喂养海鸥。"),
            ("评论：清晨擦拭铜镜，记录潮汐", "..."),
        ],
        {(0, 1)},
    ),
    Flow(
        "Japanese",
        [("書いて。", "古い灯台の鐘は霧の夜だけ静かに鳴る。"), ("訳して：古い灯台の鐘は霧の夜だけ静かに鳴る。", "...")],
        {(0, 1)},
    ),
    Flow(
        "Korean",
        [
            ("써 줘.", "등대지기는 새벽마다 구리 거울을 닦는다."),
            ("번역: 등대지기는 새벽마다 구리 거울을 닦는다", "..."),
        ],
        {(0, 1)},
    ),
    Flow(
        "Russian",
        [
            ("Напиши.", "Смотритель маяка каждый понедельник заводит латунные часы"),
            ("Переведи: смотритель маяка каждый понедельник заводит латунные часы", "..."),
        ],
        {(0, 1)},
    ),
    Flow(
        "Arabic",
        [
            ("اكتب", "حارس المنارة يمسح المرآة النحاسية كل فجر"),
            ("ترجم: حارس المنارة يمسح المرآة النحاسية كل فجر", "..."),
        ],
        {(0, 1)},
    ),
    # --- pieces that a program takes out
    Flow(
        "JSON field", [("Describe a person as JSON.", PERSON), ("Write a letter to Ottoline Varga.", "...")], {(0, 1)}
    ),
    Flow(
        "JSON in a fence",
        [("As JSON.", f"Sure:\n```json\n{PERSON}\n```"), ("Find the town hall of this town: Szentendre", "...")],
        {(0, 1)},
    ),
    Flow(
        "JSON lines",
        [
            ("As JSON lines.", '{"q": "Why do eels migrate?"}\n{"q": "Where do swifts sleep?"}'),
            ("Answer: Where do swifts sleep?", "..."),
        ],
        {(0, 1)},
    ),
    Flow(
        "JSON re-indented",
        [
            ("As JSON.", PERSON),
            ('Check:\n{\n  "job": "bookbinder",\n  "city": "Szentendre",\n  "name": "Ottoline Varga"\n}', "..."),
        ],
        {(0, 1)},
    ),
    Flow(
        "nested JSON",
        [
            ("Plan as JSON.", '{"plan": {"steps": [{"do": "calibrate the theodolite"}, {"do": "survey ridge nine"}]}}'),
            ("Carry out: calibrate the theodolite", "..."),
        ],
        {(0, 1)},
    ),
    Flow(
        "JSON number",
        [("Estimate as JSON.", '{"total": 48213, "ok": true}'), ("The estimate was 48213 bricks. Plausible?", "...")],
        {(0, 1)},
    ),
    Flow(
        "number with separators",
        [("How many? As JSON.", '{"inhabitants": 1284907}'), ("With 1,284,907 inhabitants, how many schools?", "...")],
        {(0, 1)},
    ),
    Flow(
        "number rounded",
        [("Compute as JSON.", '{"ratio": 417.283951}'), ("Interpret a ratio of 417.28.", "...")],
        {(0, 1)},
    ),
    Flow("money", [("Price as JSON.", '{"price": 3499.5}'), ("Is $3,499.50 a fair price?", "...")], {(0, 1)}),
    Flow(
        "date written out", [("When? ISO only.", "2031-08-17"), ("What weekday was August 17, 2031?", "...")], {(0, 1)}
    ),
    Flow(
        "date in digits",
        [("When?", "The treaty was signed on 9 March 1987."), ("Anything else on 1987-03-09?", "...")],
        {(0, 1)},
    ),
    Flow(
        "list line",
        [("List towers.", "1. Torre Grossa\n2. Qutb Minar\n3. Garisenda"), ("How tall is Qutb Minar?", "...")],
        {(0, 1)},
    ),
    Flow(
        "each list line to its call",
        [
            ("List questions.", "- Who carved the organ?\n- When did the tram stop?\n- Which bridge fell?"),
            ("Answer: Who carved the organ?", "a"),
            ("Answer: When did the tram stop?", "b"),
            ("Answer: Which bridge fell?", "c"),
        ],
        {(0, 1), (0, 2), (0, 3)},
    ),
    Flow(
        "comma separated",
        [("Name herbs.", "lovage, hyssop, costmary, rue"), ("How is costmary used?\nherb: costmary", "...")],
        {(0, 1)},
    ),
    Flow(
        "tag",
        [
            (
                "Think, then answer in tags.",
                "<think>hm, tin or zinc</think><answer>the zinc roof of the orangery</answer>",
            ),
            ("Verify: the zinc roof of the orangery", "..."),
        ],
        {(0, 1)},
    ),
    Flow(
        "field after a colon",
        [
            ("Reply as fields.", "Sender: Philippa Marchetti\nAmount: low"),
            ("Draft a reply to Philippa Marchetti.", "..."),
        ],
        {(0, 1)},
    ),
    Flow(
        "table cell",
        [
            ("Make a table.", "| town | river |\n|---|---|\n| Esztergom | Danube |\n| Piacenza | Trebbia |"),
            ("Is this a river?\n\nTrebbia", "..."),
        ],
        {(0, 1)},
    ),
    Flow(
        "regex group: an id",
        [("Handle it.", "I opened ticket INC-88213 for you and told the crew."), ("Status of INC-88213?", "...")],
        {(0, 1)},
    ),
    Flow(
        "regex group: a name",
        [("Who?", "The award went to Thaddeus Okonjo last spring."), ("Biography of Thaddeus Okonjo, please.", "...")],
        {(0, 1)},
    ),
    Flow(
        "regex group: bold",
        [
            ("Which?", "After all this I recommend **violet sandpiper** as it is the safest."),
            ("Draw a violet sandpiper.", "..."),
        ],
        {(0, 1)},
    ),
    Flow(
        "URL",
        [
            ("Find the page.", "It is at https://docs.kestrel.example/v2/quickstart?lang=fi today."),
            ("Fetch https://docs.kestrel.example/v2/quickstart?lang=fi", "..."),
        ],
        {(0, 1)},
    ),
    Flow("code block", [("Write a running median.", FENCED), (f"Write tests for\n{CODE}", "...")], {(0, 1)}),
    Flow(
        "one function's name",
        [("Name it.", "compute_tidal_offset"), ("Write the docstring of compute_tidal_offset.", "...")],
        {(0, 1)},
    ),
    Flow(
        "short value: a name",
        [("Capital of Mongolia? One word.", "Ulaanbaatar"), ("What is the population of Ulaanbaatar?", "...")],
        {(0, 1)},
    ),
    Flow(
        "short value: a rare word in its own line",
        [("One noun.", "marmalade"), ("Write a haiku about this:\nmarmalade", "...")],
        {(0, 1)},
    ),
    Flow("short value: a hash", [("Commit?", "9f3c2ab"), ("Show commit 9f3c2ab of the repository.", "...")], {(0, 1)}),
    # --- joined
    Flow(
        "joined by a template",
        [
            ("Name a beast.", "pangolin knight"),
            ("Name a place.", "basalt monastery"),
            ("Tell a tale of the pangolin knight in the basalt monastery.", "..."),
        ],
        {(0, 2), (1, 2)},
    ),
    Flow(
        "fan in of long texts",
        [("Lighthouse.", LIGHTHOUSE), ("Recipe.", RECIPE), (f"Compare.\nA: {LIGHTHOUSE}\nB: {RECIPE}", "...")],
        {(0, 2), (1, 2)},
    ),
    Flow(
        "chain by rewriting",
        [
            ("Recipe.", RECIPE),
            (f"Extend: {RECIPE}", f"{RECIPE} Serve it lukewarm beside flatbread."),
            (f"Judge: {RECIPE} Serve it lukewarm beside flatbread.", "..."),
        ],
        {(0, 1), (1, 2)},
    ),
    Flow(
        "chain by copying",
        [("Recipe.", RECIPE), (f"Proofread: {RECIPE}", f"Corrected text: {RECIPE}"), (f"Print: {RECIPE}", "...")],
        {(0, 1), (1, 2)},
    ),
    Flow(
        "diamond",
        [
            ("Lighthouse.", LIGHTHOUSE),
            (f"In verse: {LIGHTHOUSE}", "Two brothers raised a candle over foam, and rapeseed lit the herring home."),
            (f"As news: {LIGHTHOUSE}", "Coastal beacon celebrates anniversary with basalt masonry exhibit."),
            (
                "Merge: Two brothers raised a candle over foam, and rapeseed lit the herring home. / Coastal beacon celebrates anniversary with basalt masonry exhibit.",
                "...",
            ),
        ],
        {(0, 1), (0, 2), (1, 3), (2, 3)},
    ),
    Flow(
        "two equal answers, both voted on",
        [
            ("Why is it wet?", "Because the cistern overflowed during siesta."),
            ("Why is the floor wet?", "Because the cistern overflowed during siesta."),
            (
                "Vote:\n1. Because the cistern overflowed during siesta.\n2. Because the cistern overflowed during siesta.",
                "...",
            ),
        ],
        {(0, 2), (1, 2)},
    ),
    Flow(
        "draft and critique",
        [
            ("Draft a slogan for tea.", "Brew courage before the kettle sings."),
            (
                "Slogan: Brew courage before the kettle sings. Criticize.",
                "Kettles whistle; the metaphor clashes with courage.",
            ),
            (
                "Slogan: Brew courage before the kettle sings.\nCritique: Kettles whistle; the metaphor clashes with courage.\nImprove.",
                "...",
            ),
        ],
        {(0, 1), (0, 2), (1, 2)},
    ),
    # --- conversations and tools
    Flow(
        "chat history",
        [
            chat([user("Hi, who are you?")], "I am Bert."),
            chat([user("Hi, who are you?"), said("I am Bert."), user("How old?")], "Nine."),
            chat([user("Hi, who are you?"), said("I am Bert."), user("How old?"), said("Nine."), user("Bye")], "Bye!"),
        ],
        {(0, 1), (0, 2), (1, 2)},
    ),
    Flow(
        "two chats with the same short answers",
        [
            chat([user("Is tin a metal?")], "Yes."),
            chat([user("Is glass a metal?")], "Yes."),
            chat([user("Is tin a metal?"), said("Yes."), user("Sure?")], "Quite."),
            chat([user("Is glass a metal?"), said("Yes."), user("Sure?")], "Hm."),
        ],
        {(0, 2), (1, 3)},
    ),
    Flow(
        "tool call and its result",
        [
            chat(
                [user("Weather in Oslo?")],
                {
                    "role": "assistant",
                    "content": None,
                    "tool_calls": [
                        {
                            "id": "call_a1",
                            "type": "function",
                            "function": {"name": "weather", "arguments": '{"city": "Oslo"}'},
                        }
                    ],
                },
            ),
            chat(
                [
                    user("Weather in Oslo?"),
                    {
                        "role": "assistant",
                        "content": None,
                        "tool_calls": [
                            {
                                "id": "call_a1",
                                "type": "function",
                                "function": {"name": "weather", "arguments": '{"city": "Oslo"}'},
                            }
                        ],
                    },
                    {"role": "tool", "tool_call_id": "call_a1", "content": "4 degrees, sleet"},
                ],
                "Cold and wet.",
            ),
        ],
        {(0, 1)},
    ),
    Flow(
        "only the tool's result comes back",
        [
            chat(
                [user("Go.")],
                {
                    "role": "assistant",
                    "content": None,
                    "tool_calls": [
                        {"id": "call_77f", "type": "function", "function": {"name": "now", "arguments": "{}"}}
                    ],
                },
            ),
            chat([{"role": "tool", "tool_call_id": "call_77f", "content": "12:30"}], "Half past noon."),
        ],
        {(0, 1)},
    ),
    Flow(
        "tool arguments in another agent's prompt",
        [
            chat(
                [user("Search.")],
                {
                    "role": "assistant",
                    "content": None,
                    "tool_calls": [
                        {
                            "id": "c9",
                            "type": "function",
                            "function": {"name": "search", "arguments": '{"query": "obsidian trade routes of Lipari"}'},
                        }
                    ],
                },
            ),
            ("Rank pages on obsidian trade routes of Lipari", "..."),
        ],
        {(0, 1)},
    ),
    Flow(
        "Anthropic: text and tool",
        [
            Body(
                {"model": "claude", "system": "Be brief.", "messages": [user("Go")]},
                {
                    "role": "assistant",
                    "content": [
                        {"type": "text", "text": "I look it up."},
                        {"type": "tool_use", "id": "toolu_1", "name": "q", "input": {"term": "saxifrage"}},
                    ],
                },
                "anthropic.messages",
            ),
            Body(
                {
                    "model": "claude",
                    "system": "Be brief.",
                    "messages": [
                        user("Go"),
                        {
                            "role": "assistant",
                            "content": [
                                {"type": "text", "text": "I look it up."},
                                {"type": "tool_use", "id": "toolu_1", "name": "q", "input": {"term": "saxifrage"}},
                            ],
                        },
                        {
                            "role": "user",
                            "content": [{"type": "tool_result", "tool_use_id": "toolu_1", "content": "a plant"}],
                        },
                    ],
                },
                {"role": "assistant", "content": [{"type": "text", "text": "It is a plant."}]},
                "anthropic.messages",
            ),
        ],
        {(0, 1)},
    ),
    Flow(
        "Responses API",
        [
            Body(
                {"model": "gpt-5", "instructions": "Be brief.", "input": "A proverb."},
                {
                    "output": [
                        {
                            "type": "message",
                            "role": "assistant",
                            "content": [{"type": "output_text", "text": "Rust remembers every careless rain."}],
                        }
                    ]
                },
                "openai.responses",
            ),
            Body(
                {
                    "model": "gpt-5",
                    "instructions": "Be brief.",
                    "input": [user("Explain: Rust remembers every careless rain.")],
                },
                {"output": []},
                "openai.responses",
            ),
        ],
        {(0, 1)},
    ),
    Flow(
        "Gemini",
        [
            Body(
                {"contents": [{"role": "user", "parts": [{"text": "A proverb."}]}]},
                {
                    "candidates": [
                        {"content": {"role": "model", "parts": [{"text": "Hungry gulls respect no anchor."}]}}
                    ]
                },
                "gemini",
            ),
            Body(
                {"contents": [{"role": "user", "parts": [{"text": "Explain: Hungry gulls respect no anchor."}]}]},
                {"candidates": []},
                "gemini",
            ),
        ],
        {(0, 1)},
    ),
    Flow(
        "Ollama",
        [
            Body(
                {"model": "llama", "prompt": "A proverb."},
                {"model": "llama", "response": "Borrowed ladders lean crooked."},
                "ollama",
            ),
            Body(
                {"model": "llama", "messages": [user("Explain: Borrowed ladders lean crooked.")]},
                {"message": {"role": "assistant", "content": "..."}},
                "ollama",
            ),
        ],
        {(0, 1)},
    ),
    Flow(
        "embedding of an answer",
        [
            ("A proverb.", "Patient moss outlives marble kings."),
            Body(
                {"model": "text-embedding-3", "input": ["Patient moss outlives marble kings."]},
                {"data": [{"embedding": [0.12345, 0.5]}]},
                "openai.embeddings",
            ),
        ],
        {(0, 1)},
    ),
    Flow(
        "from one API to another",
        [
            ("A proverb.", "Salted bread forgives the baker."),
            Body(
                {"model": "claude", "messages": [user("Explain: Salted bread forgives the baker.")]},
                {"content": []},
                "anthropic.messages",
            ),
        ],
        {(0, 1)},
    ),
    Flow(
        "answer becomes the system prompt",
        [
            ("Write a prompt for a pirate bot.", "Speak as Captain Brine, hoard doubloons, mock landlubbers."),
            chat(
                [
                    {"role": "system", "content": "Speak as Captain Brine, hoard doubloons, mock landlubbers."},
                    user("Hello"),
                ],
                "Arr.",
            ),
        ],
        {(0, 1)},
    ),
    # --- by other means, and in other structures
    Flow("the first forty characters", [("Report.", REPORT), ("Expand: " + REPORT[:40], "...")], {(0, 1)}),
    Flow("the first twenty characters", [("Report.", REPORT), ("Expand: " + REPORT[:20], "...")], {(0, 1)}),
    Flow("one word replaced", [("Report.", REPORT), ("Check: " + REPORT.replace("rose", "fell"), "...")], {(0, 1)}),
    Flow("URL quoted", [("Report.", REPORT), ("GET /search?q=" + quote(REPORT), "...")], {(0, 1)}),
    Flow(
        "slug",
        [("Title?", "Silent rivers carve granite cathedrals"), ("Slug: silent-rivers-carve-granite-cathedrals", "...")],
        {(0, 1)},
    ),
    Flow("title case", [("Report.", REPORT), (REPORT.title(), "...")], {(0, 1)}),
    Flow(
        "punctuation stripped",
        [("Report.", REPORT), ("".join(c for c in REPORT if c.isalnum() or c == " "), "...")],
        {(0, 1)},
    ),
    Flow("a Python dict's repr", [("As JSON.", PERSON), ("Data: " + str(json.loads(PERSON)), "...")], {(0, 1)}),
    Flow(
        "lines in reverse, joined",
        [("Trees?", "walnut\nbirch\nrowan\nhazel"), ("trees: hazel, rowan, birch, walnut", "...")],
        {(0, 1)},
    ),
    Flow(
        "CSV row",
        [("As CSV.", "name,town\nYrsa Holm,Lillesand\nTor Vik,Mandal"), ("Write to Yrsa Holm of Lillesand", "...")],
        {(0, 1)},
    ),
    Flow(
        "YAML value",
        [
            ("As YAML.", "title: Moss gardens of Kyoto\nlength: 900"),
            ("Write an article titled Moss gardens of Kyoto", "..."),
        ],
        {(0, 1)},
    ),
    Flow("share in percent", [("As JSON.", '{"p": 0.4172}'), ("The chance is 41.72%.", "...")], {(0, 1)}),
    Flow(
        "label made up, in its field",
        [("Intent?", "refund_request"), ("Intent: refund_request. Reply.", "...")],
        {(0, 1)},
    ),
    Flow("number of three digits", [("How many?", "347"), ("Is 347 prime?", "...")], {(0, 1)}),
    Flow(
        "e-mail address",
        [("Contact?", "Write to yrsa.holm@fjordmail.example."), ("Send it to yrsa.holm@fjordmail.example", "...")],
        {(0, 1)},
    ),
    Flow("Thai", [("เขียน", "แมวสีส้มนอนบนหลังคาวัดเก่า"), ("แปล: แมวสีส้มนอนบนหลังคาวัดเก่า", "...")], {(0, 1)}),
    Flow(
        "Hindi",
        [("लिखो", "पुराने किले में चाँदी का घोड़ा सोता है"), ("अनुवाद: पुराने किले में चाँदी का घोड़ा सोता है", "...")],
        {(0, 1)},
    ),
    Flow(
        "second choice of two",
        [
            Body(
                {"messages": [user("Slogan")]},
                {"choices": [{"message": said("Amber foxes nap")}, {"message": said("Violet cranes dance")}]},
            ),
            ("Pick: Violet cranes dance", "..."),
        ],
        {(0, 1)},
    ),
    Flow(
        "debate in one growing text",
        [
            ("Tea or coffee? A:", "Tea calms restless sailors."),
            ("Tea or coffee? A: Tea calms restless sailors. B:", "Coffee launches better ships."),
            ("Tea or coffee? A: Tea calms restless sailors. B: Coffee launches better ships. A:", "..."),
        ],
        {(0, 1), (0, 2), (1, 2)},
    ),
    Flow(
        "code edited, then tested",
        [
            ("Write.", CODE),
            (f"Fix:\n{CODE}", CODE.replace("heappop", "heapreplace")),
            ("Test:\n" + CODE.replace("heappop", "heapreplace"), "..."),
        ],
        {(0, 1), (1, 2)},
    ),
    Flow(
        "previous_response_id",
        [
            Body(
                {"input": "Go"},
                {
                    "id": "resp_a1",
                    "output": [
                        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Ok."}]}
                    ],
                },
                "openai.responses",
            ),
            Body(
                {"input": "More", "previous_response_id": "resp_a1"},
                {"id": "resp_a2", "output": []},
                "openai.responses",
            ),
        ],
        {(0, 1)},
    ),
    Flow(
        "Gemini tool call, without ids",
        [
            Body(
                {"contents": [{"role": "user", "parts": [{"text": "Go"}]}]},
                {
                    "candidates": [
                        {
                            "content": {
                                "role": "model",
                                "parts": [{"functionCall": {"name": "w", "args": {"city": "Bo"}}}],
                            }
                        }
                    ]
                },
                "gemini.generate",
            ),
            Body(
                {
                    "contents": [
                        {"role": "user", "parts": [{"text": "Go"}]},
                        {"role": "model", "parts": [{"functionCall": {"name": "w", "args": {"city": "Bo"}}}]},
                        {"role": "user", "parts": [{"functionResponse": {"name": "w", "response": {"t": 3}}}]},
                    ]
                },
                {"candidates": []},
                "gemini.generate",
            ),
        ],
        {(0, 1)},
    ),
    Flow(
        "numbers handed on as values",
        [("A number?", "42"), ("Double this number: 42", "84"), ("Add one to this: 84", "...")],
        {(0, 1), (1, 2)},
    ),
    Flow("score in a field", [("As JSON.", '{"score": 0.85}'), ("Score: 0.85\nExplain.", "...")], {(0, 1)}),
    Flow(
        "assignments",
        [("Animal?", "otter"), ("Place?", "Reykjavik"), ("Story: animal=otter, place=Reykjavik", "...")],
        {(0, 2), (1, 2)},
    ),
    Flow(
        "two agents, each in its own chat",
        [
            chat([user("A: topic bridges")], "Bridges should hum in the wind."),
            chat([user("B: respond to: Bridges should hum in the wind.")], "Humming steel frightens swallows."),
            chat(
                [
                    user("A: topic bridges"),
                    said("Bridges should hum in the wind."),
                    user("Humming steel frightens swallows."),
                ],
                "Swallows adapt.",
            ),
        ],
        {(0, 1), (0, 2), (1, 2)},
    ),
    Flow(
        "frequent words, one short each", [("Animal?", "dog"), ("Tell a story about a dog on a boat", "...")], {(0, 1)}
    ),
    # --- hard, or beyond what texts can tell: they count against the recall
    Flow(
        "label that the prompt offered",
        [("Is it billing or shipping? The parcel is late.", "shipping"), ("Answer as the shipping desk.", "...")],
        {(0, 1)},
    ),
    Flow("short number", [("How many legs? Only the number.", "8"), ("What is 8 times 12?", "...")], {(0, 1)}),
    Flow("translated by the program", [("Colour?", "red"), ("Male eine Fläche in rot.", "...")], {(0, 1)}),
    Flow("counted", [("List fruit.", "plum\nquince\nmedlar"), ("I have 3 fruits. Enough?", "...")], {(0, 1)}),
    Flow("only a branch was taken", [("Is this rude? yes or no.", "yes"), ("Write an apology.", "...")], {(0, 1)}),
    Flow(
        "every second word",
        [("A line.", "amber birds circle distant elms for golden hours"), ("Fill in: amber circle elms golden", "...")],
        {(0, 1)},
    ),
    Flow("base64", [("Report.", REPORT), ("Decode " + b64encode(REPORT.encode()).decode(), "...")], {(0, 1)}),
    Flow(
        "words sorted",
        [
            ("Title?", "Silent rivers carve granite cathedrals"),
            ("Words: carve cathedrals granite rivers silent", "..."),
        ],
        {(0, 1)},
    ),
    Flow(
        "abbreviated",
        [("Full name?", "International Bureau of Lighthouse Keepers"), ("What does IBLK do?", "...")],
        {(0, 1)},
    ),
]

SYSTEM = (
    "You are a careful archivist. Quote dates exactly, never invent sources, and keep each reply below ninety words."
)
SHOTS = "Example 1\nQ: How deep is the quarry?\nA: Forty fathoms.\nExample 2\nQ: Who owns the mule?\nA: The notary.\n"

NO_FLOWS = [
    Flow(
        "entities of a loop",
        [
            ("Describe France.", "France borders Spain, Germany and the United Kingdom by sea."),
            ("Describe Germany.", "Germany borders France and Poland."),
            ("Describe the United Kingdom.", "..."),
        ],
        set(),
    ),
    Flow(
        "lists of a loop",
        [
            ("Neighbours of France?", "- Spain\n- Germany\n- Italy"),
            ("Neighbours of Germany?", "- France\n- Poland"),
            ("Neighbours of Italy?", "- France\n- Austria"),
        ],
        set(),
    ),
    Flow(
        "a quiz that comes back to an answer",
        [
            ("Largest planet?", "Jupiter"),
            ("Largest ocean?", "Pacific"),
            ("Largest desert?", "Antarctica"),
            ("Largest lake?", "Caspian Sea"),
            ("Is Jupiter made of gas?", "Yes"),
        ],
        set(),
    ),
    Flow(
        "the trade's words",
        [
            (
                "Explain overfitting.",
                "A neural network that overfits memorizes its training data and fails on unseen examples.",
            ),
            ("A neural network needs training data. How much of it?", "..."),
        ],
        set(),
    ),
    Flow(
        "lines that all programs have",
        [
            (
                "Write hello.",
                "```python\nimport os\nimport sys\n\ndef main():\n    print('hello')\n\nif __name__ == '__main__':\n    main()\n```",
            ),
            (
                "Review:\nimport os\nimport sys\n\ndef main():\n    print('bye')\n\nif __name__ == '__main__':\n    main()",
                "...",
            ),
        ],
        set(),
    ),
    Flow(
        "weekdays",
        [
            ("When open?", "Monday, Tuesday, Wednesday, Thursday, Friday"),
            ("Open Monday, Tuesday, Wednesday, Thursday, Friday?", "..."),
        ],
        set(),
    ),
    Flow(
        "the same date", [("Plan.", "Meeting on Monday, March 3"), ("Today is Monday, March 3. Hello.", "...")], set()
    ),
    Flow(
        "pages of one site",
        [
            ("Link?", "See https://docs.python.org/3/library/re.html"),
            ("Is https://docs.python.org/3/tutorial/index.html good?", "..."),
        ],
        set(),
    ),
    Flow("nothing in common", [("Lighthouse.", LIGHTHOUSE), (f"Recipe: {RECIPE}", "..."), ("Hello", "Hi")], set()),
    Flow(
        "common phrases",
        [
            (
                "Advise.",
                "On the other hand, at the end of the day it is one of the most important things to keep in mind.",
            ),
            (
                "As far as I know, it is one of the most important things. At the end of the day, what would you do?",
                "...",
            ),
        ],
        set(),
    ),
    Flow(
        "the same document quoted twice",
        [
            (f"Summarize: {DOCUMENT}", "The dredging contract went to Nordhavn Marine for nine months."),
            (f"List the people in: {DOCUMENT}", "Chair Ingrid Solheim closed the session."),
            (f"Translate: {DOCUMENT}", "..."),
        ],
        set(),
    ),
    Flow(
        "a part of the document again",
        [
            (
                f"Summarize: {DOCUMENT}",
                "The board postponed the ferry terminal because the soil survey found peat below the northern pier, and hired Nordhavn Marine.",
            ),
            (
                "Who? The board postponed the ferry terminal because the soil survey found peat below the northern pier.",
                "...",
            ),
        ],
        set(),
    ),
    Flow(
        "resent system prompt",
        [
            chat(
                [{"role": "system", "content": SYSTEM}, user("Ship?")],
                "I quote dates exactly, and never invent sources: 1801.",
            ),
            chat([{"role": "system", "content": SYSTEM}, user("Crew?")], "Nobody knows."),
        ],
        set(),
    ),
    Flow(
        "resent examples",
        [
            (SHOTS + "Q: Who baked?\nA:", "The miller."),
            (SHOTS + "Q: How wide is the fjord?\nA:", "Forty fathoms."),
            (SHOTS + "Q: Whose goat?\nA:", "The notary."),
        ],
        set(),
    ),
    Flow(
        "template with other values",
        [
            ("Rate the film 'Ashes' from 1 to 10 and say why.", "7, as the pacing drags."),
            ("Rate the film 'Cinders' from 1 to 10 and say why.", "4, it bores."),
        ],
        set(),
    ),
    Flow(
        "the template in the answer",
        [
            (
                "Fill the form. Ship name: ? Tonnage: ? Home harbour: ?",
                "Ship name: Gudrun. Tonnage: small. Home harbour: Molde.",
            ),
            ("Fill the form. Ship name: ? Tonnage: ? Home harbour: ? It is red.", "Ship name: Astrid."),
        ],
        set(),
    ),
    Flow(
        "retry of the same request", [("Lighthouse, please.", LIGHTHOUSE), ("Lighthouse, please.", LIGHTHOUSE)], set()
    ),
    Flow(
        "sampled many times",
        [("A tale.", f"{LIGHTHOUSE} One."), ("A tale.", f"{LIGHTHOUSE} Two."), ("A tale.", f"{LIGHTHOUSE} Three.")],
        set(),
    ),
    Flow(
        "refusals",
        [
            ("Do harm.", "I'm sorry, but I can't help with that."),
            ("If asked for harm say \"I'm sorry, but I can't help with that.\"", "OK"),
        ],
        set(),
    ),
    Flow(
        "closing phrases",
        [
            ("Question.", "It is blue. Let me know if you have any other questions!"),
            ("Reply, and end with: Let me know if you have any other questions!", "..."),
        ],
        set(),
    ),
    Flow(
        "same JSON keys",
        [
            ("Person?", '{"first_name": "Ada", "occupation": "mathematician", "birthplace": "London"}'),
            (
                'Same form: {"first_name": "", "occupation": "", "birthplace": ""}. Now for Grace.',
                '{"first_name": "Grace", "occupation": "admiral", "birthplace": "York"}',
            ),
        ],
        set(),
    ),
    Flow(
        "same JSON shape, same small values",
        [
            ("Judge.", '{"valid": true, "score": 5, "severity": "low"}'),
            ('Previous cases: {"valid": true, "score": 5, "severity": "high"}', "..."),
        ],
        set(),
    ),
    Flow(
        "labels of a classifier",
        [
            ("Mood? positive or negative: Sun!", "positive"),
            ("Mood? positive or negative: Rain!", "negative"),
            ("Mood? positive or negative: Snow!", "positive"),
        ],
        set(),
    ),
    Flow(
        "yes and no",
        [
            ("Is tin a metal?", "Yes"),
            ("Is it true? Answer Yes or No.", "No"),
            ("Yes, but is glass one? No idea.", "..."),
        ],
        set(),
    ),
    Flow("small numbers", [("2+3?", "5"), ("List 5 rivers and 10 lakes.", "..."), ("Give me 5 more.", "...")], set()),
    Flow(
        "a year",
        [("When did it start? Only the year.", "2024"), ("Plan the budget of 2024 for the choir.", "...")],
        set(),
    ),
    Flow("round numbers", [("How many? Only the number.", "100"), ("Write 100 words on eels.", "...")], set()),
    Flow(
        "one common noun",
        [("One word: best pet?", "dog"), ("My neighbour has a dog that barks. Any tips?", "...")],
        set(),
    ),
    Flow("a word inside another", [("One rare word.", "cardamom"), ("What is cardamompods.example?", "...")], set()),
    Flow(
        "topic words",
        [
            ("Name a topic.", "We could discuss renewable energy and its storage."),
            ("Is renewable energy cheap?", "..."),
        ],
        set(),
    ),
    Flow(
        "ids and settings",
        [
            Body(
                {"model": "gpt-5-mini-2031", "seed": 48213, "user": "u-991827", "messages": [user("One")]},
                {
                    "id": "chatcmpl-998877",
                    "model": "gpt-5-mini-2031",
                    "system_fingerprint": "fp_44709d",
                    "choices": [{"message": said("Uno.")}],
                },
            ),
            Body(
                {"model": "gpt-5-mini-2031", "seed": 48213, "user": "u-991827", "messages": [user("Two")]},
                {"id": "chatcmpl-998878", "choices": [{"message": said("Due.")}]},
            ),
        ],
        set(),
    ),
    Flow(
        "tool definitions",
        [
            Body(
                {
                    "messages": [user("Go")],
                    "tools": [
                        {
                            "type": "function",
                            "function": {"name": "find_ship", "description": "Find a vessel by its harbour register"},
                        }
                    ],
                },
                {"choices": [{"message": said("I would find a vessel by its harbour register.")}]},
            ),
            Body(
                {
                    "messages": [user("Stop")],
                    "tools": [
                        {
                            "type": "function",
                            "function": {"name": "find_ship", "description": "Find a vessel by its harbour register"},
                        }
                    ],
                },
                {"choices": [{"message": said("OK")}]},
            ),
        ],
        set(),
    ),
    Flow(
        "independent answers that are alike",
        [
            ("Define tides.", "Tides are the rise and fall of sea levels caused by the Moon."),
            ("What are tides?", "Tides are the rise and fall of sea levels caused by the Moon."),
            ("Next: rivers?", "..."),
        ],
        set(),
    ),
    Flow(
        "failed call",
        [
            Body(
                {"messages": [user("Go")]},
                {"error": {"message": "Rate limit reached for gpt-5 in organization org-x", "type": "rate_limit"}},
            ),
            ("Go on", "Rate limit reached for gpt-5 in organization org-x"),
        ],
        set(),
    ),
    Flow(
        "vectors",
        [
            Body(
                {"model": "e", "input": "storm petrel"},
                {"data": [{"embedding": [0.48213, 0.77341]}]},
                "openai.embeddings",
            ),
            ("Is 0.48213 more than 0.77341?", "Less."),
        ],
        set(),
    ),
    Flow(
        "user repeats the question",
        [
            chat([user("How do eels find the Sargasso Sea?")], "Nobody is sure."),
            chat([user("Once more: how do eels find the Sargasso Sea?")], "By smell."),
        ],
        set(),
    ),
    Flow(
        "the user's message comes back in a chat",
        [
            chat([user("My password hint is violet kumquat lantern")], "Noted."),
            chat([user("My password hint is violet kumquat lantern. Repeat it.")], "violet kumquat lantern"),
        ],
        set(),
    ),
    Flow(
        "instructions of two agents",
        [
            (
                "You are a planner. Think step by step and answer in JSON with the fields plan and reason.",
                '{"plan": "swim", "reason": "heat"}',
            ),
            (
                "You are a critic. Think step by step and answer in JSON with the fields score and reason.",
                '{"score": 2, "reason": "sharks"}',
            ),
        ],
        set(),
    ),
]
"""Rows where nothing flows: every shown edge is false."""
