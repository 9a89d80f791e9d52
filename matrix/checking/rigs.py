"""`--rig sm120x4` and `--gpus "4x RTX PRO 6000"` -> compute capability, count and memory of one host."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Final

from matrix.checkout import CHECKOUT
from matrix.errors import ConfigError, Problem, suggest_nearest
from matrix.hardware import Gpu
from matrix.yaml.structure import require_entries, require_record

HARDWARE: Final = CHECKOUT / "matrix" / "axes" / "hardware"
MODELS: Final = Path(__file__).parent / "models.yaml"
RIG: Final = re.compile(r"sm_?(?P<sm>\d{2,3})[af]?(?:x(?P<count>\d{1,4}))?", re.IGNORECASE)
# A rig's form with the card behind it, as policies and notes of one's own are called: sm90x4_h200.
NAMED_RIG: Final = re.compile(rf"{RIG.pattern}[_\s-]+(?P<name>\S.*)", re.IGNORECASE)
TIMES: Final = "[x*\u00d7]"
WORDS: Final = ("single", "dual", "three", "quad", "five", "six", "seven", "eight")
SPELLED: Final = {**{word: n for n, word in enumerate(WORDS, 1)}, "one": 1, "two": 2, "four": 4, "sixteen": 16}
# How people write a count: "4x RTX PRO 6000", "4 RTX PRO 6000", "RTX PRO 6000 x4", "4090".
COUNTS: Final = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        rf"(?P<count>\d{{1,4}})\s*{TIMES}\s*(?P<name>\S.*)",
        r"(?P<count>\d{1,3})\s+(?P<name>[a-z].*)",
        rf"(?P<name>.*\S)\s+{TIMES}\s*(?P<count>\d{{1,4}})",
        rf"(?P<name>.*\d){TIMES}(?P<count>\d{{1,2}})",  # H200x8
        r"(?P<name>.+)",
    )
)
# "2 nodes x 8 H200", "2x8 H200", "2 hosts of 8x B200": more than MOST_OF_A_HOST is a model's number, "8x 6000 Ada".
HOSTS: Final = re.compile(
    rf"(?P<hosts>\d{{1,3}})\s*(?:(?:nodes?|hosts?|machines?)\s*(?:of|with|{TIMES})?|{TIMES})\s*\(?\s*"
    rf"(?P<each>\d{{1,2}})\s*{TIMES}?\s*(?P<name>[a-z][^()]*?)\s*\)?",
    re.IGNORECASE,
)
MOST_OF_A_HOST: Final = 16
# A count that split_count left over (of five digits, negative, with a fraction, of a second GPU); `MI 300X` has none.
MACHINE: Final = re.compile(r"[DH]GX\s+(?P<gpu>[ABH]\d{2,3}\b.*)", re.IGNORECASE)
OTHERS: Final = re.compile(r"\bMI\d{3}|\bmac\b|\bM[1-5] (?:pro|max|ultra)|gaudi|ascend|\bTPU", re.IGNORECASE)
LEFT_OVER: Final = re.compile(rf"(?<![a-z\d])(?<!mi )\d+\s*{TIMES}|(?<![a-z\d]){TIMES}\s*\d", re.IGNORECASE)
MEMORY: Final = re.compile(r"\b(?P<size>\d{2,3})\s*G(?:i?B)?\b", re.IGNORECASE)
# Behind a name: what may follow without a space (H100SXM5), and the card of a GPU that is mostly sold as a module.
FORM: Final = r"(?:sxm|pcie|hbm|nvl)"
CARD: Final = re.compile(r"(?<![a-z])pci-?e", re.IGNORECASE)
BRANDS: Final = frozenset({"nvidia", "geforce", "rtx"})
SHORTEST: Final = 4  # digits of a model number that names a GPU without its letters
ANOTHER_SIZE: Final = 0.08  # GB, GiB and what the driver keeps are within it; 80 and 94 GB are two cards
MOST_MEANT: Final = 4  # GPUs that are named as what somebody may have meant
GIB: Final = 2**30


@dataclass(frozen=True, kw_only=True)
class Host:
    """GPUs of one kind. `vram_bytes` 0: not known. `fabric`: nvlink, pcie, none, or "" where the name does not tell."""

    sm: int
    gpus: int
    name: str = ""
    vram_bytes: int = 0
    fabric: str = ""
    gpu: str = ""  # id in matrix/axes/hardware, or of models.yaml; empty where only a capability was given
    like: str = ""  # id in matrix/axes/hardware of the same chip in another form
    bandwidth_bytes_per_s: int = 0  # of its memory, where it differs from that one's

    def __str__(self) -> str:
        return f"{self.gpus}x {self.name or f'SM{self.sm}'}" + (f" (SM{self.sm})" if self.name else "")


@dataclass(frozen=True, kw_only=True)
class KnownGpu:
    """A GPU by its names."""

    id: str
    names: tuple[str, ...]
    sm: int
    vram_bytes: int
    fabric: str
    rigs: tuple[tuple[str, int], ...] = ()
    like: str = ""  # id in matrix/axes/hardware of the same chip in another form
    bandwidth_bytes_per_s: int = 0  # of its memory; 0: not known


def parse_rig(text: str, *, option: str = "--rig") -> Host:
    """Parse a rig's id (`sm120x4`), a capability (`sm121x2`), or a count and a name (`4x RTX PRO 6000`).

    `option` is where it was written, for the message.

    Raises:
        ConfigError: no such rig, no such GPU.
    """
    word = text.strip()
    for gpu in known_gpus():
        for rig, count in gpu.rigs:
            # ids before patterns: `sm90x8_h100` also looks like a capability and a count
            if rig == word.lower():
                return _make_host(gpu, count)
    found = RIG.fullmatch(word)
    if found is not None:
        return _of_capability(int(found["sm"]), int(found["count"] or 1), text, option)
    capability = NAMED_RIG.fullmatch(word)
    if capability is None:
        count, name = split_count(word)
    else:
        count, name = int(capability["count"] or 1), capability["name"].replace("_", " ")
    gpu_named, rest = _find_named_gpu(name)
    if gpu_named is not None and capability is not None and gpu_named.sm != int(capability["sm"]):
        card = gpu_named.names[0]
        told = f"{card} is SM{gpu_named.sm}: give the GPU that is meant, like '{count}x {card}'"
        raise ConfigError([Problem(option, 0, repr(text), told)])
    # a count that was not understood must not be dropped: 8 GPUs judged as one would pass
    kinds = _list_kinds(word)
    if len(kinds) > 1:
        what = f"GPUs of one kind: these are {' and '.join(kinds)}, and a launch divides its layers and heads evenly"
        raise ConfigError([Problem(option, 0, repr(text), f"expected {what}; ask for each kind alone")])
    if gpu_named is None or count < 1 or LEFT_OVER.search(name) or not text.isprintable():
        words = [name for gpu in known_gpus() for name in (*gpu.names, *(rig for rig, _ in gpu.rigs))]
        several = _list_meant(name) if gpu_named is None else []
        meant = f"; it may be {' or '.join(map(repr, several))}" if several else suggest_nearest(word, words)
        wanted = f"expected a rig like sm120x4 or GPUs like '8x H200'{meant}; {_say_next(name)}"
        raise ConfigError([Problem(option, 0, repr(text), wanted)])
    return _with_memory(_with_form(_make_host(gpu_named, count), rest), rest)


def _list_kinds(text: str) -> list[str]:
    """List the GPUs that the parts of a text name, joined by a plus, a comma or `and`."""
    found = [_find_named_gpu(split_count(part)[1])[0] for part in re.split(r"\s*(?:[+,;&]|\band\b)\s*", text) if part]
    return list(dict.fromkeys(gpu.names[0] for gpu in found if gpu is not None))


def _say_next(name: str) -> str:
    """Return what to do about a GPU that has no name here."""
    if OTHERS.search(name):
        return "lines are judged for NVIDIA's GPUs alone, by CUDA wheels"
    return "another GPU: its compute capability and count (sm89x8), or docs/how-to/add-a-gpu.md"


def _of_capability(sm: int, gpus: int, text: str, option: str) -> Host:
    """GPUs of which only the capability is named; one that no GPU has would pass every check that asks for another."""
    known = sorted({gpu.sm for gpu in known_gpus() if gpu.sm})
    if sm in known and gpus > 0:
        return Host(sm=sm, gpus=gpus)
    wanted = (
        f"expected one GPU or more of a capability that a known GPU has; valid: {', '.join(f'sm{n}' for n in known)}"
    )
    raise ConfigError([Problem(option, 0, repr(text), wanted)])


def split_count(text: str) -> tuple[int, str]:
    """Split `4x RTX PRO 6000` into count and name; 1 where no count is given.

    >>> split_count("RTX PRO 6000 x4")
    (4, 'RTX PRO 6000')
    """
    first, _, rest = text.strip().partition(" ")
    several = HOSTS.fullmatch(text.strip())
    if several is not None and int(several["each"]) <= MOST_OF_A_HOST:
        return int(several["hosts"]) * int(several["each"]), several["name"]
    if rest and first.lower() in SPELLED:  # "two H100": the word left out, it would be one
        text = f"{SPELLED[first.lower()]} {rest}"
    found = next((m for pattern in COUNTS if (m := pattern.fullmatch(text.strip()))), None)
    if found is None:
        return 1, text
    name = found["name"].strip()
    # a DGX or HGX machine of a named GPU has eight of it; DGX Spark and Station are other names
    machine = MACHINE.match(name)
    return int(found.groupdict().get("count") or 1) * (8 if machine else 1), machine["gpu"] if machine else name


def _make_host(gpu: KnownGpu, count: int) -> Host:
    return Host(
        sm=gpu.sm,
        gpus=count,
        name=gpu.names[0],
        vram_bytes=gpu.vram_bytes,
        fabric=gpu.fabric,
        gpu=gpu.id,
        like=gpu.like,
        bandwidth_bytes_per_s=gpu.bandwidth_bytes_per_s,
    )


def _with_form(host: Host, rest: str) -> Host:
    """Return the GPU as a card where the words say PCIe of one that is a module by its entry (`H800 PCIe`)."""
    if host.fabric != "nvlink" or not CARD.search(rest):
        return host
    return replace(host, name=f"{host.name} PCIe", fabric="pcie", gpu=f"{host.gpu}_pcie", like=host.gpu)


def _with_memory(host: Host, rest: str) -> Host:
    """Return the host's GPU with the memory that the words beside its name state, where that is another size."""
    stated = MEMORY.search(rest)
    if stated is None or not host.vram_bytes:
        return host
    size = int(stated["size"]) * 10**9
    if abs(size - host.vram_bytes) <= ANOTHER_SIZE * host.vram_bytes:
        return host
    return replace(host, vram_bytes=size, name=f"{host.name} {stated['size']} GB")


