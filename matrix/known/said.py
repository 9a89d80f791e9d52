"""What the suites' checks say of failures, by check: the sentences of which a signature may fit one kind alone. Pure.

matrix/known/said.json is generated from the tests of the checks (tests/suites/saying.py).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Final

from matrix.checkout import CHECKOUT

FILE: Final = CHECKOUT / "matrix" / "known" / "said.json"
# What differs between two cases of one failure: what is quoted or called, numbers, and lists of these.
_QUOTED: Final = re.compile(r"'(?:[^'\\\n]|\\.)*'|\"(?:[^\"\\\n]|\\.)*\"")
_CALLED: Final = re.compile(r"\b\w+\([^()\n]*\)")
_NUMBER: Final = re.compile(r"-?\b\d[\w.,%]*|\b(?:nan|inf)\b")
_LIST: Final = re.compile(r"([QN])(?:,? [QN])+")


@cache
def read_said(file: Path = FILE) -> Mapping[str, Sequence[str]]:
    """Read the generated sentences by check, once per process."""
    said: Mapping[str, Sequence[str]] = json.loads(file.read_text(encoding="utf-8"))
    return said


def name_kind(saying: str) -> str:
    """Name the kind of failure that a sentence is about: the sentence without what differs from case to case.

    >>> name_kind("position 3: 'a' and 'b' are 0.5 nats apart, no tie")
    'position N: Q and Q are N nats apart, no tie'
    """
    bare = _NUMBER.sub("N", _CALLED.sub("F", _QUOTED.sub("Q", saying)))
    return _LIST.sub(r"\1", bare)
