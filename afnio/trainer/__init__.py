"""Training, validation and test of agents."""

from afnio.trainer.averages import Metrics as Metrics
from afnio.trainer.callbacks import Callback as Callback
from afnio.trainer.callbacks import EarlyStopping as EarlyStopping
from afnio.trainer.callbacks import ModelCheckpoint as ModelCheckpoint
from afnio.trainer.estimate import Estimate as Estimate
from afnio.trainer.fit import Best as Best
from afnio.trainer.fit import Fit as Fit
from afnio.trainer.gates import BatchGate as BatchGate
from afnio.trainer.gates import Gate as Gate
from afnio.trainer.gates import StrictGate as StrictGate
from afnio.trainer.gates import Verdict as Verdict
from afnio.trainer.outcome import Failure as Failure
from afnio.trainer.trainer import Trainer as Trainer

__all__ = [
    "BatchGate",
    "Best",
    "Callback",
    "EarlyStopping",
    "Estimate",
    "Failure",
    "Fit",
    "Gate",
    "Metrics",
    "ModelCheckpoint",
    "StrictGate",
    "Trainer",
    "Verdict",
]
