"""Templates: text with ``{placeholders}`` that ``inputs`` fill."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping

from afnio.errors import PlaceholderError

__all__ = ["fill", "placeholders"]

_TOKEN = re.compile(r"\{\{([A-Za-z_]\w*)\}\}|\{([A-Za-z_]\w*)\}")


@functools.lru_cache(maxsize=1024)
def _parse(template: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Literal texts and the names between them: one literal more than names."""
    literals, names, start, text = [], [], 0, ""
    for match in _TOKEN.finditer(template):
        text += template[start : match.start()]
        start = match.end()
        if match[1] is not None:
            text += "{" + match[1] + "}"  # {{name}} stands for the text {name}
        else:
            literals.append(text)
            names.append(match[2])
            text = ""
    literals.append(text + template[start:])
    return tuple(literals), tuple(names)


@functools.lru_cache(maxsize=1024)
def _names(template: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(_parse(template)[1]))


def placeholders(template: str) -> tuple[str, ...]:
    """The names of the ``{placeholders}`` in ``template``, each once, in order.

    A placeholder is a Python name in single braces; other braces (JSON, say) are text, and ``{{name}}`` stands for
    the text ``{name}``.
    """
    return _names(template)


def fill(template: str, inputs: Mapping[str, str], where: str) -> str:
    """``template`` with its placeholders replaced.

    Args:
        template: the text.
        inputs: name -> text.
        where: what the template is, for the error.

    Raises:
        PlaceholderError: ``inputs`` lacks a name the template uses.
    """
    literals, names = _parse(template)
    if not names:
        return literals[0]
    parts = [literals[0]]
    for name, literal in zip(names, literals[1:], strict=True):
        if name not in inputs:
            raise PlaceholderError(_missing(name, inputs, where))
        parts.append(inputs[name])
        parts.append(literal)
    return "".join(parts)


def _missing(name: str, inputs: Mapping[str, str], where: str) -> str:
    given = f"inputs has {', '.join(map(repr, inputs))}" if inputs else "no inputs were given"
    return (
        f"The template {where!r} uses {{{name}}}, but {given}. "
        f"Pass inputs={{{name!r}: ...}}, or write {{{{{name}}}}} to send the braces as text."
    )
