"""One budget and one count over both sides of a Run, whoever makes the calls and whatever breaks on the way."""

from __future__ import annotations

import contextvars
import sqlite3
import threading
from decimal import Decimal
from typing import Any

import pytest

from afnio.calls import Budget, Session
from afnio.errors import BudgetExceeded, ConsentError
from afnio.models.prices import clear_prices, set_price
from afnio.optim import TGD
from tests.autodiff import job
from tests.autodiff.lab import by_role
from tests.tellurio.client.lab import script
from tests.tellurio.engine.lines import Proxy
from tests.tellurio.engine.place import Place, a_loss, eventually


@pytest.fixture(params=["server", "client"])
def lm_calls(request: pytest.FixtureRequest) -> Any:
    """Who makes the calls of backward() and step()."""
    return request.param


@pytest.fixture
def prices() -> Any:
    set_price("brain", input=1_000, output=1)
    yield
    clear_prices()


def test_what_both_sides_count_is_what_the_model_saw(place: Place, lm_calls: Any, prices: None) -> None:
    place.lm.reset()
    with place.lab(lm_calls=lm_calls) as lab:
        job.run(lab)
        seen = place.lm.stats(rows=False)["total"]
        total, usage = lab.engine.ledger.total(), lab.client.get_usage()
    assert total.calls == seen["calls"]
    assert (total.input_tokens, total.output_tokens) == (usage["prompt_tokens"], usage["completion_tokens"])
    assert total.tokens == seen["input_tokens"] + seen["output_tokens"]
    assert float(total.usd) == pytest.approx(usage["cost"]["amount"])
    assert total.usd == (total.input_tokens * Decimal(1_000) + total.output_tokens) / 1_000_000
    assert not total.unpriced
    made_there = {role: lab.engine.ledger.total(role=role).calls for role in ("backward", "optimizer", "reducer")}
    stored = place.cost()
    if lm_calls == "server":  # the client's own go through its journal, which this engine has not
        assert stored["calls"] == sum(made_there.values())
        assert Decimal(stored["usd"]) == sum(lab.engine.ledger.total(role=role).usd for role in made_there)
    else:
        assert not stored["calls"]


@pytest.mark.parametrize("limits", [{"calls": 3}, {"tokens": 400}, {"usd": "0.35"}])
def test_a_budget_holds_over_forward_backward_and_step(
    place: Place, lm_calls: Any, limits: dict[str, Any], prices: None
) -> None:
    """Two forward calls, two critics, two updates: it gives out in the middle."""
    budget = Budget(**limits)
    with place.lab(lm_calls=lm_calls, budget=budget) as lab:
        prompts, loss = a_loss(lab, 2)
        optimizer = TGD(prompts, lab.client, model="brain")
        before = place.asked()
        with pytest.raises(BudgetExceeded) as failed:
            lab.backward(loss)
            lab.step(optimizer)
        ((name, limit),) = limits.items()
        assert failed.value.limit == name
        shown = f"Budget({name}={limit})"
        assert shown in str(failed.value)
        assert [prompt.data for prompt in prompts] == ["Prompt 0", "Prompt 1"]
        spent = budget.spent
        # What was under way when it gave out is not waited for.
        assert spent["calls"] <= 2 + place.asked() - before
        assert spent["calls"] < 6
        assert lab.engine.ledger.total().calls == spent["calls"]
        assert lab.engine.ledger.total().tokens == spent["tokens"]
        assert lab.engine.ledger.total().usd == spent["usd"]


def test_backward_passes_side_by_side_spend_of_one_budget(place: Place) -> None:
    """Eight threads with one call each, of which three are allowed; each pass alone would be."""
    budget = Budget(calls=8 + 3)
    with place.lab(budget=budget) as lab:
        losses = [a_loss(lab)[1] for _ in range(8)]
        before, failed = place.asked(), []

        def run(loss: Any) -> None:
            try:
                lab.backward(loss)
            except BudgetExceeded as error:
                failed.append(error)

        threads = [threading.Thread(target=contextvars.copy_context().run, args=(run, loss)) for loss in losses]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert (place.asked() - before, len(failed)) == (3, 5)
    assert budget.spent["calls"] == 8 + 3


def test_a_session_of_the_users_own_counts(place: Place) -> None:
    session = Session(budget=Budget(calls=1))
    with place.lab(session=session) as lab:
        prompts, loss = a_loss(lab)
        with pytest.raises(BudgetExceeded):
            lab.backward(loss)
    assert session.ledger.total().calls == 1
    assert prompts[0].grad == []


