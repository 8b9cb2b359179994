"""Laws of `save` and `load`: what goes in comes out, damage is noticed, and nothing in a file is ever run."""

from __future__ import annotations

import collections
import hashlib
import io
import json
import math
import operator
import os
import pickle
import pickletools
import statistics
import sys
import types
import zipfile
from collections import OrderedDict, defaultdict
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import afnio.cognitive as cog
from afnio.autodiff import local_engine
from afnio.errors import CheckpointError
from afnio.gradient import Gradient
from afnio.models.backward_client import set_backward_model_client
from afnio.models.simulated import simulated
from afnio.optim import TGD, max_words
from afnio.parameter import Parameter
from afnio.serialization import load, save
from afnio.variable import Variable


def score(prediction: str, target: str) -> int:
    return int(prediction == target)


class Metrics:
    @staticmethod
    def half(scores: list[float]) -> float:
        return sum(scores) / 2


def packed(obj: object) -> bytes:
    out = io.BytesIO()
    save(obj, out)
    return out.getvalue()


def there_and_back(obj: Any) -> Any:
    return load(io.BytesIO(packed(obj)))


def alike(one: Any, two: Any) -> bool:
    """Equality that also compares types, NaN and Variables."""
    if type(one) is not type(two):
        return False
    if isinstance(one, float):
        return (math.isnan(one) and math.isnan(two)) or (one == two and math.copysign(1, one) == math.copysign(1, two))
    if isinstance(one, Variable):
        return alike(
            [one.data, one.role, one.requires_grad, one._samples, one.grad],
            [two.data, two.role, two.requires_grad, two._samples, two.grad],
        )
    if isinstance(one, dict):
        return alike(list(one.items()), list(two.items()))
    if isinstance(one, (list, tuple)):
        return len(one) == len(two) and all(map(alike, one, two))
    if isinstance(one, Decimal):
        return str(one) == str(two)
    return bool(one == two)


scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters())
    | st.binary()
    | st.decimals(allow_nan=False)
)
keys = st.none() | st.booleans() | st.integers() | st.text() | st.tuples(st.integers(), st.text()) | st.just("$")
leaves = st.none() | st.text() | st.lists(st.text() | st.none()) | st.lists(st.lists(st.integers()))
variables = st.builds(Variable, leaves, st.text(), st.booleans()) | st.builds(Parameter, leaves, st.text())
trees = st.recursive(
    scalars | variables,
    lambda inner: (
        st.lists(inner)
        | st.lists(inner).map(tuple)
        | st.dictionaries(keys, inner)
        | st.dictionaries(st.text(), inner).map(OrderedDict)
    ),
    max_leaves=12,
)


# --- round trips


@given(trees)
def test_what_goes_in_comes_out(tree: Any) -> None:
    assert alike(there_and_back(tree), tree)


@given(st.sets(st.integers() | st.text()))
def test_sets(values: set[Any]) -> None:
    assert there_and_back(values) == values
    assert alike(there_and_back(frozenset(values)), frozenset(values))


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, -0.0, 2**200, "\ud800", Decimal("0.10")])
def test_odd_values(value: Any) -> None:
    assert alike(there_and_back(value), value)


def test_the_same_object_makes_the_same_bytes() -> None:
    assert packed({"a": {"x", "y", "z"}, "p": Parameter("text", "role")}) == packed(
        {"a": {"z", "y", "x"}, "p": Parameter("text", "role")}
    )


def test_metadata_of_a_state_dict_survives() -> None:
    state: Any = OrderedDict(prompt=Parameter("text", "role"))
    state._metadata = OrderedDict({"": {"version": 1}})
    back = there_and_back(state)
    assert back._metadata == OrderedDict({"": {"version": 1}})
    assert alike(back, state)


def test_gradients_travel_with_their_variable() -> None:
    parameter = Parameter("text", "role")
    parameter.append_grad(Gradient("too short", "role", samples=("1", "4"), index=2, sources=("t",), goal="exact"))
    (gradient,) = there_and_back(parameter).grad
    assert type(gradient) is Gradient
    assert (gradient.data, gradient.samples, gradient.index, gradient.sources, gradient.goal) == (
        "too short",
        ("1", "4"),
        2,
        ("t",),
        "exact",
    )


