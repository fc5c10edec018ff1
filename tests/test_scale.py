"""How a range is laid out and written back in round numbers, how far it may be widened, and what is known of a quantity by its name."""

import math

import pytest

from trivet.space import Float, Int, limits, to_text
from trivet.space.scale import Scale, widest

RATE = Float(1e-5, 1e-1, log=True)
STEPS = Float(0, 4, step=0.5)
BATCH = "a smaller batch makes every epoch longer, so only a person goes below; above 4096 it has too few steps"
SIZES = "width hidden n_hidden_size hidden_dim channels units d_model depth n_layers blocks kernel kernel_size heads patch"


@pytest.mark.parametrize(
    ("spec", "value", "unit"),
    [(RATE, 1e-3, 0.5), (RATE, 1.0, 1.25), (Float(-2, 2), 0, 0.5), (Float(-2, 2), -3, -0.25),
     (Int(1, 5), 2, 0.25), (Int(1, 16, log=True), 4, 0.5)],
)  # fmt: skip
def test_where_a_value_lies(spec, value, unit):
    assert Scale(spec).unit(value) == pytest.approx(unit)


@pytest.mark.parametrize(
    ("spec", "ends", "within", "text"),
    [
        # two digits of the width, outwards; of the number itself on a log scale
        (Float(0, 99), (0.303, 0.698), None, "interval(29.0, 70.0)"),
        (Float(0, 1), (0.303, 0.698), None, "interval(0.3, 0.7)"),
        (Float(-2, 2), (0.303, 0.698), None, "interval(-0.8, 0.8)"),
        (RATE, (0.31, 0.69), None, "tag(log, interval(0.00017, 0.0058))"),
        (RATE, (-0.25, 1.25), None, "tag(log, interval(1e-06, 1.0))"),
        # what moved inwards stays inside, what did not move stays exact
        (Float(0.011, 0.9, log=True), (0.001, 0.999), None, "tag(log, interval(0.011, 0.9))"),
        (Float(0.123, 0.987), (0, 1), None, "interval(0.123, 0.987)"),
        (Float(0, 0.5), (-0.25, 1), None, "interval(-0.13, 0.5)"),
        (Float(0, 0.5), (0, 1.25), None, "interval(0.0, 0.63)"),
        # never beyond what is allowed
        (Float(0, 0.5), (-0.25, 1.25), (0, 0.6), "interval(0.0, 0.6)"),
        (RATE, (-0.25, 1.25), (1e-7, 0.2), "tag(log, interval(1e-06, 0.2))"),
        (Int(1, 20), (-0.2, 1.25), (-2.5, 22.4), "int(interval(-2, 22))"),
        # whole numbers, powers of two where both ends are, steps
        (Int(1, 20), (0.31, 0.69), None, "int(interval(6, 15))"),
        (Int(0, 1000), (0.3333, 0.6666), None, "int(interval(300, 700))"),
        (Int(5, 7), (0.3, 0.8), None, "int(interval(5, 7))"),
        (Int(16, 256, log=True), (0.3, 0.7), None, "tag(log, int(interval(32, 128)))"),
        (Int(16, 256, log=True), (-0.25, 1.25), None, "tag(log, int(interval(8, 512)))"),
        (Int(16, 96, log=True), (0.3, 0.7), None, "tag(log, int(interval(27, 57)))"),
        (Int(1, 4, log=True), (-0.5, 1), None, "tag(log, int(interval(1, 4)))"),
        (Int(0, 100, step=5), (0.31, 0.69), None, "range(30, 71, 5)"),
        (Int(0, 20, step=4), (-0.2, 1.25), (-3, 22), "range(0, 21, 4)"),
        (STEPS, (0.3, 0.7), None, "range(1.0, 3.25, 0.5)"),
        (STEPS, (-0.3, 1.3), None, "range(-1.5, 5.75, 0.5)"),
        (STEPS, (-0.3, 1.3), (-1.2, 4.4), "range(-1.0, 4.25, 0.5)"),
        (Float(0.1, 0.7, step=0.1), (0.34, 0.66), None, "range(0.3, 0.55, 0.1)"),
    ],
)
def test_ends_are_written_as_people_write_numbers(spec, ends, within, text):
    assert to_text(Scale(spec).spec(*ends, *(within or (-1e9, 1e9)))) == text


