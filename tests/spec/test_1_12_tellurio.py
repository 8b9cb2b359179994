"""`afnio.tellurio`: names and signatures; what it does on a server is tested in ``tests/tellurio``."""

from __future__ import annotations

import dataclasses
import inspect

import pytest

import afnio.tellurio as te
import afnio.tellurio.run as te_run
from afnio.tellurio import client, consent, project, run_context
from tests.spec.signatures import takes


def test_their_signatures() -> None:
    takes(te.login, "api_key=None, relogin=False")
    parameters = inspect.signature(te.init).parameters
    first = ["namespace_slug", "project_display_name", "name", "description", "status", "client"]
    assert list(parameters)[:6] == first
    assert parameters["status"].default is te.RunStatus.RUNNING
    takes(te.log, "name, value, step=None, client=None")
    takes(te.Run.log, "name, value, step=None, client=None")
    assert inspect.signature(te.Run.finish).parameters["status"].default is te.RunStatus.COMPLETED
    takes(project.get_project, "namespace_slug, project_slug, client=None")
    takes(project.create_project, "namespace_slug, display_name, visibility='TEAM', client=None")
    takes(project.delete_project, "namespace_slug, project_slug, client=None")


def test_their_names() -> None:
    assert {"configure_logging", "init", "log", "login", "suppress_variable_notifications"} <= set(te.__all__)
    assert te_run.init is te.init
    assert {"RUNNING", "CRASHED", "COMPLETED", "FAILED"} <= {status.name for status in te.RunStatus}
    fields = {
        te_run.RunOrg: ["slug"],
        te_run.RunProject: ["uuid", "display_name", "slug"],
        te_run.RunUser: ["uuid", "username", "slug"],
    }
    for cls, names in fields.items():
        assert [field.name for field in dataclasses.fields(cls)] == names
    facts = "uuid display_name slug date_created last_run_date visibility role org_uuid org_display_name org_slug"
    assert " ".join([field.name for field in dataclasses.fields(project.Project)][:10]) == facts
    assert project.VISIBILITIES == ("RESTRICTED", "TEAM", "PUBLIC", "OPEN")
    assert issubclass(client.InvalidAPIKeyError, RuntimeError)
    assert callable(consent.check_consent)


def test_without_a_run_it_is_a_value_error() -> None:
    with pytest.raises(ValueError):
        run_context.get_active_run()
