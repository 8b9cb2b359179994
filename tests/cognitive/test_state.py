"""``state_dict`` and ``load_state_dict``: round trips, messages, and nothing half loaded."""

from __future__ import annotations

import copy
import io
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import afnio
from afnio import Variable
from afnio.cognitive import Module, ModuleDict, ModuleList, Parameter, Sequential
from afnio.models import BaseModel
from afnio.models.model_registry import MODEL_REGISTRY
from afnio.models.scripted import Scripted


def exact(prediction: str, target: str) -> int:
    return int(prediction == target)


def longest(scores: list[int]) -> int:
    return max(scores)


class Inner(Module):
    def __init__(self, text: str = "inner") -> None:
        super().__init__()
        self.prompt = Parameter(text, role=f"{text} prompt")


class Agent(Module):
    """Has one value of each kind, and a prompt that is in a chat too."""

    def __init__(self, text: str = "Classify.", client: BaseModel | None = None) -> None:
        super().__init__()
        self.prompt = Parameter(text, role="system prompt")
        self.empty: Any = Parameter("x")
        self.empty = None
        self.register_buffer("seen", Variable(["a", "b"], role="seen"))
        self.register_buffer("scratch", Variable("tmp"), persistent=False)
        self.template = Variable("{message}", role="ticket")
        self.messages: Any = [
            {"role": "system", "content": [self.prompt]},
            {"role": "user", "content": [self.template]},
        ]
        self.register_model("client", client)
        self.register_completion_config("args", {"model": "m", "stop": ["\n"]})
        self.score: Any = exact
        self.inner = Inner()
        self.note = "an ordinary attribute"


class Counting(Module):
    def __init__(self, count: int = 0) -> None:
        super().__init__()
        self.prompt = Parameter("p")
        self.count = count

    def get_extra_state(self) -> Any:
        return {"count": self.count}

    def set_extra_state(self, state: Any) -> None:
        self.count = state["count"]


def shown(state: Any) -> Any:
    """A state as plain values, for comparison: what a Variable holds and is for."""
    if isinstance(state, Variable):
        return (state.data, state.role)
    if isinstance(state, dict):
        return {key: shown(value) for key, value in state.items()}
    return [shown(item) for item in state] if isinstance(state, list) else state


def through_a_file(state: Any) -> Any:
    file = io.BytesIO()
    afnio.save(state, file)
    file.seek(0)
    return afnio.load(file)


def refused(module: Module, state: Any, **options: Any) -> str:
    """The error of a load; the module must be as it was before."""
    before, held = shown(module.state_dict()), dict(module.__dict__)
    with pytest.raises(RuntimeError) as error:
        module.load_state_dict(state, **options)
    assert shown(module.state_dict()) == before
    assert module.__dict__ == held
    return str(error.value)


# --- what is saved


def test_a_state_holds_each_kind_in_order_then_the_children() -> None:
    state = Agent(client=Scripted([])).state_dict()
    assert isinstance(state, OrderedDict)
    assert list(state) == ["prompt", "seen", "messages", "client", "args", "score", "inner.prompt"]


def test_a_state_holds_the_version_of_each_module() -> None:
    class Newer(Inner):
        _version = 3

    module = Module()
    module.a, module.b = Newer(), ModuleList([Inner()])
    versions = {"": 1, "a": 3, "b": 1, "b.0": 1}
    assert module.state_dict()._metadata == {name: {"version": v} for name, v in versions.items()}  # type: ignore[attr-defined]


def test_variables_are_detached_unless_kept() -> None:
    agent = Agent()
    agent.prompt.append_grad(Variable("feedback"))
    state, kept = agent.state_dict(), agent.state_dict(keep_vars=True)
    assert (state["prompt"].data, state["prompt"].role) == ("Classify.", "system prompt")
    assert not state["prompt"].requires_grad
    assert state["prompt"].grad == []
    assert kept["prompt"] is agent.prompt
    assert kept["messages"][0]["content"][0] is agent.prompt
    assert state["messages"][0]["content"][0] is not agent.prompt


def test_a_state_does_not_change_when_the_agent_learns() -> None:
    agent = Agent(client=Scripted(["x"]))
    state = agent.state_dict()
    before = shown(state)
    agent.prompt.data = "learned"
    agent.messages[1]["role"] = "assistant"
    agent.client.chat(messages=[])
    assert shown(state) == before


