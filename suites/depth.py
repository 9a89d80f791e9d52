"""How much each suite asks. `quick` answers while one watches, `full` before a merge, `release` with bounds.

What 0 failures allow one to say (95 %, exact): 4 items -> fails at most 53 % of the time, 20 -> 14 %, 59 -> 5 %.
So quick catches what is broken, and only release states a rate. See suites/checks/statistics.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Depth:
    """Numbers of items; lengths in tokens; depths as shares of the text."""

    name: str
    facts: int
    arithmetic: int
    recall: int
    recall_turns: tuple[int, ...]
    chinese: int
    instructions: int
    long_texts: int
    needle_multiples: tuple[float, ...]  # of index_topk
    needle_lengths: tuple[int, ...]  # absolute, cut at the context
    needle_chunk_edges: bool  # chunk x {1-e, 1+e, 2, 4}
    needle_depths: tuple[float, ...]
    within_depths: tuple[float, ...]  # within index_topk
    needles_per_length: int
    needle_tiers: tuple[str, ...]
    no_needles: int
    calls: int
    parallel_calls: int
    tool_results: int
    no_tool_needed: int
    trigger_calls: int  # asked beside them, for trigger F1
    missing_tool: int
    tool_dialogues: int
    streamed: int  # items asked both ways
    load_prompt_tokens: int
    load_output_tokens: int
    load_concurrency: tuple[int, ...]
    load_waves: int
    single_stream_tokens: int


# A canary cell's worth of quick is about 4,500 prompt and 600 generated tokens: seconds on one idle core.
QUICK = Depth(
    name="quick",
    facts=3,
    arithmetic=2,
    recall=1,
    recall_turns=(),
    chinese=1,
    instructions=0,
    long_texts=1,
    needle_multiples=(2.25,),
    needle_lengths=(),
    needle_chunk_edges=False,
    needle_depths=(0.2, 0.7),
    within_depths=(0.3,),
    needles_per_length=1,
    needle_tiers=(),
    no_needles=1,
    calls=2,
    parallel_calls=1,
    tool_results=1,
    no_tool_needed=1,
    trigger_calls=0,
    missing_tool=1,
    tool_dialogues=0,
    streamed=1,
    load_prompt_tokens=32,
    load_output_tokens=16,
    load_concurrency=(2,),
    load_waves=2,
    single_stream_tokens=48,
)
FULL = Depth(
    name="full",
    facts=20,
    arithmetic=20,
    recall=10,
    recall_turns=(11,),
    chinese=10,
    instructions=10,
    long_texts=3,
    needle_multiples=(2, 4),
    needle_lengths=(8_000, 32_000, 100_000),  # seeds/004 checked 32k and 100k
    needle_chunk_edges=True,
    needle_depths=(0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 1.0),
    within_depths=(0.0, 0.25, 0.5, 0.75, 1.0),
    needles_per_length=1,
    needle_tiers=("multi_key", "multi_value"),
    no_needles=3,
    calls=20,
    parallel_calls=5,
    tool_results=8,
    no_tool_needed=8,
    trigger_calls=8,
    missing_tool=8,
    tool_dialogues=4,
    streamed=8,
    load_prompt_tokens=2048,
    load_output_tokens=512,  # seeds/001: 2048 in, 512 out
    load_concurrency=(1, 32),
    load_waves=3,
    single_stream_tokens=256,
)
RELEASE = Depth(
    name="release",
    facts=60,  # 0 of 60 -> at most 5 %
    arithmetic=60,
    recall=60,
    recall_turns=(11, 11, 11, 11, 11),
    chinese=60,
    instructions=30,
    long_texts=10,
    needle_multiples=(2, 4, 8),
    needle_lengths=(1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 64_000, 100_000, 128_000),
    needle_chunk_edges=True,
    needle_depths=(0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 1.0),
    within_depths=(0.0, 0.25, 0.5, 0.75, 1.0),
    needles_per_length=9,  # x 7 depths = 63 trials a length
    needle_tiers=("multi_key", "multi_value", "no_lexical_overlap"),
    no_needles=20,
    calls=60,
    parallel_calls=20,
    tool_results=20,
    no_tool_needed=30,
    trigger_calls=30,
    missing_tool=30,
    tool_dialogues=20,
    streamed=30,
    load_prompt_tokens=2048,
    load_output_tokens=512,
    load_concurrency=(1, 32, 128),  # beyond, KV memory queues requests: TTFT, not speed
    load_waves=3,
    single_stream_tokens=512,
)
DEPTHS: Mapping[str, Depth] = {d.name: d for d in (QUICK, FULL, RELEASE)}
