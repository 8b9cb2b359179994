"""A host that looks like an LM API and was asked past us does not go unnoticed."""

from __future__ import annotations

import socket

import httpx2
import pytest

from ao.intercept import install, not_recorded
from ao.intercept.hosts import host_of, looks_like_lm
from tests.ao.intercept.tape import Tape

BODY = {"model": "m", "messages": []}


@pytest.mark.parametrize(
    "host",
    [
        *("api.openai.com", "api.anthropic.com", "generativelanguage.googleapis.com", "api.mistral.ai", "api.groq.com"),
        *("mine.openai.azure.com", "us-central1-aiplatform.googleapis.com", "openrouter.ai", "api.x.ai"),
        *("bedrock-runtime.us-east-1.amazonaws.com", "api.together.xyz", "api.deepseek.com", "router.huggingface.co"),
    ],
)
def test_hosts_of_lms(host: str) -> None:
    assert looks_like_lm(host)


@pytest.mark.parametrize("host", ["example.com", "openai.com", "s3.amazonaws.com", "api.github.com", "localhost", ""])
def test_other_hosts(host: str) -> None:
    assert not looks_like_lm(host)


def test_the_host_of_a_url() -> None:
    urls = ["https://u:p@h.com:80/x", "http://h.com?x", "http://h.com#x", "h.com/x", "http://[::1]:80/x"]
    assert [host_of(url) for url in urls] == ["h.com", "h.com", "h.com", "", "::1"]


def transport() -> httpx2.MockTransport:
    return httpx2.MockTransport(lambda request: httpx2.Response(200, json={}))


def notices(*paths: str, quiet: bool = False) -> list[str]:
    tape = Tape()
    undo = install(tape, notice=tape.notices.append)
    with httpx2.Client(transport=transport()) as client:
        for path in paths:
            if quiet:
                with not_recorded():
                    client.post(f"https://api.openai.com{path}", json=BODY)
            else:
                client.post(f"https://api.openai.com{path}", json=BODY)
    undo()
    return tape.notices


def test_a_host_of_which_no_call_was_recorded_is_said_once() -> None:
    said = notices("/v1/new/thing", "/v1/new/thing?key=x")
    assert len(said) == 1
    assert "api.openai.com" in said[0]
    assert "POST /v1/new/thing" in said[0]
    assert "ao.dialects.register" in said[0]


def test_a_host_of_which_one_was_is_not() -> None:
    assert notices("/v1/files", "/v1/chat/completions") == []


def test_nor_one_that_is_not_to_be_recorded() -> None:
    assert notices("/v1/chat/completions", quiet=True) == []


def test_a_library_that_is_not_intercepted_is_seen_by_the_name_it_looks_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", lambda host, *args, **options: [])
    tape = Tape()
    undo = install(tape, notice=tape.notices.append)
    socket.getaddrinfo("api.anthropic.com", 443)
    socket.getaddrinfo(b"example.com", 443)
    socket.getaddrinfo(None, 443)
    undo()
    assert len(tape.notices) == 1
    assert tape.notices[0].startswith("api.anthropic.com looks like an LM API")
