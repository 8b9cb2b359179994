"""`Chat`: the messages of a call and what fills them, sample by sample."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from afnio.autodiff.template import fill, placeholders
from afnio.errors import PlaceholderError
from afnio.variable import Variable

__all__ = ["Chat"]


class Chat:
    """Messages and inputs as they were when the call was made.

    Args:
        messages: see `ChatCompletion`.
        inputs: see `ChatCompletion`; None: no placeholders.
        where: name of the caller, for errors.
        optional: names in ``inputs`` that no template needs to use.

    Attributes:
        contents: (message role, [(Variable, its text or texts)]) of each message.
        inputs: name -> (Variable or None, text or texts).
        batched: whether any text is a list.
        size: number of samples.
        samples: ids of the samples, if a batched Variable carries them.
        title: what the chat is for, from the roles of its first Variable.
    """

    __slots__ = ("batched", "contents", "inputs", "samples", "size", "title")

    def __init__(
        self,
        messages: Sequence[Mapping[str, Any]],
        inputs: Mapping[str, Any] | None,
        where: str,
        optional: Sequence[str] = (),
    ) -> None:
        self.contents = [_message(message, where) for message in _list_of_messages(messages, where)]
        self.inputs = {name: _input(name, value, where) for name, value in (inputs or {}).items()}
        lengths = {
            f"content {variable.role!r}": len(text)
            for _, parts in self.contents
            for variable, text in parts
            if isinstance(text, list)
        }
        lengths |= {f"inputs[{name!r}]": len(text) for name, (_, text) in self.inputs.items() if isinstance(text, list)}
        if len(set(lengths.values())) > 1:
            raise ValueError(
                f"{where}: lists of different lengths: {', '.join(f'{k} has {n}' for k, n in lengths.items())}."
            )
        self.batched = bool(lengths)
        self.size = next(iter(lengths.values()), 1)
        if self.size == 0:
            raise ValueError(f"{where}: the batch is empty.")
        self.samples = self._sample_ids() if self.batched else None
        self.title = next((v.role for _, parts in self.contents for v, _ in parts if v.role), "a chat")[:80]
        if inputs is not None:
            self._check_all_used(where, optional)

    @classmethod
    def assembled(
        cls,
        contents: list[tuple[str, list[tuple[Variable, Any]]]],
        inputs: dict[str, tuple[Variable | list[Variable] | None, Any]],
        size: int,
        title: str,
    ) -> Chat:
        """A batch put together from calls that were made one by one."""
        chat = cls.__new__(cls)
        chat.contents, chat.inputs, chat.size, chat.title = contents, inputs, size, title
        chat.batched, chat.samples = True, None
        return chat

    def variables(self) -> list[Variable]:
        """All Variables, in the order of the op's edges: contents first, then inputs."""
        contents = [variable for _, parts in self.contents for variable, _ in parts]
        return contents + [
            v
            for given, _ in self.inputs.values()
            for v in (given if isinstance(given, list) else [given])
            if v is not None
        ]

    def requests(self) -> list[list[dict[str, Any]]]:
        """The messages of each sample as a chat API takes them."""
        return [self.request(index) for index in range(self.size)]

    def request(self, index: int) -> list[dict[str, Any]]:
        """The messages of sample ``index``."""
        values = self.values(index)
        return [{"role": role, "content": self._content(parts, values, index)} for role, parts in self.contents]

    def values(self, index: int) -> dict[str, str]:
        """What fills the placeholders of sample ``index``."""
        return {name: text[index] if isinstance(text, list) else text for name, (_, text) in self.inputs.items()}

    def _content(self, parts: list[tuple[Variable, Any]], values: dict[str, str], index: int) -> Any:
        texts = [
            fill(text[index] if isinstance(text, list) else text, values, variable.role) for variable, text in parts
        ]
        return texts[0] if len(texts) == 1 else [{"type": "text", "text": text} for text in texts]

    def _sample_ids(self) -> tuple[str, ...] | None:
        for variable in self.variables():
            if variable._samples is not None and len(variable._samples) == self.size:
                return variable._samples
        return None

    def _check_all_used(self, where: str, optional: Sequence[str]) -> None:
        used = {
            name for _, parts in self.contents for _, text in parts for one in _each(text) for name in placeholders(one)
        }
        for name in self.inputs:
            if name not in used and name not in optional:
                raise PlaceholderError(
                    f"{where}: inputs has {name!r}, but no message uses {{{name}}}: the model would never see it. "
                    f"Put {{{name}}} into a message, or take it out of inputs."
                )


def _each(text: Any) -> list[str]:
    return text if isinstance(text, list) else [text]


def _list_of_messages(messages: Any, where: str) -> list[Mapping[str, Any]]:
    if not isinstance(messages, (list, tuple)) or not all(isinstance(message, Mapping) for message in messages):
        raise TypeError(
            f"{where}: messages must be a list of dicts like {{'role': 'user', 'content': [Variable, ...]}}."
        )
    if not messages:
        raise ValueError(f"{where}: messages is empty.")
    return list(messages)


def _message(message: Mapping[str, Any], where: str) -> tuple[str, list[tuple[Variable, Any]]]:
    if "role" not in message or "content" not in message:
        raise ValueError(f"{where}: each message needs 'role' and 'content', got {sorted(message)}.")
    role, content = message["role"], message["content"]
    if not isinstance(role, str):
        raise TypeError(f"{where}: a message's role must be a string, got {type(role).__name__}.")
    if not isinstance(content, (list, tuple)) or not content or not all(isinstance(item, Variable) for item in content):
        raise TypeError(f"{where}: a message's content must be a list of Variables, got {_described(content)}.")
    return role, [(variable, _texts(variable, where)) for variable in content]


def _input(name: str, value: Any, where: str) -> tuple[Variable | list[Variable] | None, Any]:
    if isinstance(value, Variable):
        return value, _texts(value, where)
    if isinstance(value, str):
        return None, value
    if isinstance(value, (list, tuple)) and value and all(isinstance(item, str) for item in value):
        return None, list(value)
    if isinstance(value, (list, tuple)) and value and all(isinstance(item, Variable) for item in value):
        return list(value), [_scalar(item, where) for item in value]
    raise TypeError(
        f"{where}: inputs[{name!r}] must be a string, a list of strings, a Variable or a list of Variables, "
        f"got {_described(value)}."
    )


def _texts(variable: Variable, where: str) -> Any:
    data = variable.data
    if isinstance(data, str):
        return data
    if isinstance(data, list) and data and not any(isinstance(item, list) or item is None for item in data):
        return [item if isinstance(item, str) else str(item) for item in data]
    if isinstance(data, (int, float)):
        return str(data)
    raise TypeError(
        f"{where}: the Variable {variable.role!r} must hold text or a list of texts, got {_described(data)}."
    )


def _scalar(variable: Variable, where: str) -> str:
    text = _texts(variable, where)
    if isinstance(text, list):
        raise TypeError(f"{where}: the Variables of a list must each hold one text; {variable.role!r} holds a list.")
    return str(text)


def _described(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        return (
            "an empty list" if not value else f"a list of {', '.join(sorted({type(item).__name__ for item in value}))}"
        )
    return type(value).__name__
