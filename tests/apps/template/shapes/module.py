"""What is trained."""

import torch
from lightning.pytorch import LightningModule
from torch import nn


def network(width, dropout=0.0):
    return nn.Sequential(nn.Linear(6, width), nn.ReLU(), nn.Dropout(dropout), nn.Linear(width, 2))


class Classifier(LightningModule):
    def __init__(self, width, dropout, optimizer):
        super().__init__()
        self.net, self.optimizer = network(width, dropout), optimizer

    def on_train_epoch_start(self):
        torch.manual_seed(1000 * self.trainer.datamodule.seed + self.current_epoch)

    def training_step(self, batch, index):
        loss = nn.functional.cross_entropy(self.net(batch[0]), batch[1])
        self.log("train/loss", loss, on_step=False, on_epoch=True)
        return loss

    def validation_step(self, batch, index):
        out = self.net(batch[0])
        self.log("val/loss", nn.functional.cross_entropy(out, batch[1]))
        self.log("val/acc", (out.argmax(1) == batch[1]).float().mean())

    def configure_optimizers(self):
        return self.optimizer(self.parameters())
