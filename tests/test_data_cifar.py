"""CIFAR-10: tiny archives in the published format, and archives that must be refused, code in a pickle above all."""

import hashlib
import io
import pickle
import struct
import tarfile

import numpy as np
import pytest
from data_checks import prepared, refused

from trivet import data
from trivet.errors import UserError


def python2_pickle(x, labels):
    """A batch as Python 2 and numpy 1 pickled it (protocol 2, byte strings), which is what the published archive holds."""

    def text(value):
        return b"U" + bytes([len(value)]) + value

    kind = b"cnumpy\ndtype\n" + text(b"u1") + b"K\x00K\x01\x87R(K\x03" + text(b"|") + b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
    shape = b"".join(b"M" + struct.pack("<H", side) for side in x.shape) + b"\x86"
    array = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85" + text(b"b") + b"\x87R"
    array += b"(K\x01" + shape + kind + b"\x89T" + struct.pack("<I", x.nbytes) + x.tobytes() + b"tb"
    numbers = b"](" + b"".join(b"K" + bytes([label]) for label in labels) + b"e"
    return b"\x80\x02}(" + text(b"data") + array + text(b"labels") + numbers + b"u."


def archive(folder, batches, names=True):
    """Write the archive; returns its MD5."""
    folder.mkdir(exist_ok=True)
    contents = dict(batches)
    if names:
        contents["batches.meta"] = pickle.dumps({b"label_names": [b"airplane", b"automobile", b"bird", b"cat"]}, protocol=2)
    with tarfile.open(folder / "cifar-10-python.tar.gz", "w:gz") as file:
        for name, content in contents.items():
            member = tarfile.TarInfo(f"cifar-10-batches-py/{name}")
            member.size = len(content)
            file.addfile(member, io.BytesIO(content))
    return hashlib.md5((folder / "cifar-10-python.tar.gz").read_bytes()).hexdigest()


def batch(i, n=8):
    return np.random.default_rng(i).integers(0, 256, (n, 3072), dtype=np.uint8), [k % 4 for k in range(n)]


def good_batches(dump=python2_pickle):
    named = {f"data_batch_{i}": dump(*batch(i)) for i in range(1, 6)}
    return {**named, "test_batch": dump(*batch(6))}


def python3_pickle(x, labels):
    return pickle.dumps({b"data": x, b"labels": labels}, protocol=2)


def cifar_config(folder, **changes):
    return {"name": "cifar10", "folder": str(folder), "md5": None, "val_fraction": 0.2, "seed": 0, **changes}


@pytest.mark.parametrize("dump", [python2_pickle, python3_pickle])
def test_cifar10(tmp_path, dump):
    md5 = archive(tmp_path / "raw", good_batches(dump))
    meta, search, test = prepared(cifar_config(tmp_path / "raw", md5=md5), tmp_path)
    assert (meta["n_train"], meta["n_val"], meta["n_test"]) == (32, 8, 8)
    assert meta["input_shape"] == [3, 32, 32]
    assert meta["classes"] == ["airplane", "automobile", "bird", "cat"]
    raw = np.load(tmp_path / "prepared" / "test.npz")
    x, labels = batch(6)
    assert np.array_equal(raw["x"], x.reshape(8, 3, 32, 32))
    assert test.y.tolist() == labels
    assert search.train.x.shape == (32, 3, 32, 32)


def test_cifar10_is_downloaded_once_and_checked(tmp_path):
    md5 = archive(tmp_path / "server", good_batches())
    url = (tmp_path / "server" / "cifar-10-python.tar.gz").as_uri()
    config = cifar_config(tmp_path / "raw", md5=md5, url=url, download=True)
    refused({**config, "download": False}, tmp_path, "holds no cifar-10-python.tar.gz: put it there, or set data.download=true")
    with pytest.raises(UserError, match="has not the published MD5 0000"):
        data.prepare({**config, "md5": "0000"}, tmp_path / "prepared")
    assert list((tmp_path / "raw").iterdir()) == []
    with pytest.raises(UserError, match="cannot be downloaded"):
        data.prepare({**config, "url": url + ".no"}, tmp_path / "prepared")
    assert prepared(config, tmp_path)[0]["n_test"] == 8
    (tmp_path / "server" / "cifar-10-python.tar.gz").unlink()
    assert prepared(config, tmp_path)[0]["n_test"] == 8


class Evil:
    def __reduce__(self):
        return (exec, ("raise SystemExit('the archive ran code')",))


BAD_ARCHIVES = [
    ({"data_batch_2": pickle.dumps({b"data": Evil()}, protocol=2)}, "data_batch_2 is refused: __builtin__.exec has no place in it"),
    ({"data_batch_2": b"\x80\x02}"}, "data_batch_2 is refused"),
    ({"data_batch_2": pickle.dumps([1], protocol=2)}, "data_batch_2 holds a list, not a dict"),
    ({"test_batch": python3_pickle(np.zeros((2, 10), np.uint8), [0, 1])}, "test_batch must hold data (N, 3072) of bytes"),
    ({"test_batch": python3_pickle(np.zeros((2, 3072), np.uint8), [0])}, "test_batch must hold data (N, 3072) of bytes"),
    ({"test_batch": python3_pickle(np.zeros((2, 3072), np.uint8), [0, 11])}, "test_batch has a label outside 0..9"),
]


@pytest.mark.parametrize(("batches", "message"), BAD_ARCHIVES, ids=[message[:30] for _, message in BAD_ARCHIVES])
def test_bad_archives(tmp_path, batches, message):
    archive(tmp_path / "raw", {**good_batches(), **batches})
    refused(cifar_config(tmp_path / "raw"), tmp_path, message)


def test_an_archive_that_is_another_or_none(tmp_path):
    archive(tmp_path / "raw", {})
    refused(cifar_config(tmp_path / "raw"), tmp_path, "has no cifar-10-batches-py/data_batch_1")
    refused(cifar_config(tmp_path / "raw", md5="0" * 32), tmp_path, "its MD5 is ")
    (tmp_path / "raw" / "cifar-10-python.tar.gz").write_bytes(b"no archive")
    refused(cifar_config(tmp_path / "raw"), tmp_path, "is not a readable .tar.gz")
