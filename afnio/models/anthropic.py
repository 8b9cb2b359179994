"""Anthropic, and every gateway that speaks its messages API (``base_url=``)."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from afnio.calls.limiter import Limits
from afnio.models.base import AsyncChat, SyncChat
from afnio.models.formats.anthropic_messages import ANTHROPIC_MESSAGES
from afnio.models.hosted import DEFAULT_MAX_RETRIES, ApiKey, HostedModel, Vendor, bearer, not_given
from afnio.models.model_registry import register_model

__all__ = ["VERSION", "Anthropic", "AsyncAnthropic"]

VERSION = "2026-10-21"
"""The version of the API that is asked for, as its SDK does."""


class _AnthropicModel(HostedModel):
    """What the sync and the async class share.

    Args:
        api_key: or a function that returns one (renewed for each request); default: ``ANTHROPIC_API_KEY``.
        auth_token: a token in place of a key; default: ``ANTHROPIC_AUTH_TOKEN``, where there is no key.
        base_url: default: ``ANTHROPIC_BASE_URL``, else Anthropic itself.
        timeout: seconds a call may take (default 600), None for no limit, or an ``httpx.Timeout``; of a stream, the
            wait for each piece.
        max_retries: retries after failures that may heal; 0 for none.
        default_headers, default_query: sent with every request; a gateway may want the key as ``x-api-key``.
        http_client: needs the ``anthropic`` package, whose client is then used.
        limits: calls at once, requests and tokens per minute.
        model: the model's name for calls that give none.
        client: a user's own ``anthropic`` client object, used as it is (Bedrock, Vertex, own auth).

    Arguments of a call may be named as in chat completions (``max_completion_tokens``, ``stop``, ``response_format``,
    ``tools``, ``tool_choice``, ``reasoning_effort``) or as Anthropic names them (``thinking``, ``stop_sequences``).

    Raises:
        MissingKeyError: no key is given and none is in the environment.
    """

    vendor = Vendor(
        name="anthropic",
        title="Anthropic",
        format=ANTHROPIC_MESSAGES,
        base_url="https://api.anthropic.com",
        key_env="ANTHROPIC_API_KEY",
        url_env="ANTHROPIC_BASE_URL",
        key_header=bearer,
        headers=(("anthropic-version", VERSION),),
        sdk="anthropic",
        more_env=("ANTHROPIC_AUTH_TOKEN",),
    )
    _sdk_class = "Anthropic"

    def __init__(
        self,
        api_key: ApiKey | None = None,
        auth_token: str | None = None,
        base_url: str | Any | None = None,
        timeout: Any = not_given,
        max_retries: int = DEFAULT_MAX_RETRIES,
        default_headers: Mapping[str, str] | None = None,
        default_query: Mapping[str, object] | None = None,
        http_client: Any = None,
        *,
        limits: Limits | None = None,
        model: str | None = None,
        client: Any = None,
    ) -> None:
        if auth_token is None and not os.environ.get("ANTHROPIC_API_KEY"):
            auth_token = os.environ.get("ANTHROPIC_AUTH_TOKEN")
        self._connect(
            api_key=auth_token if api_key is None else api_key,  # both are sent alike
            base_url=base_url,
            timeout=timeout,
            max_retries=max_retries,
            default_headers=default_headers,
            default_query=default_query,
            limits=limits,
            model=model,
            client=client,
            sdk_only={"http_client": http_client},
        )


@register_model
class Anthropic(SyncChat, _AnthropicModel):
    __doc__ = f"An Anthropic model for sync code.\n\n    {_AnthropicModel.__doc__}"
    _sdk_class = "Anthropic"


@register_model
class AsyncAnthropic(AsyncChat, _AnthropicModel):
    __doc__ = f"An Anthropic model for async code.\n\n    {_AnthropicModel.__doc__}"
    _sdk_class = "AsyncAnthropic"
