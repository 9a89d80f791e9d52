"""Verbs of maintainers: releases, references, the canary. Those of the lab need its extra (requirements/lab.in)."""

from __future__ import annotations

from typing import Final

from cli import programs
from cli.verb import NOTHING, Verb

MAINTAIN: Final = (
    Verb(
        "maintain",
        "snapshot",
        "read a release's flags, variables and pins out of its wheel",
        "snapshot sglang==0.5.23",
        NOTHING,
        programs.load_snapshot,
    ),
    Verb(
        "maintain",
        "tolerances",
        "print how far launches were from the references",
        "tolerances e.jsonl",
        NOTHING,
        programs.load_tolerances,
    ),
    Verb(
        "maintain",
        "record-recordings",
        "record the embedded engine's own numbers for the canary",
        "record-recordings",
        NOTHING,
        programs.load_record_recordings,
    ),
    Verb(
        "maintain",
        "record-references",
        "record the oracle's next tokens for the canaries (torch)",
        "record-references",
        NOTHING,
        programs.load_record_references,
    ),
    Verb(
        "maintain",
        "prompt-seed",
        "choose the undecided prompt that best separates IndexCache patterns (torch)",
        "prompt-seed 1 160",
        NOTHING,
        programs.load_prompt_seed,
    ),
    Verb(
        "maintain",
        "train-canary",
        "train, evaluate and verify the canary (torch)",
        "train-canary evaluate /tmp/canary",
        NOTHING,
        programs.load_train_canary,
    ),
    Verb(
        "maintain",
        "known-wrong",
        "find the items that the canary itself answers wrongly (torch)",
        "known-wrong",
        NOTHING,
        programs.load_known_wrong,
    ),
    Verb(
        "maintain",
        "gguf",
        "convert a canary checkpoint to GGUF",
        "gguf fixtures/canary/hf",
        NOTHING,
        programs.load_gguf,
    ),
    Verb(
        "maintain",
        "damage",
        "write a copy of a checkpoint with one fault",
        "damage zero-layer fixtures/canary/hf /tmp/damaged --layer 1",
        NOTHING,
        programs.load_damage,
    ),
)
