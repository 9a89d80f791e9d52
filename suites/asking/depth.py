"""Defines how much each suite asks. `quick` answers while a person watches, `full` before a merge, `release` with
bounds. `first` asks what `quick` does by prompts that begin alike, which an engine reads once; `beside` is how much of
that a cell asks that stands beside its base (matrix/planning/beside.py).

What `quick` leaves out altogether carries `@pytest.mark.from_depth("full")` and is not collected.

What 0 failures allow one to say (95 %, exact): 4 items -> fails at most 53 % of the time, 20 -> 14 %, 59 -> 5 %.
So quick catches what is broken, and only release states a rate. See matrix/judging/statistics.py.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Final, Literal

from fixtures.banks.item import Item
from matrix.checkout import name_in_checkout
from matrix.errors import ConfigError, Problem, suggest_nearest
from matrix.yaml.document import Document
from matrix.yaml.structure import structure_data
from matrix.yaml.yamltext import read_document


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
    one_text: bool  # needles of a length lie in one text, and questions about tools offer the same ones
    needles_per_length: int
    needle_tiers: tuple[Literal["multi_key", "multi_value", "no_lexical_overlap"], ...]
    no_needles: int
    attention_recordings: bool  # the prompt whose logprobs were recorded under several ways to attend
    reference_unsure: bool  # the reference's prompt without an answer; False: of cells with IndexCache only
    calls: int
    parallel_calls: int
    tool_results: int
    no_tool_needed: int
    trigger_calls: int  # asked beside them, for trigger F1
    missing_tool: int
    tool_dialogues: int
    streamed: int  # items asked both ways
    thinking: int  # items per kind with thinking on
    client_calls: int  # calls with schemas and values of real clients
    many_tools: int  # items with 50 tools
    agent_rounds: int  # of one conversation with the model's own calls, two replies each
    structured: int  # replies per kind of constraint
    fields: int  # items per field of a request
    left_s: float  # that a stream is made long for, which its reader leaves
    constraints: int  # requests whose replies are judged by counting
    exact: int  # replies that are known to the letter
    load_prompt_tokens: int
    load_output_tokens: int
    load_concurrency: tuple[int, ...]
    load_sweep: tuple[int, ...]  # streams, one wave each
    load_waves: int
    load_warm_up: bool  # a wave before the measured ones; False: the tests before it have warmed the engine
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
    open_shares: tuple[float, ...]  # of the closed loop's capacity, offered by the clock
    open_requests: int  # of each share
    open_streams: int  # of the closed loop that measures the capacity
    open_prompt_tokens: int
    open_output_tokens: int
    open_e2e_factor: float  # the SLO: E2E up to this many times the closed loop's median, ...
    open_e2e_s: float  # ... and never less than so many seconds
    open_good_share: float  # of the requests that must meet it, up to half of the capacity
    decode_lengths: tuple[int, ...]  # prompts after which decoding is timed, tokens
    prefill_prompts: int  # timed cold, then warm
    company: int  # requests beyond index_topk that are served at once
    company_lengths: tuple[int, ...]  # of their prompts, tokens, beside those that the launch's edges make
    talks: int  # conversations whose prefix is used again
    talk_turns: int  # of each
    evicting_prompts: int  # asked between, so that the cache must drop a prefix


NAMES: Final = ("first", "quick", "full", "release")  # each asks at least what the one before asks
BESIDE_BASE: Final = "beside"  # of `first`: what a cell beside its base asks
FILE: Final = Path(__file__).parent / "depths.yaml"


def read_depths(path: Path = FILE) -> Mapping[str, Depth]:
    """Every depth by name, from the shallowest on.

    Raises:
        ConfigError: a key is unknown or missing, a value has another type or is out of range, or a depth is not there.
    """
    document = read_document(path, name_in_checkout(path))
    problems = list(document.problems)
    entries = document.data if isinstance(document.data, dict) else {}
    known = (BESIDE_BASE, *NAMES)
    for name in [name for name in entries if name not in known]:
        problems.append(document.problem((str(name),), f"unknown depth {name!r}{suggest_nearest(str(name), known)}"))
    found: dict[str, Depth] = {}
    for name in known:
        entry = entries.get(name)
        # The two are one depth of a run, whose measurements are compared with each other.
        own = NAMES[0] if name == BESIDE_BASE else name
        if not isinstance(entry, dict):
            problems += [] if document.problems else [document.problem((name,), f"there is no depth {name!r}")]
        elif depth := structure_data(Depth, document, {**entry, "name": own}, (name,), problems):
            found[name] = depth
            problems += _find_out_of_range(document, name, depth)
    if problems:
        raise ConfigError(problems)
    return found


def _find_out_of_range(document: Document, name: str, depth: Depth) -> Iterator[Problem]:
    """Find counts below 0 and, in `*_depths`, shares of the text outside 0 to 1."""
    for field in fields(depth):
        value = getattr(depth, field.name)
        numbers = value if isinstance(value, tuple) else (value,)
        most = 1 if field.name.endswith("_depths") else None
        wrong = [n for n in numbers if not isinstance(n, str | bool) and (n < 0 or (most is not None and n > most))]
        if wrong:
            expected = "a share from 0 to 1" if most else "0 or more"
            yield document.problem((name, field.name), f"expected {expected}, got {wrong[0]}")


_READ: Final = read_depths()
BESIDE: Final = _READ[BESIDE_BASE]
DEPTHS: Mapping[str, Depth] = {name: _READ[name] for name in NAMES}
FIRST, QUICK, FULL, RELEASE = (DEPTHS[name] for name in NAMES)


def choose_depth(name: str, *, has_base: bool, on_gpu: bool = False) -> Depth:
    """Choose the numbers for a cell at the depth `name`: at `first` a cell with its base asks less than one without,
    and one on a GPU asks `quick`."""
    if name != FIRST.name:
        return DEPTHS[name]
    return QUICK if on_gpu else BESIDE if has_base else FIRST


POOL = 20  # items to choose cheap ones from


def pick_shortest(items: Sequence[Item], n: int) -> list[Item]:
    """Pick the `n` items with the shortest prompts. Tests that do not depend on the prompt's content pay only for
    its tokens."""
    return sorted(items, key=lambda i: (i.tokens_prompt_about or 0, i.id))[:n]
