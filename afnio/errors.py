"""Every error this library raises on purpose, as one tree.

    AfnioError
    |-- NoEngineError (RuntimeError)         backward/step/clear_grad/fit without an active Run or engine
    |-- NoBackwardModelError (RuntimeError)  feedback is wanted, and no model was set to write it
    |-- GraphError (RuntimeError)            a graph used in a way it cannot be (freed, no gradient to start from)
    |-- GradcheckError (AssertionError)      a Function breaks a law of gradcheck()
    |-- PlaceholderError (ValueError)        a template and its inputs do not fit
    |-- ContentBlockError (TypeError)        a content block is not what a message can hold
    |-- MessageError (TypeError)             a message has a wrong role or content
    |-- ReplyContractError (RuntimeError)    a model broke the reply contract twice; names role, node, variable
    |-- BatchError (RuntimeError)            some samples of a batch failed; holds the error of each
    |-- ToolError (RuntimeError)             a tool failed, or returned what no model can be told
    |-- StepError (RuntimeError)             a user's step returned something the Trainer cannot use
    |-- BudgetExceeded (RuntimeError)        the next call would exceed the budget
    |-- CheckpointError (ValueError)         a file that is no checkpoint, is cut short or was changed
    |-- DatasetError (RuntimeError)          a data set cannot be read, downloaded or verified
    |-- CallLogError (RuntimeError)          a call log cannot be read or written
    |   `-- ReplayMissError                  replay met a request that was never recorded
    |-- TellurioError (RuntimeError)         something between this process and a Tellurio server
    |   |-- ServerUnreachableError           no server answers there
    |   |-- ServerVersionError               client and server are more than one minor version apart
    |   |-- ServerStartError                 the local server did not start
    |   |-- ServerError                      the server refused, or failed: status, body, request id
    |   |   `-- InvalidAPIKeyError           it does not know the key
    |   |-- ConsentError                     provider keys may not be sent to this server
    |   |-- RunError (ValueError)            no active Run, or one that has ended
    |   |-- JournalError                     the journal of a Run cannot be written
    |   |-- StoreError                       the server's database cannot be opened, or is in use
    |   `-- JobError                         a job was cancelled, or given up
    |-- ScriptError (LookupError)            a scripted model was asked what its script does not foresee
    `-- APIError (RuntimeError)              an LM call failed
        |-- MissingKeyError                  no API key
        |-- APIConnectionError               no answer, or not the whole of it
        |   |-- APIUnreachableError          no connection can be made: every call would meet the same
        |   |   `-- APIConnectTimeoutError   (an APITimeoutError too)
        |   |-- APITimeoutError
        |   `-- StreamCutError               a stream broke after some of it was given to the caller
        |-- APIResponseError                 the answer is not what the API promises (cut JSON, no choices)
        `-- APIStatusError                   the endpoint answered with an error status
            |-- BadRequestError 400
            |   |-- ContextLengthError       the request is longer than the model's context
            |   `-- UnsupportedFormatError   the endpoint cannot do structured outputs
            |-- AuthenticationError 401
            |-- PermissionDeniedError 403
            |-- NotFoundError 404            unknown model or path
            |-- ConflictError 409
            |-- UnprocessableEntityError 422
            |-- RateLimitError 429
            |   `-- QuotaError               429 that waiting cannot heal
            `-- InternalServerError 5xx
                `-- OverloadedError 529      the provider is overloaded; waiting may help

The names of the ``API...`` errors are those of the ``openai`` SDK.  Each message says what was given,
what was expected and what to type next.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = [
    "APIConnectTimeoutError",
    "APIConnectionError",
    "APIError",
    "APIResponseError",
    "APIStatusError",
    "APITimeoutError",
    "APIUnreachableError",
    "AfnioError",
    "AuthenticationError",
    "BadRequestError",
    "BatchError",
    "BudgetExceeded",
    "CallLogError",
    "CheckpointError",
    "ConflictError",
    "ConsentError",
    "ContentBlockError",
    "ContextLengthError",
    "DatasetError",
    "GradcheckError",
    "GraphError",
    "InternalServerError",
    "InvalidAPIKeyError",
    "JobError",
    "JournalError",
    "MessageError",
    "MissingKeyError",
    "NoBackwardModelError",
    "NoEngineError",
    "NotFoundError",
    "OverloadedError",
    "PermissionDeniedError",
    "PlaceholderError",
    "QuotaError",
    "RateLimitError",
    "ReplayMissError",
    "ReplyContractError",
    "RunError",
    "ScriptError",
    "ServerError",
    "ServerStartError",
    "ServerUnreachableError",
    "ServerVersionError",
    "StepError",
    "StoreError",
    "StreamCutError",
    "TellurioError",
    "ToolError",
    "UnprocessableEntityError",
    "UnsupportedFormatError",
]


class AfnioError(Exception):
    """Base of all errors raised on purpose by this library."""


class NoEngineError(AfnioError, RuntimeError):
    """``backward``, ``step``, ``clear_grad`` or ``fit`` was called without an active Run or engine."""

    def __init__(self, what: str) -> None:
        super().__init__(
            f"{what} needs an active Run, and there is none. Call afnio.tellurio.init(...) first, "
            f"or work offline inside `with afnio.local_engine():`."
        )


class NoBackwardModelError(AfnioError, RuntimeError):
    """Feedback on what a model read is wanted, and no model was set to write it."""

    def __init__(self) -> None:
        super().__init__(
            "No backward model is set. Call afnio.set_backward_model_client('openai/gpt-4o') before backward()."
        )


class GraphError(AfnioError, RuntimeError):
    """A graph was used in a way it cannot be used."""


class GradcheckError(AfnioError, AssertionError):
    """A Function breaks a law that `gradcheck` checks."""


class PlaceholderError(AfnioError, ValueError):
    """A template's ``{placeholders}`` and the given ``inputs`` do not fit."""


