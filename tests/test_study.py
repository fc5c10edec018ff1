"""A study shared by simulated workers: the same table for every schedule, with kills at any point, for every sampler and pruner."""

import math
import random
from dataclasses import replace

import pytest
from optuna.trial import TrialState
from simulated_workers import Killed, SimulatedWorker, quality, run_alone, run_scheduled, run_together, spec_of, table, two_objectives

from trivet import space
from trivet.search.sampling import Sampler
from trivet.study.records import Claim, Outcome
from trivet.study.study import Study
from trivet.study.view import View

N = 14
TPE = ("tpe", {"n_startup_trials": 3})
PRUNERS = [
    None,
    "asha",
    {"name": "median", "n_startup_trials": 2},
    {"name": "hyperband", "max_resource": 6, "reduction_factor": 2},
    {"name": "threshold", "gaps": {1: 0.4, 4: 0.2}},
    {"name": "patient", "patience": 2, "pruner": {"name": "percentile", "percentile": 50.0, "n_startup_trials": 2}},
]
GRID = [{"params": {"x": float(i), "kind": None}, "overrides": None} for i in range(N)]
LIST = [{"params": {"x": 9.0, "extra": [1, 2]}, "overrides": ["x=9.0", "+extra=[1,2]"]}] * N


# The core promise ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("pruner", PRUNERS, ids=str)
def test_every_schedule_gives_the_table_of_one_worker(tmp_path, pruner):
    expected = run_alone(spec_of(tmp_path / "alone", TPE, pruner, 20))
    assert len(expected[0]) == 21
    for i, (n_workers, p_kill) in enumerate([(1, 0.1), (2, 0.0), (4, 0.04)]):
        assert run_scheduled(spec_of(tmp_path / str(i), TPE, pruner, 20), random.Random(i), n_workers, p_kill) == expected


@pytest.mark.parametrize("sampler", ["random", "qmc", "cmaes", "grid", "list"])
def test_every_sampler_too(tmp_path, sampler):
    explicit = {"grid": GRID, "list": LIST}.get(sampler, [])
    pruner = {"name": "median", "n_startup_trials": 2}
    expected = run_alone(spec_of(tmp_path / "alone", sampler, pruner, N, explicit=tuple(explicit)))
    for i, (n_workers, p_kill) in enumerate([(1, 0.1), (4, 0.04)]):
        spec = spec_of(tmp_path / str(i), sampler, pruner, N, explicit=tuple(explicit))
        assert run_scheduled(spec, random.Random(i), n_workers, p_kill) == expected


def test_a_gaussian_process_too(tmp_path):
    """It is shown the parameters of pending trials: whoever runs them, they are written before the next trial is sampled."""
    gp = ("gp", {"n_startup_trials": 4})
    expected = run_alone(spec_of(tmp_path / "alone", gp, "asha", 16, lag=3))
    for i, (n_workers, p_kill) in enumerate([(1, 0.1), (4, 0.04), (3, 0.0)]):
        assert run_scheduled(spec_of(tmp_path / str(i), gp, "asha", 16, lag=3), random.Random(i), n_workers, p_kill) == expected


def test_pending_trials_are_told_with_their_parameters_alone(tmp_path):
    told = {}

    class Spy(Sampler):
        def ask(self, number, known, extend=None, pending=()):
            told[number] = ([t.number for t in known], [t.number for t in pending])
            assert all(t.params and t.state == TrialState.RUNNING and t.values is None and not t.intermediate_values for t in pending)
            return super().ask(number, known, extend, pending)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("trivet.study.study.Sampler", Spy)
        run_scheduled(spec_of(tmp_path, ("gp", {"n_startup_trials": 4}), None, 9, lag=2), random.Random(1), 3)
    assert told == {i: (list(range(max(0, i - 2))), list(range(max(0, i - 2), i))) for i in range(9)}


