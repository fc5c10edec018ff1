"""Replicates: their aggregates, a table that is the same for every schedule, and that no finished one is run again after a kill."""

import json
import math
import random
import statistics
import typing
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from hydra.core.utils import JobReturn, JobStatus
from hydra_apps import sweep
from simulated_workers import Killed, SimulatedWorker, quality, run_alone, run_scheduled, spec_of, table

import trivet
from trivet.errors import UserError
from trivet.search import replicates
from trivet.search.constraints import Constraint
from trivet.search.replicates import Replicates
from trivet.study import run_tables, tables
from trivet.study.records import Claim, Outcome
from trivet.study.study import Study
from trivet.sweep.outcome import outcome_of

THREE = Replicates("seed", (0, 1, 2))
TPE = ("tpe", {"n_startup_trials": 3})


@pytest.mark.parametrize(
    ("aggregate", "up", "down"),
    [("mean", 2.0, 2.0), ("median", 1.0, 1.0), ("worst", 0.0, 5.0), ("mean_minus_std", 2.0 - 7**0.5, 2.0 + 7**0.5)],
)
def test_aggregates(aggregate, up, down):
    rule = Replicates("seed", (0, 1, 2), aggregate)
    assert rule.of([5.0, 0.0, 1.0], True) == pytest.approx(up) and rule.of([5.0, 0.0, 1.0], False) == pytest.approx(down)
    assert rule.of([3.0], True) == 3.0


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ([0, 1, 0], "values=0: is there twice; give each value once"),
        ([[1]], "values=[1]: must be plain values, such as [0, 1, 2]"),
        ([0, None], "values=None: must be plain values, such as [0, 1, 2]"),
    ],
)
def test_values_that_are_refused(values, said):
    with pytest.raises(UserError) as refused:
        replicates.read({"key": "seed", "values": values})
    assert str(refused.value) == f"hydra.sweeper.replicates.{said}"


def test_what_is_read():
    assert replicates.read(None) is replicates.read({}) is None
    assert replicates.read({"key": "fold", "values": [1, True, "1"]}) == Replicates("fold", (1, True, "1"), "mean")
    given = {"key": None, "values": [0], "aggregate": "worst", "name": "run", "race": 7}
    assert replicates.read(given) == Replicates(None, (0,), "worst", "run", 7)
    named = "name a key of the config, such as seed, or null for runs that differ by chance alone"
    with pytest.raises(UserError, match=rf"^hydra\.sweeper\.replicates\.key: is missing; {named}$"):
        replicates.read({"values": [1]})


def test_how_replicates_are_told():
    assert set(replicates.AGGREGATES) == {"mean", "median", "mean_minus_std", "worst"}  # the test above has them all
    seeds, folds = Replicates("data.seed", (3, 5)), Replicates("fold", (0,), "median", "part", race=4)
    assert seeds.columns() == ["mean", "std", "data.seed=3", "data.seed=5"] and folds.columns() == ["mean", "std", "part=0"]
    assert Replicates(None, (0,)).column == "replicate"
    assert seeds.as_dict() == {"key": "data.seed", "values": [3, 5], "aggregate": "mean"}
    assert folds.as_dict() == {"key": "fold", "values": [0], "aggregate": "median", "name": "part", "race": 4}
    assert [replicates.std([2.0]), replicates.std([1.0, 3.0])] == [0.0, pytest.approx(2**0.5)]


def test_the_effort_of_runs_is_that_of_them_all():
    runs = [
        {"run": {"seconds": 1.0004, "started": "b", "worker": "x"}},
        {"run": None},
        {},
        {"run": {"seconds": 2.0, "started": "a", "worker": "y"}},
    ]
    assert replicates.effort(runs) == {"seconds": 3.0, "started": "a", "worker": "y"} and replicates.effort(runs[1:3]) == {}
    attrs = {replicates.attribute(0): {"value": 1.0, "run": {"seconds": 1}}, "other": 3}
    assert replicates.copied(attrs) == {"trivet:replicate:0": {"value": 1.0}}  # a copy's never ran
    assert replicates.given([1.0, None, 3.0]) == {
        "trivet:replicate:0": {"value": 1.0, "held": []},
        "trivet:replicate:2": {"value": 3.0, "held": []},
    }


def test_the_mean_of_a_column_is_that_of_the_rows_that_know_it():
    assert replicates.means([[1.0, None, 3.0], [2.0, None, None]]) == [1.5, None, 3.0]