def test_shared_variables_stay_shared() -> None:
    one = Parameter("text", "role")
    one.append_grad(one)  # even in a circle
    back = there_and_back({"a": one, "b": [one, (one,)]})
    assert back["a"] is back["b"][0] is back["b"][1][0] is back["a"].grad[0]


def test_the_samples_of_a_batch_survive() -> None:
    batch = Variable(["a", "b"])
    batch._samples = ("7", "3")
    assert there_and_back(batch)._samples == ("7", "3")


def test_subclasses_of_containers_become_the_plain_ones() -> None:
    class Point(NamedTuple):
        x: int
        y: int

    assert alike(there_and_back(Point(1, 2)), (1, 2))
    assert alike(there_and_back(defaultdict(list, a=[1])), {"a": [1]})


@pytest.mark.parametrize("function", [score, Metrics.half, sum, max, len, math.fsum, statistics.mean, operator.add])
def test_functions_come_back_by_name(function: Callable[..., Any]) -> None:
    assert there_and_back({"f": function})["f"] is function


def test_an_agent_and_its_optimizer_survive(tmp_path: Path) -> None:
    model = simulated()
    set_backward_model_client(model)

    class Triage(cog.Module):
        def __init__(self) -> None:
            super().__init__()
            self.prompt = cog.Parameter("Give the urgency: low, medium or high.", role="prompt")
            self.chat = cog.ChatCompletion()
            self.right = cog.ExactMatchEvaluator()

        def forward(self, tickets: list[str]) -> Variable:
            ask = [{"role": "system", "content": [self.prompt]}, {"role": "user", "content": [Variable("{ticket}")]}]
            answer: Variable = self.chat(model, ask, inputs={"ticket": tickets}, temperature=0.0)
            return answer

    def build() -> tuple[Triage, TGD]:
        agent = Triage()
        return agent, TGD(agent.parameters(), model, momentum=2, constraints=[max_words(100)])

    tickets, target = ["Nobody here can work, the app has crashed."], Variable(["high"])
    agent, optimizer = build()
    with local_engine():
        loss = agent.right(agent(tickets), target)
        loss.backward()
        optimizer.step()
    state = {"agent": agent.state_dict(keep_vars=True), "optimizer": optimizer.state_dict()}
    save(state, tmp_path / "agent.hf")

    saved = load(tmp_path / "agent.hf")
    assert alike(saved, there_and_back(saved))
    assert saved["agent"]["chat.messages"][0]["content"][0] is saved["agent"]["prompt"]
    other, its_optimizer = build()
    other(tickets)
    other.right(other(tickets), target)
    other.load_state_dict(saved["agent"])
    its_optimizer.load_state_dict(saved["optimizer"])
    assert other.prompt.data == agent.prompt.data != "Give the urgency: low, medium or high."
    assert alike(packed(its_optimizer.state_dict()["state"]), packed(optimizer.state_dict()["state"]))


# --- what cannot be saved


def test_the_place_of_what_cannot_be_saved_is_named() -> None:
    with pytest.raises(TypeError, match="builtins.object") as caught:
        save({"agent": [0, {"x": object()}]}, io.BytesIO())
    assert "obj['agent'][1]['x']" in str(caught.value)


def test_functions_without_a_findable_name_are_refused() -> None:
    def inner() -> None: ...

    for function in (inner, lambda: 0, "".join, Metrics().half.__get__, eval, exec, os.system, open, print):
        with pytest.raises(TypeError, match="cannot be saved"):
            save({"f": function}, io.BytesIO())


def test_what_contains_itself_or_is_too_deep_is_refused() -> None:
    circle: list[Any] = []
    circle.append(circle)
    with pytest.raises(TypeError, match=r"obj\[0\] cannot be saved: it contains itself"):
        save(circle, io.BytesIO())
    deep: list[Any] = []
    for _ in range(5000):
        deep = [deep]
    with pytest.raises(TypeError, match="too deep"):
        save(deep, io.BytesIO())


