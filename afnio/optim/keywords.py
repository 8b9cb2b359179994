"""Keywords that no setting has: most are for the model's API, and some are a setting that was misspelled."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from difflib import get_close_matches

__all__ = ["check_keywords", "check_settings"]

_API = """
model messages temperature top_p top_k min_p typical_p n seed stop stop_sequences stream stream_options max_tokens
max_completion_tokens max_output_tokens max_new_tokens min_tokens num_predict num_ctx presence_penalty frequency_penalty
repetition_penalty length_penalty logit_bias logprobs top_logprobs response_format tools tool_choice parallel_tool_calls
reasoning reasoning_effort thinking verbosity user metadata service_tier store modalities audio prediction
web_search_options prompt_cache_key safety_identifier system instructions options extra_body extra_headers extra_query
timeout on_text
"""
API = frozenset(_API.split())
"""Arguments that APIs know: they are meant, whatever setting they look like."""

_ELSEWHERE = """
momentum parents proposals merges pool reuse_answers max_bootstrapped max_labelled candidates lr weight_decay dampening
nesterov betas eps amsgrad maximize foreach fused capturable differentiable
"""
ELSEWHERE = frozenset(_ELSEWHERE.split())
"""Settings that other optimizers have, those of torch among them."""


def check_keywords(given: Iterable[str], settings: Collection[str], name: str) -> None:
    """Refuse keywords of ``name`` that were meant for a setting; all others are sent to the API as they are.

    Raises:
        TypeError: one is nearly the name of a setting, or a setting of another optimizer.
    """
    for keyword in given:
        if keyword in API:
            continue
        if keyword in ELSEWHERE:
            raise TypeError(f"{name} has no setting {keyword!r}. It has: {', '.join(sorted(settings))}.")
        near = _near(keyword, settings)
        if near:
            raise TypeError(
                f"{name} got an unexpected keyword argument {keyword!r}. Did you mean {near!r}? If the model's API "
                f"takes {keyword!r}, pass it as extra_body={{{keyword!r}: ...}}."
            )


def check_settings(given: Iterable[str], settings: Collection[str], name: str) -> None:
    """Refuse keys of a parameter group that were meant for a setting, or for the API; all others mean nothing here.

    Raises:
        TypeError: one is nearly the name of a setting, or an argument of the API outside of ``completion_args``.
    """
    for key in given:
        if key in settings or not isinstance(key, str):
            continue
        if key in API:
            raise TypeError(
                f"A parameter group of {name} has {key!r}, which is for the model's API: write "
                f"'completion_args': {{{key!r}: ...}} in the group."
            )
        if near := _near(key, settings):
            raise TypeError(f"A parameter group of {name} has the unknown key {key!r}. Did you mean {near!r}?")


def _near(word: str, settings: Collection[str]) -> str | None:
    return next(iter(get_close_matches(word.lower(), sorted(settings), 1, 0.75)), None)
