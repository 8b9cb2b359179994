"""Who is told of a call, and what a call is when its answer is odd."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from afnio._dispatch import use_tracker
from afnio.calls import Budget, CallLog, RawResponse, Session, current_phase, current_session, phase
from afnio.errors import APIConnectionError, APIResponseError
from tests.calls.endpoint import completion
from tests.calls.fakes import Inline, ask, send_inline


class Listener:
    def __init__(self) -> None:
        self.records: list[Mapping[str, Any]] = []

    def call(self, record: Mapping[str, Any]) -> None:
        self.records.append(record)

    def metric(self, name: str, value: Any, step: int | None) -> None: ...

    def event(self, kind: str, data: Mapping[str, Any]) -> None: ...


class Says(Inline):
    def __init__(self, content: Any) -> None:
        super().__init__()
        self.content = content

    async def send(self, request: Any, timeout: Any) -> RawResponse:
        self.calls += 1
        return RawResponse(200, self.content)


def test_the_tracker_hears_every_call_whatever_its_source(tmp_path: Path) -> None:
    listener = Listener()
    for _ in range(2):
        with CallLog(tmp_path / "x") as log, Session(log=log, memo={}, job="j").activate(), use_tracker(listener):
            with phase("gate"):
                send_inline(ask(), Inline())
            send_inline(ask(), Inline())
    assert [each["source"] for each in listener.records] == ["live", "memo", "log", "log"]
    assert [each["phase"] for each in listener.records] == ["gate", "", "gate", ""]
    record = listener.records[0]
    assert (record["job"], record["role"], record["node"], record["model"]) == ("j", "forward", "n", "m")
    assert record["response"] == completion("answer 1")
    assert record["usage"] == {"input_tokens": 10, "output_tokens": 2}


def test_sessions_and_phases_are_ambient_and_undone() -> None:
    outside = current_session()
    with Session().activate() as session, phase("gate"):
        assert current_session() is session
        assert current_phase() == "gate"
        with Session().activate() as inner:
            assert current_session() is inner
        assert current_session() is session
    assert current_session() is outside
    assert current_phase() == ""


def test_a_refusal_was_paid_for_and_is_recorded_then_raised_and_replayed(tmp_path: Path) -> None:
    refusal = completion()
    refusal["choices"][0]["message"] = {"content": None, "refusal": "no"}
    with CallLog(tmp_path / "x") as log, Session(log=log, budget=Budget(calls=5), memo={}).activate() as session:
        with pytest.raises(APIResponseError, match="refused: no"):
            send_inline(ask(), Says(refusal))
        assert session.ledger.total().tokens == 12
        assert session.memo == {}, "and is asked again next time"
    transport = Inline()
    raises = pytest.raises(APIResponseError, match="refused: no")
    with CallLog(tmp_path / "x", "replay") as log, Session(log=log).activate(), raises:
        send_inline(ask(), transport)
    assert transport.calls == 0


def test_an_error_in_the_clothes_of_an_answer_is_neither_paid_nor_recorded(tmp_path: Path) -> None:
    with CallLog(tmp_path / "x") as log, Session(log=log, budget=Budget(calls=1)).activate() as session:
        with pytest.raises(APIResponseError, match="overloaded"):
            send_inline(ask(), Says({"error": {"message": "overloaded"}}))
        assert len(log) == 0
        assert session.ledger.total().calls == 0
        send_inline(ask(), Inline())


@pytest.mark.parametrize(("content", "error"), [(b"", APIConnectionError), (b"[1]", APIResponseError)])
def test_content_that_is_no_object(content: bytes, error: type[Exception]) -> None:
    with pytest.raises(error):
        send_inline(ask(), Says(content))


def test_half_an_emoji_becomes_a_replacement_character(tmp_path: Path) -> None:
    content = b'{"choices":[{"message":{"content":"cut \\ud83d"}}],"usage":{"prompt_tokens":1,"completion_tokens":1}}'
    with CallLog(tmp_path / "x") as log, Session(log=log).activate():
        assert send_inline(ask(), Says(content)).text == "cut \ufffd"
    with CallLog(tmp_path / "x", "replay") as log, Session(log=log).activate():
        assert send_inline(ask(), Inline()).text == "cut \ufffd"


def test_unreported_tokens_are_estimated_and_marked() -> None:
    with Session().activate() as session:
        reply = send_inline(ask("x" * 400), Says({"choices": [{"message": {"content": "y" * 40}}]}))
        assert reply.usage.estimated
        assert 100 < reply.usage.input_tokens < 110
        assert session.ledger.total().estimated == 1
