"""The recorder's commands beside ``ao-record``: ``ao-tool``, ``ao-server``, ``ao-config``."""
