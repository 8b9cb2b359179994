"""A simulated LM behind a real HTTP server on loopback.  It is a simulation, not an AI.

It speaks OpenAI chat completions, OpenAI responses and Anthropic messages, with streaming, tool calls, pictures, output
schemas and usage; it counts what it is asked, and fails on demand.  What it says is decided by a *world* (``worlds``).
"""

from __future__ import annotations

from afnio.models.lm_server.faults import KINDS as KINDS
from afnio.models.lm_server.faults import Fault as Fault
from afnio.models.lm_server.running import LMServer as LMServer
from afnio.models.lm_server.running import serve as serve
from afnio.models.lm_server.simulation import NOTICE as NOTICE
from afnio.models.lm_server.simulation import Settings as Settings
from afnio.models.lm_server.worlds import ABOUT as ABOUT
from afnio.models.lm_server.worlds import WORLDS as WORLDS
from afnio.models.lm_server.worlds import World as World
