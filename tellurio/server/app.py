"""The app: the only place that wires things together."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.utils import get_openapi
from pydantic.json_schema import models_json_schema
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from tellurio.engine.jobs import Jobs
from tellurio.schemas.version import our_version
from tellurio.server.answers import answer
from tellurio.server.collecting import Feeding, collecting
from tellurio.server.doors import Door, Permission, PlainDoor, Resource
from tellurio.server.edge import Edge
from tellurio.server.edging import Edging
from tellurio.server.gate import Gate
from tellurio.server.hooks import Hooks
from tellurio.server.jobs import jobs
from tellurio.server.live import Hub
from tellurio.server.models import Acknowledged, Hint, Refusal
from tellurio.server.outputs import tidying
from tellurio.server.refusals import invalid, refused
from tellurio.server.resources import journal as journal_resource
from tellurio.server.resources.artifacts import artifacts
from tellurio.server.resources.blobs import blobs
from tellurio.server.resources.calls import calls
from tellurio.server.resources.events import events
from tellurio.server.resources.health import health
from tellurio.server.resources.journal import journal
from tellurio.server.resources.live import live
from tellurio.server.resources.login import login, once
from tellurio.server.resources.me import me
from tellurio.server.resources.metrics import metrics
from tellurio.server.resources.namespaces import namespaces
from tellurio.server.resources.projects import projects
from tellurio.server.resources.prompts import prompts
from tellurio.server.resources.recordings import recordings
from tellurio.server.resources.runs import runs
from tellurio.server.resources.studio import studio
from tellurio.server.sessions import Codes
from tellurio.server.settings import ServerSettings
from tellurio.server.sweeps import expiry
from tellurio.store.store import Store

__all__ = ["declared", "make_app"]

schema = Resource("schema")


@schema.route("GET", "/openapi.json", permission=Permission.USER, listed=False)
async def get_schema(request: Request) -> Response:
    """The description of the API."""
    return answer(request.app.openapi())


def make_app(store: Store, settings: ServerSettings) -> FastAPI:
    """The server's app over ``store``.

    ``app.state`` has ``store``, ``settings``, ``gate``, ``codes``, ``hooks``, ``hub``, ``jobs``, ``feeding``
    and ``edging``.
    """
    app = _App(
        title="Tellurio",
        version=our_version(),
        lifespan=_lifespan,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,
        exception_handlers={HTTPException: refused, RequestValidationError: invalid},
        telemetry={"tracing": False, "metrics": False, "logs": False, "auto_configure": False},
    )
    app.state.store, app.state.settings = store, settings
    app.state.codes = Codes(settings.code_seconds)
    app.state.gate = Gate(store, settings.identity_seconds)
    app.state.hooks = Hooks()
    app.state.hub = hub = Hub()
    app.state.jobs = Jobs(store)
    app.state.hooks.startup.append(app.state.jobs.recover)
    app.state.hooks.sweep.append(app.state.jobs.sweep)
    app.state.hooks.shutdown.append(app.state.jobs.close)
    app.state.feeding = Feeding(store, settings, hub)
    app.state.edging = Edging(store, hub)
    app.state.hooks.startup += [app.state.edging.start, app.state.feeding.start]
    app.state.hooks.shutdown += [app.state.edging.stop, app.state.feeding.stop]
    app.state.hooks.sweep += [collecting(store, settings, hub), expiry(store, hub), tidying(store)]
    resources = [
        journal(settings),  # first: it is asked for most
        *(health, me, once, login, namespaces, projects, runs, metrics, calls, prompts, events, live, jobs),
        recordings,
        *(blobs(settings), artifacts, schema, studio),
    ]
    app.router.routes[:] = declared([route for resource in resources for route in resource.routes])
    app.add_middleware(Edge, settings=settings)
    return app


class _App(FastAPI):
    def openapi(self) -> dict[str, Any]:
        """The description of the API, with the doors that FastAPI does not know."""
        if self.openapi_schema is None:
            self.openapi_schema = _described(self.title, self.version, self.routes)
        return self.openapi_schema


def _described(title: str, version: str, routes: Sequence[BaseRoute]) -> dict[str, Any]:
    described = get_openapi(title=title, version=version, routes=routes)
    described["paths"][f"/api/v1{journal_resource.PATH}"] = journal_resource.DESCRIPTION
    _, models = models_json_schema(
        [(model, "serialization") for model in (Acknowledged, Hint, Refusal)],
        ref_template="#/components/schemas/{model}",
    )
    described["components"]["schemas"].update(models["$defs"])
    described["components"]["securitySchemes"] = {
        "key": {"type": "http", "scheme": "bearer"},
        "session": {"type": "apiKey", "in": "cookie", "name": "tellurio_session"},
    }
    for path, operations in described["paths"].items():
        for operation in operations.values():
            _complete(path, operation)
    return described


def _complete(path: str, operation: dict[str, Any]) -> None:
    """Who may ask, and the parts of the path that the gate reads and the handler does not."""
    if path != "/healthz":
        operation["security"] = [{"key": []}, {"session": []}]
    parameters = operation.setdefault("parameters", [])
    known = {each["name"] for each in parameters}
    for name in re.findall(r"{(\w+)}", path):
        if name not in known:
            parameters.append({"name": name, "in": "path", "required": True, "schema": {"type": "string"}})


def declared(routes: list[BaseRoute]) -> list[BaseRoute]:
    """The routes, all of which say who may come in: there is no server with one that does not."""
    for route in routes:
        if not isinstance(route, (Door, PlainDoor)) or not isinstance(getattr(route, "permission", None), Permission):
            raise TypeError(f"the route {getattr(route, 'path', route)} declares no permission")
    return routes


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    hooks: Hooks = app.state.hooks
    await hooks.start()
    sweeper = asyncio.create_task(hooks.sweep_for_ever(app.state.settings.sweep_seconds))
    try:
        yield
    finally:
        hooks.closing.set()
        await sweeper
        await hooks.stop()
