"""Numbers outside the bounds of the release's own fields."""

from __future__ import annotations

import pytest

from tests.matrix.checking.test_guarded import examine


@pytest.mark.parametrize(
    ("added", "told"),
    [
        ("--gpu-memory-utilization 95", True),
        ("--gpu-memory-utilization 0", True),
        ("--gpu-memory-utilization 1", False),
        ("--max-num-seqs 0", True),
        ("--max-model-len -1", False),
        ("--max-model-len 128k", False),
    ],
)
def test_a_number_outside_the_bounds_of_its_field_is_wrong(added: str, *, told: bool) -> None:
    found = {finding.id: finding.level for finding in examine("vllm", {}, added).findings}
    assert ("value_out_of_bounds" in found) == told
