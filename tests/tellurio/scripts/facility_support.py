# mypy: ignore-errors
# A script as users of afnio write them, unmodified: it must run as it is.  test_facility_support.py runs it.
import json
import re
from collections import Counter

import afnio
import afnio.cognitive as cog
import afnio.cognitive.functional as F
import afnio.tellurio as te
from afnio.models.openai import AsyncOpenAI
from afnio.trainer import Trainer
from afnio.utils.data import DataLoader, WeightedRandomSampler
from afnio.utils.datasets import FacilitySupport

run = te.init("acme", "Facility Support", description="Sentiment of messages to a facility service")

# Data: the train split is unbalanced, so rare sentiments are drawn more often.

training_data = FacilitySupport(split="train", root="../data")
validation_data = FacilitySupport(split="val", root="../data")
test_data = FacilitySupport(split="test", root="../data")

labels = [training_data[i][1][1].data for i in range(len(training_data))]
counts = Counter(labels)
weights = [1.0 / counts[label] for label in labels]
sampler = WeightedRandomSampler(weights, num_samples=len(training_data), replacement=True, seed=42)

BATCH_SIZE = 33
train_dataloader = DataLoader(training_data, sampler=sampler, batch_size=BATCH_SIZE)
val_dataloader = DataLoader(validation_data, batch_size=BATCH_SIZE, seed=42)
test_dataloader = DataLoader(test_data, batch_size=BATCH_SIZE, seed=42)

# Models: one that answers, one that criticizes, one that rewrites.

afnio.set_backward_model_client(
    "openai/gpt-5",
    completion_args={"temperature": 1.0, "max_completion_tokens": 32000, "reasoning_effort": "low"},
)
fwd_model_client = AsyncOpenAI()
optim_model_client = AsyncOpenAI()

SENTIMENT_SCHEMA = {
    "type": "json_schema",
    "json_schema": {
        "strict": True,
        "name": "sentiment_response_schema",
        "schema": {
            "type": "object",
            "properties": {"sentiment": {"type": "string", "enum": ["positive", "neutral", "negative"]}},
            "required": ["sentiment"],
            "additionalProperties": False,
        },
    },
}


class FacilitySupportAnalyzer(cog.Module):
    def __init__(self):
        super().__init__()
        self.sentiment_task = cog.Parameter(
            data="Read the provided message and determine the sentiment.",
            role="system prompt for sentiment classification",
            requires_grad=True,
        )
        self.sentiment_user = afnio.Variable(
            data="Read the following message and return the sentiment as JSON.\n\nMessage:\n\n{message}\n\n",
            role="input template to sentiment classifier",
        )
        self.sentiment_classifier = cog.ChatCompletion()

    def forward(self, fwd_model, inputs, **completion_args):
        sentiment_messages = [
            {"role": "system", "content": [self.sentiment_task]},
            {"role": "user", "content": [self.sentiment_user]},
        ]
        return self.sentiment_classifier(
            fwd_model, sentiment_messages, inputs=inputs, response_format=SENTIMENT_SCHEMA, **completion_args
        )

    def training_step(self, batch, batch_idx):
        X, y = batch
        _, gold_sentiment, _ = y

        pred_sentiment = self(fwd_model_client, inputs={"message": X}, model="gpt-4.1-nano", temperature=0.0)
        pred_sentiment.data = [
            json.loads(re.sub(r"^```json\n|\n```$", "", item))["sentiment"].lower() for item in pred_sentiment.data
        ]
        loss = F.exact_match_evaluator(pred_sentiment, gold_sentiment)
        return {"loss": loss, "accuracy": loss[0].data / len(gold_sentiment.data)}

    def validation_step(self, batch, batch_idx):
        return self.training_step(batch, batch_idx)

    def test_step(self, batch, batch_idx):
        return self.validation_step(batch, batch_idx)

    def configure_optimizers(self):
        constraints = [
            afnio.Variable(
                data="The improved variable must never include or reference the characters `{` or `}`. "
                "Do not output them, mention them, or describe them in any way.",
                role="optimizer constraint",
            )
        ]
        return afnio.optim.TGD(
            self.parameters(),
            model_client=optim_model_client,
            constraints=constraints,
            momentum=3,
            model="gpt-5",
            temperature=1.0,
            max_completion_tokens=32000,
            reasoning_effort="low",
        )


agent = FacilitySupportAnalyzer()
trainer = Trainer(max_epochs=2)
llm_clients = [fwd_model_client, afnio.get_backward_model_client(), optim_model_client]

before = trainer.test(agent=agent, test_dataloader=test_dataloader, llm_clients=llm_clients)
trainer.fit(
    agent=agent,
    train_dataloader=train_dataloader,
    val_dataloader=val_dataloader,
    llm_clients=llm_clients,
)
after = trainer.test(agent=agent, test_dataloader=test_dataloader, llm_clients=llm_clients)

te.log("improvement", after["accuracy"] - before["accuracy"])
print(f"Accuracy on the test set: {before['accuracy']:.2f} -> {after['accuracy']:.2f}")
print(agent.sentiment_task.data)

run.finish()