def test_a_number_beyond_all_bounds_is_refused_by_its_place() -> None:
    assert there_and_back({"x": -(10**3999)}) == {"x": -(10**3999)}
    with pytest.raises(TypeError, match=r"obj\['x'\] cannot be saved: it is a number of more than 4,000 digits"):
        save({"x": 10**5000}, io.BytesIO())


def test_what_a_later_release_adds_is_passed_over() -> None:
    variable = {"$": "variable", "id": 0, "data": "x", "role": "r", "requires_grad": False, "color": "red"}
    assert load(with_data(variable)).data == "x"


def test_what_occurs_twice_is_not_a_circle() -> None:
    twice = [1]
    assert there_and_back([twice, twice]) == [[1], [1]]


def test_subclasses_of_variables_are_refused_rather_than_cut_down() -> None:
    class Special(Variable):
        pass

    with pytest.raises(TypeError, match="Special"):
        save(Special("x"), io.BytesIO())


# --- files


def test_paths_and_files(tmp_path: Path) -> None:
    save({"a": 1}, tmp_path / "one.hf")
    save({"a": 1}, str(tmp_path / "two.hf"), pickle_protocol=2)
    with (tmp_path / "three.hf").open("wb") as file:
        save({"a": 1}, file)
    assert len({(tmp_path / name).read_bytes() for name in ("one.hf", "two.hf", "three.hf")}) == 1
    assert load(str(tmp_path / "one.hf")) == {"a": 1}
    with (tmp_path / "one.hf").open("rb") as file:
        assert load(file) == {"a": 1}


@pytest.mark.parametrize("call", [lambda: save(1, 5), lambda: load(5)])  # type: ignore[arg-type]
def test_neither_path_nor_file(call: Callable[[], Any]) -> None:
    with pytest.raises(AttributeError, match="int"):
        call()


def test_a_file_open_for_text_says_how_to_open_it(tmp_path: Path) -> None:
    (tmp_path / "x.hf").write_text("text")
    wrong: Any
    with (tmp_path / "x.hf").open() as wrong, pytest.raises(TypeError, match=r"open\(path, 'rb'\)"):
        load(wrong)


def test_a_failed_save_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "agent.hf"
    save("old", path)
    with pytest.raises(TypeError):
        save(object(), path)
    assert load(path) == "old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_full_disk_is_an_error() -> None:
    with open("/dev/full", "wb", buffering=0) as file, pytest.raises(OSError, match="No space"):
        save("x", file)


def test_a_rename_that_fails_says_that_nothing_was_lost(tmp_path: Path) -> None:
    (tmp_path / "agent.hf").mkdir()
    with pytest.raises(OSError) as caught:
        save("x", tmp_path / "agent.hf")
    assert "untouched" in caught.value.__notes__[0]
    assert [entry.name for entry in tmp_path.iterdir()] == ["agent.hf"]


def test_a_missing_file_is_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        load(tmp_path / "none.hf")


# --- damage

SAMPLE: dict[str, Any] = {
    "epoch": 3,
    "agent": OrderedDict(prompt=Parameter("Classify the ticket.", "prompt")),
    "f": sum,
}
WHOLE = packed(SAMPLE)


def test_cut_anywhere_is_noticed() -> None:
    for end in range(len(WHOLE)):
        with pytest.raises(CheckpointError):
            load(io.BytesIO(WHOLE[:end]))


@settings(max_examples=300)
@given(st.integers(0, len(WHOLE) - 1), st.integers(1, 255))
def test_a_flipped_byte_is_noticed_or_harmless(position: int, flip: int) -> None:
    damaged = bytearray(WHOLE)
    damaged[position] ^= flip
    try:
        back = load(io.BytesIO(bytes(damaged)))
    except CheckpointError:
        return
    assert alike(back, SAMPLE)


@given(st.binary(max_size=200))
def test_rubbish_is_no_checkpoint(rubbish: bytes) -> None:
    with pytest.raises(CheckpointError, match="no checkpoint"):
        load(io.BytesIO(rubbish))


def zipped(**members: str | bytes) -> io.BytesIO:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, content in members.items():
            archive.writestr(name.replace("_", "."), content)
    return io.BytesIO(out.getvalue())


