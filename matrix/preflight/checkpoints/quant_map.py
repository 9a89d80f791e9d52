"""Quantisation maps in their dialects, read into one form: what is narrow, how, and which modules are left alone.

    file, key                              method               left alone                      narrow
    hf_quant_config.json quantization      modelopt             exclude_modules                 quantized_layers
    config.json quantization_config        modelopt             ignore, exclude_modules         config_groups
      (or compression_config, either one   compressed-tensors   ignore                          config_groups
      inside a nested text_config too)     fp8, fbgemm_fp8      modules_to_not_convert, ignored_layers
                                           awq                  modules_to_not_convert
                                           gptq                 dynamic "-:..."                 modules_in_block_...
                                           quark                exclude, layer_quant_config
                                           auto-round           extra_config with 16 bits
                                           mxfp4                modules_to_not_convert          experts

Where `narrow` names nothing, every linear layer is.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import cached_property
from typing import Any, Literal

from matrix.preflight.checkpoints.files import CheckpointFiles
from matrix.preflight.checkpoints.geometry import nested_in
from matrix.preflight.checkpoints.survey import split_expert

Algorithm = Literal["fp8", "nvfp4", "mxfp4", "int4", "int8", "mixed", ""]
OWN = "hf_quant_config.json"
LISTS = ("ignore", "exclude_modules", "exclude", "modules_to_not_convert", "ignored_layers", "llm_int8_skip_modules")
METHODS = (
    "modelopt",
    "modelopt_fp4",
    "modelopt_fp8",
    "modelopt_mixed",
    "compressed-tensors",
    "fp8",
    "fbgemm_fp8",
    "awq",
    "awq_marlin",
    "gptq",
    "gptq_marlin",
    "gptqmodel",
    "quark",
    "mxfp4",
    "auto-round",
    "intel/auto-round",
    "bitsandbytes",
    "w4afp8",
)
FUSED = {  # a fused module stands for its parts
    "gate_up_proj": ("gate_proj", "up_proj"),
    "qkv_proj": ("q_proj", "k_proj", "v_proj"),
    "fused_qkv_a_proj_with_mqa": ("q_a_proj", "kv_a_proj_with_mqa"),
    "fused_qkv_a_proj": ("q_a_proj", "kv_a_proj_with_mqa"),
    "wk_weights_proj": ("wk", "weights_proj"),
}
LONGEST_PATTERN = 500  # a published one has 90 characters; what is longer may be a trap for the regex reader
ONE_EXPERT = re.compile(r"experts\W{0,3}\d|experts\W{0,3}[(\[]")
PREFIX = re.compile(r"^(?:model\.language_model\.|language_model\.model\.|language_model\.|model\.)")


@dataclass(frozen=True, kw_only=True)
class QuantMap:
    """One map. `targets` None: every linear layer that is not left alone."""

    source: str
    method: str = ""
    algorithm: Algorithm = ""
    list_key: str = "ignore"
    left_alone: tuple[str, ...] = ()
    targets: tuple[str, ...] | None = None
    group_size: int | None = None
    block: tuple[int, int] | None = None
    kv_cache: str = ""  # "" = not said, "none" = said to be wide
    narrow_head: bool = False
    problems: tuple[str, ...] = ()
    # (of a frozen class: the dict is filled, never replaced)
    _answers: dict[str, tuple[bool, bool]] = field(default_factory=dict, compare=False, repr=False)

    def leaves_alone(self, module: str) -> bool:
        """Whether an engine may leave the module wide: read as generously as any engine does."""
        return self._ask(module)[0]

    def narrows(self, module: str) -> bool:
        """Whether the map asks for the module to be quantised."""
        return self._ask(module)[1]

    def _ask(self, module: str) -> tuple[bool, bool]:
        """(left alone, narrow). 60,000 experts have the answer of one, unless a pattern names single experts."""
        key = module if self._names_experts else split_expert(f"{module}.")[0].replace(".N.", ".0.").rstrip(".")
        if key not in self._answers:
            left = any(matches_module(pattern, key) for pattern in self.left_alone)
            asked = self.targets is None or any(matches_module(pattern, key) for pattern in self.targets)
            self._answers[key] = (left, asked and not left)
        return self._answers[key]

    @cached_property
    def _names_experts(self) -> bool:
        return any(ONE_EXPERT.search(pattern) for pattern in (*self.left_alone, *(self.targets or ())))


def matches_module(pattern: str, module: str) -> bool:
    """`re:` regex, glob, or a run of name parts; a prefix of the whole model on either side does not count."""
    bare = PREFIX.sub("", module)
    if pattern.startswith("re:"):
        return any(_search_safely(pattern[3:], name) for name in (module, bare, f"model.{bare}"))
    for each in _unfuse(pattern):
        short = PREFIX.sub("", each)
        # a glob may name the module or everything below it, with or without the model's own prefix
        if any(sign in each for sign in "*?["):
            names = ((each, module), (short, bare))
            if any(fnmatchcase(name, p) or fnmatchcase(name, f"{p}.*") for p, name in names):
                return True
        elif short and f".{short.strip('.')}." in f".{bare}.":
            return True
    return False


def _search_safely(expression: str, name: str) -> bool:
    try:
        # match, not search: compressed-tensors anchors at the beginning, so a pattern that is right there is right here
        return re.match(expression, name) is not None
    except (re.error, RecursionError, OverflowError):
        return False


def _unfuse(pattern: str) -> Iterator[str]:
    yield pattern
    for fused, parts in FUSED.items():
        if fused in pattern:
            yield from (pattern.replace(fused, part) for part in parts)


def read_maps(files: CheckpointFiles) -> list[QuantMap]:
    """Every map of the checkpoint, the one that engines ask first being the first."""
    found = []
    config = files.config or {}
    nested = nested_in(config)
    # the order in which engines look: config.json before the file that ModelOpt leaves beside it
    for source, where, key in (
        ("config.json", config, "quantization_config"),
        ("config.json text_config", nested, "quantization_config"),
        ("config.json", config, "compression_config"),
        ("config.json text_config", nested, "compression_config"),
        (OWN, files.quant_config or {}, "quantization"),
    ):
        value = where.get(key)
        if isinstance(value, Mapping):
            found.append(_read_map(f"{source} {key}", value))
        elif value is not None:
            problem = f"expected an object, got {type(value).__name__}"
            found.append(QuantMap(source=f"{source} {key}", problems=(problem,)))
    return found


def _read_map(source: str, about: Mapping[str, Any]) -> QuantMap:
    problems: list[str] = []
    left, key = _left_alone(about, problems)
    method = str(about.get("quant_method") or ("modelopt" if source.startswith(OWN) else "")).lower()[:60]
    block = about.get("weight_block_size")
    # `type(n) is int`: true would pass isinstance and divide by one
    sound = isinstance(block, list) and len(block) == 2 and all(type(n) is int and 0 < n < 100_000 for n in block)
    if block is not None and not sound:
        problems.append(f"weight_block_size: expected two counts, got {str(block)[:40]}")
    return QuantMap(
        source=source,
        method=method,
        algorithm=_read_algorithm(method, about),
        list_key=key,
        left_alone=left,
        targets=_read_targets(method, about),
        group_size=_group_size(about),
        block=(block[0], block[1]) if sound and block else None,
        kv_cache=_kv_cache(about),
        narrow_head=about.get("lm_head") is True,
        problems=tuple(problems),
    )


def _left_alone(about: Mapping[str, Any], problems: list[str]) -> tuple[tuple[str, ...], str]:
    found: list[str] = []
    used = [key for key in LISTS if about.get(key) is not None]
    for key in used:
        if not isinstance(about[key], list) or not all(isinstance(each, str) for each in about[key]):
            problems.append(f"{key}: expected a list of module names")
            continue
        found += about[key]
    found += [f"re:{p[2:]}" for p in _read_mapping(about, "dynamic") if p.startswith("-:")]
    for key in ("extra_config", "layer_quant_config"):
        found += [name for name, each in _read_mapping(about, key).items() if _is_wide(each)]
    for pattern in found:
        if len(pattern) > LONGEST_PATTERN:
            problems.append(f"a pattern of {len(pattern):,} characters, {pattern[:40]!r}...")
        elif pattern.startswith("re:") and (why := _regex_problem(pattern[3:])):
            problems.append(f"{pattern[:80]!r} {why}")
    # what is a problem above is not tried: a regex of a stranger may never end
    usable = [p for p in found if len(p) <= LONGEST_PATTERN and not (p.startswith("re:") and _regex_problem(p[3:]))]
    default = "exclude_modules" if "producer" in about else "ignore"
    return tuple(dict.fromkeys(usable)), used[0] if used else default


def _regex_problem(expression: str) -> str:
    """Explain a pattern that does not compile, or whose nested repeats may never end."""
    try:
        re.compile(expression)
    except (re.error, RecursionError, OverflowError) as error:
        return f"is no regular expression: {error}"
    return "repeats a repeat or a choice, which may never end" if _may_never_end(expression) else ""


def _may_never_end(expression: str) -> bool:
    """Whether a repeated group holds a repeat or a choice itself: a name of 60 letters can cost 2**60 steps."""
    opened: list[int] = []
    for at, letter in enumerate(expression):
        if letter == "(" and expression[at - 1 : at] != "\\":
            opened.append(at)
        elif letter == ")" and expression[at - 1 : at] != "\\" and opened:
            inside = expression[opened.pop() + 1 : at]
            if expression[at + 1 : at + 2] in tuple("*+{") and any(sign in inside for sign in "*+{|"):
                return True
    return False


def _is_wide(each: object) -> bool:
    if each is None:
        return True
    if not isinstance(each, Mapping):
        return False
    bits = each.get("bits")
    # 16 bits, or a weight whose format is null, is how these dialects write "leave it alone"
    return (isinstance(bits, int) and bits >= 16) or ("weight" in each and each["weight"] is None)


def _read_mapping(about: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = about.get(key)
    return value if isinstance(value, Mapping) else {}


def _read_groups(about: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [each for each in _read_mapping(about, "config_groups").values() if isinstance(each, Mapping)]


def _read_weights(about: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Read the formats of the weights, of every group."""
    of_quark = _read_mapping(_read_mapping(about, "global_quant_config"), "weight")
    found = [group["weights"] for group in _read_groups(about) if isinstance(group.get("weights"), Mapping)]
    return [*found, *([of_quark] if of_quark else [])]


