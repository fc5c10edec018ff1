"""Everything that the report says and draws on a few small runs, and every red flag in full, word for word.

Whether a sentence belongs there the tests of statements tell; here no word or number changes unnoticed.

python tests/test_said.py      # writes tests/said/*.txt anew: look at the difference before it is committed
"""

from __future__ import annotations

import sys
from pathlib import Path

import fake_results
import numpy as np
import pandas as pd
import pytest
from report_stories import FINE, LR, alone, said, search, story, trials
from test_ablation import ALL, POPULATION
from test_diagnosis import case
from test_statements import CLEAR, EDGE, NOISY, WORSE, audit, pruned
from test_statements_run import ONCE, RANGE, RATES, found_by_test, infeasible, two_objectives
from test_statements_search import ALL_FAILED, CLEAR_CUT, PRODUCT, UNENDED, go_together
from test_thresholds import LIMITS

from trivet.diagnosis.sweep import Entry, Sweep
from trivet.reporting.build import sections
from trivet.reporting.context import Context
from trivet.reporting.model import Axis, Chart, Layer, Panel

SAID = Path(__file__).parent / "said"
MOVED = "tag(log, interval(0.01, 2.0))"
MOVES = pd.DataFrame(
    [("lr", "", LR, MOVED, "widened", "The best sit at the upper edge.")], columns=["key", "when", "coarse", "fine", "change", "why"]
)
BASELINES = {"majority": 0.5, "logistic": 0.91, "boosting": 0.96}


def whole():
    """A run with all of its stages and an audit, on a table whose baselines were fitted, at a price."""
    context = story(
        CLEAR,
        phases={1: "fine"},
        shown={1: 0.955, 2: 0.93},
        fine=FINE,
        coarse=pruned(),
        audit=audit([0.9, 0.91, 0.96]),
        test=found_by_test(ensemble_winner=0.96, ensemble_finalists=0.94, baselines=BASELINES),
        data={"name": "digits", "published": {"CNN": 94.0}},
        lr_range=RATES,
        check={"lr_range": RANGE, "estimate": {"seconds": 90.0}, "baselines": {"metric": "val/accuracy", "values": BASELINES}},
    )
    context.results.params |= {"report": {"price_per_hour": 2.0, "spot_price_per_hour": 0.5}}
    return Context(context.searches, context.results)


def ladder():
    frame = trials([0.5, 0.8, 0.7], lr=[0.01, 0.1, 1.0]).assign(why=["begin", "better, so tenfold", "worse"])
    return alone(search(frame, sampler={"name": "ladder", "key": "lr"}, stopped_by="rule", command="python app.py -m +trivet=ladder"))


def tiers():
    frame = trials([0.5, 0.8, 0.7, 0.79], lr=[0.01, 0.1, 1.0, 0.2]).assign(tier=["", "model", "model", "lr"])
    return alone(search(frame, sampler={"name": "tiers"}, stopped_by="rule"))


def groups(maximize: bool = True):
    """Groups with ranges of their own, sizes, rates, pruned and failed trials, curves; the same upside down."""
    frame, curves = fake_results.search(45, fake_results.SPACE, seed=4, first=fake_results.DEFAULTS)
    if not maximize:
        frame, curves = (table.assign(value=1 - table["value"]) for table in (frame, curves))
    known = fake_results.study("coarse", fake_results.SPACE, frame, metric="val/accuracy" if maximize else "val/error")
    entries = [
        Entry(one["key"], fake_results.parse(one["spec"], one["key"]), tuple((one.get("when") or {}).items())) for one in known["space"]
    ]
    keys = list(dict.fromkeys(entry.key for entry in entries))
    sweep = Sweep("coarse", frame, curves, keys, ["value"], ["maximize" if maximize else "minimize"], entries, known)
    return Context([sweep])


STORIES = {
    "whole": whole,
    "default won": lambda: story(WORSE, tested=([0.95] * 3, [0.95] * 3)),
    "noise": lambda: story(NOISY),
    "one seed": lambda: story(ONCE),
    "infeasible": lambda: alone(infeasible()),
    "two objectives": lambda: alone(two_objectives(["val/accuracy", "latency"])),
    "batch and rate": lambda: alone(go_together(1)),
    "failed": lambda: ALL_FAILED,
    "unended": lambda: alone(search(trials(np.linspace(0.5, 0.9, 12)), **UNENDED)),
    "minimize": lambda: alone(search(trials(np.linspace(3.0, 0.05, 12)), direction="minimize", metric="val/rmse")),
    "ladder": ladder,
    "tiers": tiers,
    "moved": lambda: story(
        CLEAR, phases={1: "fine"}, shown={1: 0.955}, fine=search([0.955, 0.951, 0.95], name="fine", spec=MOVED), moves=MOVES
    ),
    "population": lambda: alone(POPULATION),
    "taken apart": lambda: alone(ALL),
    "one leads": lambda: alone(CLEAR_CUT),
    "act together": lambda: alone(PRODUCT),
    "edge": lambda: alone(EDGE),
    "groups": groups,
    "groups minimized": lambda: groups(maximize=False),
}


def numbers(values) -> str:
    """The ends of a list of numbers, and how many they are."""
    cells = [f"{value:.4g}" for value in pd.Series(list(values), dtype=float)]
    return f"{len(cells)}: {' '.join(cells if len(cells) <= 6 else [*cells[:3], '..', *cells[-3:]])}"


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


def drawn(context: Context) -> str:
    return "\n".join(line for section in sections(context) for one in section.charts for line in chart(one))


def told(name: str) -> str:
    context = STORIES[name]()
    return f"{said(context)}\n{drawn(context)}\n"


def flags() -> str:
    lines = []
    for check, _, raised, _ in LIMITS:
        flag = check(case(raised))
        lines += [f"{flag.key} {flag.level} {flag.where} asks {flag.asks!r}: {flag.title}", f"  {flag.evidence}", f"  {flag.cause}"]
        lines += [f"  {flag.mend}", *(f"  {row.key} {row.value:g} {row.unit}: {row.meaning}" for row in flag.limits)]
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize("name", STORIES)
def test_what_the_report_says_and_draws(name):
    assert told(name) == (SAID / f"{name.replace(' ', '_')}.txt").read_text(encoding="utf-8")


def test_what_the_flags_say():
    assert flags() == (SAID / "flags.txt").read_text(encoding="utf-8")


def test_no_text_is_left_over():
    assert {path.stem for path in SAID.glob("*.txt")} == {"flags", *(name.replace(" ", "_") for name in STORIES)}


def main() -> int:
    SAID.mkdir(exist_ok=True)
    for name in STORIES:
        (SAID / f"{name.replace(' ', '_')}.txt").write_text(told(name), encoding="utf-8")
    (SAID / "flags.txt").write_text(flags(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