def with_data(data: Any, *, honest: bool = True, version: int = 1) -> io.BytesIO:
    """A checkpoint made by hand, with the right sum if ``honest``."""
    text = json.dumps(data)
    digest = hashlib.sha256(text.encode() if honest else b"other").hexdigest()
    return zipped(manifest_json=json.dumps({"version": version, "sha256": digest}), data_json=text)


def test_a_changed_member_is_noticed() -> None:
    with pytest.raises(CheckpointError, match="changed"):
        load(with_data({"a": 2}, honest=False))
    assert load(with_data({"a": 2})) == {"a": 2}


@pytest.mark.parametrize(
    ("file", "says"),
    [
        (with_data(1, version=2), "version 2.*upgrade"),
        (with_data({"$": "module"}), "unknown kind 'module'"),
        (with_data({"$": ["a"]}), "damaged"),
        (with_data({"$": "ref", "id": 9}), "damaged"),
        (with_data({"$": "tuple"}), "damaged"),
        (with_data({"$": "bytes", "value": "???"}), "damaged"),
        (with_data({"$": "variable", "id": 0, "data": {}, "role": "", "requires_grad": False}), "damaged"),
        (zipped(other_txt="x"), "not one that save"),
        (zipped(manifest_json="{}", data_json="{}"), "damaged"),
        (zipped(manifest_json="[", data_json="{}"), "damaged"),
        (zipped(manifest_json='{"version": 1, "sha256": ""}', data_json="[" * 100_000), "changed"),
    ],
)
def test_files_made_by_hand_are_refused_with_the_reason(file: io.BytesIO, says: str) -> None:
    with pytest.raises(CheckpointError, match=says):
        load(file)


@pytest.mark.parametrize(
    "name",
    [
        "os:system",
        "builtins:eval",
        "builtins:exec",
        "builtins:__import__",
        "builtins:open",
        "subprocess:getoutput",
        "shutil:rmtree",
        "afnio.serialization:os.system",
        "afnio.serialization:load.__globals__",
        "afnio.variable:Variable",
        "afnio.variable:Variable.data",
        "no_such_module:f",
        "tests.test_serialization:gone",
        "",
        ":",
    ],
)
def test_a_file_cannot_name_what_would_do_something(name: str) -> None:
    with pytest.raises(CheckpointError, match="not there"):
        load(with_data({"$": "function", "name": name}))


