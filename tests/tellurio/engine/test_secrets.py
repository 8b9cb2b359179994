"""Keys go to the server's memory, and nowhere else; with ``lm_calls="client"`` they do not go there either."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sqlite3
import zlib
from typing import Any

import openai
import pytest

import afnio
from afnio.errors import AfnioError
from afnio.models.base import ChatCompletionModel
from afnio.models.lm_server.simulation import Refusal
from afnio.models.openai import AsyncOpenAI, OpenAI
from afnio.optim import TGD
from tellurio.client.job import RemoteJob
from tests.autodiff import job
from tests.autodiff.lab import by_role, open_lab, texts
from tests.tellurio.engine.lines import Proxy
from tests.tellurio.engine.place import Place, a_loss

SECRETS = tuple(f"hush-{what}" for what in ("key-00", "header", "query-0", "pass-00", "user-00", "call-00", "sign-00"))


def secretive(place: Place) -> OpenAI:
    """A model with a key in every place where there can be one."""
    host = place.lm.base_url.removeprefix("http://")
    return place.model(
        api_key=SECRETS[0],
        default_headers={"X-Team": SECRETS[1]},
        default_query={"code": SECRETS[2]},
        base_url=f"http://{SECRETS[4]}:{SECRETS[3]}@{host}",
    )


def kept(place: Place) -> dict[str, bytes]:
    """Everything the server keeps, what is compressed unpacked, and all its API says of the Run."""
    found: dict[str, bytes] = {}
    for file in [path for path in place.server.home.rglob("*") if path.is_file()]:
        with contextlib.suppress(FileNotFoundError):  # the server tidies up
            found[str(file)] = file.read_bytes()
    assert str(place.server.folder / "tellurio.db") in found
    with sqlite3.connect(place.server.folder / "tellurio.db", timeout=60) as database:
        for number, row in enumerate(database.execute("select result, error from jobs")):
            found[f"job {number}"] = b"".join(
                part.encode() if isinstance(part, str) else zlib.decompress(part) for part in row if part
            )
    database.close()
    for path in ("", "/calls", "/cost", "/events", "/prompts"):
        found[path] = json.dumps(place.get(path)).encode()
    for row in place.get("/calls"):
        found[f"/calls/{row['key']}"] = json.dumps(place.get(f"/calls/{row['key']}")).encode()
    return found


@pytest.mark.parametrize("lm_calls", ["server", "client"])
@pytest.mark.parametrize("fails", [False, True])
def test_no_key_is_kept_anywhere(own: Place, lm_calls: Any, fails: bool) -> None:
    model = own.model(api_key=SECRETS[0]) if fails else secretive(own)
    hidden: dict[str, Any] = {"extra_headers": {"X-Call": SECRETS[5]}, "extra_query": {"sig": SECRETS[6]}}
    with own.lab(model, lm_calls=lm_calls) as lab:
        afnio.set_backward_model_client(model, completion_args={"model": "brain", **hidden})
        prompts, loss = a_loss(lab, 2)
        optimizer = TGD(prompts, model, model="brain", **hidden)
        if fails:
            quoting = f"wrong key {SECRETS[0]}"
            lab.brain.rule = by_role(backward=lambda ask: _refuse(quoting))
            with pytest.raises(AfnioError) as failed:
                lab.backward(loss)
            assert not any(secret in str(failed.value) for secret in SECRETS)
        else:
            lab.backward(loss)
            lab.step(optimizer)
    own.server.stop()  # all is written
    own.server.start()
    for place, content in kept(own).items():
        for secret in SECRETS:
            assert secret.encode() not in content, place


def _refuse(message: str) -> Any:
    raise Refusal(401, "invalid_request_error", message)


def test_what_is_hidden_is_sent_with_the_call(place: Place) -> None:
    """By whoever makes it."""
    for lm_calls in ("server", "client"):
        with Proxy(place.lm.port) as proxy:
            model = place.model(base_url=f"{proxy.url}/v1")
            with place.lab(model, lm_calls=lm_calls) as lab:
                _, loss = a_loss(lab)
                afnio.set_backward_model_client(
                    model,
                    completion_args={
                        "model": "brain", "extra_headers": {"X-Call": "hush"}, "extra_query": {"sig": "hush7"}
                    },
                )  # fmt: skip
                lab.backward(loss)
            assert b"X-Call: hush\r\n" in proxy.seen
            assert b"sig=hush7" in proxy.seen


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What jobs send, as text."""
    seen: list[str] = []
    listen = RemoteJob._listen

    async def spy(self: RemoteJob) -> Any:
        seen.append(json.dumps(self._body))
        return await listen(self)

    monkeypatch.setattr(RemoteJob, "_listen", spy)
    return seen