class ContentBlockError(AfnioError, TypeError):
    """A content block is not what a message can hold."""


class MessageError(AfnioError, TypeError):
    """A message has a wrong role, or a content that is no list of blocks."""


class ReplyContractError(AfnioError, RuntimeError):
    """A model's reply broke the contract, and so did the reply to the repair turn.

    Attributes:
        role: who was asked (``"backward"``, ``"reducer"``, ``"optimizer"``, ``"judge"``).
        node: label of the graph node or parameter group the call belongs to.
        variable: role text of the variable concerned, or None.
        fault: what was wrong with the last reply.
        reply: the last reply, whole.
    """

    def __init__(self, *, role: str, node: str, variable: str | None, fault: str, reply: str) -> None:
        self.role, self.node, self.variable, self.fault, self.reply = role, node, variable, fault, reply
        about = f" for variable '{variable}'" if variable else ""
        shown = reply if len(reply) <= 300 else f"{reply[:200]} ... {reply[-100:]}"
        super().__init__(
            f"The {role} model's reply at {node}{about} broke the reply contract twice: {fault}. "
            f"No parameter was changed. The last reply was: {shown!r}"
        )


class BatchError(AfnioError, RuntimeError):
    """Some samples of a batch failed; the answers of the others are recorded.

    Attributes:
        errors: position in the batch -> the error of that sample.
        size: number of samples in the batch.
        result: of a tool loop, the `OpResult` of the samples that came through; else None.
    """

    result: Any = None

    def __init__(self, errors: Mapping[int, BaseException], size: int) -> None:
        self.errors, self.size = dict(errors), size
        index, first = next(iter(self.errors.items()))
        failed = f"{len(self.errors)} of {size} samples failed"
        super().__init__(f"{failed}; sample {index}: {type(first).__name__}: {first}")


class ToolError(AfnioError, RuntimeError):
    """A tool failed, or returned what no model can be told.

    Attributes:
        tool: its name.
        sample: position in the batch, or None: there is no batch.
    """

    def __init__(self, message: str, *, tool: str, sample: int | None = None) -> None:
        self.tool, self.sample = tool, sample
        super().__init__(message)


class StepError(AfnioError, RuntimeError):
    """A user's step failed or returned something the Trainer cannot use."""


class BudgetExceeded(AfnioError, RuntimeError):
    """The next call would exceed the budget.

    Attributes:
        limit: name of the limit that was met (``"usd"``, ``"tokens"``, ``"calls"``, ``"seconds"``).
    """

    def __init__(self, message: str, *, limit: str) -> None:
        self.limit = limit
        super().__init__(message)


class CheckpointError(AfnioError, ValueError):
    """A file is no checkpoint of ours, is cut short, or was changed."""


class DatasetError(AfnioError, RuntimeError):
    """A data set cannot be read, downloaded or verified."""


class CallLogError(AfnioError, RuntimeError):
    """A call log cannot be read or written."""


class ReplayMissError(CallLogError):
    """Replay met a request that was never recorded."""


class TellurioError(AfnioError, RuntimeError):
    """Something between this process and a Tellurio server went wrong."""


class ServerUnreachableError(TellurioError):
    """No Tellurio server answers at the address."""


