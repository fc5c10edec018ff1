"""Arrays of the user's own: how their axes lie, and files that claim what they do not hold."""

import struct
import zipfile

import numpy as np
import pytest
import yaml
from data_checks import SPLIT, prepared, refused, told

from trivet import data
from trivet.data import npz
from trivet.data.arrays import layout_of
from trivet.errors import UserError


def images(*shape, dtype=np.uint8):
    return np.random.default_rng(0).integers(0, 256, shape).astype(dtype)


def config(tmp_path, x, **changes):
    np.savez(tmp_path / "mine.npz", x=x, y=np.arange(len(x)) % 4)
    return {"name": "arrays", "file": str(tmp_path / "mine.npz"), "task": "classification", **SPLIT, **changes}


@pytest.mark.parametrize(
    ("shape", "dtype", "layout"),
    [
        ((50, 7), "float32", "nf"),
        ((50, 28, 28), "uint8", "nhw"),
        ((50, 28, 28), "float32", "nhw"),
        ((50, 20, 30), "uint8", "nhw"),
        ((50, 3, 100), "float32", "ncl"),
        ((50, 1, 40), "uint8", "ncl"),
        ((50, 100, 3), "float32", "nlc"),
        ((50, 1, 8, 8), "float32", "nchw"),
        ((50, 3, 32, 32), "uint8", "nchw"),
        ((50, 32, 32, 3), "uint8", "nhwc"),
        ((50, 32, 32, 4), "float32", "nhwc"),
    ],
)
def test_the_layout_that_a_shape_can_only_mean(shape, dtype, layout):
    assert layout_of(shape, np.dtype(dtype), "auto", "x") == layout


@pytest.mark.parametrize(
    ("shape", "dtype", "choices"),
    [
        ((50, 12, 1000), "float32", ("ncl", "nlc", "nhw")),  # twelve leads of an ECG, or odd images
        ((50, 3, 4), "float32", ("ncl", "nlc", "nhw")),
        ((50, 3, 3), "uint8", ("ncl", "nlc", "nhw")),
        ((50, 3, 32, 3), "uint8", ("nchw", "nhwc")),
        ((50, 16, 32, 32), "uint8", ("nchw", "nhwc")),
    ],
)
def test_an_ambiguous_shape_is_refused_with_every_choice(tmp_path, shape, dtype, choices):
    message = f"x of shape {shape} can be read in several ways: set data.layout={choices[0]} for "
    refused(config(tmp_path, images(*shape, dtype=dtype)), tmp_path, message)
    for layout in choices:
        meta, *_ = prepared(config(tmp_path, images(*shape, dtype=dtype), layout=layout), tmp_path)
        assert meta["understood"]["layout"] == layout


@pytest.mark.parametrize(
    ("layout", "shape", "axes", "inputs", "meaning"),
    [
        ("nhw", (40, 6, 5), None, [1, 6, 5], "images of 6 x 5, one channel"),
        ("nhwc", (40, 6, 5, 3), (0, 3, 1, 2), [3, 6, 5], "images of 6 x 5, 3 channels"),
        ("nchw", (40, 3, 6, 5), (0, 1, 2, 3), [3, 6, 5], "images of 6 x 5, 3 channels"),
        ("nlc", (40, 9, 2), (0, 2, 1), [2, 9], "signals of length 9, 2 channels"),
        ("ncl", (40, 2, 9), (0, 1, 2), [2, 9], "signals of length 9, 2 channels"),
    ],
)
def test_channels_come_first_and_are_scaled_each(tmp_path, layout, shape, axes, inputs, meaning):
    x = images(*shape)
    meta, search, test = prepared(config(tmp_path, x, layout=layout), tmp_path)
    assert (meta["input_shape"], meta["understood"]["meaning"], len(meta["mean"])) == (inputs, meaning, inputs[0])
    expected = x[:, None] if axes is None else x.transpose(axes)
    stored = np.load(tmp_path / "prepared" / "search.npz")["x_train"]
    assert stored.dtype == np.uint8 and all((expected == row).all(axis=tuple(range(1, expected.ndim))).any() for row in stored)
    assert abs(search.train.x.mean()) < 1e-5 and abs(search.train.x.std() - 1) < 0.01  # bytes are scaled
    assert list(test.x.shape[1:]) == inputs


@pytest.mark.parametrize(
    ("shape", "layout", "message"),
    [
        ((40, 6, 5), "nhwc", "data.layout=nhwc: means 4 axes, and"),
        ((40, 6), "nhw", "data.layout=nhw: means 3 axes, and"),
        ((40, 6, 5), "hwn", "data.layout=hwn: must be one of auto, nhw, nhwc, nchw, nlc, ncl"),
    ],
)
def test_a_layout_that_does_not_fit(tmp_path, shape, layout, message):
    refused(config(tmp_path, images(*shape), layout=layout), tmp_path, message)


