"""Providers and local servers that speak OpenAI's chat completions, each a few lines.

Nearly all of them are known to `afnio.models.prices` by their hosts.  They work for sync and async code.
"""

from __future__ import annotations

from dataclasses import replace

from afnio.models.model_registry import register_model
from afnio.models.openai import AsyncOpenAI, OpenAI

__all__ = ["VLLM", "XAI", "DeepSeek", "Gemini", "Groq", "Mistral", "Ollama", "OpenRouter", "Together"]


class _Compatible(OpenAI, AsyncOpenAI):
    """Takes the arguments of `OpenAI`."""

    vendor = replace(OpenAI.vendor, more_env=())


def _ollama_url(host: str) -> str:
    """``OLLAMA_HOST`` as Ollama reads it (host, port, scheme; each may be left out) as a base URL."""
    scheme, _, rest = host.rpartition("://")
    place = rest.rstrip("/").removesuffix("/v1")
    name, colon, port = place.rpartition(":")
    if not colon or not port.isdigit():
        name, port = place, {"http": "80", "https": "443"}.get(scheme, "11434")
    name = "127.0.0.1" if name in ("", "0.0.0.0") else name  # noqa: S104 - where a server listens, not where it is
    return f"{scheme or 'http'}://{name}:{port}/v1"


@register_model
class Ollama(_Compatible):
    """Models of an Ollama server: ``OLLAMA_HOST``, else the one on this machine. Needs no key."""

    vendor = replace(
        _Compatible.vendor,
        name="ollama",
        title="Ollama",
        base_url="http://127.0.0.1:11434/v1",
        key_env="OLLAMA_API_KEY",
        url_env="OLLAMA_HOST",
        url_of=_ollama_url,
        default_key="ollama",
    )


@register_model
class VLLM(_Compatible):
    """Models of a vLLM server: ``VLLM_BASE_URL``, else the one on this machine. Needs no key unless it has one."""

    vendor = replace(
        _Compatible.vendor,
        name="vllm",
        title="vLLM",
        base_url="http://127.0.0.1:8000/v1",
        key_env="VLLM_API_KEY",
        url_env="VLLM_BASE_URL",
        default_key="none",
    )


@register_model
class Groq(_Compatible):
    """Models at Groq: ``GROQ_API_KEY``."""

    vendor = replace(
        _Compatible.vendor,
        name="groq",
        title="Groq",
        base_url="https://api.groq.com/openai/v1",
        key_env="GROQ_API_KEY",
        url_env="GROQ_BASE_URL",
    )


@register_model
class Mistral(_Compatible):
    """Models of Mistral: ``MISTRAL_API_KEY``."""

    vendor = replace(
        _Compatible.vendor,
        name="mistral",
        title="Mistral",
        base_url="https://api.mistral.ai/v1",
        key_env="MISTRAL_API_KEY",
        url_env="MISTRAL_BASE_URL",
    )


@register_model
class DeepSeek(_Compatible):
    """Models of DeepSeek: ``DEEPSEEK_API_KEY``."""

    vendor = replace(
        _Compatible.vendor,
        name="deepseek",
        title="DeepSeek",
        base_url="https://api.deepseek.com/v1",
        key_env="DEEPSEEK_API_KEY",
        url_env="DEEPSEEK_BASE_URL",
    )


@register_model
class OpenRouter(_Compatible):
    """Models by way of OpenRouter: ``OPENROUTER_API_KEY``; their names have a slash of their own."""

    vendor = replace(
        _Compatible.vendor,
        name="openrouter",
        title="OpenRouter",
        base_url="https://openrouter.ai/api/v1",
        key_env="OPENROUTER_API_KEY",
        url_env="OPENROUTER_BASE_URL",
    )


@register_model
class Together(_Compatible):
    """Models at Together AI: ``TOGETHER_API_KEY``."""

    vendor = replace(
        _Compatible.vendor,
        name="together",
        title="Together AI",
        base_url="https://api.together.xyz/v1",
        key_env="TOGETHER_API_KEY",
        url_env="TOGETHER_BASE_URL",
    )


@register_model
class XAI(_Compatible):
    """Models of xAI: ``XAI_API_KEY``."""

    vendor = replace(
        _Compatible.vendor,
        name="x-ai",
        title="xAI",
        base_url="https://api.x.ai/v1",
        key_env="XAI_API_KEY",
        url_env="XAI_BASE_URL",
    )


@register_model
class Gemini(_Compatible):
    """Google's Gemini models, by their OpenAI-compatible endpoint: ``GEMINI_API_KEY``."""

    vendor = replace(
        _Compatible.vendor,
        name="google",
        title="Gemini",
        base_url="https://generativelanguage.googleapis.com/v1beta/openai",
        key_env="GEMINI_API_KEY",
        url_env="GEMINI_BASE_URL",
    )
