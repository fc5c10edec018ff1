"""The page of the report: it needs nothing from outside, holds every trial, and lets no markup through."""

from __future__ import annotations

import base64
import gzip
import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from trivet.reporting import html, interactive, markdown
from trivet.reporting.model import Axis, Cell, Chart, Code, Layer, Panel, Paragraph, Report, Section, Table


@pytest.fixture(scope="module")
def run(reported) -> Path:
    """A run of the pipeline and its report."""
    return reported


def chart(**more) -> Chart:
    layer = Layer("points", [1, 2, np.nan], [0.1, np.inf, 0.3], name="<b>n</b>", hover=["<a href=x>", "b", "c"])
    return Chart("c", "t", [Panel(Axis("<i>x</i>", ticks=((1, "</script>"),)), Axis("y"), [layer])], "alt", **more)


def test_plotly_figures_hold_no_markup():
    (figure,) = interactive.figures(chart())
    text = json.dumps(figure)
    assert "<b>" not in text and "<a" not in text and "<i>" not in text and "</script>" not in text
    assert figure["data"][0]["x"] == [1, 2, None] and figure["data"][0]["y"] == [0.1, None, 0.3]
    assert figure["layout"]["xaxis"]["ticktext"] == ["&lt;/script&gt;"]


def test_every_chart_of_a_run_is_valid_plotly(run):
    import plotly.graph_objects as go

    page = (run / "reports" / "report.html").read_text()
    charts = json.loads(re.search(r'<script type="application/json" id="charts">(.*?)</script>', page).group(1))
    assert len(charts) > 20
    for figure in charts.values():
        painted = json.loads(re.sub(r'"@\w+"', '"#0072B2"', json.dumps(figure)))
        assert any(go.Figure(painted).data)


def test_the_page_needs_nothing_from_outside(run):
    page = (run / "reports" / "report.html").read_text()
    head = page[: page.index('<script type="application/json"')]
    assert "default-src 'none'" in head and "http://" not in head and "https://" not in head and " src=" not in head
    assert "plotly.js v" in unpacked(page, "plotly") and page.count("<h2") == 12
    assert set(re.findall(r'<a href="#([^"]+)">', head)) <= set(re.findall(r' id="([^"]+)"', head))


def unpacked(page: str, name: str) -> str:
    """What travels compressed in the page."""
    block = re.search(rf'<script type="text/plain" id="{name}">(.*?)</script>', page, re.DOTALL).group(1)
    return gzip.decompress(base64.b64decode(block)).decode()


def test_the_page_holds_every_trial_with_its_curve(run):
    page = (run / "reports" / "report.html").read_text()
    (name,) = re.findall(r'data-trials="([\w-]+)"', page)
    content = json.loads(unpacked(page, name))
    for search, phase in zip(content["searches"], ("coarse", "fine"), strict=True):
        trials, curves = (pd.read_csv(run / "results" / phase / file) for file in ("trials.csv", "curves.csv"))
        assert search["number"] == trials["number"].tolist()
        assert [v for v in search["value"] if v is not None] == pytest.approx(trials["value"].dropna().tolist(), rel=1e-4)
        assert search["params"]["model.dropout"] == trials["model.dropout"].tolist()  # whole: a command is made of them
        kept = search["curves"]
        coded = np.frombuffer(base64.b64decode(kept["values"]), dtype="<u2")
        assert sum(kept["sizes"]) == len(coded) == len(curves) and kept["steps"] is None
        back = kept["low"] + (coded.astype(float) - 1) / 65534 * (kept["high"] - kept["low"])
        assert back == pytest.approx(curves.sort_values(["number", "step"])["value"].to_numpy(), abs=1e-5)
        labels = [axis["label"] for axis in search["axes"]]
        assert "optimizer.lr (optimizer=adam)" in labels and "optimizer.lr" not in labels
        before, after = search["command"]
        assert before.startswith("python src/train.py model=cnn ") and after == ""


@pytest.mark.parametrize(
    ("text", "expected"), [("1 % of", "1\u00a0% of"), ("12 points.", "12\u00a0points."), ("2 sizes", "2 sizes"), ("a b", "a b")]
)
def test_a_number_keeps_its_unit(text, expected):
    assert html.whole(text) == expected


def test_inline_text_is_escaped_in_both_forms():
    parts = ("a<b>|*c*", Code("x|`y`"), "&")
    assert markdown.inline(parts) == "a&lt;b&gt;\\|\\*c\\*`` x|`y` ``&amp;"
    assert markdown.code("a|b", table=True) == r"`a\|b`"
    assert markdown.code("`") == "`` ` ``"
    page = html.render(Report("<t>", "s", [Section("i", "<h>", [Paragraph(parts), Table(("<c>",), ((Cell("<d>", "<k>"),),))])]))
    body = page[page.index("<body>") : page.index('<script type="application/json"')]
    for raw in ("<b>", "<h>", "<c>", "<d>", "<k>", "<t>"):
        assert raw not in body
