"""Writes the pages of the docs that are made from the code: ``docs/api.md`` and ``docs/cli.md``.

``make docs`` writes them; ``tests/test_docs.py`` fails while they are not what it would write.
"""

from __future__ import annotations

import ast
import enum
import functools
import importlib
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import typer

import tellurio.cli
import tellurio.cli.server

REPO = Path(__file__).parents[1]
WRITE = "make docs"

MODULES = (
    "afnio",
    "afnio.cognitive",
    "afnio.cognitive.functional",
    "afnio.cognitive.module",
    "afnio.autodiff",
    "afnio.autodiff.function",
    "afnio.autodiff.ops",
    "afnio.content",
    "afnio.models.openai",
    "afnio.models.anthropic",
    "afnio.models.compatible",
    "afnio.models.paths",
    "afnio.models.scripted",
    "afnio.models.simulated",
    "afnio.models.prices",
    "afnio.models.base",
    "afnio.models.streams",
    "afnio.models.lm_server",
    "afnio.optim",
    "afnio.optim.functional",
    "afnio.trainer",
    "afnio.utils.data",
    "afnio.utils.datasets",
    "afnio.utils.agents",
    "afnio.calls.budget",
    "afnio.calls.ledger",
    "afnio.calls.log",
    "afnio.calls.limiter",
    "afnio.serialization",
    "afnio.logging_config",
    "afnio.errors",
    "afnio.tellurio",
    "tellurio.client.api",
)
"""What a user may import, in the order of a first reading."""

COMMANDS = {"afnio": tellurio.cli.app, "tellurio": tellurio.cli.server.app}


def main() -> None:
    """Write both pages."""
    for name, text in pages().items():
        (REPO / "docs" / name).write_text(text, encoding="utf-8")
        print(f"docs/{name}")


def pages() -> dict[str, str]:
    """Name of each page that is made -> its text."""
    return {"api.md": api_page(), "cli.md": cli_page()}


# --- api.md


def api_page() -> str:
    """Every public name, module by module, with the first sentence of its docstring."""
    head = (
        "# API\n\n"
        "Every public name and method, with the first sentence of its docstring. `help(name)` in Python shows the "
        "whole of it:\narguments, shapes, units, errors. A name that is in several modules is described where it is "
        "first; what a class has from\nanother of this page is described there.\n\n"
        f"Made from the code by `{WRITE}`.\n"
    )
    seen: dict[int, str] = {}
    return head + "".join([_module(name, seen) for name in MODULES])


def _module(name: str, seen: dict[int, str]) -> str:
    module = importlib.import_module(name)
    rows = [_row(module, public, seen) for public in public_names(module)]
    return f"\n## {name}\n\n{first_sentence(module)}\n\n| name | what it is |\n|---|---|\n" + "".join(rows)


def public_names(module: ModuleType) -> list[str]:
    """What the module offers: ``__all__``, else what it imports ``as`` itself; no names with an underscore in front."""
    listed = getattr(module, "__all__", None)
    if listed is None:
        listed = re.findall(r"import (\w+) as \1$", inspect.getsource(module), re.MULTILINE)
    return [name for name in listed if not name.startswith("_")]


def _row(module: ModuleType, name: str, seen: dict[int, str]) -> str:
    member = getattr(module, name)
    before = seen.setdefault(id(member), module.__name__) if _explains_itself(member) else module.__name__
    if before != module.__name__:
        return f"| `{name}` | see [{before}](#{before.replace('.', '')}) |\n"
    lines = {f"{name}{_arguments(member)}": about(module, name)}
    if inspect.isclass(member) and not issubclass(member, (BaseException, enum.Enum)):
        lines |= {f"{name}.{called}": said for called, said in methods(member).items()}
    return "".join([f"| `{called}` | {said.replace('|', chr(92) + '|')} |\n" for called, said in lines.items()])


def methods(cls: type) -> dict[str, str]:
    """Each public method, with its arguments, and each property -> the first sentence about it.

    What a base class has that is listed itself is told there.
    """
    bases = [
        base for base in cls.__mro__ if base.__module__.startswith(("afnio.", "tellurio.")) and _told_here(base, cls)
    ]
    found: dict[str, str] = {}
    for name, member in [item for base in bases for item in vars(base).items() if not item[0].startswith("_")]:
        method = getattr(member, "__func__", member)
        if isinstance(member, property):
            found.setdefault(name, first_sentence_of(inspect.getdoc(getattr(cls, name)) or ""))
        elif inspect.isfunction(method) and not any(known.partition("(")[0] == name for known in found):
            sentence = first_sentence_of(inspect.getdoc(getattr(cls, name)) or "")
            found[f"{name}{_arguments(method, skip=not isinstance(member, staticmethod))}"] = sentence
    return found


