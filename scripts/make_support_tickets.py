"""Make ``afnio/utils/datasets/support_tickets.json``: 300 support tickets whose right answers the world knows.

    python scripts/make_support_tickets.py [--seed N] [--out FILE]

A ticket is put together from fragments for what it is about, how its writer feels, how much it hurries, and which
laws of the world ``tickets`` it shows.  It is kept only when the world reads in it exactly what it was made from, so
that the answers are those a careful person would give, and a naive reading is right on 55 percent of each split.
All names and products are made up.
"""

from __future__ import annotations

import argparse
import json
import random
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from afnio.models.lm_server.worlds.tickets import LAWS, naive, shown_laws, truth
from afnio.models.lm_server.worlds.tickets.laws import LAWS_BY_NAME
from afnio.models.lm_server.worlds.tickets.wording import blanket_rules, stated_laws

OUT = Path(__file__).parents[1] / "afnio" / "utils" / "datasets" / "support_tickets.json"
SPLITS = {"train": 120, "val": 60, "test": 120}
PLAIN_SHARE = 0.55

PRODUCTS = (
    "Brindlo tablet", "Quendle router", "Marrowick scanner", "Tavelin headset", "Pellmor camera", "Yarrowby thermostat",
    "Skelvin speaker", "Dunmere monitor", "Brindlo keyboard", "Tavelin microphone", "Pellmor doorbell", "Quendle hub",
)  # fmt: skip
APPS = ("Quendle Home", "Brindlo Notes", "Skelvin Studio", "Pellmor Guard", "Marrowick Desk", "Yarrowby Planner")
NAMES = (
    "Ines", "Tomasz", "Leila", "Marcus", "Yuki", "Oluwaseun", "Greta", "Rafael", "Hanna", "Devika", "Pieter", "Salma",
    "Noel", "Katarina", "Bruno", "Aoife", "Dimitri", "Mei", "Joaquin", "Freya", "Amadou", "Sofia", "Luka", "Priya",
    "Henrik", "Nadia", "Owen", "Zeynep", "Caleb", "Mirela", "Anton", "Ruth", "Kofi", "Elin", "Matteo", "Vera",
)  # fmt: skip
COLLEAGUES = ("Jonas", "Amina", "Clara", "Viktor", "Lucia", "Samuel", "Noor", "Ewa")
PLACES = ("the warehouse", "our branch office", "the clinic", "the reading room", "my workshop", "the school library",
          "the front desk", "our kitchen", "the studio", "the second floor")  # fmt: skip
WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday")
SUMS = ("19.90", "42.00", "86.50", "120.00", "240.75", "15.20", "64.30", "310.00")

GREETINGS = ("Hello,", "Hi there,", "Dear support team,", "Good morning,", "Good evening,", "To whom it may concern,",
             "Hi,", "Dear all,", "Hello team,", "")  # fmt: skip
SIGN_OFFS = ("Regards, {name}", "Best regards, {name}", "Kind regards, {name}", "{name}", "Yours sincerely, {name}",
             "Cheers, {name}", "Greetings from {name}", "- {name}")  # fmt: skip
OPENERS = (
    "I look after the equipment at {place}.",
    "We have been customers for about three years now.",
    "I bought my {product} in spring.",
    "My order number is {number}.",
    "I am writing on behalf of {colleague}, who is on leave.",
    "We run a small business with five people.",
    "This concerns customer number {number}.",
    "I spent most of {weekday} on this.",
    "I have read your help pages and found nothing on it.",
    "You may remember me from the spring campaign.",
    "My neighbour {colleague} recommended you to me.",
    "I am not very good with technology, so please bear with me.",
    "",
    "",
    "",
)

