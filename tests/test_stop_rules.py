"""When a sweep ends: the rules as tables, and the same last trial for every schedule of workers."""

import random
import time
from dataclasses import replace

import pytest
from simulated_workers import SimulatedWorker, run_alone, run_scheduled, run_together, spec_of, table

from trivet import copied
from trivet.errors import UserError
from trivet.search.samplers import SamplerSpec
from trivet.search.stopping import StopRules
from trivet.study.records import Official, Outcome
from trivet.study.study import Study
from trivet.sweep.rules import stop_rules, tell_few
from trivet.sweep.settings import Settings

N = None


def trials(*values):
    """Finished trials: a number completed with it, None failed, (value,) was pruned with it; each reported three steps."""
    result = []
    for i, value in enumerate(values):
        state = "FAIL" if value is None else "PRUNED" if isinstance(value, tuple) else "COMPLETE"
        given = [] if value is None else list(value) if isinstance(value, tuple) else [value]
        result.append(Official(i, state, given, "", [(1, 0.0), (3, 0.0)], {}, None))
    return result


@pytest.mark.parametrize(
    ("rule", "values", "reason"),
    [
        ({}, [1, 2, 3], N),
        ({"epochs": 9}, [1, 2], N),
        ({"epochs": 9}, [1, N, (2,)], "epochs"),  # steps of failed and pruned trials count
        ({"epochs": 9}, [N, N, N], "epochs"),
        ({"target": 3}, [1, 2], N),
        ({"target": 3}, [1, 3, 2], "target"),
        ({"target": 3}, [1, (9,), N], N),  # only a completed trial reaches it
        ({"target": 0}, [0.0], "target"),
        ({"same_best": 2}, [5, 1], N),
        ({"same_best": 2}, [5, 1, 5], "same_best"),  # an equal one is no better
        ({"same_best": 2}, [5, N, (9,)], "same_best"),
        ({"same_best": 2}, [1, 2, 3, 4], N),
        ({"same_best": 2}, [N, N, N], N),  # no best yet
        ({"same_best": 2}, [N, N, N, 1, 0], N),
        ({"plateau": {"trials": 2, "delta": 0.5}}, [1, 1], N),
        ({"plateau": {"trials": 2, "delta": 0.5}}, [1, 1, 1], "plateau"),
        ({"plateau": {"trials": 2, "delta": 0.5}}, [1, 1.4, 1.5], "plateau"),
        ({"plateau": {"trials": 2, "delta": 0.5}}, [1, 1.4, 1.6], N),
        ({"plateau": {"trials": 2, "delta": 0}}, [3, 1, 2], "plateau"),
        ({"plateau": {"trials": 2, "delta": 0}}, [N, N, 1], N),  # from nothing to something
        ({"plateau": {"trials": 2, "delta": 0}}, [N, N, N, N], N),
        ({"plateau": {"trials": 2, "delta": 0}, "target": 3}, [3, 1, 2], "target"),
        ({"target": 3}, [], N),
    ],
)
def test_rules(rule, values, reason):
    stop = StopRules(n_trials=100, **rule)
    assert stop.reason(trials(*values), True) == reason
    turned = [v if v is None else (-v[0],) if isinstance(v, tuple) else -v for v in values]
    if "target" in rule:
        stop = replace(stop, target=-rule["target"])
    assert stop.reason(trials(*turned), False) == reason


def test_a_copy_costs_no_epochs():
    done = trials(1, 2, (3,))
    copies = [replace(trial, reason=copied.reason(0)) for trial in done]
    rule = StopRules(n_trials=100, epochs=9)
    assert rule.reason([*done[:2], *copies], maximize=True) is None
    assert rule.reason([*done, *copies], maximize=True) == "epochs"
    failed = replace(trials(N)[0], reason=copied.reason(0))  # whatever an app's error says
    assert (done[0].cost, copies[0].cost, failed.cost) == (3, 0, 3)


@pytest.mark.parametrize(
    ("rule", "why"),
    [
        ({"epochs": 40}, "epochs"),
        ({"target": 0.4}, "target"),
        ({"same_best": 6}, "same_best"),
        ({"plateau": {"trials": 8, "delta": 0.02}}, "plateau"),
        ({"epochs": 10_000}, "n_trials"),
    ],
)
def test_every_schedule_stops_at_the_same_trial(tmp_path, rule, why):
    sampler = ("tpe", {"n_startup_trials": 3}) if "target" in rule else "random"
    spec = spec_of(tmp_path / "alone", sampler, "asha", 30, stop=rule)
    worker = SimulatedWorker(spec)
    assert worker.run() == f"stop: {why}"
    expected = table(spec)
    n = len(expected[0]) - 1
    assert n == 30 if why == "n_trials" else 5 < n < 30
    for i, (n_workers, p_kill) in enumerate([(2, 0.05), (5, 0.02)]):
        assert run_scheduled(spec_of(tmp_path / str(i), sampler, "asha", 30, stop=rule), random.Random(i), n_workers, p_kill) == expected
    assert run_alone(spec) == expected  # again: it has stopped
    study = Study(spec)
    assert study.why_stopped() == why
    study.close()


def test_a_sweep_that_stopped_goes_on_when_its_rule_is_lifted(tmp_path):
    spec = spec_of(tmp_path / "a", "random", "asha", 16, stop={"same_best": 4})
    n = len(run_alone(spec)[0]) - 1
    assert n < 16
    assert run_alone(spec_of(tmp_path / "a", "random", "asha", 16)) == run_alone(spec_of(tmp_path / "b", "random", "asha", 16))


