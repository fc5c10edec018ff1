"""Small runs whose report is pinned word for word (test_said.py): STORIES whole, VARIATIONS as far as they say what no story says."""

from __future__ import annotations

from pathlib import Path

import fake_results
import numpy as np
import pandas as pd
from report_stories import COARSE, FINE, LR, SEEDS, alone, search, seeds_of, story, trials
from test_ablation import (
    ALL,
    BROKEN,
    CONSTANT,
    FRUITLESS,
    HOPELESS,
    IDLE,
    POPULATION,
    additive,
    apart,
    generations,
)
from test_ablation import NOISY as UNCLEAR
from test_ablation import ONCE as APART_ONCE
from test_diagnosis import SCALE, SEED_CASES, case, curve, make, many_reasons, table, three_parameters, top, with_failures
from test_diagnosis import seeds_of as finalists
from test_front import FOUR, ON_THE_MOVE, TOGETHER
from test_racing import ALIKE, race
from test_racing import CLEAR as RACED
from test_statements import BEST_DEFAULT, CLEAR, CLOSE, EDGE, NOISY, WORSE, audit, pruned
from test_statements_run import ONCE, RANGE, RATES, found_by_test, infeasible, two_objectives
from test_statements_search import ALL_FAILED, CLEAR_CUT, COMMIT, NOISE, PRODUCT, STALE, UNENDED, UNNAMED, go_together, several

from trivet.diagnosis import fit_flags, search_flags, space_flags, training_flags
from trivet.diagnosis.flag import Flag
from trivet.diagnosis.sweep import Entry, Sweep
from trivet.diagnosis.wording import Scale
from trivet.reporting.context import Context

ROOT = Path(__file__).parent.parent  # a project with a stage that audits
NAN = np.nan
MOVED = "tag(log, interval(0.01, 2.0))"
MOVES = pd.DataFrame(
    [("lr", "", LR, MOVED, "widened", "The best sit at the upper edge.")], columns=["key", "when", "coarse", "fine", "change", "why"]
)
BASELINES = {"majority": 0.5, "logistic": 0.91, "boosting": 0.96}


STOPPED_LATE = trials(np.linspace(0.9, 0.5, 24), step=[2000.0] * 12 + [100.0] * 12, best_step=100.0)
STOPPED_LATE = STOPPED_LATE.assign(state=["COMPLETE"] * 12 + ["PRUNED"] * 12)


def whole():
    """A run with all of its stages and an audit, on a table whose baselines were fitted, at a price."""
    context = story(
        CLEAR,
        phases={1: "fine"},
        shown={1: 0.955, 2: 0.93},
        fine=FINE,
        coarse=pruned(),
        audit=audit([0.9, 0.91, 0.96]),
        test=found_by_test(ensemble_winner=0.96, ensemble_finalists=0.94, baselines=BASELINES),
        data={"name": "digits", "published": {"CNN": 94.0}},
        lr_range=RATES,
        check={"lr_range": RANGE, "estimate": {"seconds": 90.0}, "baselines": {"metric": "val/accuracy", "values": BASELINES}},
    )
    context.results.params |= {"report": {"price_per_hour": 2.0, "spot_price_per_hour": 0.5}}
    return Context(context.searches, context.results)


def ladder():
    frame = trials([0.5, 0.8, 0.7], lr=[0.01, 0.1, 1.0]).assign(why=["begin", "better, so tenfold", "worse"])
    return alone(search(frame, sampler={"name": "ladder", "key": "lr"}, stopped_by="rule", command="python app.py -m +trivet=ladder"))


def tiers():
    frame = trials([0.5, 0.8, 0.7, 0.79], lr=[0.01, 0.1, 1.0, 0.2]).assign(tier=["", "model", "model", "lr"])
    return alone(search(frame, sampler={"name": "tiers"}, stopped_by="rule"))


def groups(maximize: bool = True):
    """Groups with ranges of their own, sizes, rates, pruned and failed trials, curves; the same upside down."""
    frame, curves = fake_results.search(45, fake_results.SPACE, seed=4, first=fake_results.DEFAULTS)
    if not maximize:
        frame, curves = (table.assign(value=1 - table["value"]) for table in (frame, curves))
    known = fake_results.study("coarse", fake_results.SPACE, frame, metric="val/accuracy" if maximize else "val/error")
    entries = [
        Entry(one["key"], fake_results.parse(one["spec"], one["key"]), tuple((one.get("when") or {}).items())) for one in known["space"]
    ]
    keys = list(dict.fromkeys(entry.key for entry in entries))
    sweep = Sweep("coarse", frame, curves, keys, ["value"], ["maximize" if maximize else "minimize"], entries, known)
    return Context([sweep])


