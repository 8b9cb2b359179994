"""Trails: the texts feedback rests on, kept without copying."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

import afnio
import afnio.cognitive as cog
import afnio.cognitive.functional as F
from afnio.gradient import Gradient, Trail
from afnio.models.scripted import Scripted
from tests.autodiff.lab import backward_model

texts = st.lists(st.text(max_size=3), max_size=4)


@given(st.lists(st.tuples(texts, st.lists(st.integers(min_value=0), max_size=3)), min_size=1, max_size=12))
def test_a_trail_reads_as_the_union_of_its_texts_and_those_before(plan: list[tuple[list[str], list[int]]]) -> None:
    trails: list[Trail] = []
    unions: list[set[str]] = []
    for own, links in plan:
        before = [link % len(trails) for link in links] if trails else []
        trails.append(Trail(own, [trails[at] for at in before]))
        unions.append(set(own).union(*(unions[at] for at in before)))
    for trail, union in zip(trails, unions, strict=True):
        read = trail.read()
        assert set(read) == union
        assert len(read) == len(union)
        assert list(read)[: len(set(trail.texts))] == list(dict.fromkeys(trail.texts))


def test_a_chain_keeps_each_text_once_however_long_it_is() -> None:
    size = 300
    model = Scripted([f"answer number {number}" for number in range(size)])
    critic = Scripted(
        lambda body: {
            "feedback": [
                {"variable": name, "text": "Be brief."}
                for name in ("v1", "v2")
                if f"{name} (" in body["messages"][-1]["content"]
            ]
        }
    )
    with backward_model(critic), afnio.local_engine():
        prompt = cog.Parameter("Answer {x}", role="prompt")
        x: afnio.Variable | str = "a question"
        for _ in range(size):
            x = F.chat_completion(model, [{"role": "user", "content": [prompt]}], inputs={"x": x})
        assert isinstance(x, afnio.Variable)
        x.backward(afnio.Variable("too long", role="feedback"))
    gradients = [gradient for gradient in prompt.grad or [] if isinstance(gradient, Gradient)]
    kept = {id(gradient.trail): len(gradient.trail.texts) for gradient in gradients}
    assert len(gradients) == size
    assert sum(kept.values()) == size, "as tuples it would be size * (size + 1) / 2"
    assert max((gradient.sources for gradient in gradients), key=len) == (
        "a question",
        *[f"answer number {number}" for number in range(size - 1)],
    )
