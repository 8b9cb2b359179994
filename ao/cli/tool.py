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
from ao.cli.settling import folder_of, goes_on, settle
from ao.cli.stopping import stop, wait_for
from ao.cli.trees import call_lines, calls_near, diff_lines, output_lines, run_lines, runs_lines
from ao.drafts import draft_of, named
from ao.local import start_and_wait
from tellurio.client.restarting import CannotRun, environment, restart

__all__ = ["main"]

RUN = "RUN is the id of a Run, the beginning of one (four letters), a name, or 'last', the latest recording."
NODE = "the call: its id, the beginning of it, or its number in the Run"
MOST_OUTPUT = 8 * 2**20
"""Bytes that a server keeps of what a script printed: `tellurio.server.outputs.LIMIT`, without importing a server."""

LATER = (
    "verify-edges comes later. Edges are inferred from the calls' texts; to see what depends on a call, change its "
    "output and run the script again: ao-tool edit RUN NODE --output PATH VALUE, then ao-tool rerun."
)


class Parser(argparse.ArgumentParser):
    """Says what to type when something is wrong."""

    def error(self, message: str) -> NoReturn:
        """Leave with status 2."""
        self.print_usage(sys.stderr)
        self.exit(2, f"{self.prog}: {message}. Try: {self.prog} --help\n")


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """The command."""
    options = _parser().parse_args(arguments)
    try:
        raise SystemExit(options.act(options))
    except (ApiError, CannotRun) as error:
        sys.stderr.write(f"ao-tool: {error}\n")
        raise SystemExit(1) from None
    except KeyboardInterrupt:
        raise SystemExit(130) from None
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(141) from None


def _parser() -> argparse.ArgumentParser:
    parser = Parser("ao-tool", description="What ao-record has recorded.", epilog=RUN)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    shared = Parser(add_help=False)
    shared.add_argument("--json", action="store_true", help="one JSON document instead of a text")

    def command(name: str, act: Any, about: str, *names: str) -> Parser:
        made = commands.add_parser(name, parents=[shared], help=about, description=f"{about.capitalize()}.", epilog=RUN)
        for each in names:
            made.add_argument(each, metavar="RUN")
        made.set_defaults(act=act)
        return made

    runs = command("runs", _runs, "the latest recordings")
    runs.add_argument("--limit", type=_count, default=20, help="how many, 1 to 1000 (20)")

    show = command("show", _show, "a Run's calls, parts and edges", "run")
    show.add_argument("--node", metavar="N", help=NODE)
    show.add_argument("--weak", action="store_true", help="edges with little evidence too")
    show.add_argument("--alternatives", action="store_true", help="edges by which a text may have come as well")

    edit = command("edit", _edit, "change a call for a rerun; the Run itself stays as it is", "run")
    edit.add_argument("node", metavar="NODE", help=NODE)
    side = edit.add_mutually_exclusive_group(required=True)
    side.add_argument("--input", dest="field", action="store_const", const="input", help="change its request")
    side.add_argument("--output", dest="field", action="store_const", const="output", help="change its answer")
    edit.add_argument("path", metavar="PATH", help="where in it: /messages/0/content, or messages.0.content")
    edit.add_argument("value", metavar="VALUE", nargs="?", help="JSON, or else a text")
    edit.add_argument("--remove", action="store_true", help="take away what is there")
    edit.add_argument("--new", action="store_true", help="in a draft of its own, not beside what was edited before")

    rerun = command("rerun", _rerun, "run the script again: recorded calls cost nothing", "run")
    rerun.add_argument("--unedited", action="store_true", help="RUN as it was recorded, although it was edited since")
    rerun.add_argument("--no-cache", action="store_true", help="make all calls anew")
    rerun.add_argument("--detach", action="store_true", help="have the local server run it, and come back at once")

    output = command("output", _output, "what a script printed that the local server has run", "run")
    output.add_argument("--last", type=_size, default=MOST_OUTPUT, metavar="BYTES", help="only the end of it")

    command("diff", _diff, "what became of the calls of a Run in another one", "before", "after")
    command("kill", _kill, "stop a script that runs, as Ctrl-C does", "run")
    command("verify-edges", _verify, "not there yet", "run")
    return parser


def _count(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= 1000:
        raise argparse.ArgumentTypeError(f"expected a number from 1 to 1000, got {text!r}")
    return int(text)


def _size(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= MOST_OUTPUT:
        raise argparse.ArgumentTypeError(f"expected a number from 1 to {MOST_OUTPUT}, got {text!r}")
    return int(text)


def _told(options: argparse.Namespace, value: Any, lines: Sequence[str]) -> int:
    if options.json:
        sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False) + "\n")
    else:
        _say(lines)
    sys.stdout.flush()
    return 0