def test_a_model_is_saved_as_what_it_is_and_used() -> None:
    client = Scripted(["answer"])
    client.chat(messages=[{"role": "user", "content": "question"}])
    saved = Agent(client=client).state_dict()["client"]
    assert saved == {"class_type": "Scripted", "provider": "scripted", "usage": client.get_usage()}
    assert saved["usage"]["total_tokens"] > 0


def test_configs_and_functions_are_saved_as_they_are() -> None:
    agent = Agent()
    state = agent.state_dict()
    assert state["args"] is agent.args
    assert state["score"] is exact


def test_a_state_may_go_into_a_given_dict_under_a_prefix() -> None:
    mine: dict[str, Any] = {"other": 1}
    assert Inner().state_dict(destination=mine, prefix="agent.") is mine
    assert list(mine) == ["other", "agent.prompt"]


def test_a_shared_module_is_saved_under_each_name() -> None:
    module = Module()
    module.a = module.b = Inner()
    assert list(module.state_dict()) == ["a.prompt", "b.prompt"]


def test_a_child_that_redefines_state_dict_is_asked_itself() -> None:
    class Own(Inner):
        def state_dict(self, **options: Any) -> dict[str, Any]:
            state = super().state_dict(**options)
            state[f"{options.get('prefix', '')}more"] = 1
            return state

    assert list(Sequential(Own(), Inner()).state_dict()) == ["0.prompt", "0.more", "1.prompt"]


# --- round trips


TEXTS = st.text(max_size=8)
DATA = st.one_of(TEXTS, st.integers(-9, 9), st.floats(allow_nan=False), st.lists(TEXTS, max_size=3), st.none())


def chats() -> st.SearchStrategy[Any]:
    contents = st.lists(st.builds(Variable, TEXTS, TEXTS), max_size=2)
    message = st.fixed_dictionaries({"role": st.sampled_from(["system", "user"]), "content": contents})
    return st.lists(message, min_size=1, max_size=3)


@st.composite
def modules(draw: st.DrawFn, depth: int = 3) -> Module:
    """A random tree with values of all kinds."""
    module: Module = draw(st.sampled_from([Module, ModuleList, ModuleDict, Sequential, Counting]))()
    for index in range(draw(st.integers(0, 3))):
        name = f"v{index}"
        match draw(st.integers(0, 5)):
            case 0:
                module.register_parameter(name, draw(st.none() | st.builds(Parameter, DATA, TEXTS, st.booleans())))
            case 1:
                module.register_buffer(name, draw(st.builds(Variable, DATA, TEXTS)), persistent=draw(st.booleans()))
            case 2:
                module.register_chat(name, draw(chats()))
            case 3:
                module.register_completion_config(name, draw(st.dictionaries(TEXTS, TEXTS, max_size=2)))
            case 4:
                module.register_function(name, draw(st.sampled_from([exact, longest, sum, None])))
            case _:
                module.register_module(name, draw(modules(depth - 1)) if depth else None)
    if isinstance(module, (ModuleList, Sequential)):
        members = [child for child in module if child is not None]
        module._modules = {str(index): child for index, child in enumerate(members)}
    return module


def changed(module: Module) -> Module:
    """A twin of the same shape whose values all differ."""
    twin = copy.deepcopy(module)
    for part in twin.modules():
        for held in (*part._parameters.values(), *part._buffers.values()):
            if held is not None:
                held.role += "?"
        for chat in part._chats.values():
            for content in (content for message in chat or () for content in message["content"]):
                content.data += "?"
        for config in part._completion_configs.values():
            assert config is not None
            config["new"] = "?"
        part._functions.update((name, longest) for name, function in part._functions.items() if function)
        if isinstance(part, Counting):
            part.count += 1
    return twin


@given(modules())
def test_a_state_can_be_loaded_into_a_module_of_the_same_shape(module: Module) -> None:
    twin = changed(module)
    state = module.state_dict()
    assert repr(twin.load_state_dict(state)) == "<All keys matched successfully>"
    assert shown(twin.state_dict()) == shown(state)


@given(modules())
def test_a_state_goes_through_a_file(module: Module) -> None:
    twin = changed(module)
    state = module.state_dict()
    loaded = through_a_file(state)
    assert shown(loaded) == shown(state)
    assert loaded._metadata == state._metadata  # type: ignore[attr-defined]
    twin.load_state_dict(loaded)
    assert shown(twin.state_dict()) == shown(state)


