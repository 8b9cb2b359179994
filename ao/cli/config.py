"""``ao-config``: the recorder's settings of this user, in ``config.json``; it never asks."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from typing import NoReturn

from afnio.errors import TellurioError
from ao.cli.tool import Parser
from tellurio.client import paths
from tellurio.client.config import read_section, update_section

__all__ = ["SECTION", "SETTINGS", "main"]

SECTION = "ao"
"""The object in the file."""

SETTINGS = {
    "project": "project that recordings go to, when --project does not say (Recordings)",
    "namespace": "namespace of that project, when --namespace does not say (yours)",
}
"""What can be set; and, in brackets, what holds when it is not."""

LONGEST = 200


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """The command."""
    options = _parser().parse_args(arguments)
    try:
        raise SystemExit(_act(options))
    except TellurioError as error:
        sys.stderr.write(f"ao-config: {error}\n")
        raise SystemExit(1) from None


def _parser() -> argparse.ArgumentParser:
    listed = "; ".join(f"{name}: {about}" for name, about in SETTINGS.items())
    parser = Parser("ao-config", description="Shows and sets what ao-record goes by.", epilog=f"Settings: {listed}.")
    parser.add_argument("name", metavar="NAME", nargs="?", help="a setting; without a VALUE it is shown")
    parser.add_argument("value", metavar="VALUE", nargs="?", help="what it is from now on")
    parser.add_argument("--unset", action="store_true", help="forget the setting")
    parser.add_argument("--json", action="store_true", help="show all settings as one JSON document")
    return parser


def _act(options: argparse.Namespace) -> int:
    name, value = options.name, options.value
    if name is None:
        if options.unset:
            return _wrong("which one? Type: ao-config --unset NAME")
        return _shown(as_json=options.json)
    if name not in SETTINGS:
        return _wrong(f"there is no setting {name!r}. There are: {', '.join(SETTINGS)}")
    if options.unset and value is not None:
        return _wrong("give a VALUE, or --unset; one of them")
    if options.unset or value is not None:
        if value is not None and not (0 < len(value.strip()) <= LONGEST and value.isprintable()):
            return _wrong(f"{name} takes a name of 1 to {LONGEST} characters. To forget it: ao-config --unset {name}")
        update_section(SECTION, **{name: None if value is None else value.strip()})
        return 0
    held = read_section(SECTION).get(name)
    if options.json:
        sys.stdout.write(json.dumps({name: held}) + "\n")
    elif held is not None:
        sys.stdout.write(f"{held}\n")
    return 0 if held is not None else 1


def _shown(*, as_json: bool) -> int:
    held = read_section(SECTION)
    if as_json:
        sys.stdout.write(json.dumps({name: held.get(name) for name in SETTINGS}, indent=2) + "\n")
        return 0
    width = max(map(len, SETTINGS))
    for name, about in SETTINGS.items():
        value = held.get(name)
        sys.stdout.write(f"{name:{width}}  {'not set' if value is None else value}  # {about}\n")
    sys.stdout.write(f"They are in {paths.config_file()}. Set one: ao-config NAME VALUE\n")
    return 0


def _wrong(reason: str) -> int:
    sys.stderr.write(f"ao-config: {reason}\n")
    return 2


if __name__ == "__main__":
    main()
