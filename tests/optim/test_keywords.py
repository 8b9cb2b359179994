"""Keywords of optimizers: what was meant for a setting is refused, what is for the model's API is sent."""

from __future__ import annotations

from typing import Any

import pytest

import afnio
from afnio.models.scripted import Scripted
from afnio.optim import TGD, TGD_MESSAGES, Evolution
from afnio.optim.functional import tgd
from afnio.parameter import Parameter


def param() -> Parameter:
    return Parameter("Sort {x}.", "prompt")


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("momentun", "momentum"),
        ("Momentum", "momentum"),
        ("constraint", "constraints"),
        ("max_lenght", "max_length"),
        ("histroy", "history"),
        ("input", "inputs"),
        ("message", "messages"),
        ("demo", "demos"),
    ],
)
def test_a_misspelled_setting_is_refused(written: str, meant: str) -> None:
    wrong: dict[str, Any] = {written: 3}
    with pytest.raises(TypeError, match=f"TGD got an unexpected keyword argument '{written}'. Did you mean '{meant}'?"):
        TGD([param()], Scripted([]), **wrong)
    with pytest.raises(TypeError, match=f"A parameter group of TGD has the unknown key '{written}'. .*'{meant}'"):
        TGD([{"params": [param()], written: 3}], Scripted([]))
    with afnio.local_engine(), pytest.raises(TypeError, match=f"Did you mean '{meant}'?"):
        tgd([param()], [[]], [[]], Scripted([]), TGD_MESSAGES, None, None, 0, **wrong)


@pytest.mark.parametrize("written", ["lr", "weight_decay", "parents", "nesterov"])
def test_a_setting_of_another_optimizer_is_refused(written: str) -> None:
    wrong: dict[str, Any] = {written: 1}
    with pytest.raises(TypeError, match=f"TGD has no setting '{written}'. It has: constraints, demos,"):
        TGD([param()], Scripted([]), **wrong)


def test_evolution_refuses_them_too() -> None:
    with pytest.raises(TypeError, match="Did you mean 'proposals'"):
        Evolution([param()], Scripted([]), proposal=3)
    with pytest.raises(TypeError, match="Evolution has no setting 'momentum'"):
        Evolution([param()], Scripted([]), momentum=3)


def test_what_the_api_knows_and_what_nobody_knows_is_sent() -> None:
    args: dict[str, Any] = {
        "model": "gpt-5",
        "temperature": 0.1,
        "max_tokens": 9,
        "length_penalty": 1,
        "seed": 3,
        "thinking": {},
        "extra_body": {"momentun": 3},
        "vendor_flag": True,
    }
    assert TGD([param()], Scripted([]), **args).param_groups[0]["completion_args"] == args
    assert Evolution([param()], Scripted([]), **(args | {"seed": 0})).param_groups[0]["completion_args"] == {
        name: value for name, value in args.items() if name != "seed"
    }


def test_a_group_says_where_arguments_of_the_api_belong() -> None:
    with pytest.raises(TypeError, match="write 'completion_args': {'temperature': ...} in the group"):
        TGD([{"params": [param()], "temperature": 0.1}], Scripted([]))
    optimizer = TGD([{"params": [param()], "completion_args": {"temperature": 0.1}, "note": "mine"}], Scripted([]))
    assert optimizer.param_groups[0]["completion_args"] == {"temperature": 0.1}
    assert optimizer.param_groups[0]["note"] == "mine"  # as in torch: what means nothing is kept


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ({"model_client": 3}, "A model client is an afnio model .* got int"),
        ({"model_client": Scripted([]), "messages": None}, "messages must be a list of messages, got NoneType"),
        ({"model_client": Scripted([]), "inputs": 3}, "inputs must be a dict of name -> value, got int"),
    ],
)
@pytest.mark.parametrize("kind", [TGD, Evolution])
def test_what_cannot_be_used_is_refused_before_a_step_is_paid_for(kind: Any, args: dict[str, Any], said: str) -> None:
    with pytest.raises(TypeError, match=said):
        kind([param()], **args)


@pytest.mark.parametrize("kind", [TGD, Evolution])
def test_a_parameter_without_text_is_refused_before_a_step_is_paid_for(kind: Any) -> None:
    values: list[Any] = [3, ["a", "b"], True]
    for data in values:
        with pytest.raises(TypeError, match="rewrites text; the parameter 'count' holds"):
            kind([Parameter(data, "count")], Scripted([]))
    kind([Parameter(None, "to be loaded")], Scripted([]))
