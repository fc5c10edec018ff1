"""Files that are no text table although their names say so: told by their first bytes, with what to do about it."""

from __future__ import annotations

STARTS = (  # first bytes (small letters), what begins so, the mend
    (b"pk\x03\x04", "a zip archive or an Excel workbook", "unpack it, or save its table as CSV"),
    (b"\xd0\xcf\x11\xe0", "an old Excel workbook", "save its table as CSV"),
    (b"par1", "a Parquet file", "name it .parquet"),
    (b"\x1f\x8b", "compressed with gzip", "name it .csv.gz"),
    (b"bzh", "compressed with bzip2", "unpack it"),
    (b"\xfd7zxz", "compressed with xz", "unpack it"),
    (b"\x28\xb5\x2f\xfd", "compressed with zstd", "unpack it"),
    (b"\x93numpy", "a NumPy array", "save it with np.savez as x and y, and set data=arrays"),
    (b"\x89hdf", "an HDF5 file", "save its table as CSV"),
    (b"sqlite format 3", "an SQLite database", "save its table as CSV"),
    (b"%pdf", "a PDF", "save its table as CSV"),
    (b"version https://git-lfs", "a pointer of Git LFS, not the file itself", "run git lfs pull"),
    (b"<!doctype", "a web page", "download the file itself"),
    (b"<html", "a web page", "download the file itself"),
    (b"<?xml", "XML", "save its table as CSV"),
    (b"[{", "JSON", "save its table as CSV"),
    (b'{"', "JSON", "save its table as CSV"),
)


def foreign(start: bytes) -> str | None:
    """Of the first bytes of a file: what it is and the mend, where it is no text table; else None."""
    small = start.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    return next((f"is {what}: {mend}" for begins, what, mend in STARTS if small.startswith(begins)), None)
