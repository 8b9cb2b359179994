"""Data sets made of tables, and of other data sets."""

from __future__ import annotations

import csv
import json
import math
import random
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from afnio import Variable
from afnio.errors import DatasetError
from afnio.utils.data import ConcatDataset, DataLoader, Dataset, Subset, TableDataset, random_split

HEADER = "id,body,urgency,queue\n"
TICKETS = HEADER + '1,"My lift, the old one,\nis stuck",high,technical\n\n2,Thanks!,low,sales\n'
ROWS = [
    {"id": "1", "body": "My lift, the old one,\nis stuck", "urgency": "high", "queue": "technical"},
    {"id": "2", "body": "Thanks!", "urgency": "low", "queue": "sales"},
]


def write(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def plain(sample: Any) -> Any:
    if isinstance(sample, Variable):
        return sample.data, sample.role
    return tuple(map(plain, sample)) if isinstance(sample, tuple) else sample


# --- what a sample is


def test_columns_become_variables_with_roles(tmp_path: Path) -> None:
    path = write(tmp_path, "t.csv", TICKETS)
    first = ROWS[0]["body"]
    cases: list[tuple[Any, Any, Any]] = [
        (None, None, ROWS[0]),
        ("body", None, (first, "body")),
        ({"body": "ticket"}, None, ((first, "ticket"),)),
        ("body", "queue", ((first, "body"), ("technical", "queue"))),
        (["id", "body"], {"urgency": "how urgent"}, ((("1", "id"), (first, "body")), (("high", "how urgent"),))),
    ]
    for inputs, targets, sample in cases:
        dataset = Dataset.from_csv(path, inputs, targets)
        assert plain(dataset[0]) == sample
        assert plain(dataset[-2]) == sample
        assert (len(dataset), len(list(dataset))) == (2, 2)
    assert dataset.column_names == ["id", "body", "urgency", "queue"]
    assert repr(dataset) == "TableDataset(2 rows, columns: id, body, urgency, queue)"


def test_the_loader_makes_batches_of_variables(tmp_path: Path) -> None:
    dataset = Dataset.from_csv(write(tmp_path, "t.csv", TICKETS), "body", ["urgency", "queue"])
    [(messages, (urgency, queue))] = DataLoader(dataset, batch_size=2)
    assert (messages.data[1], urgency.data, queue.data) == ("Thanks!", ["high", "low"], ["technical", "sales"])
    assert (messages.role, urgency.role, messages._samples) == ("body", "urgency", ("0", "1"))


def test_each_access_makes_variables_of_its_own() -> None:
    dataset = Dataset.from_list(ROWS, "body")
    dataset[0].data = "changed"
    assert dataset[0].data == ROWS[0]["body"]
    Dataset.from_list(ROWS)[0]["body"] = "changed"
    assert ROWS[0]["body"] != "changed"


@pytest.mark.parametrize("index", [2, -3])
def test_a_number_that_is_out_of_range_is_an_index_error(index: int) -> None:
    for dataset in (Dataset.from_list(ROWS), ConcatDataset([ROWS]), Subset(ROWS, [0, 1])):
        with pytest.raises(IndexError):
            dataset[index]
    with pytest.raises(TypeError, match="slice"):
        Dataset.from_list(ROWS)[0:1]  # type: ignore[index]


# --- all sources say the same


class Frame:
    """What of a pandas DataFrame is used."""

    def __init__(self, rows: list[dict[Any, Any]], columns: list[Any] | None = None) -> None:
        self.rows, self.columns = rows, columns if columns is not None else list(rows[0])

    def to_dict(self, orient: str) -> list[dict[Any, Any]]:
        assert orient == "records"
        return self.rows

    def isna(self) -> Frame:
        missing = [
            {key: isinstance(value, float) and math.isnan(value) for key, value in row.items()} for row in self.rows
        ]
        return Frame(missing, self.columns)


class Label:
    def int2str(self, value: int) -> str:
        return ("low", "high")[value]


class Split:
    """What of a Dataset of Hugging Face is used."""

    def __init__(self, rows: list[dict[str, Any]], features: dict[str, Any] | None = None) -> None:
        self.rows, self.features, self.column_names = rows, features, list(rows[0])
        self.read: list[int] = []

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> dict[str, Any]:
        self.read.append(index)
        return self.rows[index]


def sources(folder: Path) -> dict[str, TableDataset]:
    lines = "\n".join(map(json.dumps, ROWS))
    return {
        "csv": Dataset.from_csv(write(folder, "a.csv", TICKETS)),
        "tabs": Dataset.from_csv(write(folder, "a.tsv", TICKETS.replace(",", "\t")), delimiter="\t"),
        "spreadsheet": Dataset.from_csv(
            write(folder, "b.csv", b"\xef\xbb\xbf" + TICKETS.replace("\n", "\r\n").encode())
        ),
        "latin": Dataset.from_csv(write(folder, "c.csv", TICKETS.encode("latin-1")), encoding="latin-1"),
        "lines": Dataset.from_json(write(folder, "a.jsonl", f"{lines}\n\n")),
        "lines of Windows": Dataset.from_json(write(folder, "b.jsonl", lines.replace("\n", "\r\n"))),
        "json": Dataset.from_json(write(folder, "a.json", json.dumps(ROWS, indent=1))),
        "field": Dataset.from_json(write(folder, "b.json", json.dumps({"v": 1, "data": ROWS})), field="data"),
        "list": Dataset.from_list(iter(ROWS)),
        "dict": Dataset.from_dict({name: [row[name] for row in ROWS] for name in ROWS[0]}),
        "pandas": Dataset.from_pandas(Frame(ROWS)),
        "huggingface": Dataset.from_huggingface(Split(ROWS)),
    }


def test_all_sources_say_the_same(tmp_path: Path) -> None:
    for name, dataset in sources(tmp_path).items():
        rows = [dict(row, body=row["body"].replace("\r\n", "\n").replace("\t", ",")) for row in dataset]
        assert rows == ROWS, name
        assert dataset.column_names == list(ROWS[0]), name


cells = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20)


