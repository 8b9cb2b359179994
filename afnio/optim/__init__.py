"""Optimizers: they rewrite parameters from the feedback on them."""

from afnio.optim.constraint import Constraint as Constraint
from afnio.optim.constraint import max_words as max_words
from afnio.optim.constraint import must_contain as must_contain
from afnio.optim.evaluation import Evaluation as Evaluation
from afnio.optim.evolution import EVOLUTION_MESSAGES as EVOLUTION_MESSAGES
from afnio.optim.evolution import Evolution as Evolution
from afnio.optim.few_shot import FewShot as FewShot
from afnio.optim.optimizer import Optimizer as Optimizer
from afnio.optim.pool import Pool as Pool
from afnio.optim.telling import Update as Update
from afnio.optim.tgd import TGD as TGD
from afnio.optim.tgd import TGD_MESSAGES as TGD_MESSAGES

__all__ = [
    "EVOLUTION_MESSAGES",
    "TGD",
    "TGD_MESSAGES",
    "Constraint",
    "Evaluation",
    "Evolution",
    "FewShot",
    "Optimizer",
    "Pool",
    "Update",
    "max_words",
    "must_contain",
]
