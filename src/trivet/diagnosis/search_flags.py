"""Red flags of the search as a whole: pruning, progress, the default, and whether fresh seeds and test data agree with it."""

from __future__ import annotations

import math

import numpy as np

from trivet.diagnosis.flag import Case, Flag
from trivet.diagnosis.progress import progress
from trivet.diagnosis.seeds import Seeds
from trivet.diagnosis.thresholds import limit
from trivet.diagnosis.wording import Scale, count, share


def pruned_most(case: Case) -> Flag | None:
    sweep = case.sweep
    pruned = int(sweep.stopped.sum())
    if len(sweep.trials) < limit("enough") or pruned <= limit("pruned_most") * len(sweep.trials):
        return None
    return Flag(
        "pruned_most",
        "warning",
        case.where,
        "Over nine in ten trials were pruned",
        f"{pruned:,} of {count(len(sweep.trials), 'trial')} ({share(pruned, len(sweep.trials))}) were stopped early and only "
        f"{len(sweep.trials) - pruned - sweep.count('FAIL'):,} ran to the end.",
        "The pruner is too strict or judges too early, so late bloomers are lost, and so few finished trials teach little.",
        "Use a milder pruner (a higher percentile, a longer warm-up, more start-up trials).",
        ("pruned_most",),
        asks="milder",
    )


def pruned_none(case: Case) -> Flag | None:
    sweep = case.sweep
    pruner = sweep.study.get("pruner")
    name = pruner.get("name") if isinstance(pruner, dict) else pruner
    if not name or str(name).lower() in ("none", "null", "nop") or sweep.stopped.any() or len(sweep.complete) < limit("pruned_least"):
        return None
    reports = len(sweep.curves) > len(sweep.trials)
    return Flag(
        "pruned_none",
        "hint",
        case.where,
        "Not a single trial was pruned",
        f"The pruner {name} was set, yet all of {count(len(sweep.complete), 'trial')} with a value ran to the end.",
        "The pruner is too mild, or its warm-up is as long as the training."
        if reports
        else "The training does not report its value after each epoch.",
        "Use a stricter pruner or a shorter warm-up." if reports else "Call trivet.report(value, step) once per epoch.",
        ("pruned_least",),
    )


def default_best(case: Case) -> Flag | None:
    sweep = case.sweep
    if sweep.default_number is None or len(sweep.complete) < 10 or int(sweep.ranked["number"].iloc[0]) != sweep.default_number:
        return None
    second = sweep.score[sweep.ranked.index[1]]
    lead = sweep.score[sweep.ranked.index[0]] - second
    return Flag(
        "default_beats",
        "warning",
        case.where,
        "The default beats everything that the search tried",
        f"The default configuration reached {case.scale.show(sweep.value(sweep.score.iloc[0]))}; the best of "
        f"{count(len(sweep.trials) - 1, 'other trial')} is "
        f"{case.scale.delta(lead)} behind.",
        "The ranges miss the good region, or there are too few trials for it to be found.",
        "Keep the default. A new search would be centred on it, with more trials.",
        asks="keep",
    )


def improving(case: Case) -> Flag | None:
    state = progress(case.sweep)
    if state is None or state.n < limit("enough") or state.recent_gain <= 0 or state.lead <= 0:
        return None
    if state.recent_gain < limit("improving_gain") * state.lead:
        return None
    if case.noise is not None and state.recent_gain <= limit("improving_noise") * case.noise:
        return None
    return Flag(
        "improving",
        "hint",
        case.where,
        "The search was still improving",
        f"The last {count(state.recent, 'trial')} improved the best value by {case.scale.delta(state.recent_gain)}, to "
        f"{case.scale.show(state.best)}.",
        "The search was stopped before its returns diminished.",
        "Run more trials: the same command with more of them continues a search where it ended.",
        ("improving_share", "improving_gain", "improving_noise"),
        asks="more",
    )


def flat(case: Case) -> Flag | None:
    state = progress(case.sweep)
    if state is None or state.n < 1.5 * limit("enough") or state.same_for <= limit("flat_share") * state.n:
        return None
    return Flag(
        "flat",
        "hint",
        case.where,
        "The search was flat for a long time",
        f"The best value came with trial {state.best_trial}; {count(state.same_for, 'trial')} after it "
        f"({share(state.same_for, state.n)}) did not improve it. "
        f"The search could have stopped at about trial {state.could_stop}.",
        "The space is exhausted at this resolution, or the sampler is stuck.",
        "End the next search like it by hydra.sweeper.stop.plateau, and give what that saves to seeds or to other parameters.",
        ("flat_share",),
    )


def default_beats(seeds: Seeds, scale: Scale) -> Flag | None:
    if 0 not in seeds.values or not seeds.tuned:
        return None
    best = seeds.tuned[0]
    gain = (seeds.mean(best) - seeds.mean(0)) * (1 if seeds.maximize else -1)
    if gain > 0:
        return None
    return Flag(
        "default_beats",
        "warning",
        "seeds",
        "The default beats the tuned configuration",
        f"Over fresh seeds the default reaches {scale.show(seeds.mean(0))} on average, the best finalist ({best}) "
        f"{scale.show(seeds.mean(best))}.",
        "What the search found was luck of single runs, or its ranges miss the good region.",
        "Keep the default. A new search would be centred on it, with more trials or several seeds per trial.",
        asks="keep",
    )