class ServerVersionError(TellurioError):
    """Client and server are more than one minor version apart."""


class ServerStartError(TellurioError):
    """The local server did not start."""


class ServerError(TellurioError):
    """The server answered with an error status.

    Attributes:
        status_code: the HTTP status.
        body: the decoded JSON body, or its text.
        request_id: the server's id of the request, or None: its log has the details.
    """

    def __init__(self, message: str, *, status_code: int, body: object = None, request_id: str | None = None) -> None:
        self.status_code, self.body, self.request_id = status_code, body, request_id
        super().__init__(message)


class InvalidAPIKeyError(ServerError):
    """The server does not know the API key."""


class ConsentError(TellurioError):
    """Provider keys may not be sent to this server: nobody consented."""


class RunError(TellurioError, ValueError):
    """There is no active Run, or the Run has ended."""


class JournalError(TellurioError):
    """The journal of a Run cannot be written or read."""


class StoreError(TellurioError):
    """The server's database cannot be opened, is in use, or cannot be written."""


class JobError(TellurioError):
    """A job was cancelled, or given up by the server; nothing was changed, and what was paid for is recorded."""


class ScriptError(AfnioError, LookupError):
    """A scripted model was asked something its script has no answer for."""


class APIError(AfnioError, RuntimeError):
    """An LM call failed.

    Attributes:
        provider: e.g. ``"openai"``.
        model: the model asked for, or None.
        request_id: the provider's id of the request, or None.
    """

    def __init__(
        self, message: str, *, provider: str = "", model: str | None = None, request_id: str | None = None
    ) -> None:
        self.provider, self.model, self.request_id = provider, model, request_id
        super().__init__(message)


class MissingKeyError(APIError):
    """No API key was given and none is in the environment."""


class APIConnectionError(APIError):
    """The endpoint could not be reached, or the connection broke before the whole answer was there."""


class APITimeoutError(APIConnectionError):
    """The endpoint did not answer in time."""


class APIUnreachableError(APIConnectionError):
    """No connection to the endpoint can be made: every other call would meet the same."""


class APIConnectTimeoutError(APIUnreachableError, APITimeoutError):
    """No connection to the endpoint was made in time."""


class StreamCutError(APIConnectionError):
    """A streamed answer broke off after some of it was given to the caller, so that it cannot be asked for again.

    Attributes:
        text: what was given.
    """

    def __init__(
        self, message: str, *, text: str, provider: str = "", model: str | None = None, request_id: str | None = None
    ) -> None:
        self.text = text
        super().__init__(message, provider=provider, model=model, request_id=request_id)


class APIResponseError(APIError):
    """The endpoint answered with something the API does not promise.

    Attributes:
        body: the answer, as text.
    """

    def __init__(
        self,
        message: str,
        *,
        body: str = "",
        provider: str = "",
        model: str | None = None,
        request_id: str | None = None,
    ) -> None:
        self.body = body
        super().__init__(message, provider=provider, model=model, request_id=request_id)


class APIStatusError(APIError):
    """The endpoint answered with an error status.

    Attributes:
        status_code: the HTTP status.
        body: the decoded JSON body, or its text.
        retry_after: seconds the endpoint asks to wait, or None.
    """

    def __init__(
        self,
        message: str,
        *,
        status_code: int,
        body: object = None,
        retry_after: float | None = None,
        provider: str = "",
        model: str | None = None,
        request_id: str | None = None,
    ) -> None:
        self.status_code, self.body, self.retry_after = status_code, body, retry_after
        super().__init__(message, provider=provider, model=model, request_id=request_id)


class BadRequestError(APIStatusError):
    """400: the request itself is wrong."""


class ContextLengthError(BadRequestError):
    """The request is longer than the model's context."""


class UnsupportedFormatError(BadRequestError):
    """The endpoint or model cannot do the structured output that was asked for."""


class AuthenticationError(APIStatusError):
    """401: the API key is wrong."""


class PermissionDeniedError(APIStatusError):
    """403: the key may not do this."""


class NotFoundError(APIStatusError):
    """404: unknown model or path."""


class ConflictError(APIStatusError):
    """409."""


class UnprocessableEntityError(APIStatusError):
    """422."""


class RateLimitError(APIStatusError):
    """429: too many requests."""


class QuotaError(RateLimitError):
    """429 that waiting cannot heal: the account has no credit left."""


class InternalServerError(APIStatusError):
    """5xx."""


class OverloadedError(InternalServerError):
    """529: the provider has more requests than it can serve."""
