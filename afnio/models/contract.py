"""The reply contract: ask a model for JSON of a given shape, check the reply, give it one chance to mend it.

Where the endpoint has structured outputs the schema is sent with the request; where it has not, the same
JSON is asked for in a fence.  A reply that breaks the contract is quoted back once, with the fault; a second
one raises `ReplyContractError`.
"""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

from afnio.calls import Reply
from afnio.errors import ReplayMissError, ReplyContractError, UnsupportedFormatError
from afnio.models.invoke import complete
from afnio.models.paths import as_model
from afnio.words.contract import FENCE, REPAIR

__all__ = ["Contract", "Fault", "Taken", "ask", "take"]


class Fault(Exception):
    """What is wrong with a reply, in words the model can act on."""


@dataclass(frozen=True, slots=True)
class Contract:
    """The shape of a reply.

    Attributes:
        name: name of the schema, part of the request: ``afnio_feedback``, ``afnio_update``, ``afnio_verdict``.
        schema: JSON schema of the reply (strict: every property required, no others).
        read: turns the decoded reply into the result; raises `Fault`.  May be ``async``.
        lead: said before the schema, where it is told in words.
        strict: whether the schema is to be followed to the letter.
        required: names without which a reply is not even read; None: what the schema requires.
    """

    name: str
    schema: dict[str, Any]
    read: Callable[[dict[str, Any]], Any]
    lead: str = ""
    strict: bool = True
    required: tuple[str, ...] | None = None
    _format: dict[str, Any] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        told = {"name": self.name, "schema": self.schema, "strict": self.strict}
        object.__setattr__(self, "_format", {"type": "json_schema", "json_schema": told})

    def response_format(self) -> dict[str, Any]:
        """The schema as chat completion APIs take it: the same object each time, not to be changed."""
        return self._format

    def in_words(self) -> str:
        """The schema as an instruction, for endpoints without structured outputs."""
        lead = f"{self.lead}\n" if self.lead else ""
        asked = FENCE.system.replace("<name>", self.name).replace("<schema>", json.dumps(self.schema))
        return lead + asked


_without_schemas: WeakKeyDictionary[Any, set[str]] = WeakKeyDictionary()
"""Client -> its models that refused structured outputs."""


async def ask(
    client: Any,
    messages: list[dict[str, Any]],
    contract: Contract,
    *,
    role: str,
    node: str,
    variable: str | None = None,
    completion_args: dict[str, Any] | None = None,
    words: str = "",
) -> Any:
    """Send ``messages``; return what ``contract`` reads from the reply.

    ``words`` is stored with the call; with the repair turn the version of its own words too.

    Raises:
        ReplyContractError: the reply and the reply to the repair turn both broke the contract.
        APIError: the call failed.
        BudgetExceeded: the budget does not allow the call.
    """
    found = await take(client, messages, contract, role=role, node=node, completion_args=completion_args, words=words)
    if found.fault is None:
        return found.value
    raise ReplyContractError(role=role, node=node, variable=variable, fault=found.fault, reply=found.reply.text)


class Taken(NamedTuple):
    """A reply, what was read from it, and what is wrong with it, if anything."""

    reply: Reply
    value: Any = None
    fault: str | None = None


async def take(
    client: Any,
    messages: list[dict[str, Any]],
    contract: Contract,
    *,
    role: str,
    node: str,
    completion_args: dict[str, Any] | None = None,
    words: str = "",
    calls: bool = False,
) -> Taken:
    """`ask`, for whoever needs the reply itself, and is told of the second fault instead of meeting an error.

    Args:
        calls: the model may call tools instead: such a reply is not read.
    """
    client = as_model(client)
    who, args = {"role": role, "node": node, "words": words}, completion_args or {}
    found = await _tried(await _send(client, messages, contract, who, args), contract, calls)
    if found.fault is None:
        return found
    repair = [
        *messages,
        {"role": "assistant", "content": found.reply.text},
        {"role": "user", "content": REPAIR.system.replace("<fault>", found.fault)},
    ]
    who |= {"words": f"{words} {REPAIR.label}".strip()}
    return await _tried(await _send(client, repair, contract, who, args), contract, calls)


