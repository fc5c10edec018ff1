"""Columns that are not what their owner thinks are told, those that are fine are not; categories of many values can be encoded."""

import data_checks
import numpy as np
import pandas as pd
import pytest
import yaml
from data_checks import SPLIT, prepared, refused

from trivet.data import leaks, suspicious

N = 300
RNG = np.random.default_rng(0)
LABELS = np.array(["no", "yes"])[RNG.integers(0, 2, N)]
NOISE = RNG.normal(size=N)


def config(tmp_path, columns, y=LABELS, **changes):
    frame = pd.DataFrame({"noise": RNG.normal(10, 1, N), **columns, "y": y})
    frame.to_csv(tmp_path / "mine.csv", index=False)
    return {"name": "table", "file": str(tmp_path / "mine.csv"), "target": "y", "task": "classification", **SPLIT, **changes}


def told(tmp_path, columns, **changes):
    return data_checks.told(config(tmp_path, columns, **changes), tmp_path)


MEASURED = RNG.normal(size=N).cumsum()


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"Unnamed: 0": range(N)}, "column Unnamed: 0 counts the rows, so it is probably an index"),
        ({"n": range(7, N + 7)}, "column n counts the rows"),
        ({"customer_id": RNG.permutation(10 * N)[:N]}, "column customer_id has another whole number in every row"),
        ({"orderId": RNG.permutation(10 * N)[:N]}, "column orderId has another whole number"),
        ({"constant": [3] * N}, "column constant has the same value in every training row"),
        ({"word": ["x"] * N}, "column word has the same value in every training row"),
        ({"name": [f"n{i}" for i in range(N)]}, "column name has 180 different texts in 180 rows, so it is probably an id or a name"),
        ({"town": [f"t{i % 60}" for i in range(N)]}, " categories: data.max_categories=50 data.many_categories=target"),
        ({"job": ["?", "clerk", "smith"] * 100}, "column job holds '?' in"),
        ({"zip": [f"{code:05d}" for code in RNG.integers(0, 99999, N)]}, "column zip holds codes such as '0"),
        ({"leak": np.where(LABELS == "yes", 2, 1) + 0.1 * NOISE}, "column leak alone predicts the target (100.0%"),
        ({"code": np.where(LABELS == "yes", "B", "A")}, "column code alone predicts the target (100.0%"),
        ({"k": 5 * np.arange(N, 0, -1)}, "column k counts the rows in steps of 5, so it is probably an index or a time"),
        ({"Patient Nr.": RNG.permutation(10 * N)[:N]}, "column Patient Nr. has another whole number in every row"),
        ({"bought": [20240100 + i % 28 + 1 for i in range(N)]}, "column bought holds dates such as 202401"),
        ({"age": [-999, *range(20, 79)] * 5}, "column age is -999 in 5 row(s), else 20 to 78: does that stand for a missing value?"),
        ({"pay": [-999, -999, *range(20_000, 20_298)]}, "column pay is -999 in 2 row(s), else 20000 to 20297"),
        ({"depth": [1e30, *NOISE[1:]]}, "column depth is 1e+30 in 1 row(s), else "),
        ({"town": ["Ulm", "ulm", "Bonn"] * 100}, "column town holds 'Ulm' and 'ulm', which differ only in small and capital letters"),
        ({"town": ["Bad  Ems", "Bad Ems", "Bonn"] * 100}, "column town holds 'Bad  Ems' and 'Bad Ems', which differ"),
        (
            {"pay": [f"{i % 40 + 1}.{i % 7}50" if i % 3 else "950" for i in range(N)]},
            "column pay holds numbers such as '2.150', taken with",
        ),
    ],
)
def test_a_suspicious_column_is_told(tmp_path, columns, message):
    lines = told(tmp_path, columns)
    assert len(lines) == 1 and message in lines[0]
    written = yaml.safe_load((tmp_path / "prepared" / "data.yaml").read_text())
    assert written["understood"]["warnings"] == lines


