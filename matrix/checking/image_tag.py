"""An image that is named by a tag: what is started under it tomorrow, and what its digest is where that is recorded."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from matrix.checking.finding import CheckFinding, make_finding
from matrix.checking.launchers import Command
from matrix.checking.releases import TAG, AskedRelease
from matrix.checkout import CHECKOUT
from matrix.yaml.yamltext import read_source

# A tag of one build: a commit or a day in it. It names no release, and nobody pushes it again by habit.
OF_A_BUILD: Final = re.compile(r"(?<![0-9a-f])(?:[0-9a-f]{7,40}|20\d{6}|20\d\d-\d\d-\d\d)(?![0-9a-f])")
DIGITS: Final = re.compile(r"\d")
PARTS: Final = 3  # of a whole version: v0.33 is moved to each 0.33.x
NAMED: Final = re.compile(r"(?:[a-z0-9.-]+(?::\d+)?/)?(?:[\w.-]+/)+[\w.-]+", re.IGNORECASE)


def judge_image_tag(command: Command, release: AskedRelease) -> Iterator[CheckFinding]:
    """Yield that an image has no digest: risky where its tag is moved from release to release, else a note."""
    image = command.image
    if image is None or not image.known or "@sha256:" in image.text or "{" in image.text:
        return
    path, _, last = image.text.rpartition("/")
    repository, _, tag = last.partition(":")
    name = f"{path}/{repository}"
    # without a registry's or an owner's name in front it was built here, and nobody else can move it
    if not NAMED.fullmatch(name):
        return
    judged = f"The line is judged as {release.name}" if release.version else "No release is known of it"
    more = {"image": name, "tag": tag or "latest", "judged": judged, "pinned": _pin(name, tag)}
    id_ = "image_tag_floats" if _floats(tag) else "image_without_a_digest"
    yield make_finding(id_, more, image.text, line=image.line or command.line)


def _floats(tag: str) -> bool:
    """Whether a tag is one that is moved: no tag (latest), a word, or a version whose last part is missing."""
    found = TAG.fullmatch(tag)
    if found is not None:
        return len(found["version"].split(".")) < PARTS
    return not any(DIGITS.search(part) for part in OF_A_BUILD.findall(tag))


def _pin(name: str, tag: str) -> str:
    """Return how the image is written by content: with the digest that an axis file records of that very tag."""
    for path in sorted((CHECKOUT / "matrix" / "axes" / "engines").glob("*/*.yaml")):
        text = read_source(path)
        if re.search(rf"^image: *{re.escape(f'{name}:{tag}')}\s*$", text, re.M) and (
            found := re.search(r"^image_digest: *(sha256:[0-9a-f]{64})\b", text, re.M)
        ):
            return f"{name}@{found[1]} (as {path.stem} records it)"
    printed = "docker image inspect --format '{{index .RepoDigests 0}}'"
    return f"{name}@sha256:..., which `{printed} {name}:{tag or 'latest'}` prints after a pull"
