"""The test stage on runs whose predictions are known: linear models that always answer one class."""

import numpy as np
import pytest
import torch
import yaml

from trivet import data
from trivet.adapters.testing import Evaluator
from trivet.errors import UserError
from trivet.phases import test as stage
from trivet.training import load_model, models, save_model

META = {"name": "toy", "task": "classification", "n_classes": 2, "n_outputs": 2, "input_shape": [1, 2], "mean": [0.0], "std": [1.0]}
LABELS = np.array([0, 0, 0, 1])  # always answering 0 is right for three of four
HEAD = "number,state,reason,value,step,best_step,finalist,seed,seconds,worker,started,overrun"


def answering(logits, path):
    """A linear model that gives these logits whatever it sees."""
    config = {"model": {"name": "linear", "space": {"width": [1, 2]}}, "space": {}, "loss": {"name": "cross_entropy"}, "precision": "fp32"}
    state = models.build(config["model"], META).state_dict()
    for name, value in state.items():
        value.zero_()
        if name.endswith("bias"):
            value.copy_(torch.tensor(logits).log())
    save_model(path, config, state, META)


@pytest.fixture
def project(tmp_path):
    x = np.zeros((4, 1, 2), dtype=np.float32)
    search = {"x_train": x, "y_train": LABELS, "x_val": x, "y_val": LABELS}
    data.files.write(tmp_path / "data/prepared", search, {"x": x, "y": LABELS}, META)
    return tmp_path


def publish(root, rows, direction="maximize", metric="val/accuracy"):
    """rows: (finalist, seed, validation value or None, probabilities that its model answers)."""
    folder = root / "results/seeds"
    folder.mkdir(parents=True)
    lines = [HEAD]
    for number, (finalist, seed, value, answer) in enumerate(rows):
        state = "FAIL" if value is None else "COMPLETE"
        lines.append(f"{number},{state},,{'' if value is None else value},1,1,{finalist},{seed},1,0,,0")
        if value is not None:
            answering(answer, folder / "model" / f"{number}.pt")
    (folder / "trials.csv").write_text("\n".join(lines) + "\n")
    (folder / "study.yaml").write_text(yaml.safe_dump({"directions": [direction], "metric": metric}))


ROWS = [
    (0, 101, 0.5, [0.2, 0.8]),
    (0, 102, 0.4, [0.2, 0.8]),
    (1, 101, 0.7, [0.9, 0.1]),
    (1, 102, 0.8, [0.3, 0.7]),
    (2, 101, 0.6, [0.01, 0.99]),
    (2, 102, 0.6, [0.01, 0.99]),
]


def test_winner_default_and_ensembles(project, capsys):
    publish(project, ROWS)
    stage.main(Evaluator, project)
    got = yaml.safe_load((project / "results/test/test.yaml").read_text())
    assert got["metric"] == "test/accuracy"
    assert got["n_test"] == 4
    assert got["winner"] == {"finalist": 1, "seeds": {101: 0.75, 102: 0.25}}
    assert got["default"] == {"finalist": 0, "seeds": {101: 0.25, 102: 0.25}}
    assert got["ensemble_winner"] == 0.75  # mean (0.6, 0.4)
    assert got["ensemble_finalists"] == 0.25  # finalist 2 is sure of the other class; the default has no vote
    assert got["n_models"] == {"ensemble_winner": 2, "ensemble_finalists": 4}
    assert got["val"] == {"winner": {101: 0.7, 102: 0.8}, "default": {101: 0.5, 102: 0.4}}
    assert "winner             test/accuracy 0.5000 over 2 seeds" in capsys.readouterr().out


def test_the_kept_model_is_the_winners_best_seed_by_validation(project):
    publish(project, ROWS)
    stage.main(Evaluator, project)
    kept = load_model(project / "results/model/model.pt")
    assert kept.predict(np.zeros((1, 1, 2))).tolist() == [1]  # seed 102: better in validation, worse on the test data
    config = yaml.safe_load((project / "results/model/config.yaml").read_text())
    assert config == {"model": {"name": "linear"}, "loss": {"name": "cross_entropy"}, "precision": "fp32"}


def test_an_objective_to_be_minimized(project):
    rows = [(finalist, seed, -value, answer) for finalist, seed, value, answer in ROWS]
    publish(project, rows, "minimize", "val/loss")
    stage.main(Evaluator, project)
    got = yaml.safe_load((project / "results/test/test.yaml").read_text())
    assert got["metric"] == "test/loss"
    assert got["winner"]["finalist"] == 1
    assert got["winner"]["seeds"][101] == pytest.approx(-(3 * np.log(0.9) + np.log(0.1)) / 4, rel=1e-5)
    assert got["ensemble_winner"] == pytest.approx(-(3 * np.log(0.6) + np.log(0.4)) / 4, rel=1e-5)


def test_the_default_may_win(project):
    publish(project, [(0, 101, 0.9, [0.9, 0.1]), (1, 101, 0.2, [0.1, 0.9])])
    stage.main(Evaluator, project)
    text = (project / "results/test/test.yaml").read_text()
    got = yaml.safe_load(text)
    assert "&" not in text  # for people, not only for parsers
    assert got["winner"] == {"finalist": 0, "seeds": {101: 0.75}}
    assert got["n_models"] == {"ensemble_winner": 1, "ensemble_finalists": 2}


def test_failed_runs_are_left_out(project):
    publish(project, [*ROWS, (3, 101, None, None)])
    stage.main(Evaluator, project)
    assert yaml.safe_load((project / "results/test/test.yaml").read_text())["winner"]["finalist"] == 1


@pytest.mark.parametrize("missing", ["trials.csv", "study.yaml", "model/2.pt"])
def test_what_is_missing_is_named_and_nothing_is_written(project, missing):
    publish(project, ROWS)
    (project / "results/seeds" / missing).unlink()
    with pytest.raises(UserError, match=missing.split("/")[-1]):
        stage.main(Evaluator, project)
    assert not (project / "results/test").exists()
    assert not (project / "results/model").exists()


def test_a_model_of_ones_own_is_one_that_conf_names(project):
    publish(project, ROWS)
    for path in (project / "results/seeds/model").glob("*.pt"):
        content = torch.load(path, weights_only=True)
        content["config"]["model"] = {"_target_": "test_test_stage.own"}
        torch.save(content, path)
    with pytest.raises(UserError, match=r"test_test_stage\.own, code that a file may not choose to run"):
        stage.main(Evaluator, project)
    (project / "conf/model").mkdir(parents=True)
    (project / "conf/model/own.yaml").write_text("# mine\n_target_: test_test_stage.own\n")
    stage.main(Evaluator, project)
    assert (project / "results/model/config.yaml").read_text().startswith("model:\n  _target_: test_test_stage.own\n")


def own(input_shape, n_outputs):
    return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(input_shape[0] * input_shape[1], n_outputs))


def test_of_equal_seeds_the_model_with_the_lower_loss_is_kept():
    runs = [stage.Run(1, seed, value, None, loss) for seed, value, loss in ((101, 0.9, 0.4), (102, 0.9, 0.3), (103, 0.8, 0.1))]
    found = {direction: stage.Seeds(runs, 1, {"directions": [direction]}).best.seed for direction in ("maximize", "minimize")}
    assert found == {"maximize": 102, "minimize": 103}
