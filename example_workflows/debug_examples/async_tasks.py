"""A subrun for each ticket, all at once in asyncio tasks."""

import asyncio

from desk import TICKETS, Ticket, aask, simulate

from ao.runner.context_manager import ao_record


async def work(ticket: Ticket) -> str:
    """What the model says of a ticket."""
    async with ao_record(f"ticket-{ticket.id}"):
        return await aask(ticket.text)


async def main() -> None:
    """All tickets."""
    for ticket, sentiment in zip(TICKETS, await asyncio.gather(*map(work, TICKETS)), strict=True):
        print(ticket.id, sentiment)


simulate()
asyncio.run(main())
