"""The model that computes gradients: one for the process, set once."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from afnio.errors import NoBackwardModelError
from afnio.models.base import ChatCompletionModel
from afnio.models.invoke import is_inline
from afnio.models.paths import provider_of, providers
from afnio.models.sdk import is_sdk_client, sdk_provider

__all__ = [
    "BackwardModelClient",
    "backward_ahead",
    "backward_is_missing",
    "backward_runs_inline",
    "get_backward_model_client",
    "set_backward_model_client",
    "use_backward_model_client",
]


class BackwardModelClient:
    """The client, model and arguments that gradients are computed with."""

    def __init__(
        self,
        client: Any,
        provider: str,
        model: str | None,
        client_args: dict[str, Any],
        completion_args: dict[str, Any],
    ) -> None:
        self._client = client
        self._provider = provider
        self._model = model
        self._client_args = client_args
        self._completion_args = completion_args

    @property
    def completion_args(self) -> dict[str, Any]:
        """What is passed with every call, the model's name included."""
        return {"model": self._model, **self._completion_args} if self._model else dict(self._completion_args)

    def chat(self, messages: list[dict[str, Any]], **kwargs: Any) -> str:
        """Call the model; returns the text of its answer."""
        text: str = self._client.chat(messages=messages, **{**self.completion_args, **kwargs})
        return text

    def get_provider(self) -> str:
        """The provider's name."""
        return self._provider

    def get_usage(self) -> dict[str, Any]:
        """Tokens and cost so far; see ``BaseModel.get_usage``."""
        usage: dict[str, Any] = self._client.get_usage()
        return usage

    def clear_usage(self) -> None:
        """Set tokens and cost to zero."""
        self._client.clear_usage()


_current: BackwardModelClient | None = None
_here: ContextVar[BackwardModelClient | None] = ContextVar("afnio_backward_model", default=None)
_ahead: ContextVar[bool] = ContextVar("afnio_backward_ahead", default=False)


def set_backward_model_client(
    model_path: str | Any = "openai/gpt-4o",
    client_args: dict[str, Any] | None = None,
    completion_args: dict[str, Any] | None = None,
) -> None:
    """Choose the model that ``backward()`` asks for feedback.

    Args:
        model_path: ``"provider/model"``, or a client of yours (a scripted one, say, or one of the ``openai`` or
            ``anthropic`` package): its model's name is then one of ``completion_args``.
        client_args: arguments of the provider's client: ``api_key``, ``base_url``, ...
        completion_args: sent with every call: ``temperature``, ...

    Raises:
        TypeError: it is neither a path nor a client.
        ValueError: the path has no ``/``, or names an unknown provider.
        MissingKeyError: no API key is given and none is in the environment.
    """
    global _current
    client_args, completion_args = dict(client_args or {}), dict(completion_args or {})
    if is_sdk_client(model_path):
        make: Any = providers[sdk_provider(model_path)]
        model_path = make(client=model_path)
    if isinstance(model_path, ChatCompletionModel):
        provider = model_path.get_provider() or type(model_path).__name__
        _current = BackwardModelClient(model_path, provider, None, client_args, completion_args)
        return
    if not isinstance(model_path, str):
        raise TypeError(
            "model_path is 'provider/model', an afnio model, or a client of the openai or anthropic package, got "
            f"{type(model_path).__name__}."
        )
    made, model = provider_of(model_path)
    provider, key_env = model_path.partition("/")[0], made.vendor.key_env
    if "api_key" not in client_args and os.environ.get(key_env):
        client_args["api_key"] = os.environ[key_env]
    wanted = (provider, model, client_args, completion_args)
    if _current and (_current._provider, _current._model, _current._client_args, _current._completion_args) == wanted:
        return
    _current = BackwardModelClient(made(**client_args), provider, model, client_args, completion_args)


def get_backward_model_client() -> BackwardModelClient:
    """The model that computes gradients.

    Raises:
        NoBackwardModelError: none was set.
    """
    found = _here.get() or _current
    if found is None:
        raise NoBackwardModelError
    return found


@contextmanager
def backward_ahead(wanted: bool) -> Iterator[None]:
    """Say whether the forward pass inside the ``with`` block will be followed by ``backward()``."""
    token = _ahead.set(wanted)
    try:
        yield
    finally:
        _ahead.reset(token)


def backward_is_missing() -> bool:
    """Whether ``backward()`` will follow, and no model is set that it could ask."""
    return _ahead.get() and (_here.get() or _current) is None


@contextmanager
def use_backward_model_client(client: BackwardModelClient | None) -> Iterator[None]:
    """Compute gradients with ``client`` inside the ``with`` block, whatever the process has set."""
    token = _here.set(client)
    try:
        yield
    finally:
        _here.reset(token)


def backward_runs_inline() -> bool:
    """Whether the backward model answers in process, without waiting."""
    return _current is not None and is_inline(_current._client)
