"""src/train.py as a person runs it: in this process, with Hydra's own command line, in a folder of its own."""

import csv
import importlib.util
import logging
import sys
from importlib import metadata
from pathlib import Path

import pytest
import yaml
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from omegaconf import OmegaConf

from trivet import training

ROOT = Path(__file__).resolve().parent.parent
QUICK = ["data=digits", "model=mlp", "model.width=16", "epochs=2"]


@pytest.fixture
def app(tmp_path, monkeypatch, capfd):
    """Run the app with these overrides in tmp_path: (exit status, stdout, stderr)."""
    spec = importlib.util.spec_from_file_location("train", ROOT / "src" / "train.py")
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "train", module)
    spec.loader.exec_module(module)
    module.main.__wrapped__.__module__ = "__main__"  # Hydra then looks for conf/ beside the file
    monkeypatch.chdir(tmp_path)
    root = logging.getLogger()
    before = root.handlers[:], root.level

    def run(*overrides):
        monkeypatch.setattr(sys, "argv", [str(ROOT / "src" / "train.py"), *overrides])
        GlobalHydra.instance().clear()
        try:
            module.main()
            status = 0
        except SystemExit as error:
            status = error.code
        return status, *capfd.readouterr()

    run.module = module
    yield run
    GlobalHydra.instance().clear()
    root.handlers[:], root.level = before


def only(pattern, folder):
    found = list(Path(folder).glob(pattern))
    assert len(found) == 1, found
    return found[0]


def test_a_single_run_prepares_trains_shows_and_keeps(app, tmp_path):
    status, out, _ = app(*QUICK, "save_model=true", "hydra.run.dir=run")
    assert status == 0
    lines = out.splitlines()
    header = next(i for i, line in enumerate(lines) if line.startswith("epoch"))
    assert [line.split()[0] for line in lines[header + 1 : header + 3]] == ["1", "2"]
    assert "val/accuracy 0." in out and "at epoch" in out
    rows = list(csv.DictReader((tmp_path / "run/curves.csv").open()))
    assert [row["step"] for row in rows] == ["1", "2"]
    assert {path.name for path in (tmp_path / "run").iterdir()} == {".hydra", "curves.csv", "model.pt", "train.log"}
    model = training.load_model(tmp_path / "run/model.pt")
    assert model.predict(training.load_model(tmp_path / "run/model.pt").model[1].weight.new_zeros(3, 1, 8, 8)).shape == (3,)
    stamp = (tmp_path / "data/prepared/search.npz").stat().st_mtime_ns
    status, _, _ = app(*QUICK, "hydra.run.dir=again")
    assert status == 0 and (tmp_path / "data/prepared/search.npz").stat().st_mtime_ns == stamp
    assert not (tmp_path / "again/model.pt").exists()
    values = [list(csv.DictReader((tmp_path / name / "curves.csv").open()))[1]["val/loss"] for name in ("run", "again")]
    assert values[0] == values[1]


BAD = [
    (["epochs=0"], "error: epochs=0: must be a whole number >= 1"),
    (["metric=val/f1"], "error: metric=val/f1: must be one of"),
    (["direction=minimize"], "set direction=maximize"),
    (["device=cuda:99"], "error: device=cuda:99"),
    (["precision=int8"], "error: precision=int8"),
    (["optimizer.lr=-0.1"], "error: optimizer.lr=-0.1: must be a number > 0"),
    (["model.name=cmn"], "did you mean cnn"),
    (["data.val_fraction=1.5"], "error: data.val_fraction=1.5"),
    (["loss=mse"], "error: loss=mse: the data is a classification task"),
    (["data=arrays"], "error: data.file"),
    (["hparams=lr_range", "lr_range.high=1e-9"], "error: lr_range.low"),
]


@pytest.mark.parametrize(("overrides", "message"), BAD)
def test_what_is_wrong_is_said_in_one_line(app, tmp_path, overrides, message):
    status, out, err = app("data=digits", "model=mlp", *overrides, "hydra.run.dir=run")
    assert status == 2
    assert message in err and len(err.strip().splitlines()) == 1 and "Traceback" not in out + err
    assert not list(tmp_path.glob("run/*.pt")) and not list(tmp_path.glob("run/*.csv"))


def test_a_divergence_is_said_in_one_line(app):
    status, _, err = app(*QUICK, "model.norm=null", "optimizer=sgd", "optimizer.lr=1e30", "hydra.run.dir=run")
    assert status == 1
    assert err.startswith("error: diverged: ") and "Try a lower optimizer.lr" in err and len(err.strip().splitlines()) == 1


