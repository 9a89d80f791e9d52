"""What config.json claims about number formats against the headers, and selection against the context."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping

from matrix.preflight.checkpoints.remark import make_remark
from matrix.preflight.checkpoints.survey import Survey, is_scale
from matrix.preflight.verdict import Remark

COMPUTED = frozenset({"bfloat16", "float16", "float32", "auto", "half", "float", "float64"})
SHORT = {"BF16": "bfloat16", "F16": "float16", "F32": "float32"}


def judge_dtypes(survey: Survey) -> Iterator[Remark]:
    config = survey.config
    stated = {key: str(config[key]).removeprefix("torch.")[:40] for key in ("dtype", "torch_dtype") if config.get(key)}
    if len(set(stated.values())) > 1:
        said = " and ".join(f"{key} {value}" for key, value in stated.items())
        yield make_remark(
            "error",
            "dtype",
            "dtype",
            f"config.json states two dtypes: {said}",
            effect="transformers 5 reads dtype, older readers torch_dtype: activations differ",
            remedy="keep dtype alone",
        )
    strange = next((value for value in stated.values() if value not in COMPUTED), "")
    if strange:
        yield make_remark(
            "warning",
            "dtype",
            "dtype",
            f"config.json says dtype {strange}, in which no engine computes",
            effect="activations and norms are made in it, or the engine refuses it; formats of weights are no dtype",
            remedy="dtype: bfloat16",
        )
    wide: Counter[str] = Counter()
    halves: dict[str, list[str]] = {"F16": [], "BF16": []}
    for name, tensor in survey.files.tensors.items():
        # matrices alone: norms and biases are kept wider on purpose
        if tensor.dtype in SHORT and len(tensor.shape) == 2:
            wide[SHORT[tensor.dtype]] += tensor.end - tensor.begin
            if tensor.dtype in halves and not is_scale(name):
                halves[tensor.dtype].append(name)
    yield from _check_halves(halves)
    claimed = next(iter(stated.values()), "")
    # a quantised checkpoint's dtype is that of activations, and its weights say nothing about it
    if claimed in SHORT.values() and wide and claimed not in wide and not survey.config.get("quantization_config"):
        found = wide.most_common(1)[0][0]
        overflow = ", and float16 overflows in GLM-5's activations" if claimed == "float16" else ""
        yield make_remark(
            "warning",
            "dtype",
            "dtype",
            f"config.json says {claimed}, the weights are {found}",
            effect=f"they are converted at load{overflow}",
            remedy=f"dtype: {found}",
        )
    yield from _check_exponents(survey)
    yield from _check_selection(survey)


def _check_halves(halves: Mapping[str, list[str]]) -> Iterator[Remark]:
    """Tell matrices of both 16-bit formats: parts of two conversions."""
    few, many = sorted(halves, key=lambda dtype: len(halves[dtype]))
    if halves[few]:
        yield make_remark(
            "warning",
            "dtype",
            halves[few][0],
            f"{len(halves[few])} matrices are {few}, as {halves[few][0]}, and {len(halves[many])} are {many}",
            effect="parts of two conversions: what was larger than 65,504 is infinite in F16, and BF16 is coarser",
            remedy="convert all from one source",
        )


def _check_exponents(survey: Survey) -> Iterator[Remark]:
    """FP8 has two layouts, and the engines' parameters are of one: float8_e4m3fn, whatever `fmt` says (wheels)."""
    wrong = [name for name, tensor in survey.files.tensors.items() if tensor.dtype == "F8_E5M2"]
    if wrong:
        yield make_remark(
            "warning",
            "quantisation",
            wrong[0],
            f"{len(wrong)} weights are F8_E5M2, as {wrong[0]}",
            effect="engines copy them into E4M3 parameters: values above 448 are lost, small ones are rounded away",
            remedy="convert to E4M3",
        )


def _check_selection(survey: Survey) -> Iterator[Remark]:
    g, known = survey.geometry, survey.architecture
    if known is None or not known.dsa or not g.whole:
        return
    if g.index_topk is None and not g.remarks:
        yield make_remark(
            "warning",
            "index_topk",
            "index_topk",
            f"{survey.architecture_name} without index_topk in config.json",
            effect="engines that ask for it decide for dense attention, or take the default of their class",
            remedy="index_topk: 2048, as GLM-5 was trained",
        )
    elif g.index_topk == 0:
        yield make_remark(
            "error",
            "index_topk",
            "index_topk",
            "index_topk is 0",
            effect="attention sees nothing",
            remedy="index_topk: 2048, as GLM-5 was trained",
        )
    # a note: such a model serves well, only no test can tell sparse attention from dense
    elif g.index_topk and g.context and g.index_topk >= g.context:
        yield make_remark(
            "note",
            "index_topk",
            "index_topk",
            f"index_topk {g.index_topk:,} reaches the whole context of {g.context:,}",
            effect="sparse attention never leaves anything out, so nothing can prove it",
        )
