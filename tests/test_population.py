"""Population-based training: who goes on from whom and with what, on functions with a known answer; then as any app's search.

pytest tests/test_population.py
"""

import json
import random
import signal
import statistics

import hydra_apps
import pytest
import yaml
from apps import quadratic
from apps.running import Running, assert_same, n_records, rows, run_all, send, until
from test_ruled import refused

import trivet
from trivet import space
from trivet.search import population
from trivet.search.population import Population
from trivet.search.rounds import Searched
from trivet.study import schedule, tables
from trivet.study.records import Official

LR, DEPTH, SIZE = space.Float(1e-3, 1.0, log=True), space.Int(1, 9), space.Choice((64, 16, 32))
GIVEN = {"population": 4, "interval": 2, "steps": 8, "quantile": 0.25, "perturb": [0.8, 1.25], "resample": 0.0, "change": ["*"], "held": []}


def done(number, value, params=None, steps=(1, 2), state="COMPLETE"):
    curve = [(step, value) for step in steps] if value is not None else []
    return Official(number, state, [value] if value is not None and state == "COMPLETE" else [], "", curve, params or {}, None, {})


@pytest.mark.parametrize(
    ("spec", "value", "factor", "expected"),
    [
        (LR, 0.1, 1.25, 0.125),
        (LR, 0.9, 1.25, 1.0),  # no further than the range
        (LR, 0.0011, 0.8, 1e-3),
        (space.Float(0.0, 0.5), 0.0, 1.25, 0.0),
        (space.Float(0.0, 1.0, step=0.25), 0.5, 1.25, 0.75),  # the next point, as the nearest is the same
        (space.Float(0.0, 1.0, step=0.25), 1.0, 1.25, 1.0),
        (DEPTH, 2, 1.25, 3),
        (DEPTH, 8, 0.8, 6),
        (DEPTH, 1, 0.8, 1),
        (space.Int(8, 64, step=8), 24, 0.8, 16),
        (SIZE, 32, 1.25, 64),
        (SIZE, 32, 0.8, 16),
        (SIZE, 64, 1.25, 64),
        (SIZE, 128, 0.8, 64),  # of a default outside the options
        (SIZE, 32, 1.0, 32),
        (space.Choice(("a", "b")), "a", 1.25, "a"),
        (space.Choice((True, False)), True, 0.8, True),
        (space.Choice((None, 1, 2)), 1, 1.25, 1),
        (LR, None, 1.25, None),
    ],
)
def test_a_value_moves_within_its_range(spec, value, factor, expected):
    found = population.perturbed(spec, value, factor)
    assert found == pytest.approx(expected) if isinstance(expected, float) else found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize(
    ("values", "quantile", "best", "replaced"),
    [
        ([1, 2, 3, 4], 0.25, [3], {0}),
        ([1, 2, 3, 4], 0.5, [3, 2], {0, 1}),
        ([1, 1, 1, 1], 0.25, [0], {3}),  # the earlier of equals is the better
        ([1, 2], 0.1, [1], {0}),  # at least one each
        ([1, None, None, 4, 2, 3, 0, 9], 0.25, [7, 3], {1, 2}),  # who failed is replaced
        ([None, None, None, 4], 0.25, [3], {0, 1, 2}),
        ([None, 1, None, 4], 0.5, [3, 1], {0, 2}),
        ([None, None], 0.5, [], set()),
    ],
)
def test_the_worst_are_replaced_by_the_best(values, quantile, best, replaced):
    before = [done(n, value, state="FAIL" if value is None else "COMPLETE") for n, value in enumerate(values)]
    found, gone = population.truncated(before, quantile, maximize=True)
    assert ([trial.number for trial in found], gone) == (best, replaced)
    turned = [done(t.number, None if v is None else -v, state=t.state) for t, v in zip(before, values, strict=True)]
    assert population.truncated(turned, quantile, maximize=False)[1] == gone


def rule(arguments=None, params=None, seed=0):
    params = params or [space.Param("h0", space.Float(0.0, 1.0)), space.Param("h1", space.Float(0.0, 1.0))]
    return Population({**GIVEN, **(arguments or {})}, Searched(params, {}, ["maximize"], seed))


