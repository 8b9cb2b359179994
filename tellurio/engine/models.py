"""The models of a job: made anew here from their recipes, or asked for in the client."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

from afnio.calls import Reply
from afnio.calls.request import Cost, Request, Usage
from afnio.calls.transport import RawResponse, Timeout
from afnio.models.base import ChatCompletionModel, Recipe, Route
from afnio.models.formats.openai_chat import OPENAI_CHAT, PATH
from afnio.models.model_registry import MODEL_REGISTRY
from tellurio.engine.current import current_job, digest
from tellurio.engine.log import calling_model
from tellurio.schemas.pack import PackError

__all__ = ["Models"]


class ServerModel(ChatCompletionModel):
    """A model that this process calls for a client."""

    def __init__(self, model: ChatCompletionModel) -> None:
        super().__init__(model.get_provider(), model=model.model_name)
        self._route = model._route

    async def _send(self, messages: list[dict[str, Any]], **who_and_args: Any) -> Reply:
        codec = current_job().codec
        token = calling_model.set(codec.model(self))
        try:
            return await super()._send(messages, **codec.revealed(who_and_args))
        finally:
            calling_model.reset(token)


class ClientModel(ChatCompletionModel):
    """A model whose calls the client makes, records and pays."""

    def __init__(self) -> None:
        super().__init__("client")
        self._route = Route(_Nowhere(), OPENAI_CHAT, "client://", PATH, max_retries=0)

    async def _send(
        self, messages: list[dict[str, Any]], *, role: str = "", node: str = "", words: str = "", **args: Any
    ) -> Reply:
        job = current_job()
        call = {"model": job.codec.model(self), "messages": messages, "args": args}
        call |= {"role": role, "node": node, "words": words}
        text = await job.ask("lm", digest(call), call)
        if not isinstance(text, str):
            raise PackError(f"The client answered a model's call with a {type(text).__name__}, expected a text.")
        request = Request("client", "client://", PATH, "", {}, OPENAI_CHAT, role, node)
        body = {"choices": [{"message": {"role": "assistant", "content": text}}]}
        return Reply(request, text, body, Usage(), Cost(), source="joined")


class _Nowhere:
    inline = False

    async def send(self, request: Request, timeout: Timeout) -> RawResponse:
        raise NotImplementedError("a client's model is asked for through its job")


class Models:
    """The models that were used last.  What was learned of one (it refuses schemas, say), and its connections, stay.

    Args:
        size: how many.
    """

    def __init__(self, size: int = 128) -> None:
        self._size = size
        self._known: OrderedDict[str, ChatCompletionModel] = OrderedDict()

    def get(self, form: Mapping[str, Any], secrets: Mapping[str, Any] | None) -> ChatCompletionModel:
        """The model of a form; in memory only, as its key is.

        Raises:
            PackError: its class is not known here.
        """
        name = digest([form, secrets])
        found = self._known.get(name)
        if found is None:
            found = self._known[name] = _made(form, secrets)
            if len(self._known) > self._size:
                self._known.popitem(last=False)
        self._known.move_to_end(name)
        return found


def _made(form: Mapping[str, Any], secrets: Mapping[str, Any] | None) -> ChatCompletionModel:
    if "recipe" not in form:
        return ClientModel()
    name, settings = form["recipe"]
    cls: Any = MODEL_REGISTRY.get(name)
    if cls is None:
        raise PackError(f"the model class {name!r} is not known here: upgrade the server, or use lm_calls='client'")
    model: ChatCompletionModel = cls.from_recipe(Recipe(name, dict(settings), dict(secrets or {})))
    return ServerModel(model)