def test_loading_imports_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "never_imported.py").write_text("def f(): ...\nraise SystemExit('imported')\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    before = set(sys.modules)
    with pytest.raises(CheckpointError, match="Import the module"):
        load(with_data({"$": "function", "name": "never_imported:f"}))
    assert set(sys.modules) == before


# --- checkpoints of old versions


def old_class(module: str, name: str, base: type = object) -> type:
    """A stand-in with the module path under which old checkpoints know the class."""
    cls = type(name, (base,), {})
    cls.__module__ = module
    return cls


def old_checkpoint(build: Callable[[Any, Any], Any], protocol: int) -> io.BytesIO:
    """What an old release would have written: pickled while the stand-ins sit at the old module paths."""
    variable = old_class("afnio._variable", "Variable")
    parameter = old_class("afnio.cognitive.parameter", "Parameter", variable)

    def make(cls: type, data: Any, role: str, grad: list[Any] | None = None) -> Any:
        made = cls()
        made.__dict__.update(
            _data=data,
            role=role,
            requires_grad=cls is parameter,
            _grad=grad or [],
            _grad_fn=None,
            _output_nr=0,
            _retain_grad=False,
            is_leaf=True,
            variable_id="4f2c",
            _initialized=True,
            _pending_grad_fn_id=None,
            _pending_grad=False,
            _pending_data=False,
        )
        return made

    names = ("afnio._variable", "afnio.cognitive", "afnio.cognitive.parameter")
    saved = {name: sys.modules.get(name) for name in names}
    try:
        for name in names:
            sys.modules[name] = types.ModuleType(name)
        sys.modules[names[0]].Variable = variable  # type: ignore[attr-defined]
        sys.modules[names[2]].Parameter = parameter  # type: ignore[attr-defined]
        content = pickle.dumps(build(lambda *a: make(variable, *a), lambda *a: make(parameter, *a)), protocol)
    finally:
        for name, module in saved.items():
            if module is None:
                del sys.modules[name]
            else:
                sys.modules[name] = module
    return zipped(data_pkl=content)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_old_checkpoints_load(protocol: int) -> None:
    def build(variable: Any, parameter: Any) -> Any:
        gradient = variable("be brief", "gradient of prompt")
        state: Any = OrderedDict({"prompt": parameter("Classify.", "prompt", [gradient]), "f": sum, "score": score})
        state._metadata = OrderedDict({"": {"version": 1}})
        momentum = defaultdict(list, {0: [(state["prompt"], [gradient])]})
        return {
            "epoch": 2,
            "batch": None,
            "agent": state,
            "state": momentum,
            "t": variable(("a", ("b",)), "x"),
            "s": {1},
        }

    back = load(old_checkpoint(build, protocol))
    prompt = back["agent"]["prompt"]
    assert (back["epoch"], back["batch"], back["s"]) == (2, None, {1})
    assert type(prompt) is Parameter
    assert (prompt.data, prompt.role, prompt.requires_grad) == ("Classify.", "prompt", True)
    assert type(back["state"]) is defaultdict
    assert back["state"][0][0][0] is prompt
    assert back["state"][0][0][1][0] is prompt.grad[0]
    assert prompt.grad[0].data == "be brief"
    assert back["agent"]._metadata == OrderedDict({"": {"version": 1}})
    assert (back["agent"]["f"], back["agent"]["score"]) == (sum, score)
    assert back["t"].data == ["a", ["b"]]
    assert alike(there_and_back(back["agent"]), back["agent"])


class Payload:
    def __init__(self, function: Any, *args: Any) -> None:
        self.call = (function, args)

    def __reduce__(self) -> Any:
        return self.call


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize(
    "payload",
    [
        Payload(os.system, "touch pwned"),
        Payload(eval, "__import__('os').system('touch pwned')"),
        Payload(exec, "open('pwned', 'w')"),
        Payload(getattr, {}, "clear"),
        Payload(open, "pwned", "w"),
        Payload(score, "a", "b"),  # may be named, may not be called
        Payload(sum, [1]),
        collections.Counter("a"),
        Decimal(1),
    ],
    ids=lambda payload: getattr(getattr(payload, "call", [type(payload)])[0], "__name__", None),
)
def test_old_checkpoints_cannot_call_anything(
    payload: Any, protocol: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for wrapped in (payload, {"agent": [payload]}):
        with pytest.raises(CheckpointError, match="names|damaged"):
            load(zipped(data_pkl=pickle.dumps(wrapped, protocol)))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "program",
    [
        b"cposix\nsystem\n(S'touch pwned'\ntR.",
        b"(S'touch pwned'\nios\nsystem\n.",
        b"\x80\x02cbuiltins\nsum\n)\x81.",
        b"\x80\x02ccopyreg\n_reconstructor\n(cbuiltins\nlist\ncbuiltins\nobject\nNtR.",
        b"\x80\x04\x8c\x02os\x8c\x06system\x93\x8c\x0btouch pwned\x85R.",
        b"\x80\x02cafnio._variable\nVariable.__init__\n.",
        b"P1\n.",
        b"\x80\x02]q\x00h\x00a.",
        b"",
        b".",
        b"\x80\xff.",
    ],
)
def test_hand_written_pickles_are_refused(program: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CheckpointError, match="names|damaged|no Variable"):
        load(zipped(data_pkl=program))
    assert list(tmp_path.iterdir()) == []


def test_an_old_checkpoint_cut_anywhere_is_noticed() -> None:
    content = old_checkpoint(lambda variable, parameter: {"p": parameter("text", "role")}, 2).getvalue()
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        program = archive.read("data.pkl")
    pickletools.dis(program, io.StringIO())
    for end in range(len(program)):
        with pytest.raises(CheckpointError):
            load(zipped(data_pkl=program[:end]))


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="There is no such folder to write into: .*nowhere'$"):
        save({}, tmp_path / "nowhere" / "x.hf")
