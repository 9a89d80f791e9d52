"""One side of an upgrade: the line as one release understands it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from matrix.checking.finding import CheckFinding
from matrix.checking.judge import CheckRequest, Examined, examine_command
from matrix.checking.launchers import Command
from matrix.checking.releases import PACKAGES, AskedRelease
from matrix.checking.rules import Decision
from matrix.checking.settings import UNKNOWN
from matrix.preflight.snapshot import Snapshot


class NotRunReason(NamedTuple):
    """Why the matrix does not run a cell. `kind`: of the rule's source, or arithmetic."""

    status: str
    text: str
    source: str
    kind: str


@dataclass(frozen=True, kw_only=True)
class Extra:
    """What only a cell of the matrix has. None: it is no cell, and what is known of lines counts."""

    known: tuple[CheckFinding, ...] | None = None  # known failures of the cell, as findings
    exclusions: Mapping[str, NotRunReason] = field(default_factory=dict)  # by rule
    patches: frozenset[str] = frozenset()  # that its launch applies


@dataclass(frozen=True, kw_only=True)
class Side:
    """A release, and everything that is found of the line on it."""

    release: AskedRelease
    snapshot: Snapshot
    examined: Examined
    findings: tuple[CheckFinding, ...]
    extra: Extra

    @property
    def facts(self) -> Mapping[str, Any]:
        return self.examined.facts

    @property
    def architecture(self) -> str:
        return str(self.facts["architecture"])

    @property
    def sm(self) -> int:
        """Compute capability of the GPUs; 0 where they are not named."""
        found = self.facts["sm"]
        return found if isinstance(found, int) else 0

    def fact(self, name: str) -> Any:
        """Return a fact of the line; None if it is absent or not known."""
        found = self.facts.get(name)
        return None if found is UNKNOWN else found

    def read(self, what: str) -> Decision:
        """Return what was read in this release's own wheel."""
        return Decision(kind="wheel", fact=f"{what} [{self.snapshot.source}]", read="")


def look_at_release(command: Command, asked: CheckRequest, release: AskedRelease, extra: Extra | None = None) -> Side:
    """See what a release makes of a command. The image and requirement that the text names are put aside.

    Raises:
        AssertionError: the release has no snapshot (the command refuses it before).
    """
    extra = extra or Extra()
    # an engine's own requirement names the release of one side, and would contradict the other
    installed = {p: v for p, v in command.installed.items() if p not in PACKAGES or p == "transformers"}
    found = examine_command(replace(command, image=None, installed=installed), replace(asked, release=release))
    assert release.snapshot is not None
    findings = found.findings
    if extra.known is not None:
        # a cell knows its known failures exactly; what is guessed from its line would add those of its siblings
        findings = (*(f for f in findings if not f.subject[0].startswith("known failure ")), *extra.known)
    return Side(release=release, snapshot=release.snapshot, examined=found, findings=findings, extra=extra)