@given(modules(), st.booleans())
def test_a_module_can_load_its_own_state(module: Module, keep_vars: bool) -> None:
    before = shown(module.state_dict())
    parameters = list(module.parameters())
    module.load_state_dict(module.state_dict(keep_vars=keep_vars))
    assert shown(module.state_dict()) == before
    assert all(a is b for a, b in zip(module.parameters(), parameters, strict=True))


@given(modules(), st.data())
def test_a_state_with_a_missing_key_changes_nothing(module: Module, data: st.DataObject) -> None:
    state = module.state_dict()
    if not state:
        return
    key = data.draw(st.sampled_from(sorted(state)))
    del state[key]
    assert f'Missing key(s) in state_dict: "{key}". ' in refused(changed(module), state)


# --- how it is loaded


def test_values_are_copied_into_the_same_objects() -> None:
    agent, state = Agent("old"), Agent("new").state_dict()
    prompt, template = agent.prompt, agent.messages[1]["content"][0]
    prompt.append_grad(Variable("feedback"))
    agent.load_state_dict(state)
    assert agent.prompt is prompt
    assert agent.messages[0]["content"] == [prompt]
    assert agent.messages[1]["content"] == [template]
    assert prompt.data == "new"
    assert len(prompt.grad) == 1


def test_the_role_is_loaded_too_but_not_whether_it_is_learned() -> None:
    source, target = Module(), Module()
    source.a, source.b = Parameter("1", role="new"), Parameter("2", requires_grad=False)
    target.a, target.b = Parameter("3", role="old", requires_grad=False), Parameter("4")
    for keep_vars in (False, True):
        target.load_state_dict(source.state_dict(keep_vars=keep_vars))
        assert (target.a.role, target.a.requires_grad, target.b.requires_grad) == ("new", False, True)


def test_assign_puts_the_given_variables_in() -> None:
    agent, state = Agent("old"), Agent("new").state_dict(keep_vars=True)
    agent.prompt.requires_grad_(False)
    agent.load_state_dict(state, assign=True)
    assert agent.prompt is state["prompt"]
    assert not agent.prompt.requires_grad
    assert agent.messages is state["messages"]
    assert agent.args is state["args"]


def test_assign_makes_a_parameter_of_a_detached_variable() -> None:
    agent = Agent("old")
    agent.load_state_dict(Agent("new").state_dict(), assign=True)
    assert isinstance(agent.prompt, Parameter)
    assert (agent.prompt.data, agent.prompt.requires_grad) == ("new", True)


def test_what_is_loaded_is_not_shared_with_the_state() -> None:
    agent, state = Agent(), Agent().state_dict(keep_vars=True)
    agent.load_state_dict(state)
    agent.seen.data.append("c")
    agent.args["stop"].append("x")
    agent.messages[0]["content"][0].data = "changed"
    assert state["seen"].data == ["a", "b"]
    assert state["args"]["stop"] == ["\n"]
    assert state["messages"][0]["content"][0].data == "Classify."


def test_an_empty_place_takes_what_the_state_has() -> None:
    agent = Agent()
    source = Agent("other")
    source.empty = Parameter(["a", "b"], role="filled")
    agent.messages, agent.args, agent.score = None, None, None
    agent.load_state_dict(source.state_dict())
    assert isinstance(agent.empty, Parameter)
    assert (agent.empty.data, agent.empty.role, agent.empty.requires_grad) == (["a", "b"], "filled", True)
    assert shown(agent.messages) == shown(source.messages)
    assert (agent.args, agent.score) == (source.args, exact)


def test_an_undecided_attribute_is_decided_by_the_state() -> None:
    """Old scripts have configs and chats that were registered by being dicts and lists."""
    source, agent = Module(), Module()
    source.register_completion_config("args", {"model": "m"})
    source.chat = [{"role": "user", "content": [Variable("hi")]}]
    agent.args, agent.chat = {"model": "old"}, []
    assert agent.load_state_dict(source.state_dict()) == ([], [])
    assert list(agent.completion_configs()) == [{"model": "m"}]
    assert shown(list(agent.chats())) == shown([source.chat])


def test_shared_parameters_stay_shared() -> None:
    module, source = Module(), Module()
    module.a = module.b = Inner("old")
    source.a = source.b = Inner("new")
    module.load_state_dict(source.state_dict())
    assert module.a.prompt is module.b.prompt
    assert module.a.prompt.data == "new"


