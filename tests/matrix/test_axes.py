"""The axes hold what the seeds name, and their numbers agree with each other and with what was published."""

from __future__ import annotations

import re
from typing import Any

import pytest

from matrix.model import Cell, Checkpoint
from matrix.planning import fit, kv
from matrix.planning.expand import expand_matrix, find_cell
from matrix.yaml.load import load_matrix

MATRIX = load_matrix()
WORLD = expand_matrix(MATRIX)
RUNNABLE = frozenset(WORLD.runnable)
GIB = 2**30
BIG = [c for c in MATRIX.checkpoints.values() if not c.canary]


def runnable(**wanted: str) -> list[Cell]:
    return [c for c in WORLD.runnable if all(c.facts[k] == v for k, v in wanted.items())]


def verdict(cell_id: str) -> str:
    cell = find_cell(MATRIX, cell_id)
    assert cell is not None, f"no combination has the id {cell_id}"
    return "runnable" if cell in RUNNABLE else WORLD.excluded[cell].rule


def test_the_rigs_of_the_seeds_are_there() -> None:
    named = {
        "sm90x1_h100": (90, 1),
        "sm90x2_h100": (90, 2),
        "sm90x8_h100": (90, 8),
        "sm90x1": (90, 1),
        "sm90x2": (90, 2),
        "sm90x4": (90, 4),
        "sm90x8": (90, 8),
        "sm100x4": (100, 4),
        "sm100x8": (100, 8),
        "sm120x4": (120, 4),
        "sm120x8": (120, 8),
        "sm120x1_rtx5090": (120, 1),
        "cpu": (0, 0),
    }
    assert named.items() <= {r.id: (r.sm, r.gpus) for r in MATRIX.rigs.values()}.items()


def test_the_checkpoints_of_the_seeds_are_there() -> None:
    assert {c.repository for c in BIG} >= {
        "zai-org/GLM-5-FP8",
        "warnold-nv/GLM-5-nvfp4-v1",
        "lukealonso/GLM-5-NVFP4",
        "lukealonso/GLM-5.1-NVFP4",
        "lukealonso/GLM-5.1-NVFP4-MTP",
        "0xSero/GLM-5.1-478B-NVFP4",
        "0xSero/GLM-5.1-555B-NVFP4",
        "0xSero/GLM-5.1-555B-W4A16",
        "0xSero/GLM-5.1-555B",
        "0xSero/GLM-5.1-555B-GGUF",
        "0xSero/GLM-5.1-444B",
        "0xSero/GLM-5.1-444B-GGUF",
    }


def test_the_releases_of_the_seeds_are_there() -> None:
    versions = {(r.engine, str(r.parsed_version.public)) for r in MATRIX.releases.values() if not r.fork}
    assert versions == {
        ("sglang", "0.5.10.post1"),
        ("sglang", "0.5.17"),
        ("sglang", "0.5.23"),
        ("vllm", "0.16.0"),
        ("vllm", "0.26.0"),
        ("vllm", "0.33.0"),
        ("trtllm", "1.3.0rc3"),
        ("trtllm", "1.3.0rc26"),
        ("llamacpp", "2026.10.11549"),
        ("transformers", "5.23.0"),
    }
    assert {r.image for r in MATRIX.releases.values() if r.fork} == {
        "voipmonitor/sglang:glm51-nsa-luke-a2573ab-b12x0110-20260430",
        "voipmonitor/vllm:glm51-mtp-b12xsparse-ficutlass-topkfix-b12x0111-cg256-20260504",
    }


ASKED = [c for c in MATRIX.checkpoints.values() if c.index_topk_pattern]
FREQUENCY, OFFSET = 4, 3  # index_topk_freq and index_skip_topk_offset of GLM-5.2 and 5.3


