"""Beginning with weights from elsewhere, freezing, and rates of their own for the parts of a model."""

import pickle
from pathlib import Path

import pytest
import torch
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf
from small_training import blobs, config, numbers
from torch import nn

from trivet import UserError, space, training
from trivet.data import Data, Split, prepared
from trivet.training import load_model, models, optimizers, schedules, transfer
from trivet.training.run import Run

ROOT = Path(__file__).parent.parent
META = {"task": "classification", "n_classes": 3, "input_shape": [2, 16]}
NODES = {
    "mlp": {"name": "mlp", "width": 8, "depth": 2, "norm": "batch", "dropout": 0.1},
    "cnn": {"name": "cnn", "channels": 4, "depth": 2, "kernel": 3, "norm": "batch", "dropout": 0.1},
    "resnet": {"name": "resnet", "channels": 4, "depth": 1, "kernel": 3},
    "gru": {"name": "gru", "width": 4, "depth": 1},
    "transformer": {"name": "transformer", "width": 8, "depth": 2, "heads": 2, "patch": 4},
    "linear": {"name": "linear"},
}
MLP = NODES["mlp"]


class Foreign(nn.Module):
    """A model of one's own, as torchvision's and timm's are: a parameter of its own, stages, a head."""

    def __init__(self, input_shape=(4,), n_outputs=3):
        super().__init__()
        self.token = nn.Parameter(torch.zeros(4))
        self.stem = nn.Sequential(nn.Linear(input_shape[0], 4), nn.BatchNorm1d(4))
        self.layers = nn.ModuleList([nn.Linear(4, 4), nn.Linear(4, 4)])
        self.fc = nn.Linear(4, n_outputs)

    def forward(self, x):
        x = self.stem(x + self.token)
        for layer in self.layers:
            x = torch.relu(layer(x))
        return self.fc(x)


OWN = {"_target_": "test_transfer.Foreign"}


# Stages and groups ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "sizes"), [("mlp", [3, 3, 2]), ("cnn", [3, 3, 2]), ("resnet", [1, 6, 7, 9, 2]), ("gru", [4, 2])])
def test_a_stage_is_a_layer_with_the_norms_that_follow_and_the_head_is_the_last(name, sizes):
    model = models.build(NODES[name], META)
    found = transfer.stages(model)
    assert list(map(len, found)) == sizes
    assert sorted(name for stage in found for name in stage) == sorted(name for name, _ in model.named_parameters())


def test_the_stages_of_a_model_of_ones_own():
    found = transfer.stages(Foreign())
    assert found[0] == ["token", "stem.0.weight", "stem.0.bias", "stem.1.weight", "stem.1.bias"]
    assert [stage[0] for stage in found[1:]] == ["layers.0.weight", "layers.1.weight", "fc.weight"]
    assert transfer.stages(models.build(NODES["transformer"], META))[0][0] == "position"
    assert len(transfer.stages(models.build(NODES["linear"], META))) == 1


@pytest.mark.parametrize(
    ("rates", "expected"),
    [
        ({"encoder_lr": 0.01}, [0.1, 0.01, 0.01, 0.01]),
        ({"layer_decay": 0.5}, [0.1, 0.0125, 0.025, 0.05]),  # the head, then from the first stage up
        ({}, None),
    ],
)
def test_each_part_has_its_own_rate(rates, expected):
    model = Foreign()
    found = transfer.groups(model, {"lr": 0.1, **rates})
    assert expected is None if found is None else [group["lr"] for group in found] == pytest.approx(expected)
    if found is not None:
        assert found[0]["params"][0] is model.fc.weight
        assert sum(len(group["params"]) for group in found) == len(list(model.parameters()))


@pytest.mark.parametrize("name", ["cosine", "linear", "onecycle", "step", "constant"])
def test_a_schedule_moves_every_part_by_the_same_factor(name):
    node = {"name": name, "end": 0.1} if name in ("cosine", "linear") else {"name": name}
    node |= {"onecycle": {"warmup": 0.3, "div_factor": 10.0, "end": 0.01}, "step": {"every": 1, "gamma": 0.5}}.get(name, {"warmup": 3})
    one, two = nn.Parameter(torch.ones(1)), nn.Parameter(torch.ones(1))
    parted = optimizers.build({"name": "sgd", "lr": 0.1}, [{"params": [one], "lr": 0.1}, {"params": [two], "lr": 0.001}])
    alone = optimizers.build({"name": "sgd", "lr": 0.1}, [nn.Parameter(torch.ones(1))])
    first, second = (schedules.build(node, optimizer, 2, 6) for optimizer in (parted, alone))
    for step in range(12):
        head, encoder = (group["lr"] for group in parted.param_groups)
        assert (head, encoder) == pytest.approx((alone.param_groups[0]["lr"], alone.param_groups[0]["lr"] / 100))
        for schedule, optimizer in ((first, parted), (second, alone)):
            optimizer.step()
            schedule.step_batch()
            if step == 5:
                schedule.step_epoch(1.0)