def on_an_error():
    """The whole story of an error, less of which is better: no share, so nothing of it is in per cent."""
    found = {0: [1.2, 1.21, 1.19], 1: [0.9, 0.91, 0.88], 2: [0.95, 0.97, 0.93]}
    seeds = seeds_of(found)
    seeds.study, seeds.directions = seeds.study | {"metric": "val/rmse"}, ["minimize"]
    tested = [{"seeds": dict(zip(SEEDS, found[finalist], strict=True))} for finalist in (1, 0)]
    test = {"metric": "test/rmse", "n_test": 1000, "winner": tested[0], "default": tested[1]}
    coarse = search(trials(np.linspace(3.0, 0.9, 12)), direction="minimize", metric="val/rmse")
    return story(found, shown={1: 0.85, 2: 0.9}, coarse=coarse, seeds=seeds, test=test)


def whole_numbers():
    """A short range of whole numbers and a long one: categories side by side, and places on an axis."""
    sweep = several(20, lambda t: 0.5 + 0.01 * t["few"], {"few": "int(interval(1, 8))", "more": "int(interval(1, 9))"})
    sweep.trials = sweep.trials.round({"few": 0, "more": 0})
    return alone(sweep)


def many():
    """More trials than are drawn, a few of them with a curve."""
    frame = trials(np.sin(np.arange(900)) / 10 + 0.8)
    rows = [(number, step, 0.5 + step / 100) for number in range(400) for step in (1.0, 2.0)]
    return alone(search(frame, curves=pd.DataFrame(rows, columns=["number", "step", "value"])))


STORIES = {
    "whole": whole,
    "default won": lambda: story(WORSE, tested=([0.95] * 3, [0.95] * 3)),
    "noise": lambda: story(NOISY),
    "one seed": lambda: story(ONCE),
    "infeasible": lambda: alone(infeasible()),
    "two objectives": lambda: alone(two_objectives(["val/accuracy", "latency"])),
    "batch and rate": lambda: alone(go_together(1)),
    "failed": lambda: ALL_FAILED,
    "unended": lambda: alone(search(trials(np.linspace(0.5, 0.9, 12)), **UNENDED)),
    "minimize": lambda: alone(search(trials(np.linspace(3.0, 0.05, 12)), direction="minimize", metric="val/rmse")),
    "ladder": ladder,
    "tiers": tiers,
    "moved": lambda: story(
        CLEAR, phases={1: "fine"}, shown={1: 0.955}, fine=search([0.955, 0.951, 0.95], name="fine", spec=MOVED), moves=MOVES
    ),
    "population": lambda: alone(POPULATION),
    "taken apart": lambda: alone(ALL),
    "one leads": lambda: alone(CLEAR_CUT),
    "act together": lambda: alone(PRODUCT),
    "edge": lambda: alone(EDGE),
    "groups": groups,
    "groups minimized": lambda: groups(maximize=False),
    "an error": on_an_error,
    "many trials": many,
    "whole numbers": whole_numbers,
}


# Variations ------------------------------------------------------------------------------------------------------------------------

BRIEF = [0.93, 0.92]
DIRTY = COMMIT | {"dirty": True}


def ranged(**found):
    """What a check may have found, with a range test in which `found` differs."""
    return {"lr_range": RATES, "check": {"lr_range": RANGE | found}}


def remarks():
    findings = [{"message": "lr is narrow", "mend": "widen it"}]
    return {"findings": findings, "extremes": [{"key": "lr", "value": 1.0, "result": "failed", "message": "it diverges"}]}


def tabular(network: float, **baselines):
    """A table whose simple models reach this beside a tuned network; nothing tells how large the test file is."""
    seeds = dict.fromkeys((101, 102, 103), network)
    test = {"metric": "test/accuracy", "n_test": None, "winner": {"seeds": seeds}, "default": {"seeds": seeds}, "baselines": baselines}
    return story(CLEAR, test=test)