A, B, C = ({"value": value} for value in (1.0, 2.0, 3.0))
FAILED = {"state": "FAIL", "reason": "odd"}


@pytest.mark.parametrize(
    ("runs", "steps", "counted"),
    [({0: A, 2: C}, 3, [A]), ({0: A, 1: B, 2: C}, 2, [A, B]), ({1: B}, 3, []), ({0: A, 1: FAILED, 2: C}, 3, [A, FAILED])],
    ids=["gap", "verdict", "ahead", "failure"],
)
def test_what_ran_ahead_counts_for_nothing(runs, steps, counted):
    attrs = {replicates.attribute(i): run for i, run in runs.items()}
    assert replicates.counted(attrs, steps) == counted and replicates.told(attrs) == set(runs)
    assert replicates.values(counted) == [run["value"] for run in counted if run is not FAILED]


class Replicating(SimulatedWorker):
    """Its trials are several runs; `runs` counts those that ended, by trial and replicate."""

    runs: typing.ClassVar[Counter] = Counter()  # of all: a worker that died has run some
    p_fail = 0.05

    def _work(self):
        while True:
            claim = self.study.claim(self.name)
            if not isinstance(claim, Claim):
                self.over = claim if claim != "wait" else None
                yield claim
                continue
            yield claim
            for _ in range(2):  # others act while it runs
                self.study._sync_due = 0.0 if self.rng.random() < 0.5 else math.inf
                if self.study.is_needless(claim.number, claim.replicate):
                    break
                yield "step"
            self.runs[claim.number, claim.replicate] += 1
            self.study.tell_run(claim.number, claim.replicate, self._run(claim.number, claim.replicate))
            yield "told"

    def _run(self, number, i):
        params = self.study.params_of(number)
        rng = random.Random(f"{i}:{sorted((k, repr(v)) for k, v in params.items())}")
        if rng.random() > 1 - self.p_fail:
            return {"state": "FAIL", "reason": "ValueError: odd"}
        value, held = quality(params) + 0.1 * rng.random(), [abs(params["x"]) + i] * len(self.study.spec.constraints)
        curve = [[step, value - 1 / step] for step in (1, 2)]
        run = {"worker": self.name, "seconds": 1.0, "started": ""}
        return {"state": "COMPLETE", "reason": "", "value": value, "held": held, "curve": curve, "run": run}


@pytest.mark.parametrize(("pruner", "held"), [("median", ()), (None, (Constraint("size", True, 4.0),))], ids=["raced", "constrained"])
def test_every_schedule_gives_the_table_of_one_worker(tmp_path, monkeypatch, pruner, held):
    monkeypatch.setattr("simulated_workers.SimulatedWorker", Replicating)
    given = {"n_trials": 14, "replicates": THREE, "constraints": held, "reuse": False}
    expected = run_alone(spec_of(tmp_path / "alone", TPE, pruner, **given))
    header, *rows = expected[0]
    found = [dict(zip(header, row, strict=True)) for row in rows]
    for row in found:
        runs = [float(row[f"seed={i}"]) for i in range(3) if row[f"seed={i}"]]
        if row["state"] == "COMPLETE":
            assert len(runs) == 3 and float(row["value"]) == float(row["mean"]) == pytest.approx(statistics.fmean(runs))
            assert float(row["std"]) == pytest.approx(statistics.stdev(runs)) and row["step"] == "3"
        elif row["state"] == "PRUNED":
            assert bool(row["std"]) == (len(runs) > 1), "one value has no spread"
            assert int(row["step"]) == len(runs) and float(row["value"]) == pytest.approx(statistics.fmean(runs))
        assert not held or row["state"] == "FAIL" or float(row["size"]) == abs(float(row["x"])) + 1
    assert ("INFEASIBLE" if held else "PRUNED") in {row["state"] for row in found}
    ahead = []

    def watch(workers, worker, action):
        if isinstance(action, Claim) and action.replicate not in (None, 0):
            told = replicates.told(worker.study.trials[action.number].user_attrs)
            ahead.append(not told.issuperset(range(action.replicate)))

    for i, (n_workers, p_kill) in enumerate([(1, 0.1), (2, 0.0), (6, 0.05)]):
        spec = spec_of(tmp_path / str(i), TPE, pruner, **given)
        assert run_scheduled(spec, random.Random(i), n_workers, p_kill, watch=watch) == expected
        assert n_workers == 2 or any(ahead) == (n_workers > 4), "replicates of one trial run side by side where workers are free"
    assert not run_rows_missing(spec)


