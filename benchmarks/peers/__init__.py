"""Other libraries on the same job: their clients, and a world that understands how they word their requests."""
