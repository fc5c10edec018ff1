"""init: what it finds, asks, refuses and writes; that it changes nothing that is there."""

import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from trivet import app, space
from trivet.errors import UserError
from trivet.phases import discovery, init, stages

FOREIGN = Path(__file__).parent / "apps/foreign"
CONFIG = yaml.safe_load((FOREIGN / "conf/main.yaml").read_text()) | {
    "model": {"_target_": "net.Net", "width": 16, "dropout": 0.0},
    "optimizer": {"lr": 0.1, "momentum": 0.9},
}
CONFIG.pop("defaults")


@pytest.fixture
def project(tmp_path, monkeypatch):
    """The foreign app, whose config is known without starting it."""
    shutil.copytree(FOREIGN, tmp_path, dirs_exist_ok=True)
    choices = {"model": "small", "optimizer": "sgd", "hydra/launcher": "basic"}
    composed = discovery.Composed(CONFIG, choices, "hydra._internal.core_plugins.basic_sweeper.BasicSweeper", (tmp_path / "conf",))
    monkeypatch.setattr(discovery, "compose", lambda command, root: composed)
    return tmp_path


def files(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def refuse(question):
    raise AssertionError(f"asked {question}")


def test_what_it_writes(project):
    before = files(project)
    lines = init.run(init.Answers(yes=True), project, refuse)
    assert files(project).items() >= before.items(), "nothing that was there has changed"
    described = app.read(project)
    assert (described.app, described.objective, described.direction) == ("python train.py", "val/acc", "maximize")
    assert (described.seed_key, described.epochs_key, described.smoke) == ("seed", "trainer.max_epochs", ["trainer.max_epochs=1"])
    assert described.code == ["train.py", "net.py", "conf"]
    ranges = (project / "space.yaml").read_text()
    params = space.parse_params(yaml.safe_load(ranges))
    assert [p.key for p in params] == ["model.width", "model.dropout", "optimizer.lr", "optimizer.momentum"]
    assert "# model: choice(large, small)" in ranges
    assert yaml.safe_load((project / "params.yaml").read_text()) == stages.KNOBS
    names = list(yaml.safe_load((project / "dvc.yaml").read_text())["stages"])
    assert names == ["check", "coarse", "narrow", "fine", "finalists", "seeds", "test", "report"]
    assert "  trivet run                # all stages; or, with DVC: dvc init && dvc repro" in lines


def test_a_second_call_changes_nothing_and_says_what_is_next(project):
    init.run(init.Answers(yes=True), project, refuse)
    (project / "space.yaml").write_text("optimizer.lr: tag(log, interval(0.001, 1))\n")
    (project / ".dvc").mkdir()
    before = files(project)
    lines = init.run(init.Answers(), project, refuse)
    assert files(project) == before
    assert lines[0] == "trivet.yaml is there: this is python train.py, maximize val/acc"
    assert not any(line.startswith("not used") for line in lines)
    again = init.run(init.Answers(app="other.py", ranges=["x=1,2"], seed_key="seed", yes=True), project, refuse)
    assert again[1] == "not used: --app, --seed-key, --range; edit trivet.yaml and space.yaml, or remove them and run init again"
    assert any("dvc repro" in line for line in lines)


def test_it_asks_three_questions_at_most(project):
    (project / "other.py").write_text("import hydra\n\n@hydra.main()\ndef main(config): ...\n")
    asked = []

    def answer(question):
        asked.append(question)
        return ["train.py", "val/loss", ""][len(asked) - 1]

    init.run(init.Answers(), project, answer)
    assert len(asked) == 3 and "other.py, train.py" in asked[0] and "[minimize]" in asked[2]
    assert (app.read(project).objective, app.read(project).direction) == ("val/loss", "minimize")


def test_ranges_that_are_given(project):
    given = ["optimizer.lr=tag(log, interval(1e-3, 1))", "model=choice(small, large)", "+new.key=choice(1, 2)"]
    init.run(init.Answers(yes=True, ranges=given), project, refuse)
    assert list(yaml.safe_load((project / "space.yaml").read_text())) == ["optimizer.lr", "model", "+new.key"]


@pytest.mark.parametrize(
    ("answers", "said"),
    [
        ({"ranges": ["optimizer.lr"]}, "must be key=range"),
        ({"ranges": ["optimizer.lrr=interval(0, 1)"]}, r"--range optimizer.lrr: not in the config; did you mean optimizer.lr\?"),
        ({"ranges": ["optimizer.lr=intervall(0, 1)"]}, "intervall"),
        ({"seed_key": "sed"}, r"--seed-key sed: not in the config; did you mean seed\?"),
        ({"epochs_key": "epochs"}, "--epochs-key epochs: not in the config"),
        ({"direction": "up"}, "direction=up"),
        ({"test": "python e.py {model}"}, "keep names no file"),
    ],
)
def test_what_is_wrong_is_one_line_and_nothing_is_written(project, answers, said):
    before = files(project)
    with pytest.raises(UserError, match=said) as error:
        init.run(init.Answers(yes=True, **answers), project, refuse)
    assert "\n" not in str(error.value) and files(project) == before


def test_files_of_ones_own_stay_and_there_is_a_way_beside_them(project):
    (project / "dvc.yaml").write_text("stages: {mine: {cmd: echo}}\n")
    (project / "params.yaml").write_text("lr: 0.1\n")
    lines = init.run(init.Answers(yes=True), project, refuse)
    assert (project / "dvc.yaml").read_text().startswith("stages: {mine") and (project / "params.yaml").read_text() == "lr: 0.1\n"
    assert yaml.safe_load((project / "trivet-params.yaml").read_text()) == stages.KNOBS
    assert any("dvc.yaml is your own" in line for line in lines)


def test_nobody_to_ask(project):
    (project / "train.py").unlink()
    with pytest.raises(UserError, match=r"name the script, --app train\.py"):
        init.run(init.Answers(yes=True), project, refuse)

    def gone(question):
        raise EOFError

    with pytest.raises(UserError, match="--metric is needed"):
        init.run(init.Answers(app="train.py"), project, gone)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("train.py", "python train.py"),
        ("-m pkg.train", "python -m pkg.train"),
        ("uv run train.py", "uv run train.py"),
        ("pkg/train.py seed=1", "python -m pkg.train seed=1"),  # its relative imports fail in a script
    ],
)
def test_the_command_that_trains(tmp_path, given, expected):
    (tmp_path / "pkg").mkdir()
    (tmp_path / "pkg/train.py").write_text("from .model import Net\n")
    assert discovery.command_of(given, tmp_path) == expected


