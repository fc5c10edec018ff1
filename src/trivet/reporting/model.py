"""The report before it has a form: sections of text, tables and charts, which markdown.py and html.py then render.

Text is a list of plain strings, Code (names, values, commands) and Strong; renderers escape every piece, so a name may hold anything.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Code:
    text: str


@dataclass(frozen=True)
class Strong:
    text: str


Values = Sequence[Any] | np.ndarray

Inline = str | Code | Strong


@dataclass(frozen=True)
class Paragraph:
    parts: tuple[Inline, ...]
    kind: str = "text"  # text | note (smaller, aside) | lead (first words of the report)


@dataclass(frozen=True)
class Bullets:
    items: tuple[tuple[Inline, ...], ...]


@dataclass(frozen=True)
class Heading:
    text: str


@dataclass(frozen=True)
class Command:
    """A command to copy, with what it does."""

    text: str
    what: str = ""


@dataclass(frozen=True)
class Facts:
    """A few labelled sentences that are read together: (label, sentence)."""

    rows: tuple[tuple[str, tuple[Inline, ...]], ...]


@dataclass(frozen=True)
class Cell:
    """A table's cell: what is shown, what it is sorted by (None: the text), and whether it is a name or value of the configuration."""

    text: str
    key: float | str | None = None
    code: bool = False


@dataclass(frozen=True)
class Table:
    """`numeric` names the columns that are right-aligned. `limit`: rows that Markdown shows (HTML shows all).

    folded: shown only when its caption is opened (long tables that few need).
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    caption: str = ""
    numeric: tuple[str, ...] = ()
    limit: int = 12
    sortable: bool = True
    folded: bool = False


@dataclass(frozen=True)
class Axis:
    """`ticks`: (position, label) pairs for categories. `range`: (low, high) in data units."""

    label: str = ""
    log: bool = False
    ticks: tuple[tuple[float, str], ...] = ()
    range: tuple[float, float] | None = None


@dataclass
class Layer:
    """One trace. kind: points | line | steps | bars (horizontal, y = places) | band (y to y2) | heat (z over x, y) | vline | hline.

    color: a role of palette.py. values: numbers that colour the points instead, on a colour bar named `values_label`.
    """

    kind: str
    x: Values = ()
    y: Values = ()
    name: str = ""
    color: str = "blue"
    size: float = 6
    opacity: float = 1.0
    dash: str = "solid"  # solid | dash | dot | dashdot
    symbol: str = "circle"  # circle | x | diamond | square | star
    hover: Sequence[str] = ()
    values: Values = ()
    values_label: str = ""
    y2: Values = ()
    z: Values = ()
    width: float = 2
    edge: bool = False  # points get an outline, to be seen on any ground


@dataclass
class Panel:
    """below: (its own y axis, layers) of a low strip under the panel that shares its x axis. telling: whether there is something to see."""

    x: Axis
    y: Axis
    layers: list[Layer]
    title: str = ""
    below: tuple[Axis, list[Layer]] | None = None
    telling: bool = True

    def draws(self, kind: str, color: str | None = None) -> bool:
        """Whether a layer of this kind (and colour) is in it, or in the strip below: what a note explains must be there to be seen."""
        layers = [*self.layers, *(self.below[1] if self.below is not None else [])]
        return any(layer.kind == kind and color in (None, layer.color) for layer in layers)


@dataclass
class Chart:
    """id: file name and anchor. alt: the chart in one sentence for those who cannot see it. brief: False leaves it out of Markdown.

    folded: drawn only when opened. many: small panels of equal size, however few there are; else a single panel takes the whole width.
    """

    id: str
    title: str
    panels: list[Panel]
    alt: str
    note: str = ""
    brief: bool = True
    height: int = 320
    many: bool = False
    folded: bool = False


@dataclass
class Explorer:
    """All trials: a table to sort and filter, parallel lines to select in, a trial's curve and configuration. `data` is JSON.

    told: what Markdown says instead.
    """

    data: dict
    told: str = ""


Block = Paragraph | Bullets | Heading | Command | Facts | Table | Chart | Explorer


@dataclass
class Section:
    id: str
    title: str
    blocks: list[Block] = field(default_factory=list)

    def say(self, *parts: Inline, kind: str = "text") -> None:
        self.blocks.append(Paragraph(tuple(parts), kind))

    def add(self, *blocks: Block | None) -> None:
        self.blocks.extend(block for block in blocks if block is not None)

    @property
    def charts(self) -> list[Chart]:
        return [block for block in self.blocks if isinstance(block, Chart)]


@dataclass
class Report:
    title: str
    subtitle: str
    sections: list[Section]
    generated_by: str = ""
