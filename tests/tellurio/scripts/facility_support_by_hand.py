# mypy: ignore-errors
# A script as users of afnio write them, unmodified: it must run as it is.  test_facility_support.py runs it.
# It takes the prompt that facility_support.py learned from its checkpoint, and learns a second one by hand.
import glob

import afnio
import afnio.cognitive as cog
import afnio.tellurio.run as te_run
from afnio import Variable
from afnio.models.openai import OpenAI
from afnio.optim import TGD
from afnio.tellurio import configure_logging, log, suppress_variable_notifications
from afnio.tellurio.run_context import get_active_run
from afnio.utils.data import DataLoader
from afnio.utils.datasets import FacilitySupport

configure_logging("warning")

fwd_model_client = OpenAI(max_retries=2, timeout=60)
afnio.set_backward_model_client("openai/gpt-5", client_args={"max_retries": 3}, completion_args={"temperature": 1.0})


def exact(prediction: str, target: str) -> int:
    return int(prediction.strip().lower() == target)


def all_right(scores) -> bool:
    return all(scores)


class Analyzer(cog.Module):
    def __init__(self):
        super().__init__()
        self.sentiment_task = cog.Parameter(
            data="to be loaded", role="system prompt for sentiment classification", requires_grad=False
        )
        self.urgency_task = cog.Parameter(
            data="Read the provided message and determine the urgency.",
            role="system prompt for urgency classification",
            requires_grad=True,
        )
        self.urgency_classifier = cog.ChatCompletion()
        self.evaluator = cog.DeterministicEvaluator()

    def forward(self, X, y):  # noqa: N803
        messages = [
            {"role": "system", "content": [self.urgency_task]},
            {"role": "user", "content": [Variable("Message: {message}. Answer with one word.", role="user query")]},
        ]
        prediction = self.urgency_classifier(fwd_model_client, messages, inputs={"message": X}, model="gpt-4.1-nano")
        return self.evaluator(prediction, y, exact, "exact match", all_right, sum, "summation")


with suppress_variable_notifications():
    agent = Analyzer()

(path,) = glob.glob("checkpoints/checkpoint_epoch2_*.hf")
saved = afnio.load(path)["agent_state_dict"]
learned = {"sentiment_task": saved["sentiment_task"]}
print(agent.load_state_dict(learned, strict=False))
print("Loaded:", agent.sentiment_task.data)
start = agent.urgency_task.data

optimizer = TGD([{"params": agent.parameters()}], model_client=OpenAI(), momentum=2, model="gpt-5")
train_dataloader = DataLoader(FacilitySupport("train", root="../data"), batch_size=8, shuffle=True, seed=1)

run = te_run.init("acme", "Facility Support by Hand", name="by_hand")
assert get_active_run() is run
right = total = 0
for step, (X, (urgency, _, _)) in enumerate(train_dataloader):
    optimizer.clear_grad()
    score, explanation = agent(X, urgency)
    explanation.backward()
    optimizer.step()
    right, total = right + score.data, total + len(urgency.data)
    log("train_accuracy", right / total, step=step)
    if step == 3:
        break

print("Gradients:", [gradient.role for gradient in agent.urgency_task.grad])
print("Momentum:", len(optimizer.state_dict()["state"][1]["momentum_buffer"]))
print("The prompt is another one:", agent.urgency_task.data != start)
afnio.save({"agent": agent.state_dict(), "optimizer": optimizer.state_dict()}, "by_hand.hf")
run.log_artifact("by_hand.hf")
run.finish(status=te_run.RunStatus.COMPLETED)
