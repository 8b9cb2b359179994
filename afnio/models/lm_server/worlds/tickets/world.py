"""The world ``tickets``: a simulated model that classifies support tickets and can be trained by text."""

from __future__ import annotations

from afnio.models.lm_server.ask import Ask, ToolCall
from afnio.models.lm_server.roles import task_of
from afnio.models.lm_server.tooling import called_tools
from afnio.models.lm_server.worlds.tickets.answering import classify
from afnio.models.lm_server.worlds.tickets.book import BOOK
from afnio.models.lm_server.worlds.tickets.critic import criticize, reduce
from afnio.models.lm_server.worlds.tickets.judge import is_right
from afnio.models.lm_server.worlds.training.form import in_form
from afnio.models.lm_server.worlds.training.judge import judge
from afnio.models.lm_server.worlds.training.optimizer import destroy, optimize

__all__ = ["Tickets"]


class Tickets:
    """Simulated LM of a support desk.  A simulation, not an AI.

    Args:
        seed: of the draws that decide which updates are bad, and how.
        bad_share: share of the optimizer's updates that are bad, 0 to 1.
    """

    name = "tickets"

    def __init__(self, *, seed: int = 0, bad_share: float = 0.15) -> None:
        if not 0.0 <= bad_share <= 1.0:
            raise ValueError(f"bad_share is a share between 0 and 1, got {bad_share!r}.")
        self.seed, self.bad_share = seed, bad_share

    def calls(self, ask: Ask, role: str) -> list[ToolCall]:
        """The tools that the last message names."""
        return called_tools(ask)

    def reply(self, ask: Ask, role: str) -> str:
        """Classify, criticize, reduce, optimize or judge, by ``role``."""
        if role == "forward":
            return classify(ask)
        if role == "judge":
            return judge(ask, is_right)
        text = self._train(task_of(ask), role)
        return text if ask.schema is not None else in_form(text, ask.system or ask.user.rpartition("<")[2])

    def destroy(self, ask: Ask) -> str:
        """An ``afnio_update`` that drops every rule and adds wrong ones."""
        return destroy(task_of(ask), BOOK)

    def _train(self, task: str, role: str) -> str:
        if role == "optimizer":
            return optimize(task, BOOK, seed=self.seed, bad_share=self.bad_share)
        return reduce(task) if role == "reducer" else criticize(task)
