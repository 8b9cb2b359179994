"""Studio's page and its files: open to all, since they hold nothing; plain pages with data where it was not built."""

from __future__ import annotations

import gzip
import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.tellurio.server.lab import House, Visitor, full_run, house

PAGES = [
    *("/", "/ours/projects/my-project/", "/ours/projects/my-project/runs/first/"),
    *("/ours/projects/my-project/runs/first/prompts", "/ours/projects/my-project/runs/first/calls"),
    "/no/projects/no/runs/no/",
]
SHELL = b'<!doctype html><title>Tellurio</title><script type="module" src="/assets/index-abc.js"></script>'
SCRIPT = b"console.log('hello');\n" * 200


@pytest.fixture
def built(tmp_path: Path) -> Iterator[House]:
    """A server with a built page."""
    static = tmp_path / "static"
    (static / "assets").mkdir(parents=True)
    (static / "index.html").write_bytes(SHELL)
    (static / "assets" / "index-abc.js").write_bytes(SCRIPT)
    (static / "assets" / "small.svg").write_bytes(b"<svg/>")
    (static / "assets" / ".hidden.js").write_bytes(b"")
    (static / "assets" / "page.html").write_bytes(b"<script>")
    (tmp_path / "secret.js").write_bytes(b"the secret file")
    (static / "secret.js").write_bytes(b"the secret file")
    with house(tmp_path / "server", static=static) as made:
        yield made


@pytest.mark.parametrize("path", PAGES)
def test_every_address_is_the_page(built: House, path: str) -> None:
    page = built.nobody("GET", path)
    assert (page.status_code, page.content) == (200, SHELL)
    assert page.headers["content-type"].startswith("text/html")
    assert page.headers["cache-control"] == "no-cache"
    assert page.headers["x-content-type-options"] == "nosniff"
    policy = {part.split()[0]: part.split()[1:] for part in page.headers["content-security-policy"].split(";")}
    assert policy["default-src"] == policy["script-src"] == policy["style-src"] == policy["connect-src"] == ["'self'"]
    assert policy["frame-ancestors"] == policy["base-uri"] == policy["object-src"] == ["'none'"]
    assert policy["img-src"] == ["'self'", "data:"]
    assert "unsafe" not in page.headers["content-security-policy"]


def test_a_file_is_kept_for_ever_and_packed_for_who_can_unpack(built: House) -> None:
    packed = built.nobody("GET", "/assets/index-abc.js")
    assert packed.headers["content-encoding"] == "gzip"
    assert packed.content == SCRIPT
    assert int(packed.headers["content-length"]) == len(gzip.compress(SCRIPT, 9)) < len(SCRIPT)
    plain = built.nobody("GET", "/assets/index-abc.js", headers={"Accept-Encoding": "identity"})
    assert "content-encoding" not in plain.headers
    for answer in (packed, plain):
        assert answer.headers["content-type"].startswith("text/javascript")
        assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
        assert answer.headers["vary"] == "Accept-Encoding"
        assert answer.headers["x-content-type-options"] == "nosniff"
    assert "content-encoding" not in built.nobody("GET", "/assets/small.svg").headers


NOT_ITS = [
    *("no.js", ".hidden.js", "page.html", "%2e%2e", "%2e%2e%2fsecret.js", "..%2fsecret.js", "%2Fetc%2Fpasswd"),
    *("a\\b.js", "index-abc.js%0a", "x" * 300 + ".js"),
]


@pytest.mark.parametrize("name", NOT_ITS)
def test_what_is_no_file_of_the_page_is_not_handed_out(built: House, name: str) -> None:
    answer = built.nobody("GET", f"/assets/{name}")
    assert answer.status_code == 404
    assert b"the secret file" not in answer.content


def test_a_new_build_is_seen_without_a_restart(built: House, tmp_path: Path) -> None:
    assert built.nobody("GET", "/").content == SHELL
    (tmp_path / "static" / "index.html").write_bytes(b"<!doctype html><title>anew</title>")
    assert b"anew" in built.nobody("GET", "/").content


PLAIN = PAGES[:5]


@pytest.mark.parametrize("path", PLAIN)
def test_without_it_plain_pages_ask_who_is_there(home: House, run: dict[str, Any], path: str) -> None:
    refused = home.nobody("GET", path)
    assert refused.status_code == 401
    assert "tellurio open" in refused.text
    assert home.nobody("GET", path, headers={"Authorization": "Bearer tel_wrong"}).status_code == 401


@pytest.mark.parametrize("path", PLAIN[1:])
def test_a_plain_page_is_not_there_for_a_stranger(home: House, run: dict[str, Any], path: str) -> None:
    assert home.user("stranger")("GET", path).status_code == 404


def test_plain_pages_lead_from_the_projects_to_a_run(home: House, owner: Visitor) -> None:
    empty = owner("GET", "/")
    assert "There is no project yet" in empty.text
    full_run(owner)
    for path, to in itertools.pairwise(PLAIN[:3]):
        page = owner("GET", path)
        assert f'<a href="{to}">' in page.text
        assert "make studio" in page.text
        assert "script-src 'none'" in page.headers["content-security-policy"]
    assert "$0.0012" in owner("GET", PLAIN[2]).text
    assert owner("GET", PLAIN[3]).status_code == 200
