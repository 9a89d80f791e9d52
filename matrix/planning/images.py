"""Which image exactly: a digest or an image id is content, a tag is what somebody calls it today."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Final

from matrix.model import Release

IMAGE_ID: Final = re.compile(r"(?:sha256:)?[0-9a-f]{64}")


def find_tag(reference: str) -> str:
    """Return the reference where it is a tag without content; else nothing."""
    return "" if not reference or "@sha256:" in reference or IMAGE_ID.fullmatch(reference) else reference


def strip_tag(reference: str) -> str:
    """Return `host:5000/team/image:tag` without the tag; a colon before the last slash is a port."""
    head, slash, last = reference.partition("@")[0].rpartition("/")
    return f"{head}{slash}{last.partition(':')[0]}"


def warn_unpinned(releases: Iterable[Release]) -> Iterator[str]:
    """One sentence for each release whose image has a tag only."""
    for release in releases:
        if release.image and not release.image_digest and find_tag(release.image):
            yield f"{release.id}: {release.image} has no image_digest; its tag can be moved"
