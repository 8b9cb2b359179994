"""Rows out of the tables of other libraries, which are recognised by what they can do and never imported."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Sized
from typing import Any

from afnio.errors import DatasetError
from afnio.utils.data._rows import Rows, list_rows

__all__ = ["huggingface_rows", "pandas_rows"]


def pandas_rows(frame: Any) -> Rows:
    """The rows of a DataFrame, with None for what is missing.

    Raises:
        TypeError: it is no DataFrame.
        DatasetError: two columns have the same name, or one whose name is no text.
    """
    if not all(hasattr(frame, name) for name in ("columns", "isna", "to_dict")):
        raise TypeError(f"from_pandas() takes a pandas DataFrame, got {type(frame).__name__}.")
    columns = list(frame.columns)
    for number, name in enumerate(columns):
        if not isinstance(name, str):
            raise DatasetError(f"Column {number} of the DataFrame is named {name!r}: rename it to some text.")
        if name in columns[:number]:
            raise DatasetError(f"Two columns of the DataFrame are named {name!r}. Rename one of them.")
    missing = frame.isna().to_dict("records")
    rows = [
        {
            name: None if gone[name] is True or str(gone[name]) == "True" else _plain(value)
            for name, value in row.items()
        }
        for row, gone in zip(frame.to_dict("records"), missing, strict=True)
    ]
    return Rows(rows, columns, list_rows(rows, "the DataFrame").place)


def huggingface_rows(dataset: Any) -> Rows:
    """The rows of one split, each read when it is asked for.

    Raises:
        TypeError: it is none, or all splits together, or one that is streamed.
    """
    if isinstance(dataset, Mapping):
        splits = ", ".join(map(repr, dataset))
        raise TypeError(f"from_huggingface() takes one split; this holds {splits}: choose one by dataset[...].")
    columns = getattr(dataset, "column_names", None)
    if columns is None and not hasattr(dataset, "features"):
        raise TypeError(f"from_huggingface() takes a Dataset of the datasets library, got {type(dataset).__name__}.")
    if not isinstance(dataset, Sized) or columns is None:
        raise TypeError(
            "from_huggingface() needs a data set of known length; this one is streamed. Load it with streaming=False, "
            "or take some: Dataset.from_list(dataset.take(100), ...)."
        )
    return Rows(_HuggingFace(dataset), list(columns), lambda index: f"the Hugging Face data set, sample {index}")


class _HuggingFace(Sequence[Mapping[str, Any]]):
    """A split whose class labels are names."""

    def __init__(self, dataset: Any) -> None:
        self._dataset = dataset
        features = getattr(dataset, "features", None) or {}
        self._labels = {name: feature for name, feature in features.items() if hasattr(feature, "int2str")}

    def __len__(self) -> int:
        return len(self._dataset)

    def __getitem__(self, index: Any) -> Any:
        row = self._dataset[index]
        return {name: self._value(name, value) for name, value in row.items()}

    def _value(self, name: str, value: Any) -> Any:
        value, label = _plain(value), self._labels.get(name)
        if label is None or not isinstance(value, int):
            return value
        return None if value < 0 else label.int2str(value)


def _plain(value: Any) -> Any:
    """numpy's numbers and arrays as Python's."""
    return value.tolist() if hasattr(value, "tolist") else value