def test_a_rule_that_is_added_waits_for_the_whole_history(tmp_path):
    """What half of the fixed history would fulfil must not stop whoever happens to look at that moment."""
    values = [3, 1, 1, 1, 1, 1, 9, 1, 1, 1]

    def trial(number, params):
        return [], Outcome("COMPLETE", (float(values[number]),))

    spec = spec_of(tmp_path, "random", None, 10, lag=1)
    first = SimulatedWorker(spec, trial=trial)
    for _ in range(13):  # trials 0 to 5, and 6 is begun
        first.advance()
    second = SimulatedWorker(spec, trial=trial)
    assert (first.claimed, second.advance().number) == (6, 7)
    first.kill(), second.kill()
    again = replace(spec, stop=replace(spec.stop, same_best=5), session="again")  # 3 has been the best for five trials, but 6 beats it
    a, b, c = (SimulatedWorker(again, trial=trial) for _ in range(3))
    assert (a.advance().number, b.advance().number, c.advance()) == (6, 7, "wait")
    run_together(a, b, c)
    assert c.over == "stop: n_trials" and len(table(spec)[0]) - 1 == 10


def test_seconds_are_over_at_the_deadline(tmp_path):
    spec = spec_of(tmp_path, "random", None, 5, deadline=time.time() + 3600)
    worker = SimulatedWorker(spec)
    for _ in range(10):
        worker.advance()
    worker.close()
    late = SimulatedWorker(replace(spec, deadline=time.time() - 1))
    assert late.run() == "stop: seconds"
    n = len(table(spec)[0]) - 1
    assert 0 < n < 5
    assert SimulatedWorker(spec).run() == "stop: n_trials"


def test_what_runs_at_the_deadline_is_finished(tmp_path):
    spec = spec_of(tmp_path, "random", None, 5)
    dead = SimulatedWorker(spec)
    dead.advance()
    dead.kill()
    late = SimulatedWorker(replace(spec, deadline=time.time() - 1, session="late"))
    assert late.run() == "stop: seconds"
    assert len(table(spec)[0]) - 1 == 1


# As they are written ------------------------------------------------------------------------------------------------------------


def read(n_explicit=0, sampler="tpe", **settings):
    return stop_rules(Settings(**settings), SamplerSpec(sampler), n_explicit)


def test_how_many_trials():
    assert read().n_trials == 20
    assert read(n_trials=7).n_trials == 7
    assert read(12, "grid").n_trials == 12
    assert read(12, "grid", n_trials=5).n_trials == 5
    assert read(12, "list", n_trials=50).n_trials == 12
    assert read(3, n_trials=2).n_trials == 2


def test_rules_are_taken():
    stop = {"seconds": 60.5, "epochs": 100, "plateau": {"trials": 5, "delta": 0.1}, "same_best": 3, "target": -0.5}
    assert read(stop=stop) == StopRules(20, 60.5, 100, {"trials": 5, "delta": 0.1}, 3, -0.5)
    assert read(stop={"seconds": None, "target": None}) == StopRules(20)


@pytest.mark.parametrize("value", [-0.1, 1.1, "half", None, float("nan"), True])
def test_wrong_failure_rates(value):
    with pytest.raises(UserError, match=r"hydra.sweeper.max_failure_rate=.*: must be a number between 0 and 1"):
        Settings(max_failure_rate=value)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"n_trials": 0}, "hydra.sweeper.n_trials=0: must be null or a whole number >= 1"),
        ({"n_trials": 2.5}, "n_trials=2.5"),
        ({"n_trials": "many"}, "n_trials=many"),
        ({"n_trials": True}, "n_trials=true"),
        ({"stop": {"time": 3}}, "hydra.sweeper.stop.time: unknown; it takes seconds, epochs"),
        ({"stop": {"seconds": 0}}, "stop.seconds=0"),
        ({"stop": {"seconds": "1h"}}, "stop.seconds=1h"),
        ({"stop": {"epochs": -1}}, "stop.epochs=-1"),
        ({"stop": {"same_best": 0}}, "stop.same_best=0"),
        ({"stop": {"target": "high"}}, "stop.target=high"),
        ({"stop": {"plateau": 5}}, r"stop.plateau=5: must be null or \{trials: k, delta: x\}"),
        ({"stop": {"plateau": {"trials": 5}}}, "stop.plateau="),
        ({"stop": {"plateau": {"trials": 5, "delta": "x"}}}, "stop.plateau="),
        ({"stop": {"plateau": {"trials": 0, "delta": 1}}}, "stop.plateau="),
        ({"stop": {"plateau": {"trials": 2, "delta": -0.1}}}, "stop.plateau="),
        ({"stop": {"target": float("nan")}}, "stop.target=nan"),
        ({"stop": {"seconds": float("nan")}}, "stop.seconds=nan"),
        ({"stop": 3}, "hydra.sweeper.stop=3: must be a mapping"),
    ],
)
def test_wrong_rules_are_named_in_one_line(settings, said):
    with pytest.raises(UserError, match=said) as error:
        read(**settings)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("pruner", "n_trials", "n_known", "told"),
    [
        ({"name": "asha", "bootstrap_count": 8}, 15, 0, "bootstrap_count=8: of 15 trials none but the first goes on from the first rung"),
        ({"name": "asha", "bootstrap_count": 8}, 16, 0, None),
        ({"name": "asha", "bootstrap_count": 8}, 4, 11, "bootstrap_count=8: of 4 trials none goes on from the first rung before 8"),
        ({"name": "asha", "bootstrap_count": 8}, 4, 12, None),
        ({"name": "asha"}, 1, 0, None),
        ({"name": "median"}, 1, 0, None),
        (None, 1, 0, None),
    ],
)
def test_a_search_of_too_few_trials_for_its_pruner_is_told(pruner, n_trials, n_known, told, caplog):
    tell_few(pruner, n_trials, n_known)
    assert len(caplog.messages) == (told is not None) and (told or "") in caplog.text
