"""What the tests of data share: prepare into a temporary folder and load it back, or be refused with nothing written."""

import pytest
import yaml
from apps.running import digest

from trivet import data
from trivet.errors import UserError

SPLIT = {"val_fraction": 0.25, "test_fraction": 0.2, "seed": 0}
WRITTEN = ["data.yaml", "search.npz", "test.npz"]


def prepared(config, tmp_path):
    folder = tmp_path / "prepared"
    meta = data.prepare(config, folder)
    assert sorted(path.name for path in folder.iterdir()) == WRITTEN
    assert yaml.safe_load((folder / "data.yaml").read_text()) == meta
    return meta, data.load(folder), data.load_test(folder)


def told(config, tmp_path):
    """The warnings of `prepare`, without reading back what it wrote."""
    return data.prepare(config, tmp_path / "prepared")["understood"]["warnings"]


def refused(config, tmp_path, message):
    """`prepare` answers with one line that contains `message`, and leaves the tree as it was."""
    before = digest(tmp_path)
    with pytest.raises(UserError) as error:
        data.prepare(config, tmp_path / "prepared")
    assert message in str(error.value)
    assert "\n" not in str(error.value)
    assert digest(tmp_path) == before
