"""Models by their paths: ``"openai/gpt-5"`` wherever a client does.

Key and place come from the environment, as the provider's class takes them.
"""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from typing import Any

from afnio.models.anthropic import Anthropic, AsyncAnthropic
from afnio.models.compatible import VLLM, XAI, DeepSeek, Gemini, Groq, Mistral, Ollama, OpenRouter, Together
from afnio.models.hosted import HostedModel
from afnio.models.openai import AsyncOpenAI, OpenAI

__all__ = ["as_model", "model_at", "provider_of", "providers"]


class _OpenAI(OpenAI, AsyncOpenAI):
    """An OpenAI model for sync and async code."""


class _Anthropic(Anthropic, AsyncAnthropic):
    """An Anthropic model for sync and async code."""


_OpenAI.__name__, _Anthropic.__name__ = "OpenAI", "Anthropic"  # what a checkpoint says of them, and a server makes

providers: dict[str, type[HostedModel]] = {
    "openai": _OpenAI,
    "anthropic": _Anthropic,
    "ollama": Ollama,
    "vllm": VLLM,
    "groq": Groq,
    "mistral": Mistral,
    "deepseek": DeepSeek,
    "openrouter": OpenRouter,
    "together": Together,
    "xai": XAI,
    "gemini": Gemini,
}
"""What may stand before the slash of a path -> its class, for sync and async code."""

MOST = 128  # models kept, so that each keeps its usage and what was learned of it

_known: OrderedDict[tuple[str | None, ...], HostedModel] = OrderedDict()
_lock = threading.Lock()


def provider_of(path: str) -> tuple[type[HostedModel], str]:
    """The class and the model's name of a path; the name may hold slashes of its own.

    Raises:
        ValueError: it has no ``/``, or names an unknown provider.
    """
    provider, slash, model = path.partition("/")
    if not slash or not model:
        raise ValueError(f"A model's path must be 'provider/model', for example 'openai/gpt-4o'; got {path!r}.")
    if provider not in providers:
        raise ValueError(f"Unknown provider {provider!r} in {path!r}; known: {', '.join(sorted(providers))}.")
    return providers[provider], model


def model_at(path: str) -> Any:
    """The model of a path, with ``chat`` and ``achat``; the same object each time, while key and place are the same.

    Raises:
        ValueError: the path has no ``/``, or names an unknown provider.
        MissingKeyError: no API key is in the environment.
    """
    cls, model = provider_of(path)
    vendor = cls.vendor
    key = (path, *[os.environ.get(name) for name in (vendor.key_env, vendor.url_env, *vendor.more_env)])
    with _lock:
        found = _known.get(key)
        if found is None:
            make: Any = cls
            found = _known[key] = make(model=model)
            if len(_known) > MOST:
                _known.popitem(last=False)
        _known.move_to_end(key)
        return found


def as_model(client: Any) -> Any:
    """The model of a path; any other client as it is."""
    return model_at(client) if isinstance(client, str) else client