def priced(seconds: float = 1.0, **prices):
    context = story(coarse=search(trials(np.linspace(0.8, 0.9, 12), seconds=seconds)))
    context.results.params |= {"report": prices}
    return Context(context.searches, context.results)


def read_by(*stages: str):
    """A pipeline in whose graph these stages depend on the test file."""
    return story(pipeline={"stages": {stage: {"deps": ["data/prepared/test.npz"]} for stage in stages}})


def scaled(scaling: str):
    """Rates that were tied to the batch size, in too few good trials to say anything of them."""
    sweep = several(8, lambda t: t["lr"], {"batch_size": "choice(16, 32, 64, 128)", "lr": LR}, config={"epochs": 20, "seed": 0} | {
        "lr_scaling": scaling, "reference_batch_size": 64,
    })  # fmt: skip
    return alone(sweep)


def studied(**study):
    return alone(search(trials(BRIEF), **study))


def edited(fine: str | None):
    """The fine space is not what the narrow stage had proposed: its range is another, or it was to be dropped."""
    moves = MOVES.assign(fine=fine, change="fixed" if fine else "dropped")
    return story(fine=search([0.955, 0.951], name="fine", spec="choice(0.1)"), moves=moves)


def wide_front():
    """More trials on the Pareto front than are listed."""
    sweep = two_objectives(["val/accuracy", "latency"])
    frame = trials(np.linspace(0.5, 0.9, 60)).rename(columns={"value": "value_0"}).assign(value_1=np.linspace(10, 21, 60))
    return alone(Sweep("coarse", frame, sweep.curves, ["lr"], sweep.objectives, sweep.directions, sweep.space, sweep.study))


def stopped_at_unknown_steps():
    """Importance from the complete trials alone, as pruned ones have no curve to be compared by."""
    sweep = several(60, lambda t: 0.5 + 0.4 * t["a"], {"a": "interval(0.0, 1.0)", "b": "interval(0.0, 1.0)"})
    sweep.trials.loc[sweep.trials.index[50:], "state"] = "PRUNED"
    return alone(sweep)


def bare():
    sweep = search(trials(BRIEF))
    sweep.study = {}
    return alone(sweep)


def grown():
    """The best sit at the upper end of a size."""
    frame = trials(np.linspace(0.5, 0.9, 40), lr=np.linspace(16, 64, 40)).rename(columns={"lr": "model.channels"})
    sweep = search(frame, spec=None)
    sweep.params, sweep.space = ["model.channels"], [Entry("model.channels", fake_results.parse("tag(log, int(interval(16, 64)))", "x"))]
    return alone(sweep)


