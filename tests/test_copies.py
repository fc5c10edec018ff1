"""Configurations whose result is known: a study that does not train them twice, whoever works on it."""

import random

import pytest
from simulated_workers import SimulatedWorker, run_alone, run_scheduled, spec_of

from trivet import space
from trivet.study import tables
from trivet.study.copies import Copied, Seen, finish
from trivet.study.records import Official, Outcome
from trivet.study.study import Study
from trivet.study.view import View
from trivet.sweep.progress import State

SMALL = (space.Param("z", space.Choice((1, 2, True, "a"))), space.Param("y", space.Int(1, 2), (("z", "a"),)))
TPE = ("tpe", {"n_startup_trials": 4})
TRAINED: list[dict] = []


def noisy(number, params):
    """Another value for each number: training a configuration again would show."""
    TRAINED.append(params)
    rng = random.Random(number)
    rows = [(step, rng.random()) for step in range(1, 5)]
    failed = number % 7 == 3
    return rows, Outcome("FAIL", reason="RuntimeError: bad") if failed else Outcome("COMPLETE", (rows[-1][1],))


def spec(folder, sampler=TPE, pruner=None, **changes):
    return spec_of(folder, sampler, pruner, 30, **{"params": SMALL, "groups": (), "reuse": True, "lag": 2, **changes})


def official(number, state="COMPLETE", **params):
    return Official(number, state, [0.5], "", [(1, 0.5)], params, None)


@pytest.mark.parametrize(
    ("params", "n_known", "first"),
    [
        ({"x": 1}, 9, 1),
        ({"x": 1.0}, 9, 1),
        ({"x": True}, 9, 3),
        ({"x": "1"}, 9, None),
        ({"x": 1}, 1, None),
        ({"x": 1}, 2, 1),
        ({"x": 5}, 9, None),  # it failed
        ({"x": 1, "y": 2}, 9, 4),
        ({}, 9, None),
        ({"x": [1, {"a": None}]}, 9, 5),
    ],
)
def test_the_first_of_its_kind(params, n_known, first):
    known = [official(0, "FAIL", x=5), official(1, x=1), official(2, "PRUNED", x=1), official(3, x=True), official(4, y=2, x=1)]
    known.append(official(5, x=[1, {"a": None}]))
    seen = Seen()
    assert seen.first({"x": 7}, known[:2], 9) is None
    found = seen.first(params, known, n_known)
    assert (found.number if found is not None else None) == first


def trained(folder, **changes):
    TRAINED.clear()
    worker = SimulatedWorker(spec(folder, **changes), trial=noisy)
    worker.run()
    study = View(worker.study.spec)
    return study, list(TRAINED)


def test_what_is_known_is_copied_and_said(tmp_path):
    study, params = trained(tmp_path)
    copied = [t for t in study.finished() if t.reason.startswith("copied from trial")]
    assert len(copied) + len(params) == 30 and len(copied) > 10
    for trial in copied:
        first = study.finished()[int(trial.reason.split()[3].rstrip(":"))]
        assert first.number < trial.number - 2 and first.state == trial.state == "COMPLETE"
        assert (trial.params, trial.values, trial.curve) == (first.params, first.values, first.curve)
    header, rows = tables.trial_rows(study, study.finished())
    seconds = [row[header.index("seconds")] for row in rows]
    assert {seconds[t.number] for t in copied} == {"0.0"}


@pytest.mark.parametrize("changes", [{"reuse": False}, {"sampler": "random"}], ids=str)
def test_or_it_is_trained_again(tmp_path, changes):
    study, params = trained(tmp_path, **changes)
    assert len(params) == 30 and not [t for t in study.finished() if "copied" in t.reason]


@pytest.mark.parametrize("pruner", [None, {"name": "median", "n_startup_trials": 2}], ids=str)
def test_every_schedule_copies_the_same(tmp_path, pruner):
    expected = run_alone(spec(tmp_path / "alone", pruner=pruner))
    assert "copied from trial" in str(expected)
    for i, (n_workers, p_kill) in enumerate([(1, 0.1), (3, 0.04)]):
        assert run_scheduled(spec(tmp_path / str(i), pruner=pruner), random.Random(i), n_workers, p_kill) == expected


def test_a_trial_given_outright_may_bring_its_result(tmp_path):
    kept = Copied("COMPLETE", (0.25,), "", ((1, 0.5), (2, 0.25)), {"columns": ["val/loss"], "rows": [[1, 0.1], [2, 0.2]]})
    diverged = Copied("FAIL", (), "diverged: nan", ((1, 0.5),))
    given = [{"params": {"z": 1}, "overrides": None, "kept": kept.as_dict()}, {"params": {"z": 2}, "overrides": None}]
    given.append({"params": {"z": 1}, "overrides": None, "kept": diverged.as_dict()})
    study, params = trained(tmp_path, explicit=tuple(given), reuse=False)
    first, second, third, *_ = study.finished()
    assert (first.state, first.values, first.curve, first.reason) == ("COMPLETE", [0.25], [(1, 0.5), (2, 0.25)], "")
    assert params[0] == second.params == {"z": 2} and len(params) == 28
    assert (third.state, third.reason, third.curve) == ("FAIL", "diverged: nan", [(1, 0.5)])
    header, rows = tables.curve_rows(study, [first])
    assert (header, rows) == (["number", "step", "value", "val/loss"], [["0", "1", "0.5", "0.1"], ["0", "2", "0.25", "0.2"]])


def test_a_copy_that_was_cut_off_is_finished(tmp_path):
    kept = Copied("COMPLETE", (0.25,), "", ((1, 0.5), (2, 0.25)))
    study = Study(spec(tmp_path, explicit=({"params": {"z": 1}, "overrides": None, "kept": kept.as_dict()},)))
    claim = study.claim("a")
    study.report(claim.number, 1, 0.5)
    study.close()
    again = Study(study.spec)
    claim = again.claim("b")
    assert claim.resumed
    finish(again, claim.number, claim.copied, "b")
    assert again.finished()[0].curve == [(1, 0.5), (2, 0.25)]


def test_copies_cost_nothing(tmp_path):
    study, params = trained(tmp_path)
    assert State(study).n_steps == 4 * len(params)
    pruned, _ = trained(tmp_path / "pruned", pruner={"name": "median", "n_startup_trials": 2})
    saved = sum(4 - t.step for t in pruned.finished() if t.state == "PRUNED" and not t.reason)
    assert State(pruned).n_steps_saved == saved > 0
    assert sum(t.state == "PRUNED" and bool(t.reason) for t in pruned.finished()), "some copies were pruned"
