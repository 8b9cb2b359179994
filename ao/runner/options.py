"""The command line of ``ao-record``, read by hand: what follows the script is the script's, whatever it looks like."""

from __future__ import annotations

import os
import sys

from ao.home import config
from ao.runner.environment import needed
from ao.runner.program import Program

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Container, Mapping
    from typing import Any

__all__ = ["HELP", "Options", "Usage", "read_options"]

HELP = """\
usage: ao-record [options] script.py [arguments ...]
       ao-record [options] -m module [arguments ...]
       ao-record [options] - [arguments ...]        the script comes by standard input

Runs a Python script exactly as python does, and records its LM calls: requests, answers, cost, and what went from one
call into another.  The script is not changed.  See what was recorded with ao-tool, or in Studio.

options:
  --run-name NAME        name of the Run (default: the script's)
  --project NAME         project the Run belongs to (default: Recordings, or the setting "project" of ao-config)
  --namespace NAME       namespace of the project (default: yours)
  --seed NUMBER          begin random, numpy, torch, uuid4 and the order of sets at this seed
  --rerun RUN            run again: recorded calls are answered from RUN, edited ones as edited, new ones are made
  --unedited             with --rerun: RUN as it was recorded, although it was edited since
  --no-cache             with --rerun: make all calls anew
  --edges content        what edges between calls are inferred from (taint and both come later)
  --config-file FILE     settings to use instead of the user's
  -h, --help             this text
  --version              the version

AO_DISABLED=1 runs the script without recording anything.
"""

TAINT = "--edges {given} is not there yet. This release infers edges from the calls' texts: --edges content."

_VALUED = ("--run-name", "--project", "--namespace", "--seed", "--rerun", "--edges", "--config-file")
_SWITCHES = ("--no-cache", "--unedited")


LONGEST = 200
"""Characters of a name."""


class Usage(Exception):
    """The command line asks for words, or is wrong."""

    def __init__(self, text: str, code: int = 2) -> None:
        super().__init__(text)
        self.code = code


class Options:
    """What the command line asks for."""

    def __init__(
        self,
        program: Program,
        given: Mapping[str, str],
        settings: Mapping[str, Any],
        edges: str,
        switches: Container[str],
    ) -> None:
        self.program = program
        self.run_name = _name("--run-name", given.get("--run-name"))
        self.project = _name("--project", given.get("--project") or settings.get("project"))
        self.namespace = _name("--namespace", given.get("--namespace") or settings.get("namespace"))
        self.seed = _number(given.get("--seed"))
        self.rerun = given.get("--rerun")
        self.edges = edges
        self.cache, self.unedited = "--no-cache" not in switches, "--unedited" in switches

    def begin(self, seed: int, environment: Mapping[str, str], book: Any) -> dict[str, Any]:
        """What is told of the Run: `tellurio.schemas.records.Begin`."""
        program = self.program
        argv = [program.target, *program.arguments]
        command = {
            "argv": argv,
            "module": program.module,
            "interpreter": sys.executable,
            "cwd": os.getcwd(),
            "env": dict(environment),
            "needs": needed(),
            "stdin": program.target == "-",
            "host": os.uname().nodename,
            "pid": os.getpid(),
            "seed": seed,
            "edges": self.edges,
        }
        run = {
            "name": self.run_name or program.name.strip()[:LONGEST] or "script",
            "kind": "recording",
            "project": self.project,
            "namespace": self.namespace,
            "command": command,
            "client": {"recorder": "ao", "python": sys.version.split()[0], "command": " ".join(argv)},
        }
        return run if book is None else run | book.begin(self.run_name)


def read_options(arguments: list[str]) -> Options:
    """Read the command line.

    Raises:
        Usage: it asks for help, or cannot be understood; says what to type.
    """
    given: dict[str, str] = {}
    switches: set[str] = set()
    rest = list(arguments)
    while rest and rest[0].startswith("-") and rest[0] not in ("-", "-m"):
        option, equals, value = rest.pop(0).partition("=")
        if option in ("-h", "--help"):
            raise Usage(HELP.rstrip(), 0)
        if option == "--version":
            raise Usage(_version(), 0)
        if option == "--":
            break
        if option in _SWITCHES:
            switches.add(option)
            continue
        if option not in _VALUED:
            raise Usage(
                f"ao-record: unknown option {option}. Options of the script come after it. Try: ao-record --help"
            )
        if not equals and not rest:
            raise Usage(f"ao-record: {option} needs a value. Try: ao-record --help")
        given[option] = value if equals else rest.pop(0)
    program = _program(rest)
    settings = _settings(given.get("--config-file"))
    edges = given.get("--edges", "content")
    if edges in ("taint", "both"):
        raise Usage(f"ao-record: {TAINT.format(given=edges)}")
    if edges != "content":
        raise Usage(f"ao-record: --edges takes content, taint or both, not {edges!r}.")
    return Options(program, given, settings, edges, switches)


def _program(rest: list[str]) -> Program:
    if not rest:
        raise Usage("ao-record: which script? Type: ao-record script.py [arguments ...]   (or ao-record --help)")
    if rest[0] != "-m":
        return Program(rest[0], rest[1:])
    if len(rest) < 2:
        raise Usage("ao-record: -m needs the name of a module: ao-record -m package.module")
    return Program(rest[1], rest[2:], module=True)


def _number(text: str | None) -> int | None:
    if text is None:
        return None
    try:
        seed = int(text)
    except ValueError:
        seed = -1
    if not 0 <= seed < 2**63:
        raise Usage(f"ao-record: --seed takes a whole number from 0 on, not {text!r}.")
    return seed


def _name(option: str, given: object) -> str | None:
    """A name as servers take it: another one would be refused when the script has run already."""
    if not given:
        return None
    if not isinstance(given, str) or not 0 < len(given.strip()) <= LONGEST:
        raise Usage(f"ao-record: {option} takes a name of 1 to {LONGEST} characters, not {str(given)[:LONGEST]!r}.")
    return given.strip()


def _settings(path: str | None) -> dict[str, Any]:
    if path is None:
        found = config().get("ao")
        return found if isinstance(found, dict) else {}
    import json

    try:
        with open(path, encoding="utf-8") as file:
            found = json.load(file)
    except OSError as error:
        raise Usage(f"ao-record: the settings cannot be read: {path}: {error.strerror}.") from None
    except ValueError as error:
        raise Usage(f"ao-record: the settings in {path} are no JSON: {error}.") from None
    if not isinstance(found, dict):
        raise Usage(f"ao-record: the settings in {path} are no JSON object.")
    return found


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return f"ao-record {version('afnio-studio')}"
    except PackageNotFoundError:
        return "ao-record (version unknown)"