def test_layers_share_by_pattern_or_by_the_checkpoint_and_the_count_is_that_of_its_config() -> None:
    """DeepSeek-V3.2 has no published pattern; where the checkpoint shares, 0, 1, 2, 6, ... 74 have indexers."""
    own = [layer for layer in range(78) if not max(layer - OFFSET + 1, 0) % FREQUENCY]
    native = [c for c in BIG if c.index_sharing == "checkpoint"]
    assert {c.family for c in native} == {"glm52", "glm53"}
    assert {c.own_indexers for c in native} == {len(own)} == {21}
    assert own == [0, 1, 2, *range(6, 75, 4)]
    of_its_config = "".join("F" if layer in own else "S" for layer in range(78))
    assert {c.index_topk_pattern for c in native} == {of_its_config}
    assert {c.family for c in BIG if not c.index_topk_pattern} == {"glm53flash", "deepseek_v32"}


@pytest.mark.parametrize("checkpoint", ASKED, ids=lambda c: c.id)
def test_an_indexcache_pattern_has_a_letter_per_layer_and_starts_with_a_full_one(checkpoint: Checkpoint) -> None:
    pattern = checkpoint.index_topk_pattern or ""
    assert re.fullmatch("F[FS]*", pattern)
    assert len(pattern) == checkpoint.layers


def test_the_pattern_of_the_seeds_has_40_full_layers_not_23() -> None:
    pattern = MATRIX.checkpoints["glm51_478b_nvfp4"].index_topk_pattern or ""
    assert (pattern.count("F"), pattern.count("S")) == (40, 38)


@pytest.mark.parametrize("checkpoint", BIG, ids=lambda c: c.id)
def test_a_size_is_stated_or_said_to_be_unknown(checkpoint: Checkpoint) -> None:
    assert checkpoint.size_source
    assert (checkpoint.size_bytes is None) == ("No source states it" in checkpoint.size_source)


def test_the_two_sizes_on_the_478b_card_are_one_number() -> None:
    size = MATRIX.checkpoints["glm51_478b_nvfp4"].size_bytes
    assert size == 285 * GIB
    assert round(size / 1e9) == 306


@pytest.mark.parametrize(
    ("checkpoint", "expert_bytes", "other_bytes", "mtp_bytes"),
    [  # bytes per parameter of the routed experts, of everything else, and of an MTP layer's experts where it is there
        ("glm5_fp8", 1.0, 1.0, 1.0),
        ("glm51_478b_nvfp4", 0.5625, 2.0, 2.0),
        ("glm51_nvfp4_lukealonso", 0.5625, 2.0, 2.0),
        ("glm51_444b_bf16", 2.0, 2.0, 0.0),
        ("glm51_555b_bf16", 2.0, 2.0, 0.0),
        ("glm51_555b_nvfp4", 0.5625, 0.72, 0.0),  # attention is quantised too; embeddings and dense layers are not
    ],
)
def test_a_size_is_what_its_parts_add_up_to(
    checkpoint: str, expert_bytes: float, other_bytes: float, mtp_bytes: float
) -> None:
    c = MATRIX.checkpoints[checkpoint]
    expert = 3 * c.hidden_size * 2048  # gate, up and down projections; moe_intermediate_size 2048
    routed = c.experts * expert
    attention = 175e6 * c.layers  # q, kv, o and the indexer
    rest = attention + expert * (c.layers - c.dense_layers) + c.dense_layers * 3 * c.hidden_size * 12288
    embeddings = 2 * 154_880 * c.hidden_size
    total = (
        routed * (c.layers - c.dense_layers) * expert_bytes + rest * other_bytes + embeddings * 2 + routed * mtp_bytes
    )
    assert c.size_bytes == pytest.approx(total, rel=0.01)