# Freezing -------------------------------------------------------------------------------------------------------------------------


def still(run, before):
    """The names of tensors that are as they were."""
    return {name for name, value in run.model.state_dict().items() if torch.equal(value, before[name])}


@pytest.mark.parametrize(
    ("freeze", "frozen"),
    [
        (1, {"1.weight", "2.weight", "2.bias", "2.running_mean", "2.running_var", "2.num_batches_tracked"}),
        ("5.*", {"5.weight"}),
        (-1, None),
        (0, set()),
        (None, set()),
    ],
)
def test_what_is_frozen_stands_still_norms_included_until_it_is_not(freeze, frozen):
    node = MLP | {"freeze": freeze} | ({"unfreeze_at": 3} if freeze is not None else {})
    optimizer = {"name": "adamw", "lr": 0.02, "weight_decay": 0.5}
    run = Run(config(model=node, optimizer=optimizer), blobs())
    before = {name: value.clone() for name, value in run.model.state_dict().items()}
    run.epoch()
    run.epoch()
    head = {name for name in before if name.startswith("9.")}
    expected = {name for name in before if name not in head} if frozen is None else frozen
    assert still(run, before) == expected and head
    run.epoch()
    assert not still(run, before)


def test_a_frozen_training_is_that_of_the_head_alone():
    """The first layer of a frozen model is a fixed map: the same as data that went through it before."""
    data = blobs()
    node = {"name": "mlp", "width": 8, "depth": 1, "freeze": -1}
    run = Run(config(model=node), data)
    with torch.no_grad():
        mapped = [run.model[:-1](part) for part in (data.train.x, data.val.x)]
    seen = Data(Split(mapped[0], data.train.y), Split(mapped[1], data.val.y), data.meta | {"input_shape": [8]})
    head = Run(config(model={"name": "linear"}), seen)
    head.model[-1].load_state_dict(run.model[-1].state_dict())
    for _ in range(2):
        ours, alone = run.epoch(), head.epoch()
        assert ours["train/loss"] == pytest.approx(alone["train/loss"]) and ours["val/loss"] == pytest.approx(alone["val/loss"])


# Weights --------------------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def backbone(tmp_path_factory):
    """A trained network of ours: (path of its model.pt, its weights)."""
    path = tmp_path_factory.mktemp("backbone") / "model.pt"
    c, data = config(model=MLP), blobs()
    result = training.train(c, data)
    training.save_model(path, c, result, data.meta)
    return str(path), result.state


def begun(node, path, **changes):
    return Run(config(model=node | {"pretrained": path}, **changes), blobs())


def test_a_model_of_ours_begins_where_another_ended(backbone, caplog):
    path, state = backbone
    with caplog.at_level("INFO"):
        run = begun(MLP, path)
    assert all(torch.equal(run.model.state_dict()[name], state[name]) for name in state)
    assert f"model.pretrained={path}: {len(state)} of {len(state)} tensors taken" in caplog.text and "left" not in caplog.text


def test_dropout_more_or_less_is_the_same_architecture(backbone):
    path, state = backbone
    run = begun(MLP | {"dropout": 0.0}, path)
    assert list(run.model.state_dict()) != list(state)
    assert all(torch.equal(a, b) for a, b in zip(run.model.state_dict().values(), state.values(), strict=True))


