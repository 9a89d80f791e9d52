"""What SGLang handed out on an H200 is judged as it came, again from what was kept, and each wrong selection fails."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from fixtures.banks.canary_bank import CanaryBank
from fixtures.client.client import Client
from fixtures.client.tape import LIVE, RecordingAsker, Replaying, Tape
from matrix.checkout import CHECKOUT
from matrix.errors import EngineReplyMalformed
from matrix.planning.expand import expand_matrix
from matrix.planning.named import list_runnable_named
from matrix.planning.plan import Plan, make_plan
from matrix.yaml.load import load_matrix
from suites import test_selection
from suites.measure import selection_readout
from suites.measure.references import weights_sha256
from suites.measure.selection_readout import pack_rows, read_scores
from tests.suites.world import Recorder

RECORDED = CHECKOUT / "docs" / "evidence" / "sm90-h200" / "selection.npz"
BASE = "sm90x1.sglang_0_5_23.canary_bf16."
TOKENS, TOPK = 2952, 2048
BANK = CanaryBank()
Change = Callable[[Any], Any]


def planned(name: str) -> Plan:
    cells = (*expand_matrix(load_matrix()).runnable, *list_runnable_named(load_matrix(), [name]))
    return make_plan(load_matrix(), next(cell for cell in cells if cell.id == name))


def handed_out(launch: str, change: Change = lambda rows: rows) -> Any:
    """Return the rows that were recorded: [rows, layers, index_topk]."""
    return change(np.load(RECORDED)[launch].astype("<i4"))


def spread(rows: Any) -> Any:
    """Return the same rows as an engine sends them, among those of all tokens: 97 MB."""
    whole = np.zeros((TOKENS, 4, TOPK), dtype="<i4")
    whole[np.load(RECORDED)["at"]] = rows
    return whole


class Engine(Client):
    """A client whose engine answers /generate with these rows."""

    def post_document(self, path: str, body: Any) -> Any:
        assert (path, body["return_indexer_topk"], len(body["input_ids"])) == ("/generate", True, TOKENS)
        rows = SAID["rows"]
        return {"meta_info": {} if rows is None else {"indexer_topk": base64.b64encode(rows.tobytes()).decode()}}


SAID: dict[str, Any] = {}


def asked(name: str, rows: Any, tape: Tape = LIVE) -> Recorder:
    plan, evidence = planned(BASE + name), Recorder()
    SAID["rows"] = rows
    client = Engine(base_url="http://127.0.0.1:1", model="m", tape=tape)
    with pytest.MonkeyPatch.context() as patch:
        if rows is not None and len(rows) != TOKENS:  # only these rows came: a whole reply takes a second
            patch.setattr(
                selection_readout, "pack_rows", lambda said, at, shape: pack_rows(said, (0, 1, 2), (3, 4, TOPK))
            )
        test_selection.test_selects_what_the_reference_selects(
            cell=plan.cell, plan=plan, client=client, bank=BANK, evidence=evidence
        )
    return evidence


def test_the_cells_ask_for_it_by_flag_and_by_default() -> None:
    plan = planned(BASE + "selection_readout")
    said = {s.path[-1]: s.value for section in ("args", "env") for s in plan.sections[section]}
    assert said["--enable-return-indexer-topk"] is True
    assert said["SGLANG_DSA_FUSE_TOPK"] == "0", "else places in the KV pool are handed out"


@pytest.mark.parametrize(
    ("name", "launch", "proven"),
    [
        ("selection_readout", "baseline", ["selection_readout", "dsa"]),
        ("indexcache_selection_readout", "indexcache", ["selection_readout", "dsa", "indexcache"]),
    ],
)
def test_what_was_handed_out_on_an_h200_is_right(name: str, launch: str, proven: list[str]) -> None:
    evidence = asked(name, spread(handed_out(launch)))
    assert [(f, o) for f, o, _ in evidence.proofs] == [(f, "proven") for f in proven]
    assert [(f.check, f.ok, f.sensitive) for f in evidence.findings] == [("selection.rows", True, True)]


def stale(rows: Any) -> Any:
    return np.concatenate([rows[:, :2], rows[:, 1:2], rows[:, 3:]], 1)


def shifted(rows: Any) -> Any:
    moved = rows.copy()
    moved[1, 1] = np.where(rows[1, 1] < 2400, rows[1, 1] + 1, 0)
    return moved


def anothers(rows: Any) -> Any:
    return np.concatenate([np.minimum(rows[1:], 2400)[:1], rows[1:]])


PLANTS: dict[str, tuple[str, str, Change, str]] = {
    "one layer is stale": ("selection_readout", "baseline", stale, "layer 2, position 2060"),
    "one row is shifted": ("selection_readout", "baseline", shifted, "layer 1, position 2400"),
    "another request's rows": ("selection_readout", "baseline", anothers, "position 2060"),
    "IndexCache that is ignored": ("indexcache_selection_readout", "baseline", lambda r: r, "with which it shares"),
    "IndexCache that was not asked for": ("selection_readout", "indexcache", lambda r: r, "are not the reference's"),
    "nothing was captured": ("selection_readout", "baseline", lambda r: 0 * r, "tokens are selected twice"),
}


@pytest.mark.parametrize(("name", "launch", "change", "told"), PLANTS.values(), ids=PLANTS)
def test_a_wrong_selection_fails_and_refutes(name: str, launch: str, change: Change, told: str) -> None:
    with pytest.raises(AssertionError, match=r"selection\.rows: NOT OK") as caught:
        asked(name, handed_out(launch, change))
    assert told in str(caught.value)


def test_what_was_kept_is_judged_again_alike() -> None:
    rows = handed_out("baseline", shifted)
    keeping = RecordingAsker()
    with pytest.raises(AssertionError) as first:
        asked("selection_readout", rows, Tape(keeping))
    (kept,) = keeping.exchanges()
    with pytest.raises(AssertionError) as again:
        asked("selection_readout", None, Tape(Replaying([kept])))
    assert str(again.value) == str(first.value)


def test_an_engine_that_hands_out_nothing_is_no_evidence() -> None:
    with pytest.raises(pytest.skip.Exception, match=r"^NOT_EVIDENCE: the replies of this engine hold no selection"):
        asked("selection_readout", None)


@pytest.mark.parametrize("checkpoint", ["canary_fp8", "canary_reap160"])
def test_a_checkpoint_without_scores_is_no_evidence(checkpoint: str) -> None:
    plan = planned(f"sm90x1.sglang_0_5_23.{checkpoint}.selection_readout")
    with pytest.raises(pytest.skip.Exception, match=f"^NOT_EVIDENCE: no scores were recorded for {checkpoint}"):
        test_selection.test_selects_what_the_reference_selects(
            cell=plan.cell, plan=plan, client=Engine("http://127.0.0.1:1", "m"), bank=BANK, evidence=Recorder()
        )


def test_the_scores_are_of_todays_prompt_and_weights() -> None:
    item = BANK.unsure(index_topk=TOPK)
    assert item is not None
    scores = read_scores(item, weights_sha256(planned(BASE + "selection_readout").cell.checkpoint))
    assert scores is not None and (scores.at, scores.values.shape) == ((2060, 2400, 2951), (3, 4, TOKENS))
    assert read_scores(item, "0" * 64) is None


@pytest.mark.parametrize(("handed", "why"), [("%%%", "is no base64"), (7, "is no base64"), ("AAAA", "has 3 bytes, 96")])
def test_a_selection_of_another_shape_is_malformed(handed: Any, why: str) -> None:
    with pytest.raises(EngineReplyMalformed, match=why):
        pack_rows({"meta_info": {"indexer_topk": handed}}, (0,), (3, 2, 4))


def test_the_whole_reply_fits_its_bound() -> None:
    assert 4 * 4 * TOKENS * 4 * TOPK / 3 < selection_readout.REPLY_BYTES