# --- what does not fit


def test_keys_and_clients_are_told_by_name() -> None:
    wrong: Any = {5: Variable("x")}
    with pytest.raises(TypeError, match="The keys of state_dict are dotted names, got 5"):
        Module().load_state_dict(wrong)
    wrong = [1]
    with pytest.raises(TypeError, match="model_clients is a dict of dotted name -> client, got list"):
        Module().load_state_dict({}, model_clients=wrong)


@pytest.mark.parametrize("state", [None, [("prompt", Variable("x"))], "state"])
def test_a_state_must_be_a_mapping(state: Any) -> None:
    with pytest.raises(TypeError, match="Expected state_dict to be dict-like, got <class"):
        Agent().load_state_dict(state)


def test_missing_and_unexpected_keys_are_told_in_torchs_words() -> None:
    state = Agent().state_dict()
    del state["prompt"], state["inner.prompt"]
    state.update({"wrong": Variable("x"), "inner.wrong": Variable("x"), "other.prompt": Variable("x")})
    assert refused(Agent(), state) == (
        "Error(s) in loading state_dict for Agent:\n"
        '\tMissing key(s) in state_dict: "prompt", "inner.prompt". \n'
        '\tUnexpected key(s) in state_dict: "wrong", "other.prompt", "inner.wrong". '
    )


def test_without_strict_the_keys_are_returned_and_the_rest_is_loaded() -> None:
    state = Agent("new").state_dict()
    del state["inner.prompt"]
    state["wrong"] = Variable("x")
    agent = Agent("old")
    keys = agent.load_state_dict(state, strict=False)
    assert keys.missing_keys == ["inner.prompt"]
    assert keys.unexpected_keys == ["wrong"]
    assert repr(keys) == str(keys) == ("IncompatibleKeys(missing_keys=['inner.prompt'], unexpected_keys=['wrong'])")
    assert agent.prompt.data == "new"


def test_other_shapes_are_errors_even_without_strict() -> None:
    state = Agent().state_dict()
    state["prompt"], state["seen"] = Variable(["a", "b"]), Variable(["a"])
    assert refused(Agent(), state, strict=False) == (
        "Error(s) in loading state_dict for Agent:\n"
        "\tsize mismatch for prompt: copying a param with shape (2,) from checkpoint, "
        "the shape in current model is ().\n"
        "\tsize mismatch for seen: copying a param with shape (1,) from checkpoint, "
        "the shape in current model is (2,)."
    )


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("prompt", "text", 'the parameter named "prompt", expected afnio.Variable from checkpoint but received <class'),
        ("seen", None, 'the buffer named "seen", expected afnio.Variable from checkpoint but received <class'),
        ("messages", [{"role": "user"}], 'the chat named "messages", expected list of'),
        ("client", Scripted([]), "the model named \"client\", expected {'class_type', 'provider', 'usage'} from"),
        (
            "args",
            [1],
            "the completion config named \"args\", expected dict from checkpoint but received <class 'list'>",
        ),
        ("score", "exact", 'the function named "score", expected function at the top of a module from checkpoint but'),
    ],
)
def test_a_value_of_another_type_is_told_with_its_name(key: str, value: Any, message: str) -> None:
    state = Agent(client=Scripted([])).state_dict()
    state[key] = value
    assert f"While copying {message}" in refused(Agent(client=Scripted([])), state)


def turn(role: str, *contents: Any) -> dict[str, Any]:
    return {"role": role, "content": [Variable(content) for content in contents]}


@pytest.mark.parametrize(
    ("chat", "message"),
    [
        (
            [turn("system", "a")],
            "a chat with 1 messages from checkpoint, the chat in current model has 2.",
        ),
        (
            [turn("system", "a"), turn("assistant", "b")],
            "role mismatch for messages[1]: copying a message with role 'assistant' from checkpoint, the role in curr",
        ),
        (
            [turn("system", "a", "b"), turn("user", "b")],
            "messages[0]: copying a message with 2 contents from checkpoint, the message in current model has 1.",
        ),
        (
            [turn("system", "a"), turn("user", ["b"])],
            "size mismatch for messages[1].content[0]: copying a param with shape (1,) from checkpoint, the shape in",
        ),
    ],
)
def test_a_chat_of_another_form_is_told_with_the_place(chat: Any, message: str) -> None:
    state = Agent().state_dict()
    state["messages"] = chat
    assert message in refused(Agent(), state)