def _find_named_gpu(text: str) -> tuple[KnownGpu | None, str]:
    """Find the GPU that the text names, and the words beside the name; the longest name counts.

    A name is whole: A1000 is no A100, GH200 no H200, RTX PRO 6000D no RTX PRO 6000. Its words may stand in another
    order or run together, without the brand (RTX6000Pro, Pro 6000). A number alone (`5090`) means the one GPU whose
    name ends with it.
    """
    fits = [(found, gpu) for gpu in known_gpus() for name in gpu.names if (found := _name_pattern(name).search(text))]
    if fits:
        found, gpu = max(fits, key=lambda pair: len(_keep_alphanumeric(pair[0][0])))
        return gpu, f"{text[: found.start()]} {text[found.end() :]}"
    words = _list_parts(MEMORY.sub("", text))
    if turned := next((gpu for gpu in known_gpus() for name in gpu.names if _list_parts(name) == words), None):
        return turned, text
    plain = _keep_alphanumeric(MEMORY.sub("", text))
    numbers = len(plain) >= SHORTEST and plain.isdigit()
    ends = {gpu.id: gpu for gpu in known_gpus() for name in gpu.names if numbers and name.endswith(plain)}
    # 6000 ends several names: then it names none of them
    return (next(iter(ends.values())) if len(ends) == 1 else None), text


