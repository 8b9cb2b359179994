"""Projects: made, found, listed, changed, deleted, on a running server."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime

import pytest

from afnio.errors import ServerError
from tellurio.client.http import Client
from tellurio.client.project import (
    VISIBILITIES,
    Project,
    create_project,
    delete_project,
    get_project,
    list_projects,
    update_project,
)
from tests.tellurio.running import ServerProcess


@pytest.fixture
def client(server: ServerProcess) -> Client:
    return Client(server.url, server.key)


@pytest.fixture
def namespace(client: Client) -> str:
    slug = f"n{uuid.uuid4().hex[:12]}"
    client.post("/api/v1/namespaces", json={"slug": slug})
    return slug


def test_a_project_is_what_scripts_know_it_as(client: Client, namespace: str) -> None:
    made = create_project(namespace, "My Project!", client=client)
    assert (made.display_name, made.slug, made.visibility, made.role) == ("My Project!", "my-project", "TEAM", "OWNER")
    assert made.org_slug == namespace
    assert made.org_uuid == client.get(f"/api/v1/namespaces/{namespace}")["id"]
    assert made.org_display_name == namespace
    assert made.date_created is not None
    assert made.date_created.tzinfo is UTC
    assert abs((datetime.now(UTC) - made.date_created).total_seconds()) < 3600
    assert made.last_run_date is None
    assert get_project(namespace, "my-project", client) == made
    assert list_projects(namespace, client) == [made]


def test_what_is_not_there_is_none_or_an_error(client: Client, namespace: str) -> None:
    assert get_project(namespace, "none", client) is None
    assert get_project("no/such?namespace", "none", client) is None
    with pytest.raises(ServerError) as missing:
        list_projects("nowhere", client)
    assert missing.value.status_code == 404
    assert missing.value.request_id
    with pytest.raises(ServerError) as missing:
        delete_project(namespace, "none", client)
    assert missing.value.status_code == 404


def test_a_name_that_is_taken_is_refused(client: Client, namespace: str) -> None:
    create_project(namespace, "One", client=client)
    with pytest.raises(ServerError, match="one") as taken:
        create_project(namespace, "one", client=client)
    assert taken.value.status_code == 409


@pytest.mark.parametrize("visibility", VISIBILITIES)
def test_the_four_visibilities(visibility: str, client: Client, namespace: str) -> None:
    assert create_project(namespace, "P", visibility, client=client).visibility == visibility  # type: ignore[arg-type]


def test_another_visibility_is_refused_before_it_is_sent(client: Client) -> None:
    with pytest.raises(ValueError, match=r"one of RESTRICTED, TEAM, PUBLIC, OPEN; got 'SECRET'"):
        create_project("n", "P", "SECRET", client=Client("http://127.0.0.1:9", None))  # type: ignore[arg-type]


def test_a_change_leaves_the_slug_and_what_is_not_said(client: Client, namespace: str) -> None:
    made = create_project(namespace, "Before", client=client)
    changed = update_project(namespace, made.slug, display_name="After", description="Words", client=client)
    assert (changed.slug, changed.display_name, changed.visibility) == ("before", "After", "TEAM")
    assert changed.description == "Words"
    assert update_project(namespace, made.slug, visibility="OPEN", client=client).display_name == "After"


def test_a_deleted_project_is_gone(client: Client, namespace: str) -> None:
    create_project(namespace, "P", client=client)
    assert delete_project(namespace, "p", client) is None  # type: ignore[func-returns-value]
    assert get_project(namespace, "p", client) is None
    assert list_projects(namespace, client) == []


def test_a_project_can_be_made_by_position_as_before() -> None:
    project = Project("u", "Name", "name", None, None, "TEAM", "OWNER", "o", "Org", "org")
    assert (project.org_uuid, project.org_display_name, project.org_slug) == ("o", "Org", "org")
