"""Which earlier answers are in this input: content-based edges, one input at a time.

    store_output_strings(session_id, "node-1", response_body, "openai.chat")
    find_source_nodes(session_id, request_body, "openai.chat")   # ["node-1"]

Each session has an index of its own (`tellurio.dataflow.ContentIndex`).  A server computes the edges of recorded Runs
by itself, with the same index; this module is for scripts that want to ask.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from threading import Lock
from typing import Any
from uuid import uuid4

from tellurio.dataflow import ContentIndex, Edge

__all__ = ["find_source_edges", "find_source_nodes", "forget_session", "store_output_strings"]

SESSIONS = 64
"""So many sessions are kept, those used last."""

_lock = Lock()
_sessions: OrderedDict[str, ContentIndex] = OrderedDict()


def find_source_nodes(session_id: str, input_dict: Any, api_type: str = "") -> list[str]:
    """The nodes of the session whose outputs appear in this input, in the order in which they were stored.

    Weak and alternative edges are left out; `find_source_edges` has them.  What is asked for belongs to the session
    from then on: text that no output had before is known as the program's.

    Args:
        session_id: any text; a new one begins a session.
        input_dict: a request's body, as a dict or as JSON; or a dict with the body in ``"body"`` or ``"json"``.
        api_type: ``"openai.chat"``, ``"openai.responses"``, ``"openai.embeddings"``, ``"anthropic.messages"``,
            ``"gemini"`` or ``"ollama"``; with any other name it is guessed.
    """
    return [edge.source for edge in find_source_edges(session_id, input_dict, api_type) if edge.shown]


def find_source_edges(session_id: str, input_dict: Any, api_type: str = "", node_id: str | None = None) -> list[Edge]:
    """The same as edges, with spans and confidence, weak and alternative ones included.

    With the ``node_id`` of the node that asks, what it is fed and what it answers are known to belong together: of
    texts that were handed on unchanged, the last giver is then told from the others.
    """
    with _lock:
        index = _session(session_id)
        return index.query(node_id or f"input-{uuid4().hex}", _body(input_dict), api_type)


def store_output_strings(session_id: str, node_id: str, output_obj: Any, api_type: str = "") -> None:
    """Store what a node answered: a response's body, as a dict, JSON or text; or an object with ``model_dump()``."""
    with _lock:
        _session(session_id).insert(node_id, _body(output_obj), api_type)


def forget_session(session_id: str) -> None:
    """Free what is kept of a session; nothing if there is none."""
    with _lock:
        _sessions.pop(session_id, None)


def _session(session_id: str) -> ContentIndex:
    index = _sessions.setdefault(session_id, ContentIndex())
    _sessions.move_to_end(session_id)
    while len(_sessions) > SESSIONS:
        _sessions.popitem(last=False)
    return index


def _body(value: Any) -> Any:
    if hasattr(value, "model_dump"):
        value = value.model_dump(mode="json")
    if isinstance(value, (bytes, bytearray)):
        value = bytes(value).decode("utf-8", "replace")
    if isinstance(value, str):
        return _parsed(value)
    if isinstance(value, dict):
        for key in ("body", "json", "content"):
            inner = value.get(key)
            if isinstance(inner, (dict, bytes)) or (isinstance(inner, str) and isinstance(_parsed(inner), dict)):
                return _body(inner)
    return value


def _parsed(text: str) -> Any:
    try:
        body = json.loads(text)
    except ValueError:
        return text
    return body if isinstance(body, dict) else text
