"""The fast reader of lines reads what the strict one reads, to the same value, and leaves the rest to it."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from matrix.judging.foreign_json import DEEPEST, UnreadableJson, parse_foreign_json
from reports.evidence import canonical
from reports.evidence.canonical import read_canonical, read_canonical_lines
from reports.evidence.files import format_line, parse_line, parse_lines
from reports.evidence.types import SCHEMA, dump_record
from tests.reports import world

needs_orjson = pytest.mark.skipif(canonical._orjson is None, reason="orjson is not installed here: make env")
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


def read_strictly(line: bytes) -> Any:
    try:
        return parse_foreign_json(line, numbers=False)
    except UnreadableJson:
        return None


@needs_orjson
def test_every_line_of_ours_is_read_fast() -> None:
    for record in world.seal(world.paired()):
        line = format_line(dump_record(record))
        assert read_canonical(line) == json.loads(line)


@needs_orjson
@pytest.mark.parametrize(
    "value", [1e-5, 1.5e-5, -4.4e-6, 1e-7, 1e16, 1.5e300, 0.00012099010928070987, -0.0, 2**64 - 1, "e-5", '1": 2']
)
def test_how_a_float_is_spelled_is_no_other_line(value: float | str) -> None:
    line = format_line({"a": value, "b": {str(value): [value]}})
    assert repr(read_canonical(line)) == repr(json.loads(line))


@pytest.mark.parametrize(
    "line",
    [
        b'{"a":1,"a":1}',
        b'{"a":1e-05,"a":1e-05}',
        b'{"b":{"a":1,"a":2}}',
        b'{"a":18446744073709551616}',
        b'{"a":1e-05,"b":18446744073709551616}',
        b'{"a":0.00012345678901234567,"b":-18446744073709551615}',
        b'{"a":NaN}',
        b'{"a":1e400}',
        b'{"a":"\\ud800"}',
        b'{"a":"\xff"}',
        b'{"a":' * (DEEPEST + 1) + b"1" + b"}" * (DEEPEST + 1),
        b"[" * (DEEPEST + 1) + b"]" * (DEEPEST + 1),
        b"[" * 100_000,
        b'{"b":1,"a":1}',
        b'{"a": 1}',
        b'{"a":1} {}',
        b"",
    ],
)
def test_what_is_not_canonical_is_left_to_the_strict_reader(line: bytes) -> None:
    assert read_canonical(line + b"\n") is None


@needs_orjson
@given(JSON)
@settings(max_examples=25)
def test_both_readers_read_the_same_value(value: Any) -> None:
    try:
        line = format_line({"a": value})
    except UnicodeEncodeError:
        return
    fast, strict = read_canonical(line), read_strictly(line)
    assert fast is None or repr(fast) == repr(strict)


def test_without_the_library_the_strict_reader_reads_it_all(monkeypatch: pytest.MonkeyPatch) -> None:
    line = format_line(dump_record(world.seal(world.paired())[0]))
    fast = parse_line(line, set())
    monkeypatch.setattr(canonical, "_orjson", None)
    assert read_canonical(line) is None
    assert parse_line(line, set()) == fast


LINES = [b'{"a":%d,"b":{"c":[1.5,"x"]}}\n' % n for n in range(20)]


@needs_orjson
def test_many_lines_are_read_at_once_to_a_value_each() -> None:
    lines = [*LINES, format_line({"a": 1e-05, "b": "§"}), b'{"b":1,"a":2}\n']
    assert read_canonical_lines(b"".join(lines)) == [json.loads(line) for line in lines]


@needs_orjson
@pytest.mark.parametrize("depth", [DEEPEST, DEEPEST + 1])
def test_many_lines_are_as_deep_as_one_may_be(depth: int) -> None:
    deep = b'{"a":' * (depth - 1) + b"[1]" + b"}" * (depth - 1) + b"\n"
    assert (read_canonical_lines(b"".join(LINES) + deep) is not None) == (depth == DEEPEST)
    assert (read_canonical(deep) is not None) == (depth == DEEPEST)


@pytest.mark.parametrize(
    "odd",
    [
        [b'{"a":1,"a":1}\n'],
        [b'{"a":1e-05,"a":1e-05}\n'],
        [b'{"a":18446744073709551616}\n'],
        [b'{"a":NaN}\n'],
        [b'{"a":"\\ud800"}\n'],
        [b'{"a":"\xff"}\n'],
        [b'{"a":1'],
        [b"\n"],
        [b'{"a":1}{"a":2}\n'],
        [b'{"a": 1}\n'],
        [b'{"a":1},{"a":2}\n'],
        [b'{"a":[[{"x":1}\n', b'{"y":2}]]}\n'],
        [b'{"a":[[{"x":1}\n', b'{"y":2}]]}\n', b'{"a":1},{"a":2}\n'],
        [b'{"a":[[{"x":1}\n', b'{"y":2}]]}\n', b'{"a":1},"a line ends here",{"a":2}\n'],
        [b'{"a":["b","a line ends here",1]}\n'],
    ],
)
def test_among_many_lines_none_passes_that_alone_would_not(odd: list[bytes]) -> None:
    """Two halves of a value on two lines are none, nor are two values on one, nor both together."""
    for lines in ([*LINES, *odd], [*odd, *LINES], odd):
        assert read_canonical_lines(b"".join(lines)) is None


@needs_orjson
@given(st.lists(JSON, min_size=1, max_size=5))
@settings(max_examples=25)
def test_many_lines_are_read_as_the_strict_reader_reads_each(values: list[Any]) -> None:
    lines = [format_line({"a": value}) for value in values]
    fast = read_canonical_lines(b"".join(lines))
    assert fast is None or repr(fast) == repr([read_strictly(line) for line in lines])


def test_what_a_newer_writer_adds_is_kept_also_where_its_run_stands_among_the_lines() -> None:
    head = {"t": "2026-01-01T00:00:00+00:00", "run": "r"}
    run = format_line({**head, "kind": "run", "schema": SCHEMA + 1})
    added = {"kind": "finding", "check": "c", "ok": True, "expected": "", "got": "", "colour": 1}
    _, found = parse_lines(run + format_line({**head, **added}), set())
    assert found.more == {"colour": 1}
    with pytest.raises(ValueError, match="colour"):
        list(parse_lines(format_line({**head, **added}), set()))


@pytest.mark.parametrize("change", [{"kind": "colour"}, {"kind": ["finding"]}, {"kind": None}, {"more": {}}, {"ok": 1}])
def test_a_line_that_is_not_plainly_a_record_is_refused_among_many_as_it_is_alone(change: dict[str, Any]) -> None:
    said = {"t": "2026-01-01T00:00:00+00:00", "run": "r", "kind": "finding", "check": "c", "ok": True}
    line = format_line({**said, "expected": "", "got": "", **change})
    with pytest.raises(ValueError) as alone:
        parse_line(line, set())
    with pytest.raises(ValueError, match=re.escape(str(alone.value))):
        list(parse_lines(line * 2, set()))


def test_a_damaged_line_among_many_is_told_as_it_is_alone() -> None:
    with pytest.raises(ValueError, match="a key occurs twice"):
        list(parse_lines(b'{"a":1,"a":1}\n' + b"".join(LINES), set()))
