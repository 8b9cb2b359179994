"""`Demos`: worked examples as a parameter, put into a prompt."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from afnio.parameter import Parameter
from afnio.variable import Variable

if TYPE_CHECKING:
    from typing import Self

__all__ = ["Demos"]

_OURS = re.compile(r"<(?=/?(?:examples?|input|output)\b)")
_PLACEHOLDER = re.compile(r"\{([A-Za-z_]\w*)\}")


class Demos(Parameter):
    """Examples of inputs with the right outputs, learned by `FewShot`.

    Give it to a call as one of its ``inputs``, where a template has a place for it, or as a content of a message::

        chat(client, [{"role": "system", "content": [prompt]}, ...], inputs={"demos": self.demos, "ticket": ticket})
        chat(client, [{"role": "system", "content": [prompt, self.demos]}, ...], inputs={"ticket": ticket})

    Args:
        pairs: ``(input, output)`` pairs of strings to start with; often none.
        role: what they are for, in words.
        requires_grad: False keeps them as they are.

    ``data`` is the list of ``[input, output]`` pairs, ``text`` what stands in the prompt: nothing where there are none.

    Raises:
        ValueError: something else than pairs of strings.
    """

    __slots__ = ()

    def __init__(
        self,
        pairs: Sequence[Sequence[str]] = (),
        role: str | None = "examples of inputs with the right outputs",
        requires_grad: bool = True,
    ) -> None:
        super().__init__(None, role, requires_grad)
        self._data = self.checked(pairs)

    @property
    def text(self) -> str:
        """The examples as they stand in a prompt; ``""`` where there are none."""
        shown = [
            f"<example>\n<input>{_quoted(given)}</input>\n<output>{_quoted(answer)}</output>\n</example>"
            for given, answer in self.data
        ]
        return "\n".join(["<examples>", *shown, "</examples>"]) if shown else ""

    @property
    def template(self) -> str:
        """`text` with its braces doubled, as a template must have them for the text to come out."""
        return _PLACEHOLDER.sub(r"{{\1}}", self.text)

    @property
    def shape(self) -> tuple[Any, ...]:
        """Always ``()``: it is one value for all samples of a batch, however many examples it holds."""
        return ()

    def checked(self, value: Any) -> Any:
        """``value`` as a list of ``[input, output]`` pairs.

        Raises:
            ValueError: it is something else.
        """
        pairs = [] if value is None else value
        if isinstance(pairs, str) or not isinstance(pairs, Sequence) or not all(map(_is_pair, pairs)):
            raise ValueError(f"Demos hold pairs (input, output) of strings, got {value!r:.200}.")
        return [list(pair) for pair in pairs]

    def copy_(self, src: Variable) -> Self:
        """Take over data, role and ``requires_grad`` of ``src``.

        Raises:
            TypeError: ``src`` is not a Variable.
            ValueError: it holds no pairs.
        """
        if not isinstance(src, Variable):
            raise TypeError(f"copy_() expects a Variable, got {type(src).__name__}.")
        self._data = self.checked(src.data)
        self.role, self.requires_grad = src.role, src.requires_grad
        return self

    def __iadd__(self, other: Variable) -> Self:
        raise TypeError("Demos cannot be added to in place: set their data.")

    def __len__(self) -> int:
        return len(self.data)

    def __bool__(self) -> bool:
        return True  # an empty list of examples is a parameter all the same

    def __repr__(self) -> str:
        return f"Demos(data={self.data!r}, role={self.role}, requires_grad={self.requires_grad})"


def _is_pair(value: Any) -> bool:
    return isinstance(value, (list, tuple)) and len(value) == 2 and all(isinstance(text, str) for text in value)


def _quoted(text: str) -> str:
    """``text`` with the ``<`` of every tag of an example turned into an angle quotation mark."""
    return _OURS.sub("\N{SINGLE LEFT-POINTING ANGLE QUOTATION MARK}", text) if "<" in text else text
