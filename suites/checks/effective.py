"""Compares the requested settings with the effective ones, one finding per fact, and finds silent fallbacks.

Only a difference is a fault. A setting that the plan leaves to the engine is recorded as the engine chose it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from matrix.condition import compile_condition
from matrix.judging.kv_bytes import match_layouts, measure_token_bytes
from matrix.judging.observation import Observation, Seen, find_all, find_first
from matrix.judging.requested import Requested
from reports.evidence.finding import Finding

# How a quantised checkpoint's experts are called where an engine counts its tensors (llama.cpp).
TENSOR_TYPES = {"bf16": "bf16", "q8_0": "q8_0", "nvfp4": "nvfp4", "mxfp4": "mxfp4"}
# What engines call the 16-bit and 8-bit caches, beside their own names.
KV_NAMES = {"bf16": "bfloat16", "torch.bfloat16": "bfloat16", "torch.float8_e4m3fn": "fp8", "fp8_e4m3": "fp8"}
LEFT_OPEN = ("attention_backend", "moe_backend", "dsa_backends", "kv_dtype", "linear_kernel", "nvfp4_gemm")


MOST_DIGITS = 9  # of a number of tensors
Dialect = Mapping[str, Mapping[str, Any]]


def check_settings(wanted: Requested, seen: Seen) -> Iterator[Finding]:
    """Check every setting that the plan requests and that the engine shows."""
    yield from _check_size("context", wanted.context, seen)
    yield from _check_size("chunk_tokens", wanted.chunk_tokens, seen)
    yield from _check_page_size(wanted, seen)
    yield from _check_kv_cache(wanted, seen)
    yield from _check_backend("attention_backend", wanted.attention_backend, seen)
    yield from _check_backend("moe_backend", wanted.moe_backend, seen)
    yield from _check_weights_type(wanted, seen)


def check_fallbacks(dialect: Dialect, seen: Seen, facts: Mapping[str, Any]) -> Iterator[Finding]:
    """Find each fallback that the engine took silently. `expected_when` marks those that the matrix knows and
    accepts."""
    for name, spec in dialect.items():
        if "fallback" not in spec:
            continue
        found = find_first(seen, name)
        expected = "expected_when" in spec and compile_condition(spec["expected_when"])(facts)
        if found is not None:
            yield Finding(
                check=f"fallback.{name}",
                ok=bool(expected),
                expected="known and accepted on this GPU" if expected else "no fallback",
                got=f"{found.value} ({found.where})",
                detail=str(spec["fallback"]),
            )


def list_engine_choices(wanted: Requested, seen: Seen) -> dict[str, str]:
    """List the settings that the plan leaves open and the values that the engine chose, for the record."""
    asked = {"attention_backend": wanted.attention_backend, "moe_backend": wanted.moe_backend}
    return {n: str(o.value) for n in LEFT_OPEN if asked.get(n) is None and (o := find_first(seen, n)) is not None}


def _check_size(name: str, asked: int | None, seen: Seen) -> Iterator[Finding]:
    found = find_first(seen, name)
    if asked is not None and found is not None:
        yield _make_finding(name, asked, found, same=found.number == asked)


def _check_page_size(wanted: Requested, seen: Seen) -> Iterator[Finding]:
    """Check the page size: sparse backends force pages of 64 tokens, whatever the plan requests."""
    forced = find_first(seen, "page_size_forced")
    if forced is not None:
        yield _make_finding("page_tokens", wanted.page_tokens, forced, same=forced.number == wanted.page_tokens)


def _check_kv_cache(wanted: Requested, seen: Seen) -> Iterator[Finding]:
    """Check the KV cache by its bytes per token, because an engine can echo a dtype; by name only where no size is
    shown."""
    size, named = measure_token_bytes(seen, wanted.page_tokens), find_first(seen, "kv_dtype")
    layouts = sorted({r.layout for r in match_layouts(size, wanted)}) if size else []
    if wanted.layout is not None and size is not None and layouts:
        ok = wanted.layout in layouts
        yield Finding(check="effective.kv_layout", ok=ok, expected=wanted.layout, got=f"{' or '.join(layouts)}: {size}")
    elif wanted.kv_dtype is not None and named is not None:
        yield _make_finding(
            "kv_dtype", wanted.kv_dtype, named, same=_kv_name(wanted.kv_dtype) == _kv_name(str(named.value))
        )


def _kv_name(name: str) -> str:
    return KV_NAMES.get(name, name)


def _check_backend(name: str, asked: str | None, seen: Seen) -> Iterator[Finding]:
    found = find_first(seen, name)
    if asked is not None and found is not None:
        # Engines print FLASHINFER_MLA, `flashinfer-mla` and `FlashInfer MLA` for one backend.
        same = "".join(filter(str.isalnum, asked.lower())) == "".join(filter(str.isalnum, str(found.value).lower()))
        yield _make_finding(name, asked, found, same=same)


def _check_weights_type(wanted: Requested, seen: Seen) -> Iterator[Finding]:
    """Check the weights' own type where the engine counts its tensors: a conversion may widen them silently."""
    # The digits are an engine's text: int() refuses thousands of them with an error that would be ours.
    types = {str(o.value): int(o.also.get("tensors", "0")[-MOST_DIGITS:]) for o in find_all(seen, "weights_type")}
    expected = TENSOR_TYPES.get(wanted.weights)
    if types and expected is not None:
        shown = ", ".join(f"{n} x {t}" for t, n in types.items())
        yield Finding(check="effective.weights", ok=types.get(expected, 0) > 0, expected=expected, got=shown)


def _make_finding(name: str, asked: object, found: Observation, *, same: bool) -> Finding:
    value = f"{found.number:.0f}" if found.unit else str(found.value)
    return Finding(
        check=f"effective.{name}",
        ok=same,
        expected=str(asked),
        got=f"{value} ({found.where})",
        detail="" if same else "the engine runs with something else than the plan says",
    )
