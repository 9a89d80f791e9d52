"""Stand-ins are taken for anything while modules are imported, and never answer a parser."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.parsers import standins

PACKAGE = "toyengine"
PARSER = """
import torchlike
from toyengine.kernels import Base, LIMIT, register
from toyengine.logger import init_logger
from toyengine.logger import logger as shared_logger

logger = init_logger(__name__)


@register("op")
class Parser(Base):
    kind: "torchlike.dtype | None" = None

    def parse(self, text):
        logger.info("parsing")
        shared_logger.error("parsing")
        return text.upper()

    def cheat(self, text):
        return torchlike.decode(text)
"""


@pytest.fixture
def release(tmp_path: Path) -> Iterator[standins.StandIns]:
    package = tmp_path / PACKAGE
    package.mkdir()
    (package / "__init__.py").write_text("raise RuntimeError('the whole server would be imported')")
    (package / "parser.py").write_text(PARSER)
    (package / "kernels.py").write_text("raise RuntimeError('no GPU')")
    finder = standins.install_standins(PACKAGE, str(tmp_path), [rf"{PACKAGE}\.parser"], ["torchlike"])
    yield finder
    sys.meta_path.remove(finder)
    standins._Absent.sealed = False
    for name in [name for name in sys.modules if name.partition(".")[0] in (PACKAGE, "torchlike")]:
        del sys.modules[name]


def test_the_parser_is_the_releases_own_and_what_stands_in_is_listed(release: standins.StandIns) -> None:
    from toyengine.parser import Parser  # type: ignore[import-not-found]

    standins.seal_standins()
    assert Parser().parse("a") == "A"
    assert release.imported == ["torchlike", f"{PACKAGE}.kernels", f"{PACKAGE}.logger"]


def test_a_parser_that_calls_a_stand_in_gets_no_answer(release: standins.StandIns) -> None:
    from toyengine.parser import Parser

    standins.seal_standins()
    with pytest.raises(standins.StandInCalledError, match=r"torchlike\.decode"):
        Parser().cheat("a")


def test_a_library_that_is_not_named_is_not_stood_in_for(release: standins.StandIns) -> None:
    with pytest.raises(ModuleNotFoundError):
        __import__("torchlike_other")
