"""Models and the providers behind them."""

from __future__ import annotations

from afnio.models.base import BaseModel as BaseModel
from afnio.models.base import ChatCompletionModel as ChatCompletionModel
from afnio.models.base import EmbeddingModel as EmbeddingModel
from afnio.models.base import TextCompletionModel as TextCompletionModel
from afnio.models.invoke import complete as complete
from afnio.models.invoke import is_inline as is_inline
from afnio.models.model_registry import MODEL_REGISTRY as MODEL_REGISTRY
from afnio.models.paths import as_model as as_model
from afnio.models.paths import model_at as model_at
