"""What may be done while a fit runs, besides training: each behaviour is a `Callback`."""

from afnio.trainer.callbacks.base import Callback as Callback
from afnio.trainer.callbacks.checkpointing import Checkpointing as Checkpointing
from afnio.trainer.callbacks.early_stopping import EarlyStopping as EarlyStopping
from afnio.trainer.callbacks.keep_best import KeepBest as KeepBest
from afnio.trainer.callbacks.model_checkpoint import ModelCheckpoint as ModelCheckpoint
from afnio.trainer.callbacks.reporting import Reporting as Reporting
from afnio.trainer.callbacks.showing import Showing as Showing
from afnio.trainer.callbacks.tracking import Tracking as Tracking

__all__ = [
    "Callback",
    "Checkpointing",
    "EarlyStopping",
    "KeepBest",
    "ModelCheckpoint",
    "Reporting",
    "Showing",
    "Tracking",
]
