"""From a finished coarse search to a fine space: where the best trials lie, told conservatively, with a sentence on every move.

A range is narrowed only when the best trials lie closer together than chance would have it, an option is dropped only when chance
would hardly have kept it out of the best, and a range is widened where the best crowd at its edge. Everything else stays: a fine search
forgives a range that is too wide, and never recovers an optimum that was cut away.
"""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, TypeGuard

from trivet.errors import UserError
from trivet.space.scale import Scale, widest
from trivet.space.specs import Choice, Fixed, Float, Int, Param, Spec, contains, meets, n_points, option_text, same, to_text, value_text

# The best trials are this share of those that finished or were pruned: enough of them to speak of a region, few enough to be good.
TOP = 0.2
# Fewer good trials than this say nothing about a region, and what they say of is kept. The good ones are at most half of the COMPLETE
# ones, so it takes twice as many of those.
MIN_GOOD = 5
# From so many good trials on a range may go down to MIN_SHARE of its width (on its own scale), with fewer only to MIN_SHARE_FEW.
ENOUGH_GOOD = 10
MIN_SHARE = 1 / 3
MIN_SHARE_FEW = 1 / 2
# A narrowing that leaves more of the range than this is not worth an edit.
KEEP_SHARE = 0.85
# Chance that a pattern among the good trials (close together, an option absent, crowding at an edge) arises where the parameter does
# not matter. One in twenty per parameter is the field's usual level; what is then moved in vain is softened by the margins below.
LEVEL = 0.05
# Added on either side of the best trials, as a share of the range; or the mean gap between them, span / (k-1), when that is larger: by
# so much do the outermost of k even draws fall short of the true ends.
MARGIN = 0.05
# An option tried fewer times than this is kept: too few to tell.
MIN_TRIED = 5
# A pruned trial ran short of its end, and a slow starter looks bad early: it counts as half a trial when asking what was tried in vain.
PRUNED_WEIGHT = 0.5
# A trial in the outer tenth of a range sits at its edge.
EDGE = 0.1
# A range is widened by this share of its width, on its own scale: four decades of learning rate gain one.
WIDEN = 0.25
# Where so many of the trials at an edge failed (diverged), there is nothing to look for beyond it.
FAILED_SHARE = 0.5


@dataclass(frozen=True)
class Rules:
    """The thresholds that a user may set; the constants above say why they are what they are."""

    top: float = TOP
    min_good: int = MIN_GOOD
    min_share: float = MIN_SHARE
    widen: float = WIDEN
    level: float = LEVEL

    def __post_init__(self) -> None:
        most = {"top": 0.5, "min_share": 1, "widen": 1, "level": 0.5}
        for name, high in most.items():
            value = getattr(self, name)
            number = isinstance(value, (int, float)) and not isinstance(value, bool)
            if not number or not 0 <= value <= high or (value == 0 and name != "widen"):
                raise UserError(f"narrow.{name}={value!r}: write a number {'from' if name == 'widen' else 'above'} 0 up to {high}")
        if isinstance(self.min_good, bool) or not isinstance(self.min_good, int) or self.min_good < 3:
            raise UserError(f"narrow.min_good={self.min_good!r}: write a whole number from 3 on")


@dataclass(frozen=True)
class Move:
    """What became of one parameter. `coarse` and `fine` are texts of the sweep grammar (`fine` is empty for a dropped one).

    `when` is its condition as text; `change` is narrowed, widened, kept, fixed or dropped; `why` is a sentence.
    """

    key: str
    when: str
    coarse: str
    fine: str
    change: str
    why: str


@dataclass(frozen=True)
class Narrowed:
    """The fine space, and one move per parameter of the coarse space, in its order."""

    params: list[Param]
    moves: list[Move]


class Evidence(NamedTuple):
    """Values of one parameter in the trials where it counts: `good` best first, `tried` with their weights, and of those that failed."""

    good: list
    tried: list[tuple[Any, float]]
    failed: list
    n_complete: int


