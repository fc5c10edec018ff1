"""Advice on a search space before anything is spent on it: `lint` looks at ranges, names and defaults, and says what to write instead."""

from dataclasses import dataclass

from trivet.space import limits
from trivet.space.grammar import FORMS
from trivet.space.specs import Choice, Float, Int, Param, contains, meets, n_configurations, n_points, to_text, value_text

# A known multiplicative quantity over this ratio belongs on a log scale: drawn evenly, nine trials in ten fall in its top decade.
LOG_RATIO_KNOWN = 10
# Any positive range over this ratio does, whatever its name.
LOG_RATIO = 100
# A momentum range in which 1 - momentum spans more than this is sampled almost wholly far from 1.
COMPLEMENT_RATIO = 100
# The good learning rates of a new problem are not known better than to an order of magnitude (Bengio 2012; the tuning playbook).
LR_RATIO = 10
# A full grid of more points is better spent at random (Bergstra & Bengio 2012).
MAX_GRID = 100
# With fewer trials per searched parameter than this, the effects of parameters cannot be told apart (our own rule of thumb).
MIN_TRIALS_PER_PARAM = 5


@dataclass(frozen=True)
class Finding:
    """A weakness of a search space: the parameter's key ("" for the space as a whole), what is wrong and why, and what to write."""

    key: str
    message: str
    mend: str

    def __str__(self) -> str:
        return f"{self.key + ': ' if self.key else ''}{self.message}: {self.mend}"


def lint(params: list[Param], defaults: dict, *, n_trials: int | None = None, grid: bool | None = None) -> list[Finding]:
    """Warnings on a space, in its own order, then those on the whole.

    `defaults` is {key: value} of the default configuration, the groups' options included; a conditional range is held against it only
    where the default configuration makes that range count. `n_trials` is the planned budget. `grid`: whether a full grid will be run;
    None takes a space without any continuous range for one. An empty list means that nothing stands out, not that the space is good.
    """
    findings = []
    for param in params:
        findings += _one_value(param) or [
            *_seed(param),
            *_scale(param),
            *_complement(param),
            *_narrow_lr(param),
            *_beyond(param),
            *_whole(param, defaults),
            *_default_outside(param, defaults),
        ]
        findings += _never(param, params)
    return findings + _whole_space(params, n_trials, grid)


def _one_value(param: Param) -> list[Finding]:
    if n_points(param.spec) != 1 or not isinstance(param.spec, (Choice, Float, Int)):
        return []
    value = param.spec.options[0] if isinstance(param.spec, Choice) else param.spec.low
    return [
        Finding(param.key, f"{to_text(param.spec)} holds a single value, so nothing is searched", f"write {param.key}={value_text(value)}")
    ]


def _seed(param: Param) -> list[Finding]:
    if limits.leaf(param.key) not in ("seed", "random_seed", "random_state"):
        return []
    return [
        Finding(
            param.key, "a search over seeds picks the luckiest run", "leave the seed fixed, and repeat the best trials with fresh seeds"
        )
    ]


def _scale(param: Param) -> list[Finding]:
    """Multiplicative ranges that are sampled evenly."""
    spec, known = param.spec, limits.is_multiplicative(param.key)
    if not isinstance(spec, (Float, Int)) or spec.log or spec.high <= 0 or spec.low < 0:
        return []
    if spec.low == 0:
        if not known or isinstance(spec, Int):
            return []
        low = float(f"{spec.high * 1e-4:.0e}")
        why = "starts at 0 on a linear scale, where hardly a trial comes near the small values that matter"
        return [Finding(param.key, why, f"write {to_text(Float(low, spec.high, log=True))}")]
    if spec.high / spec.low < (LOG_RATIO_KNOWN if known else LOG_RATIO):
        return []
    share = (spec.high - spec.high / 10) / (spec.high - spec.low)
    wider = Float(spec.low, spec.high, log=True) if isinstance(spec, Float) else Int(spec.low, spec.high, log=True)
    why = f"{to_text(spec)} is sampled evenly, so {min(share, 0.99):.0%} of the trials fall in its top decade"
    return [Finding(param.key, why, f"write {to_text(wider)}")]


def _complement(param: Param) -> list[Finding]:
    """Momentum and the like, which act by their distance from 1."""
    spec = param.spec
    if not isinstance(spec, Float) or not limits.AVERAGE.fullmatch(limits.leaf(param.key)) or spec.low >= 1 or spec.high >= 1:
        return []
    if (1 - spec.low) / (1 - spec.high) <= COMPLEMENT_RATIO:
        return []
    options = [value for value in (0.5, 0.9, 0.95, 0.98, 0.99, 0.995, 0.998, 0.999, 0.9995, 0.9999) if spec.low <= value <= spec.high]
    why = f"acts by its distance from 1, and {to_text(spec)} hardly samples values near {spec.high!r}"
    return [Finding(param.key, why, f"write choice({', '.join(map(repr, options))})")]


