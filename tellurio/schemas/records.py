"""The records of a Run's journal: one JSON object a line, in the order they were logged.

Every record has ``n`` (its number in the journal, from 1), ``t`` (Unix time) and ``k`` (its kind):

========  ==================================================================================================
``m``     a metric: ``name``, ``v`` (a number, or ``"nan"``, ``"inf"``, ``"-inf"``), ``step`` (int or None)
``v``     any other value: ``name``, ``type`` (``"text"``, ``"table"``, ``"json"``, ``"image"``), ``v``, ``step``
``c``     an LM call: ``record``, as ``afnio.calls.record`` makes it
``e``     an event: ``kind`` (``"prompt"``, ``"gate"``, ``"fit_start"``, ...), ``data``
``a``     an artifact: ``name``, ``kind``, ``files`` (``[{"path", "sha256", "size"}]``); its blobs are stored already
``s``     the end of the Run: ``status``, and ``reason`` (a text) where that needs words
``b``     a Run begins: ``run``, see `Begin`
========  ==================================================================================================

A recorder's journal is there before its Run: its first record is the ``b`` of the Run itself, and whoever takes the
journal in makes it.  Any other ``b`` begins a subrun of it.  Records of the kinds ``c``, ``e``, ``v`` and ``s`` may
have ``r``, the id of such a subrun: they are about that one.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Literal, TypedDict

from tellurio.schemas.slugs import NAMESPACE, slugify

__all__ = ["ENDS", "KINDS", "STATUSES", "Begin", "Command", "Kind", "fitting", "number_in", "number_out"]

Kind = Literal["m", "v", "c", "e", "a", "s", "b"]

STATUSES = ("RUNNING", "COMPLETED", "CRASHED", "FAILED", "DRAFT")
"""The states of a Run.  DRAFT: an edited copy that nobody has run yet."""

ENDS = ("COMPLETED", "CRASHED", "FAILED")
"""The states a Run can end in."""

KINDS = ("run", "recording", "subrun", "rerun")
"""What a Run is: one of ``te.init``, a recorded script, a part of it, a script that was run again."""


class Command(TypedDict, total=False):
    """How a recorded script was started, and may be started again.

    Attributes:
        argv: the script and its arguments; of ``-m``, the module and its arguments.
        module: whether the first is a module.
        interpreter: path of the Python.
        cwd: the working directory.
        env: of the environment what is on an allow-list; no secrets.
        needs: names of keys that were set, without their values.
        stdin: whether the script came by standard input: it cannot be started again.
        host, pid: where it runs.
        seed: of what is random.
        edges: what evidence of edges was asked for.
        sent: whether a client told it over the network: a server starts only what it read from this machine's disk.
    """

    argv: list[str]
    module: bool
    interpreter: str
    cwd: str
    env: dict[str, str]
    needs: list[str]
    stdin: bool
    host: str
    pid: int
    seed: int | None
    edges: str
    sent: bool


class Begin(TypedDict, total=False):
    """What a record of the kind ``b`` says of the Run that begins.

    Attributes:
        id: a UUID.
        name: None: a random one.  Taken names get a number.
        kind: one of `KINDS`, not ``"run"``.
        parent_id: the Run it is a part or a repetition of.
        namespace: None: the user's own.  Of a subrun it is its parent's, as is the project.
        project: its display name; made if it is not there.
        command: how it was started; of a subrun it is its parent's.
        client: versions, as ``te.init`` tells them.
        lease: seconds without a sign of life after which it counts as crashed.
        created: Unix time at which it began.
    """

    id: str
    name: str | None
    kind: str
    parent_id: str | None
    namespace: str | None
    project: str
    command: Command
    client: dict[str, Any]
    lease: float
    created: float


LONGEST_NAME = 200
"""Characters of a name of a Run or a project."""


def fitting(told: Mapping[str, Any]) -> dict[str, Any]:
    """What a recorder says of its Run, with names that a server takes: nothing that was recorded is lost for a name.

    A name is cut to its first 200 characters; a name, project or namespace that cannot be one is left out.
    """
    run = dict(told)
    for field in ("name", "project", "namespace"):
        text = str(run.get(field) or "").strip()[:LONGEST_NAME].strip()
        fits = {"name": bool(text), "project": bool(slugify(text)), "namespace": bool(NAMESPACE.fullmatch(text))}
        run[field] = text if fits[field] else None
    return run


_SPECIAL = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}


def number_out(value: float) -> float | str:
    """``value`` as JSON has it: NaN and the infinities as words."""
    if isinstance(value, int) or math.isfinite(value):
        return value
    return "nan" if math.isnan(value) else "inf" if value > 0 else "-inf"


def number_in(value: Any) -> float:
    """The inverse of `number_out`.

    Raises:
        ValueError: it is no number.
    """
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return value
    if isinstance(value, str) and value in _SPECIAL:
        return _SPECIAL[value]
    raise ValueError(f"expected a number, 'nan', 'inf' or '-inf', got {value!r}")
