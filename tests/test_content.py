"""Content blocks: what they may hold, and the helpers that make them."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest

import afnio
from afnio import _content_blocks as blocks
from afnio import content
from afnio._content_blocks import ContentBlockError, MessageError, StopReason
from afnio.errors import AfnioError

PNG = b"\x89PNG\r\n\x1a\n...."
JPEG = b"\xff\xd8\xff\xe0...."
WEBP = b"RIFF\0\0\0\0WEBP"
PDF = b"%PDF-1.7 ..."

GOOD: list[dict[str, Any]] = [
    {"type": "text", "text": ""},
    {"type": "text", "text": afnio.Variable("x"), "citations": []},
    {"type": "tool_use", "id": "1", "name": "f", "input": {}},
    {"type": "tool_use", "id": "1", "name": "f", "input": '{"cut'},
    {"type": "tool_result", "tool_use_id": "1", "content": "2", "is_error": True},
    {"type": "tool_result", "tool_use_id": "1", "content": [{"type": "text", "text": "2"}]},
    {"type": "thinking", "thinking": "hm", "signature": None},
    {"type": "image", "source": {"type": "url", "url": "https://h/x.png"}},
    {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "x"}},
    {"type": "provider", "_provider": "p", "_native_type": "t", "payload": {}},
]
BAD: list[tuple[Any, str]] = [
    ("text", "is a dict with a 'type', got str"),
    ({}, "Unknown content block type None"),
    ({"type": "video"}, "Unknown content block type 'video'; known: document, image"),
    ({"type": "text"}, "A 'text' block needs 'text': a str or a Variable; got nothing"),
    ({"type": "text", "text": 1}, "got a int"),
    ({"type": "tool_use", "id": 1, "name": "f", "input": {}}, "needs 'id'"),
    ({"type": "tool_use", "id": "1", "name": "f", "input": []}, "needs 'input'"),
    ({"type": "tool_result", "tool_use_id": "1", "content": None}, "needs 'content'"),
    ({"type": "tool_result", "tool_use_id": "1", "content": [{"type": "x"}]}, "'x'"),
    ({"type": "tool_result", "tool_use_id": "1", "content": "", "is_error": 1}, "needs 'is_error'"),
    ({"type": "thinking", "thinking": "", "signature": 1}, "needs 'signature'"),
    ({"type": "image", "source": "x.png"}, "needs 'source'"),
    ({"type": "image", "source": {"type": "base64", "data": "x"}}, "needs 'media_type'"),
    ({"type": "provider", "_provider": "p", "_native_type": "t", "payload": 1}, "needs 'payload'"),
]


@pytest.mark.parametrize("block", GOOD)
def test_a_good_block(block: dict[str, Any]) -> None:
    blocks._validate_content_block(block)
    blocks._validate_message({"role": "user", "content": [block]})


@pytest.mark.parametrize(("block", "why"), BAD)
def test_a_bad_block_says_what_is_wrong(block: Any, why: str) -> None:
    with pytest.raises(ContentBlockError, match=why):
        blocks._validate_message({"role": "user", "content": [block]})


@pytest.mark.parametrize(
    ("message", "why"),
    [
        ([], "is a dict"),
        ({"role": "boss", "content": []}, "role is one of system, user, assistant, tool; got 'boss'"),
        ({"role": "user", "content": "x"}, "content is a list of blocks, got str"),
        ({"role": "user"}, "got NoneType"),
        ({"role": "assistant", "content": [], "_stop_reason": "tired"}, "_stop_reason"),
    ],
)
def test_a_bad_message_says_what_is_wrong(message: Any, why: str) -> None:
    with pytest.raises(MessageError, match=why):
        blocks._validate_message(message)


def test_names_and_errors_are_those_of_the_api() -> None:
    assert {block["type"] for block in GOOD} == blocks.KNOWN_BLOCK_TYPES
    assert [reason.value for reason in StopReason] == [
        *("end_turn", "tool_use", "max_tokens", "stop_sequence", "refusal", "content_filter", "pause"),
    ]
    assert isinstance(StopReason.PAUSE, str)
    for error in (ContentBlockError, MessageError):
        assert issubclass(error, TypeError)
        assert issubclass(error, AfnioError)
    message = {"role": "assistant", "content": [{"_own": 1}], "_stop_reason": None}
    assert blocks._strip_framework_keys(message) == {"role": "assistant", "content": [{"_own": 1}]}
    assert "_stop_reason" in message


@pytest.mark.parametrize(
    ("data", "kind"), [(PNG, "image/png"), (JPEG, "image/jpeg"), (WEBP, "image/webp"), (b"GIF89a", "image/gif")]
)
def test_pictures_are_known_by_their_bytes(tmp_path: Path, data: bytes, kind: str) -> None:
    path = tmp_path / "picture"
    path.write_bytes(data)
    expected = {"type": "base64", "media_type": kind, "data": base64.b64encode(data).decode()}
    for source in (data, path, str(path), f"data:{kind};base64,{expected['data']}"):
        block = content.image(source)
        assert block == {"type": "image", "source": expected}
        blocks._validate_content_block(block)


def test_pictures_and_documents_elsewhere() -> None:
    assert content.image("https://h/x") == {"type": "image", "source": {"type": "url", "url": "https://h/x"}}
    assert content.document("https://h/x.pdf")["source"] == {"type": "url", "url": "https://h/x.pdf"}
    assert content.image(b"raw", media_type="image/heic")["source"]["media_type"] == "image/heic"


def test_documents(tmp_path: Path) -> None:
    (tmp_path / "a.pdf").write_bytes(PDF)
    (tmp_path / "b.md").write_text("# Ümlaut", encoding="utf-8")
    pdf, notes = content.document(tmp_path / "a.pdf"), content.document(tmp_path / "b.md", title="notes")
    assert (pdf["source"]["media_type"], pdf["title"]) == ("application/pdf", "a.pdf")
    assert notes == {
        "type": "document",
        "source": {"type": "text", "media_type": "text/plain", "data": "# Ümlaut"},
        "title": "notes",
    }
    assert "title" not in content.document(PDF)
    assert content.text("x") == {"type": "text", "text": "x"}


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (lambda: content.image(b"what"), "something unknown.*media_type"),
        (lambda: content.image(PDF), "given application/pdf"),
        (lambda: content.document(PNG), "given image/png"),
        (lambda: content.image(3), "got int"),  # type: ignore[arg-type]
        (lambda: content.text(3), "got int"),  # type: ignore[arg-type]
        (lambda: content.image("data:image/png,raw"), "data URL looks like"),
    ],
)
def test_what_is_no_content(make: Any, why: str) -> None:
    with pytest.raises(ContentBlockError, match=why):
        make()


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        content.image(tmp_path / "none.png")
