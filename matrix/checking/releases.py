"""Which release a requirement, an image tag or an id names."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from packaging.version import InvalidVersion, Version

from matrix.checkout import CHECKOUT
from matrix.errors import ConfigError, Problem, suggest_nearest
from matrix.preflight.snapshot import Snapshot, list_releases, release_id, snapshot_for
from matrix.yaml.patterns import DIGEST
from matrix.yaml.yamltext import read_source

ENGINES: Final = ("sglang", "vllm", "trtllm", "llamacpp", "transformers")
PACKAGES: Final = {
    "sglang": "sglang",
    "vllm": "vllm",
    "tensorrt-llm": "trtllm",
    "tensorrt_llm": "trtllm",
    "trtllm": "trtllm",
    "xllamacpp": "llamacpp",
    "llamacpp": "llamacpp",
    "llama.cpp": "llamacpp",
    "transformers": "transformers",
}
OFFICIAL: Final = {
    "lmsysorg/sglang": "sglang",
    "sglang/sglang": "sglang",
    "vllm/vllm-openai": "vllm",
    "vllm/vllm-openai-cu130": "vllm",
    "nvidia/tensorrt-llm/release": "trtllm",
    "nvcr.io/nvidia/tensorrt-llm/release": "trtllm",
}
REQUIREMENT: Final = re.compile(
    r"\s*(?P<name>[A-Za-z][\w.\-]*)\s*(?:\[[^\]]*\])?\s*(?P<operator>==|>=)\s*v?(?P<version>[\w.+!\-]+)\s*(?:;.*)?"
)
TITLES: Final = {
    "sglang": "SGLang",
    "vllm": "vLLM",
    "trtllm": "TensorRT-LLM",
    "llamacpp": "llama.cpp",
    "transformers": "transformers",
}
TAG: Final = re.compile(
    r"v?(?P<version>\d+(?:\.\d+)+(?:\.?(?:post|rc|dev|a|b)\d+)*)(?P<variant>[-_].*)?", re.IGNORECASE
)


@dataclass(frozen=True, kw_only=True)
class AskedRelease:
    """A release as somebody named it. `fork`: an image of somebody's own, of which nothing is read."""

    engine: str
    version: str  # "" where only an engine is known
    by: str  # what named it
    fork: bool = False
    id: str = ""  # of a snapshot, where it is known by its id

    @property
    def name(self) -> str:
        return f"{self.engine}=={self.version}" if self.version else self.by

    @property
    def snapshot(self) -> Snapshot | None:
        """The text of that very release; None where it was not read."""
        return snapshot_for(self.id or release_id(self.engine, self.version)) if self.version or self.id else None

    def nearest_snapshot(self) -> Snapshot | None:
        """Its own snapshot, or the one of its engine that is nearest in version: good for the meaning of words only."""
        own = self.snapshot
        # Of a stub only the pins are known, and words have a meaning in the release next to it.
        return own if own is not None and own.flags else _find_nearest_snapshot(self.engine, self.version)


def parse_release(text: str) -> AskedRelease:
    """`sglang==0.5.20`, `sglang 0.5.20`, `vllm-0.33.0`, or an id like `sglang_fork_003`.

    Raises:
        ConfigError: neither a requirement of a known engine nor a known id.
    """
    if (by_id := _by_id(text)) is not None:
        return by_id
    found = REQUIREMENT.fullmatch(text) or re.fullmatch(
        r"\s*(?P<name>[A-Za-z][A-Za-z.\-]*?)[\s:@=-]+v?(?P<version>\d[\w.+!\-]*)\s*", text
    )
    # a lower bound names no release: what it installs depends on the day
    if found is None or found.groupdict().get("operator") == ">=":
        raise ConfigError([Problem("--release", 0, repr(text), "expected ENGINE==VERSION, for example sglang==0.5.20")])
    engine = PACKAGES.get(found["name"].lower())
    if engine is None:
        raise ConfigError(
            [
                Problem(
                    "--release",
                    0,
                    repr(text),
                    f"no engine is called {found['name']!r}{suggest_nearest(found['name'], PACKAGES)}",
                )
            ]
        )
    try:
        version = Version(found["version"])
    except InvalidVersion:
        message = f"{found['version']!r} is no version; expected digits and dots, for example {engine}==0.5.20"
        raise ConfigError([Problem("--release", 0, repr(text), message)]) from None
    return AskedRelease(engine=engine, version=_spell(engine, version, found["version"]), by=f"--release {text}")


