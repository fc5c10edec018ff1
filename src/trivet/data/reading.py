"""A CSV, TSV or Parquet file as a data frame whose index tells the row as a spreadsheet counts: the header of a CSV is row 1.

A CSV is read as text; what is a number is decided afterwards (kinds.py), so that no reader's guess stands between a cell and its meaning.
"""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import re
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from pandas.api.types import is_numeric_dtype

from trivet.data.kinds import is_text
from trivet.data.magic import foreign
from trivet.data.mends import mark
from trivet.data.texts import cleaned, name, nearest
from trivet.errors import UserError

TEXTS, PARQUET = {".csv": None, ".tsv": "\t"}, (".parquet", ".pq")
SEPARATORS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}
REMARKS = ("#", "//", "%", "--")
BOMS = {  # the longer first: that of UTF-32 begins as one of UTF-16 does
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
UNPRINTED = re.compile("[\x80-\x9f]")  # what cp1252 has letters and signs for, and latin-1 nothing
SAMPLE = 1 << 16  # characters from which the separator is found


def read_frame(path: Path, key: str, values: Mapping[str, Any]) -> tuple[pd.DataFrame, dict[str, Any]]:
    """The frame, and how it was read: {} for Parquet, else separator and encoding. Cells of a CSV are texts, NA where empty or a marker.

    `values`: the settings of fields.READING. UserError with the row for a cell too many, a quote too few, or bytes that are no text.
    """
    where = f"{key}={path}"
    plain = path.name.lower().removesuffix(".gz")
    suffix = plain[plain.rfind(".") :] if "." in plain else ""
    try:
        if suffix in TEXTS:
            frame, facts = _read_text(path, where, {**values, "sep": values["sep"] or TEXTS[suffix]})
        elif suffix in PARQUET and plain == path.name.lower():
            frame, facts = _read_parquet(path, where), {}
        else:
            raise UserError(f"{where}: must end in .csv, .tsv, .csv.gz, .tsv.gz or .parquet: save the table as one of these")
    except UserError:
        raise
    except (ValueError, OSError, EOFError, zlib.error, csv.Error, MemoryError, pd.errors.ParserError) as error:
        raise UserError(f"{where}: cannot be read ({' '.join(str(error).split()) or type(error).__name__})") from error
    if frame.empty:
        raise UserError(f"{where}: has no rows")
    twice = [column for column, n in Counter(frame.columns).items() if n > 1]
    if twice:
        raise UserError(f"{where}: has two columns called {twice[0]}: rename one")
    return _mark_missing(frame, values["na_values"]), facts


def _read_parquet(path: Path, where: str) -> pd.DataFrame:
    """The rows of a Parquet file, numbered from 1. What pandas had as a named index is a column like the others."""
    frame = pd.read_parquet(path)
    named = [level for level in frame.index.names if level is not None]
    frame = frame.reset_index(level=named).reset_index(drop=True)
    frame.columns = frame.columns.map(name)
    frame.index += 1
    return pd.DataFrame({i: _plain(frame.iloc[:, i], where) for i in range(frame.shape[1])}, index=frame.index).set_axis(
        frame.columns, axis=1
    )


def _plain(column: pd.Series, where: str) -> pd.Series:
    """A column of numbers, truths, dates or clean texts. UserError for one whose cells are more than one value."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        column = column.astype(object)
    kind = pd.api.types.infer_dtype(column, skipna=True)
    if kind == "bytes":
        column = column.map(lambda cell: cell.decode(errors="replace") if isinstance(cell, bytes) else cell)
    elif kind in ("mixed", "complex") or any(isinstance(cell, (list, dict, np.ndarray)) for cell in column.dropna().head(1)):
        raise UserError(
            f"{where}: column {column.name} holds lists or the like: write one number or text per cell, or leave it out of the file"
        )
    return cleaned(column) if is_text(column) else column


def _mark_missing(frame: pd.DataFrame, markers: Sequence[Any] | Mapping[str, Sequence[Any]] | None) -> pd.DataFrame:
    """NA for cells that are a marker, the same text or the same number: of all columns, or by column."""
    if isinstance(markers, Mapping):
        for column in markers:
            if column not in frame:
                raise UserError(f"data.na_values={column}: there is no such column{nearest(column, frame)}")
        return frame.assign(**{column: _marked(frame[column], found) for column, found in markers.items()})
    return frame.apply(lambda column: _marked(column, markers)) if markers else frame


def _marked(column: pd.Series, markers: Sequence[Any]) -> pd.Series:
    if not (is_numeric_dtype(column) or is_text(column)):
        return column
    texts, as_numbers = {str(marker) for marker in markers}, pd.to_numeric(pd.Series(list(map(str, markers))), errors="coerce").dropna()
    found = column.astype(object).isin(texts) | pd.to_numeric(column, errors="coerce").isin(set(as_numbers.astype(float)))
    return column.mask(found.to_numpy(dtype=bool)) if found.any() else column


def _read_text(path: Path, where: str, values: Mapping[str, Any]) -> tuple[pd.DataFrame, dict[str, Any]]:
    with _bytes(path) as file:
        if what := foreign(file.read(64)):
            raise UserError(f"{where}: {what}")
    encoding = _encoding(path, values["encoding"])
    _check_text(path, where, encoding, values["encoding"] is not None)
    sep = {"\\t": "\t", "tab": "\t"}.get(values["sep"], values["sep"])
    if sep is None:
        with _opened(path, encoding) as file:
            sample = file.read(SAMPLE)
            sep = _find_separator(sample, not file.read(1), where)
    header, n_rows = _survey(path, where, encoding, sep)
    with _opened(path, encoding) as file:
        frame = pd.read_csv(file, sep=sep, dtype=str, na_filter=False, skip_blank_lines=False, index_col=False)
    if len(frame) != n_rows or len(frame.columns) != len(header):
        raise UserError(f"{where}: its quotes can be read in several ways: write it anew, with every quote inside a cell doubled")
    frame.columns = header
    frame.index += 2
    frame = frame.fillna("").apply(cleaned)
    unnamed = [i for i, column in enumerate(header) if column.startswith("Unnamed: ") and frame.iloc[:, i].isna().all()]
    frame = frame.iloc[:, [i for i in range(len(header)) if i not in unnamed]].dropna(how="all")  # separators at the ends of the rows
    for key in ("decimal", "thousands"):
        if values[key] == sep and not any(column.str.contains(sep, regex=False).any() for _, column in frame.items()):
            raise UserError(f"data.{key}={sep}: also separates the cells of {path}; set data.sep to another character, or mend data.{key}")
    return frame, {"separator": SEPARATORS.get(sep, sep), "encoding": encoding}


def _opened(path: Path, encoding: str) -> io.TextIOWrapper:
    return io.TextIOWrapper(_bytes(path), encoding, newline="")


def _bytes(path: Path) -> io.BufferedReader | gzip.GzipFile:
    return gzip.open(path) if path.name.lower().endswith(".gz") else path.open("rb")


def _encoding(path: Path, given: str | None) -> str:
    with _bytes(path) as file:
        start = file.read(4)
    found = next((name for bom, name in BOMS.items() if start.startswith(bom)), None)
    if given is None:
        return found or "utf-8"
    try:
        b"a".decode(given, errors="ignore")  # an empty text is never looked at
    except (LookupError, ValueError) as error:
        raise UserError(f"data.encoding={given}: there is no such text encoding; for example utf-8, latin-1, cp1252, utf-16") from error
    return "utf-8-sig" if codecs.lookup(given).name == "utf-8" else given


def _check_text(path: Path, where: str, encoding: str, given: bool) -> None:
    """UserError, with the line and what stands before it, for bytes that are no text in this encoding; and where an encoding that was
    `given` makes letters of them that nobody wrote: UTF-8 read as another, cp1252 as latin-1."""
    kind = codecs.lookup(encoding).name
    foreign_letters, all_utf8 = False, given and not kind.startswith("utf")
    with _bytes(path) as file:
        for number, line in enumerate([file.read()] if kind.startswith(("utf-16", "utf-32")) else file, 1):
            try:
                text = line.decode(encoding)
            except UnicodeDecodeError as error:
                before = line[: error.start].decode(encoding, errors="replace")[-20:]
                mend = "set data.encoding, for example latin-1 or cp1252"
                raise UserError(f"{where}: line {number}: the byte after {before!r} is not {encoding}: {mend}") from error
            if "\0" in text:
                example = "utf-32" if kind.startswith("utf-16") else "utf-16"
                raise UserError(
                    f"{where}: line {number} holds a NUL: it is no text in {encoding}; set data.encoding, for example {example}"
                )
            if all_utf8 and not line.isascii():
                foreign_letters, all_utf8 = True, _is_utf8(line)
            if kind.startswith("iso8859") and (odd := UNPRINTED.search(text)):
                before = text[: odd.start()][-20:]
                raise UserError(f"{where}: line {number}: what comes after {before!r} is no letter in {encoding}: set data.encoding=cp1252")
    if foreign_letters and all_utf8:
        raise UserError(f"data.encoding={encoding}: the letters of {path} are utf-8, and would be others: leave data.encoding out")


def _is_utf8(line: bytes) -> bool:
    try:
        line.decode()
    except UnicodeDecodeError:
        return False
    return True


def _rows(file: Iterator[str], sep: str) -> Iterator[list[str]]:
    return csv.reader(file, delimiter=sep, strict=True)


def _find_separator(sample: str, whole: bool, where: str) -> str:
    """The character that cuts every row of the sample into as many cells as the header, and more than one."""
    fits, counts, broken = [], {}, ""
    for sep in SEPARATORS:
        rows: list[list[str]] = []
        try:
            rows.extend(_rows(io.StringIO(sample, newline=""), sep))  # what came before an error counts
        except csv.Error as error:
            broken = f" ({error}: look for a quote without its partner)"
        rows = [row for row in (rows if whole or broken or len(rows) < 2 else rows[:-1]) if row]
        counts[sep] = len(rows[0]) if rows else 0
        if counts[sep] > 1 and all(len(row) == counts[sep] for row in rows):
            fits.append(sep)
    if hint := re.match(r"sep=(.)\s*?\r?\n", sample, re.IGNORECASE):  # for Excel
        raise UserError(f"{where}: row 1, {hint.group().strip()!r}, is no row of names: remove it, and set {mark('data.sep', hint[1])}")
    if len(fits) > 1:
        named = " and ".join(SEPARATORS[sep] for sep in fits)
        raise UserError(
            f"{where}: {named} both cut its rows into equal numbers of cells: set data.sep, for example {mark('data.sep', fits[0])}"
        )
    if not sample.strip():
        raise UserError(f"{where}: holds nothing but blanks")
    best = fits[0] if fits else max(counts, key=counts.__getitem__)
    first = sample.strip().partition("\n")[0].strip()[:40]
    if counts[best] < 2 and first.startswith(REMARKS):
        raise UserError(f"{where}: row 1, {first!r}, is a remark: remove it, as the first row must hold the names of the columns")
    if counts[best] < 2:
        raise UserError(f"{where}: cannot be read as a table: its first row is one cell, {first!r}: set data.sep{broken}")
    return best


def _survey(path: Path, where: str, encoding: str, sep: str) -> tuple[list[str], int]:
    """The header, and how many rows come after it; UserError for a row that has not as many cells."""
    header, number = [], 0
    with _opened(path, encoding) as file:
        rows = enumerate(_rows(file, sep), 1)
        try:
            for number, row in rows:
                if number == 1:
                    header = [name(cell) or f"Unnamed: {i}" for i, cell in enumerate(row)]
                    if not row:
                        raise UserError(f"{where}: row 1 is empty: it must hold the names of the columns")
                    if len(row) == 1:
                        raise UserError(
                            f"{where}: cut by {SEPARATORS.get(sep, sep)} its first row is one cell, {row[0][:40]!r}: set data.sep"
                        )
                elif len(row) > len(header) or (len(row) < len(header) and any(cell.strip() for cell in row)):
                    short = f"; nothing for column {header[len(row)]}" if len(row) < len(header) else f"; the last is {row[-1][:30]!r}"
                    raise UserError(
                        f"{where}: row {number} has {len(row)} cells, the header {len(header)}{short}: mend it, or set data.sep"
                    )
        except csv.Error as error:
            raise UserError(f"{where}: row {number + 1} cannot be read ({error}): look for a quote without its partner") from error
    return header, number - 1