def test_hydras_basic_sweeper_goes_on_after_a_divergence(app, tmp_path):
    overrides = ["model.norm=null", "optimizer=sgd", "optimizer.lr=1e30,0.1", "hydra.sweep.dir=sweep"]
    status, out, _ = app("-m", *QUICK, *overrides)
    assert status == 0
    assert "diverged" in (tmp_path / "sweep/0/train.log").read_text()
    assert "val/accuracy 0." in (tmp_path / "sweep/1/train.log").read_text()
    assert "weight_norm" not in out  # no table of epochs in a sweep
    assert not list(tmp_path.glob("sweep/*/checkpoint.pt"))


def test_data_sets_side_by_side_in_one_sweep(app, tmp_path):
    status, _, _ = app("-m", "model=linear", "epochs=1", "data=digits", "data.seed=0,1", "hydra.sweep.dir=sweep")
    assert status == 0
    assert len(list(tmp_path.glob("data/prepared*/search.npz"))) == 2


@pytest.mark.slow
@pytest.mark.parametrize("sweeper", ["optuna", "trivet"])
def test_both_optuna_sweepers_take_it(app, tmp_path, sweeper):
    sampler = ["hydra/sweeper/sampler=plain_tpe"] if sweeper == "optuna" else ["hydra.sweeper.config_space=false"]
    ranges = ["optimizer.lr=tag(log, interval(1e-3, 1e-1))"]
    settings = ["hydra.sweeper.n_trials=3", "hydra.sweeper.n_jobs=1", "hydra.sweeper.direction=maximize", "hydra.sweep.dir=sweep"]
    status, out, err = app("-m", f"hydra/sweeper={sweeper}", *sampler, *QUICK, *ranges, *settings)
    assert status == 0, out + err
    best = yaml.safe_load((tmp_path / "sweep/optimization_results.yaml").read_text())
    assert 0 < best["best_value"] <= 1 and 1e-3 <= best["best_params"]["optimizer.lr"] <= 1e-1


def test_lr_range_writes_its_curve(app, tmp_path):
    status, out, _ = app(*QUICK, "hparams=lr_range", "lr_range.n_steps=60", "hydra.run.dir=run")
    assert status == 0
    assert "learning rates that train (adamw)" in out and "the search range tag(log, interval(1e-05, 0.1))" in out
    assert (tmp_path / "run/lr_range.csv").read_text().startswith("lr,loss,smoothed\n")
    assert yaml.safe_load((tmp_path / "run/lr_range.yaml").read_text())["found"]


@pytest.mark.slow
def test_the_profiler_shows_where_time_goes(app, tmp_path):
    status, out, _ = app(*QUICK, "debug=profiler", "epochs=1", "hydra.run.dir=run")
    assert status == 0
    assert "Self CPU" in out and (tmp_path / "run/trace.json").stat().st_size > 1000


def test_a_model_learns_one_batch(app):
    status, out, _ = app("data=digits", "model=mlp", "debug=overfit_one_batch", "hydra.run.dir=run")
    assert status == 0
    assert "train/accuracy 1 at epoch" in out


def composed(*overrides):
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        return OmegaConf.to_container(compose("config", list(overrides)), resolve=True)


@pytest.mark.parametrize("path", sorted((ROOT / "conf").glob("experiment/*.yaml")), ids=lambda path: path.stem)
def test_experiments_compose_and_say_their_command(path):
    training.check_config(composed(f"experiment={path.stem}"))
    assert f"# python src/train.py experiment={path.stem} " in path.read_text().splitlines()[1]


@pytest.mark.parametrize("path", sorted((ROOT / "conf").glob("debug/*.yaml")), ids=lambda path: path.stem)
def test_debug_runs_compose_and_are_small(path):
    config = composed(f"debug={path.stem}")
    training.check_config(config)
    assert config["epochs"] * (config["max_batches"] or 50) <= 100
    assert f"debug={path.stem} " in path.read_text().splitlines()[1]


@pytest.mark.parametrize(
    ("version", "message"), [("2.10.1", "Optuna 2.10.1 is installed"), ("4.9.0", "make setup"), (None, "not installed")]
)
def test_the_wrong_optuna_ends_in_one_line(app, monkeypatch, capfd, version, message):
    def found(name):
        if version is None:
            raise metadata.PackageNotFoundError(name)
        return version

    monkeypatch.setattr(metadata, "version", found)
    with pytest.raises(SystemExit) as end:
        app.module.check_optuna()
    monkeypatch.undo()
    assert end.value.code == 2
    err = capfd.readouterr().err
    assert message in err and "make setup" in err and len(err.splitlines()) == 1


def test_the_right_optuna_passes(app):
    app.module.check_optuna()
