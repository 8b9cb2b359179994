"""What is served in Studio's place where it was not built: the facts as tables, without a script."""

from __future__ import annotations

import base64
import hashlib
import html
import time
from typing import Any

from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import Response

from tellurio.server.doors import Permission
from tellurio.server.edge import CSP
from tellurio.server.gate import caller
from tellurio.server.refusals import unknown
from tellurio.store import metrics, projects, runs

__all__ = ["plain_home", "plain_project", "plain_run"]

STYLE = (
    "body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:46rem;padding:0 1rem;color-scheme:light dark}"
    "table{border-collapse:collapse;width:100%}th{text-align:left;font-weight:600;padding:.2rem 1rem .2rem 0;"
    "vertical-align:top;white-space:nowrap}td{overflow-wrap:anywhere}footer{margin-top:3rem;opacity:.7}"
)
_HASH = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
POLICY = f"{CSP}; script-src 'none'; style-src 'sha256-{_HASH}'"

HOW = (
    "This is the plain page: Studio was not built here. In Tellurio's source folder type <code>make studio</code>, "
    "then load this page again."
)

MOST = 200
"""Rows of a table."""


async def plain_home(request: Request) -> Response:
    """The caller's projects."""
    await _admit(request, Permission.USER)
    found = await request.app.state.store.aread(_projects, caller(request).user["id"])
    rows = [(_link(f"/{p['namespace_slug']}/projects/{p['slug']}/", p["display_name"]), "") for p in found]
    return _page("Projects", _rows(rows) or "<p>There is no project yet.</p>")


async def plain_project(request: Request) -> Response:
    """The newest Runs of a project."""
    await _admit(request, Permission.READ)
    project = caller(request).project
    page = await request.app.state.store.aread(runs.runs, project["id"], limit=MOST)
    base = f"/{project['namespace_slug']}/projects/{project['slug']}/runs/"
    rows = [(_link(f"{base}{run['slug']}/", run["name"]), html.escape(run["status"])) for run in page["runs"]]
    return _page(project["display_name"], _rows(rows) or "<p>There is no Run yet.</p>")


async def plain_run(request: Request) -> Response:
    """A Run's facts."""
    await _admit(request, Permission.READ)
    project, slug = caller(request).project, request.path_params["run"]
    found = await request.app.state.store.aread(_facts, project["id"], slug)
    if found is None:
        raise unknown("Run", f"{project['namespace_slug']}/{project['slug']}/{slug}")
    return _page(found[0]["name"], _written(*found))


async def _admit(request: Request, permission: Permission) -> None:
    """Studio's own page is open to all, these are not: they have data in them."""
    await request.app.state.gate.admit(permission, request.scope)


def _projects(connection: Connection, user_id: str) -> list[dict[str, Any]]:
    inside = [each["slug"] for each in projects.namespaces_of(connection, user_id)]
    return [project for slug in inside for project in projects.projects(connection, slug, user_id)][:MOST]


def _facts(connection: Connection, project_id: str, slug: str) -> tuple[dict[str, Any], list[dict[str, Any]]] | None:
    run = runs.run_by_slug(connection, project_id, slug)
    return None if run is None else (run, metrics.metric_names(connection, run["key"]))


def _written(run: dict[str, Any], measured: list[dict[str, Any]]) -> str:
    cost = run["cost"]
    unpriced = f", {cost['unpriced']} calls without a known price" if cost["unpriced"] else ""
    facts = {
        "Status": run["status"] + (f": {run['reason']}" if run["reason"] else ""),
        "Project": f"{run['namespace_slug']}/{run['project_slug']}",
        "Description": run["description"],
        "Begun": _when(run["created"]),
        "Ended": _when(run["ended"]),
        "By": run["user"]["username"],
        "Tags": ", ".join(run["tags"]),
        "LM calls": f"{cost['calls']} ({cost['input_tokens']} tokens in, {cost['output_tokens']} out)",
        "Cost": f"${cost['usd']}{unpriced}" if cost["usd"] is not None else "unpriced",
    }
    logged = [(html.escape(each["name"]), html.escape(str(each["last"]))) for each in measured]
    return (
        _rows([(html.escape(name), html.escape(str(value))) for name, value in facts.items() if value])
        + f"<h2>Metrics</h2>{_rows(logged) or '<p>Nothing was logged yet.</p>'}"
    )


def _page(title: str, body: str) -> Response:
    title = html.escape(title)
    content = (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title} - Tellurio</title>'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>{STYLE}</style></head>'
        f"<body><main><h1>{title}</h1>{body}</main><footer><p>{HOW}</p></footer></body></html>"
    )
    return Response(content, media_type="text/html", headers={"Content-Security-Policy": POLICY})


def _link(path: str, words: str) -> str:
    return f'<a href="{html.escape(path)}">{html.escape(words)}</a>'


def _rows(rows: list[tuple[str, str]]) -> str:
    """A table of two columns, of HTML; nothing for none."""
    cells = (f'<tr><th scope="row">{left}</th><td>{right}</td></tr>' for left, right in rows)
    return f"<table>{''.join(cells)}</table>" if rows else ""


def _when(moment: float | None) -> str | None:
    return None if moment is None else time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(moment))
