"""Which image exactly: a digest or an image id is content, a tag is what somebody calls it today."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from matrix.model import Release

OF_THIS_HOST: Final = "id:"  # a record's mark before an image id, which no registry knows; a digest stands alone
IMAGE_ID: Final = re.compile(r"(?:sha256:)?[0-9a-f]{64}")


def find_tag(reference: str) -> str:
    """Return the reference where it is a tag without content; else nothing."""
    return "" if not reference or "@sha256:" in reference or IMAGE_ID.fullmatch(reference) else reference


def strip_tag(reference: str) -> str:
    """Return `host:5000/team/image:tag` without the tag; a colon before the last slash is a port."""
    head, slash, last = reference.partition("@")[0].rpartition("/")
    return f"{head}{slash}{last.partition(':')[0]}"


def name_content(release: Release, records: Mapping[str, str]) -> str:
    """Return a release's image by content: its digest, else what this host recorded of its tag; else nothing.

    `records`: tag -> digest, or `id:` and an image id (`glm-matrix image pin`).
    """
    reference = release.image or ""
    if release.image_digest:
        return f"{strip_tag(reference)}@{release.image_digest}"
    if not find_tag(reference):
        return reference
    recorded = records.get(reference, "")
    if recorded.startswith(OF_THIS_HOST):
        return recorded.removeprefix(OF_THIS_HOST)
    return f"{strip_tag(reference)}@{recorded}" if recorded else ""


def explain_tag_alone(release: Release) -> str:
    """Explain that only a tag is known, and which command records what it is."""
    return (
        f"no digest of {release.image} is known, and a tag can be moved. Once on this host:"
        f" glm-matrix image pin {release.id}"
    )


def warn_unpinned(releases: Iterable[Release]) -> Iterator[str]:
    """One sentence for each release whose image has a tag only."""
    for release in releases:
        if release.image and not release.image_digest and find_tag(release.image):
            yield f"{release.id}: {release.image} has no image_digest; its tag can be moved"