CORES: dict[str, tuple[tuple[str, str], ...]] = {
    "billing": (
        ("Invoice {number}", "Invoice {number} lists two items that I do not recognise, a total of {sum} euros."),
        ("Charged twice", "My credit card was charged twice in {month}, {sum} euros each time, for one order."),
        ("VAT on our invoice", "The VAT on our last invoice looks wrong: it should be nineteen percent, not seven."),
        ("Payment method", "I want to pay by bank transfer from now on, but the form only offers a credit card."),
        ("Fee in {month}", "There is a handling fee of {sum} euros on the bill that nobody mentioned when we signed."),
        ("Reminder received", "I got a payment reminder although the amount left our bank on {weekday}."),
        ("Company details", "Could the invoice carry our new company name and the order reference {number}?"),
        ("Receipt for {month}", "For my tax return I need a receipt for {month}; the payment was {sum} euros."),
    ),
    "technical": (
        ("{app} crashes", "Since the last update {app} crashes as soon as I open a file with more than ten pages."),
        ("{product} offline", "The {product} in {place} goes offline every few hours and shows error {code}."),
        ("Sync", "Notes I write on the phone do not sync to the computer; the app only shows a spinning circle."),
        (
            "Export fails",
            "The export to a spreadsheet fails with error {code} whenever the report covers a whole year.",
        ),
        ("Battery", "The battery of the {product} is flat after two hours, and the device gets quite warm."),
        ("Slow dashboard", "The dashboard of {app} takes nearly a minute to come up, and the charts stay empty."),
        ("Screen flickers", "The screen of my {product} flickers as soon as the brightness is above half."),
        ("{app} and printer", "{app} no longer finds the printer in {place}, though other software does."),
        ("Buttons without effect", "The save button in the settings of {app} has no effect; my changes are lost."),
        (
            "Install on {weekday}",
            "I tried to install {app} on a new computer and it stops at eighty percent, error {code}.",
        ),
    ),
    "account": (
        ("New e-mail address", "Please change the e-mail address in my profile; the old one closes in {month}."),
        ("Seats", "We have two new colleagues and need to know how seats are added to our subscription."),
        (
            "Change of administrator",
            "{colleague} has left, so the administrator of our account should be me from now on.",
        ),
        ("Contact details", "Our street was renamed. The contact details in my account cannot be edited by me."),
        (
            "Membership level",
            "My profile still shows the basic membership although I moved to the higher plan in {month}.",
        ),
        ("Two profiles", "By mistake I have two profiles, and I would like to merge them under one user name."),
        ("Permissions", "{colleague} needs permission to see the shared folders, but I find no place to grant it."),
        ("Deleting data", "Which data of an old profile do you keep, and how long after my subscription has ended?"),
    ),
    "shipping": (
        ("Where is {number}?", "The tracking page of order {number} has not changed since {weekday}."),
        ("Wrong doorstep", "The courier left my parcel on a doorstep two streets away and took a photo of it."),
        ("Change of address", "Can the shipment {number} be sent to {place} instead? The courier has it already."),
        ("Customs", "Customs is holding the parcel with the {product} and asks for a document from the sender."),
        ("Half of it", "Only one of the two packages of order {number} was delivered on {weekday}."),
        ("Pick-up point", "Is it possible to have the {product} delivered to a postal pick-up point in our town?"),
        ("Delivery window", "Nobody is home before five. Can the courier come later, or ring at {place}?"),
        ("Order {number}", "Tracking says the package was handed over on {weekday}, but nobody here has seen it."),
    ),
    "sales": (
        ("Quote", "We would like a quote for forty units of the {product}, with a price for two years of service."),
        ("Discount for schools", "Do you offer a discount for schools? We are interested in thirty licences of {app}."),
        ("Demo", "Could someone give us a demo of {app}? Eight of our people would join from two towns."),
        ("Before we buy", "Before we buy the {product} I want to know whether it comes with a stand."),
        ("Trial", "Is there a trial of {app} that runs longer than two weeks? We compare three systems."),
        ("Brochure", "Please send me a brochure of the {product} range and your pricing for resellers."),
        ("Bulk order", "We plan a bulk order of the {product} for {place}. What is the lead time?"),
        ("Licences", "How many licences of {app} do we need for staff who only read and never edit?"),
    ),
}
WISH_CORES: dict[str, tuple[tuple[str, str], ...]] = {
    "technical": (
        (
            "Feature request: dark mode",
            "My feature request: a dark mode for {app}, since I mostly use the app at night.",
        ),
        ("Suggestion", "I would suggest a button in {app} that exports all charts at once."),
        ("Idea for {app}", "It would help if you added a search field to the settings of the app."),
        ("Wish", "Top of my wish list for {app}: offline maps, and an export with my own columns."),
        ("{product}", "Could you add a quiet mode to the firmware of the {product}?"),
    ),
    "account": (
        ("Profile pictures", "Please add pictures to the profiles, so that we see at once whose user name it is."),
        ("Feature idea", "A feature idea for you: let one subscription cover two households."),
    ),
    "billing": (
        (
            "Suggestion for invoices",
            "My suggestion: put the purchase order on the invoice, and offer payment by quarter.",
        ),
        ("Invoices", "It would be nice if you offered one invoice for all branches instead of seven."),
    ),
    "shipping": (("Delivery times", "I'd suggest that the courier sends a text before each delivery."),),
}
SIGN_IN_CORES: tuple[tuple[str, str], ...] = (
    ("Error at the door", "The app shows error {code} whenever I try to log in, on the phone and on the computer."),
    ("Password", "I reset my password twice, yet {app} fails to accept it and shows error {code}."),
    ("Verification code", "The verification code never shows up on my device, so the app keeps me outside."),
    ("Locked out", "After the update I am locked out of {app}; it says error {code} and nothing else."),
    ("Two-factor", "Since I changed phones the two-factor step of {app} fails with error {code}."),
    ("Sign-in loop", "The sign-in page of {app} loads again and again, and no error is shown."),
)
CANCEL_CORES: dict[str, tuple[tuple[str, str], ...]] = {
    "account": (
        ("My subscription", "I have decided to cancel my subscription at the end of {month}. What do I need to do?"),
        ("Moving on", "Our membership runs out soon, and we are moving to another provider after that."),
        ("End of plan", "Please cancel the family plan; my children have left home and do not use it."),
        ("Notice", "How do I cancel the membership in my account? I find no menu for it."),
    ),
    "billing": (
        ("Leaving in {month}", "I want to cancel before the next invoice, as the fee has gone up once too often."),
        ("Last invoice", "We are switching to a different supplier. Will there be one more invoice, and for how much?"),
    ),
}
DAMAGED_CORES: tuple[tuple[str, str], ...] = (
    ("{product}", "My new {product} arrived damaged: the screen has a long scratch and the battery cover is loose."),
    ("Dented {product}", "The {product} arrived dented on one side, and one button does not move."),
    ("Cable missing", "The power cable of the {product} was missing from the box, so the device cannot start."),
    ("Broken glass", "My {product} arrived broken. There is glass around the screen and it does not turn on."),
    ("Incomplete set", "The set arrived incomplete: the {product} is here, the battery and the printer stand are not."),
    ("Cracked", "The device arrived cracked, the screen as well as the back, and shows error {code}."),
)
FRAUD_CORES: dict[str, tuple[tuple[str, str], ...]] = {
    "account": (
        ("Odd change", "Someone else has changed the contact details in my account, to a town I never lived in."),
        ("Strange profile", "A stranger seems to use my profile: the user name is mine, the photo is not."),
        ("E-mail about my profile", "I got an e-mail pretending to be from you that asks me to confirm my user name."),
    ),
    "billing": (
        ("Unknown payment", "There is a payment of {sum} euros on my credit card that I did not make."),
        ("Odd invoice", "The attached invoice looks like phishing: it names a bank I never heard of."),
        (
            "Order I did not place",
            "My bank shows a charge of {sum} euros for something I never ordered; I suspect fraud.",
        ),
    ),
    "shipping": (("Parcel", "A parcel was shipped in my name to a town I do not know; I did not order it."),),
}

