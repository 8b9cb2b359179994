"""`Module`: the base class of agents.  How its parts work is in the files beside this one:

`_attributes` what an assignment registers; `_walk` the tree; `_hooks` a call; `_state`, `_loading` state dicts.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from typing import Any, Self

from afnio._utils import MultiTurnMessages
from afnio.cognitive import _attributes as kinds
from afnio.cognitive._hooks import (
    Hooked,
    register_module_forward_hook,
    register_module_forward_pre_hook,
    register_module_full_backward_hook,
    register_module_full_backward_pre_hook,
)
from afnio.cognitive._repr import tree
from afnio.cognitive._state import Stateful
from afnio.cognitive._walk import children, members, preorder, visits
from afnio.errors import StepError
from afnio.models.base import BaseModel
from afnio.parameter import Parameter
from afnio.variable import Variable

__all__ = [
    "Module",
    "register_module_forward_hook",
    "register_module_forward_pre_hook",
    "register_module_full_backward_hook",
    "register_module_full_backward_pre_hook",
]


class Module(Stateful, Hooked):
    """An agent, or a part of one: Parameters, other Modules, and a ``forward`` that uses them.

    ::

        class Classifier(cog.Module):
            def __init__(self):
                super().__init__()
                self.prompt = cog.Parameter("Classify the ticket.", role="system prompt of the classifier")
                self.template = afnio.Variable("{message}", role="the ticket")
                self.chat = cog.ChatCompletion()

            def forward(self, client, message):
                messages = [
                    {"role": "system", "content": [self.prompt]},
                    {"role": "user", "content": [self.template]},
                ]
                return self.chat(client, messages, inputs={"message": message}, model="gpt-4o-mini")

    What is assigned to an attribute is registered, that is, part of ``state_dict()``, if it is a Parameter, a Module,
    a model client, a conversation that is not empty, or a function from the top of a module.  Everything else is an
    ordinary attribute: None, empty lists, dicts, Variables, lambdas, methods, text (a model's path, ``"openai/gpt-5"``,
    too).  What a value decided stays decided: the name then takes values of that kind and None, until ``del``.
    `register_buffer` and `register_completion_config` add Variables and dicts.

    ``forward`` and the steps may be ``async def``.

    Attributes:
        training: what `train` and `eval` set.
        automatic_optimization: whether the Trainer calls backward and step itself.

    Modelled on ``torch.nn.Module`` and Lightning's ``LightningModule``:
    https://docs.pytorch.org/docs/stable/generated/torch.nn.Module.html
    """

    automatic_optimization: bool
    _modules: dict[str, Module | None]
    _optimizers: Any

    def __init__(self) -> None:
        Stateful.__init__(self)
        Hooked.__init__(self)
        self.training = True
        self.automatic_optimization = True
        self._optimizers = None

    # registered values, each kind with its names

    def named_parameters(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Parameter]]:
        """``(name, parameter)`` of this Module and, with ``recurse``, of those below it, in torch's order.

        Args:
            prefix: put before each name, with a dot.
            recurse: go down the tree.
            remove_duplicate: yield a value that has several names once, under the first.

        The iterators of buffers, chats, models, completion configs and functions work the same.
        """
        return members(self, kinds.PARAMETERS, prefix, recurse, remove_duplicate)

    def parameters(self, recurse: bool = True) -> Iterator[Parameter]:
        """The parameters, as an optimizer takes them; see `named_parameters`."""
        return (value for _, value in self.named_parameters(recurse=recurse))

    def named_buffers(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Variable]]:
        """``(name, buffer)``; see `named_parameters`."""
        return members(self, kinds.BUFFERS, prefix, recurse, remove_duplicate)

    def buffers(self, recurse: bool = True) -> Iterator[Variable]:
        """The buffers; see `named_parameters`."""
        return (value for _, value in self.named_buffers(recurse=recurse))

    def named_chats(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, MultiTurnMessages]]:
        """``(name, conversation)``; see `named_parameters`."""
        return members(self, kinds.CHATS, prefix, recurse, remove_duplicate)

    def chats(self, recurse: bool = True) -> Iterator[MultiTurnMessages]:
        """The conversations; see `named_parameters`."""
        return (value for _, value in self.named_chats(recurse=recurse))

    def named_models(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, BaseModel]]:
        """``(name, client)``; see `named_parameters`."""
        return members(self, kinds.MODELS, prefix, recurse, remove_duplicate)

    def models(self, recurse: bool = True) -> Iterator[BaseModel]:
        """The model clients; see `named_parameters`."""
        return (value for _, value in self.named_models(recurse=recurse))

    def named_completion_configs(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, dict[str, Any]]]:
        """``(name, completion arguments)``; see `named_parameters`."""
        return members(self, kinds.COMPLETION_CONFIGS, prefix, recurse, remove_duplicate)

    def completion_configs(self, recurse: bool = True) -> Iterator[dict[str, Any]]:
        """The completion arguments; see `named_parameters`."""
        return (value for _, value in self.named_completion_configs(recurse=recurse))

    def named_functions(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Callable[..., Any]]]:
        """``(name, function)``; see `named_parameters`."""
        return members(self, kinds.FUNCTIONS, prefix, recurse, remove_duplicate)

    def functions(self, recurse: bool = True) -> Iterator[Callable[..., Any]]:
        """The functions; see `named_parameters`."""
        return (value for _, value in self.named_functions(recurse=recurse))

    # the tree

    def named_children(self) -> Iterator[tuple[str, Module]]:
        """``(name, child)`` of the Modules directly below, each once."""
        return children(self)

    def children(self) -> Iterator[Module]:
        """The Modules directly below, each once."""
        return (module for _, module in children(self))

    def named_modules(
        self, memo: set[Module] | None = None, prefix: str = "", remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Module]]:
        """``(name, module)`` of this Module (named ``prefix``) and all below it, parents first.

        ``memo`` holds Modules to leave out; those met are added to it.
        """
        return preorder(self, memo, prefix, remove_duplicate)

    def modules(self, remove_duplicate: bool = True) -> Iterator[Module]:
        """This Module and all below it, parents first."""
        return (module for _, module in self.named_modules(remove_duplicate=remove_duplicate))

    def add_module(self, name: str, module: Module | None) -> None:
        """`register_module`, by its other name in torch."""
        self.register_module(name, module)

    def get_submodule(self, target: str) -> Module:
        """The Module of that dotted name; ``""`` is this one.

        Raises:
            AttributeError: there is none, or it is no Module.
        """
        module: Any = self
        for name in target.split(".") if target else ():
            if not hasattr(module, name):
                raise AttributeError(f"{module._get_name()} has no attribute `{name}`")
            module = getattr(module, name)
            if not isinstance(module, Module):
                raise AttributeError(f"`{name}` is not a Module")
        assert isinstance(module, Module)
        return module

    def set_submodule(self, target: str, module: Module, strict: bool = False) -> None:
        """Put ``module`` at that dotted name, in the place of the Module there, if any.

        Args:
            target: the name; all but its last part must be there.
            module: what to put.
            strict: only replace: the whole name must be there.

        Raises:
            ValueError: the name is empty, or ``module`` is no Module.
            AttributeError: a part of the name is not there, or is no Module.

        Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.Module.html#torch.nn.Module.set_submodule
        """
        if target == "":
            raise ValueError("Cannot set the submodule without a target name!")
        if not isinstance(module, Module):
            raise ValueError(f"`module` is not a Module, found {type(module)}")
        path, _, name = target.rpartition(".")
        parent = self.get_submodule(path)
        if strict or hasattr(parent, name):
            parent.get_submodule(name)
        setattr(parent, name, module)

    def get_parameter(self, target: str) -> Parameter:
        """The Parameter of that dotted name.  Raises AttributeError: see `get_submodule`."""
        value, name, _ = self._get_member(target)
        if not isinstance(value, Parameter):
            raise AttributeError(f"`{name}` is not a Parameter")
        return value

    def get_buffer(self, target: str) -> Variable:
        """The buffer of that dotted name.  Raises AttributeError: see `get_submodule`."""
        value, name, module = self._get_member(target)
        if name not in module._buffers:
            raise AttributeError(f"`{name}` is not a buffer")
        buffer: Variable = value
        return buffer

    def _get_member(self, target: str) -> tuple[Any, str, Module]:
        path, _, name = target.rpartition(".")
        module = self.get_submodule(path)
        if not hasattr(module, name):
            raise AttributeError(f"{module._get_name()} has no attribute `{name}`")
        return getattr(module, name), name, module

    def apply(self, fn: Callable[[Module], Any]) -> Self:
        """Call ``fn(module)`` for every Module below, children first, and for this one last."""
        for event, _, module in visits(self, once=True):
            if event == "leave":
                fn(module)
        return self

    # modes

    def train(self, mode: bool = True) -> Self:
        """Set ``training`` here and below.  A Module below that redefines ``train`` is asked itself.

        Raises:
            ValueError: ``mode`` is not a bool.
        """
        if not isinstance(mode, bool):
            raise ValueError("training mode is expected to be boolean")
        self.training = mode
        waiting: list[Module] = list(self.children())
        seen: set[Module] = {self}
        while waiting:
            module = waiting.pop()
            if module in seen:
                continue
            seen.add(module)
            if type(module).train is Module.train:
                module.training = mode
                waiting.extend(module.children())
            else:
                module.train(mode)
        return self

    def eval(self) -> Self:
        """``train(False)``."""
        return self.train(False)

    def requires_grad_(self, requires_grad: bool = True) -> Self:
        """Set ``requires_grad`` of all parameters, and of the Variables in chats that are not results of a call."""
        for variable in self._learnable():
            variable.requires_grad_(requires_grad)
        return self

    def empty_grad(self) -> None:
        """Drop the gradients of all parameters and of the Variables in chats."""
        for variable in self._learnable():
            variable.grad.clear()

    def zero_grad(self, set_to_none: bool = True) -> None:
        """`empty_grad`, by torch's name."""
        self.empty_grad()

    def _learnable(self) -> Iterator[Variable]:
        yield from self.parameters()
        for chat in self.chats():
            for message in chat:
                yield from (variable for variable in message["content"] if variable.is_leaf)

    # training

    def training_step(self, batch: Any, batch_idx: int) -> Any:
        """What the Trainer learns from: a ``Loss``, a ``(score, explanation)``, or a dict with such a ``"loss"``.

        Other numbers in the dict are metrics.  May be ``async def``.
        """
        raise NotImplementedError(_missing(self, "training_step(batch, batch_idx)", "Trainer.fit()"))

    def validation_step(self, batch: Any, batch_idx: int) -> Any:
        """Like `training_step`, on validation data."""
        raise NotImplementedError(_missing(self, "validation_step(batch, batch_idx)", "validation"))

    def test_step(self, batch: Any, batch_idx: int) -> Any:
        """Like `training_step`, on test data."""
        raise NotImplementedError(_missing(self, "test_step(batch, batch_idx)", "Trainer.test()"))

    def predict_step(self, batch: Any, batch_idx: int) -> Any:
        """What ``Trainer.predict()`` returns for a batch: what `forward` does, unless it is redefined."""
        return self(batch)

    def configure_optimizers(self) -> Any:
        """The optimizer (or a list of them) that the Trainer steps."""
        raise NotImplementedError(_missing(self, "configure_optimizers()", "Trainer.fit()"))

    def optimizers(self) -> Any:
        """The optimizer that `configure_optimizers` returned, for steps that optimize by hand.

        Raises:
            AttributeError: there is none yet.
        """
        if self._optimizers is None:
            raise AttributeError(
                f"{type(self).__name__} has no optimizers yet: Trainer.fit() sets what configure_optimizers() returns."
            )
        return self._optimizers

    def manual_backward(self, loss: Any, **kwargs: Any) -> None:
        """``loss.backward()``, for a `training_step` that optimizes by hand.

        Args:
            loss: a ``Loss``, a tuple ``(score, explanation)`` or a Variable.
            kwargs: as for ``Variable.backward``.

        Raises:
            StepError: ``automatic_optimization`` is True: the Trainer does it.
            TypeError: ``loss`` is something else.
        """
        self._explanation(loss, "manual_backward()").backward(**kwargs)

    async def amanual_backward(self, loss: Any, **kwargs: Any) -> None:
        """`manual_backward`, for steps that are ``async def``."""
        await self._explanation(loss, "amanual_backward()").abackward(**kwargs)

    def _explanation(self, loss: Any, method: str) -> Variable:
        if self.automatic_optimization:
            raise StepError(
                f"{method} is for steps that optimize by hand, and the Trainer calls backward() for this agent. Set "
                f"automatic_optimization = False on it, or only return the loss."
            )
        found = loss[1] if isinstance(loss, tuple) and len(loss) == 2 else loss
        if not isinstance(found, Variable):
            raise TypeError(
                f"{method} takes a Loss, a tuple (score, explanation) or a Variable, got {type(loss).__name__}."
            )
        return found

    # for people

    def export_prompts(self) -> dict[str, str]:
        """Name -> text of every parameter, for deployment.  What is not text is written as JSON."""
        return {
            name: value.data if isinstance(value.data, str) else json.dumps(value.data, ensure_ascii=False)
            for name, value in self.named_parameters()
        }

    def extra_repr(self) -> str:
        """What to show of this Module itself, on one line or several; to be redefined."""
        return ""

    def _get_name(self) -> str:
        return type(self).__name__

    def __repr__(self) -> str:
        return tree(self._get_name(), self.extra_repr(), ((name, repr(child)) for name, child in self._modules.items()))

    def __setstate__(self, state: dict[str, Any]) -> None:
        # What an older release pickled lacks the places of what came since.
        Module.__init__(self)
        self.__dict__.update(state)

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        """A tree of its own with the same values, without gradients.  Model clients are shared, not copied."""
        memo.update((id(model), model) for model in self.models(recurse=False))
        for chat in self.chats(recurse=False):
            for variable in (content for message in chat for content in message["content"]):
                if not variable.is_leaf:  # the result of a call: its value stays, its graph does not
                    memo[id(variable)] = variable.detach()
        twin = type(self).__new__(type(self))
        memo[id(self)] = twin
        twin.__dict__.update({name: copy.deepcopy(value, memo) for name, value in self.__dict__.items()})
        return twin


def _missing(module: Module, method: str, user: str) -> str:
    return f"{type(module).__name__} does not define {method}, which {user} needs."
