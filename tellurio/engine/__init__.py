"""The server's engine: jobs with a lease, run by afnio's engine, recorded in the store."""
