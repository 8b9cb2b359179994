"""The parts of a training request (critic, reducer, optimizer), found by their tags."""

from __future__ import annotations

import html
import re
from dataclasses import dataclass

__all__ = ["Sample", "Variable", "asked_variables", "call_text", "feedback_texts", "samples", "undone", "variables"]

_VARIABLE = re.compile(r"<variable\b([^>]*)>(.*?)</variable>", re.DOTALL)
_SAMPLE = re.compile(r"<sample\b([^>]*)>(.*?)</sample>", re.DOTALL)
_FEEDBACK = re.compile(r"<feedback\b[^>]*>(.*?)</feedback>", re.DOTALL)
_INPUT = re.compile(r"<input\b[^>]*>(.*?)</input>", re.DOTALL)
_OUTPUT = re.compile(r"<output\b[^>]*>(.*?)</output>", re.DOTALL)
_CALL = re.compile(r"<call\b[^>]*>(.*?)</call>", re.DOTALL)
_ASKED = re.compile(r"^Give feedback on: (.*)$", re.MULTILINE)
_CALL_TAG = re.compile(r"</?(?:variable|message|input)\b[^>]*>")
_TAG = re.compile(r"</?variable\b[^>]*>")
_VERSION = re.compile(r"<version\b([^>]*)>(.*?)</version>", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Variable:
    """One ``<variable>``: ``name`` is its id (or ``""``)."""

    name: str
    role: str
    value: str


@dataclass(frozen=True, slots=True)
class Sample:
    """One ``<sample>``: what went in, what came out, and each thing that was said about it; ``text`` has all of it."""

    ticket: str
    output: str
    feedback: list[str]
    text: str


def variables(task: str) -> list[Variable]:
    """Every ``<variable>`` of the request, in order."""
    return [
        Variable(_attribute(head, "id"), _attribute(head, "role"), value.strip("\n"))
        for head, value in _VARIABLE.findall(task)
    ]


def asked_variables(task: str) -> list[Variable]:
    """Those the request asks feedback on: the ones its last line names, else every one."""
    found = variables(task)
    line = _ASKED.findall(task)
    named = set(re.findall(r"\bv\d+\b", line[-1])) if line else {variable.name for variable in found}
    return [variable for variable in found if variable.name in named]


def samples(task: str) -> list[Sample]:
    """Every ``<sample>`` of the request, in order."""
    return [_sample(inner) for _, inner in _SAMPLE.findall(task)]


def _sample(text: str) -> Sample:
    inner = _TAG.sub("", text)
    given = _INPUT.findall(inner) or [inner.partition("<output")[0]]
    return Sample("\n".join(given), "\n".join(_OUTPUT.findall(inner)), _FEEDBACK.findall(inner), text)


def call_text(task: str) -> str:
    """The templates of the call the samples went through, or ``""``."""
    return _CALL_TAG.sub("\n", "\n".join(_CALL.findall(task)))


def feedback_texts(task: str) -> list[str]:
    """Every ``<feedback>`` that stands outside a sample, in order."""
    return [text.strip() for text in _FEEDBACK.findall(_SAMPLE.sub("", task))]


def undone(task: str) -> list[str]:
    """The values of the history that were tried and undone."""
    return [value.strip() for head, value in _VERSION.findall(task) if _attribute(head, "status") == "undone"]


def _attribute(head: str, name: str) -> str:
    found = re.search(rf'\b{name}="([^"]*)"', head)
    return html.unescape(found.group(1)) if found else ""
