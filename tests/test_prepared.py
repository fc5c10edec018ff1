"""Data prepared when a training asks for it."""

import pytest

from trivet import UserError
from trivet.data import prepared

DIGITS = {"name": "digits", "path": "data/prepared", "test_fraction": 0.2, "val_fraction": 0.2, "seed": 0, "published": {}}


def test_data_is_prepared_once_and_other_data_goes_beside(tmp_path):
    first = prepared.folder_for(DIGITS, tmp_path)
    assert first == tmp_path / "data/prepared" and (first / "search.npz").exists()
    stamp = (first / "search.npz").stat().st_mtime_ns
    assert prepared.folder_for(DIGITS | {"published": {"person": 1.0}}, tmp_path) == first
    other = prepared.folder_for(DIGITS | {"seed": 1}, tmp_path)
    assert other.parent == first.parent and other.name.startswith("prepared-digits-")
    assert prepared.folder_for(DIGITS | {"seed": 1}, tmp_path) == other
    assert (first / "search.npz").stat().st_mtime_ns == stamp


def test_bad_data_settings_prepare_nothing(tmp_path):
    with pytest.raises(UserError, match=r"data\.val_fraction=2"):
        prepared.folder_for(DIGITS | {"val_fraction": 2}, tmp_path)
    assert list(tmp_path.iterdir()) == []
