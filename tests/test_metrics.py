"""The metrics of a running trial: kept past its worker's death, gone when the study has them."""

import math

import pytest

from trivet.study.metrics import MetricsFile


def test_metrics_come_back_and_go(tmp_path):
    first = MetricsFile(tmp_path)
    first.add(1, {"loss": 0.5, "naïve, \n name": 1})
    first.add(3, {"loss": math.nan, "new": 2.0})
    first.add(3, {"loss": 9.0})  # known already
    first.add(4, {})
    again = MetricsFile(tmp_path)
    table = again.attrs()["trivet:metrics"]
    assert table["columns"] == ["loss", "naïve, \n name", "new"]
    assert repr(table["rows"]) == repr([[1, 0.5, 1, None], [3, math.nan, None, 2.0]])
    assert repr(first.attrs()) == repr(again.attrs())
    again.remove()
    again.remove()
    assert list(tmp_path.iterdir()) == [] and MetricsFile(tmp_path).attrs() == {}


def test_torn_at_every_byte(tmp_path):
    path = tmp_path / "metrics.jsonl"
    written = MetricsFile(tmp_path)
    for step in (1, 2):
        written.add(step, {"loss": step / 4})
    whole = path.read_bytes()
    before = whole.index(b"\n") + 1
    for size in range(before, len(whole)):
        path.write_bytes(whole[:size])
        continued = MetricsFile(tmp_path)
        assert list(continued.rows) == [1]
        continued.add(2, {"loss": 0.25})
        continued.add(3, {"loss": 0.75})
        assert MetricsFile(tmp_path).rows == {1: {"loss": 0.25}, 2: {"loss": 0.25}, 3: {"loss": 0.75}}


@pytest.mark.parametrize("kept", [False, True])
def test_a_folder_of_another_name_is_made_and_taken_away(tmp_path, kept):
    """`hydra.sweep.subdir` may name the trial's folder otherwise."""
    metrics = MetricsFile(tmp_path / "3")
    metrics.add(1, {"loss": 0.5})
    assert MetricsFile(tmp_path / "3").rows == {1: {"loss": 0.5}}
    if kept:
        (tmp_path / "3/other").touch()
    metrics.remove()
    assert (tmp_path / "3").exists() is kept


def test_a_trials_own_folder_stays(tmp_path):
    metrics = MetricsFile(tmp_path)
    metrics.add(1, {"loss": 0.5})
    metrics.remove()
    assert tmp_path.exists()
