"""The script of the stage `prepare`: what it writes and prints, its exit status, and one line for every mistake."""

import numpy as np
import pytest

from pipelines import prepare as prepare_stage


def test_prepares_what_the_overrides_say(tmp_path, capsys):
    np.savez(tmp_path / "mine.npz", x=np.random.rand(50, 1, 8), y=np.arange(50) % 5)
    folder = tmp_path / "out"
    overrides = ["data=arrays", f"data.file={tmp_path / 'mine.npz'}", f"data.path={folder}", "data.val_fraction=0.5", "seed=3", "model=gru"]
    assert prepare_stage.main(overrides) == 0
    lines = capsys.readouterr().out.splitlines()
    assert sorted(path.name for path in folder.iterdir()) == ["data.yaml", "search.npz", "test.npz"]
    assert [line.split()[0] for line in lines[:3]] == [str(folder / name) for name in ("search.npz", "test.npz", "data.yaml")]
    assert lines[0].endswith("20 training + 20 validation samples")
    assert lines[3].startswith("arrays: 5 classes, inputs 1 x 8, sha256 ")


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (
            ["data=digit"],
            "error: In 'config': Could not find 'data/digit' Available options in 'data': arrays cifar10 digits mnist1d mnist5k table",
        ),
        (["data.fraction=1"], "error: Could not override 'data.fraction'."),
        (["+data.fraction=1"], "error: data.fraction is not a key of data=mnist1d: allowed are path, val_fraction, seed, published"),
        (["data.val_fraction=2"], "error: data.val_fraction=2: must be a number > 0 and < 1"),
        (["data=table"], "error: data.file=null: name the CSV or Parquet file"),
    ],
)
def test_mistakes(tmp_path, capsys, overrides, message):
    assert prepare_stage.main([*overrides, f"data.path={tmp_path / 'out'}"]) == 2
    error = capsys.readouterr().err
    assert error.startswith(message)
    assert error.count("\n") == 1
    assert not (tmp_path / "out").exists()
