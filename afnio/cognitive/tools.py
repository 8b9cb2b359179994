"""`Tool`: a function that a model may call; its description is a Parameter."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, overload

from afnio.autodiff.schema import fault_of
from afnio.cognitive._signatures import arguments_of, description_of, hints_of, schema_of
from afnio.cognitive.module import Module
from afnio.parameter import Parameter
from afnio.variable import Variable

__all__ = ["Tool", "tool"]

_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")


class Tool(Module):
    """A function that a model may call.

    ::

        def search(query: str, limit: int = 5) -> list[str]:
            '''Search the help pages.

            Args:
                query: what to look for.
                limit: how many pages at most.
            '''

        loop = cog.ToolLoop([cog.Tool(search)])

    Args:
        fn: the function, sync or async, or a Module.  It returns text, a number, anything with a JSON form, a Variable
            (its graph is kept: feedback on the result flows into it), a content block or a list of them.
        name: what the model calls it; None: the function's name.
        description: when and how to call it: text, or a Parameter of yours; None: the function's docstring.
        requires_grad: whether the description is to be learned.
        schema: JSON schema of the arguments; None: made from the type hints and the docstring.

    Attributes:
        description: a Parameter.
        schema: JSON schema of the arguments.

    Raises:
        TypeError: ``fn`` cannot be called, or a parameter has no type hint or one without a JSON form.
        ValueError: a name that APIs refuse, or no description.
    """

    name: str
    schema: dict[str, Any]
    description: Parameter

    def __init__(
        self,
        fn: Callable[..., Any],
        name: str | None = None,
        description: str | Variable | None = None,
        requires_grad: bool = True,
        *,
        schema: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        if not callable(fn):
            raise TypeError(f"A tool is made of a function, got {type(fn).__name__}: Tool(fn).")
        self.name = _name(fn, name)
        said = fn.forward if isinstance(fn, Module) else fn
        self._hints = hints_of(said, self.name) if schema is None else {}
        self.schema = schema_of(said, self._hints, self.name) if schema is None else dict(schema)
        self.description = _description(fn, self.name, description, requires_grad)
        self.fn = fn

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Call the function."""
        return self.fn(*args, **kwargs)

    def fault(self, given: Any) -> str | None:
        """What is wrong with the arguments that a model gave, in words; None: they fit."""
        if not isinstance(given, dict):
            return f"the arguments must be one JSON object, not {str(given)!r:.200}"
        return fault_of(given, self.schema)

    def arguments(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """The arguments that a model gave, as the function wants them."""
        return arguments_of(given, self._hints)

    def extra_repr(self) -> str:
        """Name and parameters."""
        return f"{self.name}({', '.join(self.schema.get('properties', {}))})"


def _name(fn: Any, name: str | None) -> str:
    found = name or getattr(fn, "__name__", None) or type(fn).__name__
    if not isinstance(found, str) or not _NAME.fullmatch(found):
        raise ValueError(
            f"A tool's name has 1 to 64 letters, digits, '_' or '-', got {found!r}: pass Tool(fn, name='search')."
        )
    return found


def _description(fn: Any, name: str, given: str | Variable | None, requires_grad: bool) -> Parameter:
    if isinstance(given, Parameter):
        return given
    text = given.data if isinstance(given, Variable) else given
    if text is None:
        told: list[Any] = [fn.forward, type(fn)] if isinstance(fn, Module) else [fn]
        text = next((description_of(each) for each in told if each.__doc__), "")  # its own, none that is inherited
    if not isinstance(text, str) or not text.strip():
        raise ValueError(
            f"The tool {name!r} has no description, so the model cannot know when to call it: write a docstring, or "
            "pass Tool(fn, description='...')."
        )
    return Parameter(text, f"description of the tool {name}", requires_grad)


@overload
def tool(fn: Callable[..., Any]) -> Tool: ...
@overload
def tool(
    fn: None = None,
    *,
    name: str | None = None,
    description: str | Variable | None = None,
    requires_grad: bool = True,
    schema: Mapping[str, Any] | None = None,
) -> Callable[[Callable[..., Any]], Tool]: ...
def tool(fn: Callable[..., Any] | None = None, **how: Any) -> Any:
    """Make a `Tool` of a function: ``@tool``, or ``@tool(name="search", requires_grad=False)``."""
    if fn is None:
        return lambda function: Tool(function, **how)
    return Tool(fn, **how)