def test_what_does_not_fit_is_told_in_a_line_and_begins_anew(backbone, caplog, tmp_path):
    path, state = backbone
    deeper = MLP | {"depth": 3}
    with caplog.at_level("INFO"):
        run = begun(deeper, path)
    assert torch.equal(run.model.state_dict()["1.weight"], state["1.weight"])
    [line] = [record.getMessage() for record in caplog.records if "pretrained" in record.getMessage()]
    assert "of another shape, and so left as they were: 9.weight (8, 8), there (3, 8)" in line and "not in the file: 10.weight" in line
    wrapped = {f"module.{name}": value for name, value in Foreign().state_dict().items()}
    torch.save({"other.a": torch.ones(3, 3), **wrapped}, tmp_path / "s.pt")
    caplog.clear()
    with caplog.at_level("INFO"):
        run = begun(OWN, str(tmp_path / "s.pt"))
    assert f"{len(wrapped)} of {len(wrapped)} tensors taken; not in the model: other.a" in caplog.text
    assert torch.equal(run.model.fc.weight, wrapped["module.fc.weight"])


@pytest.mark.parametrize("wrap", [lambda state: state, lambda state: {"state_dict": state, "epoch": 3}, lambda state: {"model": state}])
def test_any_state_dict_is_read(wrap, tmp_path):
    other = Foreign()
    torch.save(wrap(other.state_dict()), tmp_path / "weights.pt")
    run = begun(OWN, str(tmp_path / "weights.pt"))
    assert torch.equal(run.model.fc.weight, other.fc.weight)


@pytest.mark.parametrize(("shape", "expected"), [([2, 16], (2, 8)), ([1, 4, 6], (1, 8, 8))])
def test_inputs_are_brought_to_the_size_of_the_weights(shape, expected):
    made, plain = (models.build(NODES["cnn"] | more, META | {"input_shape": s}) for more, s in (({"resize": 8}, shape), ({}, expected)))
    assert list(made.state_dict()) == list(plain.state_dict())
    assert [value.shape for value in made.state_dict().values()] == [value.shape for value in plain.state_dict().values()]
    plain.load_state_dict(made.state_dict())
    x = torch.randn(3, *shape)
    sized = torch.nn.functional.interpolate(x, size=expected[1:], mode="linear" if len(shape) == 2 else "bilinear")
    made.eval()
    assert sized.shape == (3, *expected) and torch.equal(made(x), plain.eval()(sized))


class Evil:
    def __reduce__(self):
        return print, ("it ran",)


def test_no_code_of_a_file_runs(tmp_path, capsys):
    (tmp_path / "evil.pt").write_bytes(pickle.dumps({"state_dict": Evil()}))
    torch.save({"a": Evil()}, tmp_path / "worse.pt")
    for name in ("evil.pt", "worse.pt"):
        with pytest.raises(UserError, match="is no file of weights alone"):
            begun(MLP, str(tmp_path / name))
    assert "it ran" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"pretrained": "nowhere.pt"}, "model.pretrained=nowhere.pt: cannot be read (No such file or directory)"),
        ({"pretrained": "empty.pt"}, "holds no tensors by name"),
        ({"pretrained": "other.pt"}, "nothing in it fits this model, which begins with 1.weight (8, 4), the file with x (5, 5)"),
        ({"pretrained": 3}, "model.pretrained=3: must be null or a text"),
        ({"freeze": 3}, "model.freeze=3: the model has 3 stages, the head among them; freeze at most 2"),
        ({"freeze": -4}, "model.freeze=-4: the model has 3 stages"),
        ({"freeze": "*"}, "model.freeze=*: leaves nothing to train"),
        ({"freeze": "layer*"}, "model.freeze=layer*: fits no parameter of the model; there are 1.weight"),
        ({"freeze": 0.5}, "model.freeze=0.5: must be null or a number of stages"),
        ({"resize": 0}, "model.resize=0: must be null or a whole number >= 1"),
        ({"resize": 28}, "model.resize=28: the data is no signal and no image ((4,)); leave it out"),
        ({"unfreeze_at": 3}, "model.unfreeze_at=3: nothing is frozen"),
        ({"freeze": 1, "unfreeze_at": 0}, "model.unfreeze_at=0: must be null or a whole number >= 1"),
    ],
)
def test_what_is_wrong_is_one_line(changes, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save({"a": 1}, "empty.pt")
    torch.save({"x": torch.ones(5, 5)}, "other.pt")
    with pytest.raises(UserError) as error:
        training.train(config(model=MLP | changes), blobs())
    assert message in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("optimizer", "model", "message"),
    [
        ({"encoder_lr": 0.1, "layer_decay": 0.5}, MLP, "optimizer.layer_decay=0.5: optimizer.encoder_lr is set, too"),
        ({"encoder_lr": 0}, MLP, "optimizer.encoder_lr=0: must be"),
        ({"layer_decay": 1.5}, MLP, "optimizer.layer_decay=1.5: must be"),
        ({"layer_decay": 0.5}, {"name": "linear"}, "optimizer.layer_decay=0.5: the model is one layer, and so has no encoder"),
    ],
)
def test_a_rate_that_cannot_be_is_one_line(optimizer, model, message):
    with pytest.raises(UserError, match=message):
        training.train(config(model=model, optimizer={"name": "sgd", "lr": 0.1, **optimizer}), blobs())


