"""Tables: columns, categories, imputed values, and every kind of bad table."""

import numpy as np
import pandas as pd
import pytest
import torch
from data_checks import SPLIT, prepared, refused, told


def table_config(tmp_path, frame, name="mine.csv", **changes):
    path = tmp_path / name
    frame.to_parquet(path) if name.endswith("parquet") else frame.to_csv(path, index=False)
    return {"name": "table", "file": str(path), "target": "y", "task": "classification", **SPLIT, **changes}


def frame(n=40):
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "size": rng.normal(10, 2, n),
            "rooms": rng.integers(1, 5, n),
            "colour": np.array(["red", "green", "blue", "red"])[np.arange(n) % 4],
            "y": np.array(["no", "yes"])[np.arange(n) % 2],
        }
    )


@pytest.mark.parametrize("name", ["mine.csv", "mine.parquet"])
def test_table(tmp_path, name):
    meta, search, test = prepared(table_config(tmp_path, frame(), name), tmp_path)
    assert meta["columns"] == ["size", "rooms", "colour=blue", "colour=green", "colour=red"]
    assert meta["input_shape"] == [5]
    assert meta["classes"] == ["no", "yes"]
    assert meta["mean"][2:] == [0.0] * 3
    assert meta["std"][2:] == [1.0] * 3
    for part in (search.train, search.val, test):
        assert (part.x[:, 2:].sum(1) == 1).all()  # one-hot, not scaled
    assert torch.allclose(search.train.x[:, :2].mean(0), torch.zeros(2), atol=1e-5)


def test_table_regression_with_a_test_file(tmp_path):
    rows = frame().assign(y=np.arange(40.0))
    rows.assign(colour="violet", y=5).to_csv(tmp_path / "test.csv", index=False)
    config = table_config(tmp_path, rows, task="regression", test_file=str(tmp_path / "test.csv"), drop=["size"], categorical=["rooms"])
    meta, search, test = prepared(config, tmp_path)
    assert meta["columns"] == [f"rooms={n}" for n in (1, 2, 3, 4)] + ["colour=blue", "colour=green", "colour=red"]
    assert (meta["n_train"], meta["n_val"], meta["n_test"]) == (30, 10, 40)
    assert search.train.y.shape == (30, 1)
    assert (test.x[:, 4:] == 0).all()  # a category that training never saw
    assert (test.y == 5).all()


@pytest.mark.parametrize("kind", ["mean", "median"])
def test_imputed_values_come_from_the_training_rows(tmp_path, kind):
    rows = frame()
    rows.loc[::3, "size"] = np.nan
    rows.loc[::5, "colour"] = None
    meta, search, _ = prepared(table_config(tmp_path, rows, impute=kind), tmp_path)
    assert "colour=(missing)" in meta["columns"]
    size = np.load(tmp_path / "prepared" / "search.npz")["x_train"][:, 0].astype(np.float64)
    values, counts = np.unique(size, return_counts=True)
    filled = values[counts.argmax()]
    assert counts.max() > 1
    assert filled == pytest.approx(getattr(np, kind)(size[size != filled]), rel=1e-6)
    assert torch.isfinite(search.val.x).all()