def test_a_generation_follows_from_the_one_before_alone():
    plan, known = rule().plan([]), []
    first = next(plan)
    for n in range(4):
        known.append(done(n, float(n), first.propose(n, [], [])["params"]))
    second = plan.send(known)
    given = [second.propose(place, known, []) for place in range(4)]
    assert [g["start"]["trial"] for g in given] == [3, 1, 2, 3] and all(g["start"]["step"] == 2 and g["until"] == 4 for g in given)
    assert [g["attrs"] for g in given][1] == {"generation": 1, "member": 1, "parent": 1}
    assert given[1]["params"] == known[1].params and given[3]["params"] == known[3].params  # who is not replaced goes on unchanged
    ends = {
        key: [population.perturbed(space.Float(0.0, 1.0), known[3].params[key], factor) for factor in (0.8, 1.25)] for key in ("h0", "h1")
    }
    assert all(given[0]["params"][key] in ends[key] for key in ends)
    again = rule().plan([])
    next(again)
    assert [again.send(known).propose(place, known, []) for place in range(4)][:1] == given[:1]  # seeded by study and number


def test_what_is_held_goes_on_and_what_is_resampled_is_drawn_from_its_range():
    params = [space.Param("opt", space.Choice(("a", "b"))), space.Param("lr", LR, (("opt", "a"),)), space.Param("wd", LR, (("opt", "b"),))]
    params += [space.Param("depth", DEPTH)]
    made = rule({"resample": 1.0, "change": ["lr", "wd"], "held": ["opt"]}, params)
    values = {"opt": "a", "lr [opt=a]": 0.5, "depth": 4, "not.searched": 7}
    found = [made.explored(values, n, random.Random(n)) for n in range(20)]
    assert all({**one, "lr [opt=a]": 0} == {**values, "lr [opt=a]": 0} for one in found)
    drawn = {one["lr [opt=a]"] for one in found}
    assert len(drawn) == 20 and all(1e-3 <= value <= 1 for value in drawn) and min(drawn) < 0.03 < max(drawn)


HYPER = [{"h0": 1.0, "h1": 0.0}, {"h0": 0.0, "h1": 1.0}]


def climbed(number, params, theta):
    """Four steps of the paper's toy: where they lead, and the member as it is then."""
    a, b = theta[0] * (1 - 0.02 * params["h0"]) ** 4, theta[1] * (1 - 0.02 * params["h1"]) ** 4
    return (a, b), done(number, 1.2 - a * a - b * b, params)


def best_of(seed, exploit, explore):
    """The best of 80 steps of two members, each of which sees one side of the hill (figure 2 of the paper).

    Without exploiting a member with new settings goes on from its own point; without exploring the settings of the best are taken over.
    """
    how = {"resample": 0.25} if explore else {"resample": 0.0, "perturb": [1.0]}
    plan = rule({"population": 2, "interval": 4, "steps": 80, **how}, seed=seed)
    points, known = map(list, zip(*(climbed(i, HYPER[i], (0.9, 0.9)) for i in range(2)), strict=True))
    for made in rounds_of(plan.plan(known), known):
        given = [made.propose(place, known, []) for place in range(2)]
        parents = [g["start"]["trial"] if exploit else len(known) + place - 2 for place, g in enumerate(given)]
        new = [climbed(len(known) + i, g["params"], points[parent]) for i, (g, parent) in enumerate(zip(given, parents, strict=True))]
        points += [point for point, _ in new]
        known += [member for _, member in new]
    return max(member.values[0] for member in known)


def rounds_of(plan, known):
    """The rounds of a plan, each sent the trials that are known by then."""
    made = next(plan)
    while made is not None:
        yield made
        try:
            made = plan.send(list(known))
        except StopIteration:
            return


def test_exploiting_and_exploring_beats_either_alone():
    both, exploit, explore, neither = (
        statistics.mean(best_of(seed, *how) for seed in range(8)) for how in ((True, True), (True, False), (False, True), (False, False))
    )
    assert both > explore + 0.05 > neither + 0.2 > exploit + 0.2
    assert both > 1 and exploit < 1.2 - 0.81  # the other side is never climbed


