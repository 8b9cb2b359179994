"""Constants that scripts read."""

from __future__ import annotations

from afnio.variable import IDENTITY_GRADIENT_DATA as IDENTITY_GRADIENT_DATA

BACKWARD_PASS_MAX_RETRIES = 3
"""Kept for scripts that read it; retries follow the policy of ``afnio.calls``."""