@pytest.mark.parametrize("sampler", [("nsgaii", {"population_size": 4}), TPE], ids=str)
def test_several_objectives_too(tmp_path, sampler):
    def spec(folder):
        return spec_of(tmp_path / folder, sampler, None, 20, directions=("maximize", "minimize"))

    expected = run_alone(spec("alone"), two_objectives)
    assert expected[0][0][3:5] == ["value_0", "value_1"]
    for i in range(2):
        assert run_scheduled(spec(str(i)), random.Random(i), 4, 0.04, two_objectives) == expected


@pytest.mark.slow
def test_a_database_gives_the_same_table(tmp_path):
    expected = run_alone(spec_of(tmp_path / "journal", TPE, "asha", 10))
    spec = spec_of(tmp_path / "database", TPE, "asha", 10, storage=f"sqlite:///{tmp_path}/study.db")
    assert run_scheduled(spec, random.Random(0), 3, 0.03) == expected


def test_a_trial_that_stops_itself_has_no_values_where_several_are_asked_for(tmp_path):
    spec = spec_of(tmp_path, ("nsgaii", {"population_size": 4}), None, 12, directions=("maximize", "minimize"), lag=1)

    def trial(number, params):
        rows, outcome = two_objectives(number, params)
        return ([(1, 0.5)], Outcome("PRUNED")) if number % 3 == 0 else (rows, outcome)

    header, *rows = run_alone(spec, trial)[0]
    for row in rows[::3]:
        assert dict(zip(header, row, strict=True)) | {"state": "PRUNED", "value_0": "", "value_1": "", "step": "1"} == dict(
            zip(header, row, strict=True)
        )


@pytest.mark.parametrize("torn", [False, True])
def test_killed_at_every_write_and_continued(tmp_path, torn):
    """A worker dies at its k-th append to the journal, for every k; another one goes on."""
    spec = spec_of(tmp_path / "alone", TPE, {"name": "median", "n_startup_trials": 1}, 5, lag=1)
    first = SimulatedWorker(spec)
    first.run()
    expected, n_appends = table(spec), first.n_appends
    assert n_appends > 30
    for k in range(1, n_appends + 1, 1 if torn else 2):
        folder = tmp_path / f"{torn}{k}"
        worker = SimulatedWorker(replace(spec, folder=str(folder), session="first"), die_at=k, torn=torn, rng=random.Random(k))
        with pytest.raises(Killed):
            worker.run()
        worker.kill()
        again = replace(spec, folder=str(folder), session="second")
        SimulatedWorker(again).run()
        assert table(again) == expected, f"killed at append {k} of {n_appends}"


def test_killed_again_and_again_with_others_at_work(tmp_path):
    spec = spec_of(tmp_path / "alone", TPE, "asha", 12)
    expected = run_alone(spec)
    for i in range(3):
        assert run_scheduled(spec_of(tmp_path / str(i), TPE, "asha", 12), random.Random(10 + i), 3, 0.25) == expected


def test_the_total_holds_over_resumes_and_grows(tmp_path):
    spec = spec_of(tmp_path / "study", TPE, "asha", 5)
    five = run_alone(spec)
    assert run_alone(spec) == five  # nothing is left to do
    twelve = run_scheduled(replace(spec, stop=replace(spec.stop, n_trials=12)), random.Random(0), 3)
    assert twelve == run_alone(spec_of(tmp_path / "alone", TPE, "asha", 12))
    assert len(twelve[0]) == 13 and run_alone(spec) == twelve  # a smaller total takes nothing back


def test_another_seed_is_another_table(tmp_path):
    assert run_alone(spec_of(tmp_path / "a", "random", None, 4)) != run_alone(spec_of(tmp_path / "b", "random", None, 4, seed=4))