def test_results_of_calls_in_a_chat_are_replaced_not_written_into() -> None:
    agent = Agent()
    result = agent.prompt + Variable(" now")
    agent.messages[1]["content"] = [result]
    state = Agent().state_dict()
    state["messages"][1]["content"] = [Variable(["a", "b"])]
    agent.load_state_dict(state)
    assert result.data == "Classify. now"
    assert agent.messages[1]["content"][0].data == ["a", "b"]


def test_all_that_is_wrong_is_told_at_once_and_nothing_is_changed() -> None:
    agent = Agent("old", Scripted([]))
    agent.undecided = {}
    state = Agent("new", Scripted([])).state_dict()
    state["undecided"] = {"model": "m"}
    state["seen"], state["wrong"] = Variable("x"), 1
    del state["inner.prompt"]
    text = refused(agent, state)
    assert text.count("\n\t") == 3
    assert agent.prompt.data == "old"
    assert agent.undecided == {}


# --- models


def used_client(tokens: int = 7) -> Scripted:
    client = Scripted([])
    client.update_usage({"prompt_tokens": tokens, "total_tokens": tokens, "cost": {"amount": 0.5, "currency": "USD"}})
    return client


def test_a_given_client_takes_the_place_and_the_usage() -> None:
    agent, client = Agent(), used_client(1)
    agent.load_state_dict(Agent(client=used_client(7)).state_dict(), model_clients={"client": client})
    assert agent.client is client
    assert client.get_usage()["prompt_tokens"] == 8
    assert client.get_usage()["cost"]["amount"] == 1.0


def test_a_client_that_is_there_stays_with_its_own_usage() -> None:
    client = used_client(1)
    agent = Agent(client=client)
    agent.load_state_dict(Agent(client=used_client(7)).state_dict())
    assert agent.client is client
    assert client.get_usage()["prompt_tokens"] == 1


def test_one_client_under_several_names_is_charged_once() -> None:
    def pair(client: BaseModel | None) -> Module:
        module = Module()
        module.a, module.b = Agent(client=client), Agent(client=client)
        return module

    agent, client = pair(None), Scripted([])
    names = {"a.client": client, "b.client": client}
    agent.load_state_dict(pair(used_client(7)).state_dict(), model_clients=names)
    assert client.get_usage()["prompt_tokens"] == 7


def test_a_missing_client_is_told_with_what_to_pass() -> None:
    module = Module()
    module.inner = Agent()
    source = Module()
    source.inner = Agent(client=Scripted([]))
    text = refused(module, source.state_dict())
    assert 'Missing model client for "inner.client": pass model_clients={"inner.client": Scripted(...)}.' in text


def test_a_client_of_another_class_is_refused() -> None:
    class Other(BaseModel):
        pass

    agent, state = Agent(), Agent(client=Scripted([])).state_dict()
    assert "Scripted" in MODEL_REGISTRY
    text = refused(agent, state, model_clients={"client": Other("other")})
    assert "model mismatch for client: expected a client of class Scripted, got " in text


def test_a_class_that_is_in_no_registry_is_known_by_its_name() -> None:
    class Mine(BaseModel):
        pass

    class Derived(Mine):
        pass

    agent = Agent()
    client = Derived("mine")
    agent.load_state_dict(Agent(client=Mine("mine")).state_dict(), model_clients={"client": client})
    assert agent.client is client
    assert "expected a client of class Mine" in refused(
        Agent(), Agent(client=Mine("mine")).state_dict(), model_clients={"client": Scripted([])}
    )


def test_a_refused_state_charges_nobody() -> None:
    client = Scripted([])
    state = Agent(client=used_client(7)).state_dict()
    del state["prompt"]
    refused(Agent(), state, model_clients={"client": client})
    assert client.get_usage()["prompt_tokens"] == 0


def test_a_client_may_be_given_for_a_model_the_state_does_not_have() -> None:
    agent, client = Agent(), Scripted([])
    agent.load_state_dict(Agent().state_dict(), model_clients={"client": client})
    assert agent.client is client


def test_a_client_under_a_wrong_name_is_refused() -> None:
    text = refused(Agent(), Agent().state_dict(), model_clients={"clint": Scripted([])})
    assert 'Unexpected key(s) in model_clients: "clint". ' in text


# --- extra state and hooks


