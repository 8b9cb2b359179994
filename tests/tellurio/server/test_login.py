"""Browsers: a code that works once, a cookie that is of no use to other pages, pages that run nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx2
import pytest

from tellurio.server.sessions import COOKIE, MOST, Codes, path_of_ours
from tests.tellurio.server.lab import URL, House, Visitor, files_in, full_run, house, new_run

PAGE = "/ours/projects/my-project/runs/first/"


def log_in(home: House, visitor: Visitor, to: str = "/") -> str:
    """Log in as a browser; the session's secret."""
    code = visitor.json("POST", "/api/v1/once", json={"next": to})["code"]
    answer = home.nobody("GET", "/login", params={"code": code, "next": to})
    assert (answer.status_code, answer.headers["location"]) == (303, to)
    home.client.cookies.clear()
    return answer.headers["set-cookie"].partition(";")[0].removeprefix(f"{COOKIE}=")


def browser(home: House, secret: str, method: str, path: str, **options: Any) -> httpx2.Response:
    headers = {"Cookie": f"{COOKIE}={secret}", **options.pop("headers", {})}
    return home.nobody(method, path, headers=headers, **options)


def test_a_code_logs_in_once(home: House, owner: Visitor) -> None:
    code = owner.json("POST", "/api/v1/once", json={"next": PAGE})["code"]
    first = home.nobody("GET", "/login", params={"code": code, "next": PAGE})
    cookie = first.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "samesite=strict" in cookie.lower()
    assert code not in cookie
    home.client.cookies.clear()
    again = home.nobody("GET", "/login", params={"code": code, "next": PAGE})
    assert again.status_code == 403
    assert "set-cookie" not in again.headers
    assert "tellurio open" in again.text
    assert again.headers["content-type"].startswith("text/html")


def test_a_code_gets_too_old(tmp_path: Path) -> None:
    with house(tmp_path / "server", code_seconds=0.0) as home:
        code = home.user("u").json("POST", "/api/v1/once", json={})["code"]
        assert home.nobody("GET", "/login", params={"code": code}).status_code == 403


def test_a_session_gets_too_old(tmp_path: Path) -> None:
    with house(tmp_path / "server", session_seconds=0.0) as home:
        secret = log_in(home, home.user("u"))
        assert browser(home, secret, "GET", "/api/v1/me").status_code == 401


def test_codes_are_bounded() -> None:
    codes = Codes(60)
    first = codes.make("first")
    for _ in range(MOST):
        last = codes.make("last")
    assert codes.use(first) is None
    assert codes.use(last) == "last"
    assert codes.use(last) is None


def test_a_restart_logs_nobody_out(tmp_path: Path) -> None:
    with house(tmp_path / "server") as home:
        secret = log_in(home, home.user("u"))
    with house(tmp_path / "server") as home:
        assert browser(home, secret, "GET", "/api/v1/me").json()["user"]["username"] == "u"
    for file in files_in(tmp_path):
        assert secret.encode() not in file.read_bytes(), file


def test_a_browser_logs_out(home: House, owner: Visitor) -> None:
    mine, other = log_in(home, owner), log_in(home, owner)
    assert browser(home, mine, "DELETE", "/api/v1/session").status_code == 403, "it comes from none of our pages"
    assert browser(home, mine, "GET", "/api/v1/me").status_code == 200
    gone = browser(home, mine, "DELETE", "/api/v1/session", headers={"Origin": URL})
    assert gone.status_code == 204
    assert f'{COOKIE}=""' in gone.headers["set-cookie"]
    assert browser(home, mine, "GET", "/api/v1/me").status_code == 401
    assert browser(home, other, "GET", "/api/v1/me").status_code == 200
    assert owner("DELETE", "/api/v1/session").status_code == 204
    assert owner("GET", "/api/v1/me").status_code == 200


ELSEWHERE = [
    *("https://evil.example", "//evil.example", "/\\evil.example", "\\\\evil.example", "/\t/evil.example", "evil"),
    *("/\n/evil.example", "javascript:alert(1)", "", "/" + "x" * 3000, "/é", "http:/evil", "/ok\\..\\x"),
]


