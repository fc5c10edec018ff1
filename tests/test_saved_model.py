"""The model that a training leaves: it predicts raw samples, and what is no model is refused."""

import numpy as np
import pytest
import torch
from small_training import REGRESSION, blobs, config, line

from trivet import UserError, training


def trained(tmp_path, data=None, **changes):
    data, c = data or blobs(), config(**changes)
    result = training.train(c, data)
    training.save_model(tmp_path / "kept" / "model.pt", c, result, data.meta)
    return data, result, training.load_model(tmp_path / "kept" / "model.pt")


def test_a_saved_model_predicts_raw_samples(tmp_path):
    data = blobs()
    data.meta.update(mean=[10.0, 0.0, 0.0, 0.0], std=[1.0, 2.0, 1.0, 1.0])
    raw = data.val.x * torch.tensor(data.meta["std"]) + torch.tensor(data.meta["mean"])
    data, result, model = trained(tmp_path, data, epochs=10)
    assert training.evaluate(model, data.val)["accuracy"] == pytest.approx(result.value)
    expected = np.array(["a", "b", "c"])[data.val.y.numpy()]
    assert (model.predict(raw) == expected).mean() == pytest.approx(result.value)
    for x in (raw.numpy(), raw.double(), raw.tolist()):
        np.testing.assert_array_equal(model.predict(x), model.predict(raw))
    assert model.predict(raw[0]).tolist() == model.predict(raw).tolist()[:1]
    p = model.predict_proba(raw)
    assert p.shape == (40, 3) and p.sum(1) == pytest.approx(1, abs=1e-5)
    assert (np.array(model.classes)[p.argmax(1)] == model.predict(raw)).all()
    with pytest.raises(UserError, match=r"x has shape \(3, 5\): must be \(N, 4\)"):
        model.predict(np.zeros((3, 5)))


def test_one_channel_may_be_left_out(tmp_path):
    data, _, model = trained(tmp_path, blobs(shape=(1, 8)), epochs=1)
    x = data.val.x.numpy()
    for variant in (x[:, 0], x):
        np.testing.assert_array_equal(model.predict(variant), model.predict(x))
    assert model.predict(x[0, 0]).shape == (1,)


@pytest.fixture(scope="module")
def of_one_epoch(tmp_path_factory):
    return trained(tmp_path_factory.mktemp("model"), blobs(shape=(3,)), epochs=1)[-1]


@pytest.mark.parametrize(
    ("x", "message"),
    [
        ([[0, 0, np.nan], [np.inf, 0, 0]], "x has 2 values that are NaN, infinite or too large, the first in sample 0"),
        (np.array([[0, 0, 0], [0, 0, 1e300]]), "x has 1 values that are NaN, infinite or too large, the first in sample 1"),
        ([["a", "b", "c"]], "x: must be numbers, all samples of one shape ("),
        ([[1, 2, 3], [3]], "x: must be numbers, all samples of one shape ("),
        (None, "x has shape (): must be (N, 3), or one such sample"),
        ([], "x has shape (0,): must be (N, 3), or one such sample"),
    ],
)
def test_samples_that_are_no_numbers_are_one_line(of_one_epoch, x, message):
    with pytest.raises(UserError) as error:
        of_one_epoch.predict(x)
    assert message in str(error.value) and "\n" not in str(error.value)


@pytest.mark.filterwarnings("error")
def test_numbers_of_any_type_are_samples(of_one_epoch):
    numbers = [[1, 2, 3], [3, -4, 0]]
    plain = of_one_epoch.predict_proba(numbers)
    for x in (np.array(numbers, dtype=object), np.broadcast_to(np.int8(numbers), (2, 3)), torch.tensor(numbers)):
        np.testing.assert_array_equal(of_one_epoch.predict_proba(x), plain)


