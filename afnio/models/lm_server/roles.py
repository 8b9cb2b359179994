"""Who asks: worked out from the request, for the statistics, the faults and the worlds."""

from __future__ import annotations

import re

from afnio.models.lm_server.ask import Ask, Turn

__all__ = ["ROLES", "role_of", "task_of", "task_turn"]

ROLES = ("forward", "backward", "reducer", "optimizer", "judge")

_SCHEMAS = {"afnio_update": "optimizer", "afnio_verdict": "judge"}
_VARIABLE_ID = re.compile(r"<variable\b[^>]*\bid=")
_JUDGE_WORDS = ("score", "explanation")


def task_turn(ask: Ask) -> Turn:
    """The last user message that carries our tags, else the last user message (an empty one where there is none).

    A repair turn comes after the request it repairs and has no tags of its own.
    """
    said = [turn for turn in reversed(ask.turns) if turn.role == "user"]
    tagged = [turn for turn in said if "<variable" in turn.text]
    return (tagged or said or [Turn("user", "")])[0]


def task_of(ask: Ask) -> str:
    """The text of `task_turn`."""
    return task_turn(ask).text


def role_of(ask: Ask) -> str:
    """One of ``ROLES``: by the schema's name where there is one, else by the tags of the request."""
    named = _SCHEMAS.get(ask.schema_name)
    if named:
        return named
    task = task_of(ask)
    if "<variable" in task:
        return _training_role(task)
    if ask.schema_name == "afnio_feedback":
        return "backward"
    return "judge" if _is_judge(ask) else "forward"


def _training_role(task: str) -> str:
    if not _VARIABLE_ID.search(task):
        return "optimizer"
    return "reducer" if "<feedback" in task and "<sample" not in task else "backward"


def _is_judge(ask: Ask) -> bool:
    if ask.schema is not None:
        return {"score", "explanation"} <= set(ask.schema.get("properties", ()))
    text = (ask.system or ask.user).lower()
    return all(word in text for word in _JUDGE_WORDS)