def _narrow_lr(param: Param) -> list[Finding]:
    spec = param.spec
    if not isinstance(spec, Float) or not limits.LEARNING_RATE.fullmatch(limits.leaf(param.key)):
        return []
    if spec.low <= 0 or spec.high / spec.low >= LR_RATIO * (1 - 1e-9):
        return []
    middle = (spec.low * spec.high) ** 0.5
    wider = Float(float(f"{middle / 10:.0e}"), float(f"{middle * 10:.0e}"), log=True)
    why = f"{to_text(spec)} is narrower than one order of magnitude, less than what is unknown about a learning rate"
    return [Finding(param.key, why, f"write e.g. {to_text(wider)}")]


def _beyond(param: Param) -> list[Finding]:
    """Ranges and numeric options that reach beyond what a quantity of this name can be."""
    known = limits.hard_limits(param.key)
    if known is None:
        return []
    low, high, reason = known
    values = param.spec.options if isinstance(param.spec, Choice) else (getattr(param.spec, "low", None), getattr(param.spec, "high", None))
    numbers = [value for value in values if isinstance(value, (int, float)) and not isinstance(value, bool)]
    beyond = [value for value in numbers if value < low or value > high]
    # 0 as an option or an end means "off" for decays, thresholds and the like; a step count is no fraction.
    beyond = [value for value in beyond if value != 0 and not (isinstance(value, int) and isinstance(high, float) and high < 1)]
    if not beyond:
        return []
    return [Finding(param.key, f"{to_text(param.spec)} reaches {beyond[-1]!r}, and {reason}", f"stay within {low:g} and {high:g}")]


def _whole(param: Param, defaults: dict) -> list[Finding]:
    """A continuous range written with whole numbers for what seems to be a whole number."""
    spec, default = param.spec, defaults.get(param.key)
    if not isinstance(spec, Float) or isinstance(default, bool) or not isinstance(default, int) or not param.active(defaults):
        return []
    if spec.low != int(spec.low) or spec.high != int(spec.high) or spec.high - spec.low <= 1:
        return []
    whole = to_text(Int(int(spec.low), int(spec.high), log=spec.log))
    return [Finding(param.key, f"its default is the whole number {default}, and {to_text(spec)} gives fractions", f"write {whole}")]


def _default_outside(param: Param, defaults: dict) -> list[Finding]:
    if param.key not in defaults or not param.active(defaults) or contains(param.spec, defaults[param.key]):
        return []
    default = value_text(defaults[param.key])
    why = f"the default {default} lies outside {to_text(param.spec)}, so the search never looks at what is known to work"
    return [Finding(param.key, why, f"take {default} into the range, or change the default")]


def _never(param: Param, params: list[Param]) -> list[Finding]:
    """Conditions on an option that the search does not offer."""
    findings = []
    for group, option in param.when:
        offers = [other.spec.options for other in params if other.key == group and isinstance(other.spec, Choice)]
        if offers and not any(meets(offered, option) for options in offers for offered in options):
            why = f"counts only where {group}={option}, and the search does not offer {option}"
            findings.append(Finding(param.key, why, f"add {option} to the choice of {group}, or drop this range"))
    return findings


def _whole_space(params: list[Param], n_trials: int | None, grid: bool | None) -> list[Finding]:
    searched = [param for param in params if n_points(param.spec) != 1]
    if not searched:
        return [Finding("", "nothing is searched", f"give a key a range: {FORMS}")]
    findings = []
    names = {param.key: limits.leaf(param.key) for param in searched}
    batch = [key for key, name in names.items() if limits.BATCH_SIZE.fullmatch(name)]
    if batch and not any(limits.LEARNING_RATE.fullmatch(name) for name in names.values()):
        why = "is searched with a fixed learning rate, whose best value moves with the batch size, so the sizes are not compared fairly"
        findings.append(Finding(batch[0], why, "search the learning rate too, e.g. optimizer.lr=tag(log, interval(1e-4, 1e-1))"))
    points = n_configurations(params)
    if grid is not False and points is not None and points > MAX_GRID:
        why = f"the full grid has {points} points, and most of them repeat values that do not matter"
        findings.append(Finding("", why, "sample it (hydra/sweeper/sampler random or tpe), or search fewer values"))
    active = _most_active(searched)
    if n_trials is not None and n_trials < MIN_TRIALS_PER_PARAM * active:
        why = f"{n_trials} trials for {active} parameters at once: with fewer than {MIN_TRIALS_PER_PARAM} per parameter effects blur"
        findings.append(Finding("", why, f"run at least {MIN_TRIALS_PER_PARAM * active} trials, or fix the parameters that matter least"))
    return findings


def _most_active(params: list[Param]) -> int:
    """The largest number of parameters that count in one trial, to a good approximation: the fullest option of every outermost group."""
    always = sum(not param.when for param in params)
    fullest: dict[str, dict[str, int]] = {}
    for param in params:
        if param.when:
            group, option = param.when[0]
            counts = fullest.setdefault(group, {})
            counts[option] = counts.get(option, 0) + 1
    return always + sum(max(counts.values()) for counts in fullest.values())
