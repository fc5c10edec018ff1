"""What is advised: each cell of the table, each reason not to tune, sizes and prices; and what the command reads and says."""

import math
from itertools import product

import pytest
import yaml

from trivet import cli, space
from trivet.errors import UserError
from trivet.phases import advice, asking
from trivet.phases.advice import BUDGETS, LEAST_PRUNED, SPACES, TABLE, Case, Probe, advise, budget_band, space_band
from trivet.phases.estimate import share_trained

LR = "tag(log, interval(1e-4, 1e-1))"
PARAMS = {
    "nothing": {},
    "learning rate": {"optimizer.lr": LR},
    "small grid": {"batch_size": "choice(16, 32, 64, 128)", "depth": "choice(1, 2, 3)"},
    "ranges": {"optimizer.lr": LR, "dropout": "interval(0, 0.5)", "width": "int(interval(8, 64))"},
}
WORKERS = {"few": 1, "some": 1, "enough": 2, "wide": 64}
TRIALS = {"few": 4, "some": 12, "enough": 60, "wide": 60}
STRATEGY = {  # the table once more, from the words: grid where all fit, chance for few, a model for many, never blindly
    "nothing": ("none", "none", "none", "none"),
    "learning rate": ("lr_range", "grid", "grid", "grid"),
    "small grid": ("random", "grid", "grid", "grid"),
    "ranges": ("lr_range", "random", "model", "random"),
}


def params(band):
    return space.parse_params(PARAMS[band])


def case(band="ranges", **given):
    return Case(params(band), **{"trial_seconds": 60.0, **given})


def test_the_table_is_whole():
    assert set(TABLE) == set(product(SPACES, BUDGETS)) and all(cell.why for cell in TABLE.values())


@pytest.mark.parametrize(("row", "column"), list(product(SPACES, BUDGETS)))
def test_each_cell(row, column):
    assert space_band(case(row)) == row
    assert TABLE[row, column].strategy == STRATEGY[row][BUDGETS.index(column)]
    one = case(row, workers=WORKERS[column])
    if row == "ranges":
        assert budget_band(TRIALS[column], one, row) == column
    elif row != "nothing":
        whole = advice.wanted(one, row)
        assert budget_band(whole - 1, one, row) == "few" and budget_band(whole, one, row) == ("some" if whole < 20 else "enough")


@pytest.mark.parametrize(
    ("row", "trainings", "strategy", "n_trials"),
    [
        ("ranges", 3, "lr_range", 0),
        ("ranges", 14, "random", 10),
        ("ranges", 2000, "model", 60),
        ("ranges", math.inf, "model", 60),
        ("learning rate", 3, "lr_range", 0),
        ("learning rate", 200, "grid", 7),
        ("small grid", 7, "random", 7),
        ("small grid", 200, "grid", 12),
        ("small grid", 1, "none", 0),
        ("nothing", 1000, "none", 0),
    ],
)
def test_what_a_budget_buys(row, trainings, strategy, n_trials):
    found = advise(case(row, trial_seconds=3600.0, hours=trainings if math.isfinite(trainings) else None))
    assert (found.strategy, found.n_trials) == (strategy, n_trials)
    assert found.trainings <= trainings + 1e-9
    assert found.seconds == pytest.approx(found.trainings * 3600)


@pytest.mark.parametrize("trainings", [2, 7, 11, 14, 25, 30, 31, 60, 99, 100, 500])
@pytest.mark.parametrize("epochs", [None, 30])
@pytest.mark.parametrize("workers", [1, 3, 16])
def test_no_advice_costs_more_than_the_budget(trainings, epochs, workers):
    found = advise(case(trial_seconds=3600.0, hours=trainings / workers, workers=workers, epochs=epochs))
    assert found.trainings <= max(trainings, 1)
    assert (found.finalists + 1) * found.seeds * bool(found.finalists) <= trainings / 3


def test_seeds_are_saved_for():
    plans = {n: advice.seed_plan(case(trial_seconds=3600.0, hours=n)) for n in (5, 12, 24, 36, 54, 99)}
    assert plans == {5: (0, 0), 12: (1, 2), 24: (3, 2), 36: (3, 3), 54: (5, 3), 99: (10, 3)}


def test_finalists_are_no_more_than_half_of_what_is_tried():
    assert advise(case("learning rate")).finalists == 3
    assert advise(case("small grid", trial_seconds=1.0, hours=10)).finalists == 6


