"""Which pages a report has, where they go, and that a large one is the same whether read at once or cell by cell."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from matrix.yaml.load import load_matrix
from reports.board.text import make_view
from reports.evidence.summary import make_board
from reports.page import index
from reports.page.places import PagePlaces
from reports.page.stream import stream_pages
from reports.page.write import PageSource, render_all, write_pages
from tests.reports import world
from tests.reports.test_pages import failing, shown
from tests.reports.world import PLAIN, WITH_MTP


def test_each_cell_has_a_page_that_the_index_links_and_that_links_back(tmp_path: Path) -> None:
    write_pages(shown(world.green()), tmp_path / "index.html", PageSource())
    page = (tmp_path / "index.html").read_text()
    for cell in (PLAIN, WITH_MTP):
        (link,) = set(re.findall(rf'href="(index\.cells/[^"]*{cell}\.html)"', page))
        assert f'href="../index.html#{cell}"' in (tmp_path / link).read_text()


def test_pages_of_an_earlier_report_go_and_other_files_stay(tmp_path: Path) -> None:
    folder = tmp_path / "index.cells"
    write_pages(shown(world.green()), tmp_path / "index.html", PageSource())
    (folder / "mine.html").write_text("<p>mine")
    (folder / f"{PLAIN}.html").rename(folder / "gone.html")
    write_pages(shown(world.green()), tmp_path / "index.html", PageSource())
    assert {p.name for p in folder.iterdir()} == {"mine.html", f"{PLAIN}.html", f"{WITH_MTP}.html"}


@pytest.mark.parametrize("name", ["../../etc/x", "a/b", ".", "a" * 300, "ü", "\ud800", "-x", 'x"onload='])
def test_no_name_of_a_cell_leaves_the_folder(name: str) -> None:
    path = PagePlaces(Path("out/index.html")).path(name)
    assert path.parent == Path("out/index.cells") and re.fullmatch(r"[A-Za-z0-9_.-]+\.html", path.name)
    assert PagePlaces(Path("out/index.html")).path(name + "2") != path


def test_a_large_report_reads_the_same_cell_by_cell(tmp_path: Path) -> None:
    matrix = load_matrix()
    records = world.seal(failing("x"))
    (tmp_path / "e.jsonl").write_bytes(world.write(records))
    view = stream_pages([tmp_path / "e.jsonl"], tmp_path / "s/index.html", matrix, lambda _: {})
    whole = make_view(make_board(records), None, {}, view.claims)
    source = PageSource(runs=whole.board.runs, claims=view.claims, matrix=matrix, evidence=[tmp_path / "e.jsonl"])
    for path, page in render_all(whole, source).items():
        assert (tmp_path / "s" / path).read_text() == page


def test_a_board_of_many_cells_is_packed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index, "WHOLE", 1)
    page = render_all(shown(failing("</script><b>")))[Path("index.html")]
    (data,) = re.findall(r'<script type="application/json" id="rows">(.*?)</script>', page)
    rows = json.loads(data)
    assert {row[12] for row in rows["rows"]} == {PLAIN, WITH_MTP}
    assert "<tr id=" not in page and "<" not in data
