"""Each dialect's data against the engines' own logs, and the laws that reading them must keep."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from matrix.checkout import CHECKOUT
from matrix.errors import EngineReplyMalformed
from matrix.judging.observation import (
    Observation,
    Rung,
    Sources,
    find_all,
    find_dialect_problems,
    find_first,
    find_last,
    list_endpoints,
    read_observations,
)
from matrix.yaml.load import load_matrix

LOGS = CHECKOUT / "tests" / "fixtures" / "logs"
ENGINES = load_matrix().engines
GIB = 2**30


def read(name: str) -> tuple[Observation, ...]:
    """Return what a recorded log shows, by its engine's own data."""
    engine = ENGINES[name.partition("_")[0]]
    return read_observations(engine.observe, Sources(log=(LOGS / f"{name}.log").read_text(encoding="utf-8")))


def value(seen: tuple[Observation, ...], name: str) -> Any:
    found = find_first(seen, name)
    return None if found is None else found.value


SHOWN: list[tuple[str, dict[str, Any]]] = [
    (
        "vllm_0_26_0_bf16_kv",
        {
            "kv_tokens": 13_621_760,
            "kv_bytes": 65.16 * GIB,
            "attention_backend": "FLASH_ATTN_MLA_SPARSE",
            "moe_backend": "TRITON",
            "linear_kernel": "DeepGemmFp8BlockScaledMMKernel",
            "chunk_tokens": 4096,
            "page_size_forced": 64,
            "context": 16384,
            "kv_dtype": None,
            "accept_length": None,
        },
    ),
    (
        "vllm_0_26_0_fp8_kv",
        {
            "kv_tokens": 22_118_720,
            "kv_dtype": "fp8",
            "kv_format": "fp8_ds_mla",
            "attention_backend": "FLASHMLA_SPARSE",
        },
    ),
    ("vllm_0_26_0_indexcache_fsfs", {"kv_tokens": 14_363_520, "kv_bytes": 65.17 * GIB}),
    ("vllm_0_26_0_canary_mtp", {"kv_tokens": 11_495_552, "accept_length": 1.9, "context": 32768}),
    ("vllm_0_26_0_mtp_random", {"kv_tokens": 10_867_072, "accept_length": 1.0}),
    (
        "sglang_0_5_17_bf16_kv",
        {
            "kv_tokens": 14_413_632,
            "kv_bytes": 68.94 * GIB,
            "kv_dtype": "torch.bfloat16",
            "page_size_forced": 64,
            "attention_backend": "dsa",
            "dsa_backends": "flashmla_sparse",
            "dsa_selected": "dsa",
            "chunk_tokens": 4096,
            "context": 16384,
            "dense_fallback": None,
            "marlin_fallback": None,
        },
    ),
    (
        "sglang_0_5_17_fp8_kv",
        {"kv_tokens": 23_486_208, "kv_dtype": "torch.float8_e4m3fn", "dsa_backends": "flashmla_kv"},
    ),
    (
        "llamacpp_ffss_mtp",
        {
            "kv_tokens": 1024,
            "kv_bytes": 4.5 * 2**20,
            "indexer_bytes": 0.5 * 2**20,
            "kv_layers": 4,
            "indexer_layers": 2,
            "draft_kv_layers": 1,
            "kv_dtype": "f16",
            "chunk_tokens": 512,
            "dsa_selected": "indexer",
            "index_topk": 256,
            "indexer_types": "[1, 1, 0, 0]",
        },
    ),
]


@pytest.mark.parametrize(("log", "facts"), SHOWN, ids=[name for name, _ in SHOWN])
def test_a_recorded_log_shows_its_facts(log: str, facts: dict[str, Any]) -> None:
    seen = read(log)
    assert {name: value(seen, name) for name in facts} == facts


def test_every_recorded_log_says_what_it_is_and_nothing_about_where_it_ran() -> None:
    for path in LOGS.glob("*.log"):
        text = path.read_text(encoding="utf-8")
        assert re.match(r"# .*\b20\d\d-\d\d-\d\d\b", text), path.name
        assert not any(word in text for word in ("/home/", "/root/", "/work", "/models/", "192.0.2")), path.name


def test_where_names_the_line() -> None:
    tokens = find_first(read("vllm_0_26_0_bf16_kv"), "kv_tokens")
    assert tokens is not None
    lines = (LOGS / "vllm_0_26_0_bf16_kv.log").read_text(encoding="utf-8").splitlines()
    assert "13,621,760 tokens" in lines[int(tokens.where.removeprefix("log line ")) - 1]