VARIATIONS = {
    "phase 2 brought noise": lambda: story(CLOSE, phases={2: "fine"}, fine=FINE),
    "phase 2 ended worse": lambda: story(CLEAR, phases={2: "fine"}, fine=FINE, audit=STALE, coarse=pruned()),
    "no finalist of phase 2": lambda: story(CLEAR, fine=FINE, coarse=search(COARSE.trials, git=COMMIT), **ranged(found=False)),
    "all finalists of phase 2": lambda: story(CLEAR, phases={1: "fine", 2: "fine"}, fine=FINE, **ranged(searched=None)),
    "phase 2 with one seed": lambda: story(ONCE, phases={1: "fine"}, fine=FINE, check=remarks()),
    "phase 2 brought nothing": lambda: story(fine=search([0.94], name="fine", git=DIRTY), **ranged(covered=False)),
    "single runs of phase 2": lambda: story(fine=FINE, coarse=search(COARSE.trials, spec=None, git=DIRTY)),
    "phase 2 without a value": lambda: story(
        fine=search(trials([NAN, NAN], state="FAIL"), name="fine", git={"commit": "fff"}), coarse=search(COARSE.trials, git=COMMIT)
    ),
    "no coarse search": lambda: story(coarse=None, fine=FINE, check={"extremes": [{"key": "lr", "value": 1.0, "result": "ok"}]}),
    "the range was edited": lambda: edited("interval(0.1, 0.2)"),
    "a range to be dropped": lambda: edited(None),
    "the same with every seed": lambda: story({0: [0.8] * 3, 1: [0.9] * 3}),
    "level with the default": lambda: story({0: [0.9, 0.901, 0.899], 1: [0.9, 0.901, 0.899]}),
    "one seed may have missed it": lambda: story({0: [0.95], 1: [0.93]}),
    "only the default": lambda: story({0: [0.9, 0.901, 0.899]}),
    "nothing reported on the way": lambda: alone(
        search(trials(np.linspace(0.5, 0.9, 8), step=NAN, best_step=NAN), config={"seed": 0}, command="python app.py -m")
    ),
    "steps that are no epochs": lambda: alone(search(STOPPED_LATE, config={"epochs": 30, "seed": 0}, pruner={"name": "asha"})),
    "a front that moves": lambda: alone(ON_THE_MOVE),
    "several objectives and an idle width": lambda: alone(TOGETHER),
    "a front with the default on it": lambda: alone(FOUR),
    "worse on test data": lambda: story(CLEAR, tested=([0.88, 0.879, 0.881], [0.9, 0.901, 0.899])),
    "equal on test data": lambda: story(CLEAR, tested=([0.9, 0.901, 0.899], [0.9, 0.901, 0.899])),
    "better by less than the test set tells": lambda: story(CLEAR, tested=([0.913, 0.912, 0.914], [0.9, 0.901, 0.899])),
    "better by the same with each seed": lambda: story(CLEAR, tested=([0.95, 0.951, 0.949], [0.9, 0.901, 0.899])),
    "no help from an ensemble": lambda: story(CLEAR, test=found_by_test(ensemble_winner=0.94)),
    "a lucky first": lambda: story({0: [0.9], 1: [0.92], 2: [0.95]}, shown={1: 0.96, 2: 0.955}),
    "less than was shown": lambda: story({0: [0.9, 0.901, 0.899], 1: [0.950, 0.954, 0.946]}, shown={1: 0.952}),
    "a race": lambda: race(RACED),
    "a race of equals": lambda: race(ALIKE),
    "a race with one seed": lambda: race({0: [0.9], 1: [0.95], 2: [0.92]}),
    "the network is better": lambda: tabular(0.95, mean=0.0, ridge=0.9),
    "the simple model is better": lambda: tabular(0.95, mean=0.0, ridge=0.97),
    "they are level": lambda: tabular(0.5, mean=0.0, ridge=0.5),
    "the default of a sweep won": lambda: alone(BEST_DEFAULT),
    "the best was pruned": lambda: alone(search(trials([0.5, 0.6], state="PRUNED"))),
    "better than trial 0": lambda: alone(search(trials([0.5, 0.6, 0.7], lr=[0.03, 0.01, 0.02]), defaults={"lr": 0.03})),
    "one trial failed": lambda: alone(search(trials([NAN], state="FAIL", best_step=NAN))),
    "no trial": lambda: alone(search(trials([]), spec=None)),
    "no study": bare,
    "nothing explains it": lambda: alone(NOISE),
    "a dirty tree": lambda: studied(git=DIRTY),
    "the space is not named": lambda: alone(UNNAMED),
    "stopped at unknown steps": stopped_at_unknown_steps,
    "against the batch size": lambda: alone(go_together(-1)),
    "without the batch size": lambda: alone(go_together(0)),
    "rates by the batch size": lambda: scaled("linear"),
    "rates by its square root": lambda: scaled("sqrt"),
    "a batch size alone": lambda: alone(several(8, lambda t: t["batch_size"], {"batch_size": "choice(16, 32, 64)"})),
    "a larger size": grown,
    "what pruning cost": lambda: story(coarse=pruned(), root=ROOT),
    "an audit without a better one": lambda: story(coarse=pruned(), audit=audit([0.9, 0.91, 0.92])),
    "an audit beyond noise": lambda: story(
        {0: [0.9, 0.903, 0.897], 1: [0.95, 0.953, 0.947]}, shown={1: 0.95}, coarse=pruned(), audit=audit([0.951, 0.96, 0.9])
    ),
    "no more than seed noise": lambda: story(
        {0: [0.8, 0.82, 0.78], 1: [0.94, 0.96, 0.92]},
        shown={1: 0.94},
        coarse=search(trials(np.append(np.linspace(0.8, 0.93, 30), np.linspace(0.85, 0.94, 10)), lr=np.tile(np.logspace(-2, -1, 10), 4))),
    ),
    "the test file is read once": lambda: read_by("test"),
    "the test file is read twice": lambda: read_by("coarse", "test"),
    "spot machines save nothing": lambda: priced(price_per_hour=1.0, spot_price_per_hour=2.0),
    "interruptions cost more": lambda: priced(price_per_hour=1201.0, spot_price_per_hour=1200.0),
    "no epoch's time": lambda: priced(seconds=NAN, price_per_hour=2.0, spot_price_per_hour=1.0),
    "a wide front": wide_front,
    "weighed and replicated": lambda: studied(
        weights={"weights": [1.0, 0.5], "directions": ["maximize", "minimize"], "scales": [1.0, 10.0]},
        replicates={"key": "seed", "values": [0, 1, 2], "aggregate": "mean"},
    ),
    **{f"stopped by {name}": (lambda name=name: studied(n_trials=2, stopped_by=name)) for name in ("n_trials", "plateau", "target")},
    **{f"stopped by {name}": (lambda name=name: studied(n_trials=9, stopped_by=name)) for name in ("epochs", "seconds", "interrupted")},
    "constant settings": lambda: alone(CONSTANT),
    "no generation": lambda: alone(unborn()),
    "fruitless tiers": lambda: alone(FRUITLESS),
    "an unstable rung": lambda: alone(BROKEN),
    "no rung": lambda: alone(HOPELESS),
    "changes in vain": lambda: alone(IDLE),
    "a change in vain": lambda: alone(apart(additive(0.01, 0.04, 0.0), seeds=(101, 102, 103), noise=0.0005)),
    "changes in noise": lambda: alone(UNCLEAR),
    "changes run once": lambda: alone(APART_ONCE),
    "a change that is needed": lambda: alone(apart(additive(0.01, 0.04, 0.02), fail=("1+2",))),
}