def test_the_test_part_has_the_layout_of_x(tmp_path):
    settings = config(tmp_path, images(40, 6, 5, 3))
    np.savez(settings["file"], x=images(40, 6, 5, 3), y=np.arange(40) % 4, x_test=images(8, 6, 5), y_test=np.arange(8) % 4)
    refused(settings, tmp_path, "x_test has shape (8, 6, 5), which is not of the layout nhwc that x has")


BITS = np.arange(40) % 2


@pytest.mark.parametrize(
    ("found", "message"),
    [
        ({"y": np.eye(4)[np.arange(40) % 4]}, "must have shape (N,), one class per sample, not (40, 4): save y.argmax(axis=1)"),
        ({"y": np.zeros((40, 2, 2))}, "one class per sample, not (40, 2, 2)"),
        ({"y": BITS + 1j}, "y of a classification must be whole numbers or texts, not complex128"),
        ({"y": BITS.astype("datetime64[D]")}, "must be whole numbers or texts, not datetime64[D]"),
        ({"y": np.where(BITS, np.nan, 1)}, "y has 20 values that are NaN or infinite, the first in sample 1"),
        ({"x": np.where(BITS, np.nan, 1)[:, None]}, "x has 20 values that are NaN, infinite or too large, the first in sample 1"),
        ({"x": np.zeros((5, 6, 40))}, "save np.moveaxis(x, 2, 0), if its axis 2 counts the samples"),
        ({"x": np.linspace(0, 1, 40)[:, None] + 1e9}, "x[:, 0]: its values lie between 1000000000.0 and 1000000001.0, too close"),
        ({"x": np.linspace(0, 1, 640).reshape(40, 4, 4) + 1e9}, "too close together for 32-bit numbers"),
        ({"y_test": BITS.astype(str), "x_test": np.ones((40, 3))}, "y_test holds the class '0', which the other samples do not have"),
    ],
)
def test_arrays_that_are_not_what_is_asked_for(tmp_path, found, message):
    settings = config(tmp_path, images(40, 3))
    np.savez(settings["file"], **{"x": images(40, 3, dtype=float), "y": BITS, **found})
    refused(settings, tmp_path, message)


def test_a_target_without_anything_to_predict(tmp_path):
    settings = config(tmp_path, images(40, 3), task="regression")
    np.savez(settings["file"], x=images(40, 3), y=np.stack([np.arange(40), np.ones(40)], axis=1))
    refused(settings, tmp_path, "y[:, 1] is 1 in every sample: there is nothing to predict")


@pytest.mark.parametrize(("y", "classes"), [(BITS[:, None], [0, 1]), (np.array([b"a", b"b"])[BITS], ["a", "b"])])
def test_classes_in_another_guise(tmp_path, y, classes):
    settings = config(tmp_path, images(40, 3))
    np.savez(settings["file"], x=images(40, 3), y=y)
    assert prepared(settings, tmp_path)[0]["classes"] == classes


NUMBERS = np.random.default_rng(1).normal(size=(200, 3))
MANY = np.arange(200) * 7 % 2
COLOURS = np.random.default_rng(1).random((200, 6, 6, 4)).astype(np.float32)


@pytest.mark.parametrize(
    ("arrays", "lines"),
    [
        ({"x": NUMBERS}, []),
        ({"x": np.c_[NUMBERS, np.ones(200)]}, ["1 of 4 columns have the same value in every training sample"]),
        (
            {"x": np.c_[NUMBERS, np.arange(200)]},
            ["column x[:, 3] counts the rows, so it is probably an index or a time: leave it out of x"],
        ),
        ({"x": np.c_[NUMBERS, MANY]}, ["column x[:, 3] alone predicts the target (100.0% of what can be explained)"]),
        ({"x": np.c_[NUMBERS, np.where(np.arange(200) % 9, NUMBERS[:, 0], -999)]}, ["column x[:, 3] is -999 in "]),
        ({"x": np.repeat(NUMBERS[:100], 2, axis=0)}, [" of 40 test samples have the inputs of a training or validation sample"]),
        ({"x": COLOURS * np.array([1, 1, 1, 0], dtype=np.float32)}, ["channel 3 is 0 everywhere: leave it out of x"]),
        ({"x": 255 * COLOURS, "x_test": COLOURS[::-1] + 0.01, "y_test": MANY}, [f"channel {c} lies mostly between " for c in range(4)]),
        ({"x": NUMBERS, "x_test": NUMBERS + 0.01, "y_test": 0 * MANY}, ["the test part has no sample of 1"]),
        ({"x": NUMBERS, "y": np.where(np.arange(200) % 3, MANY, -999)}, ["the target is -999 in 67 row(s), else 0 to 1"]),
    ],
)
def test_arrays_that_are_probably_not_what_their_owner_thinks(tmp_path, arrays, lines):
    settings = config(tmp_path, images(40, 3))
    np.savez(settings["file"], **{"y": MANY, **arrays})
    found = told(settings, tmp_path)
    assert len(found) == len(lines) and all(line in said for line, said in zip(lines, found, strict=True))