def _say(lines: Sequence[str]) -> None:
    text = "\n".join(lines) + "\n"
    encoding = sys.stdout.encoding or "utf-8"
    sys.stdout.write(text.encode(encoding, "backslashreplace").decode(encoding))


def _api() -> Api:
    """The server; the local one is started if it does not run, and has stored what ended."""
    if fault := start_and_wait():
        raise ApiError(f"The local server cannot be started: {fault}. See: ao-server logs")
    settle()
    return Api()


def _found(api: Api, reference: str) -> dict[str, Any]:
    try:
        found: dict[str, Any] = api.json(f"/recordings/{quoted(reference)}")
    except ApiError as error:
        if error.status != 404:
            raise
        if reference == "last":
            raise ApiError("Nothing was recorded yet. Type: ao-record script.py", 404) from None
        raise ApiError(f"There is no Run {reference!r}: no id, no name. See: ao-tool runs", 404) from None
    return found


def _runs(options: argparse.Namespace) -> int:
    runs = _api().json(f"/recordings?limit={options.limit}")
    return _told(options, runs, runs_lines(runs))


def _show(options: argparse.Namespace) -> int:
    api = _api()
    run_id = _found(api, options.run)["run"]["id"]
    whole = options.json or options.node is not None
    graph = _graph(api, run_id, bodies=whole, weak=options.weak, alternatives=options.alternatives)
    if options.node is not None:
        call = _node(graph, options.node)
        return _told(options, call, call_lines(call, graph))
    if options.json:
        return _told(options, graph, [])
    return _told(options, graph, run_lines(graph, api.json(f"/runs/{run_id}/family")))


def _graph(api: Api, run_id: str, **options: bool) -> dict[str, Any]:
    """A Run's graph, with all edges: of a long Run whose edges are not worked out yet it is waited for them."""
    wanted = "&".join(f"{name}={str(value).lower()}" for name, value in options.items())
    graph: dict[str, Any] = wait_for(lambda: api.json(f"/runs/{run_id}/graph?{wanted}"), lambda it: it["complete"])
    return graph


def _node(graph: dict[str, Any], name: str) -> dict[str, Any]:
    own = [call for call in graph["calls"] if call["run"] == graph["run"]["id"]]
    if name.isascii() and name.isdigit() and int(name) < len(own):
        return dict(own[int(name)])
    found = [call for call in graph["calls"] if call["id"].startswith(name)]
    if len(found) == 1:
        return dict(found[0])
    run = graph["run"]
    about = f"{len(found)} calls begin with {name!r}" if found else f"there is no call {name!r}"
    there = "; ".join(calls_near(found or graph["calls"], name, run["id"]))
    said = f" There is: {there}." if there else " No LM call was recorded."
    raise ApiError(f"In the Run {run['name']!r} {about}.{said} See: ao-tool show {run['id'][:8]}")


def _edit(options: argparse.Namespace) -> int:
    if (options.value is None) != options.remove:
        raise ApiError("Give the new VALUE, or --remove; one of them.")
    api = _api()
    run = _found(api, options.run)["run"]
    source = run["parent_id"] if run["status"] == "DRAFT" else run["id"]
    call = _node(api.json(f"/runs/{source}/graph?bodies=false"), options.node)
    edit = {"call": call["id"], "field": options.field, "path": options.path}
    edit |= {"remove": True} if options.remove else {"value": _value(options.value)}
    begun = None if options.new else draft_of(api, run)
    draft = api.post(f"/runs/{(begun or run)['id']}/edits", edit)
    beside = ", beside what was edited before" if begun else ""
    told = [f"Noted in the draft {named(draft)}{beside}. Run it: ao-tool rerun {draft['id'][:8]}"]
    return _told(options, {"run": draft["id"], "name": draft["name"], "status": draft["status"], **edit}, told)


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _rerun(options: argparse.Namespace) -> int:
    api = _api()
    found = _found(api, options.run)
    if not options.unedited and (draft := draft_of(api, found["run"])):
        sys.stderr.write(f"ao-tool: running the draft {named(draft)}, in which it was edited. Without: --unedited\n")
        found = _found(api, draft["id"])
    run, recorded = found["run"], found["command"] or {}
    if options.detach:
        given = {"env": environment(recorded), "cache": not options.no_cache}
        return _detached(options, api.post(f"/runs/{run['id']}/rerun", given))
    if run["user"]["id"] != api.json("/me")["user"]["id"]:
        raise ApiError(f"The Run {run['name']!r} is {run['user']['username']}'s: its command is not run for you.")
    command, where, env = restart(recorded, run["id"], cache=not options.no_cache)
    if run["status"] == "RUNNING" and _stopped(api, found):
        ended = wait_for(lambda: _found(api, run["id"]), lambda now: now["run"]["status"] != "RUNNING")
        if ended["run"]["status"] == "RUNNING":
            raise ApiError("Its script was told to stop, and still runs. Try again when it has ended.")
    sys.stdout.flush()
    # What the script prints is its own; a JSON document of ours is not to be mixed with it.
    output = sys.stderr if options.json else None
    with subprocess.Popen(command, cwd=where, env=env, stdout=output) as process:
        status = _outcome(process)
    became = _became(api, run, process.pid)
    source = run["parent_id"] if run["status"] == "DRAFT" else run["id"]
    if became is None and not folder_of(process.pid):
        sys.stderr.write("ao-tool: nothing of it was recorded.\n")
        return status
    if became is None or source is None:
        sys.stderr.write("ao-tool: what became of the calls is not stored yet. See later: ao-tool show last\n")
        return status
    told = api.json(f"/runs/{source}/diff/{became['id']}")
    counts = ", ".join(f"{len(ids)} {name}" for name, ids in told.items())
    sys.stderr.write(f"ao-tool: {counts}. See: ao-tool diff {source[:8]} {became['id'][:8]}\n")
    if options.json:
        _told(options, {"run": became["id"], "name": became["name"], "status": became["status"], "diff": told}, [])
    return status


