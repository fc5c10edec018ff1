"""The HTML report in a real browser: no error, every chart drawn, nothing sticks out at the width of a phone or a desk, tables sort."""

from __future__ import annotations

from pathlib import Path

import pytest
from browser import BINARY, Browser
from test_report import TABLES, published

from trivet.reporting import html
from trivet.reporting.build import report_of

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(BINARY is None, reason="no chromium or chrome on this machine (apt-get install chromium)"),
]
UNDRAWN = """[...document.querySelectorAll('[data-chart]')].filter(
  box => !box.querySelector('.trace path, .heatmaplayer image')).map(box => box.dataset.chart)"""
OPENED = """new Promise(done => {
  document.querySelectorAll('details.charts').forEach(part => { part.open = true; });
  const drawn = () => [...document.querySelectorAll('[data-chart]')].every(box => box.querySelector('.main-svg'));
  const look = () => drawn() ? setTimeout(() => done(true), 300) : setTimeout(look, 50);
  look();
})"""
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


@pytest.fixture
def at_desk(browser, page):
    """The browser with the page at a desk's width, loaded once for the tests that follow one another; what they choose there they undo."""
    if browser.at != (page, 1400, False):
        browser.open(page, 1400)
    browser.evaluate("window.scrollTo({top: 0, behavior: 'instant'})")
    return browser


def check(browser: Browser, page: Path, width: int, dark: bool) -> None:
    browser.open(page, width, dark=dark)
    fits(browser, width)


def fits(browser: Browser, width: int) -> None:
    assert browser.console == []
    assert [url for url in browser.requests if not url.startswith(("data:", "blob:", "file:"))] == []
    assert browser.evaluate("document.documentElement.scrollWidth") <= width
    assert browser.evaluate(STICKS_OUT) == []


@pytest.mark.parametrize(("width", "dark"), [(390, False), (1400, True)], ids=["phone, light", "desk, dark"])  # a colour moves nothing
def test_the_page_is_whole_and_its_contents_stay(browser, page, width, dark):
    check(browser, page, width, dark)
    assert browser.evaluate("document.querySelectorAll('[data-chart]').length") > 20
    assert browser.evaluate(OPENED) and browser.evaluate(UNDRAWN) == []
    assert browser.console == [] and browser.evaluate(STICKS_OUT) == []
    paper = browser.evaluate("getComputedStyle(document.body).backgroundColor")
    chart = browser.evaluate("getComputedStyle(document.querySelector('.main-svg')).backgroundColor")
    assert paper == chart == ("rgb(21, 24, 28)" if dark else "rgb(255, 255, 255)")
    browser.evaluate("window.scrollTo({top: 4000, behavior: 'instant'})")
    assert browser.evaluate("document.querySelector('nav').getBoundingClientRect().top") >= 0


