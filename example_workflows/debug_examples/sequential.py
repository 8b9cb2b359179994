"""One call after the other: what one answers goes into the next.  ``ao-tool show last`` shows the edges."""

from desk import TICKETS, ask, simulate

simulate()
for ticket in TICKETS[:2]:
    sentiment = ask(ticket.text)
    queue = ask(ticket.text, "Name the queue that has to deal with this message: billing, technical or general.")
    report = f"Ticket {ticket.id} is a {sentiment} message for the queue {queue}."
    print(report)
    print("Urgency:", ask(f"{report}\n\n{ticket.text}", "Name the urgency of the message: low, medium or high."))
