"""A Run's page, until Studio is there: its facts, without a script."""

from __future__ import annotations

import base64
import hashlib
import html
import time
from typing import Any

from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import Response

from tellurio.server.doors import Permission, Resource
from tellurio.server.edge import CSP
from tellurio.server.gate import caller
from tellurio.server.refusals import unknown
from tellurio.store import metrics, runs

__all__ = ["page"]

page = Resource("page", prefix="")

STYLE = (
    "body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:46rem;padding:0 1rem;color-scheme:light dark}"
    "table{border-collapse:collapse;width:100%}th{text-align:left;font-weight:600;padding:.2rem 1rem .2rem 0;"
    "vertical-align:top;white-space:nowrap}td{overflow-wrap:anywhere}"
)
_HASH = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
POLICY = f"{CSP}; script-src 'none'; style-src 'sha256-{_HASH}'"


@page.route("GET", "/{ns}/projects/{project}/runs/{run}/", permission=Permission.READ, listed=False)
async def get_page(request: Request, run: str) -> Response:
    """The page."""
    project = caller(request).project
    found = await request.app.state.store.aread(_facts, project["id"], run)
    if found is None:
        raise unknown("Run", f"{project['namespace_slug']}/{project['slug']}/{run}")
    return Response(_written(*found), media_type="text/html", headers={"Content-Security-Policy": POLICY})


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
    title = html.escape(run["name"])
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title} - Tellurio</title>'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>{STYLE}</style></head>'
        f"<body><main><h1>{title}</h1>{_table(facts)}<h2>Metrics</h2>"
        f"{_table({m['name']: str(m['last']) for m in measured}) if measured else '<p>Nothing was logged yet.</p>'}"
        f"</main></body></html>"
    )


def _table(rows: dict[str, Any]) -> str:
    cells = (
        f'<tr><th scope="row">{html.escape(name)}</th><td>{html.escape(str(value))}</td></tr>'
        for name, value in rows.items()
        if value
    )
    return f"<table>{''.join(cells)}</table>"


def _when(moment: float | None) -> str | None:
    return None if moment is None else time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(moment))
