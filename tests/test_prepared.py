"""Data prepared when a training asks for it."""

import os
from pathlib import Path

import numpy as np
import pytest
import yaml

from trivet import UserError
from trivet.data import origin, prepared
from trivet.data.sources import SOURCES

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


@pytest.fixture
def mine(tmp_path):
    """The settings of a table of one's own, which lies in data/."""
    path = tmp_path / "data" / "mine.csv"
    path.parent.mkdir()
    path.write_text("size,y\n" + "".join(f"{n / 7},{'ab'[n % 2]}\n" for n in range(40)))
    return {"name": "table", "path": "data/prepared", "file": str(path), "target": "y", "task": "classification"} | {
        key: DIGITS[key] for key in ("val_fraction", "test_fraction", "seed")
    }


def odd_is_b(folder):
    """Whether the rows with odd numbers have the class b, or none of them; None where it is neither."""
    arrays = np.load(folder / "search.npz")
    found = set(((7 * arrays["x_train"][:, 0]).round() % 2 == arrays["y_train"]).tolist())
    return found.pop() if len(found) == 1 else None


def test_an_edited_file_is_other_data(tmp_path, mine):
    """Its size and its time may be the same: what counts is the content."""
    path = Path(mine["file"])
    first, text, times = prepared.folder_for(mine, tmp_path), path.read_text(), path.stat()
    path.write_text(text.replace("a", "x").replace("b", "a").replace("x", "b"))
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    second = prepared.folder_for(mine, tmp_path)
    assert second.name.startswith("prepared-table-")
    assert (odd_is_b(first), odd_is_b(second)) == (True, False)
    assert identity_of(first) != identity_of(second)
    path.write_text(text)
    assert prepared.folder_for(mine, tmp_path) == first


def identity_of(folder):
    return yaml.safe_load((folder / "data.yaml").read_text())["sha256"]


def test_an_edited_test_file_is_other_data(tmp_path, mine):
    other = tmp_path / "test.csv"
    other.write_text("size,y\n1,a\n2,b\n")
    mine = mine | {"test_file": str(other)}
    first = prepared.folder_for(mine, tmp_path)
    other.write_text("size,y\n1,b\n2,b\n")
    assert prepared.folder_for(mine, tmp_path) != first


def test_a_copy_is_the_same_data_and_a_file_that_is_gone_the_one_of_its_name(tmp_path, mine, caplog):
    first = prepared.folder_for(mine, tmp_path)
    copy = tmp_path / "copy.csv"
    copy.write_bytes(Path(mine["file"]).read_bytes())
    assert prepared.folder_for(mine | {"file": str(copy)}, tmp_path) == first
    assert "no such file" not in caplog.text
    Path(mine["file"]).unlink()
    assert prepared.folder_for(mine, tmp_path) == first
    assert f"data.file={mine['file']}: there is no such file; taking {first}, which was made of it" in caplog.text
    with pytest.raises(UserError, match="there is no such file"):
        prepared.folder_for(mine | {"file": str(tmp_path / "other.csv")}, tmp_path)


def test_a_file_that_has_not_changed_is_not_hashed_again(tmp_path, mine, monkeypatch):
    os.utime(mine["file"], (0, 0))
    monkeypatch.setattr(origin, "SETTLED", -1.0)  # as if it had lain there for long
    first = prepared.folder_for(mine, tmp_path)
    monkeypatch.setattr(origin, "_hash", lambda *_: pytest.fail("hashed again"))
    assert prepared.folder_for(mine, tmp_path) == first
    notes = tmp_path / "data" / ".prepared.origin.json"
    assert str(Path(mine["file"]).resolve()) in notes.read_text()


@pytest.mark.parametrize("content", ["", "[", "[1]", '{"a": 1}', '{"a": {"stamp": 1}}', "\x00"])
def test_damaged_notes_cost_a_hash(tmp_path, mine, content):
    first = prepared.folder_for(mine, tmp_path)
    (tmp_path / "data" / ".prepared.origin.json").write_text(content)
    assert prepared.folder_for(mine, tmp_path) == first


def test_a_file_that_changes_while_it_is_read_is_refused(tmp_path, mine, monkeypatch):
    read = SOURCES["table"]

    def read_and_edit(values):
        raw = read(values)
        Path(mine["file"]).write_text("size,y\n")
        return raw

    monkeypatch.setitem(SOURCES, "table", read_and_edit)
    with pytest.raises(UserError, match="changed while it was read"):
        prepared.folder_for(mine, tmp_path)
    assert not (tmp_path / "data" / "prepared").exists()


@pytest.mark.parametrize("content", ["[1]", "a: 2020-13-45", "a: " + "[" * 1000, "config: 5", "{"])
def test_a_folder_that_says_nonsense_is_left_alone(tmp_path, content):
    folder = tmp_path / "data/prepared"
    folder.mkdir(parents=True)
    (folder / "data.yaml").write_text(content)
    assert prepared.folder_for(DIGITS, tmp_path) != folder
    assert (folder / "data.yaml").read_text() == content and len(list(folder.iterdir())) == 1


def test_warnings_are_told_where_data_is_prepared_on_the_way(tmp_path, mine, caplog):
    path = Path(mine["file"])
    path.write_text("size,y\n" + "".join(f"{n},{'ab'[n % 2]}\n" for n in range(60)))
    prepared.folder_for(mine, tmp_path)
    assert "data: column size counts the rows" in caplog.text
