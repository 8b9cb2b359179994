"""The HTTP transport against an endpoint that misbehaves."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any

import aiohttp
import pytest

from afnio.calls import Session, Timeout, run_sync
from afnio.calls.aio import _failure, public_url
from afnio.errors import APIConnectionError, APIError, APIResponseError, APITimeoutError, RateLimitError
from afnio.models.openai import AsyncOpenAI, OpenAI
from tests.calls.endpoint import Endpoint, garbage, held, hello, reset, status, truncated
from tests.calls.fakes import ask as fake

MESSAGES = [{"role": "user", "content": "hi"}]
Serve = Callable[..., Endpoint]


def client_of(endpoint: Endpoint, **options: Any) -> OpenAI:
    return OpenAI(api_key="sk-secret", base_url=endpoint.base_url, **options)


def ask(client: OpenAI, content: str = "hi", **options: Any) -> str:
    return client.chat(model="m", messages=[{"role": "user", "content": content}], **options)


def test_a_call(serve: Serve) -> None:
    endpoint = serve()
    assert ask(client_of(endpoint)) == "hello"
    assert endpoint.bodies == [{"model": "m", "messages": MESSAGES}]
    assert endpoint.headers[0]["authorization"] == "Bearer sk-secret"
    assert endpoint.headers[0]["content-type"] == "application/json"


def test_connections_are_kept(serve: Serve) -> None:
    endpoint, client = serve(), None
    client = client_of(endpoint)
    ports = set()
    for n in range(3):
        ask(client, str(n))
        ports.add(endpoint.transport.get_extra_info("peername"))  # type: ignore[union-attr]
    assert len(ports) == 1


@pytest.mark.parametrize("broken", [reset, truncated])
def test_a_broken_answer_is_asked_for_again(serve: Serve, broken: Any) -> None:
    endpoint = serve(broken, hello)
    assert ask(client_of(endpoint)) == "hello"
    assert endpoint.calls == 2


@pytest.mark.parametrize("broken", [reset, truncated])
def test_an_answer_that_stays_broken_is_an_error_that_says_how_often(serve: Serve, broken: Any) -> None:
    endpoint = serve(broken)
    with pytest.raises(APIConnectionError, match=r"\(tried 2 times\)"):
        ask(client_of(endpoint, max_retries=1))
    assert endpoint.calls == 2


def test_an_answer_that_is_no_json_is_not_asked_for_again(serve: Serve) -> None:
    endpoint = serve(garbage)
    with pytest.raises(APIResponseError, match=r"a login page.*Check base_url") as caught:
        ask(client_of(endpoint))
    assert endpoint.calls == 1
    assert "a login page" in caught.value.body


def test_an_unreachable_endpoint_is_named() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://user:password@127.0.0.1:{taken.getsockname()[1]}/v1"
        client = OpenAI(api_key="sk-secret", base_url=url, max_retries=0)
        with pytest.raises(
            APIConnectionError, match=r"Cannot reach http://127.0.0.1:\d+/v1: .*onnect.*Check"
        ) as caught:
            ask(client)
    assert "password" not in str(caught.value)
    assert caught.value.provider == "openai"


def test_an_unknown_host_is_named() -> None:
    client = OpenAI(api_key="k", base_url="http://no-such-host.invalid/v1", max_retries=0)
    with pytest.raises(APIConnectionError, match="Cannot reach http://no-such-host.invalid/v1"):
        ask(client)


@pytest.mark.parametrize("url", ["not a url", "ftp://x/v1"])
def test_a_base_url_that_is_none(url: str) -> None:
    with pytest.raises(ValueError, match="base_url must begin with http:// or https://"):
        OpenAI(api_key="k", base_url=url)


@pytest.mark.parametrize("url", ["http://", "http://host:99999/v1", "http://[1/v1"])
def test_a_base_url_that_leads_nowhere(url: str) -> None:
    with pytest.raises(APIConnectionError):
        ask(OpenAI(api_key="k", base_url=url, max_retries=0))


def test_a_tls_client_at_a_plain_server_is_told_what_to_check(serve: Serve) -> None:
    url = serve().base_url.replace("http:", "https:")
    with pytest.raises(APIConnectionError, match="http:// in base_url"):
        ask(OpenAI(api_key="k", base_url=url, max_retries=0))


def test_a_certificate_nobody_signed() -> None:
    key = aiohttp.client_reqrep.ConnectionKey("h", 443, True, True, None, None, None)
    error = aiohttp.ClientConnectorCertificateError(key, ssl.SSLCertVerificationError("self-signed"))
    failure = _failure(error, fake("hi"), Timeout())
    assert "self-signed" in str(failure)
    assert "SSL_CERT_FILE" in str(failure)


def test_a_black_hole_is_a_connect_timeout(serve: Serve) -> None:
    """A listening socket whose queue is full: connections are neither taken nor refused."""
    with socket.socket() as hole, socket.socket() as first, socket.socket() as second:
        hole.bind(("127.0.0.1", 0))
        hole.listen(0)
        for filler in (first, second):
            filler.setblocking(False)
            filler.connect_ex(hole.getsockname())
        client = OpenAI(api_key="k", base_url=f"http://127.0.0.1:{hole.getsockname()[1]}", timeout=0.1, max_retries=0)
        with pytest.raises(APITimeoutError):
            ask(client)


def test_a_slow_answer_is_a_timeout(serve: Serve) -> None:
    with pytest.raises(APITimeoutError, match="did not answer within 0.05 s"):
        ask(client_of(serve(held), timeout=0.05, max_retries=0))
    with pytest.raises(APITimeoutError, match="did not answer within 0.04 s"):
        ask(client_of(serve(held), max_retries=0), timeout=0.04)


def test_retry_after_is_honoured(serve: Serve) -> None:
    endpoint = serve(status(429, Retry_After="0.05"), hello)
    with Session().activate() as session:
        assert ask(client_of(endpoint)) == "hello"
        assert session.ledger.total().seconds >= 0.05
    assert endpoint.calls == 2


def test_four_429_are_survived_and_zero_retries_mean_none(serve: Serve) -> None:
    refusal = status(429, Retry_After="0.01")
    endpoint = serve(refusal, refusal, refusal, refusal, hello)
    assert ask(client_of(endpoint)) == "hello"
    endpoint = serve(refusal)
    with pytest.raises(RateLimitError):
        ask(client_of(endpoint, max_retries=0))
    assert endpoint.calls == 1


def test_identical_requests_under_way_are_one_call_and_errors_are_shared(serve: Serve) -> None:
    endpoint = serve(status(400))
    client = client_of(endpoint)

    async def wave() -> list[Any]:
        calls = [client._send(MESSAGES, model="m") for _ in range(8)]
        return await asyncio.gather(*calls, return_exceptions=True)

    assert {type(each).__name__ for each in run_sync(wave())} == {"BadRequestError"}
    assert endpoint.calls == 1


def test_clients_with_other_keys_do_not_share_a_call(serve: Serve) -> None:
    endpoint = serve()
    clients = [OpenAI(api_key=key, base_url=endpoint.base_url) for key in ("a", "b")]

    async def wave() -> None:
        await asyncio.gather(*[client._send(MESSAGES, model="m") for client in clients * 2])

    run_sync(wave())
    assert {each["authorization"] for each in endpoint.headers} == {"Bearer a", "Bearer b"}
    assert endpoint.calls == 2


def test_when_the_first_of_joined_callers_is_cancelled_the_next_takes_over(serve: Serve) -> None:
    endpoint = serve(held)
    client = AsyncOpenAI(api_key="k", base_url=endpoint.base_url)

    async def main() -> list[Any]:
        tasks = [asyncio.create_task(client.achat(model="m", messages=MESSAGES)) for _ in range(3)]
        await asyncio.to_thread(endpoint.arrived.acquire)
        tasks[0].cancel()
        await asyncio.to_thread(endpoint.arrived.acquire)
        endpoint.open_gate()
        return await asyncio.gather(*tasks, return_exceptions=True)

    cancelled, *others = asyncio.run(main())
    assert isinstance(cancelled, asyncio.CancelledError)
    assert others == ["held", "held"]
    assert endpoint.calls == 2


def test_concurrent_calls_from_threads_and_loops(serve: Serve) -> None:
    endpoint = serve()
    client, aclient = client_of(endpoint), AsyncOpenAI(api_key="k", base_url=endpoint.base_url)
    answers: list[str] = []

    async def main(n: int) -> None:
        calls = [aclient.achat(model="m", messages=[{"role": "user", "content": f"{n} {i}"}]) for i in range(10)]
        answers.extend(await asyncio.gather(*calls))

    threads = [threading.Thread(target=lambda n=n: answers.append(ask(client, f"t{n}"))) for n in range(10)]
    threads += [threading.Thread(target=lambda n=n: asyncio.run(main(n))) for n in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == ["hello"] * 40
    assert endpoint.calls == 40
    assert aclient.get_usage()["total_tokens"] == 360


def test_a_sync_call_inside_a_running_loop(serve: Serve) -> None:
    endpoint = serve()

    async def cell() -> str:
        return ask(client_of(endpoint))

    assert asyncio.run(cell()) == "hello"


def test_ctrl_c_during_chat(serve: Serve) -> None:
    endpoint = serve(held, hello)
    script = f"""
