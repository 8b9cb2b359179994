"""`Dataset`: samples by number; `TableDataset`: those of a table."""

from __future__ import annotations

import bisect
import itertools
import math
import operator
import os
import random
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Generic, TypeAlias, TypeVar, cast

from afnio.errors import DatasetError
from afnio.utils.data._rows import Rows, csv_rows, file_path, json_rows, list_rows
from afnio.utils.data._tables import huggingface_rows, pandas_rows
from afnio.variable import Variable

__all__ = ["Columns", "ConcatDataset", "Dataset", "Subset", "TableDataset", "random_split"]

T_co = TypeVar("T_co", covariant=True)
T = TypeVar("T")

Columns: TypeAlias = str | Sequence[str] | Mapping[str, str]
"""One column, several, or several with the role of each: ``{"body": "the customer's mail"}``."""


class Dataset(Generic[T_co]):
    """Samples by number.  A subclass says how many there are and what each one is.

    Tables need no subclass: `from_csv`, `from_json`, `from_list`, `from_dict`, `from_pandas` and
    `from_huggingface` make a `TableDataset`.

    Source: https://docs.pytorch.org/docs/stable/data.html#torch.utils.data.Dataset
    """

    def __getitem__(self, index: int) -> T_co:
        """Sample number ``index``, counted from 0."""
        raise NotImplementedError(f"{type(self).__name__} must define __getitem__(self, index).")

    def __len__(self) -> int:
        raise NotImplementedError(f"{type(self).__name__} must define __len__(self).")

    def __iter__(self) -> Iterator[T_co]:
        return (self[index] for index in range(len(self)))

    def __add__(self, other: Dataset[Any]) -> ConcatDataset[Any]:
        """The samples of this data set, then those of ``other``."""
        return ConcatDataset([self, other])

    @staticmethod
    def from_csv(
        path: str | os.PathLike[str],
        inputs: Columns | None = None,
        targets: Columns | None = None,
        *,
        delimiter: str = ",",
        encoding: str = "utf-8",
    ) -> TableDataset:
        """The rows of a CSV file whose first line names the columns; all values are text.

        ::

            train = Dataset.from_csv("tickets.csv", inputs={"body": "support ticket"}, targets=["urgency", "queue"])
            message, (urgency, queue) = train[0]

        Args:
            path: the file.
            inputs, targets: which columns make a sample; see `TableDataset`.
            delimiter: between values; ``"\\t"`` for tab-separated files.
            encoding: of the text.

        Raises:
            DatasetError: what is wrong, with file, line and column.
            OSError: the file cannot be read.

        The other ``from_...`` raise the same.
        """
        if not isinstance(delimiter, str) or len(delimiter) != 1:
            raise ValueError(f"delimiter must be one character, got {delimiter!r}.")
        return TableDataset(csv_rows(file_path(path), delimiter, encoding), inputs, targets)

    @staticmethod
    def from_json(
        path: str | os.PathLike[str],
        inputs: Columns | None = None,
        targets: Columns | None = None,
        *,
        field: str | None = None,
        encoding: str = "utf-8",
    ) -> TableDataset:
        """The objects of a JSON file, in one list or one a line (JSON lines); keys are columns.

        ``field`` names the key that holds the list, where the file is one object.
        """
        return TableDataset(json_rows(file_path(path), field, encoding), inputs, targets)

    @staticmethod
    def from_list(
        rows: Iterable[Mapping[str, Any]], inputs: Columns | None = None, targets: Columns | None = None
    ) -> TableDataset:
        """A list of dicts: column -> value."""
        return TableDataset(list_rows(list(rows)), inputs, targets)

    @staticmethod
    def from_dict(
        columns: Mapping[str, Sequence[Any]], inputs: Columns | None = None, targets: Columns | None = None
    ) -> TableDataset:
        """Lists of the same length by column."""
        lengths = {name: len(values) for name, values in columns.items()}
        if len(set(lengths.values())) > 1:
            raise DatasetError(f"The columns differ in length: {', '.join(f'{n}: {s}' for n, s in lengths.items())}.")
        rows = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
        return TableDataset(list_rows(rows, "the columns"), inputs, targets)

    @staticmethod
    def from_pandas(frame: Any, inputs: Columns | None = None, targets: Columns | None = None) -> TableDataset:
        """The rows of a pandas DataFrame.  What is missing there (NaN, NaT, NA) is None."""
        return TableDataset(pandas_rows(frame), inputs, targets)

    @staticmethod
    def from_huggingface(dataset: Any, inputs: Columns | None = None, targets: Columns | None = None) -> TableDataset:
        """One split of a data set of Hugging Face's ``datasets``, read row by row when it is needed.

        Class labels become their names; one that is -1 (not told) becomes None.
        """
        return TableDataset(huggingface_rows(dataset), inputs, targets)


