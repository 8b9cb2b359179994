"""Migrations of the schema, for Alembic.

A new one is a module in ``versions`` with the next number, and that number in ``tellurio.store.migrate.HEAD``.
"""
