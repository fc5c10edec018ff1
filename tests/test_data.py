"""Data: what is written and loaded, that splits are fair, that statistics see the training part alone, and that bad data writes nothing."""

import random

import numpy as np
import pytest
import torch
from data_checks import SPLIT, WRITTEN, prepared, refused
from hypothesis import given, settings
from hypothesis import strategies as st

from trivet import data
from trivet.data import files
from trivet.data.split import split_indices
from trivet.errors import UserError


def arrays_config(tmp_path, **found):
    config = {"name": "arrays", "file": str(tmp_path / "mine.npz"), "task": found.pop("task", "classification"), **SPLIT}
    np.savez(config["file"], **found)
    return config


def test_arrays(tmp_path):
    rng = np.random.default_rng(0)
    x, y = rng.normal(5, 3, (100, 2, 6)), np.array(["b", "a", "b", "b"] * 25)
    meta, search, test = prepared(arrays_config(tmp_path, x=x, y=y), tmp_path)
    assert (meta["n_train"], meta["n_val"], meta["n_test"]) == (60, 20, 20)
    assert (meta["task"], meta["n_classes"], meta["n_outputs"], meta["classes"]) == ("classification", 2, 2, ["a", "b"])
    assert meta["input_shape"] == [2, 6]
    for part, n in ((search.train, 60), (search.val, 20), (test, 20)):
        assert part.x.shape == (n, 2, 6)
        assert part.x.dtype == torch.float32
        assert part.y.dtype == torch.int64
        assert part.y.bincount().tolist() == [n // 4, 3 * n // 4]
    # normalised per channel, by the training part
    assert torch.allclose(search.train.x.mean((0, 2)), torch.zeros(2), atol=1e-5)
    assert torch.allclose(search.train.x.std((0, 2), correction=0), torch.ones(2), atol=1e-5)
    raw = np.load(tmp_path / "prepared" / "test.npz")
    expected = (raw["x"] - np.array(meta["mean"])[None, :, None]) / np.array(meta["std"])[None, :, None]
    assert np.allclose(test.x.numpy(), expected, atol=1e-5)


def test_every_sample_is_in_one_part_beside_its_own_label(tmp_path):
    x = np.arange(200.0)[:, None]
    meta, search, test = prepared(arrays_config(tmp_path, x=x, y=np.arange(200) % 5), tmp_path)
    seen = []
    for part in (search.train, search.val, test):
        numbers = (part.x[:, 0] * meta["std"][0] + meta["mean"][0]).round().long()
        assert torch.equal(numbers % 5, part.y)
        seen += numbers.tolist()
    assert sorted(seen) == list(range(200))


def test_statistics_come_from_the_training_part_alone(tmp_path):
    x, y = np.random.default_rng(0).normal(size=(100, 3)), np.arange(100) % 2
    config = arrays_config(tmp_path, x=x, y=y)
    first, search, _ = prepared(config, tmp_path)
    raw = np.load(tmp_path / "prepared" / "search.npz")
    held = [row for part in ("x_val",) for row in raw[part]] + list(np.load(tmp_path / "prepared" / "test.npz")["x"])
    outside = np.array([any(np.allclose(row, other) for other in held) for row in x])
    x[outside] += 1000
    np.savez(config["file"], x=x, y=y)
    second, changed, _ = prepared(config, tmp_path)
    assert (first["mean"], first["std"]) == (second["mean"], second["std"])
    assert torch.equal(search.train.x, changed.train.x)
    assert not torch.equal(search.val.x, changed.val.x)


def test_a_test_part_of_its_own_is_kept_whole(tmp_path):
    config = arrays_config(tmp_path, x=np.random.rand(40, 3), y=np.arange(40) % 2, x_test=np.full((7, 3), 9.0), y_test=[0, 1] * 3 + [0])
    meta, search, test = prepared(config, tmp_path)
    assert (meta["n_train"], meta["n_val"], meta["n_test"]) == (30, 10, 7)
    assert test.y.tolist() == [0, 1, 0, 1, 0, 1, 0]
    assert len(search.train.x) == 30


def test_images_stay_bytes_in_the_file(tmp_path):
    x = np.random.default_rng(0).integers(0, 256, (40, 3, 4, 5), dtype=np.uint8)
    meta, search, _ = prepared(arrays_config(tmp_path, x=x, y=np.arange(40) % 4), tmp_path)
    assert np.load(tmp_path / "prepared" / "search.npz")["x_train"].dtype == np.uint8
    assert len(meta["mean"]) == 3
    assert search.train.x.dtype == torch.float32


def test_a_column_that_never_varies_is_only_centred(tmp_path):
    x = np.stack([np.full(40, 1e6 + 0.1), np.arange(40.0)], axis=1)
    meta, search, _ = prepared(arrays_config(tmp_path, x=x, y=np.arange(40) % 2), tmp_path)
    assert meta["std"][0] == 1.0
    assert search.train.x[:, 0].abs().max() == 0


@pytest.mark.parametrize(("targets", "n"), [(lambda x: 100 + 20 * x[:, 0], 1), (lambda x: np.stack([x[:, 0], 7 * x[:, 1]], axis=1), 2)])
def test_regression_keeps_the_units_of_the_target(tmp_path, targets, n):
    x = np.random.default_rng(0).normal(size=(100, 3))
    meta, search, test = prepared(arrays_config(tmp_path, x=x, y=targets(x), task="regression"), tmp_path)
    assert (meta["task"], meta["n_classes"], meta["n_outputs"]) == ("regression", None, n)
    assert search.train.y.shape == (60, n)
    assert test.y.dtype == torch.float32
    assert meta["y_mean"] == pytest.approx(search.train.y.mean(0).tolist(), abs=1e-4)
    assert meta["y_std"] == pytest.approx(search.train.y.std(0, correction=0).tolist(), rel=1e-4)


X, Y = np.random.default_rng(0).normal(size=(20, 3)), np.arange(20) % 2


def changed(array, index, value):
    array = array.astype(float).copy()
    array[index] = value
    return array


BAD_ARRAYS = [
    ({"x": X}, "has no array y; it has x"),
    ({"x": X, "y": Y, "x_test": X}, "has no array y_test"),
    ({"x": X[:5], "y": Y}, "x has 5 samples and its y has shape (20,)"),
    ({"x": X[:, 0], "y": Y}, "x must be numbers of shape (N, F), (N, C, L) or (N, C, H, W), not float64 (20,)"),
    ({"x": X.astype(str), "y": Y}, "x must be numbers"),
    ({"x": X[:0], "y": Y[:0]}, "x is empty: its shape is (0, 3)"),
    ({"x": X[:, :0], "y": Y}, "x is empty: its shape is (20, 0)"),
    ({"x": changed(X, (3, 1), np.nan), "y": Y}, "x has 1 values that are NaN, infinite or too large"),
    ({"x": changed(X, (3, 1), 1e300), "y": Y}, "x has 1 values that are NaN, infinite or too large"),
    ({"x": X, "y": changed(Y, 2, np.nan)}, "y has 1 values that are NaN or infinite"),
    ({"x": X, "y": changed(Y, 2, 0.5)}, "y holds fractions such as 0.5"),
    ({"x": X, "y": Y * 0}, "y holds one class only, 0"),
    ({"x": X, "y": np.stack([Y, Y], axis=1)}, "y of a classification must have shape (N,)"),
    ({"x": X, "y": np.where(np.arange(20) == 4, 7, Y)}, "data.test_fraction=0.2: class 7 has 1 sample left"),
    ({"x": X, "y": np.where(np.isin(np.arange(20), [4, 5]), 7, Y)}, "data.val_fraction=0.25: class 7 has 1 sample left"),
    ({"x": X, "y": Y, "x_test": X[:, :2], "y_test": Y}, "x has samples of shape (3,), x_test of (2,)"),
    ({"x": X, "y": Y, "x_test": X[:2], "y_test": np.array([0, 5])}, "y_test holds the class 5"),
    ({"x": X, "y": Y.astype(str), "task": "regression"}, "y of a regression must be numbers"),
    ({"x": X, "y": Y.astype(object)}, "is not an .npz of plain arrays"),
]


@pytest.mark.parametrize(("found", "message"), BAD_ARRAYS, ids=[message[:40] for _, message in BAD_ARRAYS])
def test_bad_arrays(tmp_path, found, message):
    refused(arrays_config(tmp_path, **found), tmp_path, message)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "the file is empty"),
        (b"x,y\n1,2\n", "is not an .npz of plain arrays"),
        (None, "there is no such file"),
        ("npy", "has no array y; it has x"),
    ],
)
def test_bad_files(tmp_path, content, message):
    path = tmp_path / "mine.npz"
    if content == "npy":
        np.save(path.open("wb"), X)
    elif content is not None:
        path.write_bytes(content)
    refused({"name": "arrays", "file": str(path), "task": "classification", **SPLIT}, tmp_path, message)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"val_fraction": 0}, "data.val_fraction=0: must be a number > 0 and < 1"),
        ({"val_fraction": 1.0}, "data.val_fraction=1.0: must be a number > 0 and < 1"),
        ({"test_fraction": -0.1}, "data.test_fraction=-0.1: must be a number > 0 and < 1"),
        ({"seed": -1}, "data.seed=-1: must be a whole number >= 0"),
        ({"task": "ranking"}, "data.task=ranking: must be one of classification, regression"),
        ({"file": None}, "data.file=null: name the .npz file with arrays x and y"),
        ({"published": {"cnn": "94 %"}}, "data.published={'cnn': '94 %'}: must be a mapping from names to values, each a number"),
        ({"fraction": 0.1}, "data.fraction is not a key of data=arrays"),
        ({"name": "mnist"}, "data.name=mnist: must be one of mnist1d, digits, mnist5k, cifar10, arrays, table; did you mean mnist"),
    ],
)
def test_bad_settings(tmp_path, changes, message):
    refused({**arrays_config(tmp_path, x=X, y=Y), **changes}, tmp_path, message)