# Who may begin, and knowing what -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lag", [1, 2, 5])
def test_lag_is_kept_and_nobody_waits_without_need(tmp_path, lag):
    spec = spec_of(tmp_path, TPE, "asha", 18, lag=lag)
    known_of, n_waits, most = {}, 0, 0

    def watch(workers, worker, action):
        nonlocal n_waits, most
        n, settled = len(worker.study.trials), worker.study.history.n_settled
        if isinstance(action, Claim):
            assert not action.resumed and action.number <= settled + lag
            # A trial whose verdict its worker has yet to hear of is settled, and no longer counts.
            running = [w.claimed for w in workers if w.claimed is not None and not worker.study.history.curve(w.claimed).final]
            most = max(most, len(running))
            assert len(running) <= lag + 1
        if action == "wait":
            n_waits += 1
            assert settled < n - lag or n == 18  # trial n - lag - 1 still runs, or all have begun and some still run

    def spied(study):
        ask = study.sampler.ask

        def call(number, known, extend=None, pending=()):
            known_of[number] = [t.number for t in known]
            return ask(number, known, extend, pending)

        study.sampler.ask = call

    original = Study.__init__
    Study.__init__ = lambda self, *args, **kwargs: (original(self, *args, **kwargs), spied(self))[0]
    try:
        run_scheduled(spec, random.Random(lag), 8, watch=watch)
    finally:
        Study.__init__ = original
    assert known_of == {i: list(range(max(0, i - lag))) for i in range(18)}
    assert n_waits > 0 and most == lag + 1


def test_samplers_that_look_at_nothing_do_not_wait(tmp_path):
    spec = spec_of(tmp_path, "random", "asha", 8, lag=1)
    workers = [SimulatedWorker(spec, str(i)) for i in range(8)]
    assert [w.advance() for w in workers] == [Claim(i, False) for i in range(8)]
    late = SimulatedWorker(spec)
    assert late.advance() in ("wait", "stop: n_trials")
    run_together(late, *reversed(workers))  # the last trial first: its verdicts all wait
    assert late.over == "stop: n_trials"
    assert table(spec) == run_alone(spec_of(tmp_path / "alone", "random", "asha", 8))


def test_given_trials_come_first_and_the_rest_knows_them(tmp_path):
    given = [{"params": {"x": 1.0, "kind": "a", "lr [kind=a]": 0.01}, "overrides": ["x=1.0", "kind=a", "lr=0.01"]}, GRID[0]]
    spec = spec_of(tmp_path, TPE, None, 6, explicit=tuple(given), lag=1)
    header, *rows = run_alone(spec)[0]
    assert rows[0][header.index("x")] == "1.0" and rows[0][header.index("lr")] == "0.01"
    assert rows[1][header.index("x")] == "0.0" and rows[1][header.index("kind")] == "null"
    study = Study(spec)
    assert study.overrides_of(0) == ({"kind": "a"}, ["x=1.0", "lr=0.01"])
    assert study.overrides_of(1) == ({"kind": None}, ["x=0.0"])
    assert study.trials[0].params == {"x": 1.0, "kind": "a", "lr [kind=a]": 0.01}
    study.close()


def test_options_of_any_kind_come_back_as_they_are(tmp_path):
    options = ([1, 2], [3], "a", None, 1, True, 0.5, {"k": [1]})
    params = (space.Param("p", space.Choice(options)), space.Param("q", space.Choice((False, 0))))
    given = [{"params": {"p": option, "q": q}, "overrides": None} for option in options for q in (False, 0)]
    for sampler in ("random", TPE):
        spec = spec_of(tmp_path / str(sampler), sampler, None, 60, params=params, explicit=tuple(given), groups=())
        run_alone(spec, lambda number, params: ([], Outcome("COMPLETE", (number * 7 % 5 / 5,))))
        study = Study(spec)
        seen = [study.params_of(i) for i in range(60)]
        assert repr(seen[:16]) == repr([g["params"] for g in given])
        assert {repr(p["p"]) for p in seen[16:]} == {repr(option) for option in options}
        assert {repr(p["q"]) for p in seen[16:]} == {"False", "0"}
        study.close()


