"""From published tables to files: reads, turns tables into sections, renders all of it, and only then writes."""

from __future__ import annotations

import json
from pathlib import Path

from trivet.reporting import markdown
from trivet.reporting.belonging import settle
from trivet.reporting.context import Context
from trivet.reporting.decision import decide
from trivet.reporting.files import write
from trivet.reporting.metrics import metrics, plots
from trivet.reporting.model import Report, Section
from trivet.reporting.plain import DRAWING, lacking
from trivet.reporting.sections import (
    advice,
    baselines,
    checklist,
    flags,
    headline,
    learning_rate,
    mattered,
    phases,
    provenance,
    ruled,
    trials,
    went,
)
from trivet.reporting.tables import read_results, read_sweep
from trivet.reporting.units import in_steps
from trivet.reporting.words import count, listing


def build_pipeline(root: Path, reports: Path) -> Path:
    """The report of a pipeline run whose results are under root/results; returns the path of the HTML file (see `rendered`).

    Writes summary.md, figures/*.svg, metrics.json, plots/*.csv and report.html under `reports`. UserError where no search is published
    or a table cannot be read; nothing is written then.
    """
    results = settle(read_results(root))
    context = Context(results.searches, results)
    report = Report("Tuning report", _subtitle(context), sections(context))
    files = {
        **rendered(report, "summary.md"),
        "metrics.json": (json.dumps(metrics(context), indent=2, allow_nan=False) + "\n").encode(),
        **{f"plots/{name}": table.to_csv(index=False).encode() for name, table in plots(context).items()},
    }
    return write(reports, files)


def report_of(folder: Path) -> Report:
    """The report of a single sweep before it has a form. UserError where there is no table."""
    sweep = read_sweep(Path(folder))
    context = Context([sweep])
    return Report(f"Report of the sweep {sweep.name}", _subtitle(context), sections(context))


def build_sweep(folder: Path, out: Path | None = None) -> Path:
    """The same report of a single sweep (a folder with trials.csv; curves.csv and study.yaml where there are); returns the HTML file, or
    the Markdown.

    Goes to `out`, or to `<folder>/report`: report.html, report.md and figures/. UserError where there is no table.
    """
    folder = Path(folder)
    report = report_of(folder)
    out = Path(out) if out is not None else folder / "report"
    return write(out, rendered(report, "report.md"))


def sections(context: Context) -> list[Section]:
    """All sections in the order in which they are read."""
    decision = decide(context)
    parts = [headline.build(context, decision)]
    parts += [] if context.single else [learning_rate.build(context)]
    parts += baselines.build(context)
    parts += ruled.build(context)
    parts += [*phases.build(context), mattered.build(context), went.build(context)]
    parts += [flags.build(context, decision), advice.build(context, decision)]
    parts += [trials.build(context)]
    parts += [checklist.build(context, decision), provenance.build(context)]
    return in_steps(parts) if context.unit == "step" else parts


def _subtitle(context: Context) -> str:
    trials = sum(len(sweep.trials) for sweep in context.searches)
    last = context.last
    goals = [
        f"{name} ({'higher' if way == 'maximize' else 'lower'} is better)" for name, way in zip(last.names, last.directions, strict=True)
    ]
    goals = goals if last.several else [f"{last.metric} ({context.better})"]
    parts = [f"{count(trials, 'trial')} of the search", f"objective{'s' if last.several else ''} {listing(goals)}"]
    data = (context.results.data or {}).get("name") if context.results else None
    model = context.results.params.get("model") if context.results else None
    parts += [f"data {data}"] if data else []
    parts += [f"model {model}"] if isinstance(model, str) else []
    return ", ".join(parts) + "."


def rendered(report: Report, name: str) -> dict[str, bytes]:
    """File name -> content: the Markdown as `name`, report.html, and figures/*.svg; the Markdown alone where a library for those lacks."""
    if lacking(DRAWING):
        return {name: markdown.render(report, None).encode()}
    from trivet.reporting import figures, html  # which import what may lack

    charts = [chart for section in report.sections for chart in section.charts if chart.brief]
    files = {f"figures/{chart.id}.svg": figures.draw(chart) for chart in charts}
    return {name: markdown.render(report).encode(), **files, "report.html": html.render(report).encode()}
