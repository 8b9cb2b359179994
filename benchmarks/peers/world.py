"""The world ``tickets`` for the wordings of textgrad, gepa and dspy: the same laws, read from their requests.

Each request is put into the words the world knows and answered by it; the answer is put into the form the library
expects.  In a peer's favour: where textgrad shows its optimizer only the ends of the prompt, the whole one is taken
from the conversation it shows as well.
"""

from __future__ import annotations

import json
import re
from dataclasses import replace

from afnio.models.lm_server.ask import Ask, ToolCall, Turn
from afnio.models.lm_server.worlds.tickets import Tickets

__all__ = ["PeersWorld"]

_TEXTGRAD_SAMPLE = re.compile(
    r"<LM_SYSTEM_PROMPT> (.*?) </LM_SYSTEM_PROMPT>\s*<LM_INPUT> (.*?) </LM_INPUT>\s*<LM_OUTPUT> (.*?) </LM_OUTPUT>",
    re.DOTALL,
)
_TEXTGRAD_GOAL = re.compile(r"<OBJECTIVE_FUNCTION>(.*)</OBJECTIVE_FUNCTION>", re.DOTALL)
_TEXTGRAD_FUNCTION = re.compile(
    r"<INPUTS_TO_FUNCTION> (.*?) </INPUTS_TO_FUNCTION>\s*<OUTPUT_OF_FUNCTION> (.*?) </OUTPUT_OF_FUNCTION>", re.DOTALL
)
_TEXTGRAD_VARIABLE = re.compile(r"<VARIABLE> (.*?) </VARIABLE>", re.DOTALL)
_TEXTGRAD_FEEDBACK = re.compile(r"<FEEDBACK>(.*?)</FEEDBACK>", re.DOTALL)
_GEPA_PROMPT = re.compile(r"perform a task for me:\s*```\n(.*?)\n```", re.DOTALL)
_GEPA_SAMPLE = re.compile(
    r"^## Inputs\n(.*?)^## Generated Outputs\n(.*?)^## Feedback\n(.*?)(?=^# Example|^```|\Z)", re.DOTALL | re.MULTILINE
)
_DSPY_GOAL = re.compile(r"your objective is:\s*(.*)\Z", re.DOTALL)
_DSPY_INPUT = re.compile(r"\[\[ ## ticket ## \]\]\n(.*?)(?=\n\nRespond with|\Z)", re.DOTALL)
_DSPY_INSTRUCTION = re.compile(
    r"\[\[ ## current_instruction ## \]\]\n(.*?)\n\n\[\[ ## examples_with_feedback ## \]\]\n", re.DOTALL
)
_RIGHT = "The prediction matches the target."


class PeersWorld:
    """Answers what peers ask."""

    name = "peers"

    def __init__(self) -> None:
        self._tickets = Tickets(bad_share=0.0)

    def calls(self, ask: Ask, role: str) -> list[ToolCall]:
        """Peers give no tools."""
        return []

    def reply(self, ask: Ask, role: str) -> str:
        """The text that answers ``ask``."""
        text = ask.user
        if "<IMPROVED_VARIABLE>" in ask.system:
            return self._textgrad_optimizer(text)
        if "<OBJECTIVE_FUNCTION>" in text:
            return self._textgrad_critic(text)
        if text.startswith("I provided an assistant with the following instructions"):
            return f"```\n{self._gepa_reflection(text)}\n```"
        if "[[ ## examples_with_feedback ## ]]" in text:
            return self._dspy_reflection(text)
        if "[[ ## ticket ## ]]" in text:
            return self._dspy_answer(ask)
        return self._tickets.reply(ask, "forward")

    def destroy(self, ask: Ask) -> str:
        """Not used: peers are run without faults."""
        raise NotImplementedError("Peers are run without faults.")

    def _textgrad_critic(self, text: str) -> str:
        judged = _TEXTGRAD_FUNCTION.search(text)
        if judged:  # feedback to an answer, from what the evaluation said
            return judged[2]
        sample, goal = _TEXTGRAD_SAMPLE.search(text), _TEXTGRAD_GOAL.search(text)
        assert sample
        assert goal
        if _RIGHT in goal[1]:
            return "No change is needed here."
        prompt, ticket, output = sample.groups()
        return self._criticism(prompt, [(ticket, output, goal[1])])

    def _textgrad_optimizer(self, text: str) -> str:
        shown, whole = _TEXTGRAD_VARIABLE.search(text), _TEXTGRAD_SAMPLE.search(text)
        assert shown
        value = self._rewritten(whole[1] if whole else shown[1], _TEXTGRAD_FEEDBACK.findall(text))
        return f"<IMPROVED_VARIABLE>{value}</IMPROVED_VARIABLE>"

    def _gepa_reflection(self, text: str) -> str:
        prompt = _GEPA_PROMPT.search(text)
        assert prompt
        samples = [(ticket, output, feedback) for ticket, output, feedback in _GEPA_SAMPLE.findall(text)]
        failed = [sample for sample in samples if "incorrect" in sample[2]]
        return self._rewritten(prompt[1], [self._criticism(prompt[1], failed)] if failed else [])

    def _dspy_answer(self, ask: Ask) -> str:
        goal, ticket = _DSPY_GOAL.search(ask.system), _DSPY_INPUT.search(ask.user)
        assert goal
        assert ticket
        turns = [Turn("system", goal[1].strip()), Turn("user", ticket[1].strip())]
        answer = self._tickets.reply(replace(ask, turns=turns, schema=None, json_mode=False), "forward")
        return f"[[ ## answer ## ]]\n{answer}\n\n[[ ## completed ## ]]"

    def _dspy_reflection(self, text: str) -> str:
        shown = _DSPY_INSTRUCTION.search(text)
        assert shown
        examples, _ = json.JSONDecoder().raw_decode(text, shown.end())
        failed = [
            (each["Inputs"]["ticket"], each["Generated Outputs"]["answer"], each["Feedback"])
            for each in examples
            if "incorrect" in each["Feedback"]
        ]
        new = self._rewritten(shown[1], [self._criticism(shown[1], failed)] if failed else [])
        return json.dumps({"new_instruction": new})

    # in the words of the world

    def _criticism(self, prompt: str, samples: list[tuple[str, str, str]]) -> str:
        shown = "".join(
            f"<sample><input>{ticket.strip()}</input><output>{output.strip()}</output>"
            f"<feedback>{feedback.strip()}</feedback></sample>"
            for ticket, output, feedback in samples
        )
        task = f'<call><variable id="v1" role="system prompt">{prompt}</variable></call>{shown}'
        reply = json.loads(self._tickets.reply(_asked(task), "backward"))
        return str(reply["feedback"][0]["text"])

    def _rewritten(self, prompt: str, feedback: list[str]) -> str:
        told = "".join(f"<feedback>{text}</feedback>" for text in feedback)
        task = f'<variable role="system prompt">{prompt}</variable>{told}'
        return str(json.loads(self._tickets.reply(_asked(task), "optimizer"))["value"])


def _asked(task: str) -> Ask:
    return Ask(model="tickets", turns=[Turn("user", task)], schema_name="any", schema={})
