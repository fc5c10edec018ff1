"""Arrays from an .npz or .npy file that need not be what it says: nothing is unpickled, and no header's word is taken for the size.

An array's header may claim 58 TiB in a file of a kilobyte, and a zip may unpack to more than the machine has: both are compared with what
is there before anything is allocated.
"""

from __future__ import annotations

import math
import os
import zipfile
import zlib
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import IO

import numpy as np


class Unreadable(ValueError):
    """The file is not an .npz of plain arrays; the message says why in one line."""


def read(path: Path, names: Collection[str] | None = None) -> dict[str, np.ndarray]:
    """The arrays of the file by name (those of `names` that it has; without `names`, all). An .npy counts as an array x. Unreadable."""
    with _one_line_errors():
        if _is_npy(path):
            return {"x": _array(lambda: path.open("rb"), path.stat().st_size, "x")}
        with zipfile.ZipFile(path) as archive:
            members = {_name(member): member for member in archive.infolist()}
            wanted = {name: member for name, member in members.items() if names is None or name in names}
            _check_sizes(wanted)
            return {name: _array(partial(archive.open, member), member.file_size, name) for name, member in wanted.items()}


def names(path: Path) -> list[str]:
    """What arrays the file has, by its table of contents. Unreadable as `read`."""
    with _one_line_errors():
        if _is_npy(path):
            return ["x"]
        with zipfile.ZipFile(path) as archive:
            return sorted(_name(member) for member in archive.infolist())


@contextmanager
def _one_line_errors() -> Iterator[None]:
    try:
        yield
    except Unreadable:
        raise
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error, MemoryError, RuntimeError) as error:
        raise Unreadable(" ".join(str(error).split()) or type(error).__name__) from error


def _is_npy(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(6) == b"\x93NUMPY"


def _name(member: zipfile.ZipInfo) -> str:
    return member.filename.removesuffix(".npy")


def _check_sizes(members: dict[str, zipfile.ZipInfo]) -> None:
    for name, member in members.items():
        if member.flag_bits & 1:
            raise Unreadable(f"{name} is encrypted: save it without a password")
    total, memory = sum(member.file_size for member in members.values()), os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if total > memory:
        raise Unreadable(f"its arrays unpack to {_size(total)}, and this machine has {_size(memory)} of memory")


def _array(opened: Callable[[], IO[bytes]], held: int, name: str) -> np.ndarray:
    """The array in a stream of `held` bytes, header included."""
    with opened() as stream:
        version = np.lib.format.read_magic(stream)
        header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, dtype = header(stream)
    if dtype.hasobject:
        raise Unreadable(f"{name} holds Python objects: save numbers or texts")
    claimed = math.prod(shape) * dtype.itemsize
    if claimed > held:
        raise Unreadable(f"{name} claims {_size(claimed)} and holds {_size(held)}")
    with opened() as stream:
        return np.lib.format.read_array(stream, allow_pickle=False)


def _size(n: float) -> str:
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if n < 1024:
            return f"{n:.0f} {unit}"
        n /= 1024
    return f"{n:.0f} TiB"
