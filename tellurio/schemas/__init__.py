"""What travels between client and server, and what is stored: records, jobs, events.  Each has a version."""
