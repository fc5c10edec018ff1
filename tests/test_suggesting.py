"""Ranges suggested by name and value: what is recognised, and that each is a range of the grammar that holds the default."""

import pytest

from trivet import space
from trivet.space.suggesting import around, suggest


@pytest.mark.parametrize(
    ("key", "value", "text"),
    [
        ("optimizer.lr", 0.001, "tag(log, interval(3e-05, 0.03))"),
        ("model.optimizer.learning_rate", 3e-4, "tag(log, interval(1e-05, 0.009))"),
        ("lr", 0, None),
        ("lr", "${x}", None),
        ("lr", True, None),
        ("weight_decay", 0.01, "tag(log, interval(0.0001, 1.0))"),
        ("weight_decay", 0.0, "choice(0, 1e-05, 0.0001, 0.001, 0.01)"),
        ("momentum", 0.9, "choice(0.8, 0.9, 0.95, 0.99)"),
        ("data.batch_size", 64, "choice(16, 32, 64, 128, 256)"),
        ("batch_size", 4, None),
        ("net.dropout", 0.1, "interval(0.0, 0.5)"),
        ("label_smoothing", 0.0, "interval(0.0, 0.2)"),
        ("model.hidden_dim", 128, "tag(log, int(interval(64, 256)))"),
        ("model.n_layers", 2, "int(interval(1, 4))"),
        ("model.heads", 4, None),
        ("kernel_size", 3, None),
        ("optimizer.eps", 1e-8, None),
        ("name", "resnet", None),
        ("seed", 0, None),
        # within what a quantity can be, and never without the default
        ("lr", 0.0115, "tag(log, interval(0.0004, 0.3))"),  # thirty times, to one digit
        ("weight_decay", 0.00349, "tag(log, interval(3e-05, 0.3))"),  # a hundred times
        ("lr", 1e-9, "tag(log, interval(1e-09, 3e-08))"),
        ("lr", 3e-8, "tag(log, interval(3e-08, 9e-07))"),
        ("lr", 5.0, "tag(log, interval(0.2, 10.0))"),
        ("lr", 50.0, "tag(log, interval(2.0, 50.0))"),
        ("weight_decay", 0.5, "tag(log, interval(0.005, 1.0))"),
        ("weight_decay", 1e-10, "tag(log, interval(1e-10, 1e-08))"),
        ("wd", 0, "choice(0, 1e-05, 0.0001, 0.001, 0.01)"),
        ("x_wd", 0, None),
        ("x_clip_norm", 1.0, "tag(log, interval(0.01, 1.0))"),
        ("dropout", 0.0, "interval(0.0, 0.5)"),
        ("dropout", 0.7, "interval(0.0, 0.7)"),
        ("dropout", 0.9, "interval(0.0, 0.9)"),
        ("dropout", 0.91, None),
        ("dropout", -0.1, None),
        ("momentum", 0.85, "choice(0.8, 0.85, 0.9, 0.95, 0.99)"),
        ("momentum", 0, None),
        ("momentum", 1, None),
        ("smoothing", 0.3, "interval(0.0, 0.3)"),
        ("label_smoothing", 0.5, "interval(0.0, 0.5)"),
        ("label_smoothing", 0.51, None),
        ("label_smoothing", -0.1, None),
        ("bs", 8, "choice(8, 16, 32)"),
        ("bs", 7, None),
        ("bs", 100, "choice(25, 50, 100, 200, 400)"),
        ("depth", 1, "int(interval(1, 3))"),
        ("n_blocks", 3, "int(interval(2, 5))"),
        ("width", 4, "tag(log, int(interval(2, 8)))"),
        ("width", 5, "tag(log, int(interval(2, 10)))"),
        ("width", 3, None),
        ("width", 4.0, None),
        ("depth", 0, None),
        ("n_heads", 8, None),
        ("patch", 8, None),
        ("conv_kernel", 8, None),
        *((name, 0.1, None) for name in ("epsilon", "temperature", "l1", "l2", "max_norm")),
    ],
)
def test_suggestions(key, value, text):
    found = suggest({key: value})
    assert [s.text for s in found] == ([] if text is None else [text])
    if text is not None:
        assert found[0].key == key and found[0].why == f"the config has {value!r}" and space.contains(space.parse(text), value)


@pytest.mark.parametrize(
    ("fixed", "words"),
    [
        (["hparams=ladder", "model=mlp", "hydra.sweeper.n_jobs=2"], ["hparams=search", "model=mlp"]),
        (["+trivet=ladder", "hydra/sweeper=trivet", "data=x"], ["+trivet=search", "hydra/sweeper=trivet", "data=x"]),
        (["hydra/launcher=joblib", "+hydra.job.name=x", "~hydra.y", "seed=1"], ["seed=1"]),
        ([], []),
    ],
)
def test_a_search_around_the_result_of_a_ladder(fixed, words):
    given = ["lr=tag(log, interval(0.0003, 0.03))", "hydra.sweeper.enqueue=[{lr: 0.003}]"]
    assert around("lr", 0.003, fixed) == [*words, *given]
