"""`FacilitySupport`: 200 messages to a facility service, to be sorted by urgency, sentiment and category."""

from __future__ import annotations

import json
import os
import random
from typing import ClassVar

from afnio.utils.data.dataset import Dataset
from afnio.utils.datasets._source import data_home, describe, fetch
from afnio.variable import Variable

__all__ = ["FacilitySupport"]

Sample = tuple[Variable, tuple[Variable, Variable, Variable]]


class FacilitySupport(Dataset[Sample]):
    """E-mails and messages to a facility service, from Meta's ``llama-prompt-ops`` (MIT licence).

    A sample is ``(message, (urgency, sentiment, categories))``, all Variables; ``categories`` is JSON text that
    says true or false of each category.  66 samples to train, 66 to validate, 68 to test, always the same.

    Args:
        split: ``"train"``, ``"val"`` or ``"test"``.
        root: folder of the data; the file is ``FacilitySupport/raw/dataset.json`` or ``dataset.json`` in it.
            If neither is there, the first is downloaded.  Default: ``$AFNIO_DATA_HOME``, else
            ``~/.cache/afnio/datasets``.

    Raises:
        ValueError: an unknown split.
        DatasetError: the file cannot be downloaded, or is not the expected one.
    """

    url: ClassVar[str] = (
        "https://raw.githubusercontent.com/meta-llama/llama-prompt-ops/main/"
        "use-cases/facility-support-analyzer/dataset.json"
    )
    md5: ClassVar[str] = "530dc66b1b07c9b15b19f08891e9bfa0"

    def __init__(self, split: str, root: str | os.PathLike[str] | None = None) -> None:
        if split not in ("train", "val", "test"):
            raise ValueError(f"split must be 'train', 'val' or 'test', got {split!r}.")
        self.split = split
        self.root = data_home(root)
        path = self.root / "FacilitySupport" / "raw" / "dataset.json"
        by_hand = self.root / "dataset.json"
        rows = json.loads(fetch(by_hand if by_hand.exists() and not path.exists() else path, self.url, self.md5))
        random.Random(0).shuffle(rows)
        third = len(rows) * 33 // 100
        parts = {"train": rows[:third], "val": rows[third : 2 * third], "test": rows[2 * third :]}
        self._rows = [(row["fields"]["input"], json.loads(row["answer"])) for row in parts[split]]

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: int) -> Sample:
        message, answer = self._rows[index]
        return Variable(message, "input email or message"), (
            Variable(answer["urgency"], "output urgency"),
            Variable(answer["sentiment"], "output sentiment"),
            Variable(json.dumps(answer["categories"]), "output categories"),
        )

    def __repr__(self) -> str:
        return describe(self, root_location=self.root, split=self.split)
