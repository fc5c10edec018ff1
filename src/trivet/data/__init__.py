"""Data: prepare it once as two files, then load the search part or the test part onto the training device.

    meta = data.prepare({"name": "digits", "val_fraction": 0.2, "test_fraction": 0.2, "seed": 0}, Path("data/prepared"))
    split = data.load("data/prepared", "cpu")       # split.train.x, split.train.y, split.val.x, split.val.y, split.meta
    test = data.load_test("data/prepared", "cpu")   # only the test stage calls this

sources.py says what each name reads; files.py what is written.
"""

from trivet.data.files import Data, Split, load, load_test
from trivet.data.prepare import prepare, validate

__all__ = ["Data", "Split", "load", "load_test", "prepare", "validate"]
