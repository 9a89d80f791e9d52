"""The pages in a real browser: read, searched, steered by keys and printed, and nothing in them comes alive."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from reports.history.flakes import Flaky
from reports.history.page import render_flake_page, render_trend_page
from reports.history.trend import NumberTrend
from reports.page import index
from reports.page.write import PageSource, write_pages
from reports.upgrade.comparison import RunComparison, compare_evidence
from reports.upgrade.forms import render_page
from tests.chromium import Chromium, find_chromium
from tests.reports import world
from tests.reports.page.test_plots import needle, speed
from tests.reports.test_pages import failing, shown
from tests.reports.world import PLAIN, WITH_MTP, Json

EVIL = "<img src=x onerror='window.alive=1'><script>window.alive=1</script></script><script>window.alive=1</script>"
HOSTILE = f"sm90x1.\u202ereversed.\x1b[2J@octocat #1 {EVIL}"
SUITES = (
    "chunked_prefill",
    "coherence",
    "effective",
    "indexcache",
    "limits",
    "mtp",
    "thinking",
    "throughput",
    "tool_use",
)
WIDTHS = (400, 1280, 1920, 2560)
WORDS = "[...document.querySelectorAll('table.matrix tbody tr[id]')].map((r) => r.id)"


def board() -> list[Json]:
    """Return a failing cell with everything that a page can show, and a green one."""
    drawn = [needle("canary.needle.s1.4608t4c20d", ok=True), speed(100, 1, 88), speed(170, 2, 75), world.size(PLAIN, 4)]
    launch = {"kind": "launch", "cell": PLAIN, "fingerprint": "f0", "outcome": "ok", "launch_s": 3.0}
    facts = {"kind": "cell", "cell": PLAIN, "facts": {**world.PLACE, "features": []}, "script": f"echo {EVIL}"}
    other = [
        {"kind": "result", "cell": PLAIN, "nodeid": f"suites/test_{name}.py::test_x[{PLAIN}]", "status": "XFAIL"}
        for name in SUITES
    ]
    return [
        *failing(EVIL),
        *drawn,
        *other,
        {**launch, "phases_s": {"weights": 2.0, EVIL: 1.0}, "command": [EVIL]},
        facts,
    ]


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`index.html`, and `packed.html`, the same board as if it had thousands of cells."""
    folder = tmp_path_factory.mktemp("pages")
    write_pages(shown(board()), folder / "index.html", PageSource(verdict=shown(board()).verdict))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(index, "WHOLE", 1)
        write_pages(shown(board()), folder / "packed.html", PageSource())
    (folder / "trend.html").write_text(render_trend_page(list_trends()), encoding="utf-8")
    flaky = Flaky(
        cell=HOSTILE, nodeid=HOSTILE, fingerprint="f", failures=1, tries=7, runs=(HOSTILE, HOSTILE), since=HOSTILE
    )
    (folder / "flakes.html").write_text(render_flake_page([flaky]), encoding="utf-8")
    (folder / "diff.html").write_text(render_page(compare_hostile()), encoding="utf-8")
    return folder


def list_trends() -> list[NumberTrend]:
    """Return one number that got slower and one that nobody judges, of names that would rather be something else."""
    rows = [(f"2026-11-{day}", HOSTILE, value, "f", "h") for day, value in enumerate([100.0] * 6 + [50.0], 10)]
    names = ("wave_output_throughput", HOSTILE)
    return [
        NumberTrend(cell=HOSTILE, name=name, conditions={HOSTILE: HOSTILE}, unit=HOSTILE, rows=rows) for name in names
    ]


def compare_hostile() -> RunComparison:
    """Compare two runs of which the later one fails and says why."""
    new = [{**f, "versions": {EVIL: HOSTILE}} if f["kind"] == "launch" else f for f in failing(HOSTILE)]
    return compare_evidence(world.seal(world.green()), world.seal(new, "r2", world.BEGUN + timedelta(days=1)), {})


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    binary = find_chromium()
    if binary is None:
        pytest.skip("no Chromium on this host (make test-page installs Debian's)")
    with Chromium(binary, tmp_path_factory.mktemp("chromium")) as found:
        yield found


def cell_page(pages: Path) -> Path:
    return pages / "index.cells" / f"{PLAIN}.html"


def every_page(pages: Path) -> list[Path]:
    return [pages / "index.html", pages / "packed.html", cell_page(pages), *tables(pages)]


def tables(pages: Path) -> list[Path]:
    return [pages / f"{name}.html" for name in ("trend", "flakes", "diff")]


def test_nothing_comes_alive_and_nothing_is_complained_of(browser: Chromium, pages: Path) -> None:
    for page in every_page(pages):
        browser.open(page)
        assert browser.run("typeof window.alive") == "undefined" and not browser.complaints


def test_axe_finds_no_violation(browser: Chromium, pages: Path) -> None:
    found = importlib.util.find_spec("axe_playwright_python")
    if found is None or not found.submodule_search_locations:
        pytest.skip("axe-core is not here (make test-page installs it)")
    axe = (Path(found.submodule_search_locations[0]) / "axe.min.js").read_text(encoding="utf-8")
    browser.call("Page.setBypassCSP", enabled=True)
    for page in (pages / "index.html", cell_page(pages), *tables(pages)):
        browser.open(page)
        browser.run("for (const d of document.querySelectorAll('details')) d.open = true")
        browser.run(f"{axe};0")
        said = browser.run("axe.run().then((r) => JSON.stringify(r.violations.map((v) => [v.id, v.nodes[0].html])))")
        assert json.loads(said) == [], page
    browser.call("Page.setBypassCSP", enabled=False)


