"""OpenAI, and every endpoint that speaks its chat completions API (``base_url=``)."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from afnio.calls.limiter import Limits
from afnio.models.base import AsyncChat, EmbeddingModel, SyncChat, TextCompletionModel
from afnio.models.formats.openai_chat import OPENAI_CHAT
from afnio.models.hosted import DEFAULT_MAX_RETRIES, ApiKey, HostedModel, Vendor, bearer, not_given
from afnio.models.model_registry import register_model

__all__ = ["DEFAULT_BASE_URL", "AsyncOpenAI", "OpenAI"]

DEFAULT_BASE_URL = "https://api.openai.com/v1"
"""OpenAI itself."""


class _OpenAIModel(HostedModel, TextCompletionModel, EmbeddingModel):
    """What the sync and the async class share.

    Args:
        api_key: or a function that returns one (renewed for each request); default: ``OPENAI_API_KEY``.
        organization: default: ``OPENAI_ORG_ID``.
        project: default: ``OPENAI_PROJECT_ID``.
        base_url: default: ``OPENAI_BASE_URL``, else OpenAI itself.
        timeout: seconds a call may take (default 600), None for no limit, or an ``httpx.Timeout``; of a stream, the
            wait for each piece.
        max_retries: retries after failures that may heal; 0 for none.
        default_headers, default_query: sent with every request.
        limits: calls at once, requests and tokens per minute.
        model: the model's name for calls that give none.
        client: a user's own ``openai`` client object, used as it is (Azure, Bedrock, own auth).
        workload_identity, http_client: need the ``openai`` package, whose client is then used.

    Raises:
        MissingKeyError: no key is given and none is in the environment.
    """

    vendor = Vendor(
        name="openai",
        title="OpenAI",
        format=OPENAI_CHAT,
        base_url=DEFAULT_BASE_URL,
        key_env="OPENAI_API_KEY",
        url_env="OPENAI_BASE_URL",
        key_header=bearer,
        sdk="openai",
        more_env=("OPENAI_ORG_ID", "OPENAI_PROJECT_ID"),
    )
    _sdk_class = "OpenAI"

    def __init__(
        self,
        api_key: ApiKey | None = None,
        workload_identity: Any = None,
        organization: str | None = None,
        project: str | None = None,
        webhook_secret: str | None = None,
        base_url: str | Any | None = None,
        websocket_base_url: str | Any | None = None,
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
        if self.vendor.more_env:  # others than OpenAI know no organizations
            organization = organization or os.environ.get("OPENAI_ORG_ID")
            project = project or os.environ.get("OPENAI_PROJECT_ID")
        self._connect(
            api_key=api_key,
            base_url=base_url,
            timeout=timeout,
            max_retries=max_retries,
            default_headers=default_headers,
            default_query=default_query,
            limits=limits,
            model=model,
            client=client,
            own={"organization": organization, "project": project},
            headers={"OpenAI-Organization": organization, "OpenAI-Project": project},
            sdk_only={"workload_identity": workload_identity, "http_client": http_client},
        )


@register_model
class OpenAI(SyncChat, _OpenAIModel):
    __doc__ = f"An OpenAI model for sync code.\n\n    {_OpenAIModel.__doc__}"
    _sdk_class = "OpenAI"


@register_model
class AsyncOpenAI(AsyncChat, _OpenAIModel):
    __doc__ = f"An OpenAI model for async code.\n\n    {_OpenAIModel.__doc__}"
    _sdk_class = "AsyncOpenAI"
