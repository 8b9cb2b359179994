"""The memo: bounded by bytes, what was used longest ago goes first."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from afnio.calls.memo import MEMO_BYTES, Memo
from afnio.calls.request import Cost, Reply, Request, Usage
from afnio.models.formats.openai_chat import OPENAI_CHAT
from afnio.trainer import Trainer
from tests.trainer.job import Agent, engine, loader, model


def reply(text: str) -> Reply:
    body: dict[str, Any] = {"messages": [{"role": "user", "content": text}]}
    return Reply(Request("p", "e", "/x", "m", body, OPENAI_CHAT), text, {"answer": [text]}, Usage(), Cost())


def test_what_was_used_longest_ago_goes_first() -> None:
    memo = Memo(limit=3 * 2500)
    for key in "abc":
        memo.setdefault(key, reply(key))
    assert memo.get("a") is not None  # used now
    memo.setdefault("d", reply("d"))
    assert [key for key, _ in memo.items()] == ["c", "a", "d"]
    assert memo.get("b") is None


def test_the_first_answer_stays_unless_it_is_taken_over() -> None:
    memo, first, second = Memo(), reply("one"), reply("two")
    assert memo.setdefault("a", first) is memo.setdefault("a", second) is memo.get("a") is first
    memo.update({"a": second})
    assert memo.get("a") is second
    memo.update([("a", first), ("b", second)])
    assert [each.text for _, each in memo.items()] == ["one", "two"]
    assert Memo().limit == MEMO_BYTES


@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.integers(0, 5000), st.booleans())), st.integers(0, 20_000))
def test_it_never_holds_more_than_its_limit(steps: list[tuple[str, int, bool]], limit: int) -> None:
    memo = Memo(limit)
    for key, size, over in steps:
        if over:
            memo.update({key: reply("x" * size)})
        else:
            memo.setdefault(key, reply("x" * size))
        assert memo.bytes <= limit
    fresh = Memo(None)
    fresh.update(memo.items())
    assert (fresh.bytes, len(fresh)) == (memo.bytes, len(memo))


def test_a_fit_whose_memo_is_full_asks_again_and_ends_the_same(monkeypatch: Any) -> None:
    def fitted() -> tuple[str, int]:
        client = model()
        agent = Agent(client)
        trainer = Trainer(
            max_epochs=2, enable_checkpointing=False, enable_progress_bar=False, enable_agent_summary=False
        )
        with engine(client):
            trainer.fit(agent, loader())
        return agent.prompt.data, client.calls

    prompt, calls = fitted()
    monkeypatch.setattr(Memo.__init__, "__defaults__", (20_000,))
    again, more = fitted()
    assert again == prompt
    assert more > calls