@pytest.mark.parametrize(
    ("values", "seed", "epochs"),
    [
        ({"seed": 1, "trainer.max_epochs": 5}, "seed", "trainer.max_epochs"),
        ({"seed": None, "epochs": None}, "seed", None),  # as templates have it: no seed unless one is given
        ({"seed": None, "random_seed": 3}, "random_seed", None),
        ({"data.seed": 3, "seed": None}, "seed", None),
        ({"seed": "auto", "n_epochs": True}, None, None),
    ],
)
def test_the_keys_of_seed_and_epochs(values, seed, epochs):
    assert (discovery.find_key(values, discovery.SEED), discovery.find_key(values, discovery.EPOCHS)) == (seed, epochs)


@pytest.mark.parametrize(
    ("metric", "direction"),
    [("val/acc", "maximize"), ("val/loss", "minimize"), ("val_rmse", "minimize"), ("test/mean-error", "minimize"), ("closs", "maximize")],
)
def test_the_direction_of_a_name(metric, direction):
    assert discovery.direction_of(metric) == direction


def test_where_environments_and_hidden_folders_are_not_looked(tmp_path):
    text = "import hydra\n\n@hydra.main(version_base=None)\ndef main(config): ...\n"
    for name in ("train.py", "src/pkg/deep.py", ".hidden/a.py", "env/lib/b.py", "tests/test_c.py", "broken.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text if name != "broken.py" else text + "(")
    (tmp_path / "env/pyvenv.cfg").touch()
    assert [str(path) for path in discovery.scripts(tmp_path)] == ["train.py", "src/pkg/deep.py"]


def test_an_app_that_cannot_start_says_why(tmp_path):
    (tmp_path / "train.py").write_text("import no_such_module\n")
    with pytest.raises(UserError, match=r"does not give its config: ModuleNotFoundError: No module named 'no_such_module'"):
        discovery.compose("python train.py", tmp_path)


def test_the_app_itself_is_asked_for_its_config(tmp_path):
    shutil.copytree(FOREIGN, tmp_path, dirs_exist_ok=True)
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    composed = discovery.compose("python train.py experiment=short", tmp_path)
    assert composed.values["model.width"] == 64 and composed.values["trainer.max_epochs"] == 3
    assert composed.groups == {"model": ["large", "small"]} and composed.folders == (tmp_path / "conf",)
