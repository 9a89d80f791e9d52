"""Which checkpoints a person means: an id or a glob of ids, a repository, or words like `GLM-5.1 NVFP4`."""

from __future__ import annotations

from collections.abc import Collection
from fnmatch import fnmatchcase

from matrix.errors import suggest_nearest
from matrix.model import Checkpoint
from matrix.preflight.checkpoints.axis import make_id


def find_checkpoints(words: str, known: Collection[Checkpoint]) -> frozenset[str]:
    """Find the ids that the words mean; none where they mean nothing.

    A repository is one checkpoint and no other: the same name with another owner has other weights.
    """
    if by_glob := {c.id for c in known if fnmatchcase(c.id, words)}:
        return frozenset(by_glob)
    if "/" in words:
        return frozenset(c.id for c in known if (c.repository or "").lower() == words.strip().lower())
    wanted = _list_words(words)
    return frozenset(c.id for c in known if wanted and wanted <= _list_all_words(c))


def suggest_checkpoint(words: str, known: Collection[Checkpoint]) -> str:
    """Name the nearest repository or id."""
    names = [c.repository for c in known if c.repository] if "/" in words else [c.id for c in known]
    # GLM-5.1 is nearer to GLM-5.3 by letters, and to GLM-5.1-FP8 by what it is
    longer = next((name for name in names if name.lower().startswith(words.strip().lower())), None)
    return f"; did you mean {longer!r}?" if longer and words.strip() else suggest_nearest(words, names)


def _list_all_words(checkpoint: Checkpoint) -> frozenset[str]:
    repository = (checkpoint.repository or "").rpartition("/")[2]
    return _list_words(checkpoint.id) | _list_words(repository) | _list_words(checkpoint.title)


def _list_words(text: str) -> frozenset[str]:
    return frozenset(make_id("-".join(text.split())).removeprefix("m_").split("_")) - {""}