@pytest.mark.parametrize(
    "columns",
    [
        {"rooms": RNG.integers(1, 5, N)},
        {"price": RNG.permutation(10 * N)[:N]},  # whole numbers, all different, under an honest name
        {"gap_id": [*range(150), *range(149, -1, -1)]},  # under an id's name, not all different
        {"town": [f"t{i % 40}" for i in range(N)]},
        {"hint": (LABELS == "yes") + NOISE},
        {"colour": ["red", "green", "blue"] * 100},
        {"month": [f"{i % 12 + 1:02d}" for i in range(N)]},
        {"weight": [f"{i % 97 + 100}" for i in range(N)]},
        {"gain": [999, *range(20, 917, 3)]},  # not far from all others
        {"count": [99, 1, 50] * 100},
        {"sign": [-1, 0, 1] * 100},
        {"change": [-99, *range(-120, 179)]},
        {"year": [1990 + i % 30 for i in range(N)]},
        {"length": [f"{i % 9 + 1}.{i % 7}50" for i in range(N)]},  # decimals in a file that commas cut
        {"share": [f"0.{i % 89 + 10}5" for i in range(N)]},
    ],
    ids=lambda columns: next(iter(columns)),
)
def test_an_honest_column_is_not_told(tmp_path, columns):
    assert told(tmp_path, columns) == []


