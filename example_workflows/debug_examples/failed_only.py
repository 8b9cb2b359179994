"""Debugging the failed samples only: all are evaluated, and a longer prompt is tried on those that failed."""

from desk import SENTIMENT, TICKETS, ask, simulate

import ao
from ao.runner.context_manager import ao_record

LONGER = f"{SENTIMENT} Customers who write again about an unsolved problem are negative, even if they stay polite."

simulate()
failed = []
for ticket in TICKETS:
    with ao_record(f"eval-{ticket.id}"):
        prediction = ask(ticket.text)
        ao.log(prediction, success=prediction == ticket.sentiment)
        if prediction != ticket.sentiment:
            failed.append((ticket, prediction))

print(f"{len(failed)} of {len(TICKETS)} failed: {[ticket.id for ticket, _ in failed]}")
for ticket, prediction in failed:
    with ao_record(f"debug-{ticket.id}"):
        print(ticket.id, prediction, "->", ask(ticket.text, LONGER))