def test_bad_data_leaves_what_was_prepared_before(tmp_path):
    meta, _, _ = prepared(arrays_config(tmp_path, x=X, y=Y), tmp_path)
    refused(arrays_config(tmp_path, x=X, y=Y * 0), tmp_path, "one class only")
    assert data.load(tmp_path / "prepared").meta == meta


@settings(max_examples=60, deadline=None)
@given(counts=st.lists(st.integers(2, 40), min_size=1, max_size=6), fraction=st.floats(0.01, 0.99), seed=st.integers(0, 5))
def test_splits_are_whole_disjoint_and_in_proportion(counts, fraction, seed):
    labels = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(counts)), counts))
    kept, held = split_indices(np.arange(len(labels)), fraction, labels, np.random.default_rng(seed), "f")
    assert sorted([*kept, *held]) == list(range(len(labels)))
    shares = np.bincount(labels[held], minlength=len(counts))
    for n, share in zip(counts, shares, strict=True):
        assert 1 <= share <= n - 1
        assert abs(share - n * fraction) <= 1
    if all(1 <= n * fraction <= n - 1 for n in counts):
        assert shares.sum() == round(len(labels) * fraction)


@pytest.mark.parametrize(("n", "fraction", "expected"), [(10, 0.3, 3), (2, 0.01, 1), (2, 0.99, 1), (7, 0.5, 4)])
def test_splits_of_a_regression(n, fraction, expected):
    kept, held = split_indices(np.arange(n), fraction, None, np.random.default_rng(0), "f")
    assert len(held) == expected
    assert sorted([*kept, *held]) == list(range(n))


