"""An evaluation: a subrun for each sample, which says whether it passed."""

from desk import TICKETS, ask, simulate

import ao
from ao.runner.context_manager import ao_record

simulate()
results = []
for ticket in TICKETS:
    with ao_record(f"eval-{ticket.id}"):
        prediction = ask(ticket.text)
        passed = prediction == ticket.sentiment
        ao.log(f"expected {ticket.sentiment}, got {prediction}", success=passed)
        results.append(passed)

print(f"Average score: {sum(results) / len(results):.2f}")