def test_tables_sort_by_value_with_empty_cells_last(at_desk):
    browser = at_desk
    script = """(() => {
      const table = [...document.querySelectorAll('#seeds table')].at(-1);
      const head = [...table.tHead.rows[0].cells].find(cell => cell.textContent.startsWith('Better than'));
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


def test_the_story_is_on_the_first_screen(at_desk):
    browser = at_desk
    assert browser.evaluate("document.querySelector('.command').getBoundingClientRect().bottom") < 900
    overlap = """(() => { const box = document.querySelector('.command'), text = document.createRange();
      text.selectNodeContents(box.querySelector('code'));
      const button = box.querySelector('button').getBoundingClientRect();
      const under = line => line.right > button.left && line.top < button.bottom && line.bottom > button.top;
      return [...text.getClientRects()].some(under); })()"""
    assert browser.evaluate("!document.querySelector('.command button')") or not browser.evaluate(overlap)


def test_all_trials_can_be_sorted_filtered_and_opened(at_desk):
    browser = at_desk
    rows = "[...document.querySelectorAll('.trials tbody tr')].map(row => [...row.cells].map(cell => cell.textContent))"
    told = "document.querySelector('.filters [aria-live]').textContent"
    assert browser.evaluate(told) == "90 of 90 trials"
    values = [float(row[3]) for row in browser.evaluate(rows)]
    assert values == sorted(values, reverse=True)  # the best first
    browser.evaluate("[...document.querySelectorAll('.trials th button')].find(node => node.textContent === 'Epochs').click()")
    epochs = [float(row[4]) for row in browser.evaluate(rows)]
    assert epochs == sorted(epochs) and epochs[0] < 30
    browser.evaluate("document.querySelectorAll('.filters input[type=checkbox]').forEach((box, at) => { if (at) box.click(); })")
    assert {row[2] for row in browser.evaluate(rows)} == {"COMPLETE"}
    browser.evaluate("""(() => { const [phase] = document.querySelectorAll('.filters select'); phase.value = '1';
      phase.dispatchEvent(new Event('change')); })()""")
    assert {row[0] for row in browser.evaluate(rows)} == {"fine search"}
    browser.evaluate("""(() => { const box = document.querySelector('.filters input[aria-label=from]'); box.value = '94';
      box.dispatchEvent(new Event('input')); })()""")
    assert all(float(row[3]) >= 94 for row in browser.evaluate(rows))
    browser.evaluate("document.querySelector('.trials tbody tr').click()")
    detail = browser.evaluate("document.querySelector('.detail').textContent")
    assert "fine search, trial" in detail and "python src/train.py model=cnn" in detail and "optimizer.lr" in detail
    assert browser.evaluate("document.querySelector('.detail svg path[stroke=\\'var(--blue)\\']').getAttribute('d').length") > 50
    browser.evaluate("document.querySelectorAll('.trials th button')[3].click()")
    for place, beside_best in ((0, False), (1, True)):
        browser.evaluate(f"document.querySelectorAll('.trials tbody tr')[{place}].click()")
        assert ("Pale: the best trial." in browser.evaluate("document.querySelector('.detail').textContent")) == beside_best
    assert browser.console == []
    browser.evaluate("[...document.querySelectorAll('.filters button')].find(node => node.textContent === 'Show all').click()")


def test_parallel_lines_select_in_the_table(at_desk):
    browser = at_desk
    drag = """(() => { const canvas = document.querySelector('.parallel canvas'), area = canvas.getBoundingClientRect();
      canvas.setPointerCapture = () => {};
      const send = (type, y) => canvas.dispatchEvent(
        new PointerEvent(type, {clientX: area.left + 40, clientY: area.top + y, pointerId: 1}));
      send('pointerdown', area.height - 41); send('pointermove', 40); send('pointerup', 40); })()"""
    browser.evaluate(drag)
    told = browser.evaluate("document.querySelector('.filters [aria-live]').textContent")
    assert 0 < int(told.split()[0]) < 30  # those of the fine search's thirty that have the first axis' parameter
    browser.evaluate("[...document.querySelectorAll('.filters button')].find(node => node.textContent === 'Show all').click()")
    assert browser.evaluate("document.querySelector('.filters [aria-live]').textContent") == "90 of 90 trials"


def test_every_axis_is_named_whole_and_apart_from_the_others(at_desk):
    browser = at_desk
    drawn = """(() => { const texts = [], kind = CanvasRenderingContext2D.prototype, { fillText } = kind;
      kind.fillText = function (text, x, y) {
        const wide = this.measureText(text).width, left = { left: x, right: x - wide, center: x - wide / 2 }[this.textAlign];
        texts.push([text, left, left + wide, y]);
        fillText.call(this, text, x, y);
      };
      document.querySelector('.parallel').parentElement.querySelector('select').dispatchEvent(new Event('change'));
      kind.fillText = fillText;
      return [texts, document.querySelector('.parallel canvas').clientWidth]; })()"""
    for desk in (390, 1400):
        browser.resize(desk)
        texts, width = browser.evaluate(drawn)
        written = "".join(text.replace(" ", "") for text, *_ in texts)
        for name in ("optimizer.weight_decay(optimizer=adamw)", "model.dropout", "batch_size", "val/accuracy(%)"):
            assert name in written
        assert "…" not in written and all(left >= 0 and right <= width for _, left, right, _ in texts)
        for place, (_, left, right, y) in enumerate(texts):
            assert not [text for text, start, end, other in texts[:place] if other == y and start < right and left < end]


def test_the_charts_follow_the_theme(at_desk):
    browser, at_desk.at = at_desk, None
    look = "getComputedStyle(document.querySelectorAll('.main-svg')[0]).backgroundColor"
    for scheme, paper in (("dark", "rgb(21, 24, 28)"), ("light", "rgb(255, 255, 255)")):  # back while the charts are still being drawn
        browser.send("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        seen = f"new Promise(done => {{ const see = () => {look} === '{paper}' ? done(true) : setTimeout(see, 50); see(); }})"
        assert browser.evaluate(seen)


def test_the_infeasible_are_shown_as_such(browser, tmp_path):
    def held(frame):
        return frame.assign(state=frame["state"].where(frame["number"] % 3 > 0, "INFEASIBLE"), reason="infeasible: size is 3, must be <= 2")

    page = tmp_path / "report.html"
    page.write_text(html.render(report_of(published(tmp_path / "sweep", trials=held))), encoding="utf-8")
    check(browser, page, 390, dark=True)
    boxes = "[...document.querySelectorAll('.filters label')].map(node => node.textContent.trim())"
    assert "infeasible" in browser.evaluate(boxes)
    told = browser.evaluate("document.querySelector('.parallel').previousElementSibling.textContent")
    assert "Blue: ran to the end; orange: stopped early; purple: broke a constraint" in told
    browser.evaluate("""document.querySelectorAll('.filters label').forEach(node => {
      if (node.textContent.trim() !== 'infeasible') node.querySelector('input[type=checkbox]')?.click(); })""")
    assert browser.evaluate("document.querySelector('.filters [aria-live]').textContent") == "7 of 20 trials"
    assert browser.evaluate("document.querySelector('.trials tbody tr').cells[1].textContent") == "INFEASIBLE"


@pytest.mark.parametrize("name", ["one trial", "all failed", "two objectives", "odd names", "minimize", "a bare table", "empty"])
def test_odd_sweeps_open_without_an_error(browser, name, tmp_path):
    page = tmp_path / "report.html"  # the page alone: the figures of the Markdown are no part of it
    page.write_text(html.render(report_of(published(tmp_path / "sweep", **TABLES[name]))), encoding="utf-8")
    browser.open(page, 390)
    for width in (390, 1400):  # drawn again at the second, which takes a third of loading
        browser.resize(width)
        fits(browser, width)
        assert browser.evaluate(OPENED) and browser.evaluate(UNDRAWN) == [] and browser.evaluate(STICKS_OUT) == []
        assert browser.console == []
    told = browser.evaluate("document.querySelector('.parallel')?.previousElementSibling.textContent ?? ''")
    assert "purple" not in told and ("orange" in told) == ("PRUNED" in (tmp_path / "sweep" / "trials.csv").read_text() and told != "")