def unborn():
    """A population whose members all failed in their first generation."""
    sweep = generations(None)
    sweep.trials = sweep.trials.head(3).assign(state="FAIL", value=NAN)
    return sweep


# Flags -----------------------------------------------------------------------------------------------------------------------------


def regularised(**searched: float):
    """Trials that overfit although these were searched."""
    shape = {"train/accuracy": np.full(20, 0.99), "val/accuracy": np.full(20, 0.8), "val/loss": np.append(np.full(19, 1.0), 1.5)}
    return make(top().assign(**searched), curves=curve(5, value=np.full(20, 0.8), **shape))


def without_rate():
    """Trials that diverged, of which no learning rate tells where."""
    frame = with_failures(5, "loss is nan").rename(columns={"lr": "width"})
    return make(frame, entries=[("width", "interval(0.001, 1.0)", {})])


def two_idle():
    sweep = three_parameters(200, used=False)
    frame = sweep.trials.assign(value=0.9 - 0.1 * (np.log10(sweep.trials["lr"]) + 1.5) ** 2)
    return make(frame, entries=[("lr", LR, {}), ("width", "interval(0.0, 1.0)", {}), ("idle", "interval(0.0, 1.0)", {})])


def disagreeing(winner: float, default: float, scale: Scale = SCALE) -> Flag | None:
    """Of a test of 10,000 samples."""
    test = {"winner": {101: winner, 102: winner + 0.001}, "default": {101: default, 102: default + 0.001}, "n_test": 10000}
    return search_flags.val_test(finalists(0.92, 0.85), scale, test)


FLAGS = [
    lambda: search_flags.pruned_none(case(make(table(), pruner={"name": "median"}))),
    lambda: space_flags.alike(case(make(table(values=np.random.default_rng(3).normal(0.9, 0.004, 40))), noise=0.01)),
    lambda: space_flags.no_effect(case(two_idle())),
    lambda: training_flags.diverged(case(without_rate())),
    lambda: training_flags.failed(case(make(many_reasons()))),
    lambda: fit_flags.overfit(case(regularised(dropout=0.1))),
    lambda: fit_flags.overfit(case(regularised(dropout=0.1, weight_decay=0.01))),
    *[lambda check=check, bad=bad: check(bad, SCALE) for check, bad, _ in SEED_CASES],
    lambda: disagreeing(0.86, 0.85),
    lambda: disagreeing(0.915, 0.95),
    lambda: disagreeing(0.82, 0.82, Scale("val/balanced_accuracy", [0.5, 0.9])),
]  # raised where no limit is tested
