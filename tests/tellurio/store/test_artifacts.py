"""Artifacts: versions of files that are stored, at paths that stay in their folder."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tellurio.store import Store
from tellurio.store.artifacts import MOST_FILES, add_artifact, artifact, artifacts, check_artifact
from tellurio.store.blobs import note_blob
from tests.tellurio.store.journal import new_run


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """One for all tests here: each has a Run of its own."""
    with Store.open(tmp_path_factory.mktemp("store")) as store:
        yield store


@pytest.fixture
def run(store: Store) -> dict[str, Any]:
    return new_run(store)


def a_file(store: Store, path: str = "best.hf", content: bytes = b"one") -> dict[str, Any]:
    """A file whose blob is stored."""
    digest = hashlib.sha256(content).hexdigest()
    store.write(note_blob, digest, len(content), 0.0)
    return {"path": path, "sha256": digest, "size": len(content)}


def add(
    store: Store, run: dict[str, Any], *files: dict[str, Any], name: str = "best", kind: str = "file"
) -> dict[str, Any]:
    return store.write(add_artifact, run["key"], name, kind, files, 5.0)


def test_an_artifact_has_versions(store: Store, run: dict[str, Any]) -> None:
    one, two = a_file(store), a_file(store, content=b"two, longer")
    first = add(store, run, one)
    assert first == {
        "name": "best",
        "version": 0,
        "kind": "file",
        "size": 3,
        "created": 5.0,
        "files": [one],
        "digest": first["digest"],
    }
    second = add(store, run, two)
    third = add(store, run, one)  # back to the first: what was between them stays
    assert [each["version"] for each in (first, second, third)] == [0, 1, 2]
    assert first["digest"] == third["digest"] != second["digest"]
    assert store.read(artifacts, run["key"]) == [first, second, third]
    assert store.read(artifact, run["key"], "best") == third
    assert store.read(artifact, run["key"], "best", 1) == second
    assert store.read(artifact, run["key"], "best", 3) is None
    assert store.read(artifact, run["key"], "other") is None


def test_the_same_files_again_are_the_same_version(store: Store, run: dict[str, Any]) -> None:
    files = [a_file(store, "b/x"), a_file(store, "a"), a_file(store, "b-", b"two")]
    first = add(store, run, *files)
    assert add(store, run, *reversed(files)) == first
    assert [file["path"] for file in first["files"]] == ["a", "b/x", "b-"]
    assert len(store.read(artifacts, run["key"])) == 1


def test_another_kind_or_path_is_another_version(store: Store, run: dict[str, Any]) -> None:
    file = a_file(store)
    added = [add(store, run, file), add(store, run, file | {"path": "other"}), add(store, run, file, kind="checkpoint")]
    assert [each["version"] for each in added] == [0, 1, 2]


def test_names_and_runs_count_for_themselves(store: Store, run: dict[str, Any]) -> None:
    other, file = new_run(store), a_file(store)
    assert [add(store, each, file, name=name)["version"] for each in (run, other) for name in "ab"] == [0, 0, 0, 0]
    assert [each["name"] for each in store.read(artifacts, other["key"])] == ["a", "b"]


def test_a_blob_must_be_there_and_as_large_as_is_said(store: Store, run: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"'x' are not stored: send the blob abab"):
        add(store, run, a_file(store), {"path": "x", "sha256": "ab" * 32, "size": 1})
    with pytest.raises(ValueError, match="is said to have 4 bytes, its blob has 3"):
        add(store, run, a_file(store) | {"size": 4})
    assert store.read(artifacts, run["key"]) == []


OUTSIDE: list[Any] = [
    *("", "/", "/etc/passwd", "//x", ".", "..", "../x", "a/../b", "a/..", "./a", "a/.", "a//b", "a/", "../../../../x"),
    *(
        "\\",
        "..\\x",
        "a\\b",
        "\\\\server\\share",
        "C:\\x",
        "C:/x",
        "c:x",
        "a\0",
        "\0",
        "a\n",
        "a\x1b[2J",
        "a\x7f",
        "a\x85",
    ),
    *("x" * 1001, "a/" * 500 + "a", None, 7, b"x", ["x"], {}),
]
INSIDE = [
    "a",
    "a/b/c",
    "...",
    "a..b",
    ".hidden",
    "~",
    "~root/x",
    "-rf",
    "a b",
    " ",
    "100%",
    "精度/🎯",
    "%2e%2e/x",
    "․․/x",
    "CON",
]


@pytest.mark.parametrize("path", OUTSIDE, ids=repr)
def test_a_path_that_leads_out_or_hides_something_is_refused(path: object) -> None:
    with pytest.raises(ValueError, match="path"):
        check_artifact("x", "file", [{"path": path, "sha256": "ab" * 32, "size": 1}])


@pytest.mark.parametrize("path", INSIDE, ids=repr)
def test_other_paths_are_taken_as_they_are(store: Store, run: dict[str, Any], path: str) -> None:
    assert add(store, run, a_file(store, path))["files"][0]["path"] == path


@given(path=st.lists(st.sampled_from(["..", ".", "", "a", "~", "/", "\\", "\0", "C:", "․", "/.."]), max_size=6))
def test_no_path_that_is_taken_leaves_its_folder(path: list[str]) -> None:
    joined = "".join(path)
    try:
        check_artifact("x", "file", [{"path": joined, "sha256": "ab" * 32, "size": 1}])
    except ValueError:
        return
    parts = joined.split("/")
    assert not joined.startswith("/")
    assert not {"", ".", ".."} & set(parts)
    assert "\\" not in joined
    assert "\0" not in joined


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "../x", "a\\b", "\0", "a\n", "x" * 201, None, 7, []], ids=repr)
def test_a_name_is_no_path(name: Any) -> None:
    files = [{"path": "x", "sha256": "ab" * 32, "size": 1}]
    for named in ((name, "file"), ("x", name)):
        with pytest.raises(ValueError, match="expected an artifact's"):
            check_artifact(named[0], named[1], files)


@pytest.mark.parametrize("paths", [["a", "a"], ["a", "a/b"], ["a/b/c", "z", "a-", "a/b"]])
def test_two_files_cannot_be_in_each_others_place(paths: list[str]) -> None:
    with pytest.raises(ValueError, match="two files of an artifact cannot be"):
        check_artifact("x", "file", [{"path": path, "sha256": "ab" * 32, "size": 1} for path in paths])


@pytest.mark.parametrize("files", [[], {}, "x", None, ["x"], [None], [{}] * (MOST_FILES + 1)])
def test_files_are_a_list_of_files(files: Any) -> None:
    with pytest.raises(ValueError, match="expected"):
        check_artifact("x", "file", files)


@pytest.mark.parametrize(
    "wrong",
    [
        *({"sha256": digest} for digest in ("", "AB" * 32, "ab" * 31, "ab" * 32 + "\n", "../" + "ab" * 32, None, 7)),
        *({"size": size} for size in (-1, 1.5, "1", None, True, 2**53)),
    ],
    ids=repr,
)
def test_a_digest_and_a_size_are_what_they_are(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="expected a file's"):
        check_artifact("x", "file", [{"path": "x", "sha256": "ab" * 32, "size": 1} | wrong])
