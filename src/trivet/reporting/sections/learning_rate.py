"""Learning rate first: what the check stage found before the search, above all the learning-rate range test."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from trivet.reporting.context import Context
from trivet.reporting.model import Axis, Bullets, Chart, Code, Inline, Layer, Panel, Section
from trivet.reporting.thin import keep
from trivet.reporting.words import count, duration, number, value_text


def build(context: Context) -> Section:
    section = Section("learning-rate", "Learning rate first")
    check = context.run.check or {}
    table = context.run.lr_range
    if table is None or not len(table) or not {"lr", "loss"} <= set(table.columns):
        section.say("The check stage has published no learning-rate range test.")
    else:
        found = check.get("lr_range") or {}
        section.say(*_words(found))
        section.add(_chart(table, found))
    _space(section, check)
    return section


def _words(found: dict) -> list:
    first = (
        "Before the search the default configuration was trained for a few batches while its learning rate rose from batch to "
        "batch: where the "
        "loss falls the rate is usable, where it turns up training breaks down. "
    )
    if not _region(found):
        return [first, "The loss fell at no learning rate, so look at the data and the model before anything else."]
    name = f" (with {found['optimizer']})" if found.get("optimizer") else ""
    words: list[Inline] = [first, f"Rates from {number(found['low'], 2)} to {number(found['high'], 2)} train{name}"]
    if found.get("suggested"):
        words += ["; the test suggests ", Code(number(found["suggested"], 2))]
    if found.get("default"):
        words += [", the default is ", Code(number(found["default"], 2))]
    if found.get("searched") is None:
        return [*words, ". The learning rate was not searched."]
    verdicts: dict[Any, str] = {True: " covers this region.", False: " does not cover all of this region: widen it."}
    return [*words, ". The range ", Code(str(found["searched"])), verdicts.get(found.get("covered"), " was searched.")]


def _region(found: dict) -> bool:
    return bool(found.get("found", True)) and all(isinstance(found.get(end), (int, float)) and found[end] > 0 for end in ("low", "high"))


def _space(section: Section, check: dict) -> None:
    """Warnings on the space, values that could not be trained, and what the search was expected to take."""
    parts = [
        [str(finding[part]).rstrip(".") for part in ("message", "mend") if finding.get(part)] for finding in check.get("findings") or []
    ]
    items: list[tuple[Inline, ...]] = [("; ".join(found) + ".",) for found in parts if found]
    tried = check.get("extremes") or []
    bad = [row for row in tried if row.get("result") not in (None, "ok")]
    items += [
        (Code(f"{row.get('key')}={value_text(row.get('value'))}"), f" at the end of its range: {row.get('message') or row['result']}.")
        for row in bad
    ]
    if items:
        section.say("The check of the space before the search had these remarks:")
        section.add(Bullets(tuple(items)))
    elif tried:
        section.say(
            f"The check of the space had no remarks: {count(len(tried), 'end')} of ranges and options were tried in short, "
            "and all of them train."
        )
    expected = (check.get("estimate") or {}).get("seconds")
    if isinstance(expected, (int, float)):
        section.say(f"The first search was expected to take {duration(expected)} with pruning.", kind="note")


def _chart(table: pd.DataFrame, found: dict) -> Chart | None:
    table = table[(table["lr"] > 0) & np.isfinite(table["loss"])]
    if len(table) < 2:
        return None
    rows = table.iloc[keep(len(table), np.array([0]), 400)]
    line = rows["smoothed"] if "smoothed" in rows else rows["loss"]
    first, least = float(line.iloc[0]), float(np.nanmin(line))
    top = max(first, least) + 0.6 * max(first - least, 0.1 * abs(first))
    bottom = min(float(rows["loss"].min()), least)
    bottom -= 0.06 * (top - bottom)
    layers = []
    if _region(found):
        ends = [found["low"], found["high"]]
        layers.append(Layer("band", ends, [bottom] * 2, name="rates that train", color="green", opacity=0.18, y2=[top] * 2))
        if found.get("suggested"):
            layers.append(Layer("vline", x=[found["suggested"]], name="suggested", color="green", dash="dash"))
    if found.get("default"):
        layers.append(Layer("vline", x=[found["default"]], name="default", color="orange", dash="dot"))
    if "smoothed" in rows:
        layers.append(Layer("points", rows["lr"], rows["loss"], name="each batch", color="pale", size=4, opacity=0.7))
    layers.append(Layer("line", rows["lr"], line, name="smoothed loss" if "smoothed" in rows else "training loss", color="blue", width=2.5))
    x = Axis("learning rate", log=True, range=(float(rows["lr"].min()), float(rows["lr"].max())))
    alt = "Training loss against a learning rate that rises from batch to batch."
    return Chart("lr-range", "Learning-rate range test", [Panel(x, Axis("training loss", range=(bottom, top)), layers)], alt)
