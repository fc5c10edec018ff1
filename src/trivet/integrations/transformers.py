"""Report from a transformers `Trainer`: pruning, curves and the best step for a fine-tuning as it is.

from trivet.integrations.transformers import ReportCallback
trainer = Trainer(..., callbacks=[ReportCallback("eval_accuracy")])
"""

from __future__ import annotations

from typing import Any, Literal

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

import trivet
from trivet import reports
from trivet.errors import UserError
from trivet.integrations.metrics import pick


class ReportCallback(TrainerCallback):
    """Reports a metric of every evaluation, and ends the training where the study prunes the trial.

    `metric`: as the Trainer names it, with its prefix (`eval_loss`). `step`: "epoch" counts epochs that ended, and takes
    `eval_strategy="epoch"`; "global_step" counts optimizer steps, and fits every strategy. With several processes the first
    reports, and all stop together.

    Raises `TrialPruned` (let it pass), and `UserError` where the metric is not computed, or an evaluation is not at an epoch's end.
    """

    def __init__(self, metric: str, step: Literal["epoch", "global_step"] = "epoch") -> None:
        if step not in ("epoch", "global_step"):
            raise UserError(f"step={step!r}: must be epoch or global_step")
        self.metric, self.step = metric, step
        self._training = False

    def on_train_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Evaluations count from here on: one that is asked for by hand is none of the trial's."""
        self._training = True

    def on_train_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """The opposite."""
        self._training = False

    def on_evaluate(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Report what was evaluated."""
        if not self._training or state.global_step == 0:  # eval_on_start looks at the untrained model
            return
        pruned: trivet.TrialPruned | None = None
        value, metrics = pick(kwargs.get("metrics") or {}, self.metric)  # in every process, so that a wrong name ends them all
        step = self._step(state)
        if state.is_world_process_zero:
            others = {name: number for name, number in metrics.items() if name not in (self.metric, "epoch")}
            try:
                trivet.report(value, step, others)
            except trivet.TrialPruned as error:
                pruned = error
        if args.world_size > 1:
            pruned = _together(pruned)
        if pruned is not None:
            raise pruned

    def _step(self, state: TrainerState) -> int:
        if self.step == "global_step":
            return state.global_step
        epoch = float(state.epoch or 0)
        if abs(epoch - round(epoch)) > 1e-6:
            raise UserError(f"step=epoch: an evaluation came after {epoch:g} epochs; use eval_strategy=epoch, or step=global_step")
        return round(epoch)


def _together(pruned: trivet.TrialPruned | None) -> trivet.TrialPruned | None:
    """What the first process heard, in every process."""
    from torch import distributed

    told = [None if pruned is None else str(pruned)]
    distributed.broadcast_object_list(told, src=0)
    return None if told[0] is None else reports.pruned(told[0])
