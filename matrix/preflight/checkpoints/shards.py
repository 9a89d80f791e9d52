"""The files that are there: JSON that can be read, whole shards, and an index that names what they hold."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from itertools import combinations
from typing import Any

from matrix.preflight.checkpoints.architectures import say_unknown
from matrix.preflight.checkpoints.files import CheckpointFiles, Shard
from matrix.preflight.checkpoints.remark import list_some, make_remark
from matrix.preflight.checkpoints.survey import Survey
from matrix.preflight.verdict import Remark

NUMBERED = re.compile(r"-(\d{1,6})-of-(\d{1,6})\.safetensors$")
PREFIXES = ("model.language_model.", "language_model.model.", "model.")
AGAIN = "load it again: the download was cut, or belongs to another conversion"


def judge_files(survey: Survey) -> Iterator[Remark]:
    files = survey.files
    for name, problem in sorted(files.broken.items()):
        yield make_remark("error", "broken_file", name, problem)
    if files.config is None and "config.json" not in files.broken:
        yield make_remark(
            "error", "missing_file", "config.json", "config.json is missing: no engine knows what this is"
        )
    if files.config is not None:
        yield from _check_architecture(survey)
    if not files.shards:
        yield make_remark("error", "missing_file", "*.safetensors", "there is no safetensors file")


def _check_architecture(survey: Survey) -> Iterator[Remark]:
    named = (survey.files.config or {}).get("architectures")
    if not survey.architecture_name:
        fact = "config.json names no architecture"
        if named not in (None, [], ""):
            fact += f": expected a list of one name, got {str(named)[:60]}"
        yield make_remark("error", "config", "architectures", fact, effect="no engine knows which class to build")
        return
    known = survey.architecture
    if known is None:
        yield make_remark(
            "unknown",
            "architecture",
            survey.architecture_name,
            say_unknown(survey.architecture_name),
            effect="what only its class decides was not judged: no verdict",
            remedy="add it to matrix/preflight/checkpoints/architectures.py",
        )
    elif known.partly:
        yield make_remark(
            "note", "architecture", survey.architecture_name, f"{survey.architecture_name}: {known.partly}"
        )
    layers = survey.geometry.layers
    if known is not None and not layers and not survey.geometry.remarks:
        yield make_remark(
            "error",
            "config",
            "num_hidden_layers",
            "config.json states no num_hidden_layers",
            effect="an engine takes its class's default",
            remedy="the config that belongs to these weights",
        )


def judge_shards(survey: Survey) -> Iterator[Remark]:
    for name, shard in sorted(survey.files.shards.items()):
        if shard.problem:
            yield make_remark("error", "shard_header", name, f"{name}: {shard.problem}", remedy=AGAIN)
            continue
        yield from _check_size(name, shard)
        yield from _check_offsets(name, shard)
    yield from _find_duplicates(survey.files)
    yield from _check_numbers(survey.files)


def _check_size(name: str, shard: Shard) -> Iterator[Remark]:
    # 8: the length of the header, in front of it
    expected = 8 + shard.header_bytes + shard.data_bytes
    if shard.size_bytes != expected:
        word = "truncated" if shard.size_bytes < expected else "too long"
        fact = f"{name} is {word}: {shard.size_bytes:,} bytes, its header describes {expected:,}"
        yield make_remark("error", "shard_size", name, fact, effect="the loader stops there", remedy=AGAIN)
    wrong = [t for t, tensor in shard.tensors.items() if tensor.expected_bytes not in (None, tensor.end - tensor.begin)]
    # one conversion makes one mistake in all tensors: the first and a count
    for tensor_name in wrong[:1]:
        tensor = shard.tensors[tensor_name]
        fact = f"{tensor_name} in {name}: {tensor.dtype} {list(tensor.shape)} does not fill its bytes"
        yield make_remark(
            "error",
            "tensor_size",
            tensor_name,
            fact + _count_more(wrong),
            effect="the loader stops there",
            remedy=AGAIN,
        )


def _check_offsets(name: str, shard: Shard) -> Iterator[Remark]:
    """Check that tensors lie end to end, as the format requires: no hole, no overlap."""
    at = 0
    for tensor_name, tensor in sorted(shard.tensors.items(), key=lambda pair: (pair[1].begin, pair[1].end)):
        if tensor.begin != at:
            word = "overlaps the tensor before it" if tensor.begin < at else "leaves a hole before it"
            fact = f"{tensor_name} in {name} {word} (byte {tensor.begin:,}, expected {at:,})"
            yield make_remark(
                "error", "tensor_offsets", tensor_name, fact, effect="safetensors refuses the file", remedy=AGAIN
            )
            return
        at = tensor.end


def _find_duplicates(files: CheckpointFiles) -> Iterator[Remark]:
    where: defaultdict[str, list[str]] = defaultdict(list)
    for name, shard in files.shards.items():
        for tensor in shard.tensors:
            where[tensor].append(name)
    twice = {tensor: names for tensor, names in where.items() if len(names) > 1}
    for tensor in sorted(twice)[:1]:
        yield make_remark(
            "error",
            "duplicate",
            tensor,
            f"{len(twice)} tensors are in several shards, first {tensor} in {list_some(twice[tensor])}",
            effect="which copy is loaded depends on the order of the files",
            remedy="remove the shards of the other conversion",
        )
    # the same tensor under the prefix of another class: no name is there twice, and yet one of them is lost
    doubled = _under_two_prefixes(where)
    if doubled:
        yield make_remark(
            "error",
            "duplicate",
            doubled[0],
            f"{len(doubled)} tensors are there under two prefixes, first {doubled[0]}",
            effect="the later one overwrites the other",
            remedy="keep the names that the class of config.json has",
        )


def _under_two_prefixes(names: Iterable[str]) -> list[str]:
    by_prefix: dict[str, set[str]] = {}
    for name in names:
        prefix = next((p for p in PREFIXES if name.startswith(p)), "")
        by_prefix.setdefault(prefix, set()).add(name[len(prefix) :])
    return sorted({name for a, b in combinations(by_prefix.values(), 2) for name in a & b})


def _check_numbers(files: CheckpointFiles) -> Iterator[Remark]:
    numbered = [(int(m[1]), int(m[2])) for name in files.shards if (m := NUMBERED.search(name))]
    totals = sorted({total for _, total in numbered})
    if len(totals) > 1:
        yield make_remark(
            "error",
            "shard_series",
            f"of-{totals[0]}",
            f"shards of {len(totals)} series lie together: of {list_some(totals)}",
            effect="an engine that loads every file mixes two conversions",
            remedy="remove the older series",
        )
    # with an index its own list says what is missing; the bound keeps a name's digits from sizing a set
    elif totals and files.index is None and totals[0] <= 100_000:
        first = min(number for number, _ in numbered)
        # series count from 0 or from 1
        absent = sorted(set(range(min(first, 1), totals[0] + min(first, 1))) - {number for number, _ in numbered})
        if absent:
            yield make_remark(
                "error",
                "missing_shard",
                f"{absent[0]:05}",
                f"shards {list_some(absent)} of {totals[0]} are missing",
                effect="their tensors keep initial values, or the loader stops",
                remedy=AGAIN,
            )


def judge_index(survey: Survey) -> Iterator[Remark]:
    files = survey.files
    if files.index is None:
        if len(files.shards) > 1 and "model.safetensors.index.json" not in files.broken:
            yield make_remark("error", "missing_file", "index", f"{len(files.shards)} shards and no index file")
        return
    listed, problem = read_weight_map(files.index)
    if problem:
        yield make_remark("error", "index", "weight_map", problem, remedy=AGAIN)
        return
    yield from _shards_of(files, listed)
    yield from _tensors_of(files, listed)
    yield from _check_total(files, listed)


def read_weight_map(index: Mapping[str, Any]) -> tuple[Mapping[str, str], str]:
    """Tensor -> shard, or what is wrong with it. A shard is a name beside the index, never a path."""
    listed = index.get("weight_map")
    if not isinstance(listed, Mapping):
        return {}, f"model.safetensors.index.json: weight_map: expected an object, got {type(listed).__name__}"
    for tensor, shard in listed.items():
        if not isinstance(shard, str):
            return {}, f"model.safetensors.index.json: {tensor[:80]}: expected a file name, got {type(shard).__name__}"
        # readers join the name to the folder: a path would leave it
        if not shard or "/" in shard or "\\" in shard or "\0" in shard or shard.startswith("."):
            return {}, f"model.safetensors.index.json: {tensor[:80]}: {shard[:80]!r} is no file beside it"
    return listed, ""


def find_lost_shards(files: CheckpointFiles) -> list[str]:
    """Shards that are named and not there, or there and not readable."""
    listed = read_weight_map(files.index)[0] if files.index is not None else {}
    unreadable = {name for name, shard in files.shards.items() if shard.problem}
    return sorted({*unreadable, *(set(listed.values()) - set(files.shards))})


def _shards_of(files: CheckpointFiles, listed: Mapping[str, str]) -> Iterator[Remark]:
    counts = Counter(listed.values())
    for name in sorted(set(counts) - set(files.shards)):
        fact = f"{name} is missing: the index puts {counts[name]} tensors there"
        yield make_remark(
            "error", "missing_shard", name, fact, effect="the loader stops, or leaves initial values", remedy=AGAIN
        )
    for name in sorted(set(files.shards) - set(counts)):
        fact = f"{name} is not in the index: no engine will load it"
        yield make_remark(
            "warning",
            "extra_shard",
            name,
            fact,
            effect="engines that load every file do load it",
            remedy="remove it, or write the index again",
        )


def _tensors_of(files: CheckpointFiles, listed: Mapping[str, str]) -> Iterator[Remark]:
    readable = {name: shard for name, shard in files.shards.items() if not shard.problem}
    wrong = [t for t, shard in listed.items() if shard in readable and t not in readable[shard].tensors]
    nowhere = [t for t in wrong if t not in files.tensors]
    if nowhere:
        fact = f"{len(nowhere)} tensors of the index are in no shard, first {nowhere[0]}"
        yield make_remark("error", "index", nowhere[0], fact, effect="a loader that asks for them stops", remedy=AGAIN)
    elsewhere = [t for t in wrong if t in files.tensors]
    if elsewhere:
        fact = f"{len(elsewhere)} tensors are not where the index says, first {elsewhere[0]}"
        yield make_remark(
            "error",
            "index",
            elsewhere[0],
            fact,
            effect="a loader that follows the index does not find them",
            remedy="write the index again from the shards",
        )
    # a shard that the index does not know at all has been told as one
    indexed = {name for name in readable if name in set(listed.values())}
    unlisted = [t for name in sorted(indexed) for t in readable[name].tensors if t not in listed]
    if unlisted:
        fact = f"{len(unlisted)} tensors of the shards are not in the index, first {unlisted[0]}"
        yield make_remark(
            "error",
            "index",
            unlisted[0],
            fact,
            effect="loaders that follow the index leave them out",
            remedy="write the index again from the shards",
        )


def _check_total(files: CheckpointFiles, listed: Mapping[str, str]) -> Iterator[Remark]:
    about = (files.index or {}).get("metadata")
    total = about.get("total_size") if isinstance(about, Mapping) else None
    if total is None:
        return
    found = sum(shard.data_bytes for shard in files.shards.values())
    if isinstance(total, bool) or not isinstance(total, int | float):
        yield make_remark(
            "warning", "total_size", "metadata.total_size", f"the index states {str(total)[:40]!r} as total_size"
        )
    # with a shard missing or left over the sum differs for a reason that has been told
    elif total != found and set(listed.values()) == set(files.shards):
        fact = f"the index states {total:,} bytes of weights, the headers {found:,}"
        yield make_remark(
            "warning",
            "total_size",
            "metadata.total_size",
            fact,
            effect="tools that plan memory by it are wrong",
            remedy="write the index again from the shards",
        )


def _count_more(names: list[str]) -> str:
    return f" (and {len(names) - 1} more)" if len(names) > 1 else ""