async def _tried(reply: Reply, contract: Contract, calls: bool) -> Taken:
    if calls and any(block["type"] == "tool_use" for block in reply.content):
        return Taken(reply)
    try:
        result = _read(reply.text, contract)
        if not isinstance(result, (dict, str)) and inspect.isawaitable(result):
            result = await result  # it has to ask elsewhere (a check that is the user's)
        return Taken(reply, result)
    except Fault as fault:
        return Taken(reply, fault=str(fault))


async def _send(
    client: Any, messages: list[dict[str, Any]], contract: Contract, who: dict[str, str], args: dict[str, Any]
) -> Reply:
    model = str(args.get("model", ""))
    if "response_format" in args or (_without_schemas and model in _without_schemas.get(client, ())):
        return await complete(client, _with_words(messages, contract), **who, **args)
    try:
        return await complete(client, messages, response_format=contract.response_format(), **who, **args)
    except UnsupportedFormatError:
        _without_schemas.setdefault(client, set()).add(model)
        return await complete(client, _with_words(messages, contract), **who, **args)
    except ReplayMissError as miss:  # a refusal is not recorded: perhaps what was sent instead is
        try:
            return await complete(client, _with_words(messages, contract), **who, **args)
        except ReplayMissError:
            raise miss from None


def _with_words(messages: list[dict[str, Any]], contract: Contract) -> list[dict[str, Any]]:
    first, *rest = messages
    if first["role"] != "system" or not isinstance(first["content"], str):
        return [{"role": "system", "content": contract.in_words()}, *messages]
    return [{**first, "content": f"{first['content']}\n\n{contract.in_words()}"}, *rest]


def _read(text: str, contract: Contract) -> Any:
    required = contract.schema["required"] if contract.required is None else contract.required
    value = _decode(text, required)
    if not isinstance(value, dict):
        raise Fault(f"it must be one JSON object, not {_kind(value)}")
    missing = [name for name in required if name not in value]
    if missing:
        raise Fault(f"the JSON object has no {_listed(missing)}")
    return contract.read(value)


MOST_BRACES = 100
"""Where an object may begin in a reply with words around it: bounds the work on a reply full of braces."""

_LENIENT = json.JSONDecoder(strict=False)  # models put bare line breaks into strings
_FENCE = re.compile(r"```(?:json)?\s*\n?(.*?)```", re.DOTALL)
_TAGS = re.compile(r"<(json|answer|afnio_\w+)>(.*?)</\1>", re.DOTALL)


def _decode(text: str, required: Sequence[str]) -> Any:
    """The JSON in ``text``: bare, in a fence, in tags, or among other words."""
    try:
        value, end = _LENIENT.raw_decode(text)  # most are JSON from the first to the last character
        if end == len(text):
            return value
    except ValueError:
        pass
    for candidate in _candidates(text):
        try:
            return _LENIENT.decode(candidate)
        except ValueError:
            continue
    return _embedded(text, required)


def _candidates(text: str) -> Iterator[str]:
    yield text
    yield from _FENCE.findall(text)
    yield from (found for _, found in _TAGS.findall(text))


def _embedded(text: str, required: Sequence[str]) -> Any:
    """The first JSON object in ``text`` that has the ``required`` keys, whatever stands around it."""
    first = None
    for number, brace in enumerate(re.finditer(r"\{", text)):
        if number == MOST_BRACES:
            break
        try:
            found = _LENIENT.raw_decode(text, brace.start())[0]
        except ValueError as error:
            first = first or Fault(f"it is not valid JSON ({error})")
            continue
        if all(name in found for name in required):
            return found
        first = first or Fault(
            f"the JSON object in it has no {_listed(name for name in required if name not in found)}"
        )
    raise first or Fault("it is not JSON")


def _listed(names: Iterable[str]) -> str:
    return " and no ".join(map(repr, names))


def _kind(value: Any) -> str:
    return {list: "a list", str: "a string", type(None): "null", bool: "a boolean"}.get(type(value), "a number")
