"""The world ``shop``: a simulated model that answers with the help of two tools and can be trained by text."""

from __future__ import annotations

from afnio.models.lm_server.ask import Ask, ToolCall
from afnio.models.lm_server.roles import task_of
from afnio.models.lm_server.worlds.shop.answering import answer, next_calls
from afnio.models.lm_server.worlds.shop.catalogue import CATALOGUE
from afnio.models.lm_server.worlds.shop.critic import about, criticize, reduce
from afnio.models.lm_server.worlds.shop.laws import BOOKS
from afnio.models.lm_server.worlds.shop.pricing import total
from afnio.models.lm_server.worlds.shop.reading import read
from afnio.models.lm_server.worlds.training.form import in_form
from afnio.models.lm_server.worlds.training.judge import judge
from afnio.models.lm_server.worlds.training.lawbook import Lawbook
from afnio.models.lm_server.worlds.training.optimizer import destroy, optimize
from afnio.models.lm_server.worlds.training.request import variables

__all__ = ["Shop"]


class Shop:
    """Simulated LM of a shop's agent, which has a search tool and a calculator.  A simulation, not an AI.

    Args:
        seed: of the draws that decide which updates are bad, and how.
        bad_share: share of the optimizer's updates that are bad, 0 to 1.
    """

    name = "shop"

    def __init__(self, *, seed: int = 0, bad_share: float = 0.15) -> None:
        if not 0.0 <= bad_share <= 1.0:
            raise ValueError(f"bad_share is a share between 0 and 1, got {bad_share!r}.")
        self.seed, self.bad_share = seed, bad_share

    def calls(self, ask: Ask, role: str) -> list[ToolCall]:
        """A search for each product, one a turn, then the calculator; only in answer to a customer."""
        return next_calls(ask) if role == "forward" else []

    def reply(self, ask: Ask, role: str) -> str:
        """Answer, criticize, reduce, optimize or judge, by ``role``."""
        if role == "forward":
            return answer(ask)
        if role == "judge":
            return judge(ask, _is_right)
        text = self._train(ask, role)
        return text if ask.schema is not None else in_form(text, ask.system or ask.user.rpartition("<")[2])

    def destroy(self, ask: Ask) -> str:
        """An ``afnio_update`` that drops every rule and adds wrong ones."""
        task = task_of(ask)
        return destroy(task, _book(task))

    def _train(self, ask: Ask, role: str) -> str:
        task = task_of(ask)
        if role == "optimizer":
            return optimize(task, _book(task), seed=self.seed, bad_share=self.bad_share)
        return reduce(task) if role == "reducer" else criticize(ask)


def _book(task: str) -> Lawbook:
    """The laws on the text that an optimizer is to write."""
    written = variables(task)
    kind = about(written[0].role, written[0].value) if written else ""
    return BOOKS[kind or "system"]


def _is_right(ask: Ask, prediction: str) -> bool:
    prices = {name: product.price for name, product in CATALOGUE.items()}
    order = read(ask.user)
    known = all(item.name in prices for item in order.items)
    return bool(order.items) and known and f"{total(order, prices):.2f}" in prediction
