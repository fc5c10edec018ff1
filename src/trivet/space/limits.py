"""What is known of hyperparameters by name: which act by their ratio, and how far a range may sensibly reach, with reasons."""

import re

# Names (the last part of a key) of quantities whose effect goes with their ratio: 0.001 to 0.01 matters as much as 0.01 to 0.1.
MULTIPLICATIVE = re.compile(r"(.*_)?(lr|learning_rate|weight_decay|wd|l1|l2|eps|epsilon|clip_norm|max_norm|temperature)")
LEARNING_RATE = re.compile(r"((base|max|initial|init|peak)_?)?(lr|learning_rate)")
AVERAGE = re.compile(r"momentum|beta_?[12]?|rho|(.*_)?ema(_decay)?")  # acts by its distance from 1
BATCH_SIZE = re.compile(r"(train_)?(batch_?size|bs)")
DROPOUT = re.compile(r"(.*_)?(dropout|drop_?rate)|p_drop|drop")
STRUCTURE = re.compile(
    r"(.*_)?(width|hidden|hidden_size|hidden_dim|channels|units|d_model|depth|layers|blocks|kernel|kernel_size|heads|patch)"
)

# (pattern of a key's last part or last two parts, lowest, highest, reason). The first that matches holds. A range is never widened beyond
# these, and lint points at ranges that reach beyond; what a person wrote stays as it is.
HARD_LIMITS = (
    (LEARNING_RATE, 1e-7, 10.0, "below 1e-7 nothing moves in fp32, above 10 every optimizer here diverges"),
    (re.compile(r"weight_decay|wd|l2"), 1e-9, 1.0, "below 1e-9 it is lost in rounding, above 1 it wipes out the weights"),
    (AVERAGE, 0.0, 0.9999, "a running average needs a factor below 1"),
    (DROPOUT, 0.0, 0.9, "above 0.9 hardly a unit is left"),
    (re.compile(r"label_smoothing|smoothing"), 0.0, 0.5, "above 0.5 the true class no longer stands out"),
    (re.compile(r"eps|epsilon"), 1e-12, 1.0, "below 1e-12 it is lost in rounding"),
    (BATCH_SIZE, 8, 4096, "below 8 an epoch takes too long, above 4096 it has too few steps"),
    (re.compile(r"warm_?up(_fraction)?"), 0.0, 0.5, "more than half of the training is no warm-up"),
    (re.compile(r"schedule\.gamma|schedule\.factor|factor|decay"), 0.0, 1.0, "a decay factor lies between 0 and 1"),
    (re.compile(r"loss\.gamma"), 0.0, 10.0, "beyond that focal loss ignores nearly every sample"),
    (re.compile(r"(clip|clip_norm|max_norm|clip_value)"), 1e-3, 100.0, "outside, clipping does nothing or stops learning"),
)


def leaf(key: str) -> str:
    """The last part of a dotted key or group: optimizer.lr -> lr."""
    return re.split(r"[./]", key)[-1].lower()


def is_multiplicative(key: str) -> bool:
    """Whether the quantity of this name acts by its ratio, so that its range belongs on a log scale."""
    return bool(MULTIPLICATIVE.fullmatch(leaf(key)))


def hard_limits(key: str) -> tuple[float, float, str] | None:
    """(lowest, highest, reason) for a key whose name is known, else None."""
    parts = re.split(r"[./]", key.lower())
    for pattern, low, high, reason in HARD_LIMITS:
        if pattern.fullmatch(parts[-1]) or pattern.fullmatch(".".join(parts[-2:])):
            return low, high, reason
    return None
