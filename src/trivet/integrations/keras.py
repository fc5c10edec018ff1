"""Report from Keras: pruning, curves and the best epoch for `model.fit` as it is.

from trivet.integrations.keras import ReportCallback
model.fit(..., callbacks=[ReportCallback("val_accuracy")])
"""

from __future__ import annotations

from typing import Any

from keras.callbacks import Callback

import trivet
from trivet.integrations.metrics import pick


class ReportCallback(Callback):
    """Reports a metric at each epoch's end (counted from 1), and ends the training where the study prunes the trial.

    `metric`: a name of the epoch's logs, such as `val_loss`. Epochs without it (`validation_freq`) report nothing.

    Raises `TrialPruned` (let it pass), and `UserError` at the end of a training that never had the metric.
    """

    def __init__(self, metric: str) -> None:
        super().__init__()
        self.metric = metric
        self._seen: dict[str, Any] = {}
        self._reported = False

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """A callback may serve several trainings."""
        self._seen, self._reported = {}, False

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Report the epoch, if it has the metric."""
        self._seen = dict(logs or {})
        if self.metric in self._seen:
            self._reported = True
            value, metrics = pick(self._seen, self.metric)
            trivet.report(value, epoch + 1, {name: number for name, number in metrics.items() if name != self.metric})

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        """A name that never came is a typo."""
        if self._seen and not self._reported:
            pick(self._seen, self.metric)