@given(st.lists(st.fixed_dictionaries({"a": cells, "b ü": cells}), min_size=1, max_size=6))
def test_a_csv_file_is_read_as_it_was_written(tmp_path_factory: pytest.TempPathFactory, rows: list[Any]) -> None:
    path = tmp_path_factory.getbasetemp() / "written.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, ["a", "b ü"], quoting=csv.QUOTE_ALL)
        writer.writeheader()
        writer.writerows(rows)
    assert list(Dataset.from_csv(path)) == rows


values = st.recursive(st.none() | st.booleans() | st.integers() | st.text(max_size=9), st.lists, max_leaves=5)


@given(st.lists(st.dictionaries(st.text(max_size=5), values, max_size=3), max_size=5), st.booleans())
def test_json_is_read_as_it_was_written(tmp_path_factory: pytest.TempPathFactory, rows: Any, lines: bool) -> None:
    path = tmp_path_factory.getbasetemp() / "written.json"
    text = "\n".join(json.dumps(row, ensure_ascii=False) for row in rows) if lines else json.dumps(rows)
    path.write_text(text, encoding="utf-8", errors="surrogatepass", newline="")
    if "\\ud" in text or any("\ud800" <= letter <= "\udfff" for letter in text):
        return
    assert list(Dataset.from_json(path)) == rows


def test_a_cell_may_be_longer_than_the_csv_module_likes_and_its_limit_stays(tmp_path: Path) -> None:
    limit = csv.field_size_limit()
    path = write(tmp_path, "t.csv", "body\n" + "x" * (limit + 1) + "\n")
    assert len(Dataset.from_csv(path, "body")[0].data) == limit + 1
    assert csv.field_size_limit() == limit


