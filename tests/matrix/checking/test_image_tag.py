"""An image named by a tag: which tags are moved, and what takes their place."""

from __future__ import annotations

import pytest

from matrix.checking.finding import CheckFinding
from matrix.checking.image_tag import judge_image_tag
from matrix.checking.launchers import Command
from matrix.checking.releases import AskedRelease
from matrix.checking.variables import Word

RELEASE = AskedRelease(engine="vllm", version="0.33.0", by="--release vllm==0.33.0")


def judge(image: str, holes: tuple[str, ...] = ()) -> list[CheckFinding]:
    return list(judge_image_tag(Command(engine="vllm", entry="x", argv=(), image=Word(image, 1, holes)), RELEASE))


@pytest.mark.parametrize(
    ("tag", "id_"),
    [
        ("", "image_tag_floats"),
        (":latest", "image_tag_floats"),
        (":nightly", "image_tag_floats"),
        (":latest-cu129", "image_tag_floats"),
        (":glm51", "image_tag_floats"),
        (":v0.33", "image_tag_floats"),
        (":defaced", "image_tag_floats"),  # letters of a hash, and a word
        (":v0.33.0", "image_without_a_digest"),
        (":v0.5.10.post1-cu130", "image_without_a_digest"),
        (":1.3.0rc26", "image_without_a_digest"),
        (":nightly-b2cf0e1e43f1b2a1", "image_without_a_digest"),
        (":dev-20260301", "image_without_a_digest"),
    ],
)
def test_which_tags_are_moved(tag: str, id_: str) -> None:
    assert [finding.id for finding in judge(f"docker.io/vllm/vllm-openai{tag}")] == [id_]


@pytest.mark.parametrize(
    "image",
    [f"vllm/vllm-openai@sha256:{'1' * 64}", f"vllm/vllm-openai:latest@sha256:{'1' * 64}", "my-vllm", "my-vllm:latest"],
)
def test_a_digest_or_an_image_of_ones_own_is_nobodys_to_move(image: str) -> None:
    assert judge(image) == []


def test_an_image_that_nobody_knows_is_not_judged() -> None:
    assert judge("a/vllm:$TAG", ("TAG",)) == []


def test_the_digest_that_an_axis_file_records_is_named() -> None:
    (found,) = judge("vllm/vllm-openai:v0.26.0")
    assert "@sha256:ffb2d59b1c059a5b" in found.remedy


def test_what_the_line_is_judged_as_is_said() -> None:
    (found,) = judge("vllm/vllm-openai")
    assert "vllm/vllm-openai:latest" in found.cause
    assert "judged as vllm==0.33.0" in found.cause
