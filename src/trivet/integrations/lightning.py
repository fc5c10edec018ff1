"""Report from a Lightning `Trainer`: pruning, curves and the best epoch for a LightningModule as it is.

from trivet.integrations.lightning import ReportCallback
trainer = Trainer(callbacks=[ReportCallback("val/acc")])
"""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING, Any, Literal

import trivet
from trivet import reports
from trivet.errors import UserError
from trivet.integrations.metrics import pick

if TYPE_CHECKING or importlib.util.find_spec("lightning") is not None:  # the two names under which the library is installed
    from lightning.pytorch import Callback, LightningModule, Trainer
else:
    from pytorch_lightning import Callback, LightningModule, Trainer


class ReportCallback(Callback):
    """Reports a logged validation metric, and ends the training where the study prunes the trial.

    `metric`: a name of `self.log(...)`. `step`: "epoch" reports once an epoch that validated, counted from 1 (the last validation, where
    an epoch has several); "global_step" reports every validation at the number of optimizer steps. The check that Lightning makes before
    training is not reported. With several devices rank 0 reports, and all ranks stop together.

    Raises `TrialPruned` (let it pass), and `UserError` where the metric is not logged.
    """

    def __init__(self, metric: str, step: Literal["epoch", "global_step"] = "epoch") -> None:
        if step not in ("epoch", "global_step"):
            raise UserError(f"step={step!r}: must be epoch or global_step")
        self.metric, self.step = metric, step
        self._validated = False

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Remember that there is something to report."""
        if trainer.sanity_checking or trainer.state.fn != "fit":  # `trainer.validate` is none of the trial's
            return
        self._validated = True
        if self.step == "global_step":
            self._report(trainer, trainer.global_step)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Report the epoch, if it validated."""
        if self.step == "epoch" and self._validated:
            self._report(trainer, trainer.current_epoch + 1)

    def _report(self, trainer: Trainer, step: int) -> None:
        self._validated = False
        pruned: trivet.TrialPruned | None = None
        value, metrics = pick(trainer.callback_metrics, self.metric)  # on every rank, so that a wrong name ends them all
        if trainer.is_global_zero:
            try:
                trivet.report(value, step, {name: number for name, number in metrics.items() if name != self.metric})
            except trivet.TrialPruned as error:
                pruned = error
        if trainer.world_size > 1:
            pruned = _together(trainer, pruned)
        if pruned is not None:
            raise pruned


def _together(trainer: Any, pruned: trivet.TrialPruned | None) -> trivet.TrialPruned | None:
    """What rank 0 heard, on every rank: one that trained on alone would wait for the others for ever."""
    told = trainer.strategy.broadcast(None if pruned is None else str(pruned), src=0)
    return None if told is None else reports.pruned(told)