def _stopped(api: Api, found: dict[str, Any]) -> bool:
    """Tell a script to stop; False: it has just ended by itself."""
    try:
        stop(api, found)
    except ApiError:
        settle()
        if _found(api, found["run"]["id"])["run"]["status"] == "RUNNING":
            raise
        return False
    return True


def _detached(options: argparse.Namespace, begun: dict[str, Any]) -> int:
    short = begun["id"][:8]
    if begun["status"] in ("CRASHED", "FAILED"):
        if options.json:
            _told(options, begun, [])
        reason = f": {begun['reason']}" if begun["reason"] else ""
        raise ApiError(f"Begun as {short}, and {begun['status'].lower()} at once{reason}. See: ao-tool output {short}")
    return _told(options, begun, [f"Begun as {short}. See: ao-tool show {short}, and ao-tool output {short}"])


def _output(options: argparse.Namespace) -> int:
    api = _api()
    run = _found(api, options.run)["run"]
    said = api.json(f"/runs/{run['id']}/output?last={options.last}")
    return _told(options, said, output_lines(said))


def _outcome(process: subprocess.Popen[bytes]) -> int:
    """The script's exit status; Ctrl-C is the script's, too, and it says how it ends."""
    while True:
        try:
            status = process.wait()
        except KeyboardInterrupt:
            continue
        return 128 - status if status < 0 else status


def _became(api: Api, run: dict[str, Any], pid: int) -> dict[str, Any] | None:
    """The Run that the process, which has ended, became, when the server has all of it; None: it recorded nothing."""

    def look() -> tuple[str, dict[str, Any] | None]:
        folder = folder_of(pid)  # first: what is there no more has been stored by then
        relatives = api.json(f"/runs/{run['id']}/family")
        for each in [relatives["run"], *reversed(relatives["reruns"])]:
            if ((found := _found(api, each["id"]))["command"] or {}).get("pid") == pid:
                return folder, dict(found["run"])
        return folder, None

    def is_stored(found: tuple[str, dict[str, Any] | None]) -> bool:
        folder, now = found
        if now is None or now["status"] in ("RUNNING", "DRAFT"):
            return now is None and not folder
        return not folder or goes_on(folder)  # the journals of its children come after its own

    return wait_for(look, is_stored)[1]


def _diff(options: argparse.Namespace) -> int:
    api = _api()
    before, after = (_found(api, name)["run"] for name in (options.before, options.after))
    try:
        told = api.json(f"/runs/{before['id']}/diff/{after['id']}")
    except ApiError as error:
        if error.status != 404:
            raise
        raise ApiError(f"{before['name']!r} and {after['name']!r} are not of the same project.") from None
    if options.json:
        return _told(options, told, [])
    graphs = [api.json(f"/runs/{run['id']}/graph?bodies=false") for run in (before, after)]
    return _told(
        options, told, diff_lines(told, before, after, {call["id"]: call for each in graphs for call in each["calls"]})
    )


def _kill(options: argparse.Namespace) -> int:
    api = _api()
    found = _found(api, options.run)
    pid = stop(api, found)
    return _told(options, {"pid": pid}, [f"Told {found['run']['name']} (process {pid}) to stop."])


def _verify(options: argparse.Namespace) -> int:
    raise ApiError(LATER)


if __name__ == "__main__":
    main()
