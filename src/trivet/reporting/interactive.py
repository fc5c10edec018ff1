"""Charts as plotly figures: plain dictionaries whose colours are roles (`@blue`), which report.js turns into those of the page's theme."""

from __future__ import annotations

import html
import math
import textwrap
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from trivet.reporting.model import Axis, Chart, Layer, Panel
from trivet.reporting.palette import SEQUENTIAL
from trivet.reporting.words import log_ticks, number

SYMBOLS = {"circle": "circle", "x": "x-thin", "diamond": "diamond", "square": "square", "star": "star"}
SHAPES = ("vline", "hline")


def figures(chart: Chart) -> list[dict]:
    """One plotly figure ({data, layout}) per panel."""
    return [_figure(chart, panel) for panel in chart.panels]


def clean(text: str) -> str:
    """Text that plotly shows as it stands: it reads some HTML tags in labels, so none may come from a name."""
    return html.escape(text, quote=False)


def numbers(values: Iterable) -> list:
    """Plain floats of at most six significant digits, null where not finite: small and valid JSON."""
    out: list[float | None] = []
    for value in np.asarray(list(values), dtype=float).tolist():
        if not math.isfinite(value):
            out.append(None)
        else:
            short = float(f"{value:.6g}")
            out.append(int(short) if short == int(short) and abs(short) < 1e15 else short)
    return out


def _figure(chart: Chart, panel: Panel) -> dict:
    traces = [trace for layer in panel.layers if (trace := _trace(layer, panel)) is not None]
    if panel.below is not None:
        below = [trace for layer in panel.below[1] if (trace := _trace(layer, panel)) is not None]
        traces += [trace | {"yaxis": "y2"} for trace in below]
    shapes, marks = [], []
    for layer in panel.layers:
        if layer.kind in SHAPES:
            shapes += _shapes(layer)
            if layer.name:
                marks.append(_legend_line(layer))
    layout: dict[str, Any] = {"xaxis": _axis(panel.x, "x"), "yaxis": _axis(panel.y, "y"), "height": chart.height, "shapes": shapes}
    if panel.below is not None:
        layout["yaxis"]["domain"] = [0.34, 1]
        layout["yaxis2"] = _axis(panel.below[0], "y") | {"domain": [0, 0.24], "nticks": 3}
        layout["xaxis"]["anchor"] = "y2"
    layout["showlegend"] = any(trace.get("showlegend") for trace in [*traces, *marks])
    if any(layer.kind == "bars" for layer in panel.layers):
        layout["yaxis"]["autorange"] = "reversed"
    return {"data": [*traces, *marks], "layout": layout, "title": panel.title}


def lines(label: str, limit: int = 18) -> list[str]:
    """A label in lines of at most about `limit` characters, broken at spaces; at most three lines."""
    return textwrap.wrap(label, limit, break_long_words=False, max_lines=3, placeholder="…") or [""]


