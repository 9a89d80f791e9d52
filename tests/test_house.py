"""What a review of the house found once, and must not find again: read off the source of every tracked file."""

from __future__ import annotations

import ast
import doctest
import importlib
import re
from collections.abc import Iterator

import pytest

from matrix.checkout import CHECKOUT
from tests.mirror import ROOMS, name_module

PATHS = [p for room in (*ROOMS, "tests") for p in (CHECKOUT / room).rglob("*.py")]
FILES = {name_module(p): p.read_text("utf-8") for p in PATHS}
PRODUCT = {name: text for name, text in FILES.items() if not name.startswith("tests.")}
# Each way to another host, and why it is one of its own. Everything that an engine is asked goes through the first.
HTTP = {
    "ci.fetch_uv": "a download before there is an environment: standard library only, and a proxy is left to pip",
    "fixtures.client.exchange": "one bounded exchange with an engine",
    "fixtures.traffic.wire": "thousands of streams in one thread, which only stamps what arrives",
    "fixtures.traffic.mock_server": "a server",
    "fixtures.weights.remote_checkpoint": "a download: proxies and a CDN are how one gets there",
    "fixtures.launch.docker.container": "the Docker SDK's exceptions",
    "fixtures.launch.docker.errors": "the Docker SDK's exceptions",
    "fixtures.launch.docker.patch": "the Docker SDK's exceptions",
    "lab.parsers.sources": "a download of pinned source files, by maintainers: a proxy may be how one gets there",
    "reports.reproduce.ask": "a stranger runs it without this project: standard library only",
}
FEWEST_COMMENTS = 4  # to 100 lines with text, docstrings included; to 100 lines of code it is about 5
COMMENT = re.compile(r"^\s*#(?! (?:noqa|type:|pragma)|!)|\S  # (?!noqa|type:|pragma)", re.MULTILINE)
CEILING = 400  # lines (CONTRIBUTING.md); about 120 is what to aim at
LIBRARIES = {"httptools", "requests", "urllib.request", "urllib3", "httpx", "aiohttp", "socks"}
# pytest's items take what they lack from their template; stand-ins replace the libraries of an engine.
FORWARDS = {"matrix.collection.items", "lab.parsers.standins"}
# Tests that hold a row against what was written, and a program that shows each row when it is measured.
ASSERTED = {"tests.reports.test_pages", "tests.reports.evidence.test_secret_shapes", "tests.rivals.stalled"}
PRODUCTS = re.compile(r"""[])'"] \* |\* (?:[('"f]|\[)""")  # a file without is not parsed
TRUTH = (ast.Compare, ast.BoolOp)


IMPORTED = re.compile(rf"^\s*(?:import|from) (?:{'|'.join(map(re.escape, LIBRARIES))})\b", re.MULTILINE)


def test_no_file_is_longer_than_its_reader_has_patience() -> None:
    assert {name: lines for name, text in FILES.items() if (lines := text.count("\n")) > CEILING} == {}


def test_each_http_client_is_known_and_has_a_reason() -> None:
    assert {name for name, text in PRODUCT.items() if IMPORTED.search(text)} == set(HTTP)


def test_no_client_asks_by_the_environments_proxy() -> None:
    """`urlopen` and `curl` would send even 127.0.0.1 to the proxy that the environment names."""
    assert [name for name, text in PRODUCT.items() if re.search(r"\burlopen\(", text)] == []
    curls = [(name, line) for name, text in PRODUCT.items() for line in re.findall(r"\bcurl -.*", text)]
    assert len(curls) >= 3
    assert [found for found in curls if not found[1].startswith("curl --disable --noproxy '*' ")] == []


def test_one_place_lays_out_the_tables_of_markdown() -> None:
    """A constant that is a whole page may hold its own."""
    written = {name for name, text in FILES.items() if name not in ASSERTED for _ in iterate_rows(text)}
    assert written == {"matrix.output.markdown"}


