"""``te.init``: finds or makes the project, begins a Run there, and makes it the active one."""

from __future__ import annotations

import logging
import os
import threading
import uuid as uuids
import weakref
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from typing import Any, Literal
from urllib.parse import quote

from afnio import _dispatch
from afnio.calls import Budget
from afnio.errors import JournalError, ServerError
from tellurio.client import folders, orphans, paths
from tellurio.client.about import about_client
from tellurio.client.arguments import budget_of, config_of, lease_of_runs, limits_of, project_slug, tags_of, text_of
from tellurio.client.context import active_run, parent_of_new_runs, set_active_run
from tellurio.client.ending import Safeguard
from tellurio.client.engine import RemoteEngine
from tellurio.client.http import Client
from tellurio.client.journal import Journal
from tellurio.client.lines import show_lines
from tellurio.client.login import connect
from tellurio.client.project import Project, create_project, get_project
from tellurio.client.run import PARENT, Run, RunStatus
from tellurio.client.sender import Sender
from tellurio.client.tracker import RunTracker

__all__ = ["init"]

_log = logging.getLogger("afnio.tellurio")


def init(
    namespace_slug: str,
    project_display_name: str,
    name: str | None = None,
    description: str | None = None,
    status: RunStatus | str = RunStatus.RUNNING,
    client: Client | None = None,
    *,
    config: Mapping[str, Any] | None = None,
    tags: Iterable[str] | None = None,
    parent: str | Run | None = None,
    budget: Budget | float | str | Decimal | None = None,
    lm_calls: Literal["server", "client"] = "server",
) -> Run:
    """Begin a Run; it is the active one of this process until it is finished.

    Nothing needs to be set up: without a server of your own the local one is started.  A Run that is still open is
    ended as FAILED.  The script's end ends the Run: COMPLETED, or CRASHED if it ends by an exception.

    Args:
        namespace_slug: yours or your team's; lower-case letters, digits, ``_`` and ``-``.  On the local server it is
            made if it is not there.
        project_display_name: made with RESTRICTED visibility if it is not there.
        name: of the Run; ``_1``, ``_2``, ... is appended where it is taken.  A random one if not given.
        description: in words.
        status: RUNNING; there for scripts that give it.
        client: of the server; the one that ``te.login`` found if not given.
        config: what the Run is made with: learning rates, model names; anything JSON can hold.
        tags: words to find it by.
        parent: the Run it is a part or a repetition of, or its uuid.
        budget: what all LM calls of the Run together may cost: dollars, or a `Budget`.
        lm_calls: who makes the LM calls of ``backward()`` and ``step()``: the server, or (``"client"``) this process.

    Raises:
        TypeError, ValueError: an argument is none that can be used; nothing was made.
        ServerUnreachableError, ServerStartError, InvalidAPIKeyError: there is no server to use.
        ServerError: it refused; among others: there is no such namespace.
        JournalError: nothing can be written on this machine.
    """
    slug = project_slug(namespace_slug, project_display_name)
    if status != RunStatus.RUNNING:
        raise ValueError(f"te.init(status={status!r:.100}): a Run begins RUNNING; run.finish(status=...) ends it.")
    limit = budget_of(budget)
    if lm_calls not in ("server", "client"):
        raise ValueError(f"te.init(lm_calls={lm_calls!r}): expected 'server' or 'client'.")
    lease = lease_of_runs()
    body = {
        "id": str(uuids.uuid4()),
        "name": text_of(name, "name", 200),
        "description": text_of(description, "description", 100_000),
        "config": config_of(config),
        "tags": tags_of(tags),
        "parent_id": _parent(parent),
        "budget": limits_of(limit),
        "client": about_client(),
        "lease": lease,
    }
    show_lines()
    client = connect() if client is None else client
    server_id = client.get("/api/v1/me")["server"]["server_id"]
    _end_previous()
    project = _project(namespace_slug, project_display_name, slug, client)
    run = _begun(body, project, client, server_id, lease / 6)
    _install(run, RemoteEngine(run.uuid, client, budget=limit, lm_calls=lm_calls))
    _log.info("Run '%s' created successfully at: %s", run.name, run.url)
    return run


def _parent(parent: object) -> str | None:
    if parent is None or isinstance(parent, Run):
        return parent_of_new_runs() if parent is None else parent.uuid
    try:
        return str(uuids.UUID(str(parent)))
    except ValueError:
        raise ValueError(f"te.init(parent={parent!r:.100}): expected a Run, or the uuid of one.") from None


def _end_previous() -> None:
    run = active_run()
    if run is None or run._sender is None:
        return
    _log.warning(
        "Run '%s' is still open, and another one begins: it ends as FAILED. run.finish() ends it well.", run.name
    )
    run.finish(status=RunStatus.FAILED)