def test_prefill_chunks_are_seen_one_by_one() -> None:
    sizes = [o.number for o in find_all(read("sglang_0_5_17_bf16_kv"), "prefill_chunk")]
    assert sizes[-3:] == [4096, 1920, 64], "a prompt of 6002 tokens in chunks of 4096, then a short one"


def test_an_echo_is_an_echo_even_when_it_is_a_size() -> None:
    seen = read("sglang_0_5_17_bf16_kv")
    rungs = {
        name: o.rung
        for name in ("chunk_tokens", "attention_backend", "kv_bytes", "dsa_selected")
        if (o := find_first(seen, name))
    }
    assert rungs == {
        "chunk_tokens": Rung.ECHO,
        "attention_backend": Rung.ECHO,
        "kv_bytes": Rung.COUNTER,
        "dsa_selected": Rung.LOG,
    }


def test_the_ladder_is_the_documented_one() -> None:
    assert [str(r) for r in sorted(Rung, key=lambda r: r.height)] == [
        "parser accepted",
        "config echoed",
        "log line",
        "counters and sizes",
        "ablation",
        "direct oracle",
    ]


def test_printed_decimals_say_how_exact_a_size_is() -> None:
    (coarse,) = read_observations({"x": {"log": r"(?P<value>[\d.]+) GiB", "unit": "GiB"}}, Sources(log="65.2 GiB"))
    (fine,) = read_observations({"x": {"log": r"(?P<value>[\d.]+) GiB", "unit": "GiB"}}, Sources(log="65.16 GiB"))
    assert (coarse.half_step, fine.half_step) == pytest.approx((0.05 * GIB, 0.005 * GIB))
    assert coarse.low < fine.low < fine.high < coarse.high


def test_after_takes_the_first_match_behind_each_opening_line() -> None:
    spec = {"size": {"log": r"size = (?P<value>\d+)", "after": "indexer", "unit": "tokens"}}
    log = "size = 1\nmain\nsize = 2\nindexer\nother\nsize = 3\nsize = 4\nindexer\nsize = 5"
    assert [o.number for o in read_observations(spec, Sources(log=log))] == [3, 5]


METRICS = """# HELP vllm:x_total drafts
# TYPE vllm:x_total counter
vllm:x_total{engine="0",model_name="a\\"b"} 3.0
vllm:x_total{engine="1",model_name="a"} 4
vllm:pos_total{position="0"} 7
vllm:pos_total{position="1"} 2
vllm:other_total NaN
vllm:x_total_created 1e9
"""


def test_metrics_are_added_up_over_ranks_and_kept_apart_by_label() -> None:
    spec = {
        "x": {"metric": "vllm:x_total", "unit": "tokens"},
        "pos": {"metric": "vllm:pos_total", "by": "position"},
        "none": {"metric": "vllm:absent_total"},
    }
    seen = read_observations(spec, Sources(metrics=METRICS))
    assert [(o.name, o.number, dict(o.also)) for o in seen] == [
        ("x", 7, {}),
        ("pos", 7, {"position": "0"}),
        ("pos", 2, {"position": "1"}),
    ]
    assert {o.rung for o in seen} == {Rung.COUNTER}


@pytest.mark.parametrize("value", ["NaN", "+Inf", "-Inf", "1e999", "1.2.3", "many"])
def test_a_counter_that_is_no_number_is_the_engines_fault_and_no_silence(value: str) -> None:
    with pytest.raises(EngineReplyMalformed, match="metric vllm:x_total is"):
        read_observations({"x": {"metric": "vllm:x_total"}}, Sources(metrics=f"vllm:x_total {value}"))


@pytest.mark.parametrize("value", ["NaN", "1e999", "1e308"])
def test_a_size_that_is_no_number_is_the_engines_fault(value: str) -> None:
    with pytest.raises(EngineReplyMalformed, match="which is no number"):
        read_observations({"x": {"log": r"(?P<value>\S+) GiB", "unit": "GiB"}}, Sources(log=f"{value} GiB"))