def _axis(axis: Axis, which: str) -> dict:
    out: dict = {"title": {"text": clean(axis.label), "standoff": 8}, "type": "log" if axis.log else "linear", "automargin": True}
    if axis.log:
        few = log_ticks(*axis.range) if axis.range else []
        out |= {"tickvals": numbers(few), "ticktext": [number(place) for place in few]} if few else {"dtick": 1, "exponentformat": "power"}
    if axis.ticks:
        out |= {"tickmode": "array", "tickvals": numbers(place for place, _ in axis.ticks)}
        out["ticktext"] = [clean(_short(label)) for _, label in axis.ticks]
        if which == "x":
            texts = ["<br>".join(clean(line) for line in lines(label, max(9, 44 // len(axis.ticks)))) for _, label in axis.ticks]
            out |= {"ticktext": texts, "tickangle": -35 if sum(len(label) for _, label in axis.ticks) > 70 else 0}
        out.pop("dtick", None)
    if axis.range:
        out["range"] = [math.log10(part) if axis.log else float(part) for part in axis.range]
    return out


def _short(text: str, limit: int = 28) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"


def _trace(layer: Layer, panel: Panel) -> dict | None:
    if layer.kind in SHAPES:
        return None
    if layer.kind == "heat":
        return _heat(layer)
    trace: dict = {"name": clean(layer.name), "showlegend": bool(layer.name), "opacity": layer.opacity}
    if layer.kind == "bars":
        trace |= {"type": "bar", "orientation": "h", "marker": {"color": f"@{layer.color}"}, "width": 0.62}
    elif layer.kind == "points":
        trace |= {"type": "scatter", "mode": "markers", "marker": _marker(layer)}
    elif layer.kind == "band":
        x = [*layer.x, *reversed(list(layer.x))]
        y = [*layer.y, *reversed(list(layer.y2))]
        filled = {"type": "scatter", "mode": "none", "fill": "toself", "fillcolor": f"@{layer.color}", "hoverinfo": "skip"}
        return trace | filled | {"x": numbers(x), "y": numbers(y)}
    else:
        line = {"color": f"@{layer.color}", "width": layer.width, "dash": layer.dash}
        trace |= {"type": "scatter", "mode": "lines", "line": line | ({"shape": "hv"} if layer.kind == "steps" else {})}
    if len(layer.hover):
        trace |= {"hovertext": [clean(text) for text in _fit(layer.hover, len(layer.x))], "hoverinfo": "text"}
    elif layer.kind in ("line", "steps") and not layer.name:
        trace["hoverinfo"] = "skip"
    return trace | {"x": numbers(layer.x), "y": numbers(layer.y)}


def _fit(texts: Sequence[str], n: int) -> list[str]:
    return list(texts) if len(texts) == n else [texts[0]] * n


def _marker(layer: Layer) -> dict:
    marker: dict = {"size": layer.size, "symbol": SYMBOLS[layer.symbol], "color": f"@{layer.color}"}
    if layer.edge:
        marker["line"] = {"width": 1, "color": "@black"}
    if layer.symbol == "x":
        marker["line"] = {"width": 1.5, "color": f"@{layer.color}"}
    if len(layer.values):
        marker |= {"color": numbers(layer.values), "colorscale": SEQUENTIAL, "showscale": bool(layer.values_label)}
        marker["line"] = {"width": 0.5, "color": "@muted"}
        marker["colorbar"] = _colorbar(layer.values_label)
    return marker


def _colorbar(label: str) -> dict:
    return {"title": {"text": clean(label), "side": "right"}, "thickness": 12, "outlinewidth": 0}


def _heat(layer: Layer) -> dict:
    return {
        "type": "contour",
        "x": numbers(layer.x),
        "y": numbers(layer.y),
        "z": [numbers(row) for row in layer.z],
        "colorscale": SEQUENTIAL,
        "colorbar": _colorbar(layer.values_label),
        "contours": {"coloring": "heatmap"},
        "line": {"width": 0.3},
        "showlegend": False,
        "hovertemplate": "%{x}, %{y}: %{z:.4g}<extra></extra>",
    }


def _shapes(layer: Layer) -> list[dict]:
    line = {"color": f"@{layer.color}", "width": layer.width, "dash": layer.dash}
    if layer.kind == "vline":
        ends = [{"x0": x, "x1": x, "y0": 0, "y1": 1, "yref": "paper"} for x in numbers(layer.x)]
    else:
        ends = [{"y0": y, "y1": y, "x0": 0, "x1": 1, "xref": "paper"} for y in numbers(layer.y)]
    return [{"type": "line", "line": line, "layer": "below", "opacity": layer.opacity} | end for end in ends]


def _legend_line(layer: Layer) -> dict:
    """A trace without points: the legend's entry for lines drawn as shapes."""
    line = {"color": f"@{layer.color}", "width": layer.width, "dash": layer.dash}
    return {"type": "scatter", "mode": "lines", "x": [None], "y": [None], "name": clean(layer.name), "showlegend": True, "line": line}
