"""A plan as a line, and what whoever sends requests to its launch must know."""

from __future__ import annotations

import pytest

from matrix.checking.of_plan import list_client_notes, make_command, tell_clients
from matrix.checking.rules import read_checks
from matrix.planning.expand import find_cell
from matrix.planning.plan import Plan, make_plan
from matrix.yaml.load import load_matrix

MATRIX = load_matrix()
ALWAYS, TOOLS = "thinking_cannot_be_switched_off", "tools_and_thinking_switched_off"


def plan_of(cell_id: str) -> Plan:
    cell = find_cell(MATRIX, cell_id)
    assert cell is not None
    return make_plan(MATRIX, cell)


@pytest.mark.parametrize(
    ("cell_id", "ids"),
    [
        ("sm90x8.sglang_0_5_23.glm53_fp8.baseline", {ALWAYS, TOOLS}),
        ("sm90x8.sglang_0_5_23.glm53flash_fp8.baseline", {ALWAYS, TOOLS}),
        ("sm90x8.sglang_0_5_17.glm53_fp8.baseline", {ALWAYS}),  # before the grammar took the thought from the request
        ("sm90x8.vllm_0_33_0.glm53_fp8.baseline", {ALWAYS}),
        ("sm90x8.sglang_0_5_23.glm52_fp8.mtp", set()),
        ("sm90x1.sglang_0_5_23.canary_thinking.baseline", {ALWAYS, TOOLS}),  # by its family, without a repository
    ],
)
def test_a_launch_tells_its_clients_what_no_flag_says(cell_id: str, ids: set[str]) -> None:
    assert {note.id for note in list_client_notes(plan_of(cell_id))} == ids


def test_the_notes_are_comments_and_say_what_to_do() -> None:
    lines = tell_clients(plan_of("sm90x8.sglang_0_5_23.glm53_fp8.baseline"))
    assert all(line.startswith("#") and len(line) <= 120 for line in lines)
    assert "Let no client send enable_thinking: false" in " ".join(line.strip("# ") for line in lines)
    assert tell_clients(plan_of("sm90x8.sglang_0_5_23.glm52_fp8.mtp")) == []


def test_only_notes_are_for_clients() -> None:
    marked = [check for check in read_checks() if check.clients]
    assert marked and all(check.level == "note" for check in marked)


def test_the_line_names_the_repository() -> None:
    command = make_command(plan_of("sm90x8.vllm_0_33_0.glm53_fp8.baseline"))
    assert "zai-org/GLM-5.3" in [word.text for word in command.argv] and command.engine == "vllm"
