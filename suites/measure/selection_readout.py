"""Reads which tokens each layer selected out of an engine that hands them out, where the reference has scores of them.

SGLang answers /generate alone with them: 4 bytes x index_topk x layers for each token, base64 in JSON, so 129 MB for a
prompt of 2,952 tokens and four layers. The rows of three tokens are kept, and a replay judges those.

The reference scores (`canary_selection.npz`, float16) are transformers' in float32 for the undecided prompt: [rows,
layers, tokens] of canary_bf16 without sharing layers. They hold for every full layer that no sharing layer precedes.
"""

from __future__ import annotations

import base64
import zlib
from binascii import Error as NotBase64
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from fixtures.banks.item import Item
from fixtures.client.client import Client
from fixtures.client.tape import LIVE
from fixtures.weights.locate import find_weights
from matrix.checkout import CHECKOUT
from matrix.errors import EngineReplyMalformed
from matrix.judging.selection import SelectedRow
from matrix.model import Checkpoint
from suites.checks.frozen import prompt_sha256
from suites.measure.rendering import make_encoder

FILE: Final = CHECKOUT / "suites" / "data" / "canary_selection.npz"
PATH: Final = "/generate"
REPLY_BYTES: Final = 256 << 20  # twice the reply above
WORD_BYTES: Final = 4  # int32, little-endian
SHOWN_CHARS: Final = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Scores:
    """The reference's scores: `at` the positions of the rows, `values` [rows, layers, tokens]."""

    at: tuple[int, ...]
    values: Any


def read_scores(item: Item, weights_sha256: str, file: Path = FILE) -> Scores | None:
    """Read the scores that were recorded for this prompt and these weights; None where none were."""
    import numpy as np  # late, as in every module that a collection imports: 14 MB

    with np.load(file) as held:
        if (str(held["prompt_sha256"]), str(held["weights_sha256"])) != (prompt_sha256(item), weights_sha256):
            return None
        return Scores(at=tuple(held["at"].tolist()), values=held["scores"].astype(float))


def read_selection(
    client: Client, checkpoint: Checkpoint, item: Item, scores: Scores, index_topk: int
) -> list[SelectedRow]:
    """Ask for the selection and return the rows of which there are scores; none where the engine hands out none.

    Raises:
        EngineReplyMalformed: what it hands out has another shape.
    """
    asked = {"prompt_sha256": prompt_sha256(item), "rows": list(scores.at)}
    layers = scores.values.shape[1]

    def ask() -> str:
        ids = make_encoder(find_weights(checkpoint))(item)
        body = {"input_ids": ids, "sampling_params": {"max_new_tokens": 1, "temperature": 0}}
        own = replace(client, tape=LIVE, body_bytes=REPLY_BYTES)  # the whole reply is too long to be kept
        said = own.post_document(PATH, {**body, "return_indexer_topk": True})
        return pack_rows(said, scores.at, (len(ids), layers, index_topk))

    return list(_iterate_rows(client.tape.note("selection", asked, ask), scores, (layers, index_topk)))


def pack_rows(said: Mapping[str, Any], at: tuple[int, ...], shape: tuple[int, int, int]) -> str:
    """Pack the rows `at` of a reply's selection [tokens, layers, index_topk] as text; empty where it has none.

    Raises:
        EngineReplyMalformed: the selection is no base64, or has another size.
    """
    info = said.get("meta_info")
    handed = info.get("indexer_topk") if isinstance(info, Mapping) else None
    import numpy as np

    if handed is None:
        return ""
    wanted = WORD_BYTES * shape[0] * shape[1] * shape[2]
    try:
        raw = base64.b64decode(handed, validate=True)
    except (NotBase64, TypeError, ValueError):
        raise EngineReplyMalformed("its selection is no base64", received=repr(handed)[:SHOWN_CHARS]) from None
    if len(raw) != wanted:
        why = f"its selection has {len(raw)} bytes, {wanted} are {' x '.join(map(str, shape))} words of {WORD_BYTES}"
        raise EngineReplyMalformed(why, received=repr(handed)[:SHOWN_CHARS])
    rows = np.frombuffer(raw, dtype="<i4").reshape(shape)[list(at)]
    return base64.b64encode(zlib.compress(rows.tobytes())).decode()


def _iterate_rows(packed: str, scores: Scores, shape: tuple[int, int]) -> Iterator[SelectedRow]:
    import numpy as np

    if not packed:
        return
    most = WORD_BYTES * len(scores.at) * shape[0] * shape[1]
    raw = zlib.decompressobj().decompress(base64.b64decode(packed), most)
    rows = np.frombuffer(raw, dtype="<i4").reshape(len(scores.at), *shape)
    for position, selected, seen in zip(scores.at, rows, scores.values, strict=True):
        for layer in range(shape[0]):
            yield SelectedRow(
                position=position, layer=layer, selected=selected[layer].tolist(), scores=seen[layer].tolist()
            )
