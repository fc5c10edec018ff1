"""A report as Markdown for a code host: text, tables, figures beside it."""

from __future__ import annotations

import html
import re

from trivet.reporting.model import (
    Bullets,
    Cell,
    Chart,
    Code,
    Command,
    Explorer,
    Facts,
    Heading,
    Inline,
    Paragraph,
    Report,
    Section,
    Strong,
    Table,
)

SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|~$&!])")


def render(report: Report, figure_folder: str | None = "figures") -> str:
    """Markdown of the whole report. Charts that are not brief are left to the HTML; figures are named `<figure_folder>/<chart id>.svg`.

    figure_folder None: there are none, and each says in a sentence what it would show.
    """
    lines = [f"# {escape(report.title)}", "", escape(report.subtitle), ""]
    for section in report.sections:
        lines += _section(section, figure_folder)
    return "\n".join(lines).rstrip() + "\n"


def _section(section: Section, folder: str | None) -> list[str]:
    """A heading under which nothing is shown here, as the page alone has it, is left out with it."""
    lines: list[str] = [f"## {escape(section.title)}", ""]
    waiting: list[str] = []
    for block in section.blocks:
        shown = _block(block, folder)
        if isinstance(block, Heading):
            waiting = shown
        elif shown:
            lines += [*waiting, *shown]
            waiting = []
    return lines


def _block(block: object, folder: str | None) -> list[str]:
    if isinstance(block, Paragraph):
        text = inline(block.parts)
        return [f"<sub>{text}</sub>" if block.kind == "note" else text, ""]
    if isinstance(block, Bullets):
        return [f"- {inline(item)}" for item in block.items] + [""]
    if isinstance(block, Facts):
        return [f"- **{escape(label)}:** {inline(parts)}" for label, parts in block.rows] + [""]
    if isinstance(block, Heading):
        return [f"### {escape(block.text)}", ""]
    if isinstance(block, Command):
        return ([escape(block.what), ""] if block.what else []) + ["```sh", block.text.replace("```", "'``'`"), "```", ""]
    if isinstance(block, Table):
        return _table(block)
    if isinstance(block, Chart):
        return _chart(block, folder) if block.brief else []
    if isinstance(block, Explorer):
        return [f"<sub>{escape(block.told)}</sub>", ""] if block.told else []
    raise TypeError(f"no Markdown for {type(block).__name__}")


def _chart(chart: Chart, folder: str | None) -> list[str]:
    drawn = escape(chart.alt) if folder is None else f"![{escape(chart.alt)}]({folder}/{chart.id}.svg)"
    lines = [f"**{escape(chart.title)}**", "", drawn, ""]
    return [*lines, f"<sub>{escape(chart.note)}</sub>", ""] if chart.note else lines


def _table(table: Table) -> list[str]:
    if not table.rows:
        return []
    align = ["---:" if column in table.numeric else "---" for column in table.columns]
    lines = [_row([escape(column) for column in table.columns]), _row(align)]
    lines += [_row([cell(item) for item in row]) for row in table.rows[: table.limit]]
    left = len(table.rows) - table.limit
    caption = table.caption + (f" {left} more rows are in report.html." if left > 0 else "")
    if table.folded:
        return [f"<details><summary>{escape_html(caption.strip())}</summary>", "", *lines, "", "</details>", ""]
    return ([f"**{escape(caption.strip())}**", ""] if caption.strip() else []) + [*lines, ""]


def _row(cells: list[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def cell(item: Cell) -> str:
    return code(item.text, table=True) if item.code else escape(item.text)


def inline(parts: tuple[Inline, ...]) -> str:
    words = []
    for part in parts:
        if isinstance(part, Code):
            words.append(code(part.text))
        elif isinstance(part, Strong):
            words.append(strong(part.text))
        else:
            words.append(escape(part))
    return "".join(words)


def strong(text: str) -> str:
    """Bold text. Spaces at its ends stand outside of the stars, as Markdown asks for it."""
    inner = text.strip()
    if not inner:
        return escape(text)
    before, after = text[: len(text) - len(text.lstrip())], text[len(text.rstrip()) :]
    return f"{before}**{escape(inner)}**{after}"


def escape(text: str) -> str:
    """Text in which nothing is markup: special characters escaped, line breaks as spaces."""
    return SPECIAL.sub(r"\\\1", " ".join(text.split("\n"))).replace("\\<", "&lt;").replace("\\>", "&gt;").replace("\\&", "&amp;")


def escape_html(text: str) -> str:
    """Text inside an HTML element of the Markdown."""
    return html.escape(" ".join(text.split("\n")))


def code(text: str, table: bool = False) -> str:
    """A code span whatever the text holds; in a table a pipe is escaped, as GitHub asks for it."""
    text = " ".join(text.split("\n"))
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * (longest + 1)
    pad = " " if text.startswith("`") or text.endswith("`") or not text.strip() else ""
    body = text.replace("|", r"\|") if table else text
    return f"{fence}{pad}{body}{pad}{fence}"
