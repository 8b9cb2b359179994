"""The recorder for unmodified scripts.  Nothing here yet: it comes later, on top of ``afnio.calls``."""