BAD_TABLES = [
    (frame(), {"target": None}, "data.target=null: name the column to predict, one of size, rooms, colour, y"),
    (frame(), {"target": "Y"}, "data.target=Y: there is no such column; there are size, rooms, colour, y; did you mean y?"),
    (frame(), {"drop": ["y"]}, "data.drop=y: is the target"),
    (frame().assign(y=[f"n{i}" for i in range(40)]), {}, "y holds 40 different texts in 40 samples, most of them once, such as n0"),
    (frame().assign(y=[np.inf, *range(39)]), {"task": "regression"}, "data.target=y: is inf in row 2: mend that row"),
    (
        frame().assign(y=1e9 + np.arange(40) / 9),
        {"task": "regression"},
        "too close together for 32-bit numbers to tell apart: subtract 10000",
    ),
    (
        frame().assign(size=2**62 + np.arange(40)),
        {},
        "column size: its values lie between 4611686018427387904 and 4611686018427387943, too",
    ),
    (
        frame().assign(**{"height (cm)": ["180 cm", "170 cm", "160 cm", "150 cm"] * 10}),
        {},
        "or set 'data.categorical=[\"height (cm)\"]' if these are names",
    ),
    (frame(), {"drop": ["colr"]}, "data.drop=colr: there is no such column; there are size, rooms, colour, y; did you mean colour?"),
    (frame(), {"drop": ["size", "rooms", "colour"]}, "has no column left to predict y from"),
    (frame(), {"task": "regression"}, "data.target=y: holds no numbers"),
    (frame(), {"impute": "zero"}, "data.impute=zero: must be one of null, mean, median"),
    (frame().assign(size=[np.nan, *range(39)]), {}, "column size has 1 missing values, the first in row 2: set data.impute=median"),
    (frame().assign(colour=[None] + ["red"] * 39), {}, "column colour has 1 missing values"),
    (frame().assign(size=[np.inf, *range(39)]), {}, "column size has infinite or too large values"),
    (frame().assign(size=[np.nan] * 40), {"impute": "mean"}, "column size has no value in the training part to impute from"),
    (frame().assign(y=[None] + ["a", "b", "c"] * 13), {}, "data.target=y: 1 rows have no value"),
    (frame().assign(y=["a"] * 39 + ["b"]), {}, "class b has 1 sample left"),
    (frame(700).assign(colour=[f"name {i}" for i in range(700)]), {}, "column colour has 420 categories, more than 256"),
    (frame().iloc[:0], {}, "has no rows"),
    (frame().assign(y=3.5), {"task": "regression"}, "y is 3.5 in every sample: there is nothing to predict"),
    (frame().assign(y=1e300), {"task": "regression"}, "y has values too large for 32-bit numbers"),
    (
        frame().assign(y=["nan", *range(39)]),
        {"task": "regression"},
        "set 'data.na_values=[\"nan\"]', and data.drop_missing_target=true to leave",
    ),
    (frame().assign(y=["5 m", "6 m"] + ["7 m"] * 38), {"task": "regression"}, "is a number with 'm' beside it: write the number alone"),
    (
        frame().rename(columns={"size": "0.5", "rooms": "3", "y": "a"}),
        {},
        "its first row seems to hold values: add a row of names above it",
    ),
]


@pytest.mark.parametrize(("rows", "changes", "message"), BAD_TABLES, ids=[message[:40] for *_, message in BAD_TABLES])
def test_bad_tables(tmp_path, rows, changes, message):
    refused(table_config(tmp_path, rows, **changes), tmp_path, message)


def test_large_numbers_that_32_bits_tell_apart_are_no_error(tmp_path):
    rows = frame().assign(size=1.7e9 + 86400 * np.arange(40), rooms=np.full(40, 1e9 + 0.1), more=[*range(39), 10**12])
    assert prepared(table_config(tmp_path, rows), tmp_path)[0]["n_train"] == 24


def test_a_parquet_file_keeps_its_index_and_is_cleaned_as_a_csv_is(tmp_path):
    rows = frame().assign(colour=["red", " red", "", "blue"] * 10).set_index(pd.Index(np.arange(40) % 7, name="shop"))
    meta, *_ = prepared(table_config(tmp_path, rows, "mine.parquet", impute="median", categorical=["shop"]), tmp_path)
    assert meta["columns"][-3:] == ["colour=(missing)", "colour=blue", "colour=red"]
    assert meta["columns"][2:9] == [f"shop={n}" for n in range(7)]
    rows = frame().set_index("y")
    assert prepared(table_config(tmp_path, rows, "mine.parquet"), tmp_path)[0]["classes"] == ["no", "yes"]


@pytest.mark.parametrize("cell", [[1, 2], {"a": 1}])
def test_cells_of_more_than_one_value_are_refused(tmp_path, cell):
    rows = frame().assign(size=[cell] * 40)
    refused(table_config(tmp_path, rows, "mine.parquet"), tmp_path, "column size holds lists or the like")