def _read_targets(method: str, about: Mapping[str, Any]) -> tuple[str, ...] | None:
    layers = _read_mapping(about, "quantized_layers")
    if layers:
        return tuple(layers)
    if method == "mxfp4":
        return ("*.experts.*", "*.experts")
    blocks = about.get("modules_in_block_to_quantize")
    if isinstance(blocks, list) and blocks:
        return tuple(str(n) for each in blocks for n in (each if isinstance(each, list) else [each]))
    named = [str(t) for group in _read_groups(about) for t in _as_list(group.get("targets"))]
    # "Linear" is the class of every linear layer, not a module's name
    if not named or "Linear" in named:
        return None
    classes = {"FusedMoE": "*.experts.*", "MoE": "*.experts.*"}
    return tuple(classes.get(each, each) for each in named)


def _as_list(value: object) -> Sequence[Any]:
    return value if isinstance(value, list) else ()


def _read_algorithm(method: str, about: Mapping[str, Any]) -> Algorithm:
    named = str(about.get("quant_algo") or "").upper()
    by_name: dict[str, Algorithm] = {
        "NVFP4": "nvfp4",
        "NVFP4_AWQ": "nvfp4",
        "W4A16_NVFP4": "nvfp4",
        "FP8": "fp8",
        "FP8_PB_WO": "fp8",
        "FP8_BLOCK_SCALES": "fp8",
        "FP8_PER_CHANNEL_PER_TOKEN": "fp8",
        "MIXED_PRECISION": "mixed",
        "W4A8_AWQ": "int4",
        "W4A16_AWQ": "int4",
        "INT4_AWQ": "int4",
        "INT8_SQ": "int8",
        "MXFP4": "mxfp4",
        "W4A8_MXFP4_FP8": "mxfp4",
        "W4A8_NVFP4_FP8": "nvfp4",
    }
    if named:
        return by_name.get(named, "")
    if method in ("fp8", "fbgemm_fp8", "modelopt_fp8"):
        return "fp8"
    if method == "modelopt_fp4":
        return "nvfp4"
    if method == "mxfp4":
        return "mxfp4"
    if method in ("awq", "awq_marlin", "gptq", "gptq_marlin", "gptqmodel", "auto-round", "intel/auto-round"):
        bits = _as_count(about.get("bits", about.get("w_bit")))
        return "int4" if bits == 4 else "int8" if bits == 8 else ""
    return _by_groups(about)


