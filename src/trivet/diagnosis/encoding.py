"""Configurations as numbers for a model: a column per numeric range, one per option of a choice; conditional ranges have their own.

A learning rate of sgd and one of adam are two quantities: they never share a column, whatever their ranges.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from trivet import space
from trivet.diagnosis.sweep import Entry, Sweep, drawn_from

OPTIONS = 30  # columns of one choice; rarer options beyond share none


@dataclass
class Column:
    """One column: the numbers of a parameter (on a log scale where `log`), or one of its words (`word`), where `entry` was drawn from."""

    key: str
    entry: Entry | None
    low: float = 0.0  # what a cell without a number gets: below all others
    log: bool = False
    word: str | None = None

    def values(self, frame: pd.DataFrame) -> np.ndarray:
        mask = drawn_from(frame, self.entry) if self.entry is not None and self.entry.when else frame[self.key].notna()
        cells = frame[self.key]
        if self.word is not None:
            return ((cells.map(_word) == self.word) & mask).to_numpy(dtype=float)
        numbers = pd.to_numeric(cells, errors="coerce").where(mask).to_numpy(dtype=float)
        if self.log:
            numbers = np.log(np.where(numbers > 0, numbers, np.nan))
        return np.where(np.isnan(numbers), self.low, numbers)


@dataclass
class Encoding:
    """parts: the columns; owner: parameter -> their places; parents: parameter -> the choices that bring it in."""

    parts: list[Column]
    owner: dict[str, list[int]] = field(default_factory=dict)
    parents: dict[str, set[str]] = field(default_factory=dict)

    @classmethod
    def of(cls, sweep: Sweep, rows: pd.DataFrame) -> Encoding:
        """Of the parameters that varied among these rows."""
        parts: list[Column] = []
        owner: dict[str, list[int]] = {}
        for key in sweep.params:
            if rows[key].nunique(dropna=False) < 2:
                continue
            entries: list[Entry | None] = [*sweep.active(key)] or [None]
            conditional = [entry for entry in entries if entry is not None and entry.when]
            new = [column for entry in (conditional or entries[:1]) for column in _columns(rows, key, entry)]
            if new:
                owner[key] = list(range(len(parts), len(parts) + len(new)))
                parts += new
        parents = {key: {group for entry in sweep.active(key) for group, _ in entry.when} for key in owner}
        return cls(parts, owner, parents)

    @property
    def columns(self) -> list[str]:
        return [part.key + (f"={part.word}" if part.word is not None else "") + f" #{place}" for place, part in enumerate(self.parts)]

    def features(self, frame: pd.DataFrame) -> np.ndarray:
        """One row per configuration, one column per part."""
        return np.column_stack([part.values(frame) for part in self.parts]) if self.parts else np.empty((len(frame), 0))

    def children(self, key: str) -> list[str]:
        """Parameters that a choice brings in."""
        return [other for other, parents in self.parents.items() if key in parents]

    def within(self, frame: pd.DataFrame, x: np.ndarray, keys: Sequence[str], rng: np.random.Generator) -> np.ndarray:
        """The columns of these parameters with their values drawn anew, each among the rows that drew from the same range."""
        places = [place for key in keys for place in self.owner[key]]
        new = x[:, places].copy()
        for key in keys:
            own = [place for place in self.owner[key]]
            entries = {id(self.parts[place].entry): self.parts[place].entry for place in own}
            for entry in entries.values():
                mask = drawn_from(frame, entry) if entry is not None and entry.when else pd.Series(True, index=frame.index)
                rows = np.flatnonzero(mask.to_numpy())
                columns = np.array([places.index(place) for place in own if self.parts[place].entry is entry], dtype=int)
                new[np.ix_(rows, columns)] = new[np.ix_(rng.permutation(rows), columns)]
        return new

    def draws(self, sweep: Sweep, rng: np.random.Generator, n: int) -> pd.DataFrame | None:
        """n configurations drawn evenly from the space, conditions kept; None where the study does not name a range for every parameter."""
        if any(not sweep.active(key) for key in self.owner):
            return None
        frame = pd.DataFrame({key: pd.Series([np.nan] * n, dtype=object) for key in sweep.params})
        for entry in sorted(sweep.space, key=lambda entry: len(entry.when)):
            if entry.key not in frame:
                continue
            mask = np.ones(n, dtype=bool)
            for group, option in entry.when:
                if group in frame:
                    mask &= (frame[group].astype(str) == str(option)).to_numpy()
            values = _drawn(entry.spec, rng, n)
            frame[entry.key] = frame[entry.key].where(~mask, pd.Series(values, dtype=object))
        return frame


def _columns(rows: pd.DataFrame, key: str, entry: Entry | None) -> list[Column]:
    """The columns of one range: its numbers, and its words where it has some."""
    mask = drawn_from(rows, entry) if entry is not None and entry.when else rows[key].notna()
    cells = rows.loc[mask, key].dropna()
    if not len(cells):
        return []
    numbers = pd.to_numeric(cells, errors="coerce")
    found: list[Column] = []
    words = sorted(set(cells[numbers.isna()].map(_word)))
    if numbers.nunique() > (2 if words else 0):
        log = bool(getattr(entry.spec, "log", False)) if entry is not None else False
        log = log and bool(numbers.min() > 0)
        least = float(np.log(numbers.min()) if log else numbers.min())
        found.append(Column(key, entry, least - 1, log))
    else:
        words = sorted(set(cells.map(_word)))
    return found + [Column(key, entry, word=word) for word in words[:OPTIONS]]


def _word(cell: object) -> str:
    return "" if pd.isna(cell) else str(cell)


def _drawn(spec: space.Spec | space.Fixed, rng: np.random.Generator, n: int) -> list:
    """n values of a range, even on its own scale, as the tables write them."""
    if isinstance(spec, (space.Float, space.Int)):
        low, high = float(spec.low), float(spec.high)
        values = np.exp(rng.uniform(np.log(low), np.log(high), n)) if spec.log else rng.uniform(low, high, n)
        return list(np.rint(values) if isinstance(spec, space.Int) else values)
    options = spec.options if isinstance(spec, space.Choice) else (spec.value,)
    return [_cell(options[place]) for place in rng.integers(len(options), size=n)]


def _cell(option: object) -> object:
    if option is None or isinstance(option, bool):
        return space.value_text(option)
    return float(option) if isinstance(option, (int, float)) else space.value_text(option)