def _told_here(base: type, cls: type) -> bool:
    above = [known for known in cls.__mro__ if known is not cls and known in _listed()]
    return base is cls or not any(issubclass(known, base) for known in above)


@functools.cache
def _listed() -> frozenset[type]:
    """Every class that is in the docs."""
    modules = [importlib.import_module(name) for name in MODULES]
    members = [getattr(module, name) for module in modules for name in public_names(module)]
    return frozenset(member for member in members if inspect.isclass(member))


def about(module: ModuleType, name: str) -> str:
    """What the docs say of a public name; "" where nothing does."""
    member = getattr(module, name)
    return first_sentence(member) if _explains_itself(member) else first_sentence_of(constant_doc(module, name))


def _explains_itself(member: Any) -> bool:
    """Whether it has a docstring of its own; a constant has not."""
    return inspect.isclass(member) or inspect.isroutine(member) or inspect.ismodule(member)


def _arguments(member: Any, *, skip: bool = False) -> str:
    """Names of the arguments, ``...`` where they are many, ``skip``: but the first; nothing for what is not called."""
    if inspect.isclass(member) and issubclass(member, (BaseException, enum.Enum)):
        return ""
    if not inspect.isclass(member) and not inspect.isroutine(member):
        return ""
    try:
        parameters = [one for one in inspect.signature(member).parameters.values() if not one.name.startswith("_")]
    except (TypeError, ValueError):  # built in
        return ""
    stars: dict[Any, str] = {inspect.Parameter.VAR_POSITIONAL: "*", inspect.Parameter.VAR_KEYWORD: "**"}
    names = [stars.get(one.kind, "") + one.name for one in parameters][skip:]
    if names == ["*args", "**kwargs"]:  # they say nothing
        return ""
    return f"({', '.join(names[:3] + ['...'] * (len(names) > 3))})"


def first_sentence(member: Any) -> str:
    """The first sentence of its docstring; "" where it has none of its own."""
    return first_sentence_of(inspect.cleandoc(member.__doc__ or ""))


def first_sentence_of(text: str) -> str:
    """Up to the full stop that ends it, on one line, with Markdown's marks; after the call that some begin with."""
    text = re.sub(r"\A``\w+\(.*?\)``(?:: |\.\s+)(?=\S)", "", text, flags=re.DOTALL)
    line = " ".join(text.split("\n\n")[0].split())
    found = re.match(r"(.*?[.!?])(?:\s+[A-Z`]|$)", line)
    return (found.group(1) if found else line).replace("``", "`")


def constant_doc(module: ModuleType, name: str) -> str:
    """The text below a constant, where it is defined."""
    for node in ast.walk(ast.parse(inspect.getsource(module))):
        if isinstance(node, ast.ImportFrom) and node.module and any(name == one.name for one in node.names):
            return constant_doc(importlib.import_module(node.module), name)
    found = re.search(
        rf'^{name}\b[^\n]*=(?:(?!^\w).)*?\n"""(.*?)"""', inspect.getsource(module), re.MULTILINE | re.DOTALL
    )
    return inspect.cleandoc(found[1]) if found else ""


# --- cli.md


def cli_page() -> str:
    """What each command's ``--help`` shows."""
    head = (
        "# Commands\n\n"
        "`afnio` logs in and serves the simulated model, `tellurio` is the server of this machine. What goes wrong is "
        "one line on\nstandard error, and the exit code is 1 (2 for arguments that cannot be used).\n\n"
        f"What `--help` shows of each, made from the code by `{WRITE}`.\n"
    )
    return head + "".join([_help(words, text) for words, text in helps()])


def _help(words: str, text: str) -> str:
    return f"\n## {words}\n\n```text\n{text}\n```\n"


def helps() -> Iterator[tuple[str, str]]:
    """Each command's words, and its help page, 100 columns wide."""
    for name, app in COMMANDS.items():
        command: Any = typer.main.get_command(app)
        with command.make_context(name, [], resilient_parsing=True, max_content_width=100, terminal_width=100) as top:
            yield name, command.get_help(top)
            for word in command.list_commands(top):
                found = command.get_command(top, word)
                with found.make_context(word, [], parent=top, resilient_parsing=True) as context:
                    yield f"{name} {word}", found.get_help(context)


if __name__ == "__main__":
    main()
