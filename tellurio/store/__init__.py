"""The store: what the server keeps, in SQL and in files."""

from tellurio.store.store import Store as Store

__all__ = ["Store"]