@pytest.mark.parametrize("to", ELSEWHERE)
def test_a_login_leads_nowhere_else(home: House, owner: Visitor, to: str) -> None:
    assert not path_of_ours(to)
    assert owner("POST", "/api/v1/once", json={"next": to}).status_code == 422
    code = owner.json("POST", "/api/v1/once", json={"next": "/"})["code"]
    refused = home.nobody("GET", "/login", params={"code": code, "next": to or "//"})
    assert refused.status_code == 400
    assert "location" not in refused.headers
    assert home.nobody("GET", "/login", params={"code": code, "next": "/x"}).status_code == 303, "it was not used up"


def test_a_session_reads_and_changes_only_from_our_own_pages(home: House, owner: Visitor) -> None:
    secret = log_in(home, owner)
    assert browser(home, secret, "GET", "/api/v1/me").json()["user"]["username"] == "olga"
    body = {"slug": "mine"}
    bare = browser(home, secret, "POST", "/api/v1/namespaces", json=body)
    assert (bare.status_code, bare.json()["error"]["code"]) == (403, "origin_refused")
    evil = browser(home, secret, "POST", "/api/v1/namespaces", json=body, headers={"Origin": "https://evil.example"})
    assert evil.status_code == 403
    ours = browser(home, secret, "POST", "/api/v1/namespaces", json=body, headers={"Origin": URL})
    assert ours.status_code == 201
    assert browser(home, "x", "GET", "/api/v1/me").status_code == 401
    assert home.nobody("GET", "/api/v1/me", headers={"Cookie": 'a="b; ;;=; \xff'.encode("latin-1")}).status_code == 401


def test_a_wrong_key_is_not_made_good_by_a_cookie(home: House, owner: Visitor) -> None:
    secret = log_in(home, owner)
    answer = browser(home, secret, "GET", "/api/v1/me", headers={"Authorization": "Bearer tel_wrong"})
    assert answer.status_code == 401


def test_a_page_says_how_to_log_in(home: House, run: dict[str, Any]) -> None:
    page = home.nobody("GET", PAGE)
    assert page.status_code == 401
    assert page.headers["content-type"].startswith("text/html")
    assert "tellurio open" in page.text
    assert "default-src 'self'" in page.headers["content-security-policy"]


def test_the_page_of_a_run_shows_its_facts(home: House, owner: Visitor, run: dict[str, Any]) -> None:
    page = browser(home, log_in(home, owner, PAGE), "GET", PAGE)
    for fact in ("first", "RUNNING", "ours/my-project", "olga", "$0.0012", "loss", "nan"):
        assert fact in page.text
    assert home.user("stranger")("GET", PAGE).status_code == 404
    assert owner("GET", "/ours/projects/my-project/runs/other/").status_code == 404


def test_stored_text_runs_nowhere(home: House, owner: Visitor) -> None:
    full_run(owner)
    evil = "</title><script>alert(1)</script><img src=x onerror=alert(2)>"
    made = new_run(owner, "ours", "my-project", name=evil, description=evil, tags=[evil])
    page = owner("GET", f"/ours/projects/my-project/runs/{made['slug']}/")
    assert page.status_code == 200
    assert "<script" not in page.text
    assert "<img" not in page.text
    policy = page.headers["content-security-policy"]
    assert "script-src 'none'" in policy
    assert "unsafe" not in policy
    nothing = home.nobody("GET", "/%3Cscript%3Ealert(1)%3C/script%3E")
    assert nothing.status_code == 404
    assert "<script" not in nothing.text
    assert "default-src 'self'" in nothing.headers["content-security-policy"]


def test_a_file_is_saved_and_never_shown(owner: Visitor, run: dict[str, Any]) -> None:
    got = owner("GET", f"/api/v1/runs/{run['id']}/artifacts/checkpoint/0/files/0")
    assert got.headers["content-disposition"].startswith("attachment")
    assert got.headers["content-type"] == "application/octet-stream"
    assert got.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in got.headers["content-security-policy"]