from afnio.models.openai import OpenAI
client = OpenAI(api_key="k", base_url={endpoint.base_url!r})
try:
    client.chat(model="m", messages=[{{"role": "user", "content": "hi"}}])
except KeyboardInterrupt:
    print("interrupted", client.chat(model="m", messages=[{{"role": "user", "content": "hi"}}]))
"""
    child = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert endpoint.arrived.acquire(timeout=150)
    child.send_signal(signal.SIGINT)
    assert child.communicate(timeout=150) == ("interrupted hello\n", "")


def test_fork_then_call(serve: Serve) -> None:
    endpoint = serve()
    script = f"""
import os
from afnio.models.openai import OpenAI
client = OpenAI(api_key="k", base_url={endpoint.base_url!r})
def call(): return client.chat(model="m", messages=[{{"role": "user", "content": "hi"}}])
call()
child = os.fork()
if child == 0:
    assert call() == "hello"
    os._exit(7)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
assert call() == "hello"
early = OpenAI(api_key="k", base_url={endpoint.base_url!r})
"""
    result = subprocess.run([sys.executable, "-W", "ignore", "-c", script], capture_output=True, text=True, timeout=150)
    assert (result.returncode, result.stderr) == (0, "")
    assert endpoint.calls == 3


def test_a_proxy_from_the_environment_is_used(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    proxy = serve()
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{proxy.port}")
    assert ask(OpenAI(api_key="k", base_url="http://models.invalid/v1")) == "hello"
    assert proxy.headers[0]["host"] == "models.invalid"
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    direct = serve()
    assert ask(client_of(direct)) == "hello"
    assert direct.calls == 1


def test_secrets_are_never_shown(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    endpoint = serve(hello, status(401, {"message": "Incorrect API key provided: sk-secret", "code": None}))
    client = client_of(endpoint, default_headers={"X-Gate": "sk-secret"})
    with caplog.at_level(logging.DEBUG), pytest.raises(APIError) as caught:
        ask(client)
        assert "afnio.calls" in {each.name for each in caplog.records}
        ask(client, "again")
    shown = [str(caught.value), repr(caught.value), repr(caught.value.__dict__), repr(client), repr(client._route)]
    shown += [repr(client.get_config()), caplog.text]
    assert not [each for each in shown if "sk-secret" in each]


def test_public_url() -> None:
    assert public_url("https://me:pw@host:8/v1?key=1#x") == "https://host:8/v1"
    assert public_url("http://[") == "an invalid URL"


def test_the_process_ends_quietly_with_a_call_under_way(serve: Serve) -> None:
    endpoint = serve(held)
    script = f"""
import threading
from afnio.models.openai import OpenAI
client = OpenAI(api_key="k", base_url={endpoint.base_url!r})
def call(): client.chat(model="m", messages=[{{"role": "user", "content": "hi"}}])
threading.excepthook = lambda _: None
threading.Thread(target=call, daemon=True).start()
import time
while not client._route.transport._targets: time.sleep(0.01)
"""
    environment = os.environ | {"PYTHONWARNINGS": "default"}
    result = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=150, env=environment
    )
    assert (result.returncode, result.stderr) == (0, "")


def test_run_sync_is_what_chat_uses(serve: Serve) -> None:
    endpoint = serve()
    reply = run_sync(client_of(endpoint)._send(MESSAGES, model="m", role="judge", node="n1"))
    assert (reply.text, reply.source, reply.attempts, reply.request_id) == ("hello", "live", 1, "req-1")
    assert (reply.request.role, reply.request.node) == ("judge", "n1")
    assert reply.seconds > 0
    assert reply.usage.total == 12
