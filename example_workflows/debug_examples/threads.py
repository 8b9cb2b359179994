"""A subrun for each ticket, several at a time in threads."""

from concurrent.futures import ThreadPoolExecutor

from desk import TICKETS, Ticket, ask, simulate

from ao.runner.context_manager import ao_record


def work(ticket: Ticket) -> str:
    """What the model says of a ticket."""
    with ao_record(f"ticket-{ticket.id}"):
        return ask(ticket.text)


simulate()
with ThreadPoolExecutor(max_workers=4) as pool:
    for ticket, sentiment in zip(TICKETS, pool.map(work, TICKETS), strict=True):
        print(ticket.id, sentiment)
