"""What is an LM call is decided by the path and the shape of the body."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ao import dialects
from ao.dialects import Asked, Dialect, find, register

CHAT = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
CLAUDE = CHAT | {"max_tokens": 5}
CLOUD: Any = {"anthropic_version": "v", "messages": []}
GEMINI = {"contents": [{"parts": [{"text": "hi"}]}]}
VERTEX = "/v1/projects/p/locations/l/publishers"


def asked(path: str, body: Any, method: str = "POST") -> Asked:
    return Asked(method, f"https://host:8000{path}", {}, json.dumps(body).encode())


@pytest.mark.parametrize(
    ("path", "body", "name", "model", "streaming"),
    [
        ("/v1/chat/completions", CHAT, "openai.chat", "m", False),
        ("/some/prefix/chat/completions?x=/y", CHAT | {"stream": True}, "openai.chat", "m", True),
        ("/openai/deployments/dep/chat/completions?api-version=1", {"messages": []}, "openai.chat", "dep", False),
        ("/v1/completions", {"model": "m", "prompt": "hi"}, "openai.completions", "m", False),
        ("/v1/responses", {"model": "m", "input": "hi"}, "openai.responses", "m", False),
        ("/openai/responses?api-version=1", {"model": "m", "input": [], "stream": True}, "openai.responses", "m", True),
        ("/v1/responses", {"model": "m", "previous_response_id": "r"}, "openai.responses", "m", False),
        ("/v1/embeddings", {"model": "m", "input": ["a"]}, "openai.embeddings", "m", False),
        ("/openai/deployments/dep/embeddings", {"input": "a"}, "openai.embeddings", "dep", False),
        ("/v1/messages?beta=true", CLAUDE | {"stream": True}, "anthropic.messages", "m", True),
        (
            f"{VERTEX}/anthropic/models/c:rawPredict",
            {"anthropic_version": "v", "messages": []},
            "anthropic.messages",
            "c",
            False,
        ),
        ("/model/c-v1/invoke", {"anthropic_version": "v", "messages": []}, "anthropic.messages", "c-v1", False),
        ("/v1beta/models/g:generateContent", GEMINI, "gemini.generate", "g", False),
        ("/v1beta/models/g:streamGenerateContent?alt=sse", GEMINI, "gemini.generate", "g", True),
        (f"{VERTEX}/google/models/g:generateContent", GEMINI, "gemini.generate", "g", False),
        ("/v1beta/models/g:batchEmbedContents", {"requests": []}, "gemini.embeddings", "g", False),
        ("/api/chat", CHAT, "ollama.chat", "m", True),
        ("/api/chat", CHAT | {"stream": False}, "ollama.chat", "m", False),
        ("/api/generate", {"model": "m", "prompt": "hi"}, "ollama.generate", "m", True),
        ("/api/embed", {"model": "m", "input": "hi"}, "ollama.embeddings", "m", False),
    ],
)
def test_calls(path: str, body: Any, name: str, model: str, streaming: bool) -> None:
    request = asked(path, body)
    dialect = find(request)
    assert dialect is not None
    assert (dialect.name, dialect.model(request), dialect.label(request)) == (name, model, model)
    assert dialect.streaming(request) is streaming
    assert find(asked(path, body, "GET")) is None
    assert dialects.get(name) is dialect


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/models", {}),
        ("/", CHAT),
        ("/v1/chat/completions", {}),
        ("/v1/chat/completions", []),
        ("/v1/chat/completions", "messages"),
        ("/v1/chat/completions/abc", CHAT),
        ("/v1/threads/t/messages", {"role": "user", "content": "hi"}),
        ("/v1/messages", CHAT),
        ("/v1/messages/count_tokens", CHAT),
        ("/v1/messages/batches", {"requests": []}),
        ("/api/chat", {"messages": []}),
        ("/survey/responses", {"answers": []}),
        ("/v1beta/models/g:countTokens", GEMINI),
        ("/model/x/invoke", {"inputText": "hi"}),
        ("/mcp", {"jsonrpc": "2.0", "method": "tools/call", "params": {"name": "x"}}),
    ],
)
def test_no_calls(path: str, body: Any) -> None:
    assert find(asked(path, body)) is None


@pytest.mark.parametrize("body", [None, b"", b"{", b"\xff\xfe", b"[[[", b"null", b"1e999"])
def test_bodies_that_are_no_json(body: bytes | None) -> None:
    for path in ("/v1/chat/completions", "/v1/messages", "/v1/responses", "/v1/models/g:generateContent", "/api/chat"):
        assert find(Asked("POST", f"http://h{path}", {}, body)) is None


def test_register_puts_a_dialect_first_and_undoes_it() -> None:
    class Mine(Dialect):
        name = "openai.chat"

        def matches(self, asked: Asked) -> bool:
            return asked.path == "/mine"

    before = dialects.names()
    undo = register(Mine())
    assert dialects.names() == ["openai.chat", *(name for name in before if name != "openai.chat")]
    found = find(asked("/mine", {}))
    assert isinstance(found, Mine)
    assert found.label(asked("/mine", {})) == "openai.chat"
    undo()
    assert dialects.names() == before


def test_a_dialect_without_a_name_is_refused() -> None:
    with pytest.raises(ValueError, match='name = "house"'):
        register(Dialect())
