"""Files, folders, images and checkpoints are kept with the Run: as they were when they were logged, once."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from tests.tellurio.client.lab import eventually, run_of, script, stored
from tests.tellurio.running import ServerProcess

PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 20


def artifacts(server: ServerProcess, project: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = stored(server, f"runs/{run_of(server, project)['id']}/artifacts")
    return sorted(found, key=lambda each: (each["name"], each["version"]))


def content(server: ServerProcess, project: str, artifact: dict[str, Any], number: int = 0) -> bytes:
    run = run_of(server, project)
    with server.client() as client:
        answer = client.get(
            f"/api/v1/runs/{run['id']}/artifacts/{artifact['name']}/{artifact['version']}/files/{number}"
        )
    assert answer.status_code == 200, answer.text
    return answer.content


def test_a_file_is_kept_as_it_was_when_it_was_logged(server: ServerProcess, tmp_path: Path) -> None:
    text = """
    run = te.init("lab", "files")
    for words in ("first", "second", "second"):
        with open("notes.txt", "w") as file:  # in place
            file.write(words)
        run.log_artifact("notes.txt")
    run.log_artifact("notes.txt", name="renamed")
    os.unlink("notes.txt")
    run.finish()
    """
    script(server.home, text, tmp_path)
    first, second, renamed = artifacts(server, "files")
    assert [first["name"], second["name"], renamed["name"]] == ["notes.txt", "notes.txt", "renamed"]
    assert [first["version"], second["version"], renamed["version"]] == [0, 1, 0]
    assert content(server, "files", first) == b"first"
    assert content(server, "files", second) == b"second"
    assert renamed["files"] == [
        {"path": "notes.txt", "sha256": hashlib.sha256(b"second").hexdigest(), "size": 6},
    ]
    folder = server.home / "journals" / run_of(server, "files")["id"]
    eventually(lambda: not folder.exists())  # the server looks after it, too


def test_a_copy_is_made_where_a_journal_keeps_it(server: ServerProcess, tmp_path: Path) -> None:
    """The Run may end while a child process copies: a folder without a journal is tidied away, with its copies."""
    (tmp_path / "notes.txt").write_text("notes")
    text = """
    from pathlib import Path
    from tellurio.client import run as runs
    spooled = runs.spooled
    def looked(path, folder):
        print(len(list(folder.glob("*-files.jsonl"))))
        return spooled(path, folder)
    runs.spooled = looked
    with te.init("lab", "journal first") as run:
        if os.fork() == 0:
            run.log_artifact("notes.txt")
            os._exit(0)
        os.wait()
        run.log("notes", Path("notes.txt"))
    """
    assert script(server.home, text, tmp_path).stdout.split() == ["1", "2"]
    assert [each["name"] for each in artifacts(server, "journal-first")] == ["notes", "notes.txt"]


def test_a_folder_is_kept_whole(server: ServerProcess, tmp_path: Path) -> None:
    folder = tmp_path / "data"
    (folder / "deep" / "er").mkdir(parents=True)
    (folder / "a.txt").write_bytes(b"a")
    (folder / "deep" / "er" / "ünï code.bin").write_bytes(b"b" * 3_000_000)
    (folder / "deep" / "link").symlink_to(folder)
    script(server.home, "with te.init('lab', 'folder') as run:\n    run.log_artifact('data')", tmp_path)
    (artifact,) = artifacts(server, "folder")
    assert (artifact["kind"], artifact["size"]) == ("directory", 3_000_001)
    assert [file["path"] for file in artifact["files"]] == ["a.txt", "deep/er/ünï code.bin"]
    assert content(server, "folder", artifact, 1) == b"b" * 3_000_000


def test_images_and_paths_that_are_logged_become_artifacts(server: ServerProcess, tmp_path: Path) -> None:
    (tmp_path / "plot.png").write_bytes(PNG)
    (tmp_path / "model.bin").write_bytes(b"weights")
    text = f"""
    from pathlib import Path
    class Figure:
        def savefig(self, stream, format):
            stream.write({PNG!r})
    with te.init("lab", "images") as run:
        run.log("bytes", {PNG!r}, step=1)
        run.log("nested", {{"path": Path("plot.png"), "figure": Figure()}})
        run.log("model", Path("model.bin"))
    """
    done = script(server.home, text, tmp_path)
    assert "Logged metric 'bytes'=<image>" in done.stderr
    assert [each["name"] for each in artifacts(server, "images")] == ["bytes", "model", "nested.figure", "nested.path"]
    image = stored(server, f"runs/{run_of(server, 'images')['id']}/texts")[0]
    sha256 = hashlib.sha256(PNG).hexdigest()
    assert (image["type"], image["step"]) == ("image", 1)
    assert image["value"] == {"artifact": "bytes", "sha256": sha256, "size": len(PNG), "file": "bytes.png"}


def test_a_checkpoint_the_trainer_tells_of_is_kept(server: ServerProcess, tmp_path: Path) -> None:
    text = """
    from afnio import _dispatch
    with te.init("lab", "checkpoint") as run:
        for epoch in range(2):
            open(f"epoch{epoch}.hf", "wb").write(b"state %d" % epoch)
            _dispatch.current_tracker().event("checkpoint", {"path": f"epoch{epoch}.hf", "epoch": epoch})
    """
    script(server.home, text, tmp_path)
    found = artifacts(server, "checkpoint")
    assert [(each["name"], each["version"], each["kind"]) for each in found] == [
        ("checkpoint", 0, "checkpoint"),
        ("checkpoint", 1, "checkpoint"),
    ]
    assert content(server, "checkpoint", found[1]) == b"state 1"


def test_metrics_flow_while_a_large_file_is_uploaded_and_finish_waits_for_it(
    server: ServerProcess, tmp_path: Path
) -> None:
    (tmp_path / "large.bin").write_bytes(bytes(200_000_000))
    text = """
    from tellurio.client import run as runs
    runs.PATIENCE = 120.0  # a slow disk may take longer than the usual 10 s to make all of it durable
    with te.init("lab", "large") as run:
        run.log_artifact("large.bin")
        run.log("x", 1.0)
    """
    script(server.home, text, tmp_path)
    (artifact,) = artifacts(server, "large")
    assert artifact["size"] == 200_000_000


def test_what_cannot_be_kept_is_told(server: ServerProcess, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    text = """
    from pathlib import Path
    def refused(error, call, *arguments):
        try:
            call(*arguments)
        except error as given:
            print(given)
    with te.init("lab", "none") as run:
        refused(FileNotFoundError, run.log_artifact, "not-there")
        refused(FileNotFoundError, run.log, "x", Path("not-there"))
        refused(ValueError, run.log_artifact, "empty")
        refused(TypeError, run.log_artifact, 7)
        refused(TypeError, run.log_artifact, __file__, 7)
        refused(ValueError, run.log_artifact, __file__, "../up")
        Path("empty", "back\\\\slash").touch()
        refused(ValueError, run.log_artifact, "empty")
    """
    done = script(server.home, text, tmp_path)
    assert done.stdout.splitlines()[:3] == [
        "log_artifact: there is no file or folder 'not-there'.",
        "run.log('x', path): there is no file or folder 'not-there'.",
        "log_artifact: the folder 'empty' holds no file.",
    ]
    assert len(done.stdout.splitlines()) == 7
