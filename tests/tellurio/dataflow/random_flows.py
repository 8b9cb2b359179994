"""Random workflows with a known truth: answers of many shapes, pieces cut out, rewritten and put into templates.

The program's own words come from the same vocabulary as the answers', so that chance makes coincidences too.
"""

from __future__ import annotations

import html
import json
import random
import re
import textwrap
import urllib.parse
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Asked", "Workflow", "workflow"]

COMMON = (
    "the of and to in is that for it was on are as with his they at be this from have or by one had not but what all "
    "were when we there can an your which their said if do will each about how up out them then she many some so these "
    "would other into has more her two like him see time could no make than first been its who now people my made over "
    "did down only way find use may water long little very after words called just where most know get through back"
).split()
PLAIN = (
    "harbour engine window garden copper timber valley bridge lantern barrel meadow kitchen ladder orchard saddle "
    "tunnel glacier pepper basket compass shelter ribbon anchor canvas furnace gravel hammock island jacket kettle "
    "lemon magnet needle oyster pillow quarry rocket satchel thunder umbrella velvet walnut yard zipper boat cabin "
    "dairy echo ferry goose hinge iron jewel knot lock mill nest oven pump quilt rope sail tent urn vase well axle "
    "bakery candle drum elbow fence glove hatch inlet jar kiln loom mast net oar plough quay rudder sledge trowel "
    "repair deliver measure collect polish gather rescue borrow deny carve inspect launch weigh settle twist freeze"
).split()
SYLLABLES = [a + b for a in "bdfgklmnprstvz" for b in ("a", "e", "i", "o", "u", "an", "er", "ol")]
LABELS = ["urgent", "routine", "spam", "billing", "complaint", "praise"]

Piece = tuple[str, bool]
"""A text cut out of an answer, and whether it says enough for somebody to recognise it."""


@dataclass
class Asked:
    """A call; ``sources``: for each piece that was put in, the answers that have it."""

    prompt: str
    answer: str
    sources: list[set[int]] = field(default_factory=list)
    short: list[set[int]] = field(default_factory=list)


@dataclass
class Workflow:
    """Calls in order."""

    calls: list[Asked] = field(default_factory=list)

    def bodies(self) -> list[tuple[dict[str, Any], dict[str, Any]]]:
        system = {"role": "system", "content": "You are a careful assistant. Answer briefly and never guess."}
        return [
            (
                {"model": "m", "messages": [system, {"role": "user", "content": call.prompt}]},
                {"choices": [{"message": {"role": "assistant", "content": call.answer}}]},
            )
            for call in self.calls
        ]


class _Writer:
    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.rare = ["".join(chance.choices(SYLLABLES, k=chance.randint(2, 4))) for _ in range(400)]
        self.formula = (
            f"Dear {{name}}, {self.sentence(5, 9)} Your order {{code}} of {{count}} {chance.choice(PLAIN)}s leaves on "
            f"{{day}} June. {self.sentence(6, 10)} Kind regards"
        )

    def word(self) -> str:
        draw = self.chance.random()
        return self.chance.choice(COMMON if draw < 0.45 else PLAIN if draw < 0.75 else self.rare)

    def sentence(self, least: int = 6, most: int = 16) -> str:
        words = [self.word() for _ in range(self.chance.randint(least, most))]
        return " ".join(words).capitalize() + "."

    def paragraph(self) -> str:
        return " ".join(self.sentence() for _ in range(self.chance.randint(2, 8)))

    def phrase(self) -> str:
        chance = self.chance
        return " ".join(
            [chance.choice(PLAIN), "of" if chance.random() < 0.3 else self.word(), chance.choice(self.rare)]
        )

    def name(self) -> str:
        return " ".join(self.chance.choice(self.rare).capitalize() for _ in range(2))

    def code(self) -> str:
        chance = self.chance
        return chance.choice("ABKQX") + chance.choice("RSTVZ") + f"-{chance.randint(1000, 99999)}"

    def number(self) -> float | int:
        chance = self.chance
        return chance.randint(1000, 9_999_999) if chance.random() < 0.5 else round(chance.uniform(100, 99999), 2)


# ruff: noqa: SIM905 -- words are easier to read in a text