def test_extra_state_is_saved_and_loaded() -> None:
    outer, source = Sequential(Counting()), Sequential(Counting(5))
    state = source.state_dict()
    assert list(state) == ["0.prompt", "0._extra_state"]
    outer.load_state_dict(state)
    assert outer[0].count == 5


def test_extra_state_is_missing_or_unexpected_like_any_key() -> None:
    state = Counting().state_dict()
    del state["_extra_state"]
    assert 'Missing key(s) in state_dict: "_extra_state". ' in refused(Counting(), state)
    state = Inner().state_dict()
    state["_extra_state"] = {}
    assert 'Unexpected key(s) in state_dict: "_extra_state". ' in refused(Inner(), state)


def test_extra_state_is_taken_back_too() -> None:
    module = Counting(1)
    state = Counting(5).state_dict()
    del state["prompt"]
    refused(module, state)
    assert module.count == 1


@pytest.mark.parametrize("method", ["get_extra_state", "set_extra_state"])
def test_a_module_without_extra_state_says_so(method: str) -> None:
    with pytest.raises(RuntimeError, match=f"define {method}"):
        getattr(Module(), method)(*([None] if method.startswith("set") else []))


def test_an_error_of_a_users_own_leaves_everything_as_it_was() -> None:
    class Picky(Counting):
        def set_extra_state(self, state: Any) -> None:
            raise LookupError("mine")

    module = ModuleList([Inner("old"), Picky()])
    with pytest.raises(LookupError, match="mine"):
        module.load_state_dict(ModuleList([Inner("new"), Counting()]).state_dict())
    assert [p.data for p in module.parameters()] == ["old", "p"]


def recorder(order: list[Any], name: str) -> Callable[..., None]:
    def hook(module: Module, *args: Any) -> None:
        order.append((name, type(module).__name__, *args))

    return hook


def test_hooks_see_a_module_before_it_and_after_its_children_are_saved() -> None:
    outer = Sequential(Inner())
    order: list[Any] = []
    for module in outer.modules():
        module.register_state_dict_pre_hook(recorder(order, "before"))
        module.register_state_dict_post_hook(recorder(order, "after"))
    state = outer.state_dict()
    assert order == [
        ("before", "Sequential", "", False),
        ("before", "Inner", "0.", False),
        ("after", "Inner", state, "0.", {"version": 1}),
        ("after", "Sequential", state, "", {"version": 1}),
    ]


def test_a_hook_may_add_to_a_state_but_not_replace_it() -> None:
    module = Inner()
    with module.register_state_dict_post_hook(lambda m, state, prefix, metadata: state.update(more=1)):
        assert list(module.state_dict()) == ["prompt", "more"]
    with (
        module.register_state_dict_post_hook(lambda *args: {}),  # type: ignore[arg-type]
        pytest.raises(RuntimeError, match="state_dict post-hook must return None"),
    ):
        module.state_dict()


def test_a_load_hook_may_rename_old_keys() -> None:
    def rename(module: Module, state: Any, prefix: str, *_: Any) -> None:
        state[f"{prefix}prompt"] = state.pop(f"{prefix}instruction")

    outer = Sequential(Inner("old"))
    outer[0].register_load_state_dict_pre_hook(rename)
    given = {"0.instruction": Variable("new")}
    outer.load_state_dict(given)
    assert outer.get_parameter("0.prompt").data == "new"
    assert list(given) == ["0.instruction"]


def test_a_load_hook_may_forgive_a_missing_key() -> None:
    module = Inner("kept")
    module.register_load_state_dict_post_hook(lambda m, keys: keys.missing_keys.clear())
    assert module.load_state_dict({}) == ([], [])
    assert module.prompt.data == "kept"


def test_a_class_can_tell_an_old_state_by_its_version() -> None:
    class Newer(Inner):
        _version = 2

        def _load_from_state_dict(self, state: Any, prefix: str, metadata: Any, *args: Any) -> None:
            if metadata.get("version", 1) < 2:
                state[prefix + "prompt"] = state.pop(prefix + "instruction")
            super()._load_from_state_dict(state, prefix, metadata, *args)

    old: Any = OrderedDict({"0.instruction": Variable("old")})
    old._metadata = {"0": {"version": 1}}
    for state in (old, Sequential(Newer("new")).state_dict()):
        module = Sequential(Newer())
        assert module.load_state_dict(state) == ([], [])
