"""The script of the stage `prepare`: what it writes and prints, its exit status, and one line for every mistake."""

import numpy as np
import pytest

from pipelines import prepare as prepare_stage
from trivet.data import telling


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
        (
            ["+data.fraction=1"],
            "error: data.fraction is not a key of data=mnist1d: allowed are path, val_fraction, seed, folds, fold, outer_folds, outer_fold",
        ),
        (["data.target=a (b)"], "error: data.target=a (b): Hydra cannot read it: quote its value, as in 'data.target=\"a (b)\"'\n"),
        (["data.decimal=,"], "error: data.decimal=,: Hydra cannot read it: quote its value, as in 'data.decimal=\",\"'\n"),
        (["data.target=gr\xf6\xdfe"], "error: data.target=gr\xf6\xdfe: Hydra cannot read it: quote its value, as in 'data.target="),
        (["nope"], "error: nope: is no override: write key=value\n"),
        (["data.drop=[a (b)]"], "error: data.drop=[a (b)]: Hydra cannot read it: quote the texts in it\n"),
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


def test_a_file_where_the_folder_belongs(tmp_path, capsys):
    (tmp_path / "out").touch()
    assert prepare_stage.main(["data=digits", f"data.path={tmp_path / 'out'}"]) == 2
    assert capsys.readouterr().err == f"error: {tmp_path / 'out'}: there is a file where a folder belongs; name another folder\n"


def write_table(tmp_path):
    rows = "".join(f"{n},{n % 7 + 0.5},{'ab'[n * n % 3 % 2]},\x1b[31m{'no' if n % 5 else 'yes'}\n" for n in range(60))
    (tmp_path / "mine.csv").write_text("n,size,town,y\n" + rows)
    return ["data=table", f"data.file={tmp_path / 'mine.csv'}", f"data.path={tmp_path / 'out'}", "data.target=y"]


def test_says_what_it_understood_of_a_table(tmp_path, capsys):
    assert prepare_stage.main(write_table(tmp_path)) == 0
    text = capsys.readouterr().out
    assert "file: separator comma, encoding utf-8, rows 60" in text
    table = [line.split() for line in text.splitlines()[5:10]]
    assert table[0] == ["column", "kind", "missing", "distinct", "values"]
    assert [row[:4] for row in table[1:]] == [
        ["n", "number", "0", "60"],
        ["size", "number", "0", "7"],
        ["town", "category", "0", "2"],
        ["y", "target", "0", "2"],
    ]
    assert "warning: column n counts the rows" in text
    assert "\x1b" not in text  # a cell does not steer the terminal


def test_many_columns_are_cut_and_counted(tmp_path, capsys):
    names = [f"c{n}" for n in range(telling.SHOWN + 4)]
    rows = [",".join(str((n * 37 + i * i) % 11) for i in range(len(names))) + f",{'ab'[n % 2]}" for n in range(40)]
    (tmp_path / "mine.csv").write_text("\n".join([",".join([*names, "y"]), *rows]))
    assert prepare_stage.main(["data=table", f"data.file={tmp_path / 'mine.csv'}", f"data.path={tmp_path / 'out'}", "data.target=y"]) == 0
    assert "and 5 more columns: see data.yaml, understood" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("deps", "told"),
    [
        ("[conf]", True),
        ("[mine.csv]", False),
        ("[conf, {mine.csv: {}}]", False),
    ],
)
def test_a_file_that_dvc_does_not_watch_is_told(tmp_path, monkeypatch, deps, told):
    (tmp_path / "mine.csv").write_text("a,y\n1,2\n")
    (tmp_path / "dvc.yaml").write_text(f"stages: {{prepare: {{deps: {deps}}}}}")
    config = {"name": "table", "file": "mine.csv", "target": "y", "task": "classification", "val_fraction": 0.2, "test_fraction": 0.2}
    assert telling.not_listed(config, tmp_path) == []  # run from elsewhere
    monkeypatch.chdir(tmp_path)
    lines = telling.not_listed(config, tmp_path)
    assert [("run `dvc add mine.csv` and name it under deps of prepare" in line) for line in lines] == [True] * told
    (tmp_path / "dvc.yaml").write_text("stages: 5")
    assert telling.not_listed(config, tmp_path) == []


@pytest.mark.parametrize(
    "text", ["file: 2020-13-45", "file: [", "file: " + "[" * 1000, "file: 2020-01-01"], ids=["no date", "open", "deep", "date"]
)
def test_a_choice_that_is_no_yaml_is_one_line(tmp_path, capsys, monkeypatch, text):
    (tmp_path / "conf" / "data").mkdir(parents=True)
    (tmp_path / "conf" / "config.yaml").write_text("defaults: [{data: odd}]\n")
    (tmp_path / "conf" / "data" / "odd.yaml").write_text(f"name: arrays\npath: {tmp_path}/out\n{text}\n")
    monkeypatch.setattr(prepare_stage, "ROOT", tmp_path)
    assert prepare_stage.main([]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ") and error.count("\n") == 1
    assert not (tmp_path / "out").exists()
