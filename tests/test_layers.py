"""The imports of our packages point downwards: no upward import, no cycle, none hidden in a function.

An import under ``TYPE_CHECKING`` counts like any other, unless its line says ``# layers: types only``.  The recorder
starts with every script, and may put off what a script that calls no model does not need: ``# layers: when used``.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import NamedTuple

import pytest

REPO = Path(__file__).parents[1]
OURS = ("afnio", "ao", "tellurio")

# From the bottom up.  A room is a module or a package; its modules may import each other (without cycles), rooms
# of the same floor, and anything below.
FLOORS = [
    ["afnio.errors", "afnio._types", "afnio._files", "afnio._functions"],
    ["afnio._dispatch"],
    [
        *("afnio.variable", "afnio.parameter", "afnio.gradient", "afnio._variable", "afnio.words"),
        *("afnio._content_blocks", "afnio.content", "afnio._masks", "afnio._op_result"),
        *("afnio.trial", "afnio.domain", "afnio.demos"),
    ],
    ["afnio.calls"],
    ["afnio.models"],
    ["afnio.autodiff"],
    [
        *("afnio.cognitive", "afnio.optim", "afnio.utils", "afnio.serialization", "afnio.logging_config"),
        *("afnio._pickles", "afnio._utils"),
    ],
    ["afnio.trainer"],
    ["afnio"],
    ["tellurio"],
    ["tellurio.schemas"],
    ["tellurio.store", "tellurio.client", "tellurio.dataflow"],
    ["tellurio.engine"],
    ["tellurio.server"],
    ["tellurio.cli", "ao", "afnio.tellurio"],
]
FLOOR_OF = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}
LAZY = ("afnio.tellurio",)  # may be imported inside a function, and may do so itself
ALONE = ("afnio", "tellurio")  # rooms of one module: what lies in their folders are rooms of their own


class Import(NamedTuple):
    """One import of one of our modules."""

    importer: str
    target: str
    line: int
    local: bool


def violations(root: Path) -> list[str]:
    """What is wrong with the imports of the packages in ``root``, in words."""
    modules = {_name(root, path): path for package in OURS for path in sorted((root / package).rglob("*.py"))}
    imports = [found for name, path in modules.items() for found in _imports(name, path, set(modules))]
    homeless = [f"{name} belongs to no room: give it one in FLOORS" for name in modules if _room(name) is None]
    upward = [
        f"{i.importer}:{i.line} imports {i.target}, which is above it"
        for i in imports
        if _floor(i.importer) < _floor(i.target) and not (i.local and i.target.startswith(LAZY))
    ]
    hidden = [
        f"{i.importer}:{i.line} imports {i.target} inside a function"
        for i in imports
        if i.local and not i.target.startswith(LAZY) and not i.importer.startswith(LAZY)
    ]
    return homeless + upward + hidden + _cycles(imports)


def _name(root: Path, path: Path) -> str:
    parts = path.relative_to(root).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _room(module: str) -> str | None:
    if module in FLOOR_OF:
        return module
    parent = module.rpartition(".")[0]
    return _room(parent) if parent and parent not in ALONE else None


def _floor(module: str) -> int:
    return FLOOR_OF.get(_room(module) or "", -1)


def _imports(name: str, path: Path, modules: set[str]) -> Iterator[Import]:
    source = path.read_text(encoding="utf-8")
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    lines = source.splitlines()
    for node, local in _walk(ast.parse(source), local=False):
        if "# layers: types only" in lines[node.lineno - 1]:
            continue
        if name.partition(".")[0] == "ao" and "# layers: when used" in lines[node.lineno - 1]:
            continue
        for target in _targets(node, package, modules):
            if target.partition(".")[0] in OURS and target != name:
                yield Import(name, target, node.lineno, local)


def _walk(node: ast.AST, *, local: bool) -> Iterator[tuple[ast.stmt | ast.expr, bool]]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, (ast.Import, ast.ImportFrom, ast.Call)):
            yield child, local
        inside = isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
        yield from _walk(child, local=local or inside)


def _targets(node: ast.stmt | ast.expr, package: str, modules: set[str]) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        base = node.module or ""
        if node.level:
            above = package.split(".")[: len(package.split(".")) - node.level + 1]
            base = ".".join([*above, base] if base else above)
        for alias in node.names:
            # `from afnio import x` names the module afnio.x where there is one, else something in afnio itself.
            yield f"{base}.{alias.name}" if f"{base}.{alias.name}" in modules else base
    elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
        called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        if called in ("import_module", "__import__") and isinstance(node.args[0].value, str):
            yield node.args[0].value


def _cycles(imports: list[Import]) -> list[str]:
    graph: dict[str, set[str]] = {}
    for found in imports:
        if not (found.local and found.target.startswith(LAZY)):
            graph.setdefault(found.importer, set()).add(found.target)
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return ["a cycle: " + " -> ".join(reversed(error.args[1]))]
    return []


def test_our_imports_point_downwards() -> None:
    assert violations(REPO) == []


def plant(root: Path, files: dict[str, str]) -> Path:
    for name, source in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source)
    return root


@pytest.mark.parametrize(
    ("files", "says"),
    [
        (
            {"afnio/errors.py": "from afnio.variable import Variable"},
            "afnio.errors:1 imports afnio.variable, which is above",
        ),
        ({"afnio/errors.py": "from afnio import variable"}, "imports afnio.variable, which is above"),
        ({"afnio/errors.py": "from . import variable"}, "imports afnio.variable, which is above"),
        ({"afnio/errors.py": "from .variable import x"}, "imports afnio.variable, which is above"),
        ({"afnio/errors.py": "import afnio"}, "imports afnio, which is above"),
        ({"afnio/errors.py": "import tellurio.client.run"}, "imports tellurio.client.run, which is above"),
        ({"afnio/calls/x.py": "\nfrom ..models import base"}, "afnio.calls.x:2 imports afnio.models, which is above"),
        ({"afnio/calls/x.py": "from ..models.base import f"}, "imports afnio.models.base, which is above"),
        (
            {"afnio/errors.py": "if TYPE_CHECKING:\n    from afnio.variable import Variable"},
            "afnio.errors:2 imports afnio.variable, which is above",
        ),
        ({"afnio/trainer/x.py": "def f():\n    import afnio.errors"}, "afnio.trainer.x:2 imports afnio.errors inside"),
        ({"afnio/trainer/x.py": "async def f():\n    from afnio import errors"}, "imports afnio.errors inside"),
        ({"afnio/trainer/x.py": "f = lambda: import_module('afnio.errors')"}, "imports afnio.errors inside"),
        ({"afnio/trainer/x.py": "class A:\n  def f(self):\n    from ao import b"}, "imports ao inside"),
        ({"afnio/calls/a.py": "from afnio.calls import b", "afnio/calls/b.py": "import afnio.calls.a"}, "a cycle: "),
        (
            {"afnio/calls/__init__.py": "from afnio.calls.a import x", "afnio/calls/a.py": "from afnio.calls import y"},
            "a cycle: ",
        ),
        ({"afnio/shed.py": ""}, "afnio.shed belongs to no room"),
        ({"tellurio/shed/x.py": ""}, "tellurio.shed.x belongs to no room"),
    ],
)
def test_a_planted_violation_is_found(files: dict[str, str], says: str, tmp_path: Path) -> None:
    plant(tmp_path, {"afnio/errors.py": "", "afnio/variable.py": "", **files})
    assert any(says in violation for violation in violations(tmp_path))


def test_what_is_allowed_is_let_pass(tmp_path: Path) -> None:
    plant(
        tmp_path,
        {
            "afnio/__init__.py": "from afnio import errors\ndef __getattr__(name):\n    import afnio.tellurio",
            "afnio/errors.py": "if TYPE_CHECKING:\n    from afnio.variable import Variable  # layers: types only",
            "afnio/variable.py": "import json\nfrom afnio import errors\ndef f():\n    import aiohttp",
            "afnio/tellurio.py": "def __getattr__(name):\n    import tellurio.client\n    import_module('json')",
            "tellurio/client/x.py": "import afnio",
            "ao/__init__.py": "",
        },
    )
    assert violations(tmp_path) == []
