"""The one table of thresholds: at what value each red flag is raised, and who says so.

"our choice" marks a judgement that no source gives a number for; tests/test_diagnosis.py measures how often some of them cry wolf.
"""

from __future__ import annotations

from dataclasses import dataclass

PLAYBOOK = "Deep Learning Tuning Playbook (Godbole et al. 2023)"


@dataclass(frozen=True)
class Threshold:
    """`value` in `unit`; `meaning` completes the sentence "raised when ..."; `source` says where the number comes from."""

    key: str
    value: float
    unit: str
    meaning: str
    source: str


_ROWS = (
    Threshold(
        "edge_near",
        0.05,
        "of the range",
        "the best value lies this close to an end of its range",
        f"{PLAYBOOK}, bad search space boundaries; the number is our choice",
    ),
    Threshold(
        "edge_crowd",
        0.5,
        "of the others of the best five",
        "so many of the other four best lie in the fifth of the range next to that end",
        f'{PLAYBOOK}, "the best points cluster towards the edge"; measured: about 2 false alarms per 100 ranges without effect',
    ),
    Threshold(
        "edge_crowd_choice",
        0.75,
        "of the others of the best five",
        "for a choice among numbers, where chance puts more trials on each end",
        "measured: about 1 false alarm per 100 choices without effect",
    ),
    Threshold("alike", 0.001, "of the value", "nine tenths of the trials lie within this share of their median", "our choice"),
    Threshold(
        "pruned_most",
        0.9,
        "of trials",
        "more were pruned",
        "our choice; successive halving with a factor of 3 stops two in three at its first rung (Li et al. 2020, ASHA)",
    ),
    Threshold("pruned_least", 20, "trials", "a pruner was set and none of at least so many was pruned", "our choice"),
    Threshold(
        "failed", 0.1, "of trials", "more failed", f'{PLAYBOOK}, "a very large fraction of points are infeasible"; the number is our choice'
    ),
    Threshold("one_epoch", 0.2, "of trials", "more ended after one epoch although more were planned", "our choice"),
    Threshold("loss_rise", 0.1, "of the loss", "an epoch counts as noisy when the training loss rose by more", "our choice"),
    Threshold(
        "loss_noisy",
        0.2,
        "of epochs",
        "more epochs of a trial are noisy",
        f"{PLAYBOOK}, high step-to-step variance late in training; the number is our choice",
    ),
    Threshold("loss_spike", 2.0, "times", "the training loss of an epoch exceeds the one before by this factor", "our choice"),
    Threshold(
        "best_late",
        0.25,
        "of training",
        "the best epoch of at least four of the best five lies in the last part",
        f'{PLAYBOOK}, "consistently in the last 25% of training"',
    ),
    Threshold(
        "late_gain",
        0.02,
        "of the gain",
        "and at least this share of what training gained came in that part",
        "our choice: with a decaying learning rate the best epoch is always late",
    ),
    Threshold(
        "best_early",
        0.1,
        "of training",
        "the best epoch of at least four of the best five lies in the first part",
        f'{PLAYBOOK}, "during the first 10% of training"',
    ),
    Threshold("gap_accuracy", 0.05, "of all samples", "the training accuracy exceeds the validation accuracy by more", "our choice"),
    Threshold("gap_error", 1.25, "times", "the validation error exceeds the training error by this factor", "our choice"),
    Threshold(
        "val_loss_rise",
        0.1,
        "of the loss",
        "the validation loss ends so far above its lowest value",
        f"{PLAYBOOK}, problematic overfitting is a validation error that rises; the number is our choice",
    ),
    Threshold("poor_accuracy", 0.8, "of all samples", "even the training accuracy of the best trials stays below", "our choice"),
    Threshold("poor_loss", 0.7, "of the first loss", "the training loss of the best trials stays above", "our choice"),
    Threshold("slow", 0.6, "of training", "the best trials need more to make nine tenths of their gain", "our choice"),
    Threshold("duplicates", 0.05, "of trials", "more repeat a configuration that had been run", "our choice"),
    Threshold(
        "explained",
        0.5,
        "of the variance",
        "a model of boosted trees explains at least so much, so that its silence on a parameter means something",
        "our choice",
    ),
    Threshold("idle_from", 0.5, "of training", "values from so far on tell of a parameter that it changed nothing", "our choice"),
    Threshold(
        "comparable",
        0.8,
        "of trials",
        "importance is measured on values after the last epoch that so many reached",
        "our choice: what fewer reached was picked by the pruner",
    ),
    Threshold(
        "linear_ratio",
        10,
        "times",
        "a multiplicative range that spans more is sampled linearly",
        "Bengio 2012, Practical recommendations for gradient-based training: sample in the log domain",
    ),
    Threshold(
        "per_parameter",
        10,
        "trials per parameter",
        "there are fewer",
        "Loeppky, Sacks and Welch 2009, Choosing the sample size of a computer experiment: about ten runs per input",
    ),
    Threshold("improving_share", 0.2, "of trials", "the best value still improved in the last part", "our choice"),
    Threshold(
        "improving_gain",
        0.1,
        "of the lead",
        "and that improved the lead of the best over the median trial by at least this share",
        "our choice",
    ),
    Threshold(
        "improving_noise",
        1.0,
        "times the standard deviation between seeds",
        "and by more than this, where phase 3 tells it",
        "our choice: smaller gains are luck",
    ),
    Threshold("flat_share", 0.5, "of trials", "the best value did not improve in the last part", "our choice"),
    Threshold("enough", 20, "trials", "judged only from so many trials on", "our choice"),
    Threshold(
        "enough_complete", 5, "completed trials", "and, to say that more trials are of no use, from so many completed ones", "our choice"
    ),
    Threshold(
        "noise_ratio",
        1.0,
        "times",
        "the spread between seeds exceeds the spread between the finalists' means",
        "Bouthillier et al. 2021, Accounting for variance in machine learning benchmarks; the number is our choice",
    ),
    Threshold("test_sigma", 3.0, "standard errors", "test and validation means differ by more", "the usual rule of three standard errors"),
)
THRESHOLDS = {row.key: row for row in _ROWS}


def limit(key: str) -> float:
    return THRESHOLDS[key].value
