"""Token estimates: with tables where there are some, by length where there are none, never by network."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest
import tiktoken
from hypothesis import given
from hypothesis import strategies as st

from afnio.calls.tokens import BLOBS, TABLES, encoding_at_hand, estimate, estimate_body


@pytest.fixture(autouse=True)
def _look_again() -> Iterator[None]:
    encoding_at_hand.cache_clear()
    yield
    encoding_at_hand.cache_clear()


def by_bytes() -> tiktoken.Encoding:
    """An encoding built in memory: a token for each byte, and one for "ab"."""
    ranks = {bytes([n]): n for n in range(256)} | {b"ab": 256}
    return tiktoken.Encoding("bytes", pat_str=r".|\n", mergeable_ranks=ranks, special_tokens={"<|end|>": 257})


def test_with_an_encoding_it_is_exact() -> None:
    assert estimate("hello", by_bytes()) == 5
    assert estimate("<|end|>", by_bytes()) == 7, "text of users is never a special token"
    assert estimate_body({"messages": [{"content": "four"}, {"content": [{"text": "five5"}]}]}, by_bytes()) == 9


@given(st.text())
def test_an_estimate_is_never_nothing_for_something(text: str) -> None:
    assert (estimate(text) == 0) == (text == "")
    assert estimate(text) <= len(text) + 1


def test_scripts_without_spaces_take_about_a_token_for_each_character() -> None:
    assert estimate("x" * 400) == 101
    assert estimate("漢" * 400) == 401
    assert estimate("é" * 400) == 101


def test_tables_that_are_missing_or_damaged_are_not_downloaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(tmp_path))
    assert encoding_at_hand() is None
    encoding_at_hand.cache_clear()
    for name in TABLES:
        damaged = tmp_path / hashlib.sha1(f"{BLOBS}{name}.tiktoken".encode()).hexdigest()
        damaged.write_bytes(b"IQ== 0\n")
    assert encoding_at_hand() is None
    assert len(list(tmp_path.iterdir())) == len(TABLES), "and what is there is left alone"


def test_pictures_and_documents_are_not_counted_by_their_bytes() -> None:
    data = "A" * 400_000
    parts = [
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": data}},
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{data}"}},
        {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": data}},
        {"type": "file", "file": {"file_data": data}},
    ]
    sizes = [estimate_body({"messages": [{"role": "user", "content": [part]}]}) for part in parts]
    assert all(1000 <= size < 4000 for size in sizes)
    text = {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": data}}
    assert estimate_body([text]) > 90_000, "a document of text is text"
    assert estimate_body({"type": "image"}) == estimate("image")
