"""Blobs: whole, checked, under their digest, or not there at all."""

from __future__ import annotations

import hashlib
import io
import os
import signal
import stat
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tellurio.store.blobs import Blobs

LIMIT = 1 << 30


def digest_of(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def read(blobs: Blobs, digest: str) -> bytes:
    with blobs.open(digest) as file:
        return file.read()


def files_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


@pytest.fixture(params=["local", "memory"])
def blobs(request: pytest.FixtureRequest, tmp_path: Path) -> Blobs:
    return Blobs(tmp_path / "blobs" if request.param == "local" else f"memory://{tmp_path.name}")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(chunks=st.lists(st.binary(max_size=20), max_size=5))
def test_what_is_put_is_read(blobs: Blobs, chunks: list[bytes]) -> None:
    content = b"".join(chunks)
    digest = digest_of(content)
    for stream in (iter(chunks), io.BytesIO(content)):
        assert blobs.put(stream, digest, limit=LIMIT) == len(content)
        assert blobs.has(digest)
        assert read(blobs, digest) == content
    blobs.delete(digest)
    assert not blobs.has(digest)


def test_a_blob_larger_than_a_piece(tmp_path: Path) -> None:
    blobs, content = Blobs(tmp_path), os.urandom(3_500_000)
    assert blobs.put(io.BytesIO(content), digest_of(content), limit=len(content)) == len(content)
    assert read(blobs, digest_of(content)) == content


def test_a_blob_that_is_not_there(blobs: Blobs) -> None:
    assert not blobs.has("ab" * 32)
    with pytest.raises(FileNotFoundError):
        blobs.open("ab" * 32)
    blobs.delete("ab" * 32)


def test_a_wrong_digest_leaves_nothing_behind(tmp_path: Path) -> None:
    blobs = Blobs(tmp_path)
    with pytest.raises(ValueError, match="the content has the digest"):
        blobs.put(io.BytesIO(b"other"), digest_of(b"one"), limit=LIMIT)
    assert files_in(tmp_path) == []


def test_wrong_content_does_not_replace_what_is_there(blobs: Blobs) -> None:
    digest = digest_of(b"one")
    blobs.put(io.BytesIO(b"one"), digest, limit=LIMIT)
    with pytest.raises(ValueError, match="the content has the digest"):
        blobs.put(io.BytesIO(b"other"), digest, limit=LIMIT)
    assert read(blobs, digest) == b"one"


def test_a_blob_may_be_as_long_as_the_limit_and_no_longer(tmp_path: Path) -> None:
    blobs = Blobs(tmp_path)
    assert blobs.put(iter([b"12", b"34"]), digest_of(b"1234"), limit=4) == 4
    taken = []

    def endless() -> Iterator[bytes]:
        while True:
            taken.append(1)
            yield b"x" * 100

    with pytest.raises(ValueError, match="at most 1,000 bytes"):
        blobs.put(endless(), digest_of(b""), limit=1_000)
    assert len(taken) == 11
    assert files_in(tmp_path) == [digest_of(b"1234")]


@pytest.mark.parametrize("error", [ConnectionResetError("gone"), TimeoutError("gone"), KeyError("gone")])
def test_a_stream_that_breaks_leaves_nothing_behind(tmp_path: Path, error: Exception) -> None:
    def broken() -> Iterator[bytes]:
        yield b"some"
        raise error

    with pytest.raises(type(error), match="gone"):
        Blobs(tmp_path).put(broken(), digest_of(b"some"), limit=LIMIT)
    assert files_in(tmp_path) == []


BAD_DIGESTS = [
    "",
    "..",
    "../" + "ab" * 32,
    "AB" * 32,
    "ab" * 31,
    "ab" * 33,
    "ab" * 32 + "\n",
    "é" * 64,
    "/" * 64,
    None,
    7,
    b"ab" * 32,
]


@pytest.mark.parametrize("digest", BAD_DIGESTS, ids=repr)
def test_only_a_digest_names_a_blob(tmp_path: Path, digest: Any) -> None:
    blobs = Blobs(tmp_path / "blobs")
    (tmp_path / "secret").write_bytes(b"secret")
    for use in (blobs.has, blobs.open, blobs.delete, lambda name: blobs.put(io.BytesIO(b""), name, limit=1)):
        with pytest.raises(ValueError, match="64 hexadecimal digits"):
            use(digest)
    assert files_in(tmp_path) == ["secret"]


def test_nobody_else_can_read_them(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        modes: list[int] = []

        def watched() -> Iterator[bytes]:
            modes.extend(stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "b" / "unfinished").iterdir())
            yield b"one"

        Blobs(tmp_path / "b").put(watched(), digest_of(b"one"), limit=LIMIT)
    finally:
        os.umask(before)
    modes += [stat.S_IMODE(path.stat().st_mode) for path in tmp_path.rglob("*") if path.is_file()]
    assert modes == [0o600, 0o600]
    assert {stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "b").rglob("*") if path.is_dir()} == {0o700}


