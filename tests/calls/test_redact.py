"""What looks like a credential is not stored; what is stored still answers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import afnio
from afnio.calls.redact import EMAIL, PATTERNS, patterns, redact_with, redacted
from afnio.models.scripted import Scripted

SECRETS = [
    "sk-proj-abcdefghijklmnopqrstuvwx",
    "sk-ant-api03-abcdefghijklmnop",
    "AKIAIOSFODNN7EXAMPLE",
    "AIza" + "x" * 35,
    "ghp_" + "a" * 36,
    "xoxb-1234567890-abc",
]


@pytest.mark.parametrize("secret", SECRETS)
def test_a_credential_in_a_message_is_not_stored(tmp_path: Path, secret: str) -> None:
    path = tmp_path / "calls.jsonl"
    model = Scripted(["fine", "never asked"])
    for _ in range(2):  # the second time from the log: it is found by what was really sent
        with afnio.local_engine(call_log=path):
            assert model.chat(messages=[{"role": "user", "content": f'My key is "{secret}".'}]) == "fine"
    assert model.calls == 1
    stored = path.read_text()
    assert secret not in stored
    assert "[redacted]" in stored


def test_a_hook_of_ones_own_and_e_mail_addresses() -> None:
    undo = redact_with(patterns(*PATTERNS, EMAIL))
    try:
        assert redacted(b'{"x": "write to ada@example.org, sk-1234567890123456"}') == (
            b'{"x": "write to [redacted], [redacted]"}'
        )
    finally:
        undo()
    assert redacted(b'{"x": "ada@example.org"}') == b'{"x": "ada@example.org"}'


@given(st.lists(st.one_of(st.text(), st.sampled_from(SECRETS)), max_size=5))
def test_a_record_stays_json_and_texts_without_credentials_stay_as_they_are(texts: list[str]) -> None:
    found = json.loads(redacted(json.dumps(texts, ensure_ascii=False).encode("utf-8", "surrogatepass")))
    assert len(found) == len(texts)
    assert all(one == other or "[redacted]" in other for one, other in zip(texts, found, strict=True))