# --- Answers, each with what a program may cut out of it


def _prose(w: _Writer) -> tuple[str, list[Callable[[], Piece]]]:
    text = w.paragraph()
    sentences = [sentence.rstrip(".") for sentence in text.split(". ")]
    half = len(text) // 2
    return text, [
        lambda: (text, True),
        lambda: (max(sentences, key=len), True),
        lambda: (w.chance.choice(sentences), True),
        lambda: (text[:half], True),
        lambda: (text[half:], True),
        lambda: (text[:60], True),
    ]


def _list(w: _Writer) -> tuple[str, list[Callable[[], Piece]]]:
    items = [w.phrase() if w.chance.random() < 0.7 else w.name() for _ in range(w.chance.randint(3, 6))]
    shapes = ["\n".join(f"- {item}" for item in items), "\n".join(f"{i}. {item}" for i, item in enumerate(items, 1))]
    text = w.chance.choice([*shapes, ", ".join(items)])
    numbered = "\n".join(f"{i}) {item}" for i, item in enumerate(items, 1))
    return text, [lambda: (w.chance.choice(items), True), lambda: (numbered, True), lambda: ("; ".join(items), True)]


def _json(w: _Writer) -> tuple[str, list[Callable[[], Piece]]]:
    data = {
        "subject": w.phrase(),
        "person": w.name(),
        "order": w.code(),
        "amount": w.number(),
        "note": w.sentence(),
        "label": w.chance.choice(LABELS),
    }
    kept = {key: data[key] for key in w.chance.sample(list(data), w.chance.randint(2, 6))}
    text = json.dumps(kept, indent=w.chance.choice([None, 2]))
    text = w.chance.choice([text, f"```json\n{text}\n```", f"Here is the JSON:\n{text}"])

    def value() -> Piece:
        key = w.chance.choice(list(kept))
        found = kept[key]
        if isinstance(found, (int, float)):
            return w.chance.choice([f"{found:,}", str(found), f"{found:,.2f}"]), True
        return str(found), key != "label"

    return text, [value, value, value, lambda: (json.dumps(kept, indent=4), True), lambda: (str(kept), True)]


def _short(w: _Writer) -> tuple[str, list[Callable[[], Piece]]]:
    draw = w.chance.randrange(6)
    draws: list[Callable[[], str]] = [
        *(w.name, w.code, w.phrase, lambda: str(w.number())),
        *(w.word, lambda: w.chance.choice(LABELS)),
    ]
    text = draws[draw]()
    return text, [lambda: (text, draw < 4)]


def _tagged(w: _Writer) -> tuple[str, list[Callable[[], Piece]]]:
    thought, said = w.sentence(), w.sentence(4, 10)
    if w.chance.random() < 0.5:
        return f"<thinking>{thought}</thinking>\n<answer>{said}</answer>", [lambda: (said, True)]
    return f"{thought}\n\nFinal answer: {said}", [lambda: (said, True)]


def _with_code(w: _Writer) -> tuple[str, list[Callable[[], Piece]]]:
    names = [f"{w.chance.choice(w.rare)}_{w.chance.choice(PLAIN)}" for _ in range(4)]
    body = f"def {names[0]}({names[1]}):\n    {names[2]} = [{names[3]} for {names[3]} in {names[1]}]\n"
    body += f"    return {names[2]}"
    indented = textwrap.indent(body, "    ")
    return f"{w.sentence()}\n```python\n{body}\n```", [lambda: (body, True), lambda: (indented, True)]