class TableDataset(Dataset[Any]):
    """Samples made of the rows of a table.

    | ``inputs``, ``targets`` | a sample |
    |---|---|
    | neither | the row, a dict of plain values |
    | ``inputs`` only | the input |
    | both | ``(input, target)`` |

    An input or a target is a Variable if one column is named (``"body"``), a tuple of Variables if a list or a dict of
    columns is.  A dict says the role of each: ``{"body": "the customer's mail"}``; else the column's name is the role.
    The loader then makes batches of Variables of them.  Made by ``Dataset.from_csv`` and its like.

    Raises:
        DatasetError: a column is not there, or a value cannot be held by a Variable; the message says where.
    """

    def __init__(self, table: Rows, inputs: Columns | None = None, targets: Columns | None = None) -> None:
        if inputs is None and targets is not None:
            raise ValueError("targets needs inputs too: which columns does the agent get?")
        self._table = table
        self._inputs = _Part(inputs, table) if inputs is not None else None
        self._targets = _Part(targets, table) if targets is not None else None
        if isinstance(table.rows, list):  # all in memory: what is wrong with it is said now
            for index in range(len(self)):
                self[index]

    @property
    def column_names(self) -> list[str]:
        """The columns of the table."""
        return list(self._table.columns)

    def __len__(self) -> int:
        return len(self._table.rows)

    def __getitem__(self, index: int) -> Any:
        number = _in_range(index, len(self))
        row = self._table.rows[number]
        if self._inputs is None:
            return dict(row)
        sample = self._inputs.of(row, number)
        return sample if self._targets is None else (sample, self._targets.of(row, number))

    def __repr__(self) -> str:
        return f"TableDataset({len(self)} rows, columns: {', '.join(self._table.columns)})"


class _Part:
    """The input, or the target, of each sample."""

    def __init__(self, columns: Columns, table: Rows) -> None:
        self.alone = isinstance(columns, str)
        names = [columns] if isinstance(columns, str) else columns
        self.roles = dict(names) if isinstance(names, Mapping) else {name: name for name in names}
        self.place = table.place
        if not self.roles:
            raise ValueError("inputs and targets name at least one column each.")
        for name, role in self.roles.items():
            if not isinstance(role, str):
                raise TypeError(f"The role of column {name!r} must be text, got {type(role).__name__}.")
            if name not in table.columns and (table.columns or len(table.rows)):
                raise DatasetError(
                    f"There is no column {name!r} in {_source(table)}. Its columns are: {', '.join(table.columns)}."
                )

    def of(self, row: Mapping[str, Any], index: int) -> Any:
        variables = tuple(self.variable(row, index, name, role) for name, role in self.roles.items())
        return variables[0] if self.alone else variables

    def variable(self, row: Mapping[str, Any], index: int, name: str, role: str) -> Variable:
        if name not in row:
            raise DatasetError(f"{self.place(index)}: there is no {name!r}.")
        try:
            return Variable(row[name], role)
        except TypeError as error:
            raise DatasetError(
                f"{self.place(index)}, column {name!r}: {error} Make text of it first (str, json.dumps) and use "
                "Dataset.from_list(rows, ...)."
            ) from None


def check_dataset(dataset: object, name: str) -> None:
    """Check that ``dataset`` has samples by number.

    Raises:
        TypeError: it has not.
    """
    if not hasattr(type(dataset), "__getitem__") or not hasattr(type(dataset), "__len__"):
        raise TypeError(
            f"{name} must have samples by number (__getitem__, __len__), got {type(dataset).__name__}. A list does: "
            "list(...)."
        )


def _source(table: Rows) -> str:
    return table.place(0).rpartition(", ")[0] if len(table.rows) else "the table, which has no rows"


def _in_range(index: Any, size: int) -> int:
    number = operator.index(index)
    if not -size <= number < size:
        raise IndexError(f"There is no sample {number}: the data set has {size}.")
    return number % size