def _project(namespace: str, display_name: str, slug: str, client: Client) -> Project:
    found = get_project(namespace, slug, client)
    if found is None:
        _make_namespace(namespace, client)
        _log.info(
            "Project with slug '%s' does not exist in namespace '%s'. Creating it now with RESTRICTED visibility.",
            *(slug, namespace),
        )
        try:
            return create_project(namespace, display_name, "RESTRICTED", client)
        except ServerError as error:
            found = get_project(namespace, slug, client) if error.status_code == 409 else None  # another was faster
            if found is None:
                raise
            return found
    _log.info("Project with slug '%s' already exists in namespace '%s'.", slug, namespace)
    return found


def _make_namespace(namespace: str, client: Client) -> None:
    """On the local server; elsewhere an admin makes them."""
    try:
        client.get(f"/api/v1/namespaces/{quote(namespace, safe='')}")
    except ServerError as error:
        if error.status_code != 404:
            raise
        if not client.is_local:
            answer = client.get("/api/v1/namespaces")
            yours = [each["slug"] for each in (answer["namespaces"] if isinstance(answer, dict) else answer)]
            raise ServerError(
                f"There is no namespace {namespace!r} on {client.url} that you may use. "
                + (f"Yours are: {', '.join(yours)}." if yours else "You have none: ask the server's admin for one."),
                status_code=404,
                body=error.body,
                request_id=error.request_id,
            ) from None
        try:
            client.post("/api/v1/namespaces", json={"slug": namespace})
        except ServerError as refused:
            if refused.status_code != 409:
                raise


def _begun(body: dict[str, Any], project: Project, client: Client, server_id: str, heartbeat: float) -> Run:
    """The journal is opened first: where nothing can be written, no Run is made."""
    folder = paths.private_folder(paths.journals()) / body["id"]
    try:
        journal = Journal(folder, uuids.uuid4().hex)
        lock = folders.claim(folder)
    except OSError as error:
        raise JournalError(
            f"The journal of the Run cannot be written in {folder}: {error.strerror or error}. Free some space, or set "
            f"TELLURIO_HOME to a folder that can be written."
        ) from error
    assert lock is not None, "nobody else knows the folder"
    release = weakref.finalize(journal, os.close, lock)
    namespace = project.org_slug or ""
    try:
        made = client.post(f"/api/v1/namespaces/{quote(namespace)}/projects/{quote(project.slug)}/runs", json=body)
        meta = _meta(made, project, client, server_id)
        folders.write_meta(folder, meta)
    except BaseException:
        journal.close()
        release()
        folders.remove_if_done(folder, {})
        raise
    run = Run(meta, folder)
    run.client, run._journal = client, journal
    run._sender = Sender(folder, run.uuid, run.name, client, _renewal(client), heartbeat, release)
    journal.wake = run._sender.wake
    run._sender.add(journal)
    return run


def _meta(made: Mapping[str, Any], project: Project, client: Client, server_id: str) -> dict[str, Any]:
    user = made["user"]
    return {
        "v": 1,
        "run_id": made["id"],
        "name": made["name"],
        "slug": made["slug"],
        "description": made["description"],
        "created": made["created"],
        "namespace": made["namespace_slug"],
        "project": {"uuid": project.uuid, "display_name": project.display_name, "slug": project.slug},
        "user": {"uuid": user["id"], "username": user["username"], "slug": user["slug"]},
        "url": client.url,
        "server_id": server_id,
    }


def _renewal(client: Client) -> Callable[[], Client]:
    """Finds the server again: a local one may listen elsewhere now, a key may have been renewed."""

    def renew() -> Client:
        found = connect()
        if found is not client and found.is_local == client.is_local and (client.is_local or found.url == client.url):
            client.url, client.key = found.url, found.key  # in place: the engine holds it too
        return client

    return renew


def _install(run: Run, engine: RemoteEngine) -> None:
    """Make ``run`` what the library and the rest of the script use, until it ends."""
    assert run._sender is not None
    run._sender.start()
    safeguard = Safeguard(run._end)
    run._undo = [
        safeguard.remove,
        lambda: os.environ.pop(PARENT, None),
        lambda: set_active_run(None),
        _dispatch.set_default_tracker(RunTracker(run)),
        _dispatch.set_default_engine(engine),
        engine.open(),
        engine.close,
    ]
    set_active_run(run)
    os.environ[PARENT] = str(run.folder)
    if run.client is not None and not run.client.is_local:  # a local server collects them itself
        threading.Thread(target=_collect, args=(run.client,), name="tellurio-orphans", daemon=True).start()


def _collect(client: Client) -> None:
    try:
        done = orphans.sync(client)
        if done.sent:
            _log.info("Sent what %d earlier Runs had left to be sent.", len(done.sent))
    except Exception:  # noqa: BLE001  it is tried again the next time
        _log.debug("Sending what earlier Runs left failed", exc_info=True)
