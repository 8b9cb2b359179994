"""`Chat`: the messages of a call and what fills them, sample by sample."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from afnio._content_blocks import _validate_content_block
from afnio.autodiff.template import fill, placeholders
from afnio.autodiff.turn import Native
from afnio.demos import Demos
from afnio.errors import PlaceholderError
from afnio.variable import Variable

__all__ = ["Chat", "Item", "OfferedTool"]


class Item(NamedTuple):
    """One part of a message.

    Attributes:
        variable: where feedback on it goes; None: it is fixed.
        text: the template that is filled and sent; or one a sample.  None at a sample's position: the part does not
            exist for that sample.
        blocks: None of such a text; else the content blocks that are sent as they are: one list of blocks; or, where
            ``text`` is a list, one a sample.
        each: of a batch put together from several calls: of each sample its Variable and the position in it, or
            None; ``variable`` is the first.
    """

    variable: Variable | None
    text: Any
    blocks: Any = None
    each: list[tuple[Variable, int | None]] | None = None


class OfferedTool(NamedTuple):
    """A tool that the model may call.

    Attributes:
        name: what the model calls it.
        parameters: JSON schema of its arguments.
        variable: where feedback on its description goes, or None.
        text: the description.
    """

    name: str
    parameters: dict[str, Any]
    variable: Variable | None
    text: str


class Chat:
    """Messages, inputs, tools and arguments as they were when the call was made.

    Args:
        messages: see `ChatCompletion` and `ChatTurn`.
        inputs: see `ChatCompletion`; None: no placeholders.
        where: name of the caller, for errors.
        optional: names in ``inputs`` that no template needs to use.
        tools: what the model may call: things with ``name``, ``description`` and ``schema``, or dicts.
        arguments: completion arguments; those that are Variables are inputs of the call.
        mask: of a batch, the samples to ask; None: all.

    Attributes:
        contents: (message role, its parts) of each message.
        inputs: name -> (Variable or None, text or texts).
        tools: the tools.
        arguments: (name, Variable, its value) of the completion arguments that are Variables.
        batched: whether any text is a list.
        size: number of samples.
        active: positions of the samples to ask, or None: all.
        samples: ids of the samples, if a batched Variable carries them.
        title: what the chat is for, from the roles of its first Variable.
    """

    __slots__ = ("active", "arguments", "batched", "contents", "inputs", "samples", "size", "title", "tools")

    def __init__(
        self,
        messages: Sequence[Mapping[str, Any]],
        inputs: Mapping[str, Any] | None,
        where: str,
        optional: Sequence[str] = (),
        *,
        tools: Sequence[Any] = (),
        arguments: Mapping[str, Any] | None = None,
        mask: Sequence[bool] | None = None,
    ) -> None:
        if inputs and not _is_mapping(inputs):
            raise TypeError(f"{where}: inputs must be a dict of placeholder -> value, got {type(inputs).__name__}.")
        self.contents = [_message(message, where) for message in _list_of_messages(messages, where)]
        self.inputs = {name: _input(name, value, where) for name, value in inputs.items()} if inputs else {}
        self.tools = _tools(tools, where) if tools else ()
        self.arguments = _arguments(arguments) if arguments else ()
        lengths = self._lengths()
        if mask is not None and (lengths or len(mask) != 1):
            lengths["mask"] = len(mask)
        if len(lengths) > 1 and len(set(lengths.values())) > 1:
            raise ValueError(
                f"{where}: lists of different lengths: {', '.join(f'{k} has {n}' for k, n in lengths.items())}."
            )
        self.batched = bool(lengths)
        self.size = next(iter(lengths.values())) if lengths else 1
        if self.size == 0:
            raise ValueError(f"{where}: the batch is empty.")
        self.active = None if mask is None else _active(mask, where)
        self.samples = self._sample_ids() if self.batched else None
        self.title = self._title()
        if self.batched:
            self._check_no_holes(where)
        if inputs:
            self._check_all_used(where, optional)

    def _title(self) -> str:
        for _, parts in self.contents:
            for item in parts:
                if item.variable is not None and item.variable.role:
                    return item.variable.role[:80]
        return "a chat"

    @classmethod
    def assembled(
        cls,
        contents: list[tuple[str, list[Item]]],
        inputs: dict[str, tuple[Variable | list[Variable] | None, Any]],
        size: int,
        title: str,
        tools: Sequence[OfferedTool] = (),
        arguments: Sequence[tuple[str, Variable, Any]] = (),
    ) -> Chat:
        """A batch put together from calls that were made one by one."""
        chat = cls.__new__(cls)
        chat.contents, chat.inputs, chat.size, chat.title = contents, inputs, size, title
        chat.tools, chat.arguments = tuple(tools), tuple(arguments)
        chat.batched, chat.samples, chat.active = True, None, None
        return chat

    @property
    def indices(self) -> Sequence[int]:
        """Positions of the samples that are asked."""
        return range(self.size) if self.active is None else self.active

    def variables(self) -> list[Variable]:
        """All Variables, in the order of the op's edges: contents, inputs, tools, arguments."""
        found: list[Variable] = []
        for _, parts in self.contents:
            for item in parts:
                if item.each is not None:
                    found += [variable for variable, _ in item.each]
                elif item.variable is not None:
                    found.append(item.variable)
        for given, _ in self.inputs.values():
            if isinstance(given, list):
                found += given
            elif given is not None:
                found.append(given)
        if self.tools:
            found += [tool.variable for tool in self.tools if tool.variable is not None]
        if self.arguments:
            found += [variable for _, variable, _ in self.arguments]
        return found

    def plain_args(self, args: Mapping[str, Any]) -> dict[str, Any]:
        """``args`` as they are sent: the values of Variables, and the tools."""
        sent = {**args, **{name: value for name, _, value in self.arguments}}
        if self.tools:
            sent["tools"] = [
                {"name": tool.name, "description": tool.text, "parameters": tool.parameters} for tool in self.tools
            ]
        return sent

    def requests(self) -> list[list[dict[str, Any]]]:
        """The messages of each sample that is asked, as `complete` takes them."""
        return [self.request(index) for index in self.indices]

    def request(self, index: int) -> list[dict[str, Any]]:
        """The messages of sample ``index``; one of which the sample has no part is left out."""
        values = self.values(index)
        messages = []
        for role, parts in self.contents:
            content = self._content(parts, values, index)
            if content is not None:
                messages.append({"role": role, "content": content})
        return messages

    def values(self, index: int) -> dict[str, str]:
        """What fills the placeholders of sample ``index``."""
        return {name: text[index] if isinstance(text, list) else text for name, (_, text) in self.inputs.items()}

    def _content(self, parts: list[Item], values: dict[str, str], index: int) -> Any:
        texts = []
        for variable, text, blocks, _ in parts:
            if blocks is not None:
                return self._blocks(parts, values, index)
            own = text[index] if isinstance(text, list) else text
            if own is not None:
                texts.append(fill(own, values, "" if variable is None else variable.role))
        if len(texts) > 1:
            texts = [text for text in texts if text] or texts[:1]  # examples that are not there yet are no part
        if len(texts) == 1:
            return texts[0]
        return [{"type": "text", "text": text} for text in texts] or None

    def _blocks(self, parts: list[Item], values: dict[str, str], index: int) -> Any:
        found: list[Any] = []
        for variable, text, blocks, _ in parts:
            own = text[index] if isinstance(text, list) else text
            if own is None:
                continue
            if blocks is not None:
                found += blocks[index] if isinstance(text, list) else blocks
            elif filled := fill(own, values, _role(variable)):
                found.append({"type": "text", "text": filled})
        if len(found) == 1 and found[0].keys() == _TEXT_ONLY:
            return found[0]["text"]  # some endpoints take no parts
        return found or None

    def _lengths(self) -> dict[str, int]:
        """How long each list is, by what an error calls it."""
        lengths = {}
        for _, parts in self.contents:
            for item in parts:
                if isinstance(item.text, list):
                    lengths[f"content {_role(item.variable)!r}"] = len(item.text)
        for name, (_, text) in self.inputs.items():
            if isinstance(text, list):
                lengths[f"inputs[{name!r}]"] = len(text)
        return lengths

    def _sample_ids(self) -> tuple[str, ...] | None:
        for variable in self.variables():
            if variable._samples is not None and len(variable._samples) == self.size:
                return variable._samples
        return None

    def _check_no_holes(self, where: str) -> None:
        """A text that is missing must belong to a sample that is not asked."""
        for name, (_, text) in self.inputs.items():
            if isinstance(text, list) and None in text:
                for index in self.indices:
                    if text[index] is None:
                        raise PlaceholderError(
                            f"{where}: inputs[{name!r}] has nothing for sample {index}. Leave the sample out with "
                            f"mask=..., or give it a text."
                        )
        for _, parts in self.contents:
            for variable, text, blocks, _ in parts:
                if blocks is None and isinstance(text, list) and None in text:
                    for index in self.indices:
                        if text[index] is None:
                            raise TypeError(
                                f"{where}: the Variable {_role(variable)!r} must hold text for every sample that is "
                                f"asked; sample {index} has None. Leave it out with mask=..., or give it a text."
                            )

    def _check_all_used(self, where: str, optional: Sequence[str]) -> None:
        unused = set(self.inputs).difference(optional)
        for _, parts in self.contents:
            for _, text, blocks, _ in parts:
                if blocks is None:
                    for one in text if isinstance(text, list) else (text,):
                        if one is not None:
                            unused.difference_update(placeholders(one))
        for name in self.inputs if unused else ():
            if name in unused:
                raise PlaceholderError(
                    f"{where}: inputs has {name!r}, but no message uses {{{name}}}: the model would never see it. "
                    f"Put {{{name}}} into a message, or take it out of inputs."
                )


