"""``tellurio open``: the server's page in the browser, logged in."""

from __future__ import annotations

import webbrowser
from typing import Annotated
from urllib.parse import urlencode, urlsplit

import typer

from afnio.errors import ServerError
from tellurio.client.http import Client, segment
from tellurio.client.login import connect
from tellurio.schemas.slugs import slugify

__all__ = ["open_page"]


def open_page(
    run: Annotated[
        str, typer.Argument(help="A Run: its address, or namespace/project/run. Or namespace/project.", metavar="RUN")
    ] = "",
    only_print: Annotated[bool, typer.Option("--print", help="Print the address, open no browser.")] = False,
) -> None:
    """Open the server's page, or a Run's, logged in. The address works once, for a minute: pass it to nobody."""
    try:
        client = connect()
    except ValueError as error:
        typer.echo(f"[tellurio] {error}", err=True)
        raise typer.Exit(1) from None
    page = _page(client, run)
    code = client.post("/api/v1/once", json={"next": page})["code"]
    address = f"{client.url}/login?{urlencode({'code': code, 'next': page})}"
    if only_print:
        print(address)
    elif webbrowser.open(address):
        print(f"Opened {client.url}{page} in the browser.")
    else:
        print(f"There is no browser here. This address works once, for a minute:\n{address}")


def _page(client: Client, run: str) -> str:
    """The path of the page of what was named, which is there."""
    parts = _parts(client, run)
    if not parts:
        return "/"
    namespace, project, *rest = (segment(part) for part in (parts[0], *map(slugify, parts[1:])))
    path = f"/api/v1/namespaces/{namespace}/projects/{project}"
    try:
        if rest:
            slug = client.get(f"{path}/runs/{rest[0]}")["slug"]
            return f"/{namespace}/projects/{project}/runs/{slug}/"
        client.get(path)
        return f"/{namespace}/projects/{project}/"
    except ServerError as error:
        if error.status_code != 404:
            raise
        what = "Run" if rest else "project"
        raise typer.BadParameter(f"there is no {what} {run!r} on {client.url} that you may see") from None


def _parts(client: Client, run: str) -> list[str]:
    if "://" in run:
        ours, theirs = urlsplit(client.url), urlsplit(run)
        if (ours.hostname, ours.port) != (theirs.hostname, theirs.port):
            raise typer.BadParameter(f"{run} is not on {client.url}; log in there first: afnio login --server URL")
        run = theirs.path.removeprefix(ours.path)
    parts = [part for part in run.split("/") if part]
    if len(parts) in (3, 5) and parts[1] == "projects":  # as a page's address has it
        parts = [parts[0], *parts[2::2]]
    if len(parts) not in (0, 2, 3):
        raise typer.BadParameter(f"expected namespace/project/run, or the address of a Run, got {run!r}")
    return parts