def test_the_command_holds_the_ranges_that_were_given(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    _, out, _ = told(capsys, "--trial-seconds", "60", f"lr={LR}", "w=int(interval(4, 90))")
    assert f"hydra.sweeper.n_trials=60 'lr={LR}' 'w=int(interval(4, 90))'" in out
    _, out, _ = told(capsys, "--trial-seconds", "600", f"lr={LR}", "w=int(interval(4, 90))", "--hours", "0.5", "--workers", "1")
    assert "do not tune now; the learning rate's range test only" in out and "'hydra.sweeper.pruner={name: limit, max_step: 1}'" in out


def test_pruning_needs_curves_and_buys_trials():
    with_curves, without = (advise(case(trial_seconds=3600.0, hours=24, epochs=epochs)) for epochs in (30, None))
    assert (with_curves.pruner, without.pruner) == ("asha", None)
    assert (
        with_curves.n_trials == min(60, int(16 / share_trained({"name": "asha"})))
        and without.n_trials == 16
        and (with_curves.strategy, without.strategy) == ("model", "random")
    )
    assert advise(case(epochs=4)).pruner is None
    few, enough = (advise(case(trial_seconds=3600.0, hours=hours, epochs=30)) for hours in (5, 6))
    assert few.pruner is None and few.n_trials < LEAST_PRUNED <= enough.n_trials and enough.pruner == "asha"


def test_parameters_of_other_options_do_not_add_up():
    many = {"optimizer": "choice(sgd, adam)", "optimizer=sgd": {"optimizer.lr": LR, "optimizer.momentum": "interval(0, 1)"}}
    many["optimizer=adam"] = {"optimizer.lr": LR}
    assert Case(space.parse_params(many), 1.0).dimensions == 3
    assert Case(space.parse_params({"a": "choice(1)", "b": 3}), 1.0).dimensions == 0


def test_money_is_hours():
    found = advise(case(money=10, price_per_hour=2.5, trial_seconds=360.0))
    assert found.seconds <= 4 * 3600 and found.money == pytest.approx(found.seconds / 3600 * 2.5)
    assert advise(case(hours=1, money=10, price_per_hour=2.5, trial_seconds=360.0)).seconds <= 3600
    assert advise(case()).money is None


RISING = [0.1, 0.5, 0.8, 0.88, 0.9, 0.905, 0.906, 0.907, 0.907, 0.907]
STEEP = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"probe": Probe(problem="diverged: NaN at step 1")}, "the default configuration fails (diverged: NaN at step 1)"),
        ({"n_val": 99}, "99 validation samples are too few"),
        ({"n_val": 5000, "probe": Probe("val/accuracy", True, STEEP, STEEP)}, "train it longer first"),
        ({"probe": Probe("val/loss", False, (), [1 - v for v in STEEP])}, "train it longer first"),
        ({"n_val": 5000, "probe": Probe("val/accuracy", True, [v - 0.02 for v in RISING], RISING)}, "underfits: 88.7%"),
        ({"n_val": 300, "probe": Probe("val/accuracy", True, [1.0] * 10, [0.3] + [0.99] * 9)}, "keep it"),
        ({"trial_seconds": 600.0, "hours": 0.9}, "under an hour and pays for 5 trials"),
    ],
)
def test_each_reason_not_to_tune(given, words):
    found = advise(case(**given))
    assert not found.tune and words in found.why[0]
    assert (found.strategy, found.n_trials) == ("lr_range" if "hours" in given else "none", 0)


@pytest.mark.parametrize(
    "given",
    [
        {"n_val": 100},
        {"n_val": 800, "probe": Probe("val/accuracy", True, [1.0] * 10, [v + 0.04 for v in RISING])},  # our own default: overfits, gains
        {"n_val": 5000, "probe": Probe("val/accuracy", True, STEEP, STEEP, whole=False)},  # stopped: says nothing of its end
        {"n_val": 5000, "probe": Probe("val/score", True, RISING, RISING)},  # not known to be a share
        {"probe": Probe("val/loss", False, (), (0.5, 0.4))},
        {"trial_seconds": 1.0, "hours": 0.2},  # short, but hundreds of trials
        {"trial_seconds": 600.0, "hours": 8},
    ],
)
def test_otherwise_it_is_tuned(given):
    assert advise(case(**given)).tune


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"trial_seconds": 0}, "trial_seconds=0: must be"),
        ({"hours": math.nan}, "hours=nan: must be"),
        ({"workers": 0}, "workers=0: must be"),
        ({"money": 5}, "give price_per_hour"),
    ],
)
def test_odd_cases_are_refused(given, words):
    with pytest.raises(UserError, match=words):
        case(**given)


@pytest.fixture
def checked(tmp_path, monkeypatch):
    """A folder with a finished check; results/check/check.yaml as its content."""
    monkeypatch.chdir(tmp_path)
    named = {"optimizer": "choice(sgd, adam)", "optimizer.lr [optimizer=sgd]": LR, "optimizer.lr [optimizer=adam]": LR}
    times = {"epochs": 30, "workers": 2, "seconds_per_epoch_mean": 2.0}
    content = {"space": named, "estimate": times, "validation": {"n_val": 800}}
    (tmp_path / "results/check").mkdir(parents=True)
    (tmp_path / "results/check/check.yaml").write_text(yaml.safe_dump(content))
    return content


def told(capsys, *words):
    code = cli.main(["advise", *words])
    out, err = capsys.readouterr()
    return code, out, err