def test_a_regression_predicts_in_its_units(tmp_path):
    data, result, model = trained(tmp_path, line(), **REGRESSION, epochs=40, optimizer={"name": "sgd", "lr": 0.1})
    prediction = model.predict(data.val.x)
    assert prediction.shape == (40,) and prediction == pytest.approx(data.val.y[:, 0].numpy(), abs=0.5)
    assert training.evaluate(model, data.val)["rmse"] == pytest.approx(result.value, rel=1e-5)
    with pytest.raises(UserError, match="regression"):
        model.predict_proba(data.val.x)


@pytest.mark.parametrize("content", [None, b"", b"junk", [1], {"config": {}}])
def test_what_is_no_model_is_refused(content, tmp_path):
    path = tmp_path / "model.pt"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        torch.save(content, path)
    with pytest.raises(UserError, match=r"model\.pt: (no such file|is not a model)"):
        training.load_model(path)


# What a file may not do


RAN = []


class Own(torch.nn.Module):
    """A model of the user's own that says when it is built."""

    def __init__(self, input_shape, n_outputs, width=3):
        super().__init__()
        RAN.append(width)
        self.layers = torch.nn.Sequential(torch.nn.Linear(input_shape[0], width), torch.nn.Linear(width, n_outputs))

    def forward(self, x):
        return self.layers(x)


def own_model(tmp_path):
    data, c = blobs(), config(epochs=1, model={"_target_": f"{__name__}.Own", "width": 4})
    training.save_model(tmp_path / "model.pt", c, training.train(c, data), data.meta)
    RAN.clear()
    return data, tmp_path / "model.pt"


def test_a_model_of_ones_own_is_built_when_its_name_is_given(tmp_path):
    data, path = own_model(tmp_path)
    target = f"{__name__}.Own"
    for allow in ((), ["Own", "own.Own", target + "s"], target[:-1]):
        with pytest.raises(UserError) as error:
            training.load_model(path, allow=allow)
        assert not RAN, "nothing was built"
        assert str(error.value).startswith(f"{path}: its model is {target}, code that a file may not choose to run")
        assert str(error.value).endswith(f"load_model(path, allow=['{target}'])")
    for allow in ([target], (target, "other.Net"), target):
        assert training.load_model(path, allow=allow).predict(data.val.x).shape == (40,)