_TEXT_ONLY = {"type", "text"}


def _role(variable: Variable | None) -> str:
    return "" if variable is None else variable.role


def _active(mask: Sequence[bool], where: str) -> list[int]:
    if not all(isinstance(one, bool) for one in mask):
        raise TypeError(f"{where}: mask must hold one bool for each sample, got {list(mask)!r:.100}.")
    active = [index for index, asked in enumerate(mask) if asked]
    if not active:
        raise ValueError(f"{where}: the mask leaves no sample to ask. Call it only `if mask.any():`.")
    return active


def _list_of_messages(messages: Any, where: str) -> list[Mapping[str, Any]]:
    if not isinstance(messages, (list, tuple)) or not all(map(_is_mapping, messages)):
        raise TypeError(
            f"{where}: messages must be a list of dicts like {{'role': 'user', 'content': [Variable, ...]}}."
        )
    if not messages:
        raise ValueError(f"{where}: messages is empty.")
    return messages if isinstance(messages, list) else list(messages)


def _is_mapping(value: Any) -> bool:
    return type(value) is dict or isinstance(value, Mapping)  # asking an abstract class takes longer


def _message(message: Mapping[str, Any], where: str) -> tuple[str, list[Item]]:
    if "role" not in message or "content" not in message:
        raise ValueError(f"{where}: each message needs 'role' and 'content', got {sorted(message)}.")
    role, content = message["role"], message["content"]
    if not isinstance(role, str):
        raise TypeError(f"{where}: a message's role must be a string, got {type(role).__name__}.")
    if not isinstance(content, (list, tuple)) or not content or not all(map(_is_part, content)):
        raise TypeError(
            f"{where}: a message's content must be a list of Variables, got {_described(content)}. "
            "Content blocks (afnio.content.image(...)) may stand among them."
        )
    return role, [_item(part, role, where) for part in content]


