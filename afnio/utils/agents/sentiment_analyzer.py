"""`SentimentAnalyzer`: the smallest useful agent: one prompt to learn, one call."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from afnio.cognitive import ChatCompletion, Module, Parameter
from afnio.variable import Variable

__all__ = ["SentimentAnalyzer"]

_SCHEMA: dict[str, Any] = {
    "type": "json_schema",
    "json_schema": {
        "name": "sentiment_response_schema",
        "strict": True,
        "schema": {
            "type": "object",
            "properties": {"sentiment": {"type": "string", "enum": ["positive", "neutral", "negative"]}},
            "required": ["sentiment"],
            "additionalProperties": False,
        },
    },
}


class SentimentAnalyzer(Module):
    """Tells whether a message is positive, neutral or negative.

    ::

        agent = SentimentAnalyzer()
        answer = agent(client, inputs={"message": "The lift is stuck again!"}, model="gpt-4o-mini")
        json.loads(answer.data)  # {"sentiment": "negative"}

    ``inputs["message"]`` is a text, a list of texts or a Variable; of a list, the answer's data is a list too.  Any
    other argument goes to the model; ``response_format`` is a strict JSON schema unless you give your own.

    Attributes:
        sentiment_task: the prompt, the only Parameter.
        sentiment_user: the template of the user message, with ``{message}``.
        sentiment_classifier: the `ChatCompletion`.
    """

    def __init__(self) -> None:
        super().__init__()
        self.sentiment_task = Parameter(
            "Read the provided message and determine the sentiment.", role="system prompt for sentiment classification"
        )
        self.sentiment_user = Variable(
            "Read the following message and return the sentiment as JSON.\n\nMessage:\n\n{message}\n\n",
            role="input template to sentiment classifier",
        )
        self.sentiment_classifier = ChatCompletion()

    def forward(self, fwd_model: Any, inputs: Mapping[str, Any] | None = None, **completion_args: Any) -> Variable:
        """The answer: JSON text with the key ``"sentiment"``, one for each message."""
        answer: Variable = self.sentiment_classifier(*self._call(fwd_model, inputs), **_with_schema(completion_args))
        return answer

    async def aforward(
        self, fwd_model: Any, inputs: Mapping[str, Any] | None = None, **completion_args: Any
    ) -> Variable:
        """`forward`, for code that runs in an event loop: ``await agent.acall(...)``."""
        answer: Variable = await self.sentiment_classifier.acall(
            *self._call(fwd_model, inputs), **_with_schema(completion_args)
        )
        return answer

    def _call(self, client: Any, inputs: Mapping[str, Any] | None) -> tuple[Any, ...]:
        messages = [
            {"role": "system", "content": [self.sentiment_task]},
            {"role": "user", "content": [self.sentiment_user]},
        ]
        return client, messages, inputs


def _with_schema(completion_args: dict[str, Any]) -> dict[str, Any]:
    return {"response_format": copy.deepcopy(_SCHEMA), **completion_args}