class _Verdict(NamedTuple):
    spec: Spec | Fixed
    change: str
    why: str


def narrow(trials: Sequence[dict], params: Sequence[Param], direction: str, rules: Rules | None = None, **thresholds) -> Narrowed:
    """The fine space after a coarse search.

    `trials`: {number, state (COMPLETE | PRUNED | FAIL), value, params: {key: value}}; a COMPLETE one without a finite value counts as
    failed. `direction`: maximize or minimize. Thresholds by keyword (`top=0.2`, ...; see `Rules`). A fixed choice stays a `Choice` of one
    option, so that the next table still has its column; the parameters of a dropped option are dropped. Every range stays within what
    `widest` allows, and holds the best trial's value if the coarse range does. Raises UserError for an unknown direction or threshold.
    """
    if direction not in ("maximize", "minimize"):
        raise UserError(f"direction={direction!r}: write maximize or minimize")
    rules = replace(rules or Rules(), **thresholds)
    sign = -1.0 if direction == "maximize" else 1.0
    groups = {group for param in params for group, _ in param.when}
    dropped: dict[tuple, list[str]] = {}
    outcome: dict[str, tuple[Param | None, Move]] = {}
    for param in _groups_first(params, groups):
        gone = _dropped_condition(param, dropped)
        if gone:
            outcome[param.name] = (
                None,
                Move(param.key, param.condition, to_text(param.spec), "", "dropped", f"It counts only with {gone}, which is dropped."),
            )
            continue
        verdict = _judge(param, _evidence(param, trials, sign, rules), rules)
        if param.key in groups and isinstance(param.spec, Choice) and isinstance(verdict.spec, Choice):
            kept = [option_text(option) for option in verdict.spec.options]
            dropped[param.key, param.when] = [o for o in param.spec.options if option_text(o) not in kept]
        texts = to_text(param.spec), to_text(verdict.spec)
        outcome[param.name] = replace(param, spec=verdict.spec), Move(param.key, param.condition, *texts, verdict.change, verdict.why)
    in_order = [outcome[param.name] for param in params]
    return Narrowed([param for param, _ in in_order if param is not None], [move for _, move in in_order])


def _dropped_condition(param: Param, dropped: dict[tuple, list]) -> str:
    """The condition of the parameter that can no longer hold, as group=option; empty where all can."""
    for i, (group, option) in enumerate(param.when):
        if any(meets(gone, option) for gone in dropped.get((group, param.when[:i]), ())):
            return f"{group}={option}"
    return ""


def _groups_first(params: Sequence[Param], groups: set[str]) -> list[Param]:
    """Groups before what depends on them: outer groups first."""
    return sorted(params, key=lambda param: (param.key not in groups, len(param.when)))