def test_a_finished_check_is_read(checked, capsys):
    code, out, _ = told(capsys)
    assert code == 0 and out.startswith("advice: model-based search (the default sampler), 60 trials, pruner asha, then 5 finalists")
    assert "full trainings of 60 s on 2 worker(s)" in out
    assert "command: python app.py -m +trivet=search hydra.sweeper.n_trials=60" in out


def test_the_price_is_that_of_the_project(checked, tmp_path, capsys):
    (tmp_path / "params.yaml").write_text("report: {price_per_hour: 3}\ncoarse: {n_trials: 9}\nfine: {n_trials: 9}\nseeds: {n: 1}\n")
    (tmp_path / "dvc.yaml").write_text("stages: {coarse: {cmd: x}}\n")
    _, out, _ = told(capsys, "--money", "30")
    assert "at 3 an hour" in out
    assert "command: dvc exp run -S coarse.n_trials=40 -S fine.n_trials=20 -S seeds.finalists=10 -S seeds.n=3" in out


def test_ranges_are_enough(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    code, out, _ = told(capsys, "--trial-seconds", "60", f"lr={LR}", "--workers", "1", "--app", "python fit.py")
    assert code == 0 and out.startswith("advice: grid, 7 trials, pruner none")
    assert "'lr=choice(0.0001,0.00032,0.001,0.0032,0.01,0.032,0.1)'" in out and "python fit.py -m +trivet=search" in out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "results/check: holds no finished check"),
        (("a", "b"), "give one folder"),
        (("--trial-seconds", "1", "lr=3"), "lr=3: is no range"),
        (("lr=interval(0,1)",), "--trial-seconds: is missing"),
        (("--workers", "0", "lr=interval(0,1)", "--trial-seconds", "1"), "--workers=0"),
        (("--probe", "--app", "python none.py"), "none.py: there is no such script"),
        (("--probe-steps", "0"), "--probe-steps=0: must be"),
        (("--app", "", "--probe"), "--app: is empty"),
        (("sweeps/none",), "sweeps/none: holds no finished check"),
    ],
)
def test_what_is_wrong_is_one_line(words, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    code, out, err = told(capsys, *words)
    assert code == 2 and message in err and len(err.strip().splitlines()) == 1 and out == ""


def sweep(folder, state="COMPLETE", reason="", values=(0.3, 0.6, 0.8, 0.85, 0.86, 0.86)):
    folder.mkdir(parents=True)
    entries = [{"key": "lr", "spec": LR, "when": {}}, {"key": "width", "spec": "int(interval(4, 90))", "when": {}}]
    study = {"directions": ["maximize"], "metric": "val/acc", "space": entries, "defaults": {"lr": 0.1}, "n_jobs": 2}
    (folder / "study.yaml").write_text(yaml.safe_dump(study))
    done = len(values) if state == "COMPLETE" else ""
    (folder / "trials.csv").write_text(f"number,state,reason,value,step,best_step,lr,seconds\n0,{state},{reason},0.86,{done},5,0.1,12.0\n")
    lines = [f"0,{step},{value},{value + 0.1}" for step, value in enumerate(values, 1)]
    (folder / "curves.csv").write_text("\n".join(["number,step,value,train/acc", *lines]) + "\n")
    return folder


def test_a_sweep_tells_the_time_and_its_default_is_the_probe(tmp_path):
    found = asking.from_sweep(sweep(tmp_path / "s"))
    assert (found.trial_seconds, found.epochs, found.workers, len(found.params)) == (12.0, 6, 2, 2)
    assert found.probe.whole and found.probe.val[-1] == 0.86 and found.probe.train[-1] == pytest.approx(0.96)


def test_a_default_that_fails_is_mended_first(tmp_path):
    found = advise(asking.from_sweep(sweep(tmp_path / "s", "FAIL", "out of memory")))
    assert not found.tune and "out of memory" in found.why[0]


APP = """
import hydra, trivet
@hydra.main(version_base="1.3", config_path=".", config_name="config")
def main(cfg):
    for step in range(1, 7):
        trivet.report(1 - 0.5**step, step)
    return 1 - 0.5**6
if __name__ == "__main__":
    main()
"""


@pytest.mark.slow
def test_the_probe_trains_the_default_once(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "fit.py").write_text(APP)
    (tmp_path / "config.yaml").write_text("lr: 0.1\nwidth: 8\n")
    ranges = (f"lr={LR}", "width=int(interval(4, 90))")
    code, out, _ = told(capsys, "--probe", *ranges, "--app", "python fit.py", "--trial-seconds", "60", "--workers", "1")
    assert code == 0 and "60 trials, pruner asha" in out
    rows = (tmp_path / "sweeps/probed/trials.csv").read_text().splitlines()
    assert len(rows) == 2 and rows[1].startswith("0,COMPLETE") and ",0.1,8," in rows[1]
