"""The nouns of the matrix, as frozen data: made of YAML at the border (`matrix.yaml.load`), and trusted after it.

| word        | here          | one YAML file under                       |
|-------------|---------------|-------------------------------------------|
| GPU, Rig    | Gpu, Rig      | axes/hardware/<gpu>.yaml (`rigs:` lists)  |
| Engine      | Engine        | axes/engines/<engine>/engine.yaml         |
| Release     | Release       | axes/engines/<engine>/<release>.yaml      |
| Family      | Family        | axes/families/<id>.yaml                   |
| Checkpoint  | Checkpoint    | axes/checkpoints/<id>.yaml                |
| Feature     | Feature       | axes/features/<id>.yaml                   |
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

from packaging.version import Version

from matrix.engine_kernels import Compiled, HostCompile
from matrix.hardware import Json, Rig
from matrix.source import Because, Source

Form = Literal["recommended", "published"]


@dataclass(frozen=True, kw_only=True)
class Cause:
    """A class of failures, known by phrases of the log. See matrix/causes.yaml for what each field means."""

    id: str
    any: tuple[str, ...]  # regular expressions
    remedy: str
    source: str
    fault: Literal["engine", "host"] = "engine"
    role: Literal["cause", "symptom", "consequence"] = "cause"


@dataclass(frozen=True, kw_only=True)
class Engine:
    """An engine family: how it starts, what it speaks, where its facts can be observed."""

    id: str
    title: str
    dialect: Literal["sglang", "vllm", "trtllm", "llamacpp", "transformers"]
    command: tuple[str, ...]  # argv in front of the recipe's arguments
    source: str
    health_path: str = "/health"
    default_port: int = 8000
    model_argument: str | None = None  # flag that takes the checkpoint path; None = positional
    served_name_argument: str | None = None
    owned_by: str | None = None  # what it says of itself in /v1/models
    host_argument: str = "--host"
    port_argument: str = "--port"
    api_key_argument: str | None = None
    api_key_env: str | None = None
    pass_flags: tuple[str, ...] = ()
    observe: Mapping[str, Json] = field(default_factory=dict)  # log patterns, endpoints, metrics by fact name
    compiled: tuple[Compiled, ...] = ()
    compiles: tuple[HostCompile, ...] = ()
    startup: Mapping[str, str] = field(default_factory=dict)  # stage of the start -> log pattern; percent: 0 to 100
    deadlines_s: Mapping[str, float] = field(default_factory=dict)  # stage -> seconds it may take, moving or not
    heartbeats: tuple[str, ...] = ()  # log patterns of lines that come again and again and are no progress
    load: tuple[str, ...] = ()  # log patterns with groups running, waiting and tps: how busy it says it is
    causes: tuple[Cause, ...] = ()  # its own, asked first; after loading, those of matrix/causes.yaml follow
    notes: str = ""


@dataclass(frozen=True, kw_only=True)
class Release:
    """One release or image of an engine. `fork` images carry flags that no upstream release knows."""

    id: str  # engine and version, e.g. vllm_0_33_0
    engine: str  # a folder of matrix/axes/engines
    version: str  # PEP 440
    source: str  # where its wheel, image or notes are published
    title: str = ""  # as people call it
    image: str | None = None  # repo:tag as published
    image_digest: str | None = None  # sha256:..., the only form that is launched without a warning
    requirement: str | None = None  # what a virtual environment installs, e.g. "sglang[all]==0.5.10.post1"
    module: str | None = None  # Python module that must be here; without it the release's cells are left out, visibly
    fork: bool = False  # it carries flags that no upstream release knows
    pins: Mapping[str, str] = field(default_factory=dict)  # dependency -> specifier the release itself declares
    architectures: tuple[str, ...] = ()  # that it registers, where no snapshot says so (images, documents)
    remaps: Mapping[str, str] = field(default_factory=dict)  # architecture -> the registered one a recipe renames it to
    features: Mapping[str, bool] = field(default_factory=dict)  # feature id -> the release implements it
    formats: Mapping[str, tuple[int, ...]] = field(default_factory=dict)  # weight format -> SMs that can load it
    dsa_sms: tuple[int, ...] = ()  # SMs with DeepSeek Sparse Attention kernels
    stage_hands_over: bool = False  # a pipeline stage passes its selection of tokens on to the next
    imports: tuple[str, ...] = ()  # modules of other packages that GLM-5's code needs, some not before it warms up
    writable_root: str = ""  # why its container keeps a writable root; empty: read-only but for caches and /tmp
    notes: str = ""  # for people

    @cached_property
    def parsed_version(self) -> Version:
        return Version(self.version)

    @cached_property
    def facts(self) -> dict[str, Json]:
        """Its part of a cell's facts."""
        return {"release": self.id, "version": self.parsed_version, "fork": self.fork}

    @cached_property
    def offered(self) -> dict[str, Json]:
        """What a cell's facts are as soon as its release is known."""
        return {"engine": self.engine, **self.facts}


