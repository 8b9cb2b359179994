"""Connections that break, crawl or close in the middle of a job: the same result, and nothing is paid twice."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from afnio.errors import InvalidAPIKeyError, ServerError, ServerUnreachableError, ServerVersionError
from afnio.models.lm_server import LMServer
from tellurio.schemas.version import HEADER
from tests.autodiff import job
from tests.autodiff.lab import Lab, Served, by_role, open_lab, texts
from tests.tellurio.engine.lines import Proxy, drawn
from tests.tellurio.engine.place import Place, a_loss
from tests.tellurio.running import ServerProcess

SEEDS = [*range(10), *(pytest.param(seed, marks=pytest.mark.soak) for seed in range(10, 30))]


@pytest.fixture(scope="module")
def lines(tmp_path_factory: pytest.TempPathFactory, world: tuple[LMServer, Served]) -> Iterator[tuple[Place, Proxy]]:
    """A server behind a proxy whose manners each test sets."""
    with Proxy(0) as proxy:
        host = f"127.0.0.1:{proxy.port}"
        running = ServerProcess(tmp_path_factory.mktemp("lines") / "home", "--allow-host", host)
        proxy.server = running.port
        yield Place(running, *world, url=proxy.url), proxy
        running.stop()


@pytest.fixture
def line(lines: tuple[Place, Proxy], monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Place, Proxy]]:
    monkeypatch.setenv("ALLOW_API_KEY_SHARING", "true")
    place, proxy = lines
    place.new_run()
    yield place, proxy
    proxy.lengths, proxy.pause, proxy.closed, proxy.refuses = None, 0.0, False, b""


@pytest.fixture(scope="module")
def expected() -> list[str]:
    with open_lab() as lab:
        return job.run(lab)


@pytest.fixture(scope="module")
def unharmed(world: tuple[LMServer, Served]) -> Counter[str]:
    with open_lab("http", "sync", *world) as lab:
        before = asked(world[0])
        job.run(lab)
        return asked(world[0]) - before


def asked(lm: LMServer) -> Counter[str]:
    return Counter(row["key"] for row in lm.stats()["requests"])


@pytest.mark.parametrize("lm_calls", ["server", "client"])
@pytest.mark.parametrize("seed", SEEDS)
def test_connections_cut_anywhere(
    line: tuple[Place, Proxy], seed: int, lm_calls: Any, expected: list[str], unharmed: Counter[str]
) -> None:
    """Each connection carries some bytes, seldom enough for a job; the first one less than its 22 kB going up."""
    place, proxy = line
    proxy.lengths, cuts = drawn(seed, 300, 60_000, first=20_000), proxy.cuts
    before = asked(place.lm)
    with place.lab(lm_calls=lm_calls) as lab:
        assert job.run(lab) == expected
        assert asked(place.lm) - before == unharmed
        assert lab.engine.ledger.total().calls == sum(unharmed.values())
        total = lab.engine.ledger.total()
        assert lab.client.get_usage()["total_tokens"] == total.tokens
    assert proxy.cuts > cuts
    if lm_calls == "server":
        by = {row["role"]: row["calls"] for row in place.get("/cost")["by"]}
        assert by == {role: lab.engine.ledger.total(role=role).calls for role in by}


def test_a_slow_line(line: tuple[Place, Proxy], expected: list[str], unharmed: Counter[str]) -> None:
    place, proxy = line
    proxy.pause = 0.002
    before = asked(place.lm)
    with place.lab() as lab:
        assert job.run(lab) == expected
    assert asked(place.lm) - before == unharmed


def striking(place: Place, strike: Any) -> Any:
    """A critic that strikes while it is asked, once."""
    once = threading.Lock()

    def rule(ask: Any) -> Any:
        if once.acquire(blocking=False):
            strike()
        return {"feedback": [{"variable": "v1", "text": "better"}]}

    return by_role(backward=rule)


def backward(lab: Lab) -> list[str]:
    prompts, loss = a_loss(lab)
    lab.backward(loss)
    return texts(prompts[0])


def test_a_server_that_is_stopped_and_started_in_the_middle(own: Place) -> None:
    with own.lab() as lab:
        again: list[threading.Thread] = []

        def strike() -> None:
            again.append(threading.Thread(target=own.server.restart))
            again[0].start()

        lab.brain.rule = striking(own, strike)
        assert backward(lab) == ["better"]
        again[0].join()
        assert own.cost()["calls"] == lab.engine.ledger.total(role="backward").calls == 1


def test_a_server_that_answers_503_for_a_while(line: tuple[Place, Proxy]) -> None:
    place, proxy = line
    proxy.cut()
    proxy.says = [b"503 Service Unavailable", b"502 Bad Gateway", b"429 Too Many Requests", b"404 Not Found"]
    with place.lab() as lab:
        assert backward(lab)
    assert not proxy.says


def test_something_else_that_answers_there_for_a_while(line: tuple[Place, Proxy]) -> None:
    place, proxy = line
    proxy.cut()
    proxy.says = [b"200 OK"] * 3
    with place.lab() as lab:
        assert backward(lab)
    assert not proxy.says


def test_a_server_that_is_gone_for_good(own: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TELLURIO_RECONNECT_SECONDS", "1")
    with own.lab() as lab:
        prompts, loss = a_loss(lab)
        lab.brain.rule = striking(own, own.server.kill)
        with pytest.raises(ServerUnreachableError, match=r"tellurio up.*TELLURIO_RECONNECT_SECONDS"):
            lab.backward(loss)
        assert (prompts[0].data, prompts[0].grad) == ("Prompt 0", [])
        own.server.start()
        lab.backward(loss)
        assert texts(prompts[0]) == ["better"]


@pytest.mark.parametrize("given", ["abc", "-1", "nan", "inf", "5 minutes"])
def test_a_patience_that_is_no_number_of_seconds_is_named(
    own: Place, monkeypatch: pytest.MonkeyPatch, given: str
) -> None:
    monkeypatch.setenv("TELLURIO_RECONNECT_SECONDS", given)
    with own.lab() as lab:
        prompts, loss = a_loss(lab)
        with pytest.raises(ValueError, match=f"TELLURIO_RECONNECT_SECONDS is '{given}': expected a number of seconds"):
            lab.backward(loss)
        assert prompts[0].grad == []
        monkeypatch.setenv("TELLURIO_RECONNECT_SECONDS", " ")
        lab.backward(loss)
        assert len(prompts[0].grad) == 1


def test_a_server_of_another_version_in_the_middle_of_a_job(line: tuple[Place, Proxy]) -> None:
    place, proxy = line
    message = b'{"error":{"code":"upgrade_required","message":"upgrade the client: pip install afnio-studio"}}'
    with place.lab() as lab:
        prompts, loss = a_loss(lab)

        def strike() -> None:
            proxy.says = [b"426 Upgrade Required\r\nX-Tellurio-Version: 99.0\r\nContent-Length: %d" % len(message)]
            proxy.body = message
            proxy.cut()

        lab.brain.rule = striking(place, strike)
        with pytest.raises(ServerVersionError, match="upgrade the client"):
            lab.backward(loss)
        assert not prompts[0].grad
        lab.backward(loss)
        assert texts(prompts[0]) == ["better"]


@pytest.mark.parametrize(
    ("refusal", "kind", "says"),
    [
        (b"413 Content Too Large", ServerUnreachableError, r"did not answer for 0 s \(it took no answer .* 413: "),
        (b"422 Unprocessable Content\r\n%s: 99.0", ServerUnreachableError, r"did not answer for 0 s \(.* 422: "),
        (b"401 Unauthorized\r\n%s: 99.0", InvalidAPIKeyError, r"refused an answer of this process \(401\)"),
        (b"403 Forbidden\r\n%s: 99.0", ServerError, r"refused an answer of this process \(403\)"),
    ],
)
def test_answers_that_never_get_through_end_the_job(
    line: tuple[Place, Proxy], monkeypatch: pytest.MonkeyPatch, refusal: bytes, kind: type[Exception], says: str
) -> None:
    """A gateway takes none so large, or the key was withdrawn; the stream of events lives on meanwhile."""
    place, proxy = line
    proxy.refuses = refusal.replace(b"%s", HEADER.encode())
    monkeypatch.setenv("TELLURIO_RECONNECT_SECONDS", "0.1")
    with place.lab(lm_calls="client") as lab:
        prompts, loss = a_loss(lab)
        with pytest.raises(kind, match=says):
            lab.backward(loss)
        assert not prompts[0].grad
        proxy.refuses = b""
        monkeypatch.delenv("TELLURIO_RECONNECT_SECONDS")
        lab.backward(loss)
        assert prompts[0].grad
