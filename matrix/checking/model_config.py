"""The checkpoint that a line serves: its config.json where one is given, else what is published under its name."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Final

from matrix.checking.rigs import MODELS
from matrix.checkout import CHECKOUT, name_in_checkout
from matrix.errors import ConfigError, Problem
from matrix.yaml.load import inherit_traits, load_families
from matrix.yaml.structure import require_entries
from matrix.yaml.yamltext import read_data, read_source

CHECKPOINTS: Final = CHECKOUT / "matrix" / "axes" / "checkpoints"
CUT: Final = re.compile(r"reap|prun|\d{3}B", re.IGNORECASE)
ASSUMED: Final = "GlmMoeDsaForCausalLM"
OUTSIDE: Final = ("architectures", "model_type", "quantization_config")


@dataclass(frozen=True, kw_only=True)
class Model:
    """`config`: the file's keys, or those published for the name. `given`: the user brought a config.json."""

    name: str
    config: Mapping[str, Any]
    given: bool
    source: str
    format: str = ""  # nvfp4, fp8, bf16, ...; "" where nothing tells
    size_bytes: int = 0  # of all weights; 0: not known
    checkpoint: str = ""  # id on the axes
    family: str = ""
    indexers_everywhere: bool = False
    thinks_always: bool = False
    assumed: frozenset[str] = field(default_factory=frozenset)  # keys that the class, not the file, gives
    tensors: frozenset[str] = field(default_factory=frozenset)
    json_names: frozenset[str] | None = None  # of its folder; None: not known
    quantisation: Mapping[str, Any] = field(default_factory=dict)  # as the axes have it of this very checkpoint


def describe_model(
    name: str, config: Mapping[str, Any] | None, tensors: frozenset[str] = frozenset(), size_bytes: int = 0
) -> Model:
    """Bring together what the config, the name and the axes say of a checkpoint."""
    entry = _by_name(name) or {}
    axis = _on_axes(name)
    base = dict(config) if config is not None else dict(entry.get("config", {}))
    text = base.get("text_config")
    if isinstance(text, Mapping):
        # a multimodal config nests the language model's keys: engines read sizes there (transformers' get_text_config),
        # and the class and the quantisation outside
        base = {**base, **text, **{key: base[key] for key in OUTSIDE if key in base}}
    architectures = base.get("architectures")
    if not (isinstance(architectures, list) and architectures and isinstance(architectures[0], str)):
        # without a class nothing can be looked up: a GLM-5 is assumed, and a finding says so
        base["architectures"] = [axis.get("architecture", ASSUMED)]
    defaults = read_models()["classes"].get(base["architectures"][0], {})
    assumed = frozenset(key for key in defaults if key not in base)
    if axis and config is None:  # what is on the axes is about this very checkpoint, the name only about its family
        if axis.get("experts"):  # a pruned one; the others have their family's
            base["n_routed_experts"] = axis["experts"]
        if axis.get("mtp_layer") is False:
            base["num_nextn_predict_layers"] = 0
    # what the config states comes first: a name may promise a format that its files do not have
    form = _format(base, name) or str(axis.get("format", ""))
    size = size_bytes or axis.get("size_bytes") or axis.get("size_estimate_bytes") or _published_size(name, entry, form)
    return Model(
        name=name,
        # below the file's own keys: a class fills in what its config leaves out
        config={**defaults, **base},
        given=config is not None,
        format=form,
        size_bytes=int(size or 0),
        source="config.json" if config is not None else str(entry.get("source", "nothing: a GLM-5 is assumed")),
        checkpoint=str(axis.get("id", "")),
        family=str(entry.get("family", "")),
        assumed=assumed,
        tensors=tensors,
        # with a config of the user's the weights may be anybody's; what the family publishes does not bind them
        indexers_everywhere=bool(entry.get("indexers_everywhere")) and config is None,
        thinks_always=bool(entry.get("thinks_always")) or axis.get("thinking") == "always",
        quantisation=axis.get("quantisation", {}) if config is None else {},
    )


def _published_size(name: str, entry: Mapping[str, Any], form: str) -> int:
    """Bytes of the family's own files; 0 for a name that says that something was cut off (REAP, 478B)."""
    if CUT.search(name):
        return 0
    return int(entry.get("sizes_gb", {}).get(form or "bf16", 0) * 10**9)


def _format(config: Mapping[str, Any], name: str) -> str:
    """Return the weight format, by quantization_config or by the name."""
    quantization = config.get("quantization_config")
    words = ("quant_method", "quant_algo", "format")
    method = " ".join(str(quantization.get(w, "")) for w in words) if isinstance(quantization, Mapping) else ""
    for text in (method, name):
        for form, pattern in read_models()["formats"].items():
            if text.strip() and re.search(pattern, text, re.IGNORECASE):
                return str(form)
    return ""


def _by_name(name: str) -> Mapping[str, Any] | None:
    return next((m for m in read_models()["models"] if re.search(m["match"], name, re.IGNORECASE)), None)


@cache
def read_models() -> Mapping[str, Any]:
    """Read models.yaml: published configs, classes, weight formats, GPUs, known keys."""
    made = require_entries(MODELS, {"models": ("family", "match", "config", "source"), "gpus": ("names",)})
    kinds = {"classes": dict, "formats": dict, "known_keys": str}
    if wrong := [name for name, kind in kinds.items() if not isinstance(made.get(name), kind)]:
        file = name_in_checkout(MODELS)
        raise ConfigError([Problem(file, 0, name, f"expected {kinds[name].__name__} here") for name in wrong])
    return made


@cache
def _on_axes(name: str) -> Mapping[str, Any]:
    """Return the checkpoint of the axes whose repository the name is (or ends in), with what its family states."""
    if "/" not in name:
        return {}
    # a local copy is mostly stored below its repository's name: /models/zai-org/GLM-5.1
    wanted = "/".join(name.rstrip("/").split("/")[-2:])
    for path in sorted(CHECKPOINTS.glob("*.yaml")):
        text = read_source(path)
        if re.search(rf"^repository: *[\"']?{re.escape(wanted)}[\"']?\s*(#.*)?$", text, re.M | re.I):
            made: Mapping[str, Any] = read_data(path)
            family = load_families().get(made.get("family", ""))
            return inherit_traits(made, family) if family else made
    return {}