# Reports -----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("hurried", [False, True])
def test_a_step_again_or_before_the_last_changes_nothing(tmp_path, hurried):
    spec = spec_of(tmp_path, "random", None, 1)
    worker = SimulatedWorker(spec)
    worker.advance()
    for step, value in [(1, 0.5), (1, 0.9), (3, 0.7), (2, 0.8), (3, 0.1), (4, 0.2)]:
        worker.study._sync_due = math.inf if hurried else 0.0  # whether it reads the journal in between
        worker.study.report(0, step, value)
    worker.study.tell(0, Outcome("COMPLETE", (0.7,)))
    worker.close()
    assert table(spec)[1][1] == [["0", "1", "0.5"], ["0", "3", "0.7"], ["0", "4", "0.2"]]


def test_a_verdict_that_comes_after_the_end_cuts_the_record(tmp_path):
    """Trial 1 runs to its end before trial 0 has reached a step: what it trained past the verdict is overrun."""
    spec = spec_of(tmp_path, "random", {"name": "median", "n_startup_trials": 1}, 3)
    slow, fast = SimulatedWorker(spec, "slow"), SimulatedWorker(spec, "fast")
    assert slow.advance() == Claim(0, False) and fast.advance() == Claim(1, False)
    for step in (1, 2, 3):
        assert not fast.study.report(1, step, 0.1)
    fast.study.tell(1, Outcome("COMPLETE", (0.1,)))
    assert [t.number for t in fast.study.finished()] == []
    assert fast.study.claim("fast") == Claim(2, False)  # a parked trial is not taken over
    for step in (1, 2, 3):
        slow.study.report(0, step, 0.5)
    slow.study.tell(0, Outcome("COMPLETE", (0.5,)))
    fast.study.tell(2, Outcome("COMPLETE", (0.9,)))
    slow.study.settle_all()
    (_, *rows), curves = table(spec, upto="x")
    assert rows == [["0", "COMPLETE", "", "0.5", "3", "1"], ["1", "PRUNED", "", "0.1", "1", "1"], ["2", "COMPLETE", "", "0.9", "", ""]]
    assert [row[:2] for row in curves[1]] == [["0", "1"], ["0", "2"], ["0", "3"], ["1", "1"]]
    slow.close()
    fast.close()
    study = Study(spec)
    assert [t.state.name for t in study.trials] == ["COMPLETE", "PRUNED", "COMPLETE"]  # written, not only known
    study.close()


def test_pruned_though_it_failed_later(tmp_path):
    """What happens past the verdict is no part of the record, a failure neither: another schedule would have stopped before it."""
    spec = spec_of(tmp_path, "random", {"name": "median", "n_startup_trials": 1}, 2)
    slow, fast = SimulatedWorker(spec, "slow"), SimulatedWorker(spec, "fast")
    slow.advance(), fast.advance()
    for step in (1, 2):
        fast.study.report(1, step, 0.1)
    fast.study.tell(1, Outcome("FAIL", reason="diverged"))
    slow.study.report(0, 1, 0.5)
    slow.study.tell(0, Outcome("COMPLETE", (0.5,)))
    slow.close()
    fast.close()
    assert table(spec, upto="x")[0][2] == ["1", "PRUNED", "", "0.1", "1", "1"]


# Workers that die ----------------------------------------------------------------------------------------------------------------


def test_a_dead_workers_trial_goes_on_with_its_parameters(tmp_path):
    spec = spec_of(tmp_path, TPE, None, 3)
    dead = SimulatedWorker(spec, "dead")
    dead.advance(), dead.advance()
    before = dead.study.params_of(0)
    other = SimulatedWorker(spec, "other")
    assert other.advance() == Claim(1, False)  # trial 0 lives
    dead.kill()
    third = SimulatedWorker(spec, "third")
    assert third.advance() == Claim(0, True)
    assert third.study.params_of(0) == before
    run_together(third, other)
    assert table(spec) == run_alone(spec_of(tmp_path / "alone", TPE, None, 3))


