"""A report as one HTML file that needs nothing else: text escaped, style, script and plotly inlined once."""

from __future__ import annotations

import json
import re
from functools import cache
from importlib import resources

import jinja2
from markupsafe import Markup

from trivet.reporting import interactive
from trivet.reporting.explorer import pack, packed
from trivet.reporting.model import Bullets, Chart, Code, Command, Explorer, Facts, Heading, Paragraph, Report, Strong, Table
from trivet.reporting.palette import ROLES

UNIT = re.compile(r"(\d) (%|points?|percentage points|epochs?|trials?|seeds?|min|s|h)(?![\w])")


def render(report: Report, live: tuple[str, int] | None = None) -> str:
    """The page. Every text passes autoescape; charts travel as JSON in a data block that scripts read.

    live: (mark, seconds): the page asks its server every so many seconds for `mark`, and loads itself anew where that has changed.
    """
    environment = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined)
    environment.filters["whole"] = whole
    charts = {
        f"{chart.id}-{place}": figure
        for section in report.sections
        for chart in section.charts
        for place, figure in enumerate(interactive.figures(chart))
    }
    titles = {key: figure.pop("title") for key, figure in charts.items()}
    return environment.from_string(_file("report.html.j2")).render(
        report=report,
        titles=titles,
        style=Markup(_file("report.css")),
        script=Markup(_file("report.js")),
        trials=Markup(_file("trials.js")),
        plotly=_plotly() if charts else "",
        pack=pack,
        live=live,
        charts=Markup(_json(charts)),
        roles=Markup(_json(ROLES)),
        roles_css=ROLES,
        kind=_kind,
        inline_kind=_inline_kind,
        numeric=_numeric,
    )


def _file(name: str) -> str:
    return (resources.files("trivet.reporting") / "templates" / name).read_text(encoding="utf-8")


@cache
def _plotly() -> str:
    """plotly.min.js of the installed package, compressed: 2 megabytes instead of 4.8."""
    return packed((resources.files("plotly") / "package_data" / "plotly.min.js").read_bytes())


def whole(text: str) -> str:
    """A number and its unit never stand on two lines."""
    return UNIT.sub("\\1\u00a0\\2", text)


def _json(value: object) -> str:
    """JSON that is safe inside a script element: no `<`, `>`, `&` or line separators as they stand."""
    text = json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _kind(block: object) -> str:
    known = (Paragraph, Bullets, Heading, Command, Facts, Table, Chart, Explorer)
    return known[known.index(type(block))].__name__.lower()


def _inline_kind(part: object) -> str:
    return "code" if isinstance(part, Code) else "strong" if isinstance(part, Strong) else "text"


def _numeric(table: Table, place: int) -> bool:
    """Right-aligned: columns said to be numeric, and those that hold nothing but numbers."""
    keys = [row[place].key for row in table.rows]
    known = [key for key in keys if key is not None]
    return table.columns[place] in table.numeric or (bool(known) and all(isinstance(key, (int, float)) for key in known))