MOODS: dict[str, tuple[str, ...]] = {
    "positive": (
        "I love the {product}, by the way, it has made my days easier.",
        "Apart from that I am very happy with everything.",
        "Your colleague {colleague} was a great help last week.",
        "I have always been impressed by how quickly you answer.",
        "It really is an excellent piece of work, and my family enjoys it.",
        "We are delighted with the rest of it.",
        "Otherwise all is perfect, and I tell my friends so.",
        "I am grateful for the patience your team has shown.",
    ),
    "negative": (
        "I am very disappointed, I expected more.",
        "This is unacceptable for what it costs.",
        "Frankly, I am fed up with it.",
        "It is frustrating, and it has ruined my week.",
        "I am quite upset that nobody told us before.",
        "What a terrible experience so far.",
        "It is ridiculous that this is left to the customer.",
        "My family is annoyed, and so am I.",
        "The whole thing has been a nightmare.",
    ),
    "neutral": ("", "", "", "Perhaps I have overlooked something.", "I attach two pictures.",
                "I can send more details.", "Please tell me what you need from my side.",
                "I hope this is the right address for it."),
}  # fmt: skip
HURRIES: dict[str, tuple[str, ...]] = {
    "high": (
        "This is urgent.",
        "Please look at it immediately.",
        "I need an answer as soon as possible.",
        "It is critical for us, so please hurry.",
        "Please treat it as an emergency.",
        "We need help right away.",
        "Kindly get back to me asap.",
    ),
    "low": (
        "There is no rush.",
        "It can wait, of course.",
        "Answer whenever it suits you.",
        "Please take your time.",
        "It is not urgent at all.",
        "No hurry from my side.",
        "I am just wondering.",
        "Have a look when you find the time.",
    ),
    "medium": ("", "", "", "A reply this week would be fine.", "I look forward to hearing from you.",
               "Please let me know what happens next.", "What do you advise?"),
}  # fmt: skip
PHRASES: dict[str, tuple[str, ...]] = {
    "refund": (
        "I would like a refund instead of another repair.",
        "Please refund the full amount.",
        "I simply want my money back.",
        "Will you reimburse me for it?",
        "In this case I prefer a refund, please.",
        "After two weeks of this I ask for my money back.",
    ),
    "outage": (
        "None of us in {place} can work until it is solved.",
        "It is the same for the whole team.",
        "The entire office is affected and sits idle.",
        "All of us have the same problem since {weekday}.",
        "Twelve people are waiting for it here.",
        "Nobody here can do their job at the moment.",
    ),
    "deadline": (
        "Everything has to be ready by tomorrow.",
        "I have to hand in the papers before noon.",
        "The auditors come tomorrow morning.",
        "We need it for tonight, there is an event at {place}.",
        "My contract says this must be settled by today.",
        "I leave on a long journey tomorrow at six.",
    ),
    "sarcasm": (
        "Great job, really.",
        "Well done, I could not have broken it better myself.",
        "How wonderful to spend my weekend on this.",
        "Bravo to whoever tested that.",
        "Congratulations on a work of art.",
        "Just perfect, exactly what I had hoped for on a {weekday}.",
        "Fantastic work, now nothing is where it was.",
        "Brilliant timing, as ever.",
    ),
    "again": (
        "This is the third time I write about it.",
        "I already reported this in {month} and heard nothing.",
        "I am following up on my ticket from last {weekday}.",
        "There was no reply to my earlier message.",
        "I already contacted you twice about the same thing.",
        "So here I am once again with the same question.",
        "It is my second request, the first is two weeks old.",
    ),
}
MONTHS = ("January", "February", "March", "April", "May", "June", "September", "October", "November")