def test_with_lm_calls_client_no_key_is_sent(place: Place, sent: list[str]) -> None:
    model = secretive(place)
    with place.lab(model, lm_calls="client") as lab:
        prompts, loss = a_loss(lab)
        lab.backward(loss)
        lab.step(TGD(prompts, model, model="brain", extra_headers={"X": SECRETS[5]}))
    assert len(sent) == 2
    assert not any(secret in body for secret in SECRETS for body in sent)


class Mine(ChatCompletionModel):
    """A class of the user's own; one that cannot be hashed."""

    __hash__ = None  # type: ignore[assignment]

    def __init__(self, place: Place) -> None:
        super().__init__("mine")
        self._inner, self.calls = place.model(), 0

    def __eq__(self, other: object) -> bool:
        return self is other

    async def achat(self, *, messages: list[dict[str, Any]], **completion_args: Any) -> str:
        self.calls += 1
        return (await self._inner._send(messages, **completion_args)).text


class MineToo(Mine):
    """The same, hashable and sync."""

    __hash__ = object.__hash__  # type: ignore[assignment]
    achat = ChatCompletionModel.achat

    def chat(self, *, messages: list[dict[str, Any]], **completion_args: Any) -> str:
        self.calls += 1
        return self._inner.chat(messages=messages, **completion_args)


def _key() -> str:
    return "from a function"


async def _akey() -> str:
    await asyncio.sleep(0)
    return "from a coroutine"


@pytest.mark.parametrize("lm_calls", ["server", "client"])
@pytest.mark.parametrize("kind", ["own async", "own sync", "sdk", "async sdk", "wrapped sdk", "key", "async key"])
def test_models_that_only_this_process_has(place: Place, sent: list[str], kind: str, lm_calls: Any) -> None:
    sdk: dict[str, Any] = {"api_key": "hush-sdk", "base_url": place.lm.base_url}
    if kind == "wrapped sdk":
        model: Any = OpenAI(client=openai.OpenAI(**sdk))
    else:
        made: dict[str, Any] = {
            "own async": lambda: Mine(place),
            "own sync": lambda: MineToo(place),
            "sdk": lambda: openai.OpenAI(**sdk),
            "async sdk": lambda: openai.AsyncOpenAI(**sdk),
            "key": lambda: place.model(api_key=_key),
            "async key": lambda: AsyncOpenAI(api_key=_akey, base_url=place.lm.base_url),
        }
        model = made[kind]()
    with place.lab(place.model(), lm_calls=lm_calls) as lab:
        prompts, loss = a_loss(lab)
        lab.step(_after(lab.backward, loss, TGD(prompts, model, model="brain")))
        assert prompts[0].data == "better"
    assert not any("hush" in body or "from a" in body for body in sent)


def _after(backward: Any, loss: Any, optimizer: Any) -> Any:
    backward(loss)
    return optimizer


def test_a_scripted_model_gives_the_same(place: Place) -> None:
    """The whole job, over a script in this process."""
    with open_lab() as lab:
        expected = job.run(lab)
    brain = place.served.brain
    with place.lab(brain.scripted()) as lab:
        lab.client = lab.brain.scripted()
        afnio.set_backward_model_client(lab.client, completion_args={"model": "brain"})
        assert job.run(lab) == expected


def test_an_error_of_a_users_own_model_comes_back_as_it_is(place: Place) -> None:
    class Failing(Mine):
        __hash__ = object.__hash__  # type: ignore[assignment]

        async def achat(self, *, messages: list[dict[str, Any]], **completion_args: Any) -> str:
            raise error

    class Mute(Exception):
        def __str__(self) -> str:
            raise RuntimeError("it has no words")

    plain = (ValueError("mine"), KeyError("mine"), OSError("mine"), LookupError("a", 1), UnicodeError("x"))
    for error in (*plain, ValueError("half a character: \ud800"), Mute()):
        with place.lab() as lab:
            prompts, loss = a_loss(lab)
            lab.backward(loss)
            optimizer = TGD(prompts, Failing(place), model="brain")
            with pytest.raises(type(error)) as failed:
                lab.step(optimizer)
            assert failed.value is error
            assert texts(prompts[0])
