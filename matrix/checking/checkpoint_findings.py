"""The checkpoint linter's remarks as findings: what a checkpoint's files say against each other."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from matrix.checking.finding import CheckFinding
from matrix.checking.rules import Decision, Level
from matrix.preflight.verdict import Remark

LEVELS: Final[Mapping[str, Level]] = {"error": "wrong", "unknown": "note", "warning": "risky", "note": "note"}
# A config.json alone says nothing about files beside it, a fragment nothing about the keys that it leaves out.
NEEDS_FILES: Final = frozenset({"missing_file", "tokenizer_class", "chat_template", "config", "index", "generation"})
SHARING: Final = frozenset({"pattern", "indexer", "sharing"})


def lint_config(config: Mapping[str, Any]) -> list[Remark]:
    """Return what the linter finds in a config.json alone."""
    from matrix.preflight.checkpoint import CheckpointFiles, judge_checkpoint

    return [remark for remark in judge_checkpoint(CheckpointFiles(config=config)) if remark.kind not in NEEDS_FILES]


def tell_remarks(remarks: Iterable[Remark], told: frozenset[str]) -> Iterator[CheckFinding]:
    """Tell what the linter found, but for what `told` (ids of findings) says already of index sharing."""
    # the line's own findings about sharing know which key the release reads; the linter's would say it twice
    ours = any(name.startswith(("pattern_", "sharing_", "selecting_")) for name in told)
    for remark in remarks:
        if not (ours and remark.kind in SHARING):
            yield _make_checkpoint_finding(remark)


def _make_checkpoint_finding(remark: Remark) -> CheckFinding:
    # the linter writes `cause; effect. Remedy: what to do`: its one sentence becomes the three parts that we print
    head, _, remedy = remark.message.partition(". Remedy: ")
    cause, _, effect = head.partition("; ")
    return CheckFinding(
        id=f"checkpoint_{remark.kind}",
        level=LEVELS[remark.level],
        subject=(f"checkpoint {remark.subject}",),
        cause=f"{cause}.",
        consequence=_make_sentence(effect),
        remedy=_make_sentence(remedy),
        decided_by=Decision(kind="arithmetic", fact="the checkpoint's files, held against each other", read=""),
        sources=("matrix/preflight/checkpoints",),
    )


def _make_sentence(text: str) -> str:
    """Begin with a capital and end with a stop; a key of a config in front keeps its letters, for it is copied."""
    first = text.split(" ", 1)[0]
    return "" if not text else f"{text}." if "_" in first else f"{text[:1].upper()}{text[1:]}."
