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
