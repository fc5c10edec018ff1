"""A line fitted by Lightning, with the callback that reports it."""

import torch
from lightning.pytorch import LightningModule, Trainer
from torch.utils.data import DataLoader, TensorDataset

from trivet.integrations.lightning import ReportCallback

X = torch.linspace(-1, 1, 16).reshape(8, 2)
LOADER = DataLoader(TensorDataset(X, X.sum(1, keepdim=True)), batch_size=4)


class Line(LightningModule):
    """A line fitted by gradient descent; logs val/loss and the number of validations so far."""

    def __init__(self):
        super().__init__()
        self.layer, self.n_validations = torch.nn.Linear(2, 1), 0

    def training_step(self, batch, index):
        return torch.nn.functional.mse_loss(self.layer(batch[0]), batch[1])

    def validation_step(self, batch, index):
        self.log("val/loss", torch.nn.functional.mse_loss(self.layer(batch[0]), batch[1]))

    def on_validation_epoch_end(self):
        self.n_validations += 1
        self.log("validations", float(self.n_validations))

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


def fit(*callback, **options):
    """callback: the arguments of the callback."""
    quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False, "enable_model_summary": False}
    options = {"max_epochs": 3, "callbacks": [ReportCallback(*callback)], **quiet, **options}
    Trainer(accelerator="cpu", devices=1, **options).fit(Line(), LOADER, LOADER)