def _list_meant(text: str) -> list[str]:
    """List the GPUs whose names have all these words, where they are several: `RTX 6000` is no name of one."""
    words = set(_list_words(MEMORY.sub("", text)))
    fits = [gpu.names[0] for gpu in known_gpus() if words and words <= {*_list_words(gpu.names[0])}]
    return fits if 1 < len(fits) <= MOST_MEANT else []


def _list_words(text: str) -> list[str]:
    return sorted(re.findall(r"[a-z\d]+", text.lower().replace("nvidia", "")))


def _list_parts(text: str) -> list[str]:
    """List the words and numbers without the brand: what is left of RTX6000Pro is what RTX PRO 6000 has."""
    parts = re.findall(r"[a-z]+|\d+", text.lower())
    return sorted(part for part in parts if part not in BRANDS)


@cache
def _name_pattern(name: str) -> re.Pattern[str]:
    """RTX-PRO 6000, rtxpro6000 and RTX PRO 6000 are one name."""
    parts = re.findall(r"[a-z]+|\d+|\W+", name.lower().replace("(", " ").replace(")", " "))
    words = r"[\s_-]*".join(re.escape(part) for part in parts if part.isalnum())
    return re.compile(rf"(?<![a-z\d]){words}(?=$|[^a-z\d]|{FORM})", re.IGNORECASE)


def _keep_alphanumeric(text: str) -> str:
    return re.sub(r"[^a-z0-9]", "", text.lower().replace("nvidia", ""))


@cache
def known_gpus() -> tuple[KnownGpu, ...]:
    """List the GPUs of the matrix and those of models.yaml."""
    return (*_of_the_matrix(), *_others())


def _of_the_matrix() -> Iterator[KnownGpu]:
    for path in sorted(HARDWARE.glob("*.yaml")):
        gpu = require_record(Gpu, path)
        if gpu.sm and gpu.runtime == "cuda":
            # people leave out the maker, the generation, the socket and the memory; NVML's full names follow
            short = re.sub(r"\b(NVIDIA|Blackwell|SXM\d?|HGX)\b|\d+ ?GB\b", "", gpu.name).strip()
            names = (re.sub(r"\s+", " ", short), *gpu.nvml_names)
            yield KnownGpu(
                id=gpu.id,
                names=tuple(dict.fromkeys(names)),
                sm=gpu.sm,
                vram_bytes=gpu.vram_bytes,
                fabric=gpu.interconnect,
                rigs=tuple(gpu.rigs.items()),
            )


def _others() -> Iterator[KnownGpu]:
    for gpu in require_entries(MODELS, {"gpus": ("names", "sm", "vram_gib", "interconnect")})["gpus"]:
        yield KnownGpu(
            id=_keep_alphanumeric(gpu["names"][0]),
            names=tuple(gpu["names"]),
            sm=gpu["sm"],
            vram_bytes=int(gpu["vram_gib"] * GIB),
            fabric=gpu["interconnect"],
            like=gpu.get("like", ""),
            bandwidth_bytes_per_s=gpu.get("bandwidth_gb_s", 0) * 10**9,
        )