def run_rows_missing(spec):
    """The completed trials of a study of which runs.csv and run_curves.csv lack a run or a step."""
    study = Study(replace(spec, session="reader"))
    trials = [t for t in study.finished() if t.state in ("COMPLETE", "INFEASIBLE")]
    header, *rows = (lambda found: [found[0], *found[1]])(run_tables.run_rows(study, trials))
    numbers = [row[header.index("number")] for row in rows]
    steps = Counter(row[0] for row in run_tables.run_curve_rows(study, trials)[1])
    study.close()
    return [t.number for t in trials if any((n := str(3 * t.number + i)) not in numbers or steps[n] != 2 for i in range(3))]


def test_killed_at_every_write_no_finished_replicate_is_run_again(tmp_path):
    spec = spec_of(tmp_path / "alone", TPE, None, 3, lag=1, replicates=THREE)
    first = Replicating(spec)
    first.run()
    expected, n_appends = table(spec), first.n_appends
    assert n_appends > 12
    for k in range(1, n_appends + 1):
        Replicating.runs.clear()
        worker = Replicating(replace(spec, folder=str(tmp_path / str(k)), session="first"), die_at=k)
        with pytest.raises(Killed):
            worker.run()
        worker.kill()
        again = replace(spec, folder=str(tmp_path / str(k)), session="second")
        Replicating(again).run()
        assert table(again) == expected
        assert sum(Replicating.runs.values()) <= 9 + 1, f"killed at append {k}: at most the one whose end was not written runs again"


APP = """x: 0
seed: 7
hydra: {sweeper: {n_trials: 4, sampler: random, params: {x: 'interval(0, 4)'}, replicates: {key: seed, values: [3, 5]}}}
"""


@pytest.fixture
def conf(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf" / "config.yaml").write_text(APP)
    return tmp_path / "conf"


def test_a_sweep_that_is_interrupted_goes_on_at_the_replicate(conf, tmp_path):
    ran, stop = [], [3]

    def task(config):
        folder = trivet.resume_dir()
        ran.append((round(config.x, 6), config.seed, folder.relative_to(tmp_path / "out").as_posix()))
        for epoch in (1, 2):
            trivet.report(9.0, epoch)
        if len(ran) - 1 in stop:
            stop.clear()
            raise KeyboardInterrupt
        return config.x + config.seed

    with pytest.raises(SystemExit) as ended:
        sweep(conf, task, ["hydra.sweep.dir=out"])
    assert ended.value.code == 130
    value = sweep(conf, task, ["hydra.sweep.dir=out"])
    assert [(seed, folder) for _, seed, folder in ran] == [
        *((3, "0/0"), (5, "0/1"), (3, "1/0"), (5, "1/1"), (5, "1/1")),
        *((3, "2/0"), (5, "2/1"), (3, "3/0"), (5, "3/1")),
    ]
    rows = tables.read_csv(tmp_path / "out" / "trials.csv")
    assert list(rows[0])[:10] == ["number", "state", "reason", "value", "step", "best_step", "mean", "std", "seed=3", "seed=5"]
    assert value == min(float(row["value"]) for row in rows) == 4.0
    for row in rows:
        assert float(row["seed=5"]) - float(row["seed=3"]) == pytest.approx(2.0) and row["step"] == "2"
    assert (tmp_path / "out" / "3" / "1" / ".hydra" / "config.yaml").is_file()
    assert tables.load_study(tmp_path / "out")["replicates"] == {"key": "seed", "values": [3, 5], "aggregate": "mean"}
    assert yaml_overrides(tmp_path / "out") == []  # of trial 0, the default: no seed of a replicate


def yaml_overrides(folder: Path):
    import yaml

    return yaml.safe_load((folder / "best.yaml").read_text())["overrides"]


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["hydra.sweeper.replicates.key=sed"], "sed: not in the config; did you mean seed?"),
        (["hydra.sweeper.replicates.key=x"], "replicates.key=x: is searched"),
        (["hydra.sweeper.replicates.values=[]"], "hydra.sweeper.replicates"),
        (["hydra.sweeper.replicates.values=[1,1]"], "replicates.values=1: is there twice"),
        (["+hydra.sweeper.replicates.aggregate=max"], "hydra.sweeper.replicates.aggregate=max: must be one of mean"),
        (["hydra.sweeper.direction=[minimize,maximize]"], "replicates: an aggregate is of a single objective"),
    ],
)
def test_what_is_refused_in_one_line(conf, overrides, said, capsys, tmp_path):
    with pytest.raises(SystemExit) as ended:
        sweep(conf, lambda config: config.x, ["hydra.sweep.dir=out", *overrides])
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert ended.value.code == 2 and line.startswith("error: ") and said in line
    assert not (tmp_path / "out").exists()


