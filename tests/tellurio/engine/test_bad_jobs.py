"""Whatever is sent as a job or as an answer: never a 5xx, never a job without an end, and the error says where."""

from __future__ import annotations

import copy
import json
import socket
import threading
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.tellurio.engine.place import Place, eventually
from tests.tellurio.running import PATIENCE

fuzzed = settings(max_examples=40, suppress_health_check=list(HealthCheck))
junk = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 2**70) | st.floats() | st.text(max_size=3) | st.just("s1"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("$vnto"), inner, max_size=3),
    max_leaves=5,
)


def places_in(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The way to everything in a JSON value."""
    found = [path]
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, item in items:
        found += places_in(item, (*path, name))
    return found


def with_at(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    value = copy.deepcopy(value)
    *way, last = path
    here = value
    for name in way:
        here = here[name]
    if new is _NOTHING:
        del here[last]
    else:
        here[last] = new
    return value


_NOTHING = object()


@pytest.mark.parametrize("kind", ["backward", "step"])
def test_a_job_with_anything_in_it(place: Place, sent: dict[str, Any], kind: str) -> None:
    body = sent[kind]
    every = [path for path in places_in(body) if path]

    @fuzzed
    @given(st.data())
    def run(data: st.DataObject) -> None:
        changed = body
        for _ in range(data.draw(st.integers(1, 2))):
            path = data.draw(st.sampled_from([path for path in every if _is_there(changed, path)]))
            new = data.draw(junk | st.just(_NOTHING))
            if new is not _NOTHING or path:
                changed = with_at(changed, path, new)
        job_id = uuid.uuid4().hex
        content = json.dumps(changed).encode()
        status, kinds = _to_its_end(place, job_id, content)
        assert status in (200, 400, 422), (status, kinds)
        if status == 200:
            assert kinds[-1][0] in ("done", "failed", "ask", "cancelled")

    run()
    assert place.send(sent["step"])[1][-1][0] == "done"  # it works as before


def _is_there(value: Any, path: tuple[Any, ...]) -> bool:
    for name in path:
        try:
            value = value[name]
        except (KeyError, IndexError, TypeError):
            return False
    return True


def _to_its_end(place: Place, job_id: str, content: bytes) -> tuple[int, list[tuple[str, Any]]]:
    """Like `Place.send`, with an answer to whatever is asked: that it cannot be had."""
    kinds: list[tuple[str, Any]] = []
    url = f"/api/v1/runs/{place.run_id}/jobs/{job_id}"
    fence = 0
    with place.server.client() as client, client.stream("POST", url, content=content) as answer:
        if answer.status_code != 200:
            answer.read()
            return answer.status_code, [("refused", answer.json()["error"]["message"])]
        event = ""
        for line in answer.iter_lines():
            if line.startswith("event: "):
                event = line[7:]
            elif line.startswith("data: "):
                data = json.loads(line[6:])
                kinds.append((event, data))
                fence = data["fence"] if event == "begun" else fence
                if event == "ask":
                    with place.server.client() as other:
                        said = other.post(
                            url + "/answers", json={"fence": fence, "answers": [{"id": data["id"], "raised": True}]}
                        )
                    assert said.status_code in (204, 404), said.text  # it may have failed meanwhile
    return 200, kinds


@fuzzed
@given(body=junk | st.binary(max_size=20))
def test_a_body_that_is_anything(place: Place, body: Any) -> None:
    status, events = place.send(body)
    assert status in (400, 422), events


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"kind": "sideways"}, "A job's kind is one of backward, step; got 'sideways'"),
        ({"payload": []}, "A job has 'payload', a JSON dict; got list"),
        ({"models": None}, "A job has 'models', a JSON list; got NoneType"),
        ({"secrets": [1]}, "A job's secrets are a JSON object; got list"),
    ],
)
def test_the_answer_names_the_part(place: Place, sent: dict[str, Any], changed: dict[str, Any], said: str) -> None:
    status, events = place.send(sent["step"] | changed)
    assert status == 422
    assert said in events[0][1]


@pytest.mark.parametrize(
    ("path", "new", "said"),
    [
        (("payload", "v"), 2, "a job of version 2 was sent; this server reads version 1"),
        (("payload", "nodes", 0, "op"), "Later", "the op 'Later' of node 0 is not known here: upgrade the server"),
        (("payload", "nodes", 0, "next", 0), [0, 0], "the graph goes in a circle"),
        (("payload", "nodes", 0, "next", 0), [10**6, 0], "an edge of node 0 leads to output 0 of node 1000000"),
        (("payload", "nodes", 0, "next", 0), [-1, 0], "an edge of node 0 leads to output 0 of node -1"),
        (("payload", "nodes", 0, "outputs"), 10**15, "node 0 has 1000000000000000 outputs"),
        (("models", 0, "recipe", 0), "Later", "the model class 'Later' is not known here: upgrade the server"),
        (("settings", "critic_tokens"), 0, "critic_tokens must be at least 1, got 0"),
        (("prices",), [["x"]], "The job cannot be read"),
        (("budget",), {"limits": {"calls": -1}, "spent": {}}, "a limit is 0 or more"),
    ],
)
def test_the_error_names_the_place(place: Place, sent: dict[str, Any], path: Any, new: Any, said: str) -> None:
    body = with_at({**sent["backward"], "budget": None}, path, new)
    status, events = place.send(body)
    assert (status, events[-1][0]) == (200, "failed")
    assert said in events[-1][1]["error"]["message"]


def _asking(place: Place, sent: dict[str, Any], job_id: str) -> threading.Thread:
    """A job that asks its client something, and whose stream somebody holds."""
    thread = threading.Thread(target=place.send, args=(sent["backward"], job_id))
    thread.start()
    return thread


@pytest.mark.parametrize(
    "answer",
    [
        {"edges": []},
        {"edges": [["s99"]], "told": {}},
        {"edges": "abc", "told": {}},
        {"edges": [["c1"]], "told": {"g": {"c1": [1, 2]}}},
        {"told": {"t": {"c1": [["x"], ["c2"]]}}, "edges": [[]]},
        {"told": [], "edges": [[], []]},
        7,
        None,
    ],
)
def test_an_answer_that_makes_no_sense_fails_the_job(place: Place, sent: dict[str, Any], answer: Any) -> None:
    job_id = uuid.uuid4().hex
    url = f"/api/v1/runs/{place.run_id}/jobs/{job_id}/answers"
    thread = _asking(place, sent, job_id)
    node = next(n for n, form in enumerate(sent["backward"]["payload"]["nodes"]) if form.get("op", "") is None)
    with place.server.client() as client:

        def answered() -> bool:
            body = {"fence": 1, "answers": [{"id": f"backward:{node}:1", "answer": answer}]}
            client.post(url, json=body)
            return not thread.is_alive()

        eventually(answered)
        stored = url.removesuffix("/answers")
        eventually(lambda: client.get(stored).json().get("state") == "failed")  # it is told first, then stored
    status, events = place.send(sent["backward"], job_id)
    assert (status, events[-1][0]) == (200, "failed")
    assert f"the answer of node {node}" in events[-1][1]["error"]["message"].lower()


def test_answers_that_are_anything(place: Place, sent: dict[str, Any]) -> None:
    job_id = uuid.uuid4().hex
    url = f"/api/v1/runs/{place.run_id}/jobs/{job_id}/answers"
    thread = _asking(place, sent, job_id)
    node = next(n for n, form in enumerate(sent["backward"]["payload"]["nodes"]) if form.get("op", "") is None)
    asked = f"backward:{node}:1"
    with place.server.client() as client:
        eventually(lambda: client.get(url.removesuffix("/answers")).status_code == 200)

        @fuzzed
        @given(
            st.fixed_dictionaries(
                {"fence": st.sampled_from([1, 1, 1, 2, None]) | junk},
                optional={
                    "answers": st.lists(
                        st.dictionaries(st.sampled_from(["id", "raised", "error"]), junk, max_size=3)
                        | st.fixed_dictionaries({"id": st.sampled_from([asked, "lm:1:1"]), "error": junk})
                        | junk,
                        max_size=3,
                    )
                    | junk
                },
            )
            | junk
        )
        def run(body: Any) -> None:
            said = client.post(url, content=json.dumps(body).encode())
            assert said.status_code in (204, 400, 404, 409, 422), said.text

        run()
        client.delete(url.removesuffix("/answers"))
    thread.join()


def test_who_else_asks(place: Place, sent: dict[str, Any]) -> None:
    """A wrong fence, a question nobody asked, another Run's job, another user's, one that is not there."""
    job_id = uuid.uuid4().hex
    thread = _asking(place, sent, job_id)
    run_id = place.run_id
    url = f"/api/v1/runs/{run_id}/jobs/{job_id}"
    with place.server.client() as client:
        eventually(lambda: client.get(url).status_code == 200)
        said = client.post(url + "/answers", json={"fence": 9, "answers": []})
        assert (said.status_code, "its fence is 1" in said.text) == (409, True)
        said = client.post(url + "/answers", json={"fence": 1, "answers": [{"id": "nobody", "answer": 1}]})
        assert said.status_code == 204
        other = place.new_run()
        status, events = place.send(sent["step"], job_id)
        assert (status, "belongs to another Run" in events[0][1]) == (409, True)
        elsewhere = f"/api/v1/runs/{other}/jobs/{job_id}"
        assert client.post(elsewhere + "/answers", json={"fence": 1, "answers": []}).status_code == 404
        assert client.delete(elsewhere).status_code == 404
        assert client.get(elsewhere).status_code == 404
        stranger = place.server.client("tel_" + "x" * 43)
        for method, path in (("POST", url), ("POST", url + "/answers"), ("DELETE", url), ("GET", url)):
            assert stranger.request(method, path, json={}).status_code == 401
        stranger.close()
        assert client.get(url).json()["state"] == "running"
        assert client.delete(url).status_code == 204
    thread.join()
    place.run_id = run_id
    status, events = place.send(sent["backward"], job_id)
    assert events[-1] == ("cancelled", {"error": {"type": "JobError", "message": "The job was cancelled."}})


@pytest.mark.parametrize("given", ["1:1", "1:x", "x:1", ":", "1:99999999999999", "1:\xb2", "7", "", "1:-1"])
def test_any_last_event_id(place: Place, sent: dict[str, Any], given: str) -> None:
    job_id = uuid.uuid4().hex
    place.send(sent["step"], job_id)
    url = f"/api/v1/runs/{place.run_id}/jobs/{job_id}"
    with place.server.client() as client:
        said = client.post(url, json=sent["step"], headers={b"Last-Event-ID": given.encode("latin-1")})
    assert said.status_code == 200
    assert b"event: done" in said.content


@pytest.mark.parametrize("job_id", ["a" * 65, "a-b", "\u0663", "a.b"])
def test_a_jobs_id(place: Place, sent: dict[str, Any], job_id: str) -> None:
    assert place.send(sent["step"], job_id)[0] == 422


def test_a_job_that_is_too_large(place: Place) -> None:
    head = f"POST /api/v1/runs/{place.run_id}/jobs/1 HTTP/1.1\r\nHost: 127.0.0.1:{place.server.port}\r\n"
    head += f"Authorization: Bearer {place.server.key}\r\nContent-Length: {(256 << 20) + 1}\r\n\r\n{{"
    with socket.create_connection(("127.0.0.1", place.server.port), timeout=PATIENCE) as line:
        line.sendall(head.encode())
        assert line.recv(100).startswith(b"HTTP/1.1 413 ")


def test_asked_for_twice_at_once_it_runs_once(place: Place, sent: dict[str, Any]) -> None:
    """Two requests with the same id, side by side, many times."""
    for _ in range(20):
        job_id, before = uuid.uuid4().hex, place.asked()
        with ThreadPoolExecutor(3) as threads:
            ends = list(threads.map(lambda id: place.send(sent["step"], id), [job_id] * 3))
        assert [events[-1][0] for _, events in ends] == ["done"] * 3
        assert place.asked() - before == 2


def test_what_was_cancelled_before_it_came_is_not_run(place: Place, sent: dict[str, Any]) -> None:
    job_id, before = uuid.uuid4().hex, place.asked()
    with place.server.client() as client:
        assert client.delete(f"/api/v1/runs/{place.run_id}/jobs/{job_id}").status_code == 404
    status, events = place.send(sent["step"], job_id)
    assert (status, events[-1][0]) == (200, "cancelled")
    assert place.asked() == before
