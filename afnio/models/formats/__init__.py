"""How each API spells its answers, usage and errors; one API a file."""
