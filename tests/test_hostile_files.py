"""Checkpoints by somebody who means harm: nothing is run, nothing imported, no memory filled, nothing left changed."""

from __future__ import annotations

import io
import json
import pickle
import pickletools
import sys
import tracemalloc
import zipfile
from collections import OrderedDict, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from afnio import Variable, load, save, serialization
from afnio._pickles import loads
from afnio.cognitive import Parameter
from afnio.errors import CheckpointError


def zipped(members: dict[str, bytes | str]) -> io.BytesIO:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return io.BytesIO(out.getvalue())


def old(program: bytes) -> io.BytesIO:
    return zipped({"data.pkl": program})


@pytest.fixture(autouse=True)
def nothing_happens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No file is written, no module imported; a good old file still loads afterwards."""
    monkeypatch.chdir(tmp_path)
    before = set(sys.modules)
    yield
    assert list(tmp_path.iterdir()) == []
    assert not {"antigravity", "this", "ftplib"} & (set(sys.modules) - before)
    assert load(old(GOOD)).data == "x"


V = b"cafnio._variable\nVariable\n"
P = b"cafnio.cognitive.parameter\nParameter\n"
GOOD = b"\x80\x02" + V + b")\x81}(X\x05\x00\x00\x00_dataX\x01\x00\x00\x00xub."


def text(value: str) -> bytes:
    return b"X" + len(value.encode()).to_bytes(4, "little") + value.encode()


def attributes(**values: bytes) -> bytes:
    return b"}(" + b"".join(text(name) + value for name, value in values.items()) + b"u"


HARM = {
    # calls by every instruction that makes one
    "GLOBAL, REDUCE": b"\x80\x02cos\nsystem\n" + text("touch pwned") + b"\x85R.",
    "STACK_GLOBAL, REDUCE": b"\x80\x04\x8c\x02os\x8c\x06system\x93" + text("touch pwned") + b"\x85R.",
    "STACK_GLOBAL of numbers": b"\x80\x04K\x01K\x02\x93.",
    "INST": b"(" + text("touch pwned") + b"ios\nsystem\n.",
    "OBJ": b"(cos\nsystem\n" + text("touch pwned") + b"o.",
    "NEWOBJ": b"\x80\x02csubprocess\nPopen\n" + text("touch pwned") + b"\x85\x81.",
    "NEWOBJ_EX": b"\x80\x04csubprocess\nPopen\n" + text("touch pwned") + b"\x85}\x92.",
    "eval": b"\x80\x02c__builtin__\neval\n" + text("open('pwned', 'w')") + b"\x85R.",
    "getattr": b"\x80\x02c__builtin__\ngetattr\n" + V + text("__init__") + b"\x86R.",
    "a dotted name": b"\x80\x04\x8c\x0fafnio._variable\x8c\x11Variable.__init__\x93.",
    "a module that is not loaded": b"\x80\x02cantigravity\nfly\n.",
    "a function that may be named": b"\x80\x02cafnio.serialization\nload\n" + text("x") + b"\x85R.",
    "a pure function": b"\x80\x02c__builtin__\nsum\n](K\x01e\x85R.",
    # the allowed names, used for something else
    "Variable with arguments": b"\x80\x02" + V + b"K\x01\x85R.",
    "Variable without": b"\x80\x02" + V + b")R.",
    "the class itself": b"\x80\x02" + V + b".",
    "object": b"\x80\x02c__builtin__\nobject\n)\x81.",
    "list": b"\x80\x02c__builtin__\nlist\n]\x85R.",
    "str of a container": b"\x80\x02c__builtin__\nstr\n]\x85R.",
    "int of digits": b"\x80\x02c__builtin__\nint\n" + text("9" * 5000) + b"\x85R.",
    "a default that loads": b"\x80\x02ccollections\ndefaultdict\ncafnio.serialization\nload\n\x85R.",
    "a default that is a Variable": b"\x80\x02ccollections\ndefaultdict\n" + V + b"\x85R.",
    "set of a number": b"\x80\x02c__builtin__\nset\nK\x05\x85R.",
    "OrderedDict of a number": b"\x80\x02ccollections\nOrderedDict\nK\x05\x85R.",
    "encode by another codec": b"\x80\x02c_codecs\nencode\n" + text("x") + text("rot13") + b"\x86R.",
    "_reconstructor of a list": b"\x80\x02ccopy_reg\n_reconstructor\n(c__builtin__\nlist\nc__builtin__\nobject\nNtR.",
    "_reconstructor with a state": b"\x80\x02ccopy_reg\n_reconstructor\n(" + V + b"c__builtin__\nobject\nK\x01tR.",
    "REDUCE without a tuple": b"\x80\x02ccollections\nOrderedDict\nNR.",
    "a call of text": b"\x80\x02" + text("os.system") + text("x") + b"\x85R.",
    # states
    "state of a class": b"\x80\x02" + V + attributes(variable_class=b"K\x01") + b"b.",
    "slot state of a class": b"\x80\x02" + V + b"N" + attributes(_data=b"K\x01") + b"\x86b.",
    "state of a function's name": b"\x80\x02cafnio.serialization\nload\n" + attributes(name=text("os:system")) + b"b.",
    "state of a list": b"\x80\x02]" + attributes(x=b"K\x01") + b"b.",
    "a state that is a number": b"\x80\x02" + V + b")\x81K\x01b.",
    "a role that is a list": b"\x80\x02" + V + b")\x81" + attributes(role=b"]") + b"b.",
    "data that is a dict": b"\x80\x02" + V + b")\x81" + attributes(_data=b"}") + b"b.",
    "gradients that are a number": b"\x80\x02" + V + b")\x81" + attributes(_grad=b"K\x05") + b"b.",
    "gradients that are numbers": b"\x80\x02" + V + b")\x81" + attributes(_grad=b"](K\x05e") + b"b.",
    # what pickle can do and old checkpoints never did
    "extension code": b"\x80\x02\x82\x01.",
    "extension code of 2 bytes": b"\x80\x02\x83\x01\x00.",
    "extension code of 4 bytes": b"\x80\x02\x84\x01\x00\x00\x00.",
    "persistent id": b"P1\n.",
    "persistent id from the stack": b"\x80\x02K\x01Q.",
    "buffers": b"\x80\x05\x97\x98.",
    "bytearray": b"\x80\x05\x96" + (4).to_bytes(8, "little") + b"abcd.",
    # more than there is
    "a memo slot far away": b"\x80\x02]r\xff\xff\xff\x7fh\x05.",
    "bytes that are not there": b"\x80\x04\x8e" + (1 << 40).to_bytes(8, "little") + b".",
    "a frame that is not there": b"\x80\x04\x95" + (1 << 60).to_bytes(8, "little") + b"\x95.",
    "a number of many digits": b"L" + b"9" * 5000 + b"L\n.",
    "nested deeply": b"\x80\x02" + b"]" * 100_000 + b"a" * 99_999 + b".",
    "nested tuples": b"\x80\x02N" + b"\x85" * 100_000 + b".",
    "itself": b"\x80\x02]q\x00h\x00a.",
    "a tuple as key": b"\x80\x02}(N\x85K\x01u.",
    "a list in a set": b"\x80\x04\x8f(]\x90.",
    # nonsense
    "nothing": b"",
    "only the end": b".",
    "no end": b"\x80\x02]",
    "an empty stack": b"\x80\x02a.",
    "no mark": b"\x80\x02]e.",
    "half a pair": b"\x80\x02}(K\x01u.",
    "items of a list as pairs": b"\x80\x02](K\x01K\x02u.",
    "items of a Variable": b"\x80\x02" + V + b")\x81(K\x01e.",
    "an unknown protocol": b"\x80\xff\xfe.",
}


@pytest.mark.parametrize("name", HARM)
def test_a_pickle_that_means_harm_is_refused(name: str) -> None:
    for program in (HARM[name], HARM[name][:-1] + b"0N."):  # and when its result is thrown away
        if program.endswith(b"0N.") and name in LAZY:
            continue
        with pytest.raises(CheckpointError, match="cannot be loaded|is a damaged checkpoint"):
            load(old(program))


LAZY = {
    # what is only looked at in the end, so that nothing is wrong with it if it is thrown away
    *("the class itself", "a role that is a list", "data that is a dict", "nothing", "only the end", "no end"),
    *("gradients that are a number", "gradients that are numbers", "nested deeply", "nested tuples", "itself"),
    *("a frame that is not there", "object", "an unknown protocol"),
}


def doubled(levels: int, one: bytes, empty: bytes) -> bytes:
    """A value that holds the one before twice, many times over."""
    program = b"\x80\x02" + empty + b"q\x00"
    for level in range(levels):
        program += one.replace(b"?", bytes([level])) + b"q" + bytes([level + 1])
    return program


@pytest.mark.parametrize("inside", ["alone", "data", "grad", "key", "role", "metadata"])
@pytest.mark.parametrize(("one", "empty"), [(b"](h?h?e", b"]"), (b"h?h?\x86", b")")])
def test_a_few_bytes_do_not_fill_the_memory(inside: str, one: bytes, empty: bytes) -> None:
    bomb = doubled(60, one, empty)
    program = {
        "alone": bomb + b".",
        "data": bomb + b"0" + V + b")\x81" + attributes(_data=b"h\x3c") + b"b.",
        "grad": bomb + b"0" + V + b")\x81" + attributes(_grad=b"](h\x3ce") + b"b.",
        "key": bomb + b"0}(h\x3cK\x01u.",
        "role": bomb + b"0" + V + b")\x81" + attributes(role=b"h\x3c") + b"b.",
        "metadata": bomb + b"0ccollections\nOrderedDict\n)R" + attributes(_metadata=b"h\x3c") + b"b.",
    }[inside]
    tracemalloc.start()
    try:
        with pytest.raises(CheckpointError):
            load(old(program))
        assert tracemalloc.get_traced_memory()[1] < 20 << 20
    finally:
        tracemalloc.stop()


def test_a_zip_bomb_is_refused_before_it_is_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serialization, "_ALWAYS_READ", 1 << 20)
    blank = b" " * (8 << 20)
    files: list[dict[str, bytes | str]] = [
        {"data.pkl": b"\x80\x02" + blank},
        {"manifest.json": json.dumps({"version": 1, "sha256": ""}), "data.json": blank},
        {"manifest.json": blank, "data.json": "1"},
    ]
    for members in files:
        with pytest.raises(CheckpointError, match=r"would grow from [\d,]+ to 8,388,\d+ bytes.*zip -0"):
            load(zipped(members))


def test_what_save_writes_is_read_however_well_it_compresses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serialization, "_ALWAYS_READ", 1 << 16)
    for size in (1 << 10, (1 << 16) - 2, 1 << 18):
        out = io.BytesIO()
        save("x" * size, out)
        assert len(load(io.BytesIO(out.getvalue()))) == size


def test_a_zip_that_lies_about_its_size_is_damaged() -> None:
    content = bytearray(old(GOOD).getvalue())
    place = content.rindex(b"PK\x01\x02") + 24  # the size after unpacking, in the directory
    content[place : place + 4] = (3).to_bytes(4, "little")
    with pytest.raises(CheckpointError):
        load(io.BytesIO(bytes(content)))


@settings(max_examples=400, deadline=None)
@given(st.binary(max_size=60), st.binary(max_size=10))
def test_any_bytes_are_refused_or_harmless(program: bytes, end: bytes) -> None:
    for content in (b"\x80\x02" + program + b".", b"\x80\x04" + V + b")\x81" + program + end + b"."):
        try:
            loads(content)
        except (CheckpointError, RecursionError, TypeError, AttributeError):
            continue  # load() turns each of these into a CheckpointError


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_any_instructions_are_refused_or_harmless(data: Any) -> None:
    codes = [opcode for opcode in pickletools.opcodes if opcode.arg is None and opcode.name != "STOP"]
    chosen = data.draw(st.lists(st.sampled_from(codes), max_size=30))
    names = data.draw(
        st.lists(st.sampled_from([V, P, b"ccollections\nOrderedDict\n", b"cos\nsystem\n", b"K\x01"]), max_size=9)
    )
    program = b"".join(names) + b"".join(opcode.code.encode("latin-1") for opcode in chosen)
    try:
        loads(program + b".")
    except (CheckpointError, RecursionError, TypeError, AttributeError):
        return


# --- what old releases wrote comes back


KEYS = {
    *("role", "requires_grad", "is_leaf", "variable_id", "_data", "_grad", "_grad_fn", "_output_nr", "_retain_grad"),
    *("_initialized", "_pending_grad_fn_id", "_pending_grad", "_pending_data"),
}
"""The 13 attributes of a Variable of the old release."""


def written(value: Any) -> bytes:
    """``value`` as a pickle of protocol 2; Variables as the old release wrote them, and memoized."""
    out, memo = bytearray(b"\x80\x02"), {}  # type: tuple[bytearray, dict[int, int]]

    def put(item: Any) -> None:
        if isinstance(item, Variable):
            if id(item) in memo:
                out.extend(b"j" + memo[id(item)].to_bytes(4, "little"))
                return
            memo[id(item)] = 1000 + len(memo)  # below that is what pickle gives the texts
            out.extend((P if isinstance(item, Parameter) else V) + b")\x81r" + memo[id(item)].to_bytes(4, "little"))
            state = dict.fromkeys(KEYS)
            state |= {"_data": item.data, "role": item.role, "requires_grad": item.requires_grad}
            put(state | {"_grad": item.grad, "is_leaf": True, "variable_id": "v1", "_output_nr": 0})
            out.extend(b"b")
        elif isinstance(item, OrderedDict | dict):
            out.extend(b"ccollections\nOrderedDict\n)R(" if isinstance(item, OrderedDict) else b"}(")
            for key, content in item.items():
                put(key)
                put(content)
            out.extend(b"u")
        elif isinstance(item, list):
            out.extend(b"](")
            for content in item:
                put(content)
            out.extend(b"e")
        else:
            out.extend(pickle.dumps(item, 2)[2:-1])

    put(value)
    return bytes(out + b".")


scalars = st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.text(max_size=8) | st.floats(allow_nan=False)
data = st.none() | st.text(max_size=9) | st.integers() | st.lists(st.text(max_size=5) | st.none(), max_size=4)


@st.composite
def variables(draw: Any) -> Variable:
    made = draw(st.sampled_from([Variable, Parameter]))(draw(data), draw(st.text(max_size=6)))
    made.requires_grad = draw(st.booleans())
    made.grad = [Variable(draw(st.text(max_size=5)), "feedback") for _ in range(draw(st.integers(0, 2)))]
    return made  # type: ignore[no-any-return]


trees = st.recursive(
    scalars | variables(),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(max_size=5), inner, max_size=4)
        | st.dictionaries(st.text(max_size=5), inner, max_size=3).map(OrderedDict)
    ),
    max_leaves=12,
)


def facts(value: Any) -> Any:
    if isinstance(value, Variable):
        return type(value).__name__, value.data, value.role, value.requires_grad, [facts(one) for one in value.grad]
    if isinstance(value, dict):
        return type(value).__name__, [(key, facts(item)) for key, item in value.items()]
    return [facts(item) for item in value] if isinstance(value, list) else (type(value).__name__, value)


@settings(deadline=None)
@given(trees)
def test_old_checkpoints_come_back_and_new_ones_of_them_too(tree: Any) -> None:
    back = load(old(written(tree)))
    assert facts(back) == facts(tree)
    out = io.BytesIO()
    save(back, out)
    assert facts(load(io.BytesIO(out.getvalue()))) == facts(tree)


def test_one_variable_in_two_places_stays_one_and_other_attributes_are_passed_over() -> None:
    shared = Parameter("Classify.", "prompt")
    back = load(old(written([shared, {"again": shared}])))
    assert back[0] is back[1]["again"]
    assert len(KEYS) == 13
    more = GOOD.replace(b"ub.", text("of a later release") + b"](K\x01eub.")
    assert load(old(more)).data == "x"


def test_plain_pickles_of_every_protocol_come_back() -> None:
    value = {
        "a": [1, 2.5, None, True, "ü", b"\x00\xff", -(2**70)],
        "b": (1, (), (1, 2, 3, 4)),
        "c": {1, "x"},
        "d": frozenset({2}),
        "e": OrderedDict(x=1),
        "f": defaultdict(list, {0: []}),
        3: "number",
        None: "none",
    }
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        back = load(old(pickle.dumps(value, protocol)))
        assert back == value
        assert back["f"][1] == []
