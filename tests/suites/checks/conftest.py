"""Every finding that a check makes in these tests is whole: reports, the gate and known failures read its fields."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from fnmatch import fnmatchcase
from typing import Any

import pytest
import yaml

from cli.codes.catalogue import CHECKS
from matrix.known.said import read_said
from reports.evidence.finding import Finding
from tests.suites.saying import WRITING

KNOWN = tuple(yaml.safe_load(CHECKS.read_text(encoding="utf-8")))


@pytest.fixture(autouse=True)
def whole_findings(monkeypatch: pytest.MonkeyPatch, pytestconfig: pytest.Config) -> None:
    """Look at each finding where it is made, so that no test has to name every field of every check."""
    made: Callable[..., None] = Finding.__init__
    writing = pytestconfig.stash.get(WRITING, False)

    def make(self: Finding, **fields: Any) -> None:
        made(self, **fields)
        if sys._getframe(1).f_globals["__name__"].startswith("suites.checks."):
            require_whole(self)
            # Signatures of known failures are held against these sentences: `make generate` adds a new check's.
            assert writing or self.ok or not self.detail or self.check in read_said(), f"{self.check}: make generate"

    monkeypatch.setattr(Finding, "__init__", make)


def require_whole(found: Finding) -> None:
    """Assert that a finding can be filed, shown and matched."""
    assert re.fullmatch(r"[a-z][a-z0-9_.:-]*", found.check), found.check
    assert any(fnmatchcase(found.check, known) for known in KNOWN), f"{found.check!r} is no check of {CHECKS.name}"
    for text in (found.expected, found.got, found.item, found.detail, found.note):
        assert isinstance(text, str)
    assert isinstance(found.ok, bool) and isinstance(found.sensitive, bool)
    assert found.expected and found.got != "None"
    assert found.ok or found.detail or found.expected != found.got, f"{found.check} says not what is wrong"
    json.dumps(dict(found.data))  # NaN becomes text when the record is written
    assert all(re.fullmatch(r"[a-z][a-z0-9_.]*", key) for key in found.data), found.data
