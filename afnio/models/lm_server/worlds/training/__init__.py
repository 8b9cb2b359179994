"""How any world's critic, reducer, optimizer and judge work: by laws that a text can state.

A world brings a `Lawbook`; what it says about a failing sample is its own (``tickets.critic``, ``shop.critic``).
"""

from __future__ import annotations