def _is_part(part: Any) -> bool:
    return (
        isinstance(part, Variable)
        or _is_mapping(part)
        or (
            isinstance(part, list)
            and bool(part)
            and all(one is None or isinstance(one, (Mapping, list)) for one in part)
        )
    )


def _item(part: Any, role: str, where: str) -> Item:
    if isinstance(part, Variable):
        if isinstance(part, Native) and part.message_role == role:
            content = part._content
            return Item(part, part._data, content if isinstance(part._data, list) else content[0])
        return Item(part, part.template if isinstance(part, Demos) else _texts(part, where))
    if isinstance(part, list):
        rows = [None if one is None else _checked(one) for one in part]
        return Item(None, [None if row is None else "" for row in rows], rows)
    if isinstance(part.get("text"), Variable):
        return _item(part["text"], role, where)
    return Item(None, "", _checked(part))


def _checked(given: Any) -> list[Any]:
    """One block or a list of them, as a list."""
    blocks = list(given) if isinstance(given, list) else [given]
    for block in blocks:
        _validate_content_block(block)
    return blocks


def _tools(tools: Sequence[Any], where: str) -> tuple[OfferedTool, ...]:
    """The tools as they are offered to a model.

    Raises:
        TypeError: one is no tool.
        ValueError: two have one name.
    """
    found = tuple(_tool(tool, where) for tool in tools)
    names = [tool.name for tool in found]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(
                f"{where}: two tools have the name {name!r}: give one of them another (Tool(fn, name=...))."
            )
    return found


def _tool(tool: Any, where: str) -> OfferedTool:
    if isinstance(tool, Mapping):
        told = tool["function"] if isinstance(tool.get("function"), Mapping) else tool
        name, description, parameters = told.get("name"), told.get("description", ""), told.get("parameters")
    else:
        name, description, parameters = (getattr(tool, each, None) for each in ("name", "description", "schema"))
    variable = description if isinstance(description, Variable) else None
    text = description if variable is None else variable.data
    if not isinstance(name, str) or not isinstance(text, str):
        raise TypeError(
            f"{where}: a tool is an afnio.cognitive.Tool, or a dict with 'name', 'description' and 'parameters'; "
            f"got {tool!r:.200}. Make one of a function: Tool(fn)."
        )
    return OfferedTool(name, {"type": "object", "properties": {}} if parameters is None else parameters, variable, text)


def _arguments(arguments: Mapping[str, Any]) -> tuple[tuple[str, Variable, Any], ...]:
    return tuple([(name, value, value.data) for name, value in arguments.items() if isinstance(value, Variable)])


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
    data = variable.text if isinstance(variable, Demos) else variable.data
    if isinstance(data, str):
        return data
    if isinstance(data, list) and data and not any(isinstance(item, list) for item in data):
        return [item if item is None or isinstance(item, str) else str(item) for item in data]
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