def test_what_is_missing_in_pandas_is_none_and_numbers_of_numpy_are_numbers() -> None:
    class Number:
        def tolist(self) -> int:
            return 3

    dataset = Dataset.from_pandas(Frame([{"a": math.nan, "b": Number()}]), ["a", "b"])
    assert plain(dataset[0]) == ((None, "a"), (3, "b"))


def test_class_labels_of_huggingface_become_names_and_rows_are_read_when_needed() -> None:
    split = Split([{"text": "a", "label": 1}, {"text": "b", "label": -1}], {"label": Label(), "text": object()})
    dataset = Dataset.from_huggingface(split, "text", "label")
    assert split.read == []
    assert plain(dataset[0]) == (("a", "text"), ("high", "label"))
    assert plain(dataset[-1]) == (("b", "text"), (None, "label"))
    assert split.read == [0, 1]


# --- what is wrong is told with its place


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("", "t.csv is empty: its first line must name the columns"),
        ("a,,c\n", "line 1: column 2 has no name"),
        ("a,b,a\n", "line 1: two columns are named 'a'"),
        (
            TICKETS + "3,no,more\n",
            r"line 6: it has 3 values and the header names 4 columns \(id, body, urgency, queue\)",
        ),
        (TICKETS + "3\n", "line 6: it has 1 value and the header"),
        ('a,b\n1,"open\nend', "line 2: unexpected end of data"),
        ('a\n"x"y\n', "line 2: ',' expected after '\"'"),
        (b"a\nok\nb\xfcse\n", "line 3: byte 0xfc is no text in utf-8. Give the file's encoding: encoding='cp1252'"),
    ],
)
def test_a_csv_file_that_is_wrong_says_where(tmp_path: Path, content: str | bytes, says: str) -> None:
    path = write(tmp_path, "t.csv", content)
    with pytest.raises(DatasetError, match=says) as caught:
        Dataset.from_csv(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("content", "options", "says"),
    [
        ('{"a": 1}\n{"a": }\n', {}, r"t.json, line 2, column 7: not JSON: Expecting value. Expected one object a line"),
        ('{"a": 1}\n[1]\n', {}, "line 2: expected an object, got list"),
        ("null", {}, "line 1: expected an object, got NoneType"),
        ('[{"a": 1},\n {"a" 1}]', {}, "line 2, column 7: not JSON"),
        ('[{"a": 1}, 5]', {}, "sample 1: expected a dict of column -> value, got int"),
        ('{\n"rows": [{"a": 1}]\n}', {}, "holds one object, not a list of them.*field='rows'"),
        ('{"rows": 5}', {"field": "rows"}, "expected a list of objects under 'rows', got int"),
        ('{"rows": 5}', {"field": "data"}, "has no field 'data': its keys are 'rows'"),
        ("[]", {"field": "data"}, "has no field 'data': it is a list"),
        ("[" * 100_000, {}, "nested too deeply"),
        ('{"a":' + "[" * 100_000, {}, "line 1 is nested too deeply"),
        (b'{"a": "\xff"}', {}, "line 1: byte 0xff is no text in utf-8"),
        ("{}", {"encoding": "klingon"}, "There is no encoding 'klingon'"),
    ],
)
def test_json_that_is_wrong_says_where(tmp_path: Path, content: str | bytes, options: Any, says: str) -> None:
    path = write(tmp_path, "t.json", content)
    with pytest.raises(DatasetError, match=re.compile(says, re.DOTALL)):
        Dataset.from_json(path, **options)


def test_one_object_over_several_lines_is_one_row(tmp_path: Path) -> None:
    path = write(tmp_path, "t.json", json.dumps(ROWS[0], indent=2))
    assert list(Dataset.from_json(path)) == ROWS[:1]


