"""The KV numbers of two published recipes fall out of the layouts."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from matrix import __main__ as command
from matrix.model import Cell, Form
from matrix.planning import expand, fit
from matrix.planning.fit import Fit, Rank, kv_bytes_per_token, share_weights, word_of_plan
from matrix.planning.plan import make_plan
from matrix.preflight import __main__ as preflight
from matrix.preflight.plans import judge_plan
from matrix.yaml.load import load_matrix

MATRIX = load_matrix()
MISFIT = "sm90x8.sglang_0_5_17.glm51_555b_bf16.mtp"  # 131 GiB of weights and a draft on each 140 GiB
FITS = "sm90x8.sglang_0_5_17.glm51_555b_bf16.baseline"
GIB = 2**30


def rank(**changes: Any) -> Rank:
    return replace(Rank(vram_bytes=100 * GIB, weights_bytes=50 * GIB, row_bytes=100_000, share=0.9), **changes)


def cell_of(name: str) -> Cell:
    found = expand.find_cell(MATRIX, name)
    assert found is not None
    return found


def test_seed_001_held_691392_tokens_in_64_gib_of_dsa_bf16() -> None:
    checkpoint = load_matrix().checkpoints["glm5_fp8"]
    tokens = 64.49 * 2**30 / kv_bytes_per_token(checkpoint, "dsa_bf16")
    assert abs(tokens / 691_392 - 1) < 0.001


def test_seed_004_held_270k_tokens_in_11_gib_which_is_the_dense_layout() -> None:
    checkpoint = load_matrix().checkpoints["glm51_478b_nvfp4"]
    tokens = 11.3 * 2**30 / kv_bytes_per_token(checkpoint, "dense_fp8")
    assert abs(tokens / 270_060 - 1) < 0.001


def test_indexer_keys_are_counted_only_on_layers_that_run_the_indexer() -> None:
    checkpoint = load_matrix().checkpoints["glm5_fp8"]
    saved = kv_bytes_per_token(checkpoint, "dsa_bf16") - kv_bytes_per_token(checkpoint, "dsa_bf16", indexer_layers=40)
    assert saved == 38 * 132


@pytest.mark.parametrize(
    ("changes", "needed", "word"),
    [
        ({}, 131_072, "fits"),
        ({"weights_bytes": 80 * GIB}, 131_072, "does not fit"),
        ({"weights_bytes": 77 * GIB}, 131_072, "tight"),
        ({"share": 0.5}, 1, "does not fit"),  # the weights alone are more than the share
        ({"share": 0.9, "of_free": True, "weights_bytes": 95 * GIB}, 1, "fits"),
        ({"row_bytes": 600_000}, 131_072, "does not fit"),
        ({"row_bytes": 400_000}, 131_072, "tight"),
        ({"reserved_bytes": fit.find_reserve(draft=True) + 30 * GIB}, 131_072, "does not fit"),
    ],
)
def test_the_word_follows_from_weights_share_rows_and_reserves(changes: dict[str, Any], needed: int, word: str) -> None:
    found = Fit(rank=rank(**changes), needed_context_tokens=needed)
    assert (found.word, found.ok) == (word, word != "does not fit")
    assert f"{needed:,} are needed" in found.explain()


def test_a_draft_costs_its_layer_and_its_worker() -> None:
    plain, drafts = (fit.fit_of_plan(make_plan(MATRIX, cell_of(name))) for name in (FITS, MISFIT))
    assert plain is not None and drafts is not None
    assert drafts.rank.reserved_bytes - plain.rank.reserved_bytes == fit.DRAFT_BYTES
    assert drafts.rank.row_bytes > plain.rank.row_bytes


def test_the_share_is_the_plan_s_own_and_where_it_states_none_its_engine_s() -> None:
    stated = fit.fit_of_plan(make_plan(MATRIX, cell_of(FITS)))
    default = fit.fit_of_plan(make_plan(MATRIX, cell_of(FITS), "published"))
    assert stated is not None and default is not None
    assert (stated.rank.share, default.rank.share) == (0.97, fit.DEFAULT_SHARE["sglang"])


def test_a_release_that_keeps_every_indexer_is_charged_for_it() -> None:
    old, new = (f"sm100x8.{r}.glm51_478b_nvfp4.indexcache" for r in ("sglang_0_5_17", "sglang_0_5_23"))
    found = [fit.fit_of_plan(make_plan(MATRIX, cell_of(name))) for name in (old, new)]
    assert found[0] is not None and found[1] is not None
    assert found[0].rank.row_bytes > found[1].rank.row_bytes


def test_what_surely_fits_needs_no_plan_to_say_so() -> None:
    """The prefilter of the expansion may spare a plan and never a verdict."""
    for cell in expand.expand_matrix(MATRIX).runnable[::7]:
        if fit.surely_fits(cell.checkpoint, cell.rig):
            assert word_of_plan(make_plan(MATRIX, cell)) in ("fits", "not known"), cell.id


FORMS: list[tuple[str, Form]] = [(MISFIT, "recommended"), (FITS, "published")]


@pytest.mark.parametrize(("name", "form"), FORMS)
def test_a_launch_that_does_not_fit_is_rejected_and_every_command_says_so(
    name: str, form: Form, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [name, *(["--as-published"] if form == "published" else [])]
    assert judge_plan(make_plan(MATRIX, cell_of(name), form)).verdict == "reject"
    for main in (preflight.main, lambda w: command.main(["show", *w]), lambda w: command.main(["explain", *w])):
        assert main(words) == 1
        assert "does not fit: weights 131.0 GiB" in capsys.readouterr().out
    assert preflight.main([*words, "--json"]) == 1
    said = json.loads(capsys.readouterr().out)
    assert (said["verdict"], said["fit"]) == ("reject", "does not fit")
    assert [r["kind"] for r in said["remarks"] if r["level"] == "error"] == ["does_not_fit"]


def test_a_launch_that_does_not_fit_is_no_runnable_cell(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["list", "--cells", MISFIT, "--excluded"]) == 1
    assert "INVALID_HW does_not_fit" in capsys.readouterr().out
    assert command.main(["why-not", MISFIT]) == 0
    assert "rule does_not_fit" in capsys.readouterr().out
    assert command.main(["why-not", FITS]) == 0
    assert "would not be run as published" in capsys.readouterr().out


def test_a_launch_that_fits_says_so_in_the_same_words(capsys: pytest.CaptureFixture[str]) -> None:
    assert preflight.main([FITS, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["fit"] == "fits"
    assert command.main(["list", "--cells", FITS, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["cells"][0]["fit"] == "fits"
    assert command.main(["show", FITS]) == 0
    assert "does not fit" not in capsys.readouterr().out


def test_what_every_replica_holds_is_not_shared() -> None:
    assert share_weights(1000, 8) == 125
    assert share_weights(1000, 8, 8) == 120 + 40  # 960 of experts over eight ranks, the other 40 on each
    assert share_weights(1000, 8, 2) == 120 + 10
