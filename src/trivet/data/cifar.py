"""CIFAR-10 from its published archive (cifar-10-python.tar.gz, Krizhevsky 2009), without trusting the pickles inside it."""

from __future__ import annotations

import codecs
import hashlib
import os
import pickle
import tarfile
import tempfile
import urllib.request
from pathlib import Path
from typing import Any

import numpy as np

from trivet.data.raw import Raw
from trivet.errors import UserError

ARCHIVE = "cifar-10-python.tar.gz"
INSIDE = "cifar-10-batches-py"
SHAPE = (3, 32, 32)
LARGEST = 64 * 2**20  # bytes of one file in the archive; the published ones have 31 MB

# All that a batch needs to be unpickled: numpy arrays (and bytes, as Python 3 writes them for Python 2).
_PERMITTED = {
    ("numpy.core.multiarray", "_reconstruct"): np.zeros(0).__reduce__()[0],
    ("numpy._core.multiarray", "_reconstruct"): np.zeros(0).__reduce__()[0],
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
    ("_codecs", "encode"): codecs.encode,
}


class _PlainUnpickler(pickle.Unpickler):
    """Numpy arrays, dicts, lists, bytes and numbers; UnpicklingError for anything else, before it is made."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _PERMITTED:
            raise pickle.UnpicklingError(f"{module}.{name} has no place in it")
        return _PERMITTED[module, name]


def read_archive(values: dict[str, Any]) -> Raw:
    """The five training batches and the test batch. `folder` holds the archive, or gets it when `download` is true.

    Its MD5 must be `md5` unless that is null. UserError for a missing, damaged or foreign archive.
    """
    path = Path(values["folder"]).expanduser() / ARCHIVE
    if not path.is_file():
        if not values["download"]:
            raise UserError(f"data.folder={values['folder']}: holds no {ARCHIVE}: put it there, or set data.download=true")
        _download(values["url"], path, values["md5"])
    elif values["md5"] is not None and _md5(path) != values["md5"]:
        raise UserError(f"{path}: its MD5 is {_md5(path)}, not the published {values['md5']}: delete it and get it again")
    try:
        with tarfile.open(path, "r:gz") as archive:
            batches = [_batch(archive, f"data_batch_{i}", path) for i in range(1, 6)]
            test = _batch(archive, "test_batch", path)
            names = _unpickle(archive, "batches.meta", path).get(b"label_names", [])
    except (tarfile.TarError, EOFError, OSError) as error:
        raise UserError(f"{path}: is not a readable .tar.gz ({error})") from error
    x, y = (np.concatenate(parts) for parts in zip(*batches, strict=True))
    return Raw(x, y, *test, names=[str(name, "utf-8") for name in names] or None)


def _unpickle(archive: tarfile.TarFile, name: str, path: Path) -> dict:
    try:
        member = archive.getmember(f"{INSIDE}/{name}")
    except KeyError as error:
        raise UserError(f"{path}: has no {INSIDE}/{name}: it is not the published archive") from error
    file = archive.extractfile(member)
    if file is None or member.size > LARGEST:
        raise UserError(f"{path}: {INSIDE}/{name} is not a file of the published size")
    try:
        content = _PlainUnpickler(file, encoding="bytes").load()
    except (pickle.UnpicklingError, EOFError, ValueError, TypeError, IndexError, AttributeError, KeyError) as error:
        raise UserError(f"{path}: {INSIDE}/{name} is refused: {error}") from error
    if not isinstance(content, dict):
        raise UserError(f"{path}: {INSIDE}/{name} holds a {type(content).__name__}, not a dict")
    return content


def _batch(archive: tarfile.TarFile, name: str, path: Path) -> tuple[np.ndarray, np.ndarray]:
    content = _unpickle(archive, name, path)
    x, labels = content.get(b"data"), content.get(b"labels")
    plain = isinstance(x, np.ndarray) and x.dtype == np.uint8 and x.ndim == 2 and x.shape[1] == np.prod(SHAPE)
    whole = isinstance(labels, list) and all(isinstance(label, int) for label in labels)
    if x is None or labels is None or not plain or not whole or len(labels) != len(x):
        raise UserError(f"{path}: {INSIDE}/{name} must hold data (N, 3072) of bytes and N whole-number labels")
    if any(not 0 <= label < 10 for label in labels):
        raise UserError(f"{path}: {INSIDE}/{name} has a label outside 0..9")
    return x.reshape(-1, *SHAPE), np.array(labels, dtype=np.int64)


def _md5(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def _download(url: str | None, path: Path, md5: str | None) -> None:
    """Fetch `url` to `path`; the file appears there only when it is whole and its MD5 is right."""
    if url is None:
        raise UserError("data.url=null: name where to download the archive from, or set data.download=false")
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{ARCHIVE}.")
    try:
        with os.fdopen(handle, "wb") as file, urllib.request.urlopen(url, timeout=60) as answer:
            while block := answer.read(1 << 20):
                file.write(block)
        if md5 is not None and _md5(Path(temporary)) != md5:
            raise UserError(f"data.url={url}: what came has not the published MD5 {md5}: try again, or put {ARCHIVE} into {path.parent}")
        os.replace(temporary, path)
    except (OSError, ValueError) as error:
        if isinstance(error, UserError):
            raise
        raise UserError(f"data.url={url}: cannot be downloaded ({error}): put {ARCHIVE} into {path.parent} yourself") from error
    finally:
        Path(temporary).unlink(missing_ok=True)
