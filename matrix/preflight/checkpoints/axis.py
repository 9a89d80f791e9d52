"""A checkpoint's files as an entry of the checkpoint axis, or what they lack for one."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from matrix.condition import suggest_value
from matrix.errors import Problem
from matrix.model import Checkpoint, Family
from matrix.preflight.checkpoints.files import CheckpointFiles
from matrix.preflight.checkpoints.linears import LINEAR, WIDE
from matrix.preflight.checkpoints.quant_map import QuantMap, read_maps
from matrix.preflight.checkpoints.sharing import select_layers
from matrix.preflight.checkpoints.survey import Survey, is_scale
from matrix.preflight.pattern import SHARED
from matrix.yaml.load import load_families

ID = re.compile(r"[a-z][a-z0-9_]{0,60}")
# Parts as the axis names them, the first that matches.
# (the order counts: weights_proj lies inside the indexer, and the indexer inside attention)
PARTS: Mapping[str, re.Pattern[str]] = {
    "indexer_weights_proj": re.compile(r"indexer\.weights_proj$"),
    "indexer": re.compile(r"\.indexer\."),
    "attention": re.compile(r"\.self_attn\."),
    "routed_experts": re.compile(r"\.experts\.\d+\."),
    "shared_experts": re.compile(r"\.shared_experts?\."),
    "router": re.compile(r"\.mlp\.gate$"),
    "dense_layers": re.compile(r"\.mlp\.(?:gate|up|down)_proj$"),
    "embed_tokens": re.compile(r"embed_tokens$"),
    "lm_head": re.compile(r"lm_head$"),
}
FORMATS = {"fp8": "fp8", "nvfp4": "nvfp4", "mxfp4": "mxfp4", "int4": "w4a16"}
NUMBERS: Mapping[str, tuple[str, str]] = {  # key of the axis -> field of Geometry, key of config.json
    "experts": ("experts", "n_routed_experts"),
    "experts_per_token": ("top_k", "num_experts_per_tok"),
    "layers": ("layers", "num_hidden_layers"),
    "dense_layers": ("dense", "first_k_dense_replace"),
    "heads": ("heads", "num_attention_heads"),
    "hidden_size": ("hidden", "hidden_size"),
    "context": ("context", "max_position_embeddings"),
    "index_topk": ("index_topk", "index_topk"),
}
DEFAULTS = {
    "kv_lora_rank": "kv_lora",
    "rope_dims": "rope",
    "index_head_dims": "index_dim",
    "index_heads": "index_heads",
}


def make_id(name: str) -> str:
    """Make an id from a folder's name.

    >>> make_id("GLM-5.1-600B-NVFP4")
    'glm51_600b_nvfp4'
    """
    # 5.1 becomes 51 before other signs become _: ids on the axis are glm51, not glm_5_1
    words = re.sub(r"(\d)\.(\d)", r"\1\2", name.lower())
    words = re.sub(r"[^a-z0-9]+", "_", re.sub(r"^([a-z]+)-(?=\d)", r"\1", words)).strip("_")
    return words if words[:1].isalpha() else f"m_{words}"


def describe_for_axis(
    files: CheckpointFiles, *, name: str, checkpoint_id: str, family: str | None, repository: str | None, source: str
) -> tuple[dict[str, Any], list[Problem]]:
    """Describe the entry: its keys in order, and what prevents it from being one."""
    survey, problems = Survey(files), list[Problem]()
    if not ID.fullmatch(checkpoint_id):
        problems.append(Problem("--id", 0, "", f"expected small letters, digits and _, got {checkpoint_id[:60]!r}"))
    numbers = {key: getattr(survey.geometry, field) for key, (field, _) in NUMBERS.items()}
    for key, (_, stated_as) in NUMBERS.items():
        if numbers[key] is None:
            problems.append(Problem("config.json", 0, stated_as, "expected a count, found none"))
    problems += [Problem("config.json", 0, r.subject, r.message) for r in survey.geometry.remarks]
    maps = read_maps(files)
    entry: dict[str, Any] = {
        "id": checkpoint_id,
        "title": name,
        "family": _read_family(family or guess_family(name, load_families()), problems),
        "format": _read_format(survey, maps, problems),
        "architecture": survey.architecture_name,
        **({"repository": repository} if repository else {}),
        "revision": None,
        "revision_unknown": "made from local files; name the commit here if they are a repository's",
        "size_bytes": files.weights_bytes,
        "size_source": f"the sum of its {len(files.shards)} shards",
        **numbers,
        "mtp_layer": bool(survey.drafts),
        "quantisation": dict(_read_quantisation(survey, maps)),
        **_read_pattern(survey),
        **_read_unusual_ranks(survey, load_families().get(family or guess_family(name, load_families()))),
        "banks": ["canary", "glm5"],
        "source": source,
    }
    if not entry["architecture"]:
        problems.append(Problem("config.json", 0, "architectures", "expected a list of one name"))
    return entry, problems


def guess_family(name: str, families: Mapping[str, Family]) -> str:
    """Guess the family by a checkpoint's name: the longest match of the families' `names` counts; "" for none."""
    found = [
        (len(match[0]), family.id)
        for family in families.values()
        for pattern in family.names
        if (match := re.search(pattern, name, re.IGNORECASE))
    ]
    # the longest match: GLM-5.1 also matches the pattern of GLM-5
    return max(found)[1] if found else ""


def _read_family(word: str, problems: list[Problem]) -> str:
    known = load_families()
    if not word:
        hint = suggest_value("family", "", known)
        problems.append(Problem("--family", 0, "", f"the name tells no family{hint}"))
    elif word not in known:
        problems.append(Problem("--family", 0, "", f"no family is {word[:40]!r}{suggest_value('family', word, known)}"))
    return word


def _read_format(survey: Survey, maps: list[QuantMap], problems: list[Problem]) -> str:
    narrow = Counter(t.dtype for n, t in survey.files.tensors.items() if t.dtype not in WIDE and not is_scale(n))
    if not narrow:
        return "bf16"
    algorithm = maps[0].algorithm if maps else ""
    if algorithm not in FORMATS:
        said = algorithm or "no format that can be read"
        problems.append(
            Problem("config.json", 0, "quantization_config", f"expected one of {', '.join(FORMATS)}, it says {said}")
        )
        return ""
    return FORMATS[algorithm]


def _read_quantisation(survey: Survey, maps: list[QuantMap]) -> Iterator[tuple[str, Any]]:
    """Parts are narrow if any of their weights is: by the headers, not by the map."""
    found: dict[str, set[bool]] = {}
    for module, held in survey.modules.items():
        part = next((p for p, pattern in PARTS.items() if pattern.search(f".{module}")), None)
        dtypes = {held[last].dtype for last in LINEAR if last in held and len(held[last].shape) == 2}
        if part and dtypes:
            found.setdefault(part, set()).update(dtype not in WIDE for dtype in dtypes)
    narrow = [part for part in PARTS if True in found.get(part, ())]
    if not narrow:
        yield "method", "none"
        return
    first = maps[0] if maps else QuantMap(source="")
    method = (
        {"nvfp4": "modelopt_fp4"}.get(first.algorithm, first.method) if "modelopt" in first.method else first.method
    )
    yield "method", method or "unknown"
    yield "parts", narrow
    yield "excluded", [part for part in PARTS if part in found and part not in narrow]
    size = first.group_size or (first.block[0] if first.block else None)
    if size:
        yield "group_size", size


def _read_pattern(survey: Survey) -> dict[str, str]:
    # only where something is shared: the axis leaves a pattern of nothing but F away
    sound = [s for s in select_layers(survey.config, survey.geometry.layers or 0) if not s.problems]
    return {"index_topk_pattern": sound[0].letters} if sound and SHARED in sound[0].letters else {}


def _read_unusual_ranks(survey: Survey, family: Family | None) -> dict[str, int]:
    """Ranks that differ from the family's (or, where it states none, from the axis's defaults)."""
    defaults = {f.name: f.default for f in Checkpoint.__dataclass_fields__.values()}
    if family:
        defaults |= {key: value for key in DEFAULTS if (value := getattr(family.checkpoints, key)) is not None}
    stated = {key: getattr(survey.geometry, field) for key, field in DEFAULTS.items()}
    return {key: value for key, value in stated.items() if value is not None and value != defaults.get(key)}
