"""A server makes the calls of any provider's model, by its recipe; a path is made a model where it is written."""

from __future__ import annotations

from typing import Any

import pytest

from afnio.models import as_model
from afnio.models.anthropic import Anthropic
from afnio.optim import TGD
from tests.tellurio.engine.place import KEY, Place, a_loss


@pytest.mark.parametrize("lm_calls", ["server", "client"])
@pytest.mark.parametrize("by_path", [False, True])
def test_anthropic(place: Place, monkeypatch: pytest.MonkeyPatch, lm_calls: Any, by_path: bool) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", KEY)
    monkeypatch.setenv("ANTHROPIC_BASE_URL", place.lm.url)
    model = as_model("anthropic/brain") if by_path else Anthropic(model="brain")
    with place.lab(model, lm_calls=lm_calls) as lab:
        before = place.asked()
        prompts, loss = a_loss(lab)
        lab.backward(loss)
        lab.step(TGD(prompts, "anthropic/brain" if by_path else model))
        made = place.lm.stats()["requests"][before - place.asked() :]
    assert {row["path"] for row in made} == {"/v1/messages"}
    assert {"backward", "optimizer"} <= {row["role"] for row in made}
    if lm_calls == "server":  # else the client records them
        stored = [row for row in place.get("/calls") if row["role"] == "optimizer"]
        assert {(row["provider"], row["model"]) for row in stored} == {("anthropic", "brain")}
        assert all(row["input_tokens"] > 0 for row in stored)