def test_the_same_data_gives_the_same_bytes(tmp_path):
    config = arrays_config(tmp_path, x=X, y=Y)
    for name in ("a", "b"):
        data.prepare(config, tmp_path / name)
    for name in WRITTEN:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    other = data.prepare({**config, "seed": 1}, tmp_path / "b")
    assert other["sha256"] != data.load(tmp_path / "a").meta["sha256"]


def test_load_is_cached_until_the_files_change(tmp_path):
    config = arrays_config(tmp_path, x=X, y=Y)
    data.prepare(config, tmp_path / "a")
    first = data.load(tmp_path / "a")
    assert data.load(str(tmp_path / "a"), torch.device("cpu")) is first
    data.prepare({**config, "seed": 3}, tmp_path / "a")
    assert data.load(tmp_path / "a") is not first


def test_the_search_does_not_need_the_test_file(tmp_path):
    data.prepare(arrays_config(tmp_path, x=X, y=Y), tmp_path / "a")
    (tmp_path / "a" / "test.npz").unlink()
    assert len(data.load(tmp_path / "a").val.y) == 4
    with pytest.raises(UserError, match=r"test.npz is missing"):
        data.load_test(tmp_path / "a")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("search.npz", None, "search.npz is missing"),
        ("data.yaml", None, "data.yaml is missing"),
        ("search.npz", b"PK", "cannot be read"),
        ("search.npz", {"x_train": X, "y_train": Y, "x_val": X, "y_val": Y}, "search.npz is not the file that data.yaml describes"),
    ],
)
def test_a_damaged_folder(tmp_path, name, content, message):
    data.prepare(arrays_config(tmp_path, x=X, y=Y), tmp_path / "a")
    path = tmp_path / "a" / name
    path.unlink()
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        np.savez(path, **content)
    with pytest.raises(UserError, match=message):
        data.load(tmp_path / "a")