def test_the_keys_of_the_new_forms_take_what_was_computed_elsewhere() -> None:
    """54k bytes a token with GLM-5.2's 21 indexers; GLM-5.3-Flash keeps rows in 11 of 45 layers, a key for 4 tokens."""
    shared, flash = MATRIX.checkpoints["glm52_fp8"], MATRIX.checkpoints["glm53flash_fp8"]
    assert fit.kv_bytes_per_token(shared, "dsa_fp8_packed") == 78 * 656 + 21 * 132 == 53_940
    assert fit.kv_bytes_per_token(flash, "dsa_bf16") == 11 * 1024 + 11 * 132 // 4


def test_the_memory_of_seed_001_agrees_with_the_axes() -> None:
    assert 0.90 * MATRIX.gpus["b200_180gb"].vram_bytes / GIB == pytest.approx(161, abs=0.5)
    found = 64.49 * GIB / 691_392 / 78  # bytes per token and layer
    assert found == pytest.approx(kv.latent_bytes("dsa_bf16") + kv.indexer_key_bytes(), abs=0.1)


# One line each of real logs: vLLM 0.26.0 and SGLang 0.5.17 on one H200 with a small checkpoint of GLM-5's geometry.
LINES = [
    ("vllm", "kv_tokens", "[kv_cache_utils.py:2177] GPU KV cache size: 11,495,552 tokens", "11,495,552"),
    ("vllm", "kv_bytes", "[gpu_worker.py:560] Available KV cache memory: 68.73 GiB", "68.73"),
    ("vllm", "chunk_tokens", "Chunked prefill is enabled with max_num_batched_tokens=4096.", "4096"),
    ("vllm", "weights_bytes", "Model loading took 0.16 GiB memory and 0.370665 seconds", "0.16"),
    (
        "vllm",
        "attention_backend",
        "Using FLASH_ATTN_MLA_SPARSE attention backend out of potential backends: ['FLASH_ATTN_MLA_SPARSE'].",
        "FLASH_ATTN_MLA_SPARSE",
    ),
    (
        "vllm",
        "moe_backend",
        "Using TRITON Unquantized MoE backend out of potential backends: ['TRITON', 'FlashInfer TRTLLM'].",
        "TRITON",
    ),
    ("vllm", "accept_length", "SpecDecoding metrics: Mean acceptance length: 1.90, Accepted throughput: 15.4", "1.90"),
    (
        "sglang",
        "kv_tokens",
        "KV Cache is allocated. dtype: torch.bfloat16, #tokens: 14413632, KV size: 68.94 GB",
        "14413632",
    ),
    ("sglang", "kv_bytes", "KV Cache is allocated. #tokens: 270060, KV size: 11.30 GB", "11.30"),
    (
        "sglang",
        "kv_dtype",
        "KV Cache is allocated. dtype: torch.bfloat16, #tokens: 14413632, KV size: 68.94 GB",
        "torch.bfloat16",
    ),
    (
        "sglang",
        "dsa_backends",
        "Set DSA backends for bfloat16 KV Cache: prefill=flashmla_sparse, decode=flashmla_sparse.",
        "flashmla_sparse",
    ),
    ("sglang", "page_size_forced", "Setting page size to 64 for DeepSeek DSA.", "64"),
    (
        "sglang",
        "chunk_tokens",
        "max_total_num_tokens=14413632, chunked_prefill_size=4096, max_prefill_tokens=16384",
        "4096",
    ),
    ("sglang", "prefill_chunk", "Prefill batch, #new-seq: 1, #new-token: 1920, #cached-token: 0, token usage", "1920"),
    (
        "sglang",
        "weights_loaded",
        "Load weight end. elapsed=0.35 s, type=GlmMoeDsaForCausalLM, quant=fp8, fmt=e4m3, avail mem=138.54 GB",
        "GlmMoeDsaForCausalLM",
    ),
    (
        "sglang",
        "attention_backend",
        "server_args=ServerArgs(model_path='/m', attention_backend='dsa', page_size=64)",
        "dsa",
    ),
]