@pytest.mark.parametrize(
    ("changes", "columns"),
    [
        ({"drop": "colour"}, ["size", "3"]),
        ({"drop": 3}, ["size", "colour=blue", "colour=green", "colour=red"]),
        ({"categorical": 3, "drop": ["colour"]}, ["size", *(f"3={n}" for n in (1, 2, 3, 4))]),
        ({"na_values": {"3": 4}, "impute": "mean", "drop": "colour"}, ["size", "3"]),
        ({"na_values": 4, "impute": "mean", "drop": "colour"}, ["size", "3"]),
        ({"target": 3, "drop": ["colour", "y"]}, ["size"]),
    ],
)
def test_one_column_needs_no_list_and_may_be_called_by_a_number(tmp_path, changes, columns):
    rows = frame(80).rename(columns={"rooms": "3"})
    assert prepared(table_config(tmp_path, rows, **changes), tmp_path)[0]["columns"] == columns


@pytest.mark.parametrize(("changes", "allowed"), [({"drop": {"a": 1}}, "a list of columns"), ({"na_values": [[1]]}, 'cells, such as ["?"')])
def test_what_is_no_list_of_columns_or_cells(tmp_path, changes, allowed):
    refused(table_config(tmp_path, frame(), **changes), tmp_path, allowed)


def test_dates_are_refused(tmp_path):
    rows = frame().assign(size=pd.date_range("2020-01-01", periods=40))
    refused(table_config(tmp_path, rows, "mine.parquet"), tmp_path, "column size holds dates or times")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", "", "the file is empty"),
        ("a.csv", '"1,2\n3', "cannot be read"),
        ("a.parquet", "PAR1", "cannot be read"),
        ("a.xls", "1", "must end in"),
    ],
)
def test_bad_table_files(tmp_path, name, content, message):
    (tmp_path / name).write_text(content)
    refused({"name": "table", "file": str(tmp_path / name), "target": "y", "task": "classification", **SPLIT}, tmp_path, message)


@pytest.mark.parametrize(
    ("test_rows", "message"),
    [
        (frame().drop(columns="rooms"), "has no column rooms"),
        (frame().assign(size="big"), "column size: 'big' in row 2 is not a number (and 39 more such cells): mend it"),
        (frame().rename(columns={"rooms": "Rooms"}), "has no column rooms; it has size, Rooms, colour, y; did you mean Rooms?"),
        (frame().assign(y=None), "test.csv: data.target=y: 40 rows have no value, the first is row 2"),
        (frame().assign(y="No"), "y_test holds the class 'No', which the other samples do not have; they have 'no', 'yes'"),
    ],
)
def test_bad_test_files(tmp_path, test_rows, message):
    test_rows.to_csv(tmp_path / "test.csv", index=False)
    refused(table_config(tmp_path, frame(), test_file=str(tmp_path / "test.csv")), tmp_path, message)


@pytest.mark.parametrize(
    ("test_rows", "lines"),
    [
        (frame(), ["40 of 40 test samples have the inputs of a training or validation sample"]),
        (frame().assign(size=lambda rows: 1000 * rows["size"]), ["column size lies mostly between "]),
        (frame().assign(size=lambda rows: rows["size"] + 0.01), []),
        (
            frame().assign(size=lambda rows: rows["size"] + 0.01, colour=["red", "violet"] * 20),
            ["column colour holds in 20 of 40 test rows what no training row has, such as 'violet'"],
        ),
        (frame().assign(size=lambda rows: rows["size"] + 0.01, y="no"), ["the test part has no sample of yes"]),
    ],
)
def test_a_test_file_that_is_unlike_the_other_is_told(tmp_path, test_rows, lines):
    test_rows.to_csv(tmp_path / "test.csv", index=False)
    found = told(table_config(tmp_path, frame(), test_file=str(tmp_path / "test.csv")), tmp_path)
    assert len(found) == len(lines) and all(map(str.startswith, found, lines))
