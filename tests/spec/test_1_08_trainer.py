"""`afnio.trainer.Trainer`: signatures and what is not tested elsewhere."""

from __future__ import annotations

from typing import Any

import pytest

from afnio import cognitive as cog
from afnio.trainer import Trainer
from tests.spec.signatures import takes


def test_its_signatures() -> None:
    switches = "enable_checkpointing=True, enable_progress_bar=True, enable_agent_summary=True"
    takes(Trainer, f"*, max_epochs=None, {switches}, default_root_dir=None")
    takes(Trainer.fit, "agent, train_dataloader=None, val_dataloader=None, ckpt_path=None, llm_clients=()")
    takes(Trainer.validate, "agent, val_dataloader=None, llm_clients=()")
    takes(Trainer.test, "agent, test_dataloader=None, llm_clients=()")
    assert Trainer(enable_checkpointing=False).max_epochs == 10


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"agent": 5, "train_dataloader": [1]}, TypeError),
        ({"agent": cog.Module()}, ValueError),
        ({"agent": cog.Module(), "train_dataloader": 5}, TypeError),
        ({"agent": cog.Module(), "train_dataloader": [1], "ckpt_path": 5}, TypeError),
    ],
)
def test_wrong_arguments_of_fit(arguments: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        Trainer(enable_checkpointing=False, enable_progress_bar=False).fit(**arguments)
