"""Who watches a Run is told of the calls of its jobs, as they are stored."""

from __future__ import annotations

from tests.tellurio.engine.place import Place, a_loss
from tests.tellurio.server.hints import Stream


def test_the_calls_of_a_job_are_told(place: Place) -> None:
    with place.server.client() as client, client.stream("GET", f"/api/v1/runs/{place.run_id}/live") as answer:
        stream = Stream(answer)
        hello = stream.next()
        assert hello is not None
        assert hello.kind == "hello"
        with place.lab() as lab:
            _, loss = a_loss(lab, calls=3)
            lab.backward(loss)
        assert place.cost()["calls"] > 0
        assert stream.until("calls").data["run_id"] == place.run_id
