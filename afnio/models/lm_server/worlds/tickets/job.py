"""24 fixed tickets for the benchmark job (24 samples, batches of 8, 3 steps), in two orders."""

from __future__ import annotations

from afnio.models.lm_server.worlds.tickets.reading import truth

__all__ = ["JOB_PROMPT", "job_tickets"]

JOB_PROMPT = (
    "Classify the support ticket. Answer in JSON with the keys sentiment (positive, neutral, negative), "
    "urgency (low, medium, high) and queue (billing, technical, account, shipping, sales)."
)
"""A start prompt without laws: 13 of the 24 tickets come out right."""

_REFUND_AGAIN = (
    (
        "The scanner in our reading room has shown error K41 since Monday. This is the third time I write about it. "
        "By now I would rather have a refund than one more repair. Ines"
    ),
    (
        "I am following up on my message of last week: the app still crashes when I open a long file. "
        "Please refund the yearly price, the software is of no use to me. Tomasz"
    ),
)
_REFUND = (
    (
        "The battery of the headset is flat after one hour, whatever I do. I have tried two cables. "
        "I would like my money back and will send the device to you. Hanna"
    ),
)
_AGAIN = (
    (
        "Our invoice for May lists two items that we never received. I already reported this in June, with a list. "
        "Could you please correct the invoice? Pieter"
    ),
)
_SIGN_IN_OUTAGE = (
    (
        "Since the update this morning the app rejects every password and shows error A17. "
        "It is the same for the whole team, on phones and computers alike. What should we do? Leila"
    ),
    (
        "The sign-in page of the planner loads again and again without any error. "
        "None of us in the clinic can see the dashboard with the appointments. Please advise. Marcus"
    ),
)
_SIGN_IN = (
    (
        "The verification code does not reach my device, so the app keeps me outside. I have checked the filter "
        "for unwanted mail as well. Take your time, I can use paper. Yuki"
    ),
)
_OUTAGE = (
    (
        "The courier has not brought the package with our new tills. Twelve people are waiting for it in the shop. "
        "Tracking has said the same for two days. What happens next? Greta"
    ),
)
_WISH = (
    (
        "My feature request is a dark mode for the app, as I read my notes in bed. "
        "This is urgent, my eyes hurt, so please look at it immediately. Rafael"
    ),
    (
        "I would suggest a button that exports all charts of the dashboard at once. "
        "Please answer as soon as possible, I look forward to your plans. Devika"
    ),
    (
        "Could you add a field for the purchase order to the invoice? Our auditors ask for it each year. "
        "It is critical for us, please do it right away. Salma"
    ),
)
_PLAIN = (
    (
        "My credit card was charged twice in March, 42 euros each time, for one order. "
        "I attach the bank statement. Please tell me what you need from my side. Noel"
    ),
    (
        "The tracking page of order 51907 has not changed since Wednesday. I am very disappointed, "
        "as the parcel holds a present. Please look at it immediately. Katarina"
    ),
    (
        "We would like a quote for forty units of the desk monitor, with a price for two years of service. "
        "There is no rush, we decide in autumn. Bruno"
    ),
    (
        "Please change the e-mail address in my profile, the old one closes in June. "
        "Otherwise I am very happy with everything. Answer whenever it suits you. Aoife"
    ),
    (
        "The screen of my tablet flickers as soon as the brightness is above half. It is frustrating, "
        "since I read on it every day. What do you advise? Dimitri"
    ),
    (
        "Do you offer a discount for schools? We are interested in thirty licences of the notes package. "
        "I love the design, by the way. A reply this week would be fine. Mei"
    ),
    (
        "Customs is holding the parcel with my camera and asks for a document from the sender. "
        "Please help as soon as possible, they keep it for ten days only. Joaquin"
    ),
    (
        "There is a handling fee of 15 euros on the invoice that nobody mentioned when we signed. "
        "I am fed up with such surprises. Please get back to me asap. Freya"
    ),
    (
        "We have two new colleagues and need to know how seats are added to our subscription. "
        "I find the page, but no button for it. No hurry from my side. Amadou"
    ),
    (
        "The export to a spreadsheet fails with error R52 whenever the report covers a whole year. "
        "This is urgent. I can send the file if that helps. Sofia"
    ),
    (
        "Is it possible to have the speaker delivered to a postal pick-up point in our town? "
        "I am delighted with the first one I bought. It can wait, of course. Luka"
    ),
    (
        "For my tax return I need a receipt for April; the payment was 86 euros. "
        "Your colleague was a great help with it last year. Let me know what you need. Vera"
    ),
    (
        "By mistake I have two profiles, and I would like to merge them under one user name. "
        "Nothing I tried had any effect. Please let me know what happens next. Elin"
    ),
)


def job_tickets(*, every_step_learns: bool = False) -> list[tuple[str, dict[str, str]]]:
    """The tickets with their right answers, in the order in which three batches of 8 take them.

    Five laws matter: refund, again, sign_in, outage, wish.

    Args:
        every_step_learns: False: each batch of 8 shows all five laws, so one kept update out of three is enough for
            accuracy 1.0 on all 24. True: the first batch shows two laws, the second two others, the third the last
            one, so all three steps have work to do and all three updates are needed.
    """
    tickets = _spread() if every_step_learns else _repeated()
    return [(ticket, truth(ticket)) for ticket in tickets]


def _repeated() -> list[str]:
    return [
        *_mixed(_REFUND_AGAIN[0], _SIGN_IN_OUTAGE[0], _WISH[0], plain=_PLAIN[:5]),
        *_mixed(_REFUND_AGAIN[1], _SIGN_IN_OUTAGE[1], _WISH[1], plain=_PLAIN[5:10]),
        *_mixed(*_REFUND, *_AGAIN, *_SIGN_IN, *_OUTAGE, _WISH[2], plain=_PLAIN[10:]),
    ]


def _spread() -> list[str]:
    return [
        *_mixed(*_REFUND_AGAIN, *_REFUND, *_AGAIN, plain=_PLAIN[:4]),
        *_mixed(*_SIGN_IN_OUTAGE, *_SIGN_IN, *_OUTAGE, plain=_PLAIN[4:8]),
        *_mixed(*_WISH, plain=_PLAIN[8:]),
    ]


def _mixed(*ruled: str, plain: tuple[str, ...]) -> list[str]:
    """The two kinds in turn, what is left over at the end."""
    pairs = [ticket for pair in zip(ruled, plain, strict=False) for ticket in pair]
    shared = min(len(ruled), len(plain))
    return [*pairs, *ruled[shared:], *plain[shared:]]