def test_content_hash_sees_names_types_shapes_and_values():
    base = {"a": np.arange(6)}
    others = [{"b": np.arange(6)}, {"a": np.arange(6.0)}, {"a": np.arange(6).reshape(2, 3)}, {"a": np.arange(6)[::-1]}]
    hashes = [files.content_hash(arrays) for arrays in (base, *others)]
    assert len(set(hashes)) == len(hashes)
    assert files.content_hash({"a": np.arange(12)[::2] // 2}) == hashes[0]  # not contiguous, same content


@pytest.mark.slow
def test_mnist1d_is_the_published_one_and_leaves_the_generators_alone(tmp_path):
    random.seed(1), np.random.seed(1)
    expected = random.random(), np.random.rand()
    random.seed(1), np.random.seed(1)
    meta, search, test = prepared({"name": "mnist1d", "val_fraction": 0.2, "seed": 0, "published": {"cnn": 0.94}}, tmp_path)
    assert (random.random(), np.random.rand()) == expected
    assert (meta["n_train"], meta["n_val"], meta["n_test"], meta["n_classes"]) == (3200, 800, 1000, 10)
    assert meta["published"] == {"cnn": 0.94}
    assert search.train.x.shape == (3200, 1, 40)
    assert test.y[:10].tolist() == [2, 6, 3, 9, 4, 3, 1, 9, 5, 2]  # seed 42, as the package makes it


def test_digits(tmp_path):
    meta, search, test = prepared({"name": "digits", **SPLIT}, tmp_path)
    assert meta["n_train"] + meta["n_val"] + meta["n_test"] == 1797
    assert search.train.x.shape[1:] == (1, 8, 8)
    assert set(test.y.tolist()) == set(range(10))


@pytest.mark.slow
def test_mnist5k(tmp_path):
    meta, search, _ = prepared({"name": "mnist5k", **SPLIT}, tmp_path)
    assert (meta["n_train"], meta["n_val"], meta["n_test"]) == (3000, 1000, 1000)
    assert search.train.x.shape[1:] == (1, 28, 28)