def test_a_trial_that_kills_its_workers_fails_in_the_end(tmp_path):
    spec = spec_of(tmp_path, "random", None, 2, max_restarts=2)
    for attempt in range(3):
        worker = SimulatedWorker(spec)
        assert worker.advance() == Claim(0, attempt > 0)
        worker.kill()
    SimulatedWorker(spec, trial=lambda *_: ([], Outcome("COMPLETE", (0.5,)))).run()
    assert [row[:4] for row in table(spec)[0][1:]] == [
        ["0", "FAIL", "its worker died 3 times without a new step", ""],
        ["1", "COMPLETE", "", "0.5"],
    ]


def test_a_new_step_gives_a_trial_its_lives_back(tmp_path):
    spec = spec_of(tmp_path, "random", None, 1, max_restarts=1)
    for step in range(1, 6):
        worker = SimulatedWorker(spec)
        assert isinstance(worker.advance(), Claim)
        worker.study.report(0, step, 0.5)
        worker.kill()
    SimulatedWorker(spec, trial=lambda number, params: ([(6, 0.5)], Outcome("COMPLETE", (0.5,)))).run()
    assert table(spec)[0][1][1] == "COMPLETE"


def test_deaths_of_whole_sweeps_are_not_the_trials_fault(tmp_path):
    spec = spec_of(tmp_path, "random", None, 1, max_restarts=0)
    for session in range(5):
        worker = SimulatedWorker(replace(spec, session=str(session)))
        assert isinstance(worker.advance(), Claim)
        worker.kill()
    SimulatedWorker(replace(spec, session="last"), trial=lambda *_: ([], Outcome("COMPLETE", (0.5,)))).run()
    assert table(spec)[0][1][1] == "COMPLETE"


def test_two_sweeps_at_once_share_the_trials(tmp_path):
    spec = spec_of(tmp_path, TPE, "asha", 10)
    workers = [SimulatedWorker(replace(spec, session=str(i % 2)), f"worker-{i}") for i in range(4)]
    rng, began = random.Random(0), []
    while any(w.over is None for w in workers):
        worker = rng.choice([w for w in workers if w.over is None])
        action = worker.advance()
        if isinstance(action, Claim):
            assert not action.resumed
            began.append(action.number)
    assert sorted(began) == list(range(10))
    for worker in workers:
        worker.close()
    assert table(spec) == run_alone(spec_of(tmp_path / "alone", TPE, "asha", 10))


# Failures ------------------------------------------------------------------------------------------------------------------------


def failing(numbers):
    return lambda number, params: ([], Outcome("FAIL", reason="no luck") if number in numbers else Outcome("COMPLETE", (1.0,)))


@pytest.mark.parametrize(
    ("rate", "failed", "why", "n"),
    [
        (0.5, range(100), "stop: failure_rate", 13),  # ten are finished when trial 13 would begin (lag 3)
        (0.5, range(1, 100, 2), "stop: n_trials", 30),  # half is not more than half
        (0.5, range(0, 6), "stop: failure_rate", 13),  # six of the first ten
        (0.4, range(0, 5), "stop: failure_rate", 13),
        (0.0, [2], "stop: failure_rate", 13),
        (0.0, [25], "stop: failure_rate", 29),
        (1.0, range(100), "stop: n_trials", 30),
    ],
)
def test_failure_rate(tmp_path, rate, failed, why, n):
    spec = spec_of(tmp_path / "alone", "random", None, 30, max_failure_rate=rate)
    worker = SimulatedWorker(spec, trial=failing(set(failed)))
    assert worker.run() == why
    expected = table(spec)
    assert len(expected[0]) - 1 == n
    for i in range(2):
        again = spec_of(tmp_path / str(i), "random", None, 30, max_failure_rate=rate)
        assert run_scheduled(again, random.Random(i), 4, 0.02, failing(set(failed))) == expected


def test_at_the_end_few_trials_are_enough_to_tell_a_failure_rate(tmp_path):
    spec = spec_of(tmp_path, "random", None, 4, max_failure_rate=0.5)
    run_alone(spec, failing({0, 1, 2}))
    study = Study(spec)
    assert study.why_stopped() == "n_trials" and study.failed_too_often()
    study.close()


