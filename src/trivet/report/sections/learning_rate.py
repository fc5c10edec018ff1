"""Learning rate first: the range test of the check stage, and whether the first search covers the region that it suggests."""

from __future__ import annotations

import numpy as np

from trivet.diagnosis.sweep import is_lr
from trivet.report.context import Context
from trivet.report.model import Axis, Chart, Code, Layer, Panel, Section
from trivet.report.sections.went import keep
from trivet.report.words import listing, number


def build(context: Context) -> Section:
    section = Section("learning-rate", "Learning rate first")
    table = context.results.lr_range if context.results else None
    if table is None or not len(table) or not {"lr", "loss"} <= set(table.columns):
        section.say("The check stage has published no learning-rate range test.")
        return section
    low, high = region(context)
    section.say(
        "Before the search the default configuration was trained for one short run while its learning rate rose from batch to "
        "batch. Where the "
        "loss falls steadily the rate is usable; where it turns up training breaks down."
    )
    if low is not None:
        section.say("The suggested region is ", Code(number(low, 2)), " to ", Code(number(high, 2)), ". ", *_covered(context, low, high))
    section.add(_chart(table, low, high))
    return section


def region(context: Context) -> tuple[float | None, float | None]:
    """The suggested region of check.yaml: lr_range: {low, high}."""
    found = (context.results.check or {}).get("lr_range") or {}
    pair = found.get("low"), found.get("high")
    return pair if all(isinstance(part, (int, float)) and part > 0 for part in pair) else (None, None)


def _covered(context: Context, low: float, high: float) -> list:
    first = context.searches[0]
    ranges = [entry for entry in first.space if is_lr(entry.key) and hasattr(entry.spec, "low")]
    if not ranges:
        return ["The search had no range of a learning rate to compare it with."]
    default = (first.study.get("config") or {}).get("optimizer")
    name = default.get("name") if isinstance(default, dict) else default if isinstance(default, str) else None
    chosen = [entry for entry in ranges if not entry.when or (name is not None and ("optimizer", str(name)) in entry.when)] or ranges
    short = [entry for entry in chosen if entry.spec.low > low or entry.spec.high < high]
    text = listing([f"{entry.key} {number(entry.spec.low)} to {number(entry.spec.high)}" + _when(entry) for entry in (short or chosen)])
    if not short:
        return [f"The {context.name(first)} covers it ({text})."]
    return [f"The {context.name(first)} does not cover all of it ({text})."]


def _when(entry) -> str:
    return f" with {listing([f'{group}={option}' for group, option in entry.when])}" if entry.when else ""


def _chart(table, low: float | None, high: float | None) -> Chart:
    table = table[(table["lr"] > 0) & np.isfinite(table["loss"])]
    rows = table.iloc[keep(len(table), np.array([0]), 400)]
    smooth = next((name for name in ("smoothed", "smooth", "loss_smoothed") if name in rows), None)
    line = rows[smooth] if smooth else rows["loss"]
    top = float(np.nanmin(line)) + 1.6 * float(line.iloc[0] - np.nanmin(line)) if len(line) else 1.0
    bottom = float(np.nanmin(rows["loss"]))
    pad = 0.06 * (top - bottom) or 0.1
    layers = []
    if low is not None:
        layers.append(Layer("band", [low, high], [bottom - pad] * 2, name="suggested region", color="green", opacity=0.18, y2=[top] * 2))
    if smooth:
        layers.append(Layer("points", rows["lr"], rows["loss"], name="each batch", color="pale", size=4, opacity=0.7))
    layers.append(Layer("line", rows["lr"], line, name="smoothed loss" if smooth else "training loss", color="blue", width=2.5))
    panel = Panel(
        Axis("learning rate", log=True, range=(float(rows["lr"].min()), float(rows["lr"].max()))),
        Axis("training loss", range=(bottom - pad, top)),
        layers,
    )
    return Chart("lr-range", "Learning-rate range test", [panel], "Training loss against a learning rate that rises from batch to batch.")
