"""A subrun for each ticket, in processes.  How they are started may be given: spawn, forkserver, fork."""

import multiprocessing
import sys
from concurrent.futures import ProcessPoolExecutor

from desk import TICKETS, Ticket, ask, simulate

from ao.runner.context_manager import ao_record


def work(ticket: Ticket) -> str:
    """What the model says of a ticket."""
    with ao_record(f"ticket-{ticket.id}"):
        return ask(ticket.text)


if __name__ == "__main__":
    simulate()
    context = multiprocessing.get_context(sys.argv[1] if len(sys.argv) > 1 else "spawn")
    with ProcessPoolExecutor(2, mp_context=context) as pool:
        for ticket, sentiment in zip(TICKETS, pool.map(work, TICKETS), strict=True):
            print(ticket.id, sentiment)