def winner_differs(seeds: Seeds, scale: Scale) -> Flag | None:
    shown = {finalist: value for finalist, value in seeds.shown.items() if finalist in seeds.tuned}
    if len(shown) < 2 or seeds.winner == 0:
        return None
    first = (max if seeds.maximize else min)(sorted(shown), key=shown.__getitem__)
    if first == seeds.winner:
        return None
    return Flag(
        "winner_differs",
        "hint",
        "seeds",
        "The winner of the search is not the winner over seeds",
        f"Finalist {first} had shown {scale.show(shown[first])} in the search and reaches {scale.show(seeds.mean(first))} over "
        "fresh seeds; finalist "
        f"{seeds.winner} reaches {scale.show(seeds.mean(seeds.winner))}.",
        "The best single value of many is partly luck.",
        "Nothing to mend: the winner by its mean over seeds is the one to use.",
    )


def seeds_alike(seeds: Seeds, scale: Scale) -> Flag | None:
    if not seeds.without_effect:
        return None
    n = max(len(runs) for runs in seeds.values.values())
    return Flag(
        "seeds_alike",
        "warning",
        "seeds",
        "The seeds change nothing",
        f"Each configuration gave the same value with each of {n} seeds, to the last digit.",
        "The key that is set to the seed is not what the training is seeded by, there is none, or nothing in the training is random.",
        "Set seed_key in trivet.yaml to what seeds the training; if nothing there is random, one run of each says all.",
    )


def seed_noise(seeds: Seeds, scale: Scale) -> Flag | None:
    means = [seeds.mean(finalist) for finalist in seeds.tuned]
    if seeds.noise is None or len(means) < 2:
        return None
    spread = max(means) - min(means)
    if seeds.noise <= limit("noise_ratio") * spread:
        return None
    return Flag(
        "seed_noise",
        "warning",
        "seeds",
        "Seed noise is larger than the differences between the finalists",
        f"Seeds of one configuration differ by {scale.delta(seeds.noise)} (standard deviation); the means of {len(means)} "
        "finalists differ by only "
        f"{scale.delta(spread)}.",
        "The finalists are equally good as far as these runs can tell.",
        "Choose the cheapest or simplest of them, or run more seeds before you call one better.",
        ("noise_ratio",),
    )


def val_test(seeds: Seeds, scale: Scale, test: dict) -> Flag | None:
    """test: {winner: {seed: value}, default: {seed: value}, n_test}. Raised where the winner lost more from validation to test data, or the
    default is better there, than noise explains.

    How far a share of samples errs on a test set is known, so an accuracy is judged by itself. Other metrics also differ because the two
    sets do, by an unknown amount: there the winner is judged by what it lost more than the default.
    """
    winner, default = list(test.get("winner", {}).values()), list(test.get("default", {}).values())
    if not winner or seeds.noise is None:
        return None
    sign = 1 if seeds.maximize else -1
    mean, val = float(np.mean(winner)), seeds.mean(seeds.winner)
    default = default if seeds.winner != 0 and 0 in seeds.values else []
    base = float(np.mean(default)) if default else math.nan
    n = test.get("n_test") if scale.share else None
    words = []
    lost, error = sign * (val - mean), _error(seeds.noise, [len(seeds.values[seeds.winner]), len(winner)], [mean, mean], n)
    if scale.share and lost > limit("test_sigma") * error:
        words.append(
            f"the winner reaches {scale.show(val)} on validation data and {scale.show(mean)} on test data, "
            f"{scale.delta(lost)} worse, where a standard error of {scale.delta(error)} is expected"
        )
    elif default and not scale.share:
        sizes = [len(seeds.values[seeds.winner]), len(winner), len(seeds.values[0]), len(default)]
        lost, error = lost - sign * (seeds.mean(0) - base), _error(seeds.noise, sizes, [], None)
        if lost > limit("test_sigma") * error:
            words.append(
                f"the winner reaches {scale.show(val)} on validation data and {scale.show(mean)} on test data, the default "
                f"{scale.show(seeds.mean(0))} and {scale.show(base)}: the winner lost {scale.delta(lost)} more, where a standard error of "
                f"{scale.delta(error)} is expected"
            )
    if default and sign * (base - mean) > limit("test_sigma") * _error(seeds.noise, [len(winner), len(default)], [mean, base], n):
        words.append(f"on test data the default is better ({scale.show(base)}) than the winner ({scale.show(mean)}), by more than noise")
    if not words:
        return None
    text = " and ".join(words)
    return Flag(
        "val_test",
        "serious",
        "test",
        "Validation and test disagree",
        f"{text[:1].upper()}{text[1:]}.",
        "The search has fitted the validation data, or the two sets are not alike.",
        "Use more validation data or cross-validation, fewer trials, and check how the data was split. Do not choose by the test set.",
        ("test_sigma",),
        asks="mend",
    )


def _error(noise: float, sizes: list[int], shares: list[float], n: int | None) -> float:
    """Standard error of a sum or difference of means: of `sizes` seeds each, and of `shares` of n samples each where n is known.

    Infinite where nothing tells it: no noise was seen, and no size of the test set.
    """
    variance = sum(noise**2 / max(size, 1) for size in sizes)
    if isinstance(n, int) and n > 0:
        variance += sum(max(share * (1 - share), 0.0) / n for share in shares)
    return math.sqrt(variance) or math.inf
