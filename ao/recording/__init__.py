"""Recording: what a script's LM calls are written down as, and where."""