def test_numbers_that_are_no_classes(tmp_path):
    settings = config(tmp_path, images(40, 3))
    np.savez(settings["file"], x=images(40, 3), y=np.arange(40) * 10)
    refused(settings, tmp_path, "y holds 40 different numbers in 40 samples, such as 0: they look like measurements")


def claiming(path, shape):
    """An .npz of a kilobyte whose x says that it has this shape."""
    header = f"{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}, }}"
    header += " " * (-(len(header) + 11) % 64) + "\n"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x.npy", b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode() + b"\0" * 800)
        with archive.open("y.npy", "w") as file:
            np.save(file, np.zeros(10))


def encrypted(path):
    np.savez(path, x=np.zeros((10, 3)), y=np.zeros(10))
    content = bytearray(path.read_bytes())
    for mark, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):  # the flags of every entry, locally and in the table of contents
        start = 0
        while (start := content.find(mark, start)) >= 0:
            content[start + offset] |= 1
            start += 4
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: claiming(path, (8, 10**12)), "x claims 58 TiB and holds 928 bytes"),
        (lambda path: claiming(path, (11, 10)), "is not an .npz of plain arrays ("),
        (encrypted, "is encrypted: save it without a password"),
        (lambda path: path.write_bytes(b"PK\x03\x04" + b"x" * 100), "is not an .npz of plain arrays"),
    ],
    ids=["58 TiB", "a little too much", "encrypted", "no zip"],
)
def test_a_file_that_claims_what_it_does_not_hold(tmp_path, make, message):
    make(tmp_path / "mine.npz")
    settings = {"name": "arrays", "file": str(tmp_path / "mine.npz"), "task": "classification", **SPLIT}
    refused(settings, tmp_path, message)


def test_a_file_that_unpacks_to_more_than_the_memory(tmp_path, monkeypatch):
    settings = config(tmp_path, images(40, 300))
    monkeypatch.setattr(npz.os, "sysconf", lambda name: {"SC_PAGE_SIZE": 4096, "SC_PHYS_PAGES": 2}[name])
    refused(settings, tmp_path, "its arrays unpack to 12 KiB, and this machine has 8 KiB of memory")


@pytest.mark.parametrize("damage", [encrypted, lambda path: claiming(path, (10**12,)), lambda path: path.write_bytes(b"")])
def test_prepared_data_is_read_with_the_same_care(tmp_path, damage):
    data.prepare(config(tmp_path, images(40, 3)), tmp_path / "a")
    damage(tmp_path / "a" / "search.npz")
    with pytest.raises(UserError, match=r"search.npz: cannot be read"):
        data.load(tmp_path / "a")


@pytest.mark.parametrize(
    "content",
    ["[1, 2]", "mean: 2020-13-45", "a: " + "[" * 1000, "task: [", "{}", "\x00"],
    ids=["list", "date", "deep", "open", "empty", "NUL"],
)
def test_a_damaged_description(tmp_path, content):
    data.prepare(config(tmp_path, images(40, 3)), tmp_path / "a")
    (tmp_path / "a" / "data.yaml").write_text(content)
    with pytest.raises(UserError, match=r"data.yaml: (cannot be read|does not describe)") as error:
        data.load(tmp_path / "a")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("key", ["mean", "std"])
@pytest.mark.parametrize(
    "value", [None, {}, [], "0.5", ["a"], [None], [[0.5]], [10**400], [True], [0.5, 0.5]], ids=lambda value: repr(value)[:12]
)
def test_a_description_of_other_data(tmp_path, key, value):
    data.prepare(config(tmp_path, images(40, 3)), tmp_path / "a")
    path = tmp_path / "a" / "data.yaml"
    path.write_text(yaml.safe_dump(yaml.safe_load(path.read_text()) | {key: value}))
    with pytest.raises(UserError, match=r"data\.yaml.* run `python pipelines/prepare.py` again"):
        data.load(tmp_path / "a")


@pytest.mark.parametrize("content", ["a: " + "[" * 1000, "a: 2020-13-45", "[1", "mine: 1"], ids=["deep", "date", "open", "another's"])
def test_a_description_that_is_not_ours_is_not_written_over(tmp_path, content):
    settings = config(tmp_path, images(40, 3))
    (tmp_path / "prepared").mkdir()
    (tmp_path / "prepared" / "data.yaml").write_text(content)
    refused(settings, tmp_path, "data.yaml there was not written by prepare")
    assert (tmp_path / "prepared" / "data.yaml").read_text() == content
