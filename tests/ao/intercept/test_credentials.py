"""No credential leaves the interceptor."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ao.intercept.credentials import public_body, public_headers, public_text, public_url


@pytest.mark.parametrize(
    ("url", "public"),
    [
        (
            "https://g.com/v1beta/models/g:generateContent?key=AIzaSecret",
            "https://g.com/v1beta/models/g:generateContent",
        ),
        ("https://g.com/x?alt=sse&key=AIzaSecret", "https://g.com/x?alt=sse"),
        ("https://g.com/x?key=AIzaSecret&alt=sse", "https://g.com/x?alt=sse"),
        ("https://g.com/x?a=1&api_key=s&b=2", "https://g.com/x?a=1&b=2"),
        ("https://g.com/x?api-key=s#part", "https://g.com/x#part"),
        ("https://g.com/x?x-goog-api-key=s", "https://g.com/x"),
        ("https://g.com/x?subscription-key=s&access_token=t&sig=u", "https://g.com/x"),
        ("https://user:secret@g.com/x", "https://g.com/x"),
        ("https://g.com/x?api-version=2024-10-21&keyword=a&monkey=b&max_tokens=5", None),
        ("https://g.com/a@b/x", None),
        ("https://g.com/", None),
    ],
)
def test_urls(url: str, public: str | None) -> None:
    assert public_url(url) == (url if public is None else public)


def test_texts_with_urls_in_them() -> None:
    said = "GET 'https://u:p@g.com/x?key=AIza&alt=sse' failed, see https://g.com/?token=abc"
    assert public_text(said) == "GET 'https://g.com/x?alt=sse' failed, see https://g.com/"


def test_headers() -> None:
    secret = [
        *("Authorization", "Proxy-Authorization", "x-api-key", "api-key", "X-Goog-Api-Key", "Cookie", "Set-Cookie"),
        *("X-Amz-Security-Token", "x-auth-token", "WWW-Authenticate", "ocp-apim-subscription-key", "x-client-secret"),
    ]
    plain = [
        "content-type",
        "x-request-id",
        "x-ratelimit-remaining-tokens",
        "anthropic-ratelimit-tokens-limit",
        "retry-after",
    ]
    told = public_headers([(name, "v") for name in secret + plain])
    assert [name for name, _ in told] == plain


def test_bodies() -> None:
    asked = {"model": "m", "max_tokens": 5, "key": "", "messages": [{"content": "api_key"}], "metadata": {"a": "b"}}
    assert public_body(asked) is asked
    assert public_body("api_key") == "api_key"
    given = {"api_key": "s", "extra_headers": {"Authorization": "Bearer s", "x-trace": "1"}}
    hidden = {"api_key": "[redacted]", "extra_headers": {"Authorization": "[redacted]", "x-trace": "1"}}
    assert public_body(asked | given) == asked | hidden


@given(st.text("abkey=&#/:@ ", max_size=40))
def test_what_is_public_stays_as_it_is(text: str) -> None:
    once = public_text(f"http://h/?{text}")
    assert public_text(once) == once
    assert not any(argument.startswith("key=") for argument in once.partition("?")[2].partition("#")[0].split("&"))