# Earlier sweeps --------------------------------------------------------------------------------------------------------------------


def warm_rows(n=30):
    rng = random.Random(0)
    rows = []
    for i in range(n):
        x, lr = rng.uniform(-5, 5), 10 ** rng.uniform(-4, 0)
        params = {"x": x, "kind": "a", "lr [kind=a]": lr}
        curve = [[s, quality(params) - 1 / s] for s in range(1, 7)]
        state = "PRUNED" if i % 5 == 0 else "COMPLETE"
        rows.append({"params": params, "state": state, "values": [quality(params)], "curve": curve})
    return rows


def test_earlier_sweeps_teach_from_the_first_trial_on(tmp_path):
    cold = spec_of(tmp_path / "cold", TPE, None, 10)
    warm = spec_of(tmp_path / "warm", TPE, None, 10, warm=tuple(warm_rows()))
    best = {}
    for spec in (cold, warm):
        rows = run_alone(spec, lambda number, params: ([], Outcome("COMPLETE", (quality(params),))))[0]
        best[spec is warm] = sorted(float(row[3]) for row in rows[1:])[5]
    assert best[True] > best[False] + 0.3
    expected = run_alone(replace(warm, folder=str(tmp_path / "again")))
    assert run_scheduled(replace(warm, folder=str(tmp_path / "many")), random.Random(0), 3, 0.03) == expected


def test_earlier_sweeps_keep_joint_modelling(tmp_path):
    """TPE models jointly only what has one distribution in all trials: warm rows must be declared in the present ranges."""
    spec = spec_of(tmp_path, TPE, None, 4, warm=tuple(warm_rows()))
    run_alone(spec)
    study = Study(spec)
    trials = study._known
    for name in ("x", "kind", "lr [kind=a]"):
        assert len({t.distributions[name] for t in trials if name in t.distributions}) == 1
    assert [t.number for t in trials[:30]] == list(range(-30, 0))
    study.close()


def test_earlier_curves_prune_only_when_asked(tmp_path):
    rows = tuple(replace_curve(row) for row in warm_rows(6))
    pruner = {"name": "median", "n_startup_trials": 4}
    bad = lambda *_: ([(1, 0.1), (2, 0.1)], Outcome("COMPLETE", (0.1,)))  # noqa: E731
    for asked, state in ((False, "COMPLETE"), (True, "PRUNED")):
        spec = spec_of(tmp_path / str(asked), TPE, pruner, 1, warm=rows, warm_prunes=asked)
        assert run_alone(spec, bad)[0][1][1] == state


def replace_curve(row):
    return {**row, "curve": [[1, 0.5], [2, 0.5]]}


def test_earlier_sweeps_with_several_objectives(tmp_path):
    rows = tuple({**row, "values": [row["values"][0], 0.3]} for row in warm_rows() if row["state"] == "COMPLETE")
    spec = spec_of(tmp_path, TPE, None, 5, warm=rows, directions=("maximize", "minimize"))
    assert len(run_alone(spec, two_objectives)[0]) == 6


# Looking at a study -----------------------------------------------------------------------------------------------------------------


def test_a_view_writes_nothing_and_gives_no_verdict(tmp_path):
    spec = spec_of(tmp_path, TPE, "asha", 6)
    worker = SimulatedWorker(spec)
    for _ in range(20):
        worker.advance()
    before = (tmp_path / "journal.log").read_bytes()
    view = View(spec)
    assert [t.number for t in view.trials] == list(range(len(worker.study.trials)))
    assert {t.number for t in view.finished()} <= {t.number for t in worker.study.trials}
    assert (tmp_path / "journal.log").read_bytes() == before
    worker.run()
    view.sync()
    assert [t.state for t in view.finished()] == [row[1] for row in table(spec)[0][1:]]


def test_a_view_of_nothing_says_so(tmp_path):
    from trivet.errors import UserError

    with pytest.raises(UserError, match="holds no study"):
        View(spec_of(tmp_path))
