"""A line that somebody asks about may hold keys: no verb prints them, in any form, right or wrong."""

from __future__ import annotations

import pytest

from cli.program import main

LINE = [
    "HF_TOKEN=hf_SECRETabcdefghijklmnopqrstuv",
    "vllm",
    "serve",
    "https://me:s3cretPASS@mirror.example/GLM-5",
    "-tp",
    "8",
    "--api-key",
    "SECRETword77",
    "--made-up",
    "SECRETword77",
]
VERBS = {
    "check": ["check", "--release", "vllm==0.26.0"],
    "upgrade": ["upgrade", "--from", "vllm==0.26.0", "--to", "vllm==0.33.0"],
}


@pytest.mark.parametrize("form", [[], ["--json"]], ids=["text", "json"])
@pytest.mark.parametrize("words", VERBS.values(), ids=VERBS)
def test_a_key_of_the_line_is_not_printed(
    words: list[str], form: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*words, *form, "--rig", "sm90x8", "--", *LINE]) == 1
    told = "".join(capsys.readouterr())
    assert "made-up" in told
    assert "hf_SECRET" not in told
    assert "s3cretPASS" not in told
    assert "--api-key SECRETword77" not in " ".join(told.replace('"', "").replace(",", "").split())
