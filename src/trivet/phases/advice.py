"""Which strategy, for how long, at what price, and when not to tune at all: pure functions over a described case.

    advise(Case(params, trial_seconds=20.0, workers=2, hours=4.0, epochs=30)).strategy   # model

`TABLE` is the one decision table, by the size of the space and the trials that the budget allows; `REASONS_NOT` are looked at first.
Sources are named where a number comes from them; numbers without one are our choice.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeGuard

from trivet import space
from trivet.errors import UserError
from trivet.phases.estimate import share_trained
from trivet.space import limits

BERGSTRA = "Bergstra and Bengio 2012"
PLAYBOOK = "Deep Learning Tuning Playbook, Godbole et al. 2023"
SMITH = "Smith 2017"
TURNER = "Turner et al. 2021"
LI = "Li et al. 2020, ASHA"
BOUTHILLIER = "Bouthillier et al. 2021"

FEW, ENOUGH = 8, 20  # trials: below FEW a search sees next to nothing, from ENOUGH on a model of the results pays
WIDE = 0.25  # of all trials at once, from which on a model has seen too few of them when it is asked
RANDOM_TRIALS = 60  # among 60 random draws one lies in the best 5 % of the space with 95 % probability (Bergstra and Bengio 2012)
PER_PARAMETER = 10  # trials of a model for each parameter (Loeppky, Sacks and Welch 2009, ten points a dimension)
LR_STEPS = 7  # values of a learning rate searched alone
SMALL_GRID = 24  # configurations that are tried one and all
SEEDS_SHARE = 1 / 3  # of the budget, at most, for fresh seeds of the finalists
SEED_PLANS = ((10, 3), (5, 3), (3, 3), (3, 2), (1, 2))  # (finalists, seeds), the costliest that fits; in our benchmark ten beat five
USUAL_SEEDS = (5, 3)  # without a budget
LEAST_PRUNED = 16  # trials, from which on enough of them come after those that the first rung of +trivet=search waits for
LEAST_EPOCHS = 5  # steps of a training, from which on stopping early has something to save
LEAST_VALIDATION = 100  # samples
SHORT_HOURS = 1.0


@dataclass(frozen=True)
class Probe:
    """What a training of the default configuration showed. `train` and `val`: the metric by epoch, empty where it was not reported.

    metric: its name, split/name. whole: whether it ran to its end. problem: why it failed, or "".
    """

    metric: str = ""
    maximize: bool = True
    train: Sequence[float] = ()
    val: Sequence[float] = ()
    whole: bool = True
    problem: str = ""


@dataclass(frozen=True)
class Case:
    """A search that is thought of. trial_seconds: of one full training on one worker. hours: wall time of the whole, None: as long as it
    takes; money, at price_per_hour of the machine, bounds it as well. epochs: steps that a full training reports, None: it reports none
    or it is not known. n_val: validation samples."""

    params: Sequence[space.Param]
    trial_seconds: float
    workers: int = 1
    hours: float | None = None
    money: float | None = None
    price_per_hour: float | None = None
    epochs: int | None = None
    n_val: int | None = None
    probe: Probe | None = None

    def __post_init__(self) -> None:
        for name in ("trial_seconds", "hours", "money", "price_per_hour"):
            value = getattr(self, name)
            if value is not None and not (math.isfinite(value) and value > 0):
                raise UserError(f"{name}={value}: must be a number > 0")
        if self.workers < 1:
            raise UserError(f"workers={self.workers}: must be a whole number >= 1")
        if self.money is not None and self.price_per_hour is None:
            raise UserError(f"money={self.money:g}: says nothing without a price; give price_per_hour, too")

    @property
    def searched(self) -> list[space.Param]:
        """The parameters that can take more than one value."""
        return [p for p in self.params if not isinstance(p.spec, space.Fixed) and space.n_points(p.spec) != 1]

    @property
    def dimensions(self) -> int:
        """The most parameters that count in one trial: of each group, those of the option that brings in most."""
        free = sum(not p.when for p in self.searched)
        branches: dict[str, dict[str, int]] = {}
        for param in self.searched:
            if param.when:
                group, option = param.when[0]
                options = branches.setdefault(group, {})
                options[option] = options.get(option, 0) + 1
        return free + sum(max(options.values()) for options in branches.values())

    @property
    def budget_hours(self) -> float:
        """Wall hours that may be spent; infinite where nothing bounds them."""
        paid = self.money / self.price_per_hour if self.money is not None and self.price_per_hour else math.inf
        return min(self.hours if self.hours is not None else math.inf, paid)

    @property
    def trainings(self) -> float:
        """Full trainings that the budget pays for, over all workers."""
        return self.budget_hours * 3600 * self.workers / self.trial_seconds


@dataclass(frozen=True)
class Cell:
    """A strategy, and the sentence that says why, with its source."""

    strategy: str
    why: str


SPACES = ("nothing", "learning rate", "small grid", "ranges")
BUDGETS = ("few", "some", "enough", "wide")
_RANGE_TEST = f"a learning rate alone is found within one short run, the range test ({SMITH})"
_BY_HAND = (
    f"fewer than {FEW} trials are a few guesses, not a search: set the learning rate by the range test ({SMITH}), keep the other defaults"
)
_LR_GRID = f"{LR_STEPS} values, evenly in the logarithm, show one learning rate's whole curve; no model is needed for it ({PLAYBOOK})"
_ALL = f"the space has so few configurations that all can be tried, which leaves no doubt ({BERGSTRA}, on grids in few dimensions)"
_PART = "too few trials for the whole grid: random draws of it, so that no parameter is looked at in one value only (" + BERGSTRA + ")"
_RANDOM = f"up to {ENOUGH} trials are hardly more than a model needs to begin with: random draws cover each range best ({BERGSTRA})"
_MODEL = f"a model of the results so far chooses better than chance from some {ENOUGH} trials on ({TURNER}; our own benchmark)"
_WIDE = "so many trials run at once that a model would choose most of them blindly: random draws do as well (" + PLAYBOOK + ")"
_NOTHING = "no parameter has more than one value; give ranges (a `space:` beside the values, or key=interval(...))"
TABLE: dict[tuple[str, str], Cell] = {
    ("nothing", "few"): Cell("none", _NOTHING),
    ("nothing", "some"): Cell("none", _NOTHING),
    ("nothing", "enough"): Cell("none", _NOTHING),
    ("nothing", "wide"): Cell("none", _NOTHING),
    ("learning rate", "few"): Cell("lr_range", _RANGE_TEST),
    ("learning rate", "some"): Cell("grid", _LR_GRID),
    ("learning rate", "enough"): Cell("grid", _LR_GRID),
    ("learning rate", "wide"): Cell("grid", _LR_GRID),
    ("small grid", "few"): Cell("random", _PART),
    ("small grid", "some"): Cell("grid", _ALL),
    ("small grid", "enough"): Cell("grid", _ALL),
    ("small grid", "wide"): Cell("grid", _ALL),
    ("ranges", "few"): Cell("lr_range", _BY_HAND),
    ("ranges", "some"): Cell("random", _RANDOM),
    ("ranges", "enough"): Cell("model", _MODEL),
    ("ranges", "wide"): Cell("random", _WIDE),
}


def space_band(case: Case) -> str:
    """Which row of the table: one of SPACES."""
    searched = case.searched
    if not searched:
        return "nothing"
    if case.dimensions == 1 and all(limits.LEARNING_RATE.fullmatch(limits.leaf(p.key)) for p in searched):
        return "learning rate"
    size = space.n_configurations(list(case.params))
    return "small grid" if size is not None and size <= SMALL_GRID else "ranges"


def wanted(case: Case, band: str) -> int:
    """Trials that are worth running where the budget allows: all of a grid, else ten a parameter, and at least RANDOM_TRIALS."""
    size = space.n_configurations(list(case.params))
    if band == "learning rate":
        return min(LR_STEPS, size or LR_STEPS)
    return size if band == "small grid" and size else max(RANDOM_TRIALS, PER_PARAMETER * case.dimensions)


def budget_band(trials: int, case: Case, band: str) -> str:
    """Which column of the table: one of BUDGETS. What is tried whole counts as `few` where not all of it fits."""
    if band in ("learning rate", "small grid") and trials >= wanted(case, band):
        return "some" if trials < ENOUGH else "enough"
    if trials < FEW or band in ("learning rate", "small grid"):
        return "few"
    if trials < ENOUGH:
        return "some"
    return "wide" if case.workers > WIDE * trials else "enough"


@dataclass(frozen=True)
class Advice:
    """tune: False where something else comes first; `why` then begins with it. seconds: wall time of the whole; money: None without a
    price. trainings: the cost in full trainings, pruning counted."""

    tune: bool
    strategy: str  # none | lr_range | grid | random | model
    n_trials: int
    pruner: str | None
    finalists: int
    seeds: int
    trainings: float
    seconds: float
    money: float | None
    why: tuple[str, ...] = field(default=())


def advise(case: Case) -> Advice:
    """The strategy for a case. Reasons not to tune are looked at first; then the row and column of `TABLE` decide."""
    band = space_band(case)
    finalists, seeds = seed_plan(case, wanted(case, band)) if band != "nothing" else (0, 0)
    left = case.trainings - (finalists + 1) * seeds if finalists else case.trainings
    for pruner in (pruner_for(case, band), None):
        share = share_trained({"name": pruner})
        most = math.floor(left / share + 1e-9) if math.isfinite(left) else wanted(case, band)
        n_trials = max(0, min(most, wanted(case, band)))
        if n_trials >= LEAST_PRUNED:
            break
    cell = TABLE[band, budget_band(n_trials, case, band)]
    if cell.strategy != "none" and n_trials < 2:
        cell = TABLE[band if band == "learning rate" else "ranges", "few"]
    if cell.strategy != "none":
        cell, tune = next(((Cell(other, said), False) for test, other in REASONS_NOT if (said := test(case, n_trials))), (cell, True))
    if cell.strategy in ("none", "lr_range"):
        strategy = cell.strategy if has_lr(case) else "none"
        tune = strategy == "lr_range" and band == "learning rate" and tune
        return _priced(case, Advice(tune, strategy, 0, None, 0, 0, float(strategy == "lr_range"), 0.0, None, (cell.why,)))
    why = [cell.why]
    if pruner:
        why.append(f"poor trials end early: some {share:.0%} of the epochs are trained, so the same time holds more of them ({LI})")
    if finalists:
        why.append(f"the best of many is partly luck: {finalists} finalists with {seeds} fresh seeds each tell ({BOUTHILLIER})")
    trainings = n_trials * share + ((finalists + 1) * seeds if finalists else 0)
    return _priced(case, Advice(True, cell.strategy, n_trials, pruner, finalists, seeds, trainings, 0.0, None, tuple(why)))


def _priced(case: Case, advice: Advice) -> Advice:
    seconds = advice.trainings * case.trial_seconds / max(1, min(case.workers, math.ceil(advice.trainings)))
    money = seconds / 3600 * case.price_per_hour if case.price_per_hour is not None else None
    return replace(advice, seconds=seconds, money=money)


def has_lr(case: Case) -> bool:
    """Whether a learning rate is among what is searched."""
    return any(limits.LEARNING_RATE.fullmatch(limits.leaf(p.key)) for p in case.searched)


def pruner_for(case: Case, band: str) -> str | None:
    """asha where a training reports LEAST_EPOCHS or more and the space is more than a grid that is looked at whole; else none."""
    return "asha" if band == "ranges" and case.epochs is not None and case.epochs >= LEAST_EPOCHS else None


def seed_plan(case: Case, n_trials: int = RANDOM_TRIALS) -> tuple[int, int]:
    """(finalists, seeds): the costliest plan, the default configuration included, within SEEDS_SHARE of the budget; (0, 0): none fits.

    At most every second of `n_trials` is a finalist.
    """
    plans = [(min(finalists, max(1, n_trials // 2)), seeds) for finalists, seeds in SEED_PLANS]
    if not math.isfinite(case.trainings):
        return min(USUAL_SEEDS[0], max(1, n_trials // 2)), USUAL_SEEDS[1]
    fits = [(f, s) for f, s in plans if (f + 1) * s <= SEEDS_SHARE * case.trainings]
    return fits[0] if fits else (0, 0)


def _failed(case: Case, n_trials: int) -> str:
    return f"the default configuration fails ({case.probe.problem}): mend that first" if case.probe and case.probe.problem else ""


def _small_data(case: Case, n_trials: int) -> str:
    if case.n_val is None or case.n_val >= LEAST_VALIDATION:
        return ""
    error = 0.5 / math.sqrt(max(case.n_val, 1))
    return (
        f"{case.n_val} validation samples are too few: a share measured on them is off by up to {error:.0%} (one standard error), more "
        f"than most tuning gains; get more data, or cross-validate ({BOUTHILLIER})"
    )


def _unfinished(case: Case, n_trials: int) -> str:
    """The last fifth of a whole training brought more than a twentieth of all that it gained."""
    probe = case.probe
    if probe is None or not probe.whole or len(probe.val) < LEAST_EPOCHS:
        return ""
    sign = 1 if probe.maximize else -1
    best = [max(sign * v for v in probe.val[: i + 1]) for i in range(len(probe.val))]
    before = best[math.ceil(0.8 * len(best)) - 1]
    if best[-1] - best[0] <= 0 or (best[-1] - before) / (best[-1] - best[0]) <= 0.05:
        return ""
    return f"the default still improves when its training ends: train it longer first, then tune ({PLAYBOOK})"


def _underfits(case: Case, n_trials: int) -> str:
    """A share (accuracy and its like) that is no better in training than in validation, and far from 1: bias, not variance."""
    probe = case.probe
    if not _is_share(probe) or not probe.whole or not probe.train:
        return ""
    train, val, noise = probe.train[-1], max(probe.val), _noise(max(probe.val), case.n_val)
    if train > val + noise or 1 - train <= max(0.05, 3 * noise):
        return ""
    return (
        f"the default underfits: {train:.1%} on what it was trained with, {max(probe.val):.1%} in validation; a larger model or other "
        "features first, as no learning rate gives capacity (Ng 2018, Machine Learning Yearning, avoidable bias)"
    )


def _converged(case: Case, n_trials: int) -> str:
    """What is missing to 1 cannot be told from nothing with so many validation samples."""
    probe = case.probe
    if not _is_share(probe) or case.n_val is None:
        return ""
    value = max(probe.val)
    if 1 - value > 2 * _noise(value, case.n_val):
        return ""
    return f"the default reaches {value:.1%} already, and {case.n_val} validation samples cannot show a gain over that: keep it"


def _short(case: Case, n_trials: int) -> str:
    if case.budget_hours >= SHORT_HOURS or n_trials >= ENOUGH or n_trials >= wanted(case, space_band(case)):
        return ""
    return (
        f"the budget is under an hour and pays for {n_trials} trials: too few to beat a default that works; spend it on the learning "
        f"rate ({PLAYBOOK})"
    )


REASONS_NOT: tuple[tuple[Callable[[Case, int], str], str], ...] = (
    (_failed, "none"),
    (_small_data, "none"),
    (_unfinished, "none"),
    (_underfits, "none"),
    (_converged, "none"),
    (_short, "lr_range"),
)
"""In the order in which they are looked at: what says why a case should not be tuned now, or "", and the strategy that is left then."""
_SHARES = re.compile(r"(.*_)?(acc|accuracy|f1|auc|auroc|precision|recall)(_.*)?", re.IGNORECASE)


def _is_share(probe: Probe | None) -> TypeGuard[Probe]:
    """Whether the metric is a share of samples, by its name and its values."""
    if probe is None:
        return False
    named = probe.maximize and bool(_SHARES.fullmatch(probe.metric.rpartition("/")[2]))
    return named and bool(probe.val) and all(0 <= v <= 1 for v in (*probe.train, *probe.val))


def _noise(value: float, n: int | None) -> float:
    """Standard error of a share of n samples, at least that of one wrong sample; 0 where n is not known."""
    return math.sqrt(max(value * (1 - value), 1 / n) / n) if n else 0.0