def iterate_rows(text: str) -> Iterator[int]:
    """Yield the lines that write a row of a table, or the rule below its header, by hand."""
    for node in ast.walk(ast.parse(text)) if '"| ' in text or "---" in text else ():
        match node:
            case ast.JoinedStr(values=[ast.Constant(value=str(begin)), *_, ast.Constant(value=str(end))]):
                if begin.lstrip("\n").startswith("| ") and end.rstrip("\n").endswith(" |"):
                    yield node.lineno
            case ast.Constant(value=str(text)) if re.fullmatch(r"\s*\|?( ?:?-{3,}:? ?\|)+\s*", text):
                yield node.lineno


def iterate_products(text: str) -> Iterator[int]:
    """Yield the lines that multiply a list or a text by a truth: an `if` that nobody sees."""
    for node in ast.walk(ast.parse(text)) if PRODUCTS.search(text) else ():
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult):
            sides = (node.left, node.right)
            if any(map(_is_series, sides)) and any(map(_is_truth, sides)):
                yield node.lineno


def _is_series(node: ast.expr) -> bool:
    return isinstance(node, ast.List | ast.Tuple | ast.JoinedStr) or (
        isinstance(node, ast.Constant) and isinstance(node.value, str)
    )


def _is_truth(node: ast.expr) -> bool:
    called = isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "bool"
    return called or isinstance(node, TRUTH) or (isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not))


def test_no_place_is_looked_up_by_an_import() -> None:
    """What may be written, and what lies there, is asked when it is needed: a module lives longer than an answer."""
    looked_up = re.compile(r"^[A-Z_]+\b.*= .*\b(?:locate|find)_(?:out|evidence|cache|logs|user_\w+)\(", re.MULTILINE)
    assert [name for name, text in PRODUCT.items() if looked_up.search(text)] == []


@pytest.mark.parametrize("room", [room for room in ROOMS if room != "ci"])  # which is below it
def test_a_room_says_why_often_enough_to_be_read(room: str) -> None:
    """A floor: what a comment is worth is for a reviewer, but a room that falls below has stopped giving reasons."""
    own = "\n".join(text for name, text in PRODUCT.items() if name.split(".")[0] == room)
    lines = sum(bool(line.strip()) for line in own.split("\n"))
    assert 100 * len(COMMENT.findall(own)) / lines >= FEWEST_COMMENTS


def test_no_list_is_multiplied_by_a_truth() -> None:
    assert [(name, line) for name, text in FILES.items() for line in iterate_products(text)] == []


@pytest.mark.parametrize("text", ["['x'] * bool(a)", "f'{a}' * (a > 1)", "(not a) * 'x'", "[a] * (a is not None)"])
def test_a_multiplied_truth_is_found(text: str) -> None:
    assert list(iterate_products(text)) == [1]


@pytest.mark.parametrize("text", ["f'| {a} | {b} |'", "'|---|---|'", "'\\n| --- | ---: |'"])
def test_a_row_by_hand_is_found(text: str) -> None:
    assert list(iterate_rows(text.replace("'", '"'))) == [1]


def test_no_object_forwards_what_it_was_not_written_for() -> None:
    found = {name for name, text in PRODUCT.items() if "def __getattr__" in text}
    assert found == FORWARDS


def test_no_layout_is_kept_from_the_formatter() -> None:
    word = "fmt: " + "skip"
    assert [name for name, text in FILES.items() if word in text] == []


def test_no_words_are_joined_by_a_character_that_is_split_again() -> None:
    joined = re.compile(r"""b?["']\\(?:0|x00)["']\.join\(""")
    assert [name for name, text in PRODUCT.items() if joined.search(text)] == []


@pytest.mark.parametrize("name", [name for name, text in PRODUCT.items() if ">>> " in text])
def test_an_example_of_a_docstring_runs(name: str) -> None:
    failed, tried = doctest.testmod(importlib.import_module(name))
    assert tried > 0
    assert failed == 0
