"""The HTML report in a real browser: no error, every chart drawn, nothing sticks out at the width of a phone or a desk, tables sort."""

from __future__ import annotations

from pathlib import Path

import pytest
from browser import BINARY, Browser
from test_report import TABLES, published

from trivet.reporting.build import build_sweep

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(BINARY is None, reason="no chromium or chrome on this machine (apt-get install chromium)"),
]
UNDRAWN = """[...document.querySelectorAll('[data-chart]')].filter(
  box => !box.querySelector('.trace path, .heatmaplayer image')).map(box => box.dataset.chart)"""
STICKS_OUT = """[...document.querySelectorAll('body *')].filter(node => {
  const box = node.getBoundingClientRect();
  if (!box.width || box.right <= innerWidth + 1) return false;
  for (let part = node; part; part = part.parentElement) {
    if (['auto', 'scroll', 'hidden'].includes(getComputedStyle(part).overflowX)) return false;
  }
  return !node.closest('.skip');
}).map(node => node.tagName + ' ' + node.className)"""


@pytest.fixture(scope="module")
def browser():
    with Browser() as found:
        yield found


@pytest.fixture(scope="module")
def page(reported) -> Path:
    return reported / "reports" / "report.html"


def check(browser: Browser, page: Path, width: int, dark: bool) -> None:
    browser.open(page, width, dark=dark)
    assert browser.console == []
    assert [url for url in browser.requests if not url.startswith(("data:", "blob:", "file:"))] == []
    assert browser.evaluate("document.documentElement.scrollWidth") <= width
    assert browser.evaluate(STICKS_OUT) == []


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [390, 1400])
def test_the_page_is_whole(browser, page, width, dark):
    check(browser, page, width, dark)
    assert browser.evaluate("document.querySelectorAll('[data-chart]').length") > 20
    assert browser.evaluate(UNDRAWN) == []
    paper = browser.evaluate("getComputedStyle(document.body).backgroundColor")
    chart = browser.evaluate("getComputedStyle(document.querySelector('.main-svg')).backgroundColor")
    assert paper == chart == ("rgb(21, 24, 28)" if dark else "rgb(255, 255, 255)")


def test_the_charts_follow_the_theme(browser, page):
    browser.open(page, 1400)
    browser.send("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": "dark"}])
    look = "getComputedStyle(document.querySelectorAll('.main-svg')[0]).backgroundColor"
    wait = f"new Promise(done => {{ const see = () => {look} === 'rgb(21, 24, 28)' ? done(true) : setTimeout(see, 50); see(); }})"
    assert browser.evaluate(wait)


def test_tables_sort_by_value_with_empty_cells_last(browser, page):
    browser.open(page, 1400)
    script = """(() => {
      const table = [...document.querySelectorAll('#seeds table')].at(-1);
      const head = [...table.tHead.rows[0].cells].find(cell => cell.textContent.startsWith('Against'));
      const read = () => [...table.tBodies[0].rows].map(row => row.cells[head.cellIndex].dataset.key ?? null);
      head.querySelector('button').click();
      const up = read(), first = head.getAttribute('aria-sort');
      head.querySelector('button').click();
      return [up, first, read(), head.getAttribute('aria-sort')];
    })()"""
    up, first, down, second = browser.evaluate(script)
    assert (first, second) == ("ascending", "descending")
    numbers = [float(part) for part in up[:-1]]
    assert numbers == sorted(numbers) and up[-1] is None
    assert down[:-1] == up[-2::-1] and down[-1] is None


@pytest.mark.parametrize("name", ["one trial", "all failed", "two objectives", "odd names", "minimize", "a bare table", "empty"])
def test_odd_sweeps_open_without_an_error(browser, name, tmp_path):
    page = build_sweep(published(tmp_path / "sweep", **TABLES[name]), tmp_path / "out")
    for width in (390, 1400):
        check(browser, page, width, dark=False)
        assert browser.evaluate(UNDRAWN) == []