@pytest.mark.parametrize(("engine", "fact", "line", "expected"), LINES, ids=[f"{e}.{f}" for e, f, _, _ in LINES])
def test_an_observation_reads_a_real_log_line(engine: str, fact: str, line: str, expected: str) -> None:
    found = re.search(MATRIX.engines[engine].observe[fact]["log"], line)
    assert found is not None
    assert found["value"] == expected


@pytest.mark.parametrize("engine", MATRIX.engines.values(), ids=lambda e: e.id)
def test_every_observation_says_where_it_is_seen(engine: Any) -> None:
    for fact in engine.observe.values():
        assert {"log", "get", "metric", "reply"} & fact.keys()
        re.compile(fact.get("log", ""))


def test_the_cpu_runs_exactly_these_cells() -> None:
    assert {c.id.removeprefix("cpu.llamacpp_2026_10_11549.") for c in runnable(rig="cpu", engine="llamacpp")} == {
        "canary_bf16.baseline",
        "canary_bf16.chunked_prefill",
        "canary_bf16.indexcache",
        "canary_bf16.mtp",
        "canary_bf16.chunked_prefill_indexcache_mtp",
        "canary_fsfs.indexcache",
        "canary_q8_0.baseline",
        "canary_nvfp4.baseline",
        "canary_mxfp4.baseline",
        "canary_reap160.baseline",
        "canary_reap192.baseline",
        "canary_thinking.baseline",
    }
    oracle = {(c.checkpoint.id, *sorted(c.features)) for c in runnable(rig="cpu", engine="transformers")}
    assert oracle == {
        ("canary_bf16",),
        ("canary_bf16", "indexcache"),
        ("canary_fsfs", "indexcache"),
        ("canary_reap160",),
        ("canary_reap192",),
    }


@pytest.mark.parametrize(
    ("release", "rig", "checkpoint"),
    [
        ("sglang_fork_003", "sm120x8", "glm51_nvfp4_lukealonso"),
        ("vllm_fork_003", "sm120x8", "glm51_nvfp4_mtp_lukealonso"),
    ],
)
def test_a_fork_image_runs_what_its_seed_names_and_nothing_else(release: str, rig: str, checkpoint: str) -> None:
    assert {(c.rig.id, c.checkpoint.id) for c in runnable(release=release)} == {(rig, checkpoint)}


SEED_CELLS = {
    "sm100x8.trtllm_1_3_0rc3.glm5_nvfp4_warnold.chunked_prefill": "runnable",
    "sm100x8.vllm_0_16_0.glm5_fp8.baseline": "vllm_0_16_0_transformers_pin",
    "sm100x4.vllm_0_16_0.glm5_nvfp4_lukealonso.baseline": "vllm_0_16_0_transformers_pin",
    "sm120x8.sglang_0_5_10_post1.glm5_nvfp4_lukealonso.baseline": "runnable",
    "sm120x8.vllm_fork_003.glm51_nvfp4_mtp_lukealonso.chunked_prefill_indexcache_mtp": "runnable",
    "sm120x8.sglang_fork_003.glm51_nvfp4_lukealonso.chunked_prefill_indexcache": "runnable",
    "sm120x4.sglang_0_5_10_post1.glm51_478b_nvfp4.baseline": "runnable",
    "sm120x4.sglang_0_5_10_post1.glm51_478b_nvfp4.mtp": "runnable",
    "sm120x4.sglang_0_5_10_post1.glm51_478b_nvfp4.indexcache": "nsa_exclusion_makes_indexcache_inert",
}


@pytest.mark.parametrize(("cell_id", "expected"), SEED_CELLS.items(), ids=SEED_CELLS)
def test_the_verdict_on_a_seeds_own_cell(cell_id: str, expected: str) -> None:
    assert verdict(cell_id) == expected