def test_documents_are_read_by_path_and_through_lists() -> None:
    document = {"a": [{"b": {"c": 5}}, {"b": {"c": 6}}, {"b": 1}]}
    spec = {
        "one": {"get": "/i", "path": "a.1.b.c", "unit": "tokens"},
        "all": {"get": "/i", "path": "a.*.b.c"},
        "gone": {"get": "/i", "path": "a.7.b"},
        "deep": {"get": "/i", "path": "a.0.b.c.d"},
        "tree": {"get": "/i", "path": "a"},
        "absent": {"get": "/other", "path": "a"},
    }
    seen = read_observations(spec, Sources(documents={"/i": document}))
    assert [(o.name, o.value) for o in seen] == [("one", 6.0), ("all", "5"), ("all", "6")]


def test_what_no_log_of_ours_shows_says_so_wherever_it_is_seen() -> None:
    spec: dict[str, dict[str, Any]] = {"x": {"log": "(?P<value>a)", "unseen": True}, "y": {"log": "(?P<value>a)"}}
    assert [o.where for o in read_observations(spec, Sources(log="a"))] == [
        "log line 1, known from source only",
        "log line 1",
    ]


@pytest.mark.parametrize("engine", ["llamacpp", "sglang", "trtllm", "vllm"])
def test_exactly_the_lines_that_no_recorded_log_shows_are_marked_unseen(engine: str) -> None:
    """A log that was recorded since shows a marked line: take the mark away. A new pattern: mark it."""
    names = [path.stem for path in LOGS.glob(f"{engine}_*.log")]
    shown = {o.name for name in names for o in read(name)}
    facts = {name: spec for name, spec in ENGINES[engine].observe.items() if "log" in spec}
    assert {n for n, spec in facts.items() if not spec.get("unseen")} == facts.keys() & shown


def test_only_harmless_endpoints_are_read() -> None:
    for engine in ENGINES.values():
        assert not {"/flush_cache", "/metrics"} & set(list_endpoints(engine.observe)), engine.id
    assert list_endpoints({"a": {"get": "/x", "path": "y", "drains": True}, "b": {"get": "/z"}}) == ()


@pytest.mark.parametrize("engine", ENGINES.values(), ids=lambda e: e.id)
def test_the_data_of_every_dialect_is_sound(engine: Any) -> None:
    assert find_dialect_problems(engine.observe) == []


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ({"log": "a("}, "no regular expression"),
        ({"log": "a", "unit": "tokens"}, "a group named value"),
        ({"log": "a", "metric": "b"}, "exactly one"),
        ({"metric": "b", "unit": "GB"}, "unknown unit 'GB'"),
        ({"metric": "b", "units": "GiB"}, "unknown key units"),
    ],
)
def test_unsound_data_is_named(spec: dict[str, Any], says: str) -> None:
    assert [p for p in find_dialect_problems({"fact": spec}) if p.startswith("fact: ") and says in p]


JSON = st.recursive(st.none() | st.integers() | st.text(), lambda c: st.lists(c) | st.dictionaries(st.text(), c))


@given(st.text(), st.text(), JSON)
def test_no_log_metrics_or_document_breaks_the_reading(log: str, metrics: str, document: Any) -> None:
    for engine in ENGINES.values():
        documents = dict.fromkeys(list_endpoints(engine.observe), document)
        read_observations(engine.observe, Sources(log=log, metrics=metrics, documents=documents))


@given(st.floats(min_value=0.01, max_value=1e4), st.integers(min_value=0, max_value=4))
def test_the_true_size_lies_within_its_printed_rounding(gib: float, decimals: int) -> None:
    (seen,) = read_observations({"x": {"log": r"(?P<value>[\d.]+)", "unit": "GiB"}}, Sources(log=f"{gib:.{decimals}f}"))
    slack = 1e-9 * seen.number + 1e-6
    assert seen.low - slack <= gib * GIB <= seen.high + slack


def test_first_and_last() -> None:
    seen = read("sglang_0_5_17_bf16_kv")
    assert (find_first(seen, "prefill_chunk"), find_last(seen, "prefill_chunk")) == (
        find_all(seen, "prefill_chunk")[0],
        find_all(seen, "prefill_chunk")[-1],
    )
    assert find_first(seen, "accept_length") is find_last(seen, "accept_length") is None


def test_vllm_tells_a_cache_whose_size_was_given_in_other_words() -> None:
    line = "INFO [gpu_worker.py:544] Initial free memory 137.66 GiB, reserved 8.13 GiB memory for KV Cache as specified"
    size = find_first(read_observations(ENGINES["vllm"].observe, Sources(log=line)), "kv_bytes")
    assert size is not None
    assert size.number == 8.13 * GIB
    assert size.half_step == pytest.approx(0.005 * GIB)
