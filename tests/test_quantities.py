"""What a name or a reason says of a quantity: rates, sizes of batches, factors, divergence; on both sides."""

import pandas as pd
import pytest

from trivet.diagnosis.agreement import LEAST_TOP, MOST_ONE_OPTION, settled
from trivet.diagnosis.sweep import find, is_batch_size, is_lr, multiplicative
from trivet.diagnosis.training_flags import DIVERGED

RATES = ("lr", "learning_rate", "max_lr", "base_lr", "learningrate", "eta")
FACTORS = (*RATES, "weight_decay", "wd", "eps", "epsilon", "l1", "l2", "lambda", "alpha_l2", "learning_rate_decay")
BATCHES = ("batch_size", "batchsize", "bs")
OTHERS = ("dropout", "depth", "lrs", "decay", "size", "beta1", "batch", "beta", "")


@pytest.mark.parametrize("name", sorted({*RATES, *FACTORS, *BATCHES, *OTHERS}))
@pytest.mark.parametrize("written", ["{}", "model.{}", "a.b.{}"])
def test_names(name, written):
    for key in (written.format(name), written.format(name).upper()):
        assert (is_lr(key), multiplicative(key), is_batch_size(key)) == (name in RATES, name in FACTORS, name in BATCHES), key


def test_a_part_before_the_last_says_nothing():
    assert not is_lr("lr.warmup") and not is_batch_size("batch_size.train") and not multiplicative("weight_decay.end")


def test_the_least_nested_of_several_is_meant():
    assert find(["optimizer.lr", "lr", "a.b.lr"], is_lr) == "lr" and find(["dropout"], is_lr) is None


@pytest.mark.parametrize(
    "reason", ["Diverged at step 3", "loss is NaN", "inf", "became infinite", "Infinity", "not finite", "exploded", "OverflowError"]
)
def test_reasons_of_divergence(reason):
    assert DIVERGED.search(reason)


@pytest.mark.parametrize("reason", ["nanny", "information", "in", "CUDA out of memory", "finite", "timed out", "infer"])
def test_other_reasons(reason):
    assert not DIVERGED.search(reason)


class Best:
    """The best trials of a search, by one column."""

    def __init__(self, cells):
        self.ranked = pd.DataFrame({"x": pd.Series(cells, dtype=object)})
        self.complete = self.ranked


@pytest.mark.parametrize("n_has", [LEAST_TOP - 2, LEAST_TOP - 1, LEAST_TOP])
def test_what_too_few_of_the_best_have_is_left_open(n_has):
    found = settled(Best(["a"] * n_has + [None] * (LEAST_TOP - n_has)), "x")
    assert (found is not None) is (n_has >= max(LEAST_TOP - 1, round(MOST_ONE_OPTION * LEAST_TOP)))


@pytest.mark.parametrize(("values", "ends", "told"), [((1.0, 2.0), (1.0, 1.0, False), False), ((1.0, 2.0), (1.0, 2.0, False), True)])
@pytest.mark.parametrize("log", [False, True])
def test_a_range_without_width_settles_nothing(values, ends, told, log):
    cells = [values[i % 2] for i in range(LEAST_TOP)]
    assert (settled(Best(cells), "x", (*ends[:2], log)) is not None) is told


@pytest.mark.parametrize(("low", "told"), [(0.0, False), (-1.0, False), (0.5, True)])
def test_a_scale_of_factors_begins_above_zero(low, told):
    assert (settled(Best([0.5, 1.0] * LEAST_TOP), "x", (low, 2.0, True)) is not None) is told