class Subset(Dataset[T_co]):
    """Some samples of a data set, by their numbers in it.

    Raises:
        IndexError: a number is out of range.

    Source: https://docs.pytorch.org/docs/stable/data.html#torch.utils.data.Subset
    """

    def __init__(self, dataset: Dataset[T_co] | Sequence[T_co], indices: Sequence[int] | Iterable[int]) -> None:
        check_dataset(dataset, "dataset")
        self.dataset = dataset
        self.indices = indices = indices if isinstance(indices, Sequence) else list(indices)
        for index in indices:
            _in_range(index, len(dataset))

    def __getitem__(self, index: int) -> T_co:
        return self.dataset[self.indices[operator.index(index)]]

    def __len__(self) -> int:
        return len(self.indices)


class ConcatDataset(Dataset[T_co]):
    """Data sets one after the other.

    Attributes:
        datasets: those given.
        cumulative_sizes: how many samples there are up to the end of each.

    Raises:
        ValueError: none is given.

    Source: https://docs.pytorch.org/docs/stable/data.html#torch.utils.data.ConcatDataset
    """

    def __init__(self, datasets: Iterable[Dataset[T_co] | Sequence[T_co]]) -> None:
        self.datasets = list(datasets)
        if not self.datasets:
            raise ValueError("datasets should not be an empty iterable: give at least one data set.")
        for number, dataset in enumerate(self.datasets):
            check_dataset(dataset, f"datasets[{number}]")
        self.cumulative_sizes = list(itertools.accumulate(map(len, self.datasets)))

    def __len__(self) -> int:
        return self.cumulative_sizes[-1]

    def __getitem__(self, index: int) -> T_co:
        number = _in_range(index, len(self))
        which = bisect.bisect_right(self.cumulative_sizes, number)
        return self.datasets[which][number - (self.cumulative_sizes[which - 1] if which else 0)]


def random_split(
    dataset: Dataset[T] | Sequence[T], lengths: Sequence[int | float], seed: int | None = None
) -> list[Subset[T]]:
    """Parts of a data set that share no sample, drawn at random.

    Args:
        dataset: what to split.
        lengths: how many samples each part has, in sum all; or which share of them, in sum 1.  Where shares do not
            come out even, the first parts get one sample more each.
        seed: gives the same parts each time.  The global ``random`` is not touched.

    Raises:
        TypeError: ``seed`` is no int.
        ValueError: the lengths do not add up, or are negative.

    Source: https://docs.pytorch.org/docs/stable/data.html#torch.utils.data.random_split
    """
    if seed is not None and (not isinstance(seed, int) or isinstance(seed, bool)):
        raise TypeError(f"seed must be an int or None, got {seed!r}.")
    sizes = _sizes(list(lengths), len(dataset))
    order = list(range(len(dataset)))
    random.Random(random.SystemRandom().getrandbits(63) if seed is None else f"random_split/{seed}").shuffle(order)
    ends = list(itertools.accumulate(sizes))
    return [Subset(dataset, order[end - size : end]) for size, end in zip(sizes, ends, strict=True)]


def _sizes(lengths: list[Any], total: int) -> list[int]:
    for index, length in enumerate(lengths):
        if isinstance(length, bool) or not isinstance(length, (int, float)) or not 0 <= length < math.inf:
            raise ValueError(f"lengths[{index}] must be a number of at least 0, got {length!r}.")
    if math.isclose(sum(lengths), 1) and sum(lengths) <= 1 + 1e-9 and not all(isinstance(one, int) for one in lengths):
        sizes = _even(lengths, total)
    elif all(isinstance(length, int) for length in lengths) and sum(lengths) == total:
        sizes = cast(list[int], lengths)
    else:
        raise ValueError(
            f"lengths must be shares that add up to 1, or numbers of samples that add up to {total}; "
            f"{lengths!r} adds up to {sum(lengths)}."
        )
    for index, size in enumerate(sizes):
        if size == 0:
            warnings.warn(
                f"Length of split at index {index} is 0. This might result in an empty dataset.", stacklevel=3
            )
    return sizes


def _even(shares: list[float], total: int) -> list[int]:
    sizes = [math.floor(total * share) for share in shares]
    for index in range(total - sum(sizes)):
        sizes[index % len(sizes)] += 1
    return sizes
