"""A tag is a name, and a digest or an id is content."""

from __future__ import annotations

import pytest

from matrix.planning.images import find_tag, strip_tag


@pytest.mark.parametrize(
    ("reference", "name"),
    [("a/b:c", "a/b"), ("host:5000/a/b", "host:5000/a/b"), ("host:5000/a:t", "host:5000/a"), ("a@sha256:1", "a")],
)
def test_a_repository_is_a_reference_without_its_tag(reference: str, name: str) -> None:
    assert strip_tag(reference) == name


@pytest.mark.parametrize(
    ("reference", "tag"),
    [("a/b:c", "a/b:c"), ("a", "a"), ("a@sha256:1", ""), ("sha256:" + "0" * 64, ""), ("0" * 64, ""), ("", "")],
)
def test_only_a_tag_can_be_moved(reference: str, tag: str) -> None:
    assert find_tag(reference) == tag
