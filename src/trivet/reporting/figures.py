"""Charts as SVG (PNG where there are very many points) with matplotlib, for Markdown. The same chart gives the same bytes."""

from __future__ import annotations

import io
import textwrap
from dataclasses import replace
from typing import Any

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from trivet.reporting.model import Axis, Chart, Layer, Panel
from trivet.reporting.palette import ROLES, SEQUENTIAL
from trivet.reporting.words import log_ticks, number

STYLE: dict[Any, Any] = {
    "svg.hashsalt": "trivet",
    "svg.fonttype": "path",
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "axes.titlesize": 9.5,
    "axes.titleweight": "bold",
    "axes.labelsize": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": ROLES["muted"][0],
    "axes.axisbelow": True,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "legend.fontsize": 8,
    "legend.frameon": False,
    "path.simplify_threshold": 0.5,
}
MARKERS = {"circle": "o", "x": "x", "diamond": "D", "square": "s", "star": "*"}
DASHES = {"solid": "-", "dash": "--", "dot": ":", "dashdot": "-."}
RASTER = 400  # more points than this are drawn as pixels: an SVG of each would weigh megabytes


def color(role: str) -> str:
    return ROLES[role][0]


def draw(chart: Chart) -> bytes:
    """The chart as SVG bytes, on white so that it reads on a dark page too."""
    with matplotlib.rc_context(STYLE):
        figure = _figure(chart)
        buffer = io.BytesIO()
        figure.savefig(buffer, format="svg", facecolor="white", dpi=110, metadata={"Date": None, "Creator": None})
    return buffer.getvalue()


