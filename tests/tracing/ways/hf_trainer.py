"""transformers' Trainer on a model of one's own, with the harness's callback. `ways/` is no test: it is run by one."""

import sys

import torch
from torch import nn
from transformers import Trainer, TrainingArguments

import harness

torch.manual_seed(0)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.body, self.head = nn.Linear(4, 6), nn.Linear(6, 3)

    def forward(self, x, labels=None):
        logits = self.head(torch.tanh(self.body(x)))
        return {"loss": nn.functional.cross_entropy(logits, labels), "logits": logits}


data = [{"x": torch.randn(4), "labels": torch.tensor(n % 3)} for n in range(16)]
callback = harness.trainer_callback("watched")
arguments = TrainingArguments(
    "saved", max_steps=3, per_device_train_batch_size=2, gradient_accumulation_steps=2, report_to=[],
    use_cpu=True, save_strategy="no", disable_tqdm=True,
)  # fmt: skip
trainer = Trainer(model=Net(), args=arguments, train_dataset=data, callbacks=[callback])
trainer.train()
results = callback.watching.results()
assert results.ok, str(results)
print(sum(result.status.value == "passed" for result in results), "passed", file=sys.stdout)