def test_a_replicate_that_fails_fails_the_trial(conf, tmp_path):
    def task(config):
        if config.seed == 5 and config.x > 0:
            raise ValueError("odd")
        return config.x

    sweep(conf, task, ["hydra.sweep.dir=out", "hydra.sweeper.max_failure_rate=1"])
    rows = tables.read_csv(tmp_path / "out" / "trials.csv")
    assert [row["state"] for row in rows] == ["COMPLETE", "FAIL", "FAIL", "FAIL"]
    assert rows[1]["reason"] == "ValueError: odd" and rows[1]["seed=3"] and not rows[1]["seed=5"]


def test_outcomes_of_replicates_need_no_more_than_a_value():
    assert outcome_of(JobReturn(status=JobStatus.COMPLETED, _return_value=2.0), 1) == Outcome("COMPLETE", (2.0,))


def test_a_listed_trial_with_replicates_has_the_runs_of_as_many_listed_trials(conf, tmp_path):
    """What the seeds stage publishes: runs.csv is, but for times, the trials.csv of a list with an entry for each run."""

    def task(config):
        for epoch in (1, 2, 3):
            trivet.report(config.x * config.seed - abs(epoch - 2), epoch, {"val/loss": epoch / config.seed})
        return config.x * config.seed

    def tables_of(folder, *names):
        return [
            [{k: v for k, v in row.items() if k not in tables.VARYING} for row in tables.read_csv(tmp_path / folder / n)] for n in names
        ]

    finalists = [{"overrides": [], "user_attrs": {"finalist": 0}}, {"overrides": ["x=2.5"], "user_attrs": {"finalist": 1}}]
    each = [{"overrides": [f"seed={s}", *f["overrides"]], "user_attrs": f["user_attrs"]} for f in finalists for s in (3, 5)]
    for name, content in (("runs", each), ("trials", {"replicates": {"key": "seed", "values": [3, 5]}, "trials": finalists})):
        Path(f"{name}.yaml").write_text(json.dumps(content))
        given = ["hydra.sweeper.params=null", "hydra.sweeper.replicates=null", "hydra.sweeper.n_trials=null", f"hydra.sweep.dir={name}"]
        sweep(conf, task, [*given, f"hydra.sweeper.sampler={{name: list, file: {name}.yaml}}", "hydra.sweeper.lag=1"])
    assert tables_of("trials", "runs.csv", "run_curves.csv") == tables_of("runs", "trials.csv", "curves.csv")
    first, last = tables_of("trials", "trials.csv")[0]
    assert (first["finalist"], last["finalist"], last["mean"], last["seed=3"]) == ("0", "1", "10.0", "7.5")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"trials": [["x=1"]], "seeds": [1]}, "seeds: unknown; must be a list of configurations, or a mapping of trials"),
        ({"trials": [["x=1"]], "replicates": {"key": "seed", "valeus": [1]}}, "sampler.file: replicates.valeus: unknown"),
        (
            {"trials": [["x=1"], ["x=2"]], "replicates": {"key": "seed", "values": [1], "race": 9}},
            "has 4 rounds with 2 trials, and there are 1",
        ),
        ({"trials": [["x=1"], ["x=2"]], "replicates": {"key": "seed", "values": [1], "race": 1}}, "less than one run for each of 2 trials"),
    ],
)
def test_what_a_list_with_replicates_refuses(conf, tmp_path, content, said, capsys):
    Path("listed.yaml").write_text(json.dumps(content))
    given = ["hydra.sweeper.params=null", "hydra.sweeper.replicates=null", "hydra.sweeper.n_trials=null", "hydra.sweep.dir=out"]
    with pytest.raises(SystemExit):
        sweep(conf, lambda config: config.x, [*given, "hydra.sweeper.sampler={name: list, file: listed.yaml}"])
    assert said in capsys.readouterr().err and not (tmp_path / "out").exists()
