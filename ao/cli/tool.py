"""``ao-tool``: what was recorded, for people and, with ``--json``, for programs; edits and reruns of it."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

from ao.api import Api, ApiError, quoted
from ao.cli.trees import call_lines, diff_lines, run_lines, runs_lines
from tellurio.client.restarting import CannotRun, environment, restart

__all__ = ["main"]

RUN = "RUN is the id of a Run, the beginning of one, a name, or 'last', the latest recording."
LATER = (
    "ao-tool verify-edges is not there yet. Edges are inferred from the calls' texts; to see what depends on a call, "
    "edit its output and rerun: ao-tool edit, ao-tool rerun."
)


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """The command."""
    options = _parser().parse_args(arguments)
    try:
        raise SystemExit(options.act(options))
    except (ApiError, CannotRun) as error:
        sys.stderr.write(f"ao-tool: {error}\n")
        raise SystemExit(1) from None
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(0) from None


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("ao-tool", description="What ao-record has recorded.", epilog=RUN)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("--json", action="store_true", help="one JSON document instead of a text")

    runs = commands.add_parser("runs", parents=[shared], help="the latest recordings", epilog=RUN)
    runs.add_argument("--limit", type=int, default=20, help="how many (20)")
    runs.set_defaults(act=_runs)

    show = commands.add_parser("show", parents=[shared], help="a Run's calls, parts and edges", epilog=RUN)
    show.add_argument("run", metavar="RUN")
    show.add_argument("--node", metavar="N", help="one call, whole: its id, the beginning of it, or its number")
    show.add_argument("--weak", action="store_true", help="edges with little evidence too")
    show.add_argument("--alternatives", action="store_true", help="edges by which a text may have come as well")
    show.set_defaults(act=_show)

    edit = commands.add_parser("edit", parents=[shared], help="change a call for a rerun; the Run stays", epilog=RUN)
    edit.add_argument("run", metavar="RUN")
    edit.add_argument("node", metavar="NODE", help="the call: its id, the beginning of it, or its number")
    side = edit.add_mutually_exclusive_group(required=True)
    side.add_argument("--input", dest="field", action="store_const", const="input", help="change its request")
    side.add_argument("--output", dest="field", action="store_const", const="output", help="change its answer")
    edit.add_argument("path", metavar="PATH", help="where: /messages/0/content, or messages.0.content")
    edit.add_argument("value", metavar="VALUE", nargs="?", help="JSON, or else a text")
    edit.add_argument("--remove", action="store_true", help="take away what is there")
    edit.set_defaults(act=_edit)

    rerun = commands.add_parser("rerun", parents=[shared], help="run it again: recorded calls cost nothing", epilog=RUN)
    rerun.add_argument("run", metavar="RUN")
    rerun.add_argument("--no-cache", action="store_true", help="make all calls anew")
    rerun.add_argument("--detach", action="store_true", help="have the server run it, and come back at once")
    rerun.set_defaults(act=_rerun)

    diff = commands.add_parser("diff", parents=[shared], help="what became of the calls in another run", epilog=RUN)
    diff.add_argument("before", metavar="RUN")
    diff.add_argument("after", metavar="RUN")
    diff.set_defaults(act=_diff)

    kill = commands.add_parser("kill", parents=[shared], help="stop a script that runs, as Ctrl-C does", epilog=RUN)
    kill.add_argument("run", metavar="RUN")
    kill.set_defaults(act=_kill)

    verify = commands.add_parser("verify-edges", parents=[shared], help="not there yet", epilog=RUN)
    verify.add_argument("run", metavar="RUN")
    verify.set_defaults(act=_verify)
    return parser


def _told(options: argparse.Namespace, value: Any, lines: Sequence[str]) -> int:
    if options.json:
        sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False) + "\n")
    else:
        sys.stdout.write("\n".join(lines) + "\n")
    return 0


def _found(api: Api, reference: str) -> dict[str, Any]:
    found: dict[str, Any] = api.json(f"/recordings/{quoted(reference)}")
    return found


def _runs(options: argparse.Namespace) -> int:
    runs = Api().json(f"/recordings?limit={max(1, min(options.limit, 1000))}")
    return _told(options, runs, runs_lines(runs))


def _show(options: argparse.Namespace) -> int:
    api = Api()
    run_id = _found(api, options.run)["run"]["id"]
    wanted = f"weak={str(options.weak).lower()}&alternatives={str(options.alternatives).lower()}"
    graph = api.json(f"/runs/{run_id}/graph?{wanted}")
    if options.node is not None:
        call = _node(graph, options.node)
        return _told(options, call, call_lines(call, graph))
    parts = api.json(f"/runs/{run_id}/children")["runs"]
    return _told(options, graph, run_lines(graph, parts))


def _node(graph: dict[str, Any], name: str) -> dict[str, Any]:
    own = [call for call in graph["calls"] if call["run"] == graph["run"]["id"]]
    if name.isdigit() and int(name) < len(own):
        return dict(own[int(name)])
    found = [call for call in graph["calls"] if call["id"].startswith(name)]
    if len(found) != 1:
        count = f"{len(found)} calls begin" if found else "no call begins"
        raise ApiError(
            f"In the Run {graph['run']['name']!r} {count} with {name!r}. See: ao-tool show {graph['run']['id'][:8]}"
        )
    return dict(found[0])


def _edit(options: argparse.Namespace) -> int:
    if options.value is None and not options.remove:
        raise ApiError("Give the new VALUE, or --remove.")
    api = Api()
    run = _found(api, options.run)["run"]
    source = run["parent_id"] if run["status"] == "DRAFT" else run["id"]
    call = _node(api.json(f"/runs/{source}/graph"), options.node)
    edit = {"call": call["id"], "field": options.field, "path": options.path}
    edit |= {"remove": True} if options.remove else {"value": _value(options.value)}
    draft = api.post(f"/runs/{run['id']}/edits", edit)
    told = [f"Noted in {draft['name']} ({draft['id'][:8]}). Run it: ao-tool rerun {draft['id'][:8]}"]
    return _told(options, {"run": draft["id"], "name": draft["name"], "call": call["id"], **edit}, told)


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _rerun(options: argparse.Namespace) -> int:
    api = Api()
    found = _found(api, options.run)
    if options.detach:
        begun = api.post(f"/runs/{found['run']['id']}/rerun", {"env": environment(found["command"] or {})})
        return _told(options, begun, [f"Begun as {begun['id'][:8]}: ao-tool show {begun['id'][:8]}"])
    if found["run"]["status"] == "RUNNING":
        api.post(f"/runs/{found['run']['id']}/stop", {})
    command, where, env = restart(found["command"] or {}, found["run"]["id"], cache=not options.no_cache)
    return subprocess.run(command, cwd=where, env=env, check=False).returncode & 0xFF


def _diff(options: argparse.Namespace) -> int:
    api = Api()
    before, after = (_found(api, name)["run"] for name in (options.before, options.after))
    told = api.json(f"/runs/{before['id']}/diff/{after['id']}")
    labels = {call["id"]: call for run in (before, after) for call in api.json(f"/runs/{run['id']}/graph")["calls"]}
    return _told(options, told, diff_lines(told, before, after, labels))


def _kill(options: argparse.Namespace) -> int:
    api = Api()
    run = _found(api, options.run)["run"]
    told = api.post(f"/runs/{run['id']}/stop", {})
    return _told(options, told, [f"Told {run['name']} (process {told['pid']}) to stop."])


def _verify(options: argparse.Namespace) -> int:
    raise ApiError(LATER)


if __name__ == "__main__":
    main()
