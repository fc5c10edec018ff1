"""A Lightning app that trains on two devices; with lr=0 it learns nothing, and trains until it is pruned."""

import hydra
import torch
from lightning.pytorch import LightningModule, Trainer
from torch.utils.data import DataLoader, TensorDataset

import trivet
from trivet.integrations.lightning import ReportCallback

X = torch.linspace(-1, 1, 16).reshape(8, 2)
LOADER = DataLoader(TensorDataset(X, X.sum(1, keepdim=True)), batch_size=4)
QUIET = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False, "enable_model_summary": False}


class Line(LightningModule):
    def __init__(self, lr):
        super().__init__()
        self.lr, self.layer = lr, torch.nn.Linear(2, 1)

    def training_step(self, batch, index):
        return torch.nn.functional.mse_loss(self.layer(batch[0]), batch[1])

    def validation_step(self, batch, index):
        self.log("val/loss", torch.nn.functional.mse_loss(self.layer(batch[0]), batch[1]))

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=self.lr)


@hydra.main(version_base="1.3", config_path=None)
def main(config):
    torch.manual_seed(0)
    options = {"max_epochs": 3 if config.lr else 1000, "callbacks": [ReportCallback("val/loss")], **QUIET}
    trainer = Trainer(accelerator="cpu", devices=2, strategy="ddp", **options)
    try:
        trainer.fit(Line(config.lr), LOADER, LOADER)
    finally:
        (trivet.resume_dir() / f"rank-{trainer.global_rank}").write_text(f"{config} {trainer.current_epoch}")
    return float(trainer.callback_metrics["val/loss"])


if __name__ == "__main__":
    main()
