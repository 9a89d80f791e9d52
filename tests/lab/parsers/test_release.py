"""A wheel is unpacked, and what ran is held against its RECORD."""

from __future__ import annotations

import base64
import hashlib
import zipfile
from pathlib import Path

import pytest

from lab.parsers.release import pins_of, unpack_wheel, verify_modules
from matrix.errors import HostError

METADATA = """Name: toy
Requires-Dist: openai==2.8.0
Requires-Dist: Partial_JSON_Parser
Requires-Dist: pydantic>=2; extra == "dev"
Requires-Dist: orjson>=9; python_version < "3"
"""


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    text = b"answer = 42\n"
    digest = base64.urlsafe_b64encode(hashlib.sha256(text).digest()).rstrip(b"=").decode()
    path = tmp_path / "toy-1-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("toy/parser.py", text)
        archive.writestr("toy/weights.so", b"\x00")
        archive.writestr("toy-1.dist-info/METADATA", METADATA)
        archive.writestr("toy-1.dist-info/RECORD", f"toy/parser.py,sha256={digest},{len(text)}\n")
    return path


def test_text_is_unpacked_and_binaries_are_not(wheel: Path, tmp_path: Path) -> None:
    unpacked = unpack_wheel(wheel, tmp_path / "root")
    assert [path.name for path in (tmp_path / "root").rglob("*.*")] == ["parser.py"]
    assert unpacked.sha256 == hashlib.sha256(wheel.read_bytes()).hexdigest()


def test_a_file_that_ran_is_the_one_of_record(wheel: Path, tmp_path: Path) -> None:
    unpacked = unpack_wheel(wheel, tmp_path / "root")
    file = tmp_path / "root" / "toy" / "parser.py"
    assert verify_modules(unpacked, [str(file)]) == 1
    file.write_text("answer = 43\n")
    with pytest.raises(HostError, match="RECORD"):
        verify_modules(unpacked, [str(file)])


def test_the_releases_own_pins_are_taken_where_it_has_one(wheel: Path, tmp_path: Path) -> None:
    names = ("openai", "partial-json-parser", "pydantic", "orjson")
    assert pins_of(unpack_wheel(wheel, tmp_path / "root"), names) == [
        "openai==2.8.0",
        "Partial_JSON_Parser",
        "pydantic",
        "orjson",
    ]