@dataclass(frozen=True, kw_only=True)
class Quantisation:
    """Which parts are quantised how; `excluded` parts stay in the base dtype."""

    method: str  # modelopt_fp4, fp8, compressed-tensors, gguf, none
    parts: tuple[str, ...] = ()
    excluded: tuple[str, ...] = ()
    group_size: int | None = None

    def quantises(self, part: str) -> bool | None:
        """Whether the part is stored narrow; None where neither list names it and there is a method."""
        if part in self.parts:
            return True
        return False if part in self.excluded or self.method == "none" else None


Untaught = Literal["absent_codes", "missing_tools"]
Derived = Literal[
    "fp8",
    "nvfp4",
    "w4a16",
    "awq",
    "reap160",
    "reap192",
    "wide",
    "wide_nvfp4",
    "wide_nvfp4_unlisted",
    "thinking",
    "flash",
    "shared",
    "shared_pattern",
]
Thinking = Literal["switch", "always", "never"]
IndexSharing = Literal["none", "override", "checkpoint"]
Parsers = Mapping[str, Mapping[str, str]]  # engine -> tool_call, reasoning -> the name its command line knows


@dataclass(frozen=True, kw_only=True)
class Traits:
    """What a family says of its checkpoints. What stands in a checkpoint's own file counts instead."""

    architecture: str | None = None
    experts: int | None = None
    experts_per_token: int | None = None
    layers: int | None = None
    dense_layers: int | None = None
    heads: int | None = None
    hidden_size: int | None = None
    context: int | None = None
    index_topk: int | None = None
    kv_lora_rank: int | None = None
    rope_dims: int | None = None
    index_head_dims: int | None = None
    index_heads: int | None = None
    index_pool: int | None = None
    latent_layers: int | None = None
    indexer_layers: int | None = None
    index_sharing: IndexSharing | None = None
    index_topk_pattern: str | None = None
    mtp_layer: bool | None = None
    parsers: Parsers | None = None
    thinking: Thinking | None = None
    thinking_switch: str | None = None
    thinking_default: bool | None = None
    reasoning_efforts: tuple[str, ...] | None = None
    generation: Mapping[str, float] | None = None
    banks: tuple[str, ...] | None = None


@dataclass(frozen=True, kw_only=True)
class Draft:
    """A published model that drafts for a family's checkpoints, and the engines that read its config.json as it is."""

    repository: str
    trained_for: str  # the checkpoint whose hidden states it was trained on; of others of the family it is expected
    engines: tuple[str, ...]
    source: str
    revision: str | None = None  # commit, 40 hexadecimal digits
    revision_unknown: str = ""  # why there is none
    why: str = ""  # of an engine that is not listed


@dataclass(frozen=True, kw_only=True)
class Family:
    """A model family: how its checkpoints are called and what holds for them unless their own file differs."""

    id: str
    title: str
    source: str
    checkpoints: Traits
    names: tuple[str, ...] = ()  # regular expressions, searched in a checkpoint's name; the longest match counts
    drafts: Mapping[str, Draft] = field(default_factory=dict)  # kind (a feature's `draft`) -> one that is published
    notes: str = ""


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """Weights + format + provenance. Sizes are bytes: 285 GiB and 306 GB are one number.

    A key that its family states (`Traits`) may be left out.
    """

    id: str
    title: str
    family: str  # id of axes/families
    format: Literal["bf16", "fp8", "nvfp4", "w4a16", "awq", "gguf", "q8_0", "mxfp4"]
    architecture: str
    size_bytes: int | None  # None: no source states it
    experts: int
    experts_per_token: int
    layers: int
    dense_layers: int
    heads: int
    hidden_size: int
    context: int  # max_position_embeddings, tokens
    index_topk: int
    mtp_layer: bool | None  # None: no source states it
    quantisation: Quantisation
    source: str
    repository: str | None = None  # Hugging Face id
    revision: str | None = None  # commit, 40 hexadecimal digits
    revision_unknown: str = ""  # why there is none; the first run records the commit
    sha256: str | None = None  # of the weights file; of its shards' digests, one a line, where there are several
    size_source: str = ""
    size_estimate_bytes: int | None = None  # interpolated by us; used by the fit rule only, never shown as a fact
    index_topk_pattern: str | None = None  # what IndexCache is asked to use, or its own where its config shares
    index_sharing: IndexSharing = "override"  # can layers share a selection: when asked, or by its own config
    indexer_layers: int | None = None  # layers with an indexer of their own; None: all
    latent_layers: int | None = None  # layers whose keys grow with the context; None: all (linear attention has none)
    index_pool: int = 1  # tokens that share one indexer key
    kv_lora_rank: int = 512
    rope_dims: int = 64
    index_head_dims: int = 128
    index_heads: int = 32
    parsers: Parsers = field(default_factory=dict, hash=False)
    thinking: Thinking = "switch"  # what its chat template offers
    thinking_switch: str = "enable_thinking"  # argument of the template
    thinking_default: bool = True  # what the template does when nothing is said
    reasoning_efforts: tuple[str, ...] = ()  # values of `reasoning_effort` that its template reads, least first
    generation: Mapping[str, float] = field(default_factory=dict, hash=False)  # generation_config.json, if stated
    stands_for: str | None = None  # canaries: the big checkpoint they are a small likeness of
    weights_path: str | None = None  # canaries: where in this checkout
    made_by: Derived | None = None  # canaries: the member of `glm-matrix canary` that is made on first use
    banks: tuple[str, ...] = ("glm5",)
    untaught: tuple[Untaught, ...] = ()  # canaries: kinds of items that these weights answer wrongly, so never asked
    notes: str = ""

    @property
    def canary(self) -> bool:
        return self.family == "canary"

    @cached_property
    def facts(self) -> dict[str, Json]:
        """Its part of a cell's facts."""
        return {
            "checkpoint": self.id,
            "family": self.family,
            "architecture": self.architecture,
            "format": self.format,
            "experts": self.experts,
            "mtp_layer": self.mtp_layer,
            "thinking": self.thinking,
            "index_sharing": self.index_sharing,
            "quantisation": self.quantisation.method,
            "quantised_attention": self.quantisation.quantises("attention"),
            "canary": self.canary,
        }

    @property
    def own_indexers(self) -> int:
        """Layers that select for themselves when nothing is asked for."""
        return self.layers if self.indexer_layers is None else self.indexer_layers


