"""Deny by default: every route declares who may come in, and nobody else does."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi.routing import APIRoute
from starlette.responses import Response
from starlette.routing import Route

from tellurio.server.app import declared
from tellurio.server.doors import Door, Permission, PlainDoor, Resource
from tellurio.server.gate import _through_run
from tellurio.store import projects
from tests.tellurio.server.lab import House, Visitor, full_run, new_run

PAGE = "/{ns}/projects/{project}/"
PAGES = {"/", "/assets/{name}", PAGE, PAGE + "runs/{run}/", PAGE + "runs/{run}/{view}"}  # Studio's, which hold no data
PUBLIC = {("GET", path) for path in {"/healthz", "/login", *PAGES}}


def doors(home: House) -> list[Door | PlainDoor]:
    return [route for route in home.app.routes if isinstance(route, (Door, PlainDoor))]


def test_every_route_declares_a_permission(home: House) -> None:
    assert len(doors(home)) == len(home.app.routes) > 25
    assert all(isinstance(door.permission, Permission) for door in doors(home))
    public = {(m, d.path) for d in doors(home) if d.permission is Permission.PUBLIC for m in d.methods or ()}
    assert public == PUBLIC


def test_a_route_on_a_project_names_it_in_its_path(home: House) -> None:
    for door in doors(home):
        if door.permission in (Permission.READ, Permission.WRITE, Permission.OWN):
            names = set(door.param_convertors)
            named = {"run_id"} <= names or {"job_id"} <= names or {"ns", "project"} <= names
            assert named, door.path
        if door.methods and door.methods & {"POST", "PUT", "PATCH", "DELETE"}:
            assert door.permission is not Permission.PUBLIC, door.path
            assert door.permission is not Permission.READ, door.path


def test_a_route_without_a_permission_is_not_served() -> None:
    async def handler() -> Response:
        return Response()

    undeclared = Door("/x", handler)
    for route in (APIRoute("/x", handler), Route("/x", handler), undeclared):
        with pytest.raises(TypeError, match="/x declares no permission"):
            declared([route])
    resource = Resource("x")
    resource.route("GET", "/x", permission=Permission.OWN)(handler)
    assert declared(resource.routes)


def path_of(door: Door | PlainDoor, run: dict[str, Any]) -> str:
    names = {"ns": "ours", "project": "my-project", "run_id": run["id"], "run_slug": run["slug"], "run": run["slug"]}
    names |= {"name": "checkpoint", "version": 0, "number": 0, "key": 1, "sha256": run["digest"], "job_id": run["id"]}
    names |= {"reference": "last", "other": run["id"]}
    return door.path_format.format(**names)


BODIES: dict[tuple[str, str], dict[str, Any]] = {
    ("POST", "/namespaces"): {"json": {"slug": "mine"}},
    ("POST", "/projects"): {"json": {"display_name": "mine"}},
    ("PATCH", "/projects/my-project"): {"json": {"description": "changed"}},
    ("POST", "/runs"): {"json": {"id": "f" * 32}},
    ("PATCH", "/runs/"): {"json": {"notes": "changed"}},
    ("POST", "/once"): {"json": {"next": "/"}},
    ("POST", "/edits"): {"json": {"call": "1", "field": "output", "path": "/x", "value": 1}},
    ("POST", "/rerun"): {"json": {}},
    ("POST", "/journal"): {"params": {"client": "m", "first": 1}},
    ("PUT", "/blobs/"): {"content": b"the file's bytes"},
}


def ask(visitor: Visitor, method: str, path: str) -> int:
    found = [body for (m, part), body in BODIES.items() if m == method and (path.endswith(part) or f"{part}" in path)]
    return visitor(method, path, **(found[-1] if found else {})).status_code


def requests(home: House, run: dict[str, Any], permission: Permission) -> list[tuple[str, str]]:
    """All requests of routes with that permission, deletions last."""
    asked = [
        (method, path_of(door, run))
        for door in doors(home)
        if door.permission is permission
        for method in door.methods or ()
    ]
    return sorted(asked, key=lambda each: (each[0] == "DELETE", each))


ALL = [permission for permission in Permission if permission is not Permission.PUBLIC]


@pytest.mark.parametrize("permission", ALL)
def test_without_a_key_nothing_is_open(home: House, run: dict[str, Any], permission: Permission) -> None:
    wrong = [None, "tel_" + "x" * 43, "", "x", "tel_' OR '1'='1", "Ünïcode", "x" * 5000]
    for method, path in requests(home, run, permission):
        for key in wrong:
            visitor = Visitor(home.client, None)
            headers = {} if key is None else {"Authorization": f"Bearer {key}".encode()}
            assert visitor(method, path, headers=headers).status_code == 401, (method, path, key)


@pytest.mark.parametrize("permission", [p for p in ALL if p is not Permission.USER])
def test_a_stranger_cannot_even_see_that_it_is_there(home: House, run: dict[str, Any], permission: Permission) -> None:
    stranger = home.user("stranger")
    for method, path in requests(home, run, permission):
        assert ask(stranger, method, path) == 404, (method, path)
        # A Run, project or namespace that does not exist is refused in the same words.
        there = stranger(method, path)
        gone = stranger(
            method, path.replace(run["id"], "0" * 36).replace("my-project", "nothing").replace("ours", "none")
        )
        assert there.status_code == gone.status_code == 404
        if method != "HEAD" and path.startswith("/api/"):
            assert there.json()["error"]["code"] == gone.json()["error"]["code"] == "not_found"


@pytest.mark.parametrize(
    ("role", "may"),
    [
        ("VIEWER", {Permission.READ}),
        ("EDITOR", {Permission.READ, Permission.WRITE}),
        ("OWNER", {Permission.READ, Permission.WRITE, Permission.OWN}),
    ],
)
def test_a_role_opens_what_it_says(
    home: House, owner: Visitor, run: dict[str, Any], role: str, may: set[Permission]
) -> None:
    guest = home.user("guest")
    home.role(guest, run["project"]["id"], role)
    for permission in (Permission.READ, Permission.WRITE, Permission.OWN):
        for method, path in requests(home, run, permission):
            status = ask(guest, method, path)
            if permission not in may:
                assert status == 403, (method, path)
            elif (role, method) == ("EDITOR", "DELETE") and path.endswith(f"/runs/{run['id']}"):
                assert status == 403, "only the owner deletes another user's Run"
            else:
                assert status < 500, (method, path)
                assert status not in (401, 403), (method, path)


@pytest.mark.parametrize(
    ("visibility", "stranger_may", "member_may"),
    [("RESTRICTED", 404, 404), ("TEAM", 404, 200), ("PUBLIC", 403, 200), ("OPEN", 200, 200)],
)
def test_visibility(
    home: House, owner: Visitor, run: dict[str, Any], visibility: str, stranger_may: int, member_may: int
) -> None:
    stranger, member = home.user("stranger"), home.user("member")
    inside = owner.json("GET", "/api/v1/namespaces/ours")
    home.store.write(projects.set_namespace_role, inside["id"], member.user["id"], "MEMBER")
    owner.json("PATCH", "/api/v1/namespaces/ours/projects/my-project", json={"visibility": visibility})
    one = f"/api/v1/runs/{run['id']}"
    assert stranger("PATCH", one, json={"notes": "x"}).status_code == stranger_may
    assert member("PATCH", one, json={"notes": "x"}).status_code == member_may
    assert stranger("DELETE", "/api/v1/namespaces/ours/projects/my-project").status_code in (403, 404)


def test_a_role_that_was_taken_away_is_gone_at_once(home: House, owner: Visitor, run: dict[str, Any]) -> None:
    stranger, one = home.user("stranger"), f"/api/v1/runs/{run['id']}"
    change = "/api/v1/namespaces/ours/projects/my-project"
    owner.json("PATCH", change, json={"visibility": "PUBLIC"})
    assert stranger("GET", one).status_code == 200
    owner.json("PATCH", change, json={"visibility": "RESTRICTED"})
    assert stranger("GET", one).status_code == 404


def test_what_was_read_just_before_a_role_was_taken_away_is_not_believed_later(
    home: House, owner: Visitor, run: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    stranger, one = home.user("stranger"), f"/api/v1/runs/{run['id']}"
    owner.json("PATCH", "/api/v1/namespaces/ours/projects/my-project", json={"visibility": "PUBLIC"})
    read = home.store.aread

    async def slow(work: Any, *args: Any, **options: Any) -> Any:
        found = await read(work, *args, **options)
        if work is _through_run:
            close = "UPDATE projects SET visibility = 'RESTRICTED'"
            await home.store.awrite(lambda c: c.exec_driver_sql(close).close())
            home.app.state.gate.forget()  # another request does it, while this one still has its answer in hand
        return found

    with monkeypatch.context() as patched:
        patched.setattr(home.store, "aread", slow)
        stranger("GET", one)
    assert stranger("GET", one).status_code == 404


def test_a_run_of_another_project_is_not_reached_through_ones_own(
    home: House, owner: Visitor, run: dict[str, Any]
) -> None:
    other = home.user("peter")
    theirs = full_run(other, "theirs", "Other")
    assert other("GET", f"/api/v1/namespaces/theirs/projects/other/runs/{run['slug']}").json()["id"] == theirs["id"]
    key = owner.json("GET", f"/api/v1/runs/{run['id']}/calls")[0]["key"]
    assert other("GET", f"/api/v1/runs/{theirs['id']}/calls/{key}").status_code == 404
    journal = f"/api/v1/runs/{theirs['id']}/journal?client=c-{run['id']}&first=1"
    assert other("POST", journal, content=b"").status_code == 422  # that journal belongs to another Run


def test_ones_own_run_can_be_deleted_as_an_editor(home: House, owner: Visitor, run: dict[str, Any]) -> None:
    guest = home.user("guest")
    home.role(guest, run["project"]["id"], "EDITOR")
    mine = new_run(guest, "ours", "my-project")
    assert guest("DELETE", f"/api/v1/runs/{mine['id']}").status_code == 204
    assert guest("DELETE", f"/api/v1/runs/{mine['id']}").status_code == 404