def _figure(chart: Chart) -> Figure:
    n = len(chart.panels)
    columns = 1 if n == 1 else 2 if n in (2, 4) else 3
    rows = -(-n // columns)
    width = 8.6
    height = chart.height / 320 * 3.3 if n == 1 else rows * (2.9 if columns == 3 else 3.1) * max(1.0, chart.height / 320)
    figure = Figure(figsize=(width, height), layout="constrained")
    grid = figure.add_gridspec(rows, columns)
    for place, panel in enumerate(chart.panels):
        cell = grid[divmod(place, columns)]
        if panel.below is None:
            _panel(figure, figure.add_subplot(cell), panel)
            continue
        parts = cell.subgridspec(2, 1, height_ratios=(3, 1))
        _panel(figure, axes := figure.add_subplot(parts[0]), replace(panel, x=replace(panel.x, label="")))
        strip = replace(panel, y=panel.below[0], layers=panel.below[1], title="")
        _panel(figure, figure.add_subplot(parts[1], sharex=axes), strip)
        axes.tick_params(labelbottom=False)
    _legend(figure)
    return figure


def _legend(figure: Figure) -> None:
    """One legend below all panels, each name once."""
    named: dict[str, Any] = {}
    for axes in figure.axes:
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            named.setdefault(label, handle)
    if named:
        figure.legend(list(named.values()), list(named), loc="outside lower center", ncols=min(len(named), 6))


def _panel(figure: Figure, axes, panel: Panel) -> None:
    axes.grid(True, color=color("grid"), linewidth=0.7)
    if panel.title:
        axes.set_title(_wrapped(_clean(panel.title)), loc="left")
    _scale(axes, panel.x, "x")
    _scale(axes, panel.y, "y")
    for order, layer in enumerate(panel.layers):
        _layer(figure, axes, layer, order)
    _finish(axes, panel.x, "x")
    _finish(axes, panel.y, "y")


def _wrapped(title: str, limit: int = 28) -> str:
    """A long title in two lines, broken before its bracket, and cut where that is not enough."""
    if len(title) <= limit:
        return title
    first, bracket, rest = title.partition(" (")
    lines = [first, bracket.strip() + rest] if bracket else [title]
    return "\n".join(_short(line, limit + 6) for line in lines)


def _scale(axes, axis: Axis, which: str) -> None:
    if axis.log:
        getattr(axes, f"set_{which}scale")("log")
    if axis.range:
        getattr(axes, f"set_{which}lim")(*axis.range)


def _finish(axes, axis: Axis, which: str) -> None:
    if axis.label:
        getattr(axes, f"set_{which}label")(_clean(axis.label))
    if axis.ticks:
        labels = [label for _, label in axis.ticks]
        wrap = which == "x" and len(labels) < 7
        texts = ["\n".join(textwrap.wrap(label, 18, max_lines=3, placeholder="…")) if wrap else _short(label) for label in labels]
        getattr(axes, f"set_{which}ticks")([place for place, _ in axis.ticks], [_clean(text) for text in texts])
        axes.minorticks_off()
        if which == "x" and not wrap and sum(map(len, texts)) > 40:
            axes.tick_params(axis="x", labelrotation=30)
            for tick in axes.get_xticklabels():
                tick.set_ha("right")
    if axis.range:
        getattr(axes, f"set_{which}lim")(*axis.range)
    if axis.log and not axis.ticks:
        low, high = getattr(axes, f"get_{which}lim")()
        places = log_ticks(low, high)
        getattr(axes, f"set_{which}ticks")(places, [number(place) for place in places])  # plain: power labels are slow to set
        axes.minorticks_off()


def _layer(figure: Figure, axes, layer: Layer, order: int) -> None:
    label = _clean(layer.name) if layer.name else None
    common = {"alpha": layer.opacity, "zorder": 2 + order * 0.01}
    if layer.kind == "points":
        _points(figure, axes, layer, label, common)
    elif layer.kind in ("line", "steps"):
        style = {"drawstyle": "steps-post"} if layer.kind == "steps" else {}
        axes.plot(
            np.asarray(layer.x, dtype=float),
            np.asarray(layer.y, dtype=float),
            color=color(layer.color),
            linewidth=layer.width * 0.8,
            linestyle=DASHES[layer.dash],
            label=label,
            **common,
            **style,
        )
    elif layer.kind == "bars":
        axes.barh(layer.y, layer.x, height=0.62, color=color(layer.color), label=label, **common)
    elif layer.kind == "band":
        axes.fill_between(layer.x, layer.y, layer.y2, color=color(layer.color), linewidth=0, label=label, **common)
    elif layer.kind == "heat":
        x, y, z = (np.asarray(part, dtype=float) for part in (layer.x, layer.y, layer.z))
        mesh = axes.contourf(x, y, z, levels=12, cmap=SEQUENTIAL.lower())
        figure.colorbar(mesh, ax=axes, label=_clean(layer.values_label), pad=0.02)
    else:
        line = axes.axvline if layer.kind == "vline" else axes.axhline
        for place in layer.x if layer.kind == "vline" else layer.y:
            line(place, color=color(layer.color), linewidth=layer.width * 0.8, linestyle=DASHES[layer.dash], label=label, **common)
            label = None


def _points(figure: Figure, axes, layer: Layer, label: str | None, common: dict) -> None:
    x, y = np.asarray(layer.x, dtype=float), np.asarray(layer.y, dtype=float)
    hollow = MARKERS[layer.symbol] == "x"
    edge = {} if hollow else {"linewidths": 0.8, "edgecolors": color("black")} if layer.edge else {"linewidths": 0}
    paint = {"c": np.asarray(layer.values, dtype=float), "cmap": SEQUENTIAL.lower()} if len(layer.values) else {"color": color(layer.color)}
    drawn = axes.scatter(
        x, y, s=layer.size**2 * 0.6, marker=MARKERS[layer.symbol], label=label, rasterized=len(x) > RASTER, **paint, **edge, **common
    )
    if len(layer.values) and layer.values_label:
        figure.colorbar(drawn, ax=axes, label=_clean(layer.values_label), pad=0.02)


def _clean(text: str) -> str:
    """Text that matplotlib takes as it stands: no mathtext, no control characters, only glyphs that the font has."""
    known = "".join(char if (char.isprintable() and ord(char) < 0x2500) or char == "\n" else "?" for char in text)
    return known.replace("\\", "\\\\").replace("$", r"\$") if "$" in known else known


def _short(text: str, limit: int = 22) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"