def test_many_put_the_same_and_other_blobs_at_once(tmp_path: Path) -> None:
    blobs = [Blobs(tmp_path) for _ in range(4)]
    contents = [bytes([number]) * 200_000 for number in range(3)]

    def put(number: int) -> int:
        content = contents[number % 3]
        pieces = (content[start : start + 10_000] for start in range(0, len(content), 10_000))
        return blobs[number % 4].put(pieces, digest_of(content), limit=LIMIT)

    with ThreadPoolExecutor(12) as pool:
        assert set(pool.map(put, range(48))) == {200_000}
    assert files_in(tmp_path) == sorted(map(digest_of, contents))
    assert [read(blobs[0], digest_of(content)) for content in contents] == contents


FULL = """
    import io, hashlib, resource, signal, sys
    from afnio.errors import StoreError
    from tellurio.store.blobs import Blobs

    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    blobs, content = Blobs(sys.argv[1]), b"x" * 3_000_000
    digest = hashlib.sha256(content).hexdigest()
    most = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
    resource.setrlimit(resource.RLIMIT_FSIZE, (2_000_000, most))  # a write beyond it fails, as on a full disk
    try:
        blobs.put(io.BytesIO(content), digest, limit=1 << 30)
    except StoreError as error:
        print(error)
    assert not blobs.has(digest)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
    sys.exit(0 if sys.argv[2] == "stays full" else blobs.put(io.BytesIO(content), digest, limit=1 << 30) != 3_000_000)
"""


def script(source: str, *arguments: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-B", "-c", textwrap.dedent(source), *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.parametrize("then", ["stays full", "has space again"])
def test_a_full_disk_is_said_and_leaves_nothing_behind(tmp_path: Path, then: str) -> None:
    process = script(FULL, tmp_path, then)
    out, err = process.communicate(timeout=150)
    assert process.returncode == 0, err
    assert "the disk is full. Nothing of it was kept" in out
    assert files_in(tmp_path) == ([] if then == "stays full" else [digest_of(b"x" * 3_000_000)])


KILLED = """
    import sys, time
    from tellurio.store.blobs import Blobs

    def pieces():
        yield b"x" * 100_000
        print("half", flush=True)
        time.sleep(60)

    Blobs(sys.argv[1]).put(pieces(), "ab" * 32, limit=1 << 30)
"""


def test_what_a_killed_process_left_is_no_blob_and_goes_in_time(tmp_path: Path) -> None:
    process = script(KILLED, tmp_path)
    assert process.stdout is not None
    assert process.stdout.readline() == "half\n"
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert not Blobs(tmp_path).has("ab" * 32)
    (left,) = (tmp_path / "unfinished").iterdir()
    os.utime(left, (time.time() - 90_000, time.time() - 90_000))
    Blobs(tmp_path)
    assert files_in(tmp_path) == []
