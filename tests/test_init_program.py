"""init for any program: what trivet.yaml says of it, and what is refused."""

import pytest
import yaml

from trivet.command.app import load
from trivet.errors import UserError
from trivet.phases import init

GIVEN = {
    "command": "python fit.py --lr {lr} --width {width} --seed {seed}",
    "metrics": ["val_acc=([0-9.]+)", r"loss: (\S+)"],
    "step": r"epoch (\d+)",
    "ranges": ["lr=tag(log, interval(1e-5, 1))"],
    "values": ["width=32"],
    "yes": True,
}


@pytest.fixture
def project(tmp_path):
    (tmp_path / "fit.py").write_text("print('val_acc=1')")
    return tmp_path


def started(folder, **changes):
    return init.run(init.Answers(**{**GIVEN, **changes}), folder)


def test_what_it_writes_is_what_the_command_app_reads(project):
    lines = started(project)
    assert lines[0] == f"command: {GIVEN['command']}; maximize val_acc"
    command, parameters = load(project / "trivet.yaml")
    assert command.objective == "val_acc"
    assert {name: pattern.pattern for name, pattern in command.definitions.metrics.items()} == {
        "val_acc": GIVEN["metrics"][0],
        "loss": GIVEN["metrics"][1],
    }
    assert command.template.parameters == ["lr", "width"]
    assert parameters == {"width": 32}
    described = yaml.safe_load((project / "trivet.yaml").read_text())
    assert (described["app"], described["seed_key"], described["data"]) == ("python -m trivet.command", "seed", ["fit.py"])
    assert yaml.safe_load((project / "space.yaml").read_text()) == {"lr": "tag(log, interval(1e-5, 1))"}
    assert "trivet.command" in (project / "dvc.yaml").read_text()


def test_a_program_without_metrics_or_seed(project):
    started(project, command="./run {lr}", metrics=[], values=[], direction="minimize")
    described = yaml.safe_load((project / "trivet.yaml").read_text())
    assert (described["objective"], described["direction"], described["seed_key"]) == ("objective", "minimize", None)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"values": []}, "{width} has neither a range nor a value: give --range 'width=interval"),
        ({"ranges": []}, "{lr} has neither a range nor a value"),
        ({"ranges": [], "values": ["width=1", "lr=1"]}, "nothing to search"),
        ({"ranges": ["lr=interval(0, 1)", "depth=interval(0, 1)"]}, "--range depth: is no placeholder of the command, which has lr, width"),
        ({"values": ["width=32", "depth=3"]}, "--value depth: is no placeholder"),
        ({"values": ["width"]}, "--value width: must be key=value"),
        ({"metrics": ["([0-9.]+)"]}, "must begin with the metric's name"),
        ({"metrics": ["val_acc="]}, "command.metrics.val_acc=val_acc=: has 0 groups"),
        ({"step": "epoch"}, "command.step=epoch: has 0 groups"),
        ({"command": "python {"}, "has a brace alone"),
        ({"ranges": ["lr=interval(1, 0)"]}, "lr=interval"),
        ({"app": "train.py"}, "--app, --seed-key and --epochs-key belong to a Hydra app"),
        ({"command": None}, "--value, --step and --shell belong to --command"),
        ({"command": None, "values": [], "step": None, "app": "fit.py"}, ""),
    ],
)
def test_what_is_refused_writes_nothing(project, changes, message):
    with pytest.raises(UserError) as error:
        started(project, **changes)
    assert message in str(error.value)
    assert "\n" not in str(error.value)
    assert [path.name for path in project.iterdir()] == ["fit.py"]