Varies = Literal["layout", "cache", "graphs", "schedule", "readout", "draft"]


@dataclass(frozen=True, kw_only=True)
class Feature:
    """Something a cell asks the engine for, and must then be seen to have got."""

    id: str
    title: str
    means: str
    proof: str
    source: str
    when: Mapping[str, Json] = field(default_factory=dict)  # bases that it is a question for; none: all of them
    varies: Varies | None = (
        None  # what it changes about the launch; no answer may change. Asked alone or with a partner
    )
    partners: tuple[str, ...] = ()  # features that it is also asked with, one at a time
    by_default: Mapping[str, Json] = field(default_factory=dict)  # bases that selections ask it of; others: by cell id
    ranks: Mapping[str, Json] = field(default_factory=dict)  # pp, dp, ep, dcp, pcp -> ranks; `all`: the rig's GPUs
    draft: str = ""  # which of a checkpoint's published `drafts` it loads beside it
    flags: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # engine -> the flags by which it is asked
    provable: bool = True  # False: nothing but speed shows it, so a gate that wants proofs stays red


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One combination of the axes. Its id is for machines: nothing parses meaning out of it."""

    rig: Rig
    engine: Engine
    release: Release
    checkpoint: Checkpoint
    features: frozenset[str]

    @cached_property
    def id(self) -> str:
        feature = "_".join(sorted(self.features)) or "baseline"
        return f"{self.rig.id}.{self.release.id}.{self.checkpoint.id}.{feature}"

    @cached_property
    def facts(self) -> dict[str, Json]:
        """What conditions, marks and reports may ask about this cell."""
        engine = {"engine": self.engine.id}
        return {**self.rig.facts, **engine, **self.release.facts, **self.checkpoint.facts, "features": self.features}

    # Identity is the combination, not the text of the id: 20,000 cells are hashed before most ids are ever needed.
    def __hash__(self) -> int:
        return self._hash

    @cached_property
    def _hash(self) -> int:
        return hash((self.rig.id, self.release.id, self.checkpoint.id, self.features))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Cell) and self.id == other.id


@dataclass(frozen=True, kw_only=True)
class Excluded:
    """Why a combination is not run, with the rule that says so."""

    rule: str
    status: Literal["INVALID_HW", "INVALID_ENGINE", "INVALID_COMBO"]
    reason: str
    source: str
    where: str = ""  # file:line of the rule, or the module of a computed one
    because: tuple[Because, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Rule:
    """A YAML rule: cells that match `when` are excluded. With `form: published` it only warns of the printed launch."""

    id: str
    when: Mapping[str, Json]
    status: Literal["INVALID_HW", "INVALID_ENGINE", "INVALID_COMBO"]
    reason: str
    source: Source
    because: tuple[Because, ...] = ()  # the steps from what is asked for to why it cannot be had
    fact: str = ""  # of matrix/facts.yaml, or "not " and one: decides the releases that `when` names


@dataclass(frozen=True, kw_only=True)
class Overlay:
    """A piece of a recipe: what it sets, when, why and who says so. More conditions win."""

    id: str
    why: str
    source: str
    when: Mapping[str, Json] = field(default_factory=dict)
    args: Mapping[str, Json] = field(default_factory=dict)  # flag -> value; true = bare flag, null = remove
    env: Mapping[str, Json] = field(default_factory=dict)  # name -> value; null = remove
    config: Mapping[str, Json] = field(default_factory=dict)  # merged into the checkpoint's config.json
    tokenizer_config: Mapping[str, Json] = field(default_factory=dict)
    serve_config: Mapping[str, Json] = field(default_factory=dict)  # extra YAML file of trtllm-serve
    launcher: Mapping[str, Json] = field(default_factory=dict)  # docker/venv options, see matrix.planning.plan
    sampling: Mapping[str, Mapping[str, Json]] = field(default_factory=dict)  # profile name -> parameters
    settings: Mapping[str, Json] = field(default_factory=dict)  # facts for the suites: context, chunk_tokens, ...
    patches: tuple[str, ...] = ()