def _by_groups(about: Mapping[str, Any]) -> Algorithm:
    found: set[Algorithm] = set()
    for weights in _read_weights(about):
        dtype, bits, kind = str(weights.get("dtype") or ""), weights.get("num_bits"), weights.get("type")
        if dtype == "fp4" or (bits == 4 and kind == "float"):
            found.add("mxfp4" if weights.get("group_size") == 32 or "mx" in str(about.get("format") or "") else "nvfp4")
        elif dtype.startswith("fp8") or (bits == 8 and kind == "float"):
            found.add("fp8")
        elif kind == "int" and bits in (4, 8):
            found.add("int4" if bits == 4 else "int8")
    # groups of two formats have no one algorithm, and checks that need one stay silent
    return found.pop() if len(found) == 1 else "mixed" if found else ""


def _group_size(about: Mapping[str, Any]) -> int | None:
    sizes = [
        about.get("group_size"),
        about.get("q_group_size"),
        *(weights.get("group_size") for weights in _read_weights(about)),
    ]
    counts = {size for each in sizes if (size := _as_count(each))}
    return counts.pop() if len(counts) == 1 else None


def _as_count(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 < value < 1_000_000 else None


def _kv_cache(about: Mapping[str, Any]) -> str:
    # null is an answer: ModelOpt writes it where the cache was left wide
    if "kv_cache_quant_algo" in about:
        return str(about["kv_cache_quant_algo"] or "none").lower()[:20]
    if "kv_cache_scheme" not in about:
        return ""
    scheme = about["kv_cache_scheme"]
    if not isinstance(scheme, Mapping):
        return "none"
    named = {"8 float": "fp8", "4 float": "nvfp4", "8 int": "int8"}
    return named.get(f"{scheme.get('num_bits')} {scheme.get('type')}"[:20], "other")


def find_differing(one: QuantMap, other: QuantMap, modules: Iterable[str]) -> list[str]:
    """Modules that one map narrows and the other leaves alone."""
    return sorted(module for module in modules if one.narrows(module) != other.narrows(module))