def _evidence(param: Param, trials: Sequence[dict], sign: float, rules: Rules) -> Evidence:
    """What the trials say about one parameter. Numbers that are no numbers, and values that no option matches, are left out."""
    here = [t for t in trials if param.key in t["params"] and _counts(param, t["params"]) and _usable(param.spec, t["params"][param.key])]
    complete = [t for t in here if t["state"] == "COMPLETE" and _finite(t["value"])]
    pruned = [t for t in here if t["state"] == "PRUNED"]
    failed = [t for t in here if t["state"] == "FAIL" or (t["state"] == "COMPLETE" and not _finite(t["value"]))]
    complete.sort(key=lambda t: (sign * t["value"], t["number"]))
    k = max(rules.min_good, math.ceil(rules.top * (len(complete) + len(pruned))))
    good = complete[: min(k, len(complete) // 2)]
    tried = [(t["params"][param.key], 1.0) for t in complete] + [(t["params"][param.key], PRUNED_WEIGHT) for t in pruned]
    return Evidence([t["params"][param.key] for t in good], tried, [t["params"][param.key] for t in failed], len(complete))


def _counts(param: Param, values: dict) -> bool:
    """Whether the parameter counted in a trial. A group that the table does not hold was not searched, so it says nothing."""
    return all(group not in values or meets(values[group], option) for group, option in param.when)


def _usable(spec: Spec | Fixed, value: object) -> bool:
    if isinstance(spec, (Float, Int)):
        return _finite(value) and not (spec.log and value <= 0)
    return contains(spec, value)


def _finite(value: object) -> TypeGuard[float]:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _judge(param: Param, seen: Evidence, rules: Rules) -> _Verdict:
    spec = param.spec
    if isinstance(spec, Fixed) or n_points(spec) == 1:
        return _Verdict(spec, "kept", "It has a single value.")
    if len(seen.good) < rules.min_good:
        where = f" with {param.condition}" if param.when else ""
        if not seen.n_complete:
            return _Verdict(spec, "kept", f"There are no complete trials{where}.")
        many = f"{seen.n_complete} complete trial{'' if seen.n_complete == 1 else 's'}{where}"
        return _Verdict(spec, "kept", f"Only {many}, and it takes {2 * rules.min_good} to tell.")
    if isinstance(spec, Choice):
        return _ladder(param, spec, seen, rules) if is_ladder(spec) else _options(spec, seen, rules)
    return _range(param, spec, seen, rules)


# Options ----------


def _options(spec: Choice, seen: Evidence, rules: Rules) -> _Verdict:
    """Drop the options that are clearly absent from the best trials."""
    gone = [option for option in spec.options if _absent(option, seen, rules.level)]
    kept = tuple(option for option in spec.options if not any(same(option, other) for other in gone))
    return _chosen(spec, kept, gone, seen)


def _absent(option: object, seen: Evidence, level: float) -> bool:
    """Whether the option is missing among the good trials though it was tried so often that chance would hardly keep it out.

    With a share p of what was tried, an option as good as the rest misses k good trials with a chance of (1 - p)^k.
    """
    tried = sum(weight for value, weight in seen.tried if same(value, option))
    n_tried = sum(same(value, option) for value, _ in seen.tried)
    if n_tried < MIN_TRIED or any(same(value, option) for value in seen.good):
        return False
    share = tried / sum(weight for _, weight in seen.tried)
    return (1 - share) ** len(seen.good) < level


def _chosen(spec: Choice, kept: tuple, gone: list, seen: Evidence) -> _Verdict:
    k = len(seen.good)
    if not gone:
        top = max(spec.options, key=lambda option: sum(same(value, option) for value in seen.good))
        n = sum(same(value, top) for value in seen.good)
        return _Verdict(spec, "kept", f"No option is clearly out; {value_text(top)} leads with {n} of the best {k} trials.")
    names = _listed([value_text(option) for option in gone])
    times = sum(any(same(value, option) for option in gone) for value, _ in seen.tried)
    if len(kept) == 1:
        return _Verdict(
            Choice(kept), "fixed", f"All of the best {k} trials have {value_text(kept[0])}; {names} tried {times} times in vain."
        )
    return _Verdict(Choice(kept), "narrowed", f"None of the best {k} trials has {names}, tried {times} times.")


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} or {names[-1]}"


# Ordered numeric options ----------


def is_ladder(spec: Choice) -> bool:
    """Whether the options are three or more rising numbers, so that there is something between and beyond them."""
    numbers = [option for option in spec.options if _finite(option)]
    return len(numbers) == len(spec.options) >= 3 and sorted(numbers) == numbers


def _ladder(param: Param, spec: Choice, seen: Evidence, rules: Rules) -> _Verdict:
    """As `_options`, but only from the ends, so that no hole opens, and with one more rung where the best crowd at an end."""
    rungs = list(spec.options)
    while len(rungs) > 2 and _absent(rungs[0], seen, rules.level):
        rungs.pop(0)
    while len(rungs) > 2 and _absent(rungs[-1], seen, rules.level):
        rungs.pop()
    gone = [option for option in spec.options if option not in rungs]
    k = len(seen.good)
    for end, option in (("lower", spec.options[0]), ("upper", spec.options[-1])):
        n = sum(same(value, option) for value in seen.good)
        share = 1 / len(spec.options)
        if rules.widen <= 0 or n < 2 or 2 * n <= k or _tail(n, k, share) >= rules.level:
            continue
        rung = _next_rung(param.key, spec.options, end)
        failed = sum(same(value, option) for value in seen.failed)
        if rung is None or failed >= FAILED_SHARE * (failed + sum(same(value, option) for value, _ in seen.tried)):
            continue
        wider = [rung, *rungs] if end == "lower" else [*rungs, rung]
        also = f"; {_listed([value_text(g) for g in gone])} dropped" if gone else ""
        why = f"{n} of the best {k} trials have {value_text(option)}, the {end} end, so {value_text(rung)} is tried too{also}."
        return _Verdict(Choice(tuple(wider)), "widened", why)
    return _chosen(spec, tuple(rungs), gone, seen)


def _next_rung(key: str, options: tuple, end: str) -> int | float | None:
    """The next option beyond an end, in the ladder's own ratio or step; None where it has neither, or at a hard limit."""
    a, b = (options[1], options[0]) if end == "lower" else (options[-2], options[-1])
    pairs = list(itertools.pairwise(options))
    if options[0] > 0 and all(math.isclose(y / x, options[1] / options[0]) for x, y in pairs):
        rung = b * b / a
    elif all(math.isclose(y - x, options[1] - options[0]) for x, y in pairs):
        rung = b + (b - a)
    else:
        return None
    if all(isinstance(option, int) for option in options):
        if rung != int(rung):
            return None
        rung = int(rung)
    else:
        rung = float(f"{rung:.6g}")
    low, high, _ = widest(key, min(options), max(options), whole=isinstance(rung, int))
    return rung if low <= rung <= high else None


# Ranges ----------


def _range(param: Param, spec: Float | Int, seen: Evidence, rules: Rules) -> _Verdict:
    """Span of the good trials, with a margin, on the range's own scale from 0 (low) to 1 (high); wider where they crowd at an end."""
    scale = Scale(spec)
    middle = _trimmed(seen.good)
    good, inner = ([scale.unit(value) for value in values] for values in (seen.good, middle))
    k = len(good)
    low, high = 0.0, 1.0
    share = _share_tried(inner, [(scale.unit(value), weight) for value, weight in seen.tried])
    # The span of the middle n of k even draws is at most s with the chance that n-1 or more of k tosses with chance s succeed.
    n = len(inner)
    tight = _tail(n - 1, k, share) < rules.level
    if tight:
        margin = max(MARGIN, (inner[-1] - inner[0]) / (n - 1))
        low, high = max(0.0, inner[0] - margin), min(1.0, inner[-1] + margin)
        low, high = _at_least(low, high, rules.min_share if k >= ENOUGH_GOOD else max(rules.min_share, MIN_SHARE_FEW))
        if high - low > KEEP_SHARE:
            low, high = 0.0, 1.0
    low, high = min(low, max(0.0, good[0])), max(high, min(1.0, good[0]))
    edges = {end: _edge(end, param, spec, scale, good, seen, rules) for end in ("lower", "upper")}
    low = edges["lower"].reach if edges["lower"].reach is not None else low
    high = edges["upper"].reach if edges["upper"].reach is not None else high
    least, most, _ = widest(param.key, spec.low, spec.high, whole=isinstance(spec, Int))
    fine = scale.spec(low, high, least, most)
    return _told(spec, fine, middle, k, [edge.why for edge in edges.values() if edge.why], tight)


def _told(spec: Float | Int, fine: Float | Int, middle: list, k: int, edges: list[str], tight: bool) -> _Verdict:
    words = " ".join(edges)
    who = f"The best {k}" if len(middle) == k else f"{len(middle)} of the best {k}"
    lie = f"{who} trials lie between {_short(middle[0])} and {_short(middle[-1])}"
    if fine.low < spec.low or fine.high > spec.high:
        other = f" {lie}." if fine.low > spec.low or fine.high < spec.high else ""
        return _Verdict(fine, "widened", words + other)
    if fine != spec:
        return _Verdict(fine, "narrowed", f"{lie}. {words}".strip())
    reason = "which is most of the range" if tight else "spread as chance would have it"
    return _Verdict(spec, "kept", f"{lie}, {reason}. {words}".strip())


class _EdgeFinding(NamedTuple):
    reach: float | None  # the new end, in units of the range; None: as it is
    why: str


def _edge(end: str, param: Param, spec: Float | Int, scale: Scale, good: list[float], seen: Evidence, rules: Rules) -> _EdgeFinding:
    """Whether the good trials crowd at an end, and how far the range should then reach."""
    at = (lambda u: u <= EDGE) if end == "lower" else (lambda u: u >= 1 - EDGE)
    k, n = len(good), sum(map(at, good))
    # Of a few whole numbers, one alone may be more than a tenth of the range.
    points = n_points(spec)
    share = max(EDGE, 1 / points if points else 0)
    if rules.widen <= 0 or n < 2 or _tail(n, k, share) >= rules.level:
        return _EdgeFinding(None, "")
    here, bound = (0.0, spec.low) if end == "lower" else (1.0, spec.high)
    crowd = f"{n} of the best {k} trials crowd at the {end} end, {_short(bound)}"
    failed = sum(at(scale.unit(value)) for value in seen.failed)
    finished = sum(at(scale.unit(value)) for value, _ in seen.tried)
    if failed and failed >= FAILED_SHARE * (failed + finished):
        return _EdgeFinding(here, f"{crowd}, but {failed} of {failed + finished} trials there failed, so not beyond.")
    low, high, reason = widest(param.key, spec.low, spec.high, whole=isinstance(spec, Int))
    if (low if end == "lower" else high) == bound:
        return _EdgeFinding(here, f"{crowd}, which is as far as it goes: {reason}.")
    return _EdgeFinding(-rules.widen if end == "lower" else 1 + rules.widen, f"{crowd}, so the range goes on beyond it.")


def _trimmed(good: list[float]) -> list[float]:
    """The good trials' values in order, without the outermost tenth on either side, but always with the best one."""
    ordered = sorted(good)
    cut = len(ordered) // 10
    inner = ordered[cut : len(ordered) - cut]
    return sorted([*inner, good[0]]) if not inner[0] <= good[0] <= inner[-1] else inner


def _share_tried(inner: list[float], tried: list[tuple[float, float]]) -> float:
    """How much of the search lies within the good trials' span: of the range, or of what was tried in it, whichever is more."""
    total = sum(weight for _, weight in tried)
    within = sum(weight for unit, weight in tried if inner[0] <= unit <= inner[-1])
    return min(1.0, max(inner[-1] - inner[0], within / total))


def _at_least(low: float, high: float, share: float) -> tuple[float, float]:
    """Grow [low, high] around its middle to the width `share`, and shift it into [0, 1]."""
    lack = max(0.0, share - (high - low)) / 2
    low, high = low - lack, high + lack
    if low < 0:
        low, high = 0.0, high - low
    if high > 1:
        low, high = low - (high - 1), 1.0
    return max(0.0, low), min(1.0, high)


def _tail(n: int, k: int, p: float) -> float:
    """Chance of n or more out of k, each with chance p."""
    return sum(math.comb(k, i) * p**i * (1 - p) ** (k - i) for i in range(n, k + 1))


def _short(value: float) -> str:
    return f"{value:.3g}" if abs(value) < 1000 or isinstance(value, float) else str(value)
