"""`afnio.save` and `afnio.load`: signatures and what is not tested elsewhere."""

from __future__ import annotations

import io
import zipfile
from typing import Any

import pytest

import afnio
from afnio import serialization
from tests.spec.signatures import takes


def test_they_are_called_like_this() -> None:
    takes(afnio.load, "f")
    assert serialization.save is afnio.save
    for protocol in (None, 2, 4):
        file = io.BytesIO()
        afnio.save({"a": 1}, file, pickle_protocol=protocol)
        afnio.save({"a": 1}, io.BytesIO(), protocol)
        assert afnio.load(io.BytesIO(file.getvalue())) == {"a": 1}
        assert zipfile.is_zipfile(file)


def test_what_is_no_file_is_an_attribute_error() -> None:
    wrong: Any = 5
    for call in (lambda: afnio.save({}, wrong), lambda: afnio.load(wrong)):
        with pytest.raises(AttributeError):
            call()


def test_a_zip_without_a_checkpoint_in_it_says_so() -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("other.txt", "x")
    with pytest.raises(ValueError, match="not one that save"):
        afnio.load(io.BytesIO(file.getvalue()))
