"""`save` and `load`: checkpoints as zip files with JSON members, suffix ``.hf``.

A checkpoint holds ``manifest.json`` (format version, SHA-256 of the data) and ``data.json``.  It holds values
and names, never code: loading one from somebody else executes nothing and imports nothing.

In ``data.json`` a JSON value stands for itself.  What JSON has no word for is an object with the key ``"$"``::

    {"$": "float", "value": "nan"}            also inf, -inf
    {"$": "bytes", "value": "<base64>"}
    {"$": "decimal", "value": "0.10"}
    {"$": "tuple" | "set" | "frozenset", "items": [...]}
    {"$": "dict", "items": [[key, value], ...]}                     where a key is no string, or is "$"
    {"$": "ordered", "items": [[key, value], ...], "metadata": ...}
    {"$": "function", "name": "module:qualified.name"}              see afnio._functions
    {"$": "variable" | "parameter" | "gradient", "id": 0, "data": ..., "role": ..., "requires_grad": ..., "grad": ...}
                                                                    also "choice", "number" and "demos"
    {"$": "ref", "id": 0}                                           the same object once more
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import math
import os
import zipfile
import zlib
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import IO, Any

from afnio import _pickles
from afnio._files import atomic_write
from afnio._functions import find_function, function_name
from afnio.autodiff.loss import Score
from afnio.demos import Demos
from afnio.domain import Choice, Number
from afnio.errors import CheckpointError
from afnio.gradient import Gradient
from afnio.parameter import Parameter
from afnio.variable import Variable

__all__ = ["load", "save"]

VERSION = 1

_ALWAYS_READ = 64 << 20
"""Bytes of a member that are read however well it was compressed; what `save` writes beyond is not compressed."""

_LONGEST_INT = 13_288
"""Bits of a number of 4,000 digits; Python refuses to read much longer ones."""

_MOST_SHRUNK = 100
"""How many times larger than its compressed form a larger member may be."""

_VARIABLES: dict[str, tuple[type[Variable], tuple[str, ...]]] = {
    "variable": (Variable, ()),
    "parameter": (Parameter, ()),
    "choice": (Choice, Choice._extra),
    "number": (Number, Number._extra),
    "demos": (Demos, ()),
    "gradient": (Gradient, ("goal", "index", "samples", "sources")),
}
"""Tag -> class and the attributes it has beyond those of `Variable`."""

_TAGS = {cls: tag for tag, (cls, _) in _VARIABLES.items()} | {Score: "variable"}


def save(obj: object, f: str | os.PathLike[str] | IO[bytes], pickle_protocol: int | None = None) -> None:
    """Write ``obj`` to a checkpoint.

    Args:
        obj: None, bool, int, float, str, bytes, Decimal, list, tuple, dict, set, Variable, Parameter, functions
            that can be found by name, and these inside each other.  A Variable that occurs twice is one Variable
            after `load` too.  A named tuple becomes a tuple, a ``defaultdict`` a dict, a Variable that is not a
            leaf a leaf: a graph is not saved.
        f: a path (written whole or not at all) or a binary file open for writing.
        pickle_protocol: ignored; kept for scripts that pass it.

    Raises:
        TypeError: something in ``obj`` cannot be saved; the message says where it is.
        AttributeError: ``f`` is neither a path nor a file.
        OSError: the file cannot be written.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.save.html
    """
    content = _pack(obj)
    if isinstance(f, (str, os.PathLike)):
        with atomic_write(f) as file:
            file.write(content)
    elif hasattr(f, "write"):
        f.write(content)
    else:
        raise AttributeError(f"save() writes to a path or to a file with write(), got {type(f).__name__}.")


def load(f: str | os.PathLike[str] | IO[bytes]) -> Any:
    """Read what `save` wrote.  Nothing in the file is executed or imported.

    A function comes back if the module that defines it is loaded already: import your module first.
    Checkpoints of old versions (a zip with ``data.pkl``) are read too, by an unpickler that knows only
    Variables and plain containers.

    Args:
        f: a path, or a binary file open for reading.

    Raises:
        CheckpointError: the file is no checkpoint, is cut short, was changed, or names what is not there.
        AttributeError: ``f`` is neither a path nor a file.
        TypeError: ``f`` is a file that is open for text.
        OSError: the file cannot be read.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.load.html
    """
    content: Any
    if isinstance(f, (str, os.PathLike)):
        name = os.fspath(f)
        with open(f, "rb") as file:
            content = file.read()
    elif hasattr(f, "read"):
        name = getattr(f, "name", "the file")
        content = f.read()
    else:
        raise AttributeError(f"load() reads a path or a file with read(), got {type(f).__name__}.")
    if isinstance(content, str):
        raise TypeError(f"{name} is open for reading text; open it for bytes: open(path, 'rb').")
    with _faults_named(str(name)):
        return _unpack(content)


def _pack(obj: object) -> bytes:
    data = json.dumps(_encode(obj), allow_nan=False, separators=(",", ":")).encode("ascii")
    manifest = {"format": "afnio checkpoint", "version": VERSION, "sha256": hashlib.sha256(data).hexdigest()}
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, member in (("manifest.json", json.dumps(manifest).encode("ascii")), ("data.json", data)):
            # ZipInfo's own date, not today's: the same object makes the same bytes.
            packed = zipfile.ZIP_DEFLATED if len(member) <= _ALWAYS_READ else zipfile.ZIP_STORED
            archive.writestr(zipfile.ZipInfo(name), member, packed)
    return out.getvalue()


def _unpack(content: bytes) -> Any:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        names = archive.namelist()
        if names == ["data.pkl"]:
            return _pickles.loads(_member(archive, "data.pkl"))
        if "manifest.json" not in names or "data.json" not in names:
            raise CheckpointError("it is a zip file, but not one that save() wrote")
        manifest = json.loads(_member(archive, "manifest.json"))
        if manifest["version"] != VERSION:
            raise CheckpointError(
                f"it has format version {manifest['version']!r} and this release reads version {VERSION}; "
                "upgrade with `pip install -U afnio-studio`"
            )
        data = _member(archive, "data.json")
    if hashlib.sha256(data).hexdigest() != manifest["sha256"]:
        raise CheckpointError("its content was changed after it was written (the SHA-256 sums differ)")
    return _Decoder().decode(json.loads(data))


def _member(archive: zipfile.ZipFile, name: str) -> bytes:
    """The content of a member, unless it was made to fill the memory: zip shrinks what says nothing a thousandfold."""
    info = archive.getinfo(name)
    if info.file_size > max(_ALWAYS_READ, _MOST_SHRUNK * info.compress_size):
        raise CheckpointError(
            f"its {name} would grow from {info.compress_size:,} to {info.file_size:,} bytes, as no checkpoint does; if "
            "you made it yourself, unpack it and zip it again without compression (zip -0)"
        )
    return archive.read(name)


@contextmanager
def _faults_named(name: str) -> Iterator[None]:
    try:
        yield
    except CheckpointError as error:
        raise CheckpointError(f"{name} cannot be loaded: {error}.") from error.__cause__
    except zipfile.BadZipFile as error:
        raise CheckpointError(f"{name} is no checkpoint, or is cut short or damaged: {error}.") from error
    # A damaged or hand-made file can fail in any of these ways: what zipfile meets in a bad header, json in
    # bad text, the decoder in data of another shape.
    except (
        MemoryError,
        zlib.error,
        NotImplementedError,
        RuntimeError,
        EOFError,
        ValueError,
        ArithmeticError,
        TypeError,
        LookupError,
        AttributeError,
        OSError,
    ) as error:
        raise CheckpointError(f"{name} is a damaged checkpoint ({type(error).__name__}: {error}).") from error


def _encode(obj: object) -> Any:
    try:
        return _Encoder().encode(obj, "obj")
    except RecursionError:
        raise TypeError("obj cannot be saved: it is nested too deeply.") from None


class _Encoder:
    """Turns an object into JSON values; remembers the Variables it has met."""

    def __init__(self) -> None:
        self._numbers: dict[int, int] = {}
        self._open: set[int] = set()

    def encode(self, obj: Any, path: str) -> Any:
        if obj is None or isinstance(obj, (bool, str)):
            return obj
        if isinstance(obj, int):
            if obj.bit_length() > _LONGEST_INT:
                raise TypeError(f"{path} cannot be saved: it is a number of more than 4,000 digits.")
            return obj
        if isinstance(obj, float):
            return obj if math.isfinite(obj) else {"$": "float", "value": repr(float(obj))}
        if isinstance(obj, bytes):
            return {"$": "bytes", "value": base64.b64encode(obj).decode("ascii")}
        if isinstance(obj, Decimal):
            return {"$": "decimal", "value": str(obj)}
        if isinstance(obj, Variable):
            return self._variable(obj, path)
        if isinstance(obj, (list, tuple, set, frozenset, dict)):
            return self._container(obj, path)
        name = function_name(obj)
        if name is None:
            raise TypeError(f"{path} cannot be saved: {_why_not(obj)}")
        return {"$": "function", "name": name}

    def _container(self, obj: Any, path: str) -> Any:
        if id(obj) in self._open:
            raise TypeError(f"{path} cannot be saved: it contains itself.")
        self._open.add(id(obj))
        try:
            if isinstance(obj, dict):
                return self._dict(obj, path)
            items = [self.encode(item, f"{path}[{number}]") for number, item in enumerate(obj)]
        finally:
            self._open.discard(id(obj))
        if isinstance(obj, list):
            return items
        if isinstance(obj, tuple):
            return {"$": "tuple", "items": items}
        # Sets have no order; sorted, the same set makes the same bytes in every process.
        items.sort(key=json.dumps)
        return {"$": "frozenset" if isinstance(obj, frozenset) else "set", "items": items}

    def _dict(self, obj: dict[Any, Any], path: str) -> Any:
        ordered = isinstance(obj, OrderedDict)
        if not ordered and "$" not in obj and all(type(key) is str for key in obj):
            return {key: self.encode(value, f"{path}[{key!r}]") for key, value in obj.items()}
        items = [
            [self.encode(key, f"{path}, key {key!r}"), self.encode(value, f"{path}[{key!r}]")]
            for key, value in obj.items()
        ]
        if not ordered:
            return {"$": "dict", "items": items}
        metadata = getattr(obj, "_metadata", None)  # what Module.state_dict() keeps beside the values
        return {"$": "ordered", "items": items, "metadata": self.encode(metadata, f"{path}._metadata")}

    def _variable(self, obj: Variable, path: str) -> Any:
        if id(obj) in self._numbers:
            return {"$": "ref", "id": self._numbers[id(obj)]}
        tag = _TAGS.get(type(obj))
        if tag is None:
            raise TypeError(f"{path} cannot be saved: {_why_not(obj)}")
        number = self._numbers[id(obj)] = len(self._numbers)
        saved = {"data": obj.data, "role": obj.role, "requires_grad": obj.requires_grad}
        if obj.is_leaf and obj.grad:
            saved["grad"] = obj.grad
        if obj._samples is not None:
            saved["batch"] = obj._samples
        saved |= {name: getattr(obj, name) for name in _VARIABLES[tag][1]}
        return {"$": tag, "id": number} | {name: self.encode(value, f"{path}.{name}") for name, value in saved.items()}


def _why_not(obj: object) -> str:
    if callable(obj) and hasattr(obj, "__qualname__") and not isinstance(obj, type):
        return (
            f"{obj.__qualname__} is saved by its name, so it must be a function defined with `def` at the top "
            "level of a module that is loaded (no lambda, method or inner function)."
        )
    return (
        f"{type(obj).__module__}.{type(obj).__qualname__} is none of the types a checkpoint holds (None, bool, int, "
        "float, str, bytes, Decimal, list, tuple, dict, set, Variable, Parameter, functions)."
        + (" Save its state_dict() instead." if callable(getattr(obj, "state_dict", None)) else "")
    )


class _Decoder:
    """Turns JSON values back into the object; knows the Variables it has made."""

    def __init__(self) -> None:
        self._made: dict[int, Variable] = {}

    def decode(self, value: Any) -> Any:
        if isinstance(value, list):
            return [self.decode(item) for item in value]
        if not isinstance(value, dict):
            return value
        if "$" not in value:
            return {key: self.decode(item) for key, item in value.items()}
        tag = value["$"]
        if tag in _VARIABLES:
            return self._variable(value, *_VARIABLES[tag])
        if tag not in _DECODE:
            raise CheckpointError(f"it holds something of the unknown kind {tag!r}")
        return _DECODE[tag](self, value)

    def ref(self, value: Any) -> Variable:
        return self._made[value["id"]]

    def pairs(self, value: Any) -> Iterator[tuple[Any, Any]]:
        return ((self.decode(key), self.decode(item)) for key, item in value["items"])

    def ordered(self, value: Any) -> OrderedDict[Any, Any]:
        made = OrderedDict(self.pairs(value))
        metadata = self.decode(value["metadata"])
        if metadata is not None:
            made._metadata = metadata  # type: ignore[attr-defined]
        return made

    def _variable(self, value: Any, cls: type[Variable], extra: tuple[str, ...]) -> Variable:
        made = cls.__new__(cls)
        Variable.__init__(made, self.decode(value["data"]), value["role"], bool(value["requires_grad"]))
        self._made[value["id"]] = made  # before its gradients: they may name it
        batch = self.decode(value.get("batch"))
        made._samples = None if batch is None else tuple(batch)
        for name in extra:
            setattr(made, name, self.decode(value[name]))
        if "grad" in value:
            made.grad = self.decode(value["grad"])
        return made


def _function(name: str) -> Callable[..., Any]:
    found = find_function(name)
    if found is None:
        raise CheckpointError(
            f"it names the function {name!r}, which is not there. Import the module that defines it before load(); "
            "functions of the standard library are refused, but for a few that only compute"
        )
    return found


_DECODE: dict[str, Callable[[_Decoder, Any], Any]] = {
    "float": lambda _, value: float(value["value"]),
    "bytes": lambda _, value: base64.b64decode(value["value"], validate=True),
    "decimal": lambda _, value: Decimal(value["value"]),
    "tuple": lambda decoder, value: tuple(decoder.decode(value["items"])),
    "set": lambda decoder, value: set(decoder.decode(value["items"])),
    "frozenset": lambda decoder, value: frozenset(decoder.decode(value["items"])),
    "dict": lambda decoder, value: dict(decoder.pairs(value)),
    "ordered": _Decoder.ordered,
    "function": lambda _, value: _function(value["name"]),
    "ref": _Decoder.ref,
}
"""Tag -> how it is read."""