def test_a_value_that_no_variable_can_hold_is_told_with_file_line_and_column(tmp_path: Path) -> None:
    path = write(tmp_path, "t.jsonl", '{"a": "x", "b": 1}\n\n{"a": {"y": 1}}\n')
    with pytest.raises(
        DatasetError, match=r"t.jsonl, line 3, column 'a': A Variable holds .*; got dict. .*str, json.dumps"
    ):
        Dataset.from_json(path, "a")
    with pytest.raises(DatasetError, match=r"t.jsonl, line 3: there is no 'b'"):
        Dataset.from_json(path, "b")
    with pytest.raises(DatasetError, match=r"sample 0, column 'a': .* got both"):
        Dataset.from_list([{"a": [1, "x"]}], "a")
    late = Dataset.from_huggingface(Split([{"a": "x"}, {"a": {}}]), "a")
    with pytest.raises(DatasetError, match="the Hugging Face data set, sample 1, column 'a'"):
        late[1]


def test_an_unknown_column_names_the_known_ones(tmp_path: Path) -> None:
    path = write(tmp_path, "t.csv", TICKETS)
    says = r"There is no column 'text' in .*t.csv. Its columns are: id, body, urgency, queue\."
    for columns in ({"inputs": "text"}, {"inputs": "body", "targets": ["queue", "text"]}):
        with pytest.raises(DatasetError, match=says):
            Dataset.from_csv(path, **columns)
    with pytest.raises(DatasetError, match="no column 'text' in the table, which has no rows"):
        Dataset.from_csv(write(tmp_path, "e.csv", HEADER), "text")