@pytest.mark.parametrize("target", ["os.mkdir", "torch.hub.load", "logging.basicConfig", 5, ["os.mkdir"], "a\nb.c", "\x1b[31m.x"])
def test_no_code_that_a_file_names_is_run(target, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    _, path = own_model(tmp_path)
    content = torch.load(path, weights_only=True)
    content["config"]["model"] = {"_target_": target, "path": "made"}
    torch.save(content, path)
    before = sorted(tmp_path.iterdir())
    with pytest.raises(UserError) as error:
        training.load_model(path)
    assert "code that a file may not choose to run" in str(error.value) and str(error.value).isprintable()
    assert sorted(tmp_path.iterdir()) == before


def circle():
    endless = []
    endless.append(endless)
    return endless


def deep(n):
    return [deep(n - 1)] if n else []


ODD = {
    "config is a list": lambda c: c.update(config=[1]),
    "config holds a tensor": lambda c: c["config"].update(extra=torch.ones(1)),
    "config holds itself": lambda c: c["config"].update(extra=circle()),
    "config is deep": lambda c: c["config"].update(extra=deep(100)),
    "no model": lambda c: c["config"].pop("model"),
    "model is a text": lambda c: c["config"].update(model="mlp"),
    "model is another": lambda c: c["config"].update(model={"name": "linear"}),
    "model is unknown": lambda c: c["config"]["model"].update(name="vgg\n\n"),
    "model is giant": lambda c: c["config"]["model"].update(width=65536, depth=100),
    "model's width is a list": lambda c: c["config"]["model"].update(width=[8]),
    "model for other inputs": lambda c: c["config"].update(model={"name": "cnn", "channels": 4, "depth": 1, "kernel": 3}),
    "precision": lambda c: c["config"].update(precision=["fp32"]),
    "loss": lambda c: c["config"].update(loss="cross_entropy"),
    "loss of another task": lambda c: c["config"].update(loss={"name": "mse"}),
    "meta is null": lambda c: c.update(meta=None),
    "meta is empty": lambda c: c.update(meta={}),
    "task": lambda c: c["meta"].update(task=["classification"]),
    "another task": lambda c: c["meta"].update(task="regression"),
    "input_shape is a number": lambda c: c["meta"].update(input_shape=4),
    "input_shape is giant": lambda c: c["meta"].update(input_shape=[4, 2**40, 2**40]),
    "input_shape is long": lambda c: c["meta"].update(input_shape=[4, 1, 1, 1]),
    "input_shape of another": lambda c: c["meta"].update(input_shape=[5]),
    "mean is short": lambda c: c["meta"].update(mean=[0.0]),
    "mean is text": lambda c: c["meta"].update(mean=["0"] * 4),
    "std is zero": lambda c: c["meta"].update(std=[0.0] * 4),
    "std is huge": lambda c: c["meta"].update(std=[10**400] * 4),
    "n_classes": lambda c: c["meta"].update(n_classes="3"),
    "n_classes is giant": lambda c: c["meta"].update(n_classes=10**30),
    "classes are few": lambda c: c["meta"].update(classes=["a"]),
    "classes are a mapping": lambda c: c["meta"].update(classes={"a": 1, "b": 2, "c": 3}),
    "state is a list": lambda c: c.update(state_dict=[1]),
    "state is empty": lambda c: c.update(state_dict={}),
    "state holds a text": lambda c: c["state_dict"].update({"1.weight": "x"}),
    "state lacks a weight": lambda c: c["state_dict"].pop("1.weight"),
    "state has one more": lambda c: c["state_dict"].update(more=torch.ones(1)),
    "state of another shape": lambda c: c["state_dict"].update({"1.weight": torch.ones(2)}),
    "state of another type": lambda c: c["state_dict"].update({"1.weight": c["state_dict"]["1.weight"].to(torch.complex64)}),
}


@pytest.mark.parametrize("how", ODD)
def test_an_odd_file_is_said_in_one_line(how, tmp_path):
    trained(tmp_path, epochs=1)
    path = tmp_path / "kept" / "model.pt"
    content = torch.load(path, weights_only=True)
    ODD[how](content)
    torch.save(content, path)
    with pytest.raises(UserError) as error:
        training.load_model(path)
    assert str(error.value).startswith(f"{path}: ") and str(error.value).isprintable() and len(str(error.value)) < 400


def test_a_folder_and_a_file_of_others_are_no_models(tmp_path):
    with pytest.raises(UserError, match="is not a model"):
        training.load_model(tmp_path)


def test_what_could_not_be_loaded_is_not_saved(tmp_path):
    data, c = blobs(), config(epochs=1)
    result = training.train(c, data)
    training.save_model(tmp_path / "a.pt", c | {"lr": np.float64(0.5), "sizes": (1, np.int64(2))}, result, data.meta)
    assert training.load_model(tmp_path / "a.pt").config["sizes"] == [1, 2]
    with pytest.raises(UserError, match=r"config\.extra: is a set; must be a number"):
        training.save_model(tmp_path / "b.pt", c | {"extra": {1}}, result, data.meta)
    assert not (tmp_path / "b.pt").exists()


def test_the_projects_own_models_are_those_that_its_conf_names(tmp_path):
    (tmp_path / "a.yaml").write_text("# a\n_target_: my.models.Net\nwidth: 3\n")
    (tmp_path / "b.yaml").write_text("name: mlp\n")
    assert training.targets_in(tmp_path) == ["my.models.Net"]
    assert training.targets_in(tmp_path / "none") == []
    (tmp_path / "c.yaml").write_text("a: [")
    with pytest.raises(UserError, match=r"c\.yaml: cannot be read"):
        training.targets_in(tmp_path)
