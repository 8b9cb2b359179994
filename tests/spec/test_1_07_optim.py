"""`afnio.optim`: signatures and what is not tested elsewhere."""

from __future__ import annotations

import pytest

from afnio import Variable, local_engine
from afnio.cognitive import Parameter
from afnio.models.scripted import Scripted
from afnio.optim import TGD, TGD_MESSAGES, Optimizer
from afnio.optim.functional import tgd
from tests.spec.signatures import takes

GROUP = ["model_client", "messages", "inputs", "constraints", "momentum", "completion_args", "params"]


def optimizer() -> tuple[Parameter, TGD]:
    prompt = Parameter("a", "prompt")
    return prompt, TGD([prompt], Scripted([]), constraints=[Variable("be brief", "constraint")], momentum=2, model="m")


def test_their_signatures() -> None:
    takes(Optimizer, "params, defaults")
    takes(Optimizer.add_param_group, "param_group")
    takes(Optimizer.step, "closure=None")
    takes(Optimizer.load_state_dict, "state_dict, model_clients=None")
    takes(
        tgd,
        "params, grads, momentum_buffer_list, model_client, messages, inputs, constraints, momentum, **completion_args",
    )


def test_a_group_has_these_keys_and_the_state_these() -> None:
    prompt, tgd_ = optimizer()
    (group,) = tgd_.param_groups
    assert set(GROUP) <= set(group)
    assert group["params"][0] is prompt
    assert (group["momentum"], group["completion_args"]) == (2, {"model": "m"})
    state = tgd_.state_dict()
    assert set(state) == {"state", "param_groups"}
    assert state["param_groups"][0]["params"] == [0]
    assert "class_type" in state["param_groups"][0]["model_client"]


def test_groups_are_added_to_the_same_list() -> None:
    _, tgd_ = optimizer()
    groups = tgd_.param_groups
    tgd_.add_param_group({"params": [Parameter("b")]})
    assert tgd_.param_groups is groups
    assert len(groups) == 2


def test_the_default_messages_are_a_system_and_a_user_message_with_roles() -> None:
    assert [message["role"] for message in TGD_MESSAGES] == ["system", "user"]
    assert all(content.role for message in TGD_MESSAGES for content in message["content"])


def test_clear_grad_and_step_need_an_engine_and_keep_the_list() -> None:
    prompt, tgd_ = optimizer()
    before = prompt.grad
    prompt.append_grad(Variable("feedback"))
    for call in (tgd_.clear_grad, tgd_.step):
        with pytest.raises(RuntimeError, match=r"afnio.tellurio.init.*local_engine"):
            call()
    with local_engine():
        tgd_.clear_grad()
        assert prompt.grad is before
        assert before == []
        assert tgd_.step() == (None, None)
        assert tgd_.step(lambda: (1, "why")) == (1, "why")


@pytest.mark.parametrize("groups", [0, 2])
def test_a_state_of_other_groups_is_a_value_error(groups: int) -> None:
    _, tgd_ = optimizer()
    state = tgd_.state_dict()
    state["param_groups"] = state["param_groups"] * groups
    with pytest.raises(ValueError):
        tgd_.load_state_dict(state)
