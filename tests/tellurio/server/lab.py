"""What the server's tests share: an app in this process, users, and a Run with something of everything in it."""

from __future__ import annotations

import hashlib
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import orjson
from fastapi import FastAPI
from starlette.testclient import TestClient

from tellurio.server.app import make_app
from tellurio.server.settings import ServerSettings
from tellurio.store import projects, users
from tellurio.store.store import Store

__all__ = [
    "PORT",
    "URL",
    "House",
    "Visitor",
    "files_in",
    "full_run",
    "house",
    "line",
    "metric_line",
    "new_run",
    "record_of_a_call",
]

PORT = 7117
URL = f"http://127.0.0.1:{PORT}"


class Visitor:
    """Somebody with a key (or None without one) and the client that sends it."""

    def __init__(self, client: TestClient, key: str | None, user: dict[str, Any] | None = None) -> None:
        self._client, self.key, self.user = client, key, user or {}

    def __call__(self, method: str, path: str, **options: Any) -> httpx2.Response:
        headers = {"Authorization": f"Bearer {self.key}"} if self.key else {}
        headers |= options.pop("headers", {})
        options.setdefault("follow_redirects", False)
        return self._client.request(method, path, headers=headers, **options)

    def json(self, method: str, path: str, **options: Any) -> Any:
        """The decoded body of an answer that is no refusal."""
        response = self(method, path, **options)
        assert response.status_code < 300, (method, path, response.status_code, response.text)
        return orjson.loads(response.content) if response.content else None


class House:
    """A store, its app, and a client for each user."""

    def __init__(self, store: Store, app: FastAPI, client: TestClient) -> None:
        self.store, self.app, self.client = store, app, client
        self.nobody = Visitor(client, None)

    def user(self, name: str) -> Visitor:
        """A new user."""

        def make(connection: Any) -> tuple[dict[str, Any], str]:
            user = users.make_user(connection, name, f"{name}@example.org")
            return user, users.make_key(connection, user["id"], "test")[1]

        user, key = self.store.write(make)
        return Visitor(self.client, key, user)

    def role(self, visitor: Visitor, project_id: str, role: str) -> None:
        """Give somebody a role in a project."""
        self.store.write(projects.set_project_role, project_id, visitor.user["id"], role)
        self.app.state.gate.forget()


@contextmanager
def house(folder: Path, **settings: Any) -> Iterator[House]:
    """A server in this process, without the built page; a stream ends when it has said what there is to say."""
    settings = {"live_seconds": 0.0, "static": folder / "no-page", **settings}
    store = Store.open(folder)
    try:
        app = make_app(store, ServerSettings(port=PORT, **settings))
        with TestClient(app, base_url=URL, raise_server_exceptions=True) as client:
            yield House(store, app, client)
    finally:
        store.close()


def files_in(folder: Path) -> set[Path]:
    """All files in ``folder`` and below."""
    return {path for path in folder.rglob("*") if path.is_file()}


def line(n: int, k: str, /, **fields: Any) -> bytes:
    """A line of a journal."""
    return orjson.dumps({"n": n, "t": time.time(), "k": k, **fields}) + b"\n"


def metric_line(n: int, name: str = "loss", value: Any = 0.5, step: int | None = None) -> bytes:
    """A line with one point."""
    return line(n, "m", name=name, v=value, step=step)


def record_of_a_call(**changes: Any) -> dict[str, Any]:
    """A call as a client's journal has it."""
    return {
        "key": "0" * 64,
        "role": "optimizer",
        "phase": "step",
        "node": "n",
        "words": "1",
        "provider": "openai",
        "host": "api.openai.com",
        "model": "gpt-5",
        "source": "live",
        "attempts": 1,
        "started": 1.0,
        "seconds": 0.5,
        "usage": {
            "input_tokens": 10,
            "output_tokens": 5,
            "cached_tokens": 0,
            "reasoning_tokens": 0,
            "estimated": False,
        },
        "cost": {"usd": "0.0012"},
        "request": {"messages": [{"role": "user", "content": "hello"}]},
        "response": {"choices": []},
        **changes,
    }


def new_run(visitor: Visitor, namespace: str, project: str, **fields: Any) -> dict[str, Any]:
    """A new Run of a project that is there."""
    body = {"id": str(uuid.uuid4()), **fields}
    made: dict[str, Any] = visitor.json("POST", f"/api/v1/namespaces/{namespace}/projects/{project}/runs", json=body)
    return made


def full_run(visitor: Visitor, namespace: str = "ours", project: str = "My Project") -> dict[str, Any]:
    """A Run with something of everything in it, in a RESTRICTED project of a new namespace."""
    visitor.json("POST", "/api/v1/namespaces", json={"slug": namespace})
    made = visitor.json("POST", f"/api/v1/namespaces/{namespace}/projects", json={"display_name": project})
    run = new_run(visitor, namespace, made["slug"], name="first", config={"lr": 0.1}, tags=["a"], client={"v": "1"})
    blob = b"the file's bytes"
    digest = hashlib.sha256(blob).hexdigest()
    visitor.json("PUT", f"/api/v1/runs/{run['id']}/blobs/{digest}", content=blob)
    lines = [
        metric_line(1, value=1.5, step=1),
        metric_line(2, value="nan", step=2),
        metric_line(3, "top", "inf"),
        line(4, "v", name="note", type="text", v="said <b>so</b>", step=None),
        line(5, "c", record=record_of_a_call()),
        line(6, "e", kind="fit_start", data={"prompts": {"p": "one"}}),
        line(7, "e", kind="prompt", data={"parameter": "p", "role": "r", "before": "one", "after": "two"}),
        line(8, "a", name="checkpoint", kind="checkpoint", files=[_file("a/b.txt", digest, blob)]),
    ]
    path = f"/api/v1/runs/{run['id']}/journal?client=c-{run['id']}&first=1"
    said = visitor.json("POST", path, content=b"".join(lines))
    assert said == {"acknowledged": 8, "status": "RUNNING"}
    return {**run, "project": made, "digest": digest}


def _file(path: str, digest: str, content: bytes) -> dict[str, Any]:
    return {"path": path, "sha256": digest, "size": len(content)}