def _formulaic(w: _Writer) -> tuple[str, list[Callable[[], Piece]]]:
    """A letter that is the same each time but for names and numbers."""
    name, code = w.name(), w.code()
    text = w.formula.format(name=name, code=code, count=w.chance.randint(2, 90), day=w.chance.randint(1, 30))
    return text, [lambda: (text, True), lambda: (text, True), lambda: (text.split("\n")[0][: len(text) // 2], True)]


def _words(w: _Writer) -> tuple[str, list[Callable[[], Piece]]]:
    """A list of single rare words, in lines or between commas."""
    items = w.chance.sample(w.rare, w.chance.randint(3, 6))
    text = w.chance.choice(["\n".join(f"- {item}" for item in items), ", ".join(items), json.dumps(items)])
    return text, [lambda: (w.chance.choice(items), False), lambda: (" | ".join(items), True)]


def _keyed(w: _Writer) -> tuple[str, list[Callable[[], Piece]]]:
    """JSON whose keys are data."""
    data = {w.name(): w.chance.randint(1, 9) for _ in range(3)}
    return json.dumps(data), [lambda: (w.chance.choice(list(data)), True)]


def _path(w: _Writer) -> tuple[str, list[Callable[[], Piece]]]:
    """A path, an address or an id in a sentence."""
    rare, plain = w.chance.choice(w.rare), w.chance.choice(PLAIN)
    found = w.chance.choice([f"src/{plain}/{rare}.py", f"{rare}@{plain}.example", w.code(), f"{plain}_{rare}_{plain}"])
    return f"{w.sentence()[:-1]} {found} {w.sentence().lower()}", [lambda: (found, True)]


ANSWERS = [_prose, _prose, _list, _json, _json, _short, _short, _tagged, _with_code, _formulaic, _words, _keyed, _path]

REWRITINGS: list[Callable[[str], str]] = [
    *[str] * 8,
    str.upper,
    str.lower,
    lambda text: " ".join(text.split()),
    html.escape,
    lambda text: json.dumps({"data": text}),
    urllib.parse.quote_plus,
    lambda text: textwrap.fill(text, 30) if len(text) > 60 else text,
    lambda text: f"“{text}”",
    lambda text: f"```\n{text}\n```",
]
"""Most programs hand a text on as it is."""


def workflow(chance: random.Random) -> Workflow:
    """5 to 25 calls; about a third take nothing from an earlier answer."""
    w, made = _Writer(chance), Workflow()
    document = w.paragraph()
    templates = [_template(w) for _ in range(chance.randint(1, 4))]
    pieces: list[list[Callable[[], Piece]]] = []
    for _ in range(chance.randint(5, 25)):
        template = chance.choice(templates)
        filled = template
        sources: list[set[int]] = []
        short: list[set[int]] = []
        for slot in re.findall(r"\{\d\}", template):
            if pieces and chance.random() < 0.6:
                # Mostly one of the latest, as in chains; sometimes any.
                at = (
                    max(0, len(pieces) - 1 - int(chance.expovariate(0.7)))
                    if chance.random() < 0.8
                    else chance.randrange(len(pieces))
                )
                piece, telling = chance.choice(pieces[at])()
                filled = filled.replace(slot, chance.choice(REWRITINGS)(piece))
                (sources if telling else short).append(_carriers(made, at, piece))
            else:
                own = chance.choice(
                    [w.name, w.code, w.phrase, w.sentence, lambda: document, lambda: str(w.number()), w.word]
                )
                filled = filled.replace(slot, own())
        answer, cuts = chance.choice(ANSWERS)(w)
        if document in filled and chance.random() < 0.7:
            answer, cuts = f"{answer}\nThe text says: {chance.choice(document.split('. '))}", cuts[1:] or cuts
        made.calls.append(Asked(filled, answer, sources, short))
        pieces.append(cuts)
    return made


def _template(w: _Writer) -> str:
    begin = w.sentence(3, 8)
    shapes = [
        f"{begin}\n\n{{0}}\n\n{w.sentence(3, 8)}",
        f"{begin} {{0}}",
        f"{begin}\n{w.chance.choice(PLAIN).capitalize()}: {{0}}\n{w.chance.choice(PLAIN).capitalize()}: {{1}}",
        f"{w.sentence(3, 6)[:-1]} {{0}} {w.sentence(3, 6).lower()}",
        f"{begin}\n- {{0}}\n- {{1}}\n- {{2}}",
    ]
    return w.chance.choice(shapes)


def _carriers(made: Workflow, at: int, piece: str) -> set[int]:
    """The answers that have the piece; beside the one it was taken from, by chance or by quoting."""
    plain = " ".join(piece.casefold().split())
    return {at} | {i for i, call in enumerate(made.calls) if plain in " ".join(call.answer.casefold().split())}
