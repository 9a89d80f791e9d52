"""The names that an engine inherits hold no secret, and each compiler variable says who reads it."""

from __future__ import annotations

from matrix.output.inherited import COMPILE_SPEED, COMPILERS, INHERITED, SECRET


def test_no_listed_name_looks_like_a_secret() -> None:
    assert not [name for name in INHERITED if SECRET.search(name)], "it is listed and would never pass"


def test_what_a_host_compiler_is_decided_by_is_listed_once_with_its_readers() -> None:
    assert {"CC", "CXX", "NVCC_PREPEND_FLAGS", "NVCC_APPEND_FLAGS", "CPATH", "LIBRARY_PATH"} <= COMPILERS.keys()
    assert not COMPILERS.keys() & COMPILE_SPEED.keys() and "MAX_JOBS" in COMPILE_SPEED
    assert all([*COMPILERS.values(), *COMPILE_SPEED.values()])
