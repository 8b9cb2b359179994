"""Namespaces, projects, roles."""

from __future__ import annotations

import itertools
import uuid
from typing import Any

import pytest

from tellurio.store import Store
from tellurio.store.artifacts import add_artifact
from tellurio.store.projects import (
    NAMESPACE_ROLES,
    ROLES,
    VISIBILITIES,
    delete_project,
    make_namespace,
    make_project,
    namespace,
    namespaces_of,
    project,
    projects,
    role_in,
    set_namespace_role,
    set_project_role,
    update_project,
)
from tellurio.store.runs import make_run, run_by_key
from tellurio.store.users import make_user


def test_a_namespace_belongs_to_who_made_it(store: Store, user: dict[str, Any]) -> None:
    made = store.write(make_namespace, "acme", "Acme Inc.", user["id"])
    assert store.read(namespace, "acme") == made
    assert store.read(namespace, "other") is None
    assert store.read(namespaces_of, user["id"]) == [{**made, "role": "OWNER"}]
    with pytest.raises(ValueError, match="'acme' is taken"):
        store.write(make_namespace, "acme", "Again", user["id"])


@pytest.mark.parametrize("slug", ["", "A", "-a", "_a", "a b", "a/b", "..", "a" * 65, "ä", "a\n"])
def test_what_cannot_be_a_namespace(slug: str, store: Store, user: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="expected a namespace of 1 to 64 characters"):
        store.write(make_namespace, slug, "x", user["id"])


@pytest.mark.parametrize(("name", "slug"), [("My Project", "my-project"), ("  Über_2 -- x ", "uber-2-x"), ("7", "7")])
def test_a_project_has_its_slug_from_its_name(name: str, slug: str, store: Store, user: dict[str, Any]) -> None:
    store.write(make_namespace, "acme", "Acme", user["id"])
    made = store.write(make_project, "acme", name, "TEAM", user["id"])
    assert made["slug"] == slug
    assert store.read(project, "acme", slug) == made
    assert store.read(projects, "acme", user["id"]) == [{**made, "role": "OWNER"}]
    with pytest.raises(ValueError, match=f"{slug!r} exists in namespace 'acme'"):
        store.write(make_project, "acme", name, "TEAM", user["id"])


@pytest.mark.parametrize(
    ("namespace", "name", "visibility", "error", "says"),
    [
        ("nowhere", "x", "TEAM", LookupError, "no namespace 'nowhere'"),
        ("alice", "", "TEAM", ValueError, "a project name of 1 to 200"),
        ("alice", "!!!", "TEAM", ValueError, "a letter a-z or a digit"),
        ("alice", "x" * 201, "TEAM", ValueError, "a project name of 1 to 200"),
        ("alice", "x", "SECRET", ValueError, "RESTRICTED, TEAM, PUBLIC, OPEN, got 'SECRET'"),
    ],
)
def test_what_cannot_be_a_project(
    namespace: str,
    name: str,
    visibility: str,
    error: type[Exception],
    says: str,
    store: Store,
    user: dict[str, Any],
    project: dict[str, Any],
) -> None:
    with pytest.raises(error, match=says):
        store.write(make_project, namespace, name, visibility, user["id"])


def test_a_project_changes_and_its_slug_stays(store: Store, project: dict[str, Any]) -> None:
    changes: dict[str, Any] = {"display_name": "New", "description": "what it is for", "visibility": "OPEN"}
    changed = store.write(update_project, project["id"], **changes)
    assert changed == {**project, **changes, "updated": changed["updated"]}
    for wrong in ({"slug": "x"}, {"visibility": "x"}, {"display_name": ""}, {"description": 7}):
        with pytest.raises(ValueError, match="expected"):
            store.write(update_project, project["id"], **wrong)
    with pytest.raises(LookupError, match="no project"):
        store.write(update_project, "x", display_name="y")


def expected_role(member: str | None, inside: str | None, visibility: str) -> str | None:
    if member == "OWNER" or inside == "OWNER":
        return "OWNER"
    if member == "EDITOR" or visibility == "OPEN" or (inside and visibility in ("TEAM", "PUBLIC")):
        return "EDITOR"
    return "VIEWER" if member == "VIEWER" or visibility == "PUBLIC" else None


def test_roles(store: Store, user: dict[str, Any], project: dict[str, Any]) -> None:
    """Everybody there can be, in every project there can be."""
    cases = list(itertools.product([None, *ROLES], [None, *NAMESPACE_ROLES], VISIBILITIES))
    for number, (member, inside, visibility) in enumerate(cases):
        somebody = store.write(make_user, f"user {number}", "x@example.org")
        space = store.write(make_namespace, f"space{number}", "Space", user["id"])
        place = store.write(make_project, space["slug"], "Place", visibility, user["id"])
        store.write(set_namespace_role, space["id"], somebody["id"], inside)
        store.write(set_project_role, place["id"], somebody["id"], member)
        role = expected_role(member, inside, visibility)
        assert store.read(role_in, somebody["id"], place) == role, (member, inside, visibility)
        listed = store.read(projects, space["slug"], somebody["id"])
        assert [each["role"] for each in listed] == ([role] if role else [])
        assert store.read(role_in, user["id"], place) == "OWNER"
    assert store.read(role_in, "nobody", project) is None
    assert store.read(role_in, user["id"], {**project, "id": "gone"}) is None


def test_a_role_that_is_none(store: Store, user: dict[str, Any], project: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="VIEWER, EDITOR, OWNER, got 'KING'"):
        store.write(set_project_role, project["id"], user["id"], "KING")


def test_deleting_a_project_takes_all_of_it(
    store: Store, user: dict[str, Any], project: dict[str, Any], run: dict[str, Any]
) -> None:
    def files(*names: str) -> list[dict[str, Any]]:
        return [{"path": name, "sha256": name * 64, "size": 1} for name in names]

    def fill(c: Any) -> dict[str, Any]:
        for name in "abc":
            c.exec_driver_sql("INSERT INTO blobs VALUES (?, 1, 0)", (name * 64,))
        other = make_project(c, "alice", "Other", "TEAM", user["id"])
        inside = make_run(c, other["id"], user["id"], id=str(uuid.uuid4()))
        add_artifact(c, run["key"], "model", "file", files("a", "b"), 0.0)
        add_artifact(c, run["key"], "model", "file", files("a", "c"), 0.0)
        add_artifact(c, inside["key"], "model", "file", files("b"), 0.0)
        return other

    other = store.write(fill)
    assert store.write(delete_project, project["id"]) == ["a" * 64, "c" * 64]
    assert store.read(run_by_key, run["key"]) is None
    left = "SELECT count(*) FROM artifacts UNION ALL SELECT count(*) FROM blobs"
    assert store.read(lambda c: c.exec_driver_sql(left).scalars().all()) == [1, 1]
    assert store.write(delete_project, other["id"]) == ["b" * 64]
    assert store.write(delete_project, other["id"]) == []
