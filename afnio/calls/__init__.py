"""Everything about making one LM call well: limits, retries, usage, budget, the call log. Knows no provider."""

from __future__ import annotations

from afnio.calls.budget import Budget as Budget
from afnio.calls.budget import Pricer as Pricer
from afnio.calls.caller import send as send
from afnio.calls.caller import unpriced as unpriced
from afnio.calls.ledger import Ledger as Ledger
from afnio.calls.ledger import Row as Row
from afnio.calls.limiter import Limits as Limits
from afnio.calls.log import CallLog as CallLog
from afnio.calls.loop import Hop as Hop
from afnio.calls.loop import OnLoop as OnLoop
from afnio.calls.loop import User as User
from afnio.calls.loop import adrive as adrive
from afnio.calls.loop import drive as drive
from afnio.calls.loop import hop as hop
from afnio.calls.loop import run_async as run_async
from afnio.calls.loop import run_inline as run_inline
from afnio.calls.loop import run_sync as run_sync
from afnio.calls.loop import user as user
from afnio.calls.request import ApiFormat as ApiFormat
from afnio.calls.request import Cost as Cost
from afnio.calls.request import Reply as Reply
from afnio.calls.request import Request as Request
from afnio.calls.request import Usage as Usage
from afnio.calls.session import Session as Session
from afnio.calls.session import current_phase as current_phase
from afnio.calls.session import current_session as current_session
from afnio.calls.session import phase as phase
from afnio.calls.transport import RawResponse as RawResponse
from afnio.calls.transport import Timeout as Timeout
from afnio.calls.transport import Transport as Transport
