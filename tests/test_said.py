"""Everything that the report says and draws on a few small runs, and every red flag in full, word for word.

Whether a sentence belongs there the tests of statements tell; here no word or number changes unnoticed.

python tests/test_said.py      # writes tests/said/*.txt anew: look at the difference before it is committed
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from report_stories import words
from said_stories import FLAGS, STORIES, VARIATIONS
from test_diagnosis import case
from test_thresholds import LIMITS

from trivet.reporting.build import sections
from trivet.reporting.context import Context
from trivet.reporting.model import Axis, Chart, Layer, Panel, Section, Table

SAID = Path(__file__).parent / "said"


def numbers(values) -> str:
    """A list of numbers, a long one by its ends, its mean and its spread; and how many they are."""
    column = pd.Series(list(values), dtype=float)
    cells = [f"{value:.4g}" for value in column]
    shown = cells if len(cells) <= 6 else [*cells[:3], "..", *cells[-3:], f"({column.mean():.4g} +- {column.std():.4g})"]
    return f"{len(cells)}: {' '.join(shown)}"


def axis(of: Axis) -> str:
    ticks = " ".join(f"{place:.4g}={label}" for place, label in of.ticks)
    span = f" [{of.range[0]:.4g}, {of.range[1]:.4g}]" if of.range else ""
    return f"{of.label!r}{' log' if of.log else ''}{span}{f' ticks {ticks}' if ticks else ''}"


def layer(of: Layer) -> list[str]:
    look = f"{of.color} size {of.size} opacity {of.opacity} {of.dash} {of.symbol} width {of.width}{' edge' if of.edge else ''}"
    lines = [f"    {of.kind} {of.name!r} {look}", f"      x {numbers(of.x)} y {numbers(of.y)}"]
    lines += [f"      colours {of.values_label!r} {numbers(of.values)}"] if len(of.values) else []
    return lines + ([f"      hover {len(of.hover)}: {of.hover[0]!r} .. {of.hover[-1]!r}"] if len(of.hover) else [])


def panel(of: Panel) -> list[str]:
    lines = [f"  panel {of.title!r} x {axis(of.x)} y {axis(of.y)}{'' if of.telling else ' nothing to see'}"]
    lines += [line for one in of.layers for line in layer(one)]
    if of.below is not None:
        lines += [f"   below {axis(of.below[0])}", *(line for one in of.below[1] for line in layer(one))]
    return lines


def chart(of: Chart) -> list[str]:
    ways = [name for name in ("brief", "many", "folded") if getattr(of, name)]
    lines = [f"chart {of.id} height {of.height} {' '.join(ways)}", f"  {of.title!r} / {of.alt!r} / {of.note!r}"]
    return [*lines, *(line for one in of.panels for line in panel(one))]


def folding(of: Table) -> str:
    """What of a table Markdown does not show."""
    ways = [name for name in ("sortable", "folded") if getattr(of, name)]
    return f"table {of.caption!r} {len(of.rows)} rows, {of.limit} in Markdown {' '.join(ways)}".rstrip()


def drawn(built: list[Section]) -> str:
    blocks = [block for section in built for block in section.blocks]
    charts = [line for block in blocks if isinstance(block, Chart) for line in chart(block)]
    return "\n".join([*charts, *(folding(block) for block in blocks if isinstance(block, Table))])


SEEN = {  # what the note under a chart explains: how one of its layers then looks
    "Blue:": lambda of: of.kind == "points" and of.color == "blue",
    "(pale)": lambda of: of.kind == "points" and of.color == "pale",
    "(purple)": lambda of: of.kind == "points" and of.color == "purple",
    "(red)": lambda of: of.kind == "points" and of.color == "red",
    "the line is the best": lambda of: of.kind in ("line", "steps"),
    "the bar is": lambda of: of.kind == "line" and of.width == 3,
    "the diamond is": lambda of: of.kind == "points" and of.symbol == "diamond",
    "Dashed lines are the ends": lambda of: of.kind == "vline" and of.dash == "dash",
    "Dashed lines are published": lambda of: of.kind == "hline",
    "Dotted:": lambda of: of.kind == "vline" and of.dash == "dot",
    "Colour:": lambda of: of.kind == "heat",
    "ots: trials": lambda of: of.kind == "points",
    "Each dot is": lambda of: of.kind == "points" and np.isfinite(np.asarray(of.y, dtype=float)).any(),
    "most stops were": lambda of: of.kind == "vline" and of.dash == "dot",
    "the median trial": lambda of: of.kind in ("line", "points") and of.color == "pale",
}


def unseen(built: list[Section]) -> list[str]:
    """What notes under charts explain, and nobody finds in them; and what is in them without a word."""
    found = []
    for chart in (one for section in built for one in section.charts):
        layers = [layer for one in chart.panels for layer in (*one.layers, *(one.below[1] if one.below is not None else ()))]
        said = f"{chart.note} {chart.alt}"
        found += [f"{chart.id}: {words}" for words, look in SEEN.items() if words in said and not any(map(look, layers))]
        if chart.id.startswith("dependence"):
            known = {"pale": "(pale)", "purple": "(purple)", "red": "(red)", "blue": "Blue:"}
            found += [f"{chart.id}: {of.color}" for of in layers if of.kind == "points" and known[of.color] not in said and chart.note]
    return found


def told(context: Context) -> str:
    built = sections(context)
    assert unseen(built) == []
    return f"{words(built)}\n{drawn(built)}\n"


def known() -> str:
    """All that the stories say."""
    return "\n".join(map(pinned, STORIES))


def news(context: Context, known: str) -> str:
    """What is said, or stands under a figure, and no story says."""
    built = sections(context)
    assert unseen(built) == []
    notes = [one.note for section in built for one in section.charts]
    lines = [line for line in words(built).splitlines() if line and f"\n{line}\n" not in known]
    return "\n".join([*lines, *(note for note in notes if note and note not in known)]) + "\n"


def flags() -> str:
    lines = []
    for flag in [*(check(case(raised)) for check, _, raised, _ in LIMITS), *(raised() for raised in FLAGS)]:
        lines += [f"{flag.key} {flag.level} {flag.where} asks {flag.asks!r}: {flag.title}", f"  {flag.evidence}", f"  {flag.cause}"]
        lines += [f"  {flag.mend}", *(f"  {row.key} {row.value:g} {row.unit}: {row.meaning} ({row.source})" for row in flag.limits)]
    return "\n".join(lines) + "\n"


def file(name: str) -> Path:
    return SAID / f"{name.replace(' ', '_')}.txt"


def pinned(name: str) -> str:
    return file(name).read_text(encoding="utf-8")


VARIED = "variations"
TITLE = "== "


def variations() -> dict[str, str]:
    """What is pinned of each."""
    found = pinned(VARIED).split(f"\n{TITLE}")
    return dict(part.removeprefix(TITLE).split("\n", 1) for part in found)


@pytest.mark.parametrize("name", STORIES)
def test_what_the_report_says_and_draws(name):
    assert told(STORIES[name]()) == pinned(name)


@pytest.fixture(scope="module")
def told_by_stories():
    return known(), variations()


@pytest.mark.parametrize("name", VARIATIONS)
def test_what_only_a_variation_says(name, told_by_stories):
    before, varied = told_by_stories
    assert news(VARIATIONS[name](), before).rstrip("\n") == varied[name].rstrip("\n")


def test_what_the_flags_say():
    assert flags() == pinned("flags")


def test_no_text_is_left_over():
    assert {path for path in SAID.glob("*.txt")} == {file(name) for name in ("flags", VARIED, *STORIES)}
    assert list(variations()) == list(VARIATIONS)


def main() -> int:
    SAID.mkdir(exist_ok=True)
    for name, build in STORIES.items():
        file(name).write_text(told(build()), encoding="utf-8")
    file("flags").write_text(flags(), encoding="utf-8")
    before = known()
    parts = [f"{TITLE}{name}\n{news(build(), before)}" for name, build in VARIATIONS.items()]
    file(VARIED).write_text("".join(parts), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
