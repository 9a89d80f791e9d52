"""Lists ordinary words of this project: hiding one of them as a secret would rewrite cells, tests and verdicts."""

from __future__ import annotations

import re
from dataclasses import fields
from functools import cache
from typing import Final

from matrix.checkout import CHECKOUT
from matrix.judging.status import Status
from matrix.model import Engine, Release
from matrix.yaml.load import load_matrix
from reports.evidence import types as record

SUITES: Final = CHECKOUT / "suites"
# What engines, evidence and pages are full of; a variable that holds one of these keeps no secret with it.
PLAIN: Final = """
baseline default python docker podman linux ubuntu debian localhost 127.0.0.1 string number object message messages
content system assistant function tools tokens prompt engine server client model models weights config passed failed
skipped expected received finding measurement proof launch result green orange yellow secret password changeme
example testing development production staging
"""
TEST: Final = re.compile(r"def (test_\w+)")


@cache
def ordinary_words() -> frozenset[str]:
    """List ids of the matrix, names of suites and tests, statuses and fields of evidence, in lower case."""
    matrix = load_matrix()
    words = {*matrix.gpus, *matrix.rigs, *matrix.engines, *matrix.releases, *matrix.checkpoints, *matrix.features}
    words |= {k.value.id for k in matrix.known_failures} | {r.value.id for r in matrix.rules}
    words |= {r.version for r in matrix.releases.values()} | set(map(str, Status)) | set(PLAIN.split())
    words |= {c.repository for c in matrix.checkpoints.values() if c.repository}
    words |= {r.image for r in matrix.releases.values() if r.image}
    words |= {f.name for kind in (Engine, Release, *record.Record.__subclasses__()) for f in fields(kind)}
    for suite in SUITES.glob("test_*.py"):
        words |= {suite.stem, *TEST.findall(suite.read_text(encoding="utf-8"))}
    return frozenset(w.lower() for w in words)


def find_ordinary(value: str) -> str:
    """Find the word that the value is or is part of, e.g. `'canary_bf16'`; empty for none."""
    small = value.lower()
    whole = next((w for w in sorted(ordinary_words()) if small in w), "")
    parts = [p for p in re.split(r"[.\s]+", small) if p]  # of a cell's id
    return whole or (value if len(parts) > 1 and all(p in ordinary_words() for p in parts) else "")
