"""Data sets: read where they are, downloaded where they are not, and never a wrong file."""

from __future__ import annotations

import hashlib
import json
import threading
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from afnio.errors import DatasetError
from afnio.utils.data import DataLoader
from afnio.utils.datasets import _source
from afnio.utils.datasets.facility_support import FacilitySupport
from afnio.utils.datasets.trec import TREC

ROWS = [
    {
        "fields": {"input": f"message {number}"},
        "answer": json.dumps({"categories": {"a": number % 2 == 0}, "sentiment": "neutral", "urgency": "low"}),
    }
    for number in range(200)
]
CONTENT = json.dumps(ROWS).encode()
NOWHERE = "http://127.0.0.1:9/dataset.json"  # the discard port: nothing listens


class Server:
    """A real HTTP server whose one answer the test decides; counts the requests."""

    def __init__(self) -> None:
        self.status, self.body, self.promised, self.requests = 200, CONTENT, None, 0
        self.faults: list[Any] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.requests += 1
                fault = outer.faults.pop(0) if outer.faults else None
                body = {"cut": outer.body[:100], "wrong": b"[]"}.get(str(fault), outer.body)
                self.send_response(fault if isinstance(fault, int) else outer.status)
                self.send_header("Content-Length", str(outer.promised or len(outer.body if fault == "cut" else body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args: object) -> None: ...

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/dataset.json"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    promised: int | None

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.close()


@pytest.fixture(autouse=True)
def no_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_source, "WAITS", (0.0, 0.0))


def facility(url: str) -> type[FacilitySupport]:
    return type("Small", (FacilitySupport,), {"url": url, "md5": hashlib.md5(CONTENT).hexdigest()})


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


# --- FacilitySupport


def test_downloaded_once_then_read_from_the_disk(server: Server, tmp_path: Path) -> None:
    cls = facility(server.url)
    first = cls("train", tmp_path)
    assert files(tmp_path) == ["FacilitySupport/raw/dataset.json"]
    again = cls("train", root=str(tmp_path))
    assert server.requests == 1
    assert [x.data for x, _ in first] == [x.data for x, _ in again]


@pytest.mark.parametrize("place", ["FacilitySupport/raw/dataset.json", "dataset.json"])
def test_a_file_already_there_needs_no_network(place: str, tmp_path: Path) -> None:
    (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / place).write_bytes(CONTENT)
    assert len(facility(NOWHERE)("test", tmp_path)) == 68
    assert files(tmp_path) == [place]


def test_the_default_root(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cls = facility(server.url)
    monkeypatch.setenv("AFNIO_DATA_HOME", str(tmp_path / "data"))
    assert cls("val").root == tmp_path / "data"
    monkeypatch.delenv("AFNIO_DATA_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert cls("val").root == tmp_path / "home/.cache/afnio/datasets"
    assert server.requests == 2


def test_the_splits_are_66_66_68_and_share_nothing(server: Server, tmp_path: Path) -> None:
    splits = [[x.data for x, _ in facility(server.url)(split, tmp_path)] for split in ("train", "val", "test")]
    assert [len(split) for split in splits] == [66, 66, 68]
    assert len({message for split in splits for message in split}) == 200


def test_a_sample_is_made_of_variables_with_roles(server: Server, tmp_path: Path) -> None:
    message, answers = facility(server.url)("train", tmp_path)[0]
    assert message.role == "input email or message"
    assert [answer.role for answer in answers] == ["output urgency", "output sentiment", "output categories"]
    assert [answer.data for answer in answers[:2]] == ["low", "neutral"]
    assert json.loads(answers[2].data) in ({"a": True}, {"a": False})


def test_out_of_range_and_repr(server: Server, tmp_path: Path) -> None:
    dataset = facility(server.url)("val", tmp_path)
    with pytest.raises(IndexError):
        dataset[66]
    assert repr(dataset).splitlines() == [
        "Dataset Small",
        "    Number of datapoints: 66",
        f"    Root location: {tmp_path}",
        "    Split: val",
    ]
    x, (urgency, _, _) = next(iter(DataLoader(dataset, 3)))
    assert x._samples == urgency._samples == ("0", "1", "2")


def test_an_unknown_split_is_refused() -> None:
    with pytest.raises(ValueError, match="'train', 'val' or 'test', got 'dev'"):
        FacilitySupport("dev")


def break_content(server: Server) -> None:
    server.body = CONTENT[:-1] + b" "


def break_length(server: Server) -> None:
    server.promised, server.body = len(CONTENT), CONTENT[: len(CONTENT) // 2]


def break_status(server: Server) -> None:
    server.status = 404


@pytest.mark.parametrize("fault", [break_content, break_length, break_status])
def test_a_bad_download_is_not_kept(fault: Any, server: Server, tmp_path: Path) -> None:
    fault(server)
    with pytest.raises(DatasetError, match="put it at .*raw/dataset.json"):
        facility(server.url)("train", tmp_path)
    assert files(tmp_path) == []


@pytest.mark.parametrize(
    ("faults", "requests"),
    [([500], 2), ([503, "cut"], 3), (["wrong", 429], 3), ([503] * 3, 3), (["wrong"] * 3, 3), ([404], 1), ([403], 1)],
)
def test_a_download_that_breaks_is_tried_again_where_that_may_help(
    faults: list[Any], requests: int, server: Server, tmp_path: Path
) -> None:
    server.faults = list(faults)
    if len(faults) == requests:
        with pytest.raises(DatasetError, match="put it at"):
            facility(server.url)("train", tmp_path)
        assert files(tmp_path) == []
    else:
        assert len(facility(server.url)("train", tmp_path)) == 66
    assert server.requests == requests


def test_an_unreachable_server_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="cannot be downloaded from http://127.0.0.1:9.*refused.*other means"):
        facility(NOWHERE)("train", tmp_path)
    assert files(tmp_path) == []


def test_a_root_that_cannot_be_written_says_so(server: Server, tmp_path: Path) -> None:
    (tmp_path / "FacilitySupport").write_text("in the way")
    with pytest.raises(DatasetError, match="cannot be downloaded"):
        facility(server.url)("train", tmp_path)


def test_only_http_is_fetched(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_bytes(CONTENT)
    with pytest.raises(DatasetError, match="http or https"):
        facility((tmp_path / "x.json").as_uri())("train", tmp_path)


def test_a_wrong_file_in_root_is_refused_and_left_alone(server: Server, tmp_path: Path) -> None:
    (tmp_path / "dataset.json").write_text("[]")
    with pytest.raises(DatasetError, match="Delete it"):
        facility(server.url)("train", tmp_path)
    assert (tmp_path / "dataset.json").read_text() == "[]"
    assert server.requests == 0


REAL = Path(__file__).parents[2] / "shared" / "data" / "facility_support"


@pytest.mark.skipif(not (REAL / "dataset.json").exists(), reason="the real data set is not at hand")
def test_the_real_data_has_the_known_counts() -> None:
    sentiments = {
        split: Counter(sentiment.data for _, (_, sentiment, _) in FacilitySupport(split, REAL))
        for split in ("train", "val", "test")
    }
    assert sentiments == {
        "train": {"neutral": 36, "positive": 20, "negative": 10},
        "val": {"neutral": 39, "positive": 17, "negative": 10},
        "test": {"neutral": 38, "positive": 24, "negative": 6},
    }


# --- TREC

TRAIN = b"".join(
    f"{fine} What is number {number} ?\n".encode()
    for fine, count in (("DESC:def", 40), ("DESC:manner", 20), ("LOC:city", 20))
    for number in range(count)
) + (b"DESC:def What is number 0 ?\nLOC:city Which sister\xf0city is it ?\n")
TEST = b"NUM:date When was it ?\n"


@pytest.fixture
def trec(tmp_path: Path) -> tuple[type[TREC], Path]:
    folder = tmp_path / "TREC" / "raw"
    folder.mkdir(parents=True)
    (folder / "train_5500.label").write_bytes(TRAIN)
    (folder / "TREC_10.label").write_bytes(TEST)
    sums = {"train_5500.label": hashlib.md5(TRAIN).hexdigest(), "TREC_10.label": hashlib.md5(TEST).hexdigest()}
    return type("SmallTREC", (TREC,), {"md5": sums, "base_url": "http://127.0.0.1:9/"}), tmp_path


def test_trec_samples_are_plain_text_and_once_each(trec: tuple[type[TREC], Path]) -> None:
    cls, root = trec
    train = cls("coarse", "train", root=root)
    assert len(train) == 81
    assert train[0] == ("What is number 0 ?", ("DESC:def", "DESC"))
    assert train[80] == ("Which sister city is it ?", ("LOC:city", "LOC"))
    assert list(cls("fine", "test", root=root)) == [("When was it ?", ("NUM:date", "NUM"))]
    assert "Task: coarse" in repr(train)


@pytest.mark.parametrize(("task", "label"), [("fine", 0), ("coarse", 1)])
def test_trec_validation_has_its_share_of_each_label(task: str, label: int, trec: tuple[type[TREC], Path]) -> None:
    cls, root = trec
    whole = Counter(labels[label] for _, labels in cls(task, "train", root=root))
    train, val = (list(cls(task, split, 0.25, root)) for split in ("train", "val"))
    assert not set(train) & set(val)
    assert len(train) + len(val) == 81
    assert {name: round(count * 0.25) for name, count in whole.items()} == Counter(labels[label] for _, labels in val)
    assert val == list(cls(task, "val", 0.25, root))


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("medium", "train"), "task"),
        (("fine", "dev"), "split"),
        (("fine", "train", 1.0), "validation_split"),
        (("fine", "train", -0.1), "validation_split"),
        (("fine", "val"), "above 0"),
    ],
)
def test_trec_bad_arguments_are_named(arguments: Any, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        TREC(*arguments)


def test_trec_unreachable_says_what_to_do(trec: tuple[type[TREC], Path], tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"other means and put it at .*TREC_10.label"):
        trec[0]("fine", "test", root=tmp_path / "elsewhere")
