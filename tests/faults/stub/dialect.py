"""How each engine would say it: paths, counters, log lines, errors and the shape of deltas. The words stay the stub's.

Counters are kept under the matrix's own names (`observe:` of each engine.yaml) and told under the engine's. Shapes are
from the engines' sources and our logs; TensorRT-LLM's from its sources alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from fixtures.launch.attached.engine import STUB
from matrix.errors import suggest_nearest

Json = Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What a launched stub is set to; lengths in tokens."""

    context: int
    chunk_tokens: int
    version: str = STUB  # as it is told


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """One engine's way of speaking. `documents` are its JSON pages, `started` what it logs when it is up."""

    name: str
    counters: Mapping[str, str] = field(default_factory=dict)  # the matrix's name -> the engine's
    gauges: Mapping[str, str] = field(default_factory=dict)  # ditto, worked out from counters
    metrics_path: str = "/metrics"
    documents: Callable[[Setting], Mapping[str, Json]] = field(default=lambda setting: {})
    started: Callable[[Setting], Iterator[str]] = field(default=lambda setting: iter(()))
    prefill_line: str = ""  # logged per chunk: {tokens} computed, {cached} found
    flush_path: str = ""  # empties the prefix cache
    salted: bool = False  # `cache_salt` of a request makes its prefix one of its own
    reasoning: str = "reasoning_content"
    nulls: bool = False  # deltas name what they do not carry
    flat_errors: bool = False  # {"message": ...} instead of {"error": {"message": ...}}

    def error(self, status: int, message: str) -> Json:
        body = {"message": message, "type": "BadRequestError", "code": status}
        return {"object": "error", **body} if self.flat_errors else {"error": body}

    def metrics(self, counted: Mapping[str, float]) -> str:
        """Prometheus text."""
        told = {name: counted[fact] for fact, name in self.counters.items() if fact in counted}
        if (drafts := counted.get("drafts")) and "accept_length_metric" in self.gauges:
            told[self.gauges["accept_length_metric"]] = 1 + counted["accepted_tokens"] / drafts
        return "".join(f"{name} {value:g}\n" for name, value in told.items())


def _llamacpp(setting: Setting) -> Mapping[str, Json]:
    return {"/props": {"build_info": setting.version, "default_generation_settings": {"n_ctx": setting.context}}}


def _vllm_log(setting: Setting) -> Iterator[str]:
    yield f"INFO [model.py:1] Using max model len {setting.context}"
    yield f"INFO [scheduler.py:1] Chunked prefill is enabled with max_num_batched_tokens={setting.chunk_tokens}."
    yield "INFO:     Application startup complete."


def _sglang_log(setting: Setting) -> Iterator[str]:
    yield f"max_total_num_tokens={4 * setting.context}, chunked_prefill_size={setting.chunk_tokens}, max_prefill_tokens"
    yield f"max_total_num_tokens={4 * setting.context}, context_len={setting.context}"
    yield "The server is fired up and ready to roll!"


DIALECTS: Mapping[str, Dialect] = {
    "llamacpp": Dialect(
        name="llamacpp",
        counters={
            "steps": "llamacpp:n_decode_total",
            "prompt_tokens": "llamacpp:prompt_tokens_total",
            "generated_tokens": "llamacpp:tokens_predicted_total",
            "drafts": "llamacpp:spec_decode_num_drafts_total",
            "drafted_tokens": "llamacpp:spec_decode_num_draft_tokens_total",
            "accepted_tokens": "llamacpp:spec_decode_num_accepted_tokens_total",
        },
        documents=_llamacpp,
        started=lambda setting: iter((f"llama_context: n_ubatch      = {setting.chunk_tokens}",)),
    ),
    "vllm": Dialect(
        name="vllm",
        counters={
            "prompt_tokens": "vllm:prompt_tokens_total",
            "generated_tokens": "vllm:generation_tokens_total",
            "requests": "vllm:request_success_total",
            "drafts": "vllm:spec_decode_num_drafts_total",
            "drafted_tokens": "vllm:spec_decode_num_draft_tokens_total",
            "accepted_tokens": "vllm:spec_decode_num_accepted_tokens_total",
        },
        documents=lambda setting: {"/version": {"version": setting.version}},
        started=_vllm_log,
        prefill_line="Engine 000: Iteration(7): 1 context requests, {tokens} context tokens, 0 generation requests",
        salted=True,
        reasoning="reasoning",
    ),
    "sglang": Dialect(
        name="sglang",
        counters={"prompt_tokens": "sglang:prompt_tokens_total", "generated_tokens": "sglang:generation_tokens_total"},
        gauges={"accept_length_metric": "sglang:spec_accept_length"},
        documents=lambda setting: {"/server_info": {"version": setting.version, "internal_states": [{}]}},
        started=_sglang_log,
        prefill_line="Prefill batch, #new-seq: 1, #new-token: {tokens}, #cached-token: {cached}, token usage: 0.01",
        flush_path="/flush_cache",
        nulls=True,
        flat_errors=True,
    ),
    "trtllm": Dialect(
        name="trtllm",
        metrics_path="/prometheus/metrics",
        documents=lambda setting: {"/version": {"version": setting.version}},
        started=lambda setting: iter(("INFO:     Application startup complete.",)),
        nulls=True,
        flat_errors=True,
    ),
}


def named(name: str) -> Dialect:
    """Return the dialect of that name. Raises: ValueError, with the nearest name."""
    if name not in DIALECTS:
        raise ValueError(f"no dialect {name!r}{suggest_nearest(name, DIALECTS)}")
    return DIALECTS[name]