@pytest.mark.parametrize(
    ("key", "low", "high", "whole", "expected"),
    [
        ("a.lr", 1e-4, 1e-1, False, (1e-7, 10.0, "below 1e-7 nothing moves in fp32, above 10 every optimizer here diverges")),
        ("a.lr", 1e-9, 100.0, False, (1e-9, 100.0, "below 1e-7 nothing moves in fp32, above 10 every optimizer here diverges")),
        # at most half of the distance from 1
        ("a.momentum", 0.8, 0.99, False, (0.0, 0.995, "a running average needs a factor below 1")),
        ("a.momentum", 0.8, 0.9999, False, (0.0, 0.9999, "a running average needs a factor below 1")),
        ("a.beta1", 0.0, 0.5, False, (0.0, 0.75, "a running average needs a factor below 1")),
        # what makes a training longer
        ("a.width", 16, 96, True, (16, 96, "sizes cost time and must fit together, so only a person widens them")),
        ("bs", 16, 256, True, (16, 4096, BATCH)),
        ("bs", 16, 8192, True, (16, 8192, BATCH)),
        # unknown names: fractions and signs stay
        ("a.x", 0.0, 1.0, False, (0.0, 1.0, "it seems to be a fraction")),
        ("a.x", 0.2, 0.8, False, (0.0002, 1.0, "it seems to be a fraction")),
        ("a.x", 0.0, 1.1, False, (0.0, math.inf, "its sign does not change")),
        ("a.x", 0.5, 2.0, False, (0.0005, math.inf, "its sign does not change")),
        ("a.x", -0.5, 1.0, False, (-math.inf, math.inf, "its sign does not change")),
        ("a.n", 0, 1, True, (0, math.inf, "its sign does not change")),
        ("a.n", 1, 20, True, (1, math.inf, "its sign does not change")),
        ("a.n", 5, 20, True, (1, math.inf, "its sign does not change")),
        ("a.n", -3, 20, True, (-math.inf, math.inf, "its sign does not change")),
        ("a.dropout", 0, 1, True, (0, 1, "above 0.9 hardly a unit is left")),
        ("clip", 1, 5, True, (1, 100, "outside, clipping does nothing or stops learning")),
    ],
)  # fmt: skip
def test_how_far_a_range_may_be_widened(key, low, high, whole, expected):
    assert widest(key, low, high, whole) == expected


@pytest.mark.parametrize(
    ("keys", "low", "high", "reason"),
    [
        ("lr learning_rate a.base_lr b/peaklr", 1e-7, 10.0, "below 1e-7 nothing moves in fp32, above 10 every optimizer here diverges"),
        ("weight_decay wd l2", 1e-9, 1.0, "below 1e-9 it is lost in rounding, above 1 it wipes out the weights"),
        ("momentum beta beta1 beta_2 rho ema a.weight_ema_decay", 0.0, 0.9999, "a running average needs a factor below 1"),
        ("dropout a.attention_dropout drop_rate p_drop drop", 0.0, 0.9, "above 0.9 hardly a unit is left"),
        ("label_smoothing smoothing", 0.0, 0.5, "above 0.5 the true class no longer stands out"),
        ("eps epsilon", 1e-12, 1.0, "below 1e-12 it is lost in rounding"),
        ("batch_size train_batchsize bs", 8, 4096, "below 8 an epoch takes too long, above 4096 it has too few steps"),
        ("warmup warm_up_fraction", 0.0, 0.5, "more than half of the training is no warm-up"),
        ("schedule.gamma a.schedule.factor factor decay", 0.0, 1.0, "a decay factor lies between 0 and 1"),
        ("loss.gamma", 0.0, 10.0, "beyond that focal loss ignores nearly every sample"),
        ("clip a/clip_norm max_norm clip_value", 1e-3, 100.0, "outside, clipping does nothing or stops learning"),
        ("gamma b.gamma lrs alr momentums batch", None, None, None),
    ],
)
def test_what_is_known_of_a_quantity_by_its_name(keys, low, high, reason):
    for key in keys.split():
        assert limits.hard_limits(key) == limits.hard_limits(key.upper()) == (None if low is None else (low, high, reason)), key


def test_which_quantities_act_by_their_ratio():
    names = "lr a.head_lr learning_rate weight_decay wd l1 l2 eps epsilon clip_norm max_norm temperature"
    assert all(map(limits.is_multiplicative, names.split())) and limits.leaf("A.b/C") == "c"
    assert not any(map(limits.is_multiplicative, ["momentum", "lr.x", "dropout", "clip", "width"]))


@pytest.mark.parametrize("name", SIZES.split())
def test_which_names_are_sizes(name):
    assert limits.STRUCTURE.fullmatch(name) and widest(name, 3, 5, whole=True)[:2] == (3, 5)