@pytest.mark.parametrize(
    ("labels", "lines"),
    [
        (["a", "b"], []),
        (["yes", "NaN"], ["the target holds 'NaN' in 150 rows, taken as a class: 'data.na_values=[\"NaN\"]' and"]),
        (["yes", "?", "?"], ["the target holds '?' in 200 rows"]),
        (["Yes", "yes", "no"], ["the classes 'Yes' and 'yes' differ only in small and capital letters"]),
        (["yes  sir", "yes sir", "no"], ["the classes 'yes  sir' and 'yes sir' differ only in small and capital letters or in spaces"]),
        (["1", "2"], []),
        (["01", "1", "2"], ["the classes '01' and '1' are one number, and taken as one"]),
        (["0", "1", "1", "9999"], ["the target is 9999 in 75 row(s), else 0 to 1: does that stand for a missing value?"]),
        ([str(n) for n in range(18, 43)], ["the target has 25 different whole numbers from 18 to 42, each taken as a class"]),
        ([str(n) for n in range(25)], []),
    ],
)
def test_classes_that_their_owner_did_not_mean_are_told(tmp_path, labels, lines):
    found = told(tmp_path, {"size": NOISE}, y=labels * (N // len(labels)))
    assert len(found) == len(lines) and all(map(str.startswith, found, lines))


def test_dates_that_are_named_categories_are_told(tmp_path):
    assert (
        "holds dates or times, taken as categories" in told(tmp_path, {"day": ["2024-05-01", "2024-06-01"] * 150}, categorical=["day"])[0]
    )


@pytest.mark.parametrize(("noise", "found"), [(0.0, True), (0.05, True), (0.5, False)])
def test_a_leak_of_a_regression(tmp_path, noise, found):
    lines = told(tmp_path, {"price_in_cents": 100 * MEASURED + 100 * noise * NOISE}, y=MEASURED, task="regression")
    assert [("alone predicts" in line) for line in lines] == [True] * found


@pytest.mark.parametrize(("share", "expected"), [(1.0, True), (0.9, False)])
def test_a_leak_is_what_the_best_constant_cannot_say(share, expected):
    """A rare class: 97 % are right by saying no, and that explains nothing."""
    y = (np.arange(1000) % 32 == 0).astype(np.int64)
    column = pd.Series(np.where(np.arange(1000) < 1000 * share, y, 0).astype(float))
    assert (leaks.explained(column, y) >= leaks.LEAK) == expected
    assert leaks.explained(pd.Series(np.zeros(1000)), y) == 0


def test_few_rows_are_not_judged():
    frame = pd.DataFrame({"n": range(leaks.ENOUGH - 1)})
    assert suspicious.warnings(frame, np.arange(len(frame)) % 2, [], 0) == []


def test_few_different_targets_of_a_regression_are_told(tmp_path):
    assert "are they classes?" in told(tmp_path, {}, y=np.arange(N) % 3, task="regression")[-1]
    assert told(tmp_path, {}, y=np.arange(N) % 40, task="regression") == []


def test_what_was_understood_of_each_column_is_kept(tmp_path):
    columns = {"size": [*range(N - 1), None], "town": ["B", "A", "A"] * 100, "left": ["x"] * N}
    meta, *_ = prepared(config(tmp_path, columns, drop=["left"], impute="mean"), tmp_path)
    rows = {row["column"]: row for row in meta["understood"]["columns"]}
    assert list(rows) == ["noise", "size", "town", "left", "y"]
    assert rows["size"] == {"column": "size", "kind": "number", "missing": 1, "distinct": N - 1, "values": "0 to 298"}
    assert rows["town"] == {"column": "town", "kind": "category", "missing": 0, "distinct": 2, "values": "A, B"}
    assert (rows["left"]["kind"], rows["y"]["kind"]) == ("dropped", "target")
    assert rows["y"]["values"] == ", ".join(f"{label} ({n})" for label, n in pd.Series(LABELS).value_counts().items())
    meta, *_ = prepared(config(tmp_path, {}, y=MEASURED, task="regression"), tmp_path)
    assert meta["understood"]["columns"][-1]["values"] == f"{MEASURED.min():g} to {MEASURED.max():g}"


@pytest.mark.parametrize(
    ("names", "told"),
    [
        (["5.1", "3.5", "a"], True),
        (["1", "2", "y"], False),
        (["0", "1", "2"], False),
        (["400.5", "401", "402"], False),
        (["5", "3", "1"], True),
    ],
)
def test_a_first_row_of_values_is_told(names, told):
    frame = pd.DataFrame({names[0]: [1, 2], names[1]: [3, 4], names[2]: ["a", "b"]})
    assert bool(suspicious.header(frame)) == told


# Many categories -------------------------------------------------------------------------------------------------------------------

TOWNS = np.array([f"t{i % 30}" for i in range(N)])


def test_many_categories_are_refused_unless_a_way_is_named(tmp_path):
    refused(config(tmp_path, {"town": TOWNS}, max_categories=29), tmp_path, "column town has 30 categories, more than 29")
    meta, *_ = prepared(config(tmp_path, {"town": TOWNS}, max_categories=30), tmp_path)
    assert len(meta["columns"]) == 31


def test_frequencies_come_from_the_training_rows(tmp_path):
    towns = np.where(np.arange(N) < 60, "big", TOWNS)
    (tmp_path / "test.csv").write_text("noise,town,y\n1,nowhere,no\n1,big,yes\n")
    settings = config(tmp_path, {"town": towns}, max_categories=9, many_categories="frequency", test_file=str(tmp_path / "test.csv"))
    meta, *_ = prepared(settings, tmp_path)
    assert meta["columns"] == ["noise", "town (frequency)"] and meta["std"][1] != 1
    train, test = (np.load(tmp_path / "prepared" / name)[key] for name, key in (("search.npz", "x_train"), ("test.npz", "x")))
    assert train[:, 1].max() == pytest.approx((train[:, 1] == train[:, 1].max()).mean())
    assert test[0, 1] == 0 and test[1, 1] == train[:, 1].max()


@pytest.mark.parametrize(
    ("task", "y", "names"),
    [
        ("classification", LABELS, ["town (target)"]),
        ("classification", np.arange(N) // 7 % 3, ["town (target of class 0)", "town (target of class 1)", "town (target of class 2)"]),
        ("regression", MEASURED, ["town (target)"]),
    ],
)
def test_target_encoding_is_cross_fitted(tmp_path, task, y, names):
    """A training row's own target is not in its code: rows of one town have several codes, validation rows one."""
    meta, search, _ = prepared(config(tmp_path, {"town": TOWNS}, y=y, task=task, max_categories=9, many_categories="target"), tmp_path)
    assert meta["columns"] == ["noise", *names]
    stored = np.load(tmp_path / "prepared" / "search.npz")
    assert len(np.unique(stored["x_train"][:, 1])) > len(np.unique(stored["x_val"][:, 1]))
    assert search.train.x.isfinite().all() and search.val.x.isfinite().all()
    again = prepared(
        config(tmp_path, {"town": TOWNS}, y=y, task=task, max_categories=9, many_categories="target", drop=["noise"]), tmp_path
    )
    assert np.array_equal(np.load(tmp_path / "prepared" / "search.npz")["x_train"][:, 0], stored["x_train"][:, 1]) and again