VALIDITY = {  # the table of expected validity, by rule or runnable
    "sm90x8.sglang_0_5_10_post1.glm5_fp8.baseline": "runnable",
    "sm90x8_h100.sglang_0_5_23.glm5_fp8.baseline": "does_not_fit",
    "sm90x8.sglang_0_5_10_post1.glm51_478b_nvfp4.baseline": "format_on_sm",
    "sm90x8.sglang_0_5_23.glm51_478b_nvfp4.baseline": "runnable",
    "sm100x8.sglang_0_5_10_post1.glm51_nvfp4_lukealonso.indexcache_mtp": "runnable",
    "sm100x8.sglang_0_5_23.glm5_fp8.chunked_prefill_indexcache_mtp": "runnable",
    "sm120x8.sglang_0_5_23.glm5_fp8.baseline": "fp8_256_experts_on_8x96gb",
    "sm120x8.vllm_0_33_0.glm51_478b_nvfp4.indexcache_mtp": "runnable",
    "sm120x4.vllm_0_26_0.glm51_478b_nvfp4.baseline": "vllm_0_26_0_on_sm120",
    "sm120x4.sglang_0_5_23.glm51_478b_nvfp4.indexcache": "runnable",
    "sm120x4.sglang_0_5_23.glm51_nvfp4_lukealonso.baseline": "does_not_fit",
    "sm120x1_rtx5090.sglang_0_5_23.glm51_478b_nvfp4.baseline": "does_not_fit",
    "sm100x8.trtllm_1_3_0rc26.glm5_fp8.chunked_prefill_mtp": "runnable",
    "sm100x8.trtllm_1_3_0rc26.glm51_nvfp4_mtp_lukealonso.mtp": "runnable",
    "sm100x8.trtllm_1_3_0rc3.glm5_nvfp4_warnold.mtp": "trtllm_nvfp4_mtp",
    "sm120x4.sglang_0_5_17.glm51_478b_nvfp4.baseline": "runnable",
    "sm120x8.vllm_0_26_0.glm51_478b_nvfp4.baseline": "vllm_0_26_0_on_sm120",
    "sm100x8.trtllm_1_3_0rc3.glm5_nvfp4_warnold.indexcache": "feature_in_release",
    "sm120x8.trtllm_1_3_0rc3.glm5_nvfp4_warnold.baseline": "format_on_sm",
    "sm100x8.sglang_0_5_23.glm51_555b_gguf.baseline": "format_in_release",
    "sm100x8.sglang_0_5_23.glm5_nvfp4_lukealonso.mtp": "mtp_layer",
    "sm90x1.vllm_0_26_0.canary_bf16.indexcache": "runnable",
    "sm90x1.sglang_0_5_17.canary_bf16.mtp": "sglang_mtp_wants_a_wider_canary",
    "sm90x1.sglang_0_5_17.canary_wide.mtp": "runnable",
    "sm90x8.vllm_0_33_0.canary_bf16.baseline": "narrow_canaries_on_few_gpus",
    "sm90x8.vllm_0_33_0.canary_wide.baseline": "runnable",
    "sm90x1.vllm_0_33_0.canary_wide.baseline": "wide_canary_for_sglang_or_a_split",
    "sm120x4.sglang_0_5_23.canary_wide.mtp": "runnable",
    "sm90x1.vllm_0_26_0.canary_fp8.indexcache": "runnable",
    "sm90x1.vllm_0_26_0.canary_fp8.indexcache_mtp": "canary_features_in_pairs",
    "sm90x1.vllm_0_33_0.canary_nvfp4.baseline": "quantised_canaries_are_gguf",
    "cpu.vllm_0_33_0.canary_bf16.baseline": "cpu_engines",
    "cpu.llamacpp_2026_10_11549.glm51_444b_gguf.baseline": "cpu_runs_canaries_only",
    "cpu.transformers_5_23_0.canary_bf16.mtp": "feature_in_release",
}


@pytest.mark.parametrize(("cell_id", "expected"), VALIDITY.items(), ids=VALIDITY)
def test_the_validity_of_a_combination(cell_id: str, expected: str) -> None:
    assert verdict(cell_id) == expected
