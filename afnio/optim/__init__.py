"""Optimizers: they rewrite parameters from the feedback on them."""

from afnio.optim.constraint import Constraint as Constraint
from afnio.optim.constraint import max_words as max_words
from afnio.optim.constraint import must_contain as must_contain
from afnio.optim.optimizer import Optimizer as Optimizer
from afnio.optim.optimizer import Update as Update
from afnio.optim.tgd import TGD as TGD
from afnio.optim.tgd import TGD_MESSAGES as TGD_MESSAGES

__all__ = ["TGD", "TGD_MESSAGES", "Constraint", "Optimizer", "Update", "max_words", "must_contain"]