@dataclass(frozen=True)
class Plan:
    """What a ticket is made from: naive sentiment, urgency and queue, and the laws it shows."""

    sentiment: str
    urgency: str
    queue: str
    laws: frozenset[str]

    @property
    def naive(self) -> dict[str, str]:
        """What a naive reading should find."""
        return {"sentiment": self.sentiment, "urgency": self.urgency, "queue": self.queue}


def plan(laws: frozenset[str], rng: random.Random) -> Plan:
    """Naive values such that each of ``laws`` changes one of them."""
    sentiment = rng.choices(("positive", "neutral", "negative"), (3, 5, 4))[0]
    urgency = rng.choices(("low", "medium", "high"), (4, 5, 4))[0]
    queue = rng.choice(tuple(CORES))
    if "sarcasm" in laws:
        sentiment = "positive"
    elif "again" in laws:
        sentiment = rng.choice(("neutral", "neutral", "positive"))
    if laws & {"outage", "deadline"}:
        urgency = "medium"
    elif "fraud" in laws:
        urgency = rng.choice(("low", "medium", "medium"))
    elif "wish" in laws:
        urgency = rng.choice(("high", "high", "medium"))
    return Plan(sentiment, urgency, _queue(laws, queue, rng), laws)


def _queue(laws: frozenset[str], queue: str, rng: random.Random) -> str:
    if "refund" in laws:
        return rng.choice(("technical", "technical", "shipping"))
    if laws & {"damaged", "sign_in"}:
        return "technical"
    for name, cores in (("cancel", CANCEL_CORES), ("fraud", FRAUD_CORES), ("wish", WISH_CORES)):
        if name in laws:
            return rng.choice(tuple(cores))
    if "outage" in laws:
        return rng.choice(("technical", "technical", "account"))
    if "sarcasm" in laws:
        return rng.choice(("technical", "shipping", "billing"))
    return queue


def core(wanted: Plan, rng: random.Random) -> tuple[str, str]:
    """``(subject, sentence)`` of what the ticket is about."""
    for name, cores in (("sign_in", SIGN_IN_CORES), ("damaged", DAMAGED_CORES)):
        if name in wanted.laws:
            return rng.choice(cores)
    for name, by_queue in (("cancel", CANCEL_CORES), ("fraud", FRAUD_CORES), ("wish", WISH_CORES)):
        if name in wanted.laws:
            return rng.choice(by_queue[wanted.queue])
    return rng.choice(CORES[wanted.queue])


