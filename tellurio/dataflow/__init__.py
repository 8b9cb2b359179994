"""Edges between LM calls: which earlier answers went into a request.

`ContentIndex` infers them from the texts.  It knows no store and no network: a server feeds it with recorded calls.
"""

from __future__ import annotations

from tellurio.dataflow.edges import Edge, Link, Span
from tellurio.dataflow.index import ContentIndex, StoredCall
from tellurio.dataflow.readers import Reader, readers

__all__ = ["ContentIndex", "Edge", "Link", "Reader", "Span", "StoredCall", "readers"]