def test_what_a_name_tells_a_terminal_or_turns_around_is_shown_as_text(browser: Chromium, pages: Path) -> None:
    for page in tables(pages):
        browser.open(page)
        text = browser.run("document.body.textContent")
        assert "\\u202e" in text and "\\x1b[2J" in text and not {"\u202e", "\x1b"} & set(text), page
        assert browser.run("document.querySelectorAll('script, img, a[href^=http]').length") == 0, page


def test_the_answer_of_each_table_is_read_first_and_its_text_is_not_tiny(browser: Chromium, pages: Path) -> None:
    sizes = (
        "Math.min(...[...document.querySelectorAll('td, th, dd, dt, p, summary, .chip')].map("
        "(e) => parseFloat(getComputedStyle(e).fontSize)))"
    )
    words = {"trend": "SLOWER", "flakes": "FLAKY", "diff": "NO"}
    for width in WIDTHS:
        browser.resize(width, 800)
        for page in tables(pages):
            browser.open(page)
            assert browser.run("document.querySelector('.verdict .word').textContent") == words[page.stem]
            assert browser.run("document.querySelector('.verdict').getBoundingClientRect().bottom") < 400, page
            assert browser.run(sizes) >= 11, page
    browser.resize(1280)


def test_no_number_of_a_trend_is_broken_within(browser: Chromium, pages: Path) -> None:
    """A ratio of 1.000 stood as 1.00 and 0 in two lines, and `ablation` as `ablati` and `on`."""
    for page in (pages / "trend.html", cell_page(pages)):
        browser.open(page)
        wraps = "[...document.querySelectorAll('td.short')].map((e) => getComputedStyle(e).whiteSpace)"
        assert set(browser.run(f"{wraps}.join(' ')").split()) == {"nowrap"}, page


@pytest.mark.parametrize("width", WIDTHS)
def test_every_number_of_the_matrix_is_on_the_screen(browser: Chromium, pages: Path, width: int) -> None:
    browser.resize(width)
    for page in every_page(pages):
        browser.open(page)
        assert browser.run("document.documentElement.scrollWidth - innerWidth") <= 0, page
    browser.open(pages / "index.html")
    right = "Math.max(...[...document.querySelectorAll('table.matrix td')].map((d) => d.getBoundingClientRect().right))"
    assert browser.run(right) <= width
    browser.resize(1280)


def test_the_verdict_and_what_it_is_of_stand_above_the_fold(browser: Chromium, pages: Path) -> None:
    browser.resize(1280, 800)
    browser.open(pages / "index.html")
    assert browser.run("document.querySelector('section.verdict').getBoundingClientRect().bottom") < 400
    assert "Red" in browser.run("document.querySelector('.verdict .word').textContent")


@pytest.mark.parametrize("name", ["index.html", "packed.html"])
def test_cells_are_found_filtered_and_sorted_and_the_address_keeps_it(
    browser: Chromium, pages: Path, name: str
) -> None:
    browser.open(pages / name)
    assert browser.run(WORDS) == [PLAIN, WITH_MTP]
    browser.press("/")
    for key in "mtp":
        browser.press(key)
    assert browser.run(WORDS) == [WITH_MTP] and browser.run("location.hash") == "#q=mtp"
    browser.press("Escape")
    assert browser.run(WORDS) == [PLAIN, WITH_MTP]
    browser.run("document.querySelector('.words button').click()")  # the worst word first
    assert browser.run(WORDS) == [PLAIN]
    browser.open(pages / name, "sort=launch")
    assert browser.run(WORDS) == [WITH_MTP, PLAIN]  # 1.25 s, 3 s


def test_keys_lead_from_cell_to_cell_and_back(browser: Chromium, pages: Path) -> None:
    browser.open(pages / "index.html")
    browser.press("j")
    browser.press("j")
    assert browser.run("document.activeElement.closest('tr').id") == WITH_MTP
    browser.open(cell_page(pages))
    browser.press("j")
    browser.await_true(f"document.readyState == 'complete' && location.href.includes('{WITH_MTP}')")
    assert browser.run("document.querySelector('a[rel=prev]').textContent") == f"← {PLAIN}"


def test_closed_parts_are_printed(browser: Chromium, pages: Path) -> None:
    browser.open(cell_page(pages))
    seen = "document.querySelector('#numbers table').checkVisibility()"
    browser.run("for (const d of document.querySelectorAll('details')) d.open = false")
    assert not browser.run(seen)
    browser.call("Emulation.setEmulatedMedia", media="print")
    assert browser.run(seen)
    browser.call("Emulation.setEmulatedMedia", media="")


def test_a_command_is_copied(browser: Chromium, pages: Path) -> None:
    browser.open(cell_page(pages))
    browser.run("navigator.clipboard.writeText = (t) => { window.copied = t; return Promise.resolve(); }, 0")
    browser.run("document.querySelector('h1 .copy').click()")
    assert browser.run("window.copied") == PLAIN