def compose(wanted: Plan, rng: random.Random) -> str:
    """One ticket; perhaps not one in which the world reads what was wanted."""
    subject, about = core(wanted, rng)
    said = [rng.choice(PHRASES[name]) for name in sorted(wanted.laws) if name in PHRASES]
    mood = "" if "sarcasm" in wanted.laws else rng.choice(MOODS[wanted.sentiment])
    middle = [about, *said, mood]
    if rng.random() < 0.25 and mood:
        middle = [mood, about, *said]
    parts = [rng.choice(OPENERS), *middle, rng.choice(HURRIES[wanted.urgency])]
    body = " ".join([part for part in parts if part])
    frame = [rng.choice(GREETINGS), body, rng.choice(SIGN_OFFS)]
    text = "\n".join([part for part in frame if part])
    if rng.random() < 0.6:
        text = f"Subject: {subject}\n{text}"
    return fill(text, rng)


def fill(text: str, rng: random.Random) -> str:
    """``text`` with one draw for each slot, the same everywhere."""
    slots = {
        "product": rng.choice(PRODUCTS),
        "app": rng.choice(APPS),
        "name": rng.choice(NAMES),
        "colleague": rng.choice(COLLEAGUES),
        "place": rng.choice(PLACES),
        "weekday": rng.choice(WEEKDAYS),
        "month": rng.choice(MONTHS),
        "sum": rng.choice(SUMS),
        "number": str(rng.randrange(10_000, 99_999)),
        "code": f"{rng.choice('ABEKR')}{rng.randrange(10, 99)}",
    }
    return re.sub(r"\{(\w+)\}", lambda match: slots[match.group(1)], text)


def holds(text: str, wanted: Plan) -> bool:
    """Whether the world reads in ``text`` what it was made from, and takes none of it for a rule."""
    if naive(text) != wanted.naive or {law.name for law in shown_laws(text)} != wanted.laws:
        return False
    changed = [LAWS_BY_NAME[name].field for name in wanted.laws]
    right = truth(text)
    apart = len(set(changed)) == len(changed) and all(right[field] != wanted.naive[field] for field in changed)
    return apart and not stated_laws(text) and not blanket_rules(text)


def ticket(laws: frozenset[str], rng: random.Random, taken: set[str]) -> str:
    """A ticket that shows exactly ``laws``; its sentences about the matter are not in ``taken`` yet."""
    for _ in range(10_000):
        wanted = plan(laws, rng)
        text = compose(wanted, rng)
        if text not in taken and holds(text, wanted):
            taken.add(text)
            return text
    raise SystemExit(f"No ticket shows exactly {sorted(laws)}: the fragments contradict the world's patterns.")


def law_sets(size: int, rng: random.Random) -> list[frozenset[str]]:
    """The laws each ticket of a split shows: none for 55 percent, for the others one, or two of different fields."""
    plain = round(size * PLAIN_SHARE)
    singles = [frozenset({law.name}) for law in LAWS]
    pairs = [frozenset({a.name, b.name}) for a in LAWS for b in LAWS if a.field < b.field and likely(a.name, b.name)]
    rng.shuffle(pairs)
    ruled = size - plain
    twice = ruled // 3
    sets = [singles[index % len(singles)] for index in range(ruled - twice)] + pairs[:twice]
    sets += [frozenset()] * plain
    rng.shuffle(sets)
    return sets


def likely(first: str, second: str) -> bool:
    """Whether two laws can show in one natural ticket."""
    unlikely = [{"wish", other} for other in ("refund", "cancel", "damaged", "sign_in", "sarcasm")]
    unlikely += [{"fraud", other} for other in ("refund", "cancel", "damaged", "sign_in", "sarcasm")]
    unlikely += [{"outage", other} for other in ("cancel", "damaged", "refund")]
    return {first, second} not in unlikely


def rows(split: str, size: int, seed: int, taken: set[str]) -> Iterable[dict[str, str]]:
    """The tickets of a split with their right answers."""
    rng = random.Random(f"{seed}/{split}")
    for index, laws in enumerate(law_sets(size, rng)):
        text = ticket(laws, rng, taken)
        yield {"id": f"{split}-{index:03d}", "text": text, **truth(text)}


def main() -> None:
    """Write the file."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--seed", type=int, default=7)
    arguments.add_argument("--out", type=Path, default=OUT)
    given = arguments.parse_args()
    taken: set[str] = set()
    splits = {split: list(rows(split, size, given.seed, taken)) for split, size in SPLITS.items()}
    lines = ",\n".join([f' "{split}": [\n{_lines(found)}\n ]' for split, found in splits.items()])
    given.out.write_text(f"{{\n{lines}\n}}\n", encoding="utf-8")
    print(f"{given.out}: {', '.join([f'{len(found)} {split}' for split, found in splits.items()])}")


def _lines(found: list[dict[str, str]]) -> str:
    return ",\n".join(["  " + json.dumps(row, ensure_ascii=False) for row in found])


if __name__ == "__main__":
    main()
