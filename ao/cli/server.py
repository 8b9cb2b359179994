"""``ao-server``: the local Tellurio server, which keeps what is recorded."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from tellurio.cli._common import run, show_version, steps
from tellurio.cli.local import down, status, up
from tellurio.cli.logs import logs
from tellurio.client.api import Api
from tellurio.client.http import Client
from tellurio.client.local import local_status

__all__ = ["app", "main"]

_ABOUT = "The local server, which keeps what ao-record records. It is the one of te.init, too: there is one for all."
_NEXT = steps(
    "Next steps:",
    ("ao-record script.py", "starts it by itself, if it does not run"),
    ("ao-tool runs", "what was recorded"),
    ("tellurio open", "the same in a browser"),
    ("ao-server COMMAND --help", "all about one command"),
)
_PIECE = 1000

app = typer.Typer(
    help=_ABOUT,
    epilog=_NEXT,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


@app.callback(help=_ABOUT, epilog=_NEXT)
def _root(
    version: bool = typer.Option(False, "--version", help="Show the version.", callback=show_version, is_eager=True),
) -> None:
    pass


def restart() -> None:
    """Stop the local server, if it runs, and start it. Scripts that are recorded go on, and lose nothing."""
    down()
    up()


def clear(
    yes: Annotated[bool, typer.Option("-y", "--yes", help="Do not ask.")] = False,
    everything: Annotated[bool, typer.Option("--all", help="Other Runs too: those of te.init.")] = False,
) -> None:
    """Delete all recordings on the local server, for good. What still runs stays; so do other Runs, without --all."""
    server = local_status()
    if server is None:
        typer.echo("The local server does not run. Start it: ao-server start", err=True)
        raise typer.Exit(1)
    client = Client(server.url, server.key, is_local=True)
    found, running = _found(client, everything=everything)
    kept = f" ({running} still going: kept)" if running else ""
    what = "Run" if everything else "recording"
    if not found:
        typer.echo(f"There is no {what} to delete{kept}.")
        return
    counted = f"{len(found)} {what}{'' if len(found) == 1 else 's'}"
    if not yes and not _agreed(counted, server.url):
        raise typer.Exit(1)
    for run_id in found:
        client.delete(f"/api/v1/runs/{run_id}")
    typer.echo(f"Deleted {counted}{kept}.")


def _agreed(counted: str, url: str) -> bool:
    if not sys.stdin.isatty():
        typer.echo(
            f"This deletes {counted} at {url} for good. To do so without being asked: ao-server clear --yes", err=True
        )
        return False
    return typer.confirm(f"Delete {counted} at {url} for good?")


def _found(client: Client, *, everything: bool) -> tuple[list[str], int]:
    """The ids of Runs that have ended, or were never begun, and how many others there are; parts go with their Runs."""
    if everything:
        api = Api(client)
        runs = [(run.id, run.status) for project in api.projects() for run in api.runs(project) if run.kind != "subrun"]
    else:
        runs = []
        while len(page := client.get("/api/v1/recordings", params={"limit": _PIECE, "offset": len(runs)})) > 0:
            runs += [(each["id"], each["status"]) for each in page]
    going = sum(status == "RUNNING" for _, status in runs)
    return [run_id for run_id, status in runs if status != "RUNNING"], going


app.command("start")(up)
app.command("stop")(down)
app.command("restart")(restart)
app.command("status")(status)
app.command("clear")(clear)
app.command("logs")(logs)


def main() -> None:
    """Entry point of ``ao-server``."""
    run(app, "ao-server")
