"""Replay: what a recorded script was answered, for another run of it."""