def _spell(engine: str, version: Version, written: str) -> str:
    """Spell a version as its snapshot does: 0.26 is 0.26.0, and 0.5.10-post1 is 0.5.10.post1."""
    return next((str(known) for known, _ in list_versions(engine) if known == version), written)


def release_of_image(image: str) -> AskedRelease | None:
    """Return the release that the tag of an image names; a fork where the repository is nobody's official one."""
    from matrix.checking.containers import image_engine

    name, _, digest = image.partition("@")
    if digest and (pinned := _of_digest(digest)) is not None:
        return pinned
    head, slash, tail = name.rpartition("/")
    repository, _, tag = tail.partition(":")
    full = f"{head}{slash}{repository}".removeprefix("docker.io/").removeprefix("index.docker.io/")
    engine = OFFICIAL.get(full) or image_engine(image)
    if not engine:
        return None
    found = TAG.fullmatch(tag)
    official = full in OFFICIAL or full.removeprefix("ghcr.io/") in OFFICIAL
    # somebody's own tag (`v2`, `0.5.20-ours`) numbers their builds, so its digits are no version of the engine
    if found is None or not official:
        return AskedRelease(engine=engine, version="", by=f"image {image}", fork=not official)
    return AskedRelease(engine=engine, version=found["version"], by=f"image {image}")


def _of_digest(digest: str) -> AskedRelease | None:
    """Return the release of the axes whose image has that digest: our own forms name it instead of a tag."""
    if not DIGEST.fits(digest):
        return None
    for path in sorted((CHECKOUT / "matrix" / "axes" / "engines").glob("*/*.yaml")):
        text = read_source(path)
        version = re.search(r"^version: *[\"']?([\w.+-]+)", text, re.M)
        if version is not None and re.search(rf"^image_digest: *{digest}\b", text, re.M):
            fork = re.search(r"^fork: *true\b", text, re.M) is not None
            by = f"the digest of the image of {path.stem}"
            return AskedRelease(
                engine=path.parent.name, version=version[1], by=by, fork=fork, id=path.stem if fork else ""
            )
    return None


def release_of_requirement(engine: str, installed: dict[str, str]) -> AskedRelease | None:
    """Return the release of the engine that the same text installs."""
    for package, version in installed.items():
        if PACKAGES.get(package) == engine:
            return AskedRelease(engine=engine, version=version, by=f"pip install {package}=={version}")
    return None


def parse_requirement(text: str) -> tuple[str, str] | None:
    """(normalised package, version) of an exact requirement; of a library also the least version that it allows."""
    found = REQUIREMENT.fullmatch(text.strip("\"'"))
    if found is None:
        return None
    name = re.sub(r"[-_.]+", "-", found["name"]).lower()
    return (
        (name, found["version"])
        # `sglang>=0.5` installs whatever is newest; of a library the least version that it allows is still told
        if found["operator"] == "==" or name not in PACKAGES or name == "transformers"
        else None
    )


def _by_id(text: str) -> AskedRelease | None:
    word = text.strip()
    if not re.fullmatch(r"[a-z]+_[a-z0-9_]+", word):
        return None
    found = snapshot_for(word)
    if found is None:
        return None
    return AskedRelease(engine=found.engine, version=found.version, by=f"--release {word}", fork=found.fork, id=word)


def list_versions(engine: str) -> list[tuple[Version, str]]:
    """(version, id) of every snapshot of an engine, oldest first; no snapshot is opened."""
    stems = (stem for stem in list_releases() if stem.startswith(f"{engine}_"))
    known = ((_parse_stem(stem.removeprefix(f"{engine}_")), stem) for stem in stems)
    return sorted((version, stem) for version, stem in known if version is not None)


def _find_nearest_snapshot(engine: str, version: str) -> Snapshot | None:
    known = list_versions(engine)
    if not known:
        return None
    asked = _parse_stem(version.replace(".", "_")) if version else known[-1][0]
    # the next later one first: it knows the words that came since the releases before it
    later = [stem for guess, stem in known if asked is None or guess >= asked]
    earlier = [stem for _, stem in reversed(known) if stem not in later]
    found = (snapshot_for(stem) for stem in (*later, *earlier))
    return next((snapshot for snapshot in found if snapshot is not None and snapshot.flags), None)


def _parse_stem(stem: str) -> Version | None:
    """`0_5_10_post1` -> 0.5.10.post1; ids of forks are none."""
    try:
        return Version(re.sub(r"_(?=post|rc|dev)", ".", stem).replace("_", ".").replace(".rc", "rc"))
    except InvalidVersion:
        return None
