"""Two prompts side by side: a subrun for each, with a subrun for each ticket in it."""

from desk import SENTIMENT, TICKETS, ask, simulate

from ao.runner.context_manager import ao_record

configs = [
    {"name": "plain", "system": SENTIMENT},
    {"name": "again", "system": f"{SENTIMENT} Customers who write again about an unsolved problem are negative."},
]

simulate()
for config in configs:
    right = 0
    with ao_record(f"config-{config['name']}"):
        for ticket in TICKETS:
            with ao_record(f"ticket-{ticket.id}"):
                right += ask(ticket.text, config["system"]) == ticket.sentiment
    print(f"{config['name']}: {right} of {len(TICKETS)} right")
