"""Lightning's callback in a real Trainer: what is reported when, how a pruned training ends, and two ranks that end together."""

import subprocess
import sys

import pytest
import torch
from lightning.pytorch import LightningModule, Trainer
from torch.utils.data import DataLoader, TensorDataset

import trivet
from trivet.errors import UserError
from trivet.integrations.lightning import ReportCallback

X = torch.linspace(-1, 1, 16).reshape(8, 2)
LOADER = DataLoader(TensorDataset(X, X.sum(1, keepdim=True)), batch_size=4)


class Line(LightningModule):
    """A line fitted by gradient descent; logs val/loss and the number of validations so far."""

    def __init__(self, name="val/loss"):
        super().__init__()
        self.name, self.layer, self.n_validations = name, torch.nn.Linear(2, 1), 0

    def training_step(self, batch, index):
        return torch.nn.functional.mse_loss(self.layer(batch[0]), batch[1])

    def validation_step(self, batch, index):
        self.log(self.name, torch.nn.functional.mse_loss(self.layer(batch[0]), batch[1]))

    def on_validation_epoch_end(self):
        self.n_validations += 1
        self.log("validations", float(self.n_validations))

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


def fit(callback, model=None, **options):
    quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False, "enable_model_summary": False}
    trainer = Trainer(accelerator="cpu", devices=1, callbacks=[callback], **{"max_epochs": 3, **quiet, **options})
    trainer.fit(model or Line(), LOADER, LOADER)
    return trainer


def test_an_epoch_is_reported_once_and_the_sanity_check_never(heard):
    fit(ReportCallback("val/loss"))
    assert heard.steps == [1, 2, 3]
    assert [metrics["validations"] for _, _, metrics in heard.rows] == [2, 3, 4]  # the first validation was the sanity check
    values = [value for _, value, _ in heard.rows]
    assert values == sorted(values, reverse=True)
    assert "val/loss" not in heard.rows[0][2]


def test_epochs_that_did_not_validate_are_not_reported(heard):
    fit(ReportCallback("val/loss"), max_epochs=4, check_val_every_n_epoch=2)
    assert heard.steps == [2, 4]


@pytest.mark.parametrize(("step", "expected"), [("epoch", [1, 2, 3]), ("global_step", [1, 2, 3, 4, 5, 6])])
def test_several_validations_in_an_epoch(heard, step, expected):
    fit(ReportCallback("val/loss", step=step), val_check_interval=0.5)
    assert heard.steps == expected


def test_a_pruned_training_ends(heard):
    heard.prune_at = 2
    with pytest.raises(trivet.TrialPruned):
        fit(ReportCallback("val/loss"))
    assert heard.steps == [1, 2]


@pytest.mark.parametrize(
    ("callback", "message"),
    [
        (lambda: ReportCallback("val/acc"), "metric=val/acc: is not logged; the trainer's metrics are val/loss, validations"),
        (lambda: ReportCallback("val/loss", step="batch"), "step='batch': must be epoch or global_step"),
    ],
)
def test_mistakes(heard, callback, message):
    with pytest.raises(UserError, match=message):
        fit(callback())


RANKS = """
import sys
import trivet
from trivet.reports import set_reporter
from lightning.pytorch import Trainer
from tests.integrations.test_lightning import LOADER, Line, ReportCallback

class Prunes:
    def report(self, value, step, metrics):
        if step == 2:
            raise trivet.TrialPruned("at 2")

quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False, "enable_model_summary": False}
trainer = Trainer(accelerator="cpu", devices=2, strategy="ddp", max_epochs=4, callbacks=[ReportCallback("val/loss")], **quiet)
set_reporter(Prunes() if trainer.is_global_zero else None)
try:
    trainer.fit(Line(), LOADER, LOADER)
except trivet.TrialPruned as error:
    print(f"rank {trainer.global_rank} pruned {error} in epoch {trainer.current_epoch}", flush=True)
"""


@pytest.mark.slow
def test_all_ranks_end_together(tmp_path, request):
    """Only rank 0 hears the verdict; a rank that trained on would wait for it until the limit."""
    script = tmp_path / "ranks.py"
    script.write_text(RANKS)
    root = request.config.rootpath
    environment = {"PATH": "/usr/bin:/bin", "PYTHONPATH": f"{root / 'src'}:{root}", "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, env=environment, cwd=tmp_path, timeout=120)
    told = sorted(line for line in done.stdout.splitlines() if line.startswith("rank"))
    assert told == ["rank 0 pruned at 2 in epoch 1", "rank 1 pruned at 2 in epoch 1"], done.stderr[-2000:]