def test_the_weights_are_part_of_what_a_training_and_a_study_are(backbone, tmp_path, monkeypatch):
    path = tmp_path / "weights.pt"
    path.write_bytes(Path(backbone[0]).read_bytes())
    monkeypatch.setattr(prepared, "folder_for", lambda config, root: tmp_path)
    (tmp_path / "data.yaml").write_text("sha256: '1'\n")
    app = {"data": {"name": "digits"}, "model": MLP | {"pretrained": str(path)}}
    before = prepared.identity(app)
    assert prepared.identity({**app, "model": MLP}) == {"data": "1"} and set(before) == {"data", "pretrained"}
    c = config(model=app["model"])
    stopped = training.train(config(model=MLP, epochs=2), blobs())
    with pytest.raises(KeyboardInterrupt):
        training.train(c, blobs(), stop_at(2), tmp_path)
    torch.save(Run(config(model=MLP, seed=5), blobs()).model.state_dict(), path)
    assert prepared.identity(app) != before
    again = training.train(c, blobs(), None, tmp_path)  # the checkpoint is of a training from other weights
    assert numbers(again.curves) == numbers(training.train(c, blobs()).curves) and len(stopped.curves) == 2


def stop_at(step):
    def report(value, at, metrics):
        if at == step:
            raise KeyboardInterrupt

    return report


def test_a_model_that_was_tuned_loads_without_the_weights_that_it_began_with(backbone, tmp_path):
    (tmp_path / "gone.pt").write_bytes(Path(backbone[0]).read_bytes())
    c, data = config(model=MLP | {"pretrained": str(tmp_path / "gone.pt"), "freeze": 1}), blobs()
    training.save_model(tmp_path / "model.pt", c, training.train(c, data), data.meta)
    (tmp_path / "gone.pt").unlink()
    assert load_model(tmp_path / "model.pt").predict(data.val.x[:2]).shape == (2,)


def test_a_backbone_helps_where_data_is_few(tmp_path):
    """Trained on three classes, tuned on six samples of the same task with other inputs' places: beside the same from scratch."""
    c, many = config(model={"name": "mlp", "width": 16, "depth": 2}, epochs=8), blobs(n_train=300, shape=(20,))
    training.save_model(tmp_path / "backbone.pt", c, training.train(c, many), many.meta)
    few = blobs(n_train=6, n_val=60, seed=1, shape=(20,))
    few.train.x[:, 3:] *= 8  # what a few samples show most of is noise
    tuned = c | {"batch_size": 6, "epochs": 4, "optimizer": {"name": "adam", "lr": 0.005, "encoder_lr": 0.0005}}
    values = [
        training.train(tuned | {"model": c["model"] | given, "seed": 3}, few).curves[-1]["val/loss"]
        for given in ({"pretrained": str(tmp_path / "backbone.pt")}, {})
    ]
    assert values[0] < 0.7 * values[1]


# As a choice ----------------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def composed():
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        made = compose("config", ["experiment=transfer", "hparams=transfer"], return_hydra_config=True)
    return OmegaConf.to_container(made, resolve=False)


def test_the_experiment_names_how_its_backbone_is_made(composed):
    training.check_config({key: value for key, value in composed.items() if key not in ("hydra", "pruner")})
    assert composed["model"]["pretrained"] == "outputs/backbone/model.pt"
    assert "save_model=true hydra.run.dir=outputs/backbone" in (ROOT / "conf/experiment/transfer.yaml").read_text()


def test_the_encoders_rate_is_searched_only_where_the_encoder_trains(composed):
    params = space.parse_params({key: value for key, value in composed["hydra"]["sweeper"]["params"].items() if value is not None})
    assert [p.when for p in params if p.key == "optimizer.encoder_lr"] == [(("model.freeze", "0"),), (("model.freeze", "1"),)]
    assert space.grid_points(next(p.spec for p in params if p.key == "model.freeze")) == [0, 1, -1]
