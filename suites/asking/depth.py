"""Defines how much each suite asks. `quick` answers while a person watches, `full` before a merge, `release` with
bounds.

What `quick` leaves out altogether carries `@pytest.mark.from_depth("full")` and is not collected.

What 0 failures allow one to say (95 %, exact): 4 items -> fails at most 53 % of the time, 20 -> 14 %, 59 -> 5 %.
So quick catches what is broken, and only release states a rate. See matrix/judging/statistics.py.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fixtures.banks.item import Item


@dataclass(frozen=True, slots=True, kw_only=True)
class Depth:
    """How much one depth asks: numbers of items, lengths in tokens, and depths as shares of the text."""

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
    needle_page_edges: bool  # the last token of a KV page and the first of the next
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
    load_sweep: tuple[int, ...]  # streams, one wave each
    load_waves: int
    single_stream_tokens: int
    markers: int  # parallel requests, each with a marker of its own
    equal_asks: int  # of one request, for the A/A noise floor
    neighbours: int  # requests beside the one whose numbers are compared
    counted: int  # prompts per kind whose tokens are counted
    choices: int  # items per tool_choice
    sweep_lengths: tuple[int, ...]  # whole prompts, tokens
    loaded_items: int  # answered beside a load
    loaded_streams: int
    loaded_output_tokens: int
    decode_lengths: tuple[int, ...]  # prompts after which decoding is timed, tokens
    prefill_prompts: int  # timed cold, then warm


# Lengths at which whole prompts have come back corrupt: index_topk, twice that, and 5500 (issue lists of the engines).
SWEEP = (2_048, 4_096, 5_500)

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
    needle_page_edges=False,
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
    load_sweep=(),
    load_waves=2,
    single_stream_tokens=48,
    markers=3,
    equal_asks=2,
    neighbours=2,
    counted=1,
    choices=1,
    sweep_lengths=(),
    loaded_items=0,
    loaded_streams=0,
    loaded_output_tokens=0,
    decode_lengths=(),
    prefill_prompts=0,
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
    needle_lengths=(8_000, 32_000, 100_000),  # docs/sources/004.md checked 32k and 100k
    needle_chunk_edges=True,
    needle_page_edges=True,
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
    load_output_tokens=512,  # docs/sources/001.md: 2048 in, 512 out
    load_concurrency=(1, 32),
    load_sweep=(),
    load_waves=3,
    single_stream_tokens=256,
    markers=16,
    equal_asks=3,
    neighbours=16,
    counted=5,
    choices=4,
    sweep_lengths=SWEEP,
    loaded_items=20,
    loaded_streams=8,
    loaded_output_tokens=128,
    decode_lengths=(1_000, 8_000, 32_000),
    prefill_prompts=3,
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
    needle_page_edges=True,
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
    load_sweep=(1, 8, 16, 32, 64, 128, 256, 512, 1024),  # docs/sources/001.md's
    load_waves=3,
    single_stream_tokens=512,
    markers=64,
    equal_asks=5,
    neighbours=16,
    counted=20,
    choices=20,
    sweep_lengths=SWEEP,
    loaded_items=60,
    loaded_streams=32,
    loaded_output_tokens=512,
    decode_lengths=(1_000, 4_000, 16_000, 32_000, 64_000, 100_000, 128_000),  # docs/sources/004.md tables up to 131k
    prefill_prompts=5,
)
DEPTHS: Mapping[str, Depth] = {d.name: d for d in (QUICK, FULL, RELEASE)}


POOL = 20  # items to choose cheap ones from


def pick_shortest(items: Sequence[Item], n: int) -> list[Item]:
    """Pick the `n` items with the shortest prompts. Tests that do not depend on the prompt's content pay only for
    its tokens."""
    return sorted(items, key=lambda i: (i.tokens_prompt_about or 0, i.id))[:n]
