"""A client that says it never asked for a job before is believed, until the job's row says otherwise."""

from __future__ import annotations

import json
import uuid
from typing import Any

from tests.tellurio.engine.place import Place


def events_of(place: Place, run_id: str, job_id: str, body: dict[str, Any]) -> list[tuple[str, Any]]:
    """Kind and data of each event, to the end of the job."""
    with place.server.client() as client:
        answer = client.post(f"/api/v1/runs/{run_id}/jobs/{job_id}", json=body)
    assert answer.status_code == 200, answer.text
    blocks = [block.split("\n") for block in answer.text.split("\n\n") if block.startswith("id:")]
    return [(kind.removeprefix("event: "), json.loads(data.removeprefix("data: "))) for _, kind, data in blocks]


def state_of(place: Place, run_id: str, job_id: str) -> str:
    with place.server.client() as client:
        state: str = client.get(f"/api/v1/runs/{run_id}/jobs/{job_id}").json()["state"]
    return state


def test_who_takes_the_name_of_another_job_changes_nothing_of_it(place: Place, sent: dict[str, Any]) -> None:
    job_id, owner = uuid.uuid4().hex, place.run_id
    assert events_of(place, owner, job_id, {**sent["step"], "first": True})[-1][0] == "done"
    thief = place.new_run()
    kind, data = events_of(place, thief, job_id, {**sent["step"], "first": True})[-1]
    assert kind == "failed"
    assert "There is a job" in data["error"]["message"]
    assert state_of(place, owner, job_id) == "done"
    with place.server.client() as client:
        assert client.get(f"/api/v1/runs/{thief}/calls").json() == []


def test_asked_again_without_that_word_the_job_is_the_same(place: Place, sent: dict[str, Any]) -> None:
    job_id = uuid.uuid4().hex
    first = events_of(place, place.run_id, job_id, {**sent["step"], "first": True})
    again = events_of(place, place.run_id, job_id, {**sent["step"], "first": False})
    assert [kind for kind, _ in again] == ["begun", "call", "call", "done"]
    assert again[-1] == first[-1]