def test_calls_that_the_client_never_heard_of_count_when_the_job_is_taken_up_again(own: Place) -> None:
    """Killed when all calls are recorded: the client, whom nobody told of them, learns of each from the next server."""
    budget = Budget(calls=100)
    own.lm.reset()
    with own.lab(budget=budget) as lab:
        _, loss = a_loss(lab, 6)
        killed = threading.Event()
        again = threading.Thread(target=own.server.start)

        def strike(ask: Any) -> Any:
            if len(lab.brain.of("backward")) == 6 and not killed.is_set():
                killed.set()
                own.server.kill()
                again.start()
            return {"feedback": [{"variable": "v1", "text": "better"}]}

        lab.brain.rule = by_role(backward=strike)
        lab.backward(loss)
        again.join()
        recorded = own.cost()["calls"]
        assert recorded == 6
        assert lab.engine.ledger.total(role="backward").calls == budget.spent["calls"] - 6 == 6
        usage = lab.client.get_usage()
        assert usage["total_tokens"] == budget.spent["tokens"] == lab.engine.ledger.total().tokens


def test_a_job_that_ended_while_its_client_was_away_is_counted(own: Place) -> None:
    """The server is stopped as it ends the job: what the client missed is told by the next one, from the store."""
    with Proxy(own.server.port) as proxy:
        own.url = proxy.url
        own.server._arguments = ("--allow-host", f"127.0.0.1:{proxy.port}")
        own.server.restart()
        own.new_run()
        with own.lab() as lab:
            _, loss = a_loss(lab, 3)

            def cut(ask: Any) -> Any:
                proxy.closed = True  # from now on nobody gets through; the job goes on
                proxy.cut()
                return {"feedback": [{"variable": "v1", "text": "better"}]}

            lab.brain.rule = by_role(backward=cut)

            def come_back() -> None:
                eventually(lambda: own.cost()["calls"] == 3 and _ended(own))
                own.server.restart()
                proxy.closed = False

            thread = threading.Thread(target=come_back)
            thread.start()
            lab.backward(loss)
            thread.join()
            assert lab.engine.ledger.total(role="backward").calls == 3
            assert own.cost()["calls"] == 3


def _ended(place: Place) -> bool:
    with sqlite3.connect(place.server.folder / "tellurio.db", timeout=60) as database:
        states = [state for (state,) in database.execute("select state from jobs")]
    database.close()
    return states == ["done"]


def test_no_key_leaves_without_consent(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALLOW_API_KEY_SHARING", "false")
    with place.lab() as lab:
        _, loss = a_loss(lab)
        before = place.asked()
        with pytest.raises(ConsentError, match='lm_calls="client"'):
            lab.backward(loss)
        assert place.asked() == before
    with place.lab(lm_calls="client") as lab:
        prompts, loss = a_loss(lab)
        lab.backward(loss)
        assert prompts[0].grad


def test_the_budget_of_a_run_holds_in_a_loop_by_hand(place: Place, tmp_path: Any) -> None:
    """No Trainer, no session of one's own, and calls from a thread too."""
    script(
        place.server.home,
        f"""
        import threading, afnio
        from afnio import functional as F
        from afnio.calls import Budget
        from afnio.errors import BudgetExceeded
        from afnio.models.openai import OpenAI
        from afnio.parameter import Parameter
        budget = Budget(calls=2)
        model = OpenAI(api_key="any", base_url={place.lm.base_url!r})
        with te.init("jobs", "Hand", budget=budget) as run:
            afnio.set_backward_model_client(model, completion_args={{"model": "brain"}})
            prompts = [Parameter("p", "p"), Parameter("q", "q")]
            answers = [F.chat_completion(model, [{{"role": "system", "content": [p]}}], model="brain") for p in prompts]
            assert budget.spent["calls"] == 2
            loss = F.sum([F.exact_match_evaluator(answer, "no").score for answer in answers])
            try:
                loss.backward()
            except BudgetExceeded as error:
                assert "Budget(calls=2)" in str(error), error
            else:
                raise AssertionError
            assert budget.spent["calls"] == 2
            assert not prompts[0].grad and not prompts[1].grad
            def one_more():
                try:
                    F.chat_completion(model, [{{"role": "system", "content": [prompts[0]]}}], model="brain")
                except BudgetExceeded:
                    stopped.append(True)
            stopped = []
            thread = threading.Thread(target=one_more)
            thread.start()
            thread.join()
            assert stopped
        from afnio.calls import current_session
        assert current_session().budget is None
        """,
        tmp_path,
        TELLURIO_BACKEND_HTTP_BASE_URL=place.server.url,
        TELLURIO_API_KEY=place.server.key,
        ALLOW_API_KEY_SHARING="true",
    )
