"""`TREC`: questions, to be sorted by what they ask for."""

from __future__ import annotations

import os
import random
from typing import ClassVar

from afnio.utils.data.dataset import Dataset
from afnio.utils.datasets._source import data_home, describe, fetch

__all__ = ["TREC"]

Sample = tuple[str, tuple[str, str]]


class TREC(Dataset[Sample]):
    """Questions with the kind of answer they ask for (Li and Roth, 2002): 6 coarse kinds, 50 fine ones.

    A sample is plain text, ``(question, (fine_label, coarse_label))``, for example
    ``("What is a fuel cell ?", ("DESC:def", "DESC"))``.  Questions that occur twice are kept once.

    Args:
        task: ``"coarse"`` or ``"fine"``: the labels by which a validation split is balanced.
        split: ``"train"``, ``"val"`` or ``"test"``.
        validation_split: share of the training questions, from 0 up to but not including 1, that are set apart
            as ``"val"``; the same ones each time, the same share of each label.
        root: folder of the data, with ``TREC/raw/train_5500.label`` and ``TREC_10.label``, downloaded if they
            are not there.  Default: ``$AFNIO_DATA_HOME``, else ``~/.cache/afnio/datasets``.

    Raises:
        ValueError: an unknown task or split, a share out of range, or ``"val"`` with a share of 0.
        DatasetError: a file cannot be downloaded, or is not the expected one.
    """

    base_url: ClassVar[str] = "https://cogcomp.seas.upenn.edu/Data/QA/QC/"
    md5: ClassVar[dict[str, str]] = {
        "train_5500.label": "073462e3fcefaae31e00edb1f18d2d02",
        "TREC_10.label": "323a3554401d86e650717e2d2f942589",
    }

    def __init__(
        self, task: str, split: str, validation_split: float = 0.0, root: str | os.PathLike[str] | None = None
    ) -> None:
        if task not in ("coarse", "fine"):
            raise ValueError(f"task must be 'coarse' or 'fine', got {task!r}.")
        if split not in ("train", "val", "test"):
            raise ValueError(f"split must be 'train', 'val' or 'test', got {split!r}.")
        if not 0 <= validation_split < 1:
            raise ValueError(f"validation_split must be at least 0 and below 1, got {validation_split!r}.")
        if split == "val" and validation_split == 0:
            raise ValueError("split='val' needs a validation_split above 0, for example 0.1.")
        self.task, self.split, self.validation_split = task, split, validation_split
        self.root = data_home(root)
        name = "TREC_10.label" if split == "test" else "train_5500.label"
        samples = _parse(fetch(self.root / "TREC" / "raw" / name, self.base_url + name, self.md5[name]))
        if split != "test":
            train, val = _stratified(samples, validation_split, label=0 if task == "fine" else 1)
            samples = val if split == "val" else train
        self._samples = samples

    def __len__(self) -> int:
        return len(self._samples)

    def __getitem__(self, index: int) -> Sample:
        return self._samples[index]

    def __repr__(self) -> str:
        return describe(self, root_location=self.root, task=self.task, split=self.split)


def _parse(content: bytes) -> list[Sample]:
    """Lines of ``COARSE:fine the question``.  The one byte that is not ASCII, 0xF0, stands for a space."""
    samples: dict[Sample, None] = {}
    for line in content.replace(b"\xf0", b" ").decode("latin-1").splitlines():
        fine, _, text = line.strip().partition(" ")
        if text:
            samples[text, (fine, fine.partition(":")[0])] = None
    return list(samples)


def _stratified(samples: list[Sample], share: float, label: int) -> tuple[list[Sample], list[Sample]]:
    """Two parts in the order of the file, the second with ``share`` of the samples of each label."""
    groups: dict[str, list[int]] = {}
    for number, sample in enumerate(samples):
        groups.setdefault(sample[1][label], []).append(number)
    generator = random.Random(42)
    chosen: set[int] = set()
    for name in sorted(groups):
        generator.shuffle(groups[name])
        chosen.update(groups[name][: round(len(groups[name]) * share)])
    first = [sample for number, sample in enumerate(samples) if number not in chosen]
    return first, [samples[number] for number in sorted(chosen)]
