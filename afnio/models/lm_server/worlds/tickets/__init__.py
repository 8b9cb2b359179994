"""World ``tickets``: sentiment, urgency and queue of support tickets, by ten laws a prompt can state."""

from __future__ import annotations

from afnio.models.lm_server.worlds.tickets.job import JOB_PROMPT as JOB_PROMPT
from afnio.models.lm_server.worlds.tickets.job import job_tickets as job_tickets
from afnio.models.lm_server.worlds.tickets.laws import FIELDS as FIELDS
from afnio.models.lm_server.worlds.tickets.laws import LAWS as LAWS
from afnio.models.lm_server.worlds.tickets.laws import Law as Law
from afnio.models.lm_server.worlds.tickets.reading import naive as naive
from afnio.models.lm_server.worlds.tickets.reading import read as read
from afnio.models.lm_server.worlds.tickets.reading import shown_laws as shown_laws
from afnio.models.lm_server.worlds.tickets.reading import truth as truth
from afnio.models.lm_server.worlds.tickets.wording import blanket_rules as blanket_rules
from afnio.models.lm_server.worlds.tickets.wording import stated_laws as stated_laws
from afnio.models.lm_server.worlds.tickets.world import Tickets as Tickets
