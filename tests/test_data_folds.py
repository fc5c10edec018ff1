"""Folds: every sample validates once, classes in their proportions, the same each time, scaled by the training part alone."""

import numpy as np
import pytest
import torch
from data_checks import SPLIT
from hypothesis import given, settings
from hypothesis import strategies as st

from trivet import data
from trivet.data.folds import deal, fold_of
from trivet.errors import UserError


@settings(max_examples=60, deadline=None)
@given(st.integers(2, 6), st.lists(st.integers(2, 9), min_size=1, max_size=4), st.integers(0, 3))
def test_sizes_differ_by_one_at_most_also_within_classes(folds, sizes, seed):
    y = np.repeat(np.arange(len(sizes)), sizes)
    if len(y) < folds:
        return
    numbers = deal(y, folds, seed, True)
    for members in (np.ones(len(y), bool), *(y == label for label in range(len(sizes)))):
        counts = np.bincount(numbers[members], minlength=folds)
        assert counts.max() - counts.min() <= 1
    assert (numbers == deal(y, folds, seed, True)).all()


def test_another_seed_deals_otherwise():
    y = np.arange(40) % 2
    assert (deal(y, 4, 0, True) != deal(y, 4, 1, True)).any()


@pytest.mark.parametrize("task", ["classification", "regression"])
def test_each_sample_validates_once_and_the_test_file_never(tmp_path, task):
    rng = np.random.default_rng(0)
    x = rng.normal(5, 3, (100, 2))
    y = np.arange(100) % 4 if task == "classification" else x[:, :1] * 2 + 1
    np.savez(tmp_path / "mine.npz", x=x, y=y)
    data.prepare({"name": "arrays", "file": str(tmp_path / "mine.npz"), "task": task, **SPLIT}, tmp_path / "prepared")
    plain, test = data.load(tmp_path / "prepared"), data.load_test(tmp_path / "prepared")
    raw, held = [], []
    for fold in range(5):
        found = data.load(tmp_path / "prepared", folds=5, fold=fold)
        assert (len(found.train.y), len(found.val.y)) == (found.meta["n_train"], found.meta["n_val"]) == (64, 16)
        assert found.train.x.mean(0).abs().max() < 1e-5 and (found.train.x.std(0, correction=0) - 1).abs().max() < 1e-5
        if task == "classification":
            assert found.val.y.bincount().tolist() == [4] * 4
        else:
            assert found.meta["y_mean"] == [pytest.approx(found.train.y.mean().item(), rel=1e-5)]
        back = torch.tensor(found.meta["std"]), torch.tensor(found.meta["mean"])
        raw.append(found.val.x * back[0] + back[1])
        held.append(found.val.y)
    std, mean = torch.tensor(plain.meta["std"]), torch.tensor(plain.meta["mean"])
    every = torch.cat([plain.train.x, plain.val.x]) * std + mean
    assert torch.allclose(torch.cat(raw).sort(0).values, every.sort(0).values, atol=1e-5)
    assert len(test.y) == 20 and not torch.isclose((test.x * std + mean)[:, None], every[None], atol=1e-6).all(-1).any()
    assert data.load(tmp_path / "prepared") is plain, "without folds nothing is dealt"


def test_of_nested_folds_the_inner_ones_never_hold_what_the_outer_one_validates_on(tmp_path):
    x = np.arange(100.0)[:, None] @ np.ones((1, 2))
    np.savez(tmp_path / "mine.npz", x=x, y=np.arange(100) % 2)
    data.prepare({"name": "arrays", "file": str(tmp_path / "mine.npz"), "task": "classification", **SPLIT}, tmp_path / "prepared")

    def values(part, meta):
        return {round(v) for v in (part.x[:, 0] * meta["std"][0] + meta["mean"][0]).tolist()}

    for outer in range(4):
        judged = data.load(tmp_path / "prepared", folds=4, fold=outer)
        unseen, rest = values(judged.val, judged.meta), values(judged.train, judged.meta)
        inner = [data.load(tmp_path / "prepared", folds=3, fold=fold, outer=(4, outer)) for fold in range(3)]
        held = [values(one.val, one.meta) for one in inner]
        assert len(unseen) == 20 and set.union(*held) == rest and sum(map(len, held)) == len(rest) == 60
        assert all(values(one.train, one.meta) | values(one.val, one.meta) == rest for one in inner)
    with pytest.raises(UserError, match=r"data\.outer_fold=4: must be a whole number below data\.outer_folds=4"):
        data.load(tmp_path / "prepared", folds=3, fold=0, outer=(4, 4))
    with pytest.raises(UserError, match=r"data\.outer_folds=4: leaves a fold out"):
        data.load(tmp_path / "prepared", outer=(4, 0))


def test_columns_that_are_not_scaled_stay_so():
    arrays = {
        "x_train": np.array([[1.0, 1.0], [3.0, 0.0]]),
        "x_val": np.array([[5.0, 1.0]]),
        "y_train": np.ones((2, 1)),
        "y_val": np.ones((1, 1)),
    }
    _, meta = fold_of(arrays, {"task": "regression", "mean": [2.0, 0.0], "std": [1.0, 1.0]}, 3, 0)
    assert meta["mean"][1] == 0.0 and meta["std"][1] == 1.0 and meta["mean"][0] in (2.0, 3.0, 4.0)


@pytest.mark.parametrize(
    ("meta", "folds", "fold", "said"),
    [
        ({}, 3, 3, "data.fold=3: must be a whole number below data.folds=3"),
        ({}, 9, 0, "data.folds=9: there are 6 samples"),
        ({"config": {"many_categories": "target"}}, 2, 0, "set data.many_categories=frequency"),
        ({"task": "classification"}, 2, 0, "a class has a single sample"),
    ],
)
def test_what_is_refused(meta, folds, fold, said):
    arrays = {"x_train": np.zeros((4, 1)), "x_val": np.zeros((2, 1)), "y_train": np.array([0, 0, 1, 1]), "y_val": np.array([0, 2])}
    with pytest.raises(UserError) as refused:
        fold_of(arrays, {"task": "regression", "mean": [0.5], "std": [2.0], **meta}, folds, fold)
    assert said in str(refused.value)