# In an app ------------------------------------------------------------------------------------------------------------------------

RANGES = ["h0=interval(0,1)", "h1=interval(0,1)", "hydra.sweeper.direction=maximize", "hydra.sweeper.metric=height"]
PBT = "hydra.sweeper.sampler={name: pbt, population: 4, interval: 3, steps: 9, quantile: 0.25}"


@pytest.fixture(scope="module")
def conf(tmp_path_factory):
    text = yaml.safe_dump({"h0": 0.5, "h1": 0.5, "lr": 0.01, "epochs": 12, "pace": 0, "fail": -1.0, "opt": {"name": "plain"}})
    return hydra_apps.write(tmp_path_factory.mktemp("population") / "conf", {"config.yaml": text})


def swept(conf, folder, *more, task=quadratic.train):
    hydra_apps.sweep(conf, task, [PBT, *RANGES, f"hydra.sweep.dir={folder}", *more])
    return tables.read_csv(folder / "trials.csv")


@pytest.fixture(scope="module")
def whole(conf, tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole") / "sweep"
    return folder, swept(conf, folder)


def test_each_member_goes_on_from_its_parents_checkpoint_with_its_own_settings(whole):
    folder, found = whole
    assert len(found) == 12 and [row["state"] for row in found] == ["COMPLETE"] * 12
    assert (found[0]["h0"], found[0]["generation"], found[0]["parent"]) == ("0.5", "0", "")  # the default is a member
    ends = {row["number"]: json.loads((folder / row["number"] / "last.json").read_text()) for row in found}
    for row in found:
        step, a, b = ends[row["parent"]] if row["parent"] else (0, 0.9, 0.9)
        a, b = a * (1 - 0.02 * float(row["h0"])) ** 3, b * (1 - 0.02 * float(row["h1"])) ** 3
        assert ends[row["number"]] == pytest.approx([step + 3, a, b]) and row["step"] == str(step + 3)
        assert float(row["value"]) == pytest.approx(1.2 - a * a - b * b)
    exploited = [row for row in found if row["parent"] and int(row["parent"]) % 4 != int(row["member"])]
    assert len(exploited) == 2  # one in each generation but the first
    assert tables.load_study(folder)["stopped_by"] == "n_trials"


def test_its_steps_are_its_own_in_what_the_search_has_cost():
    assert Official(5, "COMPLETE", [1.0], "", [(4, 0.5), (6, 1.0)], {}, None, begin=3).cost == 3


def test_the_schedule_is_the_way_of_the_winner_and_trains_to_the_same_curve(whole, conf, tmp_path):
    folder, found = whole
    best = max(found, key=lambda row: float(row["value"]))
    assert yaml.safe_load((folder / "best.yaml").read_text())["schedule"] == "schedule.yaml"
    known = yaml.safe_load((folder / "schedule.yaml").read_text())
    way = schedule.lineage({int(r["number"]): int(r["parent"]) if r["parent"] else None for r in found}, int(best["number"]))
    assert [segment["trial"] for segment in known["segments"]] == way and known["trial"] == way[-1] and len(way) == 3
    assert [segment["until"] for segment in known["segments"]] == [3, 6, 9]
    assert f"-m +trivet=replay hydra.sweeper.direction=maximize hydra.sweeper.sampler.of={folder}" in known["command"]
    again = tmp_path / "again"
    hydra_apps.sweep(conf, quadratic.train, [f"hydra.sweeper.sampler={{name: replay, of: {folder}}}", f"hydra.sweep.dir={again}"])
    curve = [(row["step"], row["value"]) for row in tables.read_csv(again / "curves.csv")]
    expected = [(row["step"], row["value"]) for row in tables.read_csv(folder / "curves.csv") if int(row["number"]) in way]
    assert curve == expected and len(curve) == 9
    assert [row["replayed"] for row in tables.read_csv(again / "trials.csv")] == [str(number) for number in way]


def test_a_member_that_diverges_is_a_row_and_is_replaced(conf, tmp_path):
    found = swept(conf, tmp_path / "sweep", "fail=0.3", "hydra.sweeper.max_failure_rate=1")
    failed = [row for row in found if row["state"] == "FAIL"]
    assert failed and all(row["reason"].startswith("diverged: h0 is") for row in failed)
    parents = {row["parent"] for row in found}
    assert not parents & {row["number"] for row in failed} and len(found) == 12


def test_a_search_whose_members_all_fail_ends(conf, tmp_path):
    found = swept(conf, tmp_path / "sweep", "fail=2", "hydra.sweeper.max_failure_rate=1")
    assert [row["state"] for row in found] == ["FAIL"] * 4 and tables.load_study(tmp_path / "sweep")["stopped_by"] == "rule"
    assert not (tmp_path / "sweep" / "schedule.yaml").exists()


def anew(cfg):
    for step in range(1, cfg.epochs + 1):
        trivet.report(cfg.h0, step)


@pytest.mark.parametrize(
    ("task", "reason"),
    [
        (anew, "UserError: trivet.report: step=1: this trial goes on from step 3 of trial"),
        (lambda cfg: cfg.h0, "UserError: reported nothing: steps are counted by trivet.report(value, step)"),
    ],
)
def test_an_app_that_goes_on_from_nothing_is_told(task, reason, conf, tmp_path):
    found = swept(conf, tmp_path / "sweep", "hydra.sweeper.max_failure_rate=1", task=task)
    assert reason in found[-1]["reason"] and found[-1]["state"] == "FAIL"


def test_outside_a_population_nothing_is_gone_on_from(conf, tmp_path, monkeypatch):
    seen = []
    monkeypatch.setenv("TRIVET_START_FROM", str(tmp_path))  # of a trial that is a sweep of its own
    hydra_apps.sweep(
        conf,
        lambda _: seen.append(trivet.start_from()) or 1.0,
        ["hydra.sweeper.sampler=grid", "h0=0.1,0.2", f"hydra.sweep.dir={tmp_path / 's'}"],
    )
    assert seen == [None, None] and trivet.start_from() == tmp_path
    monkeypatch.setenv("TRIVET_START_FROM", str(tmp_path / "gone"))
    with pytest.raises(trivet.UserError, match="gone is not on this machine"):
        trivet.start_from()


def test_a_trial_that_had_told_its_last_step_when_it_was_killed_does_not_run_again(whole, conf, tmp_path):
    ran = []

    def dies_late(cfg):
        ran.append(len(ran))
        try:
            return quadratic.train(cfg)
        except trivet.TrialPruned:
            if len(ran) == 6:
                raise KeyboardInterrupt from None
            raise

    with pytest.raises(SystemExit):
        swept(conf, tmp_path / "sweep", task=dies_late)
    swept(conf, tmp_path / "sweep", task=dies_late)
    assert len(ran) == 12
    assert_same(tmp_path / "sweep", whole[0])


@pytest.mark.parametrize(
    ("sampler", "more", "message"),
    [
        ("{name: pbt}", ["h0=interval(0,1)"], "hydra.sweeper.sampler.interval: is missing (pbt needs it): give"),
        ("{name: pbt, interval: 0}", ["h0=interval(0,1)"], "hydra.sweeper.sampler.interval=0: must be a whole number >= 1"),
        ("{name: pbt, interval: 1, population: 1}", ["h0=interval(0,1)"], "hydra.sweeper.sampler.population=1: must be"),
        ("{name: pbt, interval: 1, quantile: 0.6}", ["h0=interval(0,1)"], "hydra.sweeper.sampler.quantile=0.6: must be"),
        ("{name: pbt, interval: 1, perturb: []}", ["h0=interval(0,1)"], "hydra.sweeper.sampler.perturb=[]: must be"),
        ("{name: pbt, interval: 1, resample: 2}", ["h0=interval(0,1)"], "hydra.sweeper.sampler.resample=2: must be"),
        ("{name: pbt, interval: 1}", ["h0=interval(0,1)"], "hydra.sweeper.sampler.steps: is missing, and so is hydra.sweeper.n_trials"),
        ("{name: pbt, interval: 1, steps: 2}", [], "nothing to search"),
        ("{name: pbt, interval: 1, steps: 2, change: [x]}", ["h0=interval(0,1)"], "change=['x']: nothing that is searched may change"),
        ("{name: pbt, interval: 1, steps: 2}", ["h0=interval(0,1)", "hydra.sweeper.pruner=median"], "hydra.sweeper.pruner: pbt needs the"),
        ("{name: pbt, interval: 1, steps: 2}", ["h0=interval(0,1)", "+hydra.sweeper.replicates={key: h1, values: [1]}"], "leave the"),
        ("{name: pbt, interval: 1, steps: 2}", ["h0=interval(0,1)", "hydra.sweeper.custom_search_space=a.b"], "draws from given"),
        ("{name: pbt, interval: 1, steps: 2, population: 2}", ["h0=interval(0,1)", "hydra.sweeper.enqueue=[{h0: 1},{h0: 0}]"], "3 trials"),
        ("{name: pbt, interval: 1, steps: 2, hold: ['h*']}", ["h0=interval(0,1)"], "h0: may not change on the way, as checkpoints belong"),
        ("{name: pbt, interval: 1, steps: 2}", ["generation=interval(0,1)"], "generation"),
        ("{name: replay}", [], "hydra.sweeper.sampler.of: is missing"),
        ("{name: replay, of: nowhere}", [], "nowhere/schedule.yaml"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_one_line_before_any_trial(conf, tmp_path, capsys, sampler, more, message):
    assert message in refused(conf, tmp_path / "sweep", capsys, sampler, *more)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("segments: []", "segments=[]: must be"),
        ("segments: [{trial: 1, until: 3, overrides: [h0=0.1]}, {trial: 2, until: 3, overrides: []}]", "must end one after the other"),
        ("segments: [{trial: 1, until: 3, overrides: [h3=0.1]}]", "h3: not in the config"),
        ("[1]", "must hold a mapping"),
    ],
)
def test_a_schedule_that_is_none_is_refused(content, message, conf, tmp_path, capsys):
    (tmp_path / "schedule.yaml").write_text(content)
    assert message in refused(conf, tmp_path / "sweep", capsys, f"{{name: replay, of: {tmp_path}}}")


def test_what_does_not_change_on_the_way_is_told(conf, tmp_path, caplog):
    given = ["h0=interval(0,1)", "opt.name=a,b", "hydra.sweeper.direction=maximize", f"hydra.sweep.dir={tmp_path / 's'}"]
    sampler = "hydra.sweeper.sampler={name: pbt, population: 4, interval: 3, steps: 6, change: [h0]}"
    with caplog.at_level("INFO"):
        hydra_apps.sweep(conf, quadratic.train, [sampler, *given])
    assert "pbt: opt.name: drawn once, and handed on with the checkpoint" in caplog.text
    found = tables.read_csv(tmp_path / "s" / "trials.csv")
    assert all(row["opt.name"] == found[int(row["parent"])]["opt.name"] for row in found if row["parent"])


@pytest.mark.slow
def test_the_table_is_the_same_for_every_number_of_workers_and_after_a_kill(tmp_path):
    given = ["-m", "+trivet=pbt", *RANGES, "hydra.sweep.dir=sweep", "hydra.sweeper.sampler.population=6"]
    commands = [(tmp_path / f"{n}", [*given, f"hydra.sweeper.n_jobs={n}", f"pace={0.01 * (n > 1)}"]) for n in (1, 4)]
    for ended in run_all("quadratic.py", commands, cwd=tmp_path):
        assert ended.code == 0, ended.text
    killed = tmp_path / "killed"
    killed.mkdir()
    for moment in (40, 90, 10**9):
        with Running("quadratic.py", *given, "hydra.sweeper.n_jobs=2", "pace=0.01", cwd=killed) as running:
            until(lambda: running.over or n_records(killed / "sweep") > moment, "some records")  # noqa: B023
            if not running.over:
                for pid in running.members():
                    send(pid, signal.SIGKILL)
            code = running.wait().code
    assert code == 0 and len(rows(killed / "sweep")) == 24
    for other in (tmp_path / "4", killed):
        assert_same(other / "sweep", tmp_path / "1" / "sweep")
        here, there = (yaml.safe_load((folder / "sweep" / "schedule.yaml").read_text()) for folder in (other, tmp_path / "1"))
        assert here["segments"] == there["segments"]
