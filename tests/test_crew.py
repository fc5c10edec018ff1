"""How many workers are started."""

import pytest

from trivet.errors import UserError
from trivet.search.samplers import SamplerSpec
from trivet.search.stopping import StopRules
from trivet.study import identity
from trivet.sweep.crew import crew
from trivet.sweep.pool import Job, Pool
from trivet.sweep.settings import Settings

TPE, RANDOM = SamplerSpec("tpe", {}), SamplerSpec("random", {})


@pytest.fixture(autouse=True)
def machine(monkeypatch):
    """A machine of four cores; returns a function that gives it GPUs."""
    monkeypatch.setattr(identity, "cores", lambda: 4)
    monkeypatch.setattr(identity, "gpu_ids", lambda: [])
    return lambda *ids: monkeypatch.setattr(identity, "gpu_ids", lambda: list(ids))


@pytest.mark.parametrize(
    ("settings", "n_trials", "sampler", "expected", "told"),
    [
        ({}, 100, TPE, 4, None),
        ({"n_jobs": -1}, 100, TPE, 4, None),
        ({"n_jobs": None, "threads": 2}, 100, TPE, 2, None),
        ({"threads": 8}, 100, TPE, 1, None),
        ({}, 3, TPE, 3, None),
        ({"lag": 1}, 100, TPE, 2, "hydra.sweeper.n_jobs=auto: starting 2 of 4 (hydra.sweeper.lag=1; lag=3 uses all)"),
        ({"lag": 1}, 2, TPE, 2, None),
        ({"lag": 1}, 100, RANDOM, 4, None),
        ({"n_jobs": 0}, 100, TPE, 0, None),
        ({"n_jobs": 1}, 100, TPE, 1, None),
        ({"n_jobs": 7, "lag": 6}, 100, TPE, 7, None),
        (
            {"n_jobs": 20},
            100,
            TPE,
            4,
            "hydra.sweeper.n_jobs=20: starting 4 (hydra.sweeper.lag=3 lets 4 run at once, so raise lag to use more)",
        ),
        ({"n_jobs": 20}, 3, TPE, 3, "hydra.sweeper.n_jobs=20: starting 3 (3 trials in all)"),
        ({"n_jobs": 10**30}, 10**9, RANDOM, 32, f"hydra.sweeper.n_jobs={10**30}: starting 32, 8 for each core of this machine"),
    ],
)
def test_how_many(settings, n_trials, sampler, expected, told, caplog):
    n, gpus = crew(Settings(**settings), StopRules(n_trials=n_trials), sampler, launched=False)
    assert (n, gpus) == (expected, [])
    assert (caplog.messages[-1] if caplog.messages else "").startswith(told or "")
    assert bool(caplog.messages) == (told is not None)


def test_gpus_are_shared(machine):
    machine("0", "1", "2")
    assert crew(Settings(trials_per_gpu=2, lag=5), StopRules(n_trials=100), TPE, launched=False) == (6, ["0", "1", "2"])


@pytest.mark.parametrize(
    ("gpus", "settings", "expected", "told"),
    [
        ("0123", {}, (2, ["0,1", "2,3"]), None),
        ("0123", {"n_jobs": 1}, (1, ["0,1", "2,3"]), None),
        ("0123", {"n_jobs": 4}, (2, ["0,1", "2,3"]), "hydra.sweeper.n_jobs=4: starting 2 (hydra.sweeper.gpus_per_trial=2)"),
        ("01234", {}, (2, ["0,1", "2,3"]), "hydra.sweeper.gpus_per_trial=2: 1 of 5 GPUs stays idle"),
    ],
)
def test_a_trial_may_have_several_gpus(machine, gpus, settings, expected, told, caplog):
    machine(*gpus)
    assert crew(Settings(gpus_per_trial=2, **settings), StopRules(n_trials=100), TPE, launched=False) == expected
    assert caplog.messages == ([] if told is None else [told])


def test_each_worker_sees_the_gpus_of_its_trials_alone():
    pool = Pool.__new__(Pool)
    pool.gpus, pool.job = ["0,1", "2,3"], Job(None, None, None, b"")
    assert [pool._environment(slot, "mark")["CUDA_VISIBLE_DEVICES"] for slot in range(3)] == ["0,1", "2,3", "0,1"]


@pytest.mark.parametrize(
    ("gpus", "settings", "launched", "words"),
    [
        ("0", {}, False, ["this machine has 1 that may be used"]),
        ("", {}, False, ["this machine has 0 that may be used"]),
        ("0123", {"trials_per_gpu": 2}, False, ["contradicts hydra.sweeper.trials_per_gpu=2", "leave one of them at 1"]),
        ("0123", {"n_jobs": 0}, False, ["hydra.sweeper.n_jobs=0 is this process"]),
        ("0123", {}, True, ["hydra.launcher.gpus_per_node=2"]),
    ],
)
def test_several_gpus_refused(machine, gpus, settings, launched, words):
    machine(*gpus)
    with pytest.raises(UserError) as refusal:
        crew(Settings(gpus_per_trial=2, **settings), StopRules(n_trials=10), TPE, launched)
    for word in ["hydra.sweeper.gpus_per_trial=2", *words]:
        assert word in str(refusal.value)


def test_a_launcher_knows_its_machines_better():
    assert crew(Settings(n_jobs=500, threads=1024), StopRules(n_trials=1000), RANDOM, launched=True)[0] == 500


@pytest.mark.parametrize(
    ("settings", "launched", "words"),
    [
        ({"n_jobs": 0}, True, ["hydra.sweeper.n_jobs=0", "1 or more"]),
        ({"threads": 33}, False, ["hydra.sweeper.threads=33", "4 cores", "at most 32"]),
    ],
)
def test_refused(settings, launched, words):
    with pytest.raises(UserError) as refusal:
        crew(Settings(**settings), StopRules(n_trials=10), TPE, launched)
    for word in words:
        assert word in str(refusal.value)
