"""The store: what the server keeps, in SQL and in files."""
