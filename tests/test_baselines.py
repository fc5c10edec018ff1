"""Baselines of a table: what they must reach on data of which that is known, where they are written, and that other data has none."""

import numpy as np
import pytest
import torch
import yaml
from data_checks import SPLIT
from test_test_stage import ROWS, publish

from trivet import data
from trivet.adapters import baselines
from trivet.adapters.testing import Evaluator
from trivet.errors import UserError
from trivet.phases import test as stage
from trivet.training import models, save_model

LOSS = {"name": "cross_entropy"}
N = 400


def meta(task="classification", **more):
    known = {"task": task, "n_classes": 2, "n_outputs": 2, "columns": ["a", "b"], "config": {"seed": 0}}
    return known | ({} if task == "classification" else {"n_classes": None, "n_outputs": 1, "y_mean": [0.0], "y_std": [1.0]}) | more


def splits(target, seed=0):
    """(train, new), with y = target(x) of two columns."""
    x = torch.from_numpy(np.random.default_rng(seed).normal(size=(2 * N, 2))).float()
    y = target(x)
    return data.Split(x[:N], y[:N]), data.Split(x[N:], y[N:])


def test_each_baseline_of_a_classification_finds_what_it_can():
    line, xor = (lambda x: (x[:, 0] > 0.7).long()), (lambda x: (x[:, 0] * x[:, 1] > 0).long())
    on_line = baselines.values(*splits(line), "accuracy", meta(), LOSS)
    train, new = splits(line)
    assert list(on_line) == list(baselines.NAMES["classification"])
    assert on_line["majority"] == pytest.approx((new.y == 0).double().mean().item())
    assert min(on_line["logistic"], on_line["boosting"]) > 0.95
    on_xor = baselines.values(*splits(xor), "accuracy", meta(), LOSS)
    assert on_xor["logistic"] < 0.7 < 0.9 < on_xor["boosting"]
    assert baselines.values(train, new, "accuracy", meta(), LOSS) == on_line  # the same each time


def test_the_majority_is_of_the_training_part_and_its_loss_that_of_the_shares():
    train = data.Split(torch.randn(100, 2), torch.tensor([0] * 70 + [1] * 30))
    new = data.Split(torch.randn(10, 2), torch.tensor([1] * 10))
    assert baselines.values(train, new, "accuracy", meta(), LOSS)["majority"] == 0
    assert baselines.values(train, new, "loss", meta(), LOSS)["majority"] == pytest.approx(-np.log(0.3), rel=1e-5)


def test_each_baseline_of_a_regression_finds_what_it_can():
    straight, bent = (lambda x: 5 + 3 * x[:, :1]), (lambda x: 10 * x[:, :1].abs())
    mse = {"name": "mse"}
    train, new = splits(straight)
    found = baselines.values(train, new, "rmse", meta("regression"), mse)
    assert list(found) == list(baselines.NAMES["regression"])
    assert found["mean"] == pytest.approx((new.y - train.y.mean()).square().mean().sqrt().item(), rel=1e-5)
    assert found["ridge"] < 0.05 < found["boosting"] < found["mean"]
    found = baselines.values(*splits(bent), "rmse", meta("regression"), mse)
    assert 2 * found["boosting"] < found["ridge"]


@pytest.mark.parametrize("changes", [{"columns": None}, {"columns": []}, {"task": "regression", "n_outputs": 2}])
def test_other_data_has_none(changes):
    assert baselines.values(*splits(lambda x: (x[:, 0] > 0).long()), "accuracy", meta() | changes, LOSS) == {}
    assert baselines.line("val/accuracy", {}) == []


def table(root, rows=300):
    """A prepared table and runs of the seeds stage on it."""
    lines = [f"{n % 11},{(n * n) % 7},{'yes' if n % 11 > 5 else 'no'}" for n in range(rows)]
    (root / "mine.csv").write_text("\n".join(["a,b,y", *lines]))
    config = {"name": "table", "file": str(root / "mine.csv"), "target": "y", "task": "classification", **SPLIT}
    return config, data.prepare(config, root / "data/prepared")


def trained(root, known):
    publish(root, ROWS)
    config = {"model": {"name": "linear"}, "loss": LOSS, "precision": "fp32"}
    for path in (root / "results/seeds/model").glob("*.pt"):
        save_model(path, config, models.build(config["model"], known).state_dict(), known)


def test_the_test_stage_scores_them_on_the_test_file(tmp_path, capsys):
    _, known = table(tmp_path)
    trained(tmp_path, known)
    stage.main(Evaluator, tmp_path)
    got = yaml.safe_load((tmp_path / "results/test/test.yaml").read_text())
    test = data.load_test(tmp_path / "data/prepared")
    expected = baselines.values(data.load(tmp_path / "data/prepared").train, test, "accuracy", known, LOSS)
    assert got["baselines"] == expected and expected["boosting"] > expected["majority"]
    assert "baselines: test/accuracy majority 0." in capsys.readouterr().out


def test_models_of_other_data_are_not_tested_on_this(tmp_path):
    config, known = table(tmp_path)
    trained(tmp_path, known)
    (tmp_path / "mine.csv").write_text((tmp_path / "mine.csv").read_text().replace("0,0,no", "0,0,yes"))
    data.prepare(config, tmp_path / "data/prepared")
    with pytest.raises(UserError, match=r"is not the data that results/seeds was trained on"):
        stage.main(Evaluator, tmp_path)
    assert not (tmp_path / "results/test").exists()