@pytest.mark.parametrize(
    ("make", "error", "says"),
    [
        (lambda: Dataset.from_list(ROWS, targets="queue"), ValueError, "targets needs inputs"),
        (lambda: Dataset.from_list(ROWS, []), ValueError, "at least one column"),
        (lambda: Dataset.from_list(ROWS, {"body": 5}), TypeError, "role of column 'body' must be text, got int"),  # type: ignore[dict-item]
        (lambda: Dataset.from_list(["x"]), DatasetError, "the list, sample 0: expected a dict .* got str"),  # type: ignore[list-item]
        (lambda: Dataset.from_dict({"a": [1], "b": []}), DatasetError, "differ in length: a: 1, b: 0"),
        (lambda: Dataset.from_csv("none.csv"), FileNotFoundError, "none.csv"),
        (lambda: Dataset.from_csv("none.csv", delimiter=",,"), ValueError, "delimiter must be one character"),
        (lambda: Dataset.from_pandas(ROWS), TypeError, "takes a pandas DataFrame, got list"),
        (lambda: Dataset.from_pandas(Frame([], [0, "a"])), DatasetError, "Column 0 .* is named 0"),
        (lambda: Dataset.from_pandas(Frame([], ["a", "a"])), DatasetError, "Two columns .* named 'a'"),
        (lambda: Dataset.from_huggingface({"train": 1, "test": 2}), TypeError, "one split; this holds 'train', 'test'"),
        (lambda: Dataset.from_huggingface(5), TypeError, "takes a Dataset of the datasets library, got int"),
    ],
)
def test_what_makes_no_table_says_so(make: Callable[[], Any], error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        make()


def test_a_streamed_data_set_of_huggingface_says_what_to_do() -> None:
    class Streamed:
        features: Any = None
        column_names = ("a",)

    with pytest.raises(TypeError, match=r"this one is streamed.*take\(100\)"):
        Dataset.from_huggingface(Streamed())


def test_an_empty_table_is_an_empty_data_set(tmp_path: Path) -> None:
    for dataset in (Dataset.from_list([], "a"), Dataset.from_csv(write(tmp_path, "t.csv", HEADER), "body")):
        assert len(dataset) == 0
        with pytest.raises(ValueError, match="empty"):
            DataLoader(dataset)


# --- parts and sums


def test_a_subset_has_the_samples_of_these_numbers() -> None:
    part = Subset("abcd", [3, -4, 3])
    assert (list(part), len(part), part[-1]) == (["d", "a", "d"], 3, "d")
    assert list(Subset(part, [1])) == ["a"]
    with pytest.raises(IndexError, match="no sample 4: the data set has 4"):
        Subset("abcd", [0, 4])


@given(st.lists(st.lists(st.integers(), max_size=4), min_size=1, max_size=5))
def test_concatenated_data_sets_are_concatenated_lists(parts: list[list[int]]) -> None:
    both = ConcatDataset(parts)
    joined = [item for part in parts for item in part]
    assert list(both) == joined
    assert [both[index] for index in range(-len(joined), 0)] == joined
    assert both.cumulative_sizes[-1] == len(both) == len(joined)


def test_data_sets_add_up() -> None:
    both = Dataset.from_list(ROWS, "id") + Dataset.from_list(ROWS[:1], "id")
    assert [sample.data for sample in both] == ["1", "2", "1"]
    with pytest.raises(ValueError, match="at least one data set"):
        ConcatDataset([])
    wrong: Any = [[1], iter([2])]
    with pytest.raises(TypeError, match=r"datasets\[1\] must have samples by number"):
        ConcatDataset(wrong)
    with pytest.raises(TypeError, match="dataset must have samples by number"):
        Subset(wrong[1], [0])
    assert list(Subset([1, 2], iter([1]))) == [2]


@pytest.mark.filterwarnings("ignore:Length of split")
@given(st.integers(0, 40), st.lists(st.integers(0, 10), min_size=1, max_size=5), st.integers())
def test_a_split_shares_nothing_and_loses_nothing(size: int, weights: list[int], seed: int) -> None:
    data = range(size)
    cut = [min(weight, size // len(weights)) for weight in weights]
    cut[-1] += size - sum(cut)
    parts = random_split(data, cut, seed=seed)
    assert [len(part) for part in parts] == cut
    assert sorted(item for part in parts for item in part) == list(data)
    assert [list(part) for part in random_split(data, cut, seed=seed)] == [list(part) for part in parts]


@pytest.mark.filterwarnings("ignore:Length of split")
def test_shares_are_as_torch_counts_them() -> None:
    for size, shares, sizes in [
        (10, [0.5, 0.5], [5, 5]),
        (11, [0.5, 0.3, 0.2], [6, 3, 2]),
        (10, [0.33, 0.33, 0.34], [4, 3, 3]),
        (3, [0.7, 0.2, 0.1], [3, 0, 0]),
        (5, [1.0], [5]),
    ]:
        parts = random_split(range(size), shares, seed=1)
        assert [len(part) for part in parts] == sizes


def test_an_empty_part_is_warned_of() -> None:
    with pytest.warns(UserWarning, match="Length of split at index 1 is 0. This might result in an empty dataset"):
        random_split(range(3), [3, 0])


def test_without_a_seed_splits_differ_and_the_global_generator_is_left_alone() -> None:
    random.seed(5)
    before = random.getstate()
    one, two = (list(random_split(range(50), [0.5, 0.5])[0]) for _ in range(2))
    assert one != two
    assert random.getstate() == before


@pytest.mark.parametrize(
    ("lengths", "says"),
    [
        ([0.5, 0.6], "adds up to 1.1"),
        ([2, 2], "numbers of samples that add up to 5"),
        ([-1, 6], r"lengths\[0\] must be a number of at least 0, got -1"),
        ([math.nan], "must be a number"),
        (["5"], "must be a number"),
        ([True, 4], "must be a number"),
        ([], "add up to 5"),
    ],
)
def test_lengths_that_do_not_fit(lengths: Any, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        random_split(range(5), lengths)
    with pytest.raises(TypeError, match="seed must be an int"):
        random_split(range(5), [5], seed="x")  # type: ignore[arg-type]
