"""Guards of an invented engine: errors, assertions, notes and bounds, and what is none."""

from __future__ import annotations

import pytest

from lab.snapshot.guards import list_guards

PATH = "sglang/srt/arg_groups/some_hook.py"
CODE = b"""
class Config:
    share: float = Field(default=0.9, gt=0, le=1)
    name: str = Field(default="x")
    size: int = Field(default=None, ge=lowest())

def handle(server_args):
    cfg = resolving_view(server_args)
    if cfg.a > 1:
        raise ValueError(f"--a {cfg.a} does not go " "with --b.")
    message = "--c wants %s of --d" % cfg.d
    if cfg.c:
        raise NotImplementedError(message)
    assert cfg.e % view.f == 0
    assert cfg.g, "--g must be " + "given"
    logger.warning("--h is ignored for %s", cfg.h)
    logger.info("Loading took %d s", 3)
    raise AttributeError(name)
"""


def test_words_and_conditions_are_read_with_their_places() -> None:
    assert list_guards("sglang", {PATH: CODE, "sglang/srt/layers/x.py": CODE}) == [
        ("bounds", "arg_groups/some_hook.py:3", "share gt=0 le=1"),
        ("stops", "arg_groups/some_hook.py:10", "--a {} does not go with --b."),
        ("stops", "arg_groups/some_hook.py:13", "--c wants {} of --d"),
        ("stops", "arg_groups/some_hook.py:14", "assert e % f == 0"),
        ("stops", "arg_groups/some_hook.py:15", "--g must be given"),
        ("sets", "arg_groups/some_hook.py:16", "--h is ignored for {}"),
    ]


@pytest.mark.parametrize(("engine", "code"), [("sglang", b"match = ("), ("transformers", CODE)])
def test_a_newer_grammar_or_another_package_has_none(engine: str, code: bytes) -> None:
    assert list_guards(engine, {PATH: code}) == []
