"""The Keras callback in a real `fit`."""

import numpy as np
import pytest

import trivet
from trivet.errors import UserError

X = np.linspace(-1, 1, 16, dtype="float32").reshape(8, 2)
Y = X.sum(1, keepdims=True)


def fit(metric, **options):
    import keras  # here, as each process of the tests reads this file, and one alone needs the library

    from trivet.integrations.keras import ReportCallback

    model = keras.Sequential([keras.layers.Dense(1)])
    model.compile(optimizer="sgd", loss="mse")
    model.fit(X, Y, validation_data=(X, Y), epochs=3, verbose=0, callbacks=[ReportCallback(metric)], **options)


@pytest.mark.parametrize(("options", "expected"), [({}, [1, 2, 3]), ({"validation_freq": 2}, [2]), ({"initial_epoch": 1}, [2, 3])])
def test_epochs_are_reported(heard, options, expected):
    fit("val_loss", **options)
    assert heard.steps == expected
    assert set(heard.rows[0][2]) == {"loss"}


def test_a_pruned_training_ends(heard):
    heard.prune_at = 2
    with pytest.raises(trivet.TrialPruned):
        fit("val_loss")
    assert heard.steps == [1, 2]


def test_a_metric_that_never_comes(heard):
    with pytest.raises(UserError, match="metric=val_f1: is not logged; the trainer's metrics are loss, val_loss"):
        fit("val_f1")
    assert heard.rows == []
