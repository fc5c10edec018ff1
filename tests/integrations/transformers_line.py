"""A line fitted by transformers, with the callback that reports it."""

import torch
from transformers import Trainer, TrainingArguments

from trivet.integrations.transformers import ReportCallback

X = torch.linspace(-1, 1, 16).reshape(8, 2)
DATA = [{"x": x, "labels": x.sum(0, keepdim=True)} for x in X]


class Line(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(2, 1)

    def forward(self, x, labels):
        out = self.layer(x)
        return {"loss": torch.nn.functional.mse_loss(out, labels), "logits": out}


def train(folder, *callback, **options):
    """The trainer, when it is done. callback: the arguments of the callback."""
    quiet = {"report_to": "none", "disable_tqdm": True, "save_strategy": "no", "use_cpu": True, "logging_strategy": "no"}
    arguments = TrainingArguments(str(folder), **{"num_train_epochs": 3, "per_device_train_batch_size": 4, **quiet, **options})
    trainer = Trainer(Line(), arguments, train_dataset=DATA, eval_dataset=DATA, callbacks=[ReportCallback(*callback)])
    trainer.train()
    return trainer
