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
    ],
)
def test_suggestions(key, value, text):
    found = suggest({key: value})
    assert [s.text for s in found] == ([] if text is None else [text])
    if text is not None:
        assert found[0].key == key and space.contains(space.parse(text), value)


@pytest.mark.parametrize(
    ("fixed", "words"),
    [
        (["hparams=ladder", "model=mlp", "hydra.sweeper.n_jobs=2"], ["hparams=search", "model=mlp"]),
        (["+trivet=ladder", "hydra/sweeper=trivet", "data=x"], ["+trivet=search", "hydra/sweeper=trivet", "data=x"]),
        ([], []),
    ],
)
def test_a_search_around_the_result_of_a_ladder(fixed, words):
    given = ["lr=tag(log, interval(0.0003, 0.03))", "hydra.sweeper.enqueue=[{lr: 0.003}]"]
    assert around("lr", 0.003, fixed) == [*words, *given]
