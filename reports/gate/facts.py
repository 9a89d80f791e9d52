"""Checks that evidence belongs to the cell that today's matrix means: its facts, its script and the versions that ran.
Pure.

Facts that were edited and hashed again match their digest and not the matrix, so both are checked. An unknown version
does not match.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, Final

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from matrix.judging.identity import is_same_version, pick_version
from matrix.judging.status import GREEN
from matrix.model import Release
from reports.evidence.files import digest_value
from reports.evidence.summary import CellRow
from reports.evidence.types import CellFacts, Launch, Record, as_json_data
from reports.expected import ExpectedCell
from reports.gate.accepted import Deviation

SHOWN = 3  # facts that differ
VALUE_CHARS = 60

WEIGHTS: Final = ("weights_commit", "weights_digest")  # as fixtures.weights.identity records them
SHORT: Final = 12


def find_facts_deviations(
    cell: ExpectedCell, records: Sequence[Record], other_source: Collection[str] = ()
) -> Iterator[Deviation]:
    """Find each `cell` record that does not match its own digest, or today's matrix. `other_source`: the runs of
    another commit than today's, which may know fewer facts."""
    for found in (r for r in records if isinstance(r, CellFacts) and r.cell == cell.id):
        if not found.sha256:
            yield Deviation(cell=cell.id, what="digest", text=f"its facts and script have no digest (run {found.run}).")
        # The digest alone would not do: whoever edits the facts can hash them again, so they are held against today's
        # matrix too.
        elif found.sha256 != digest_value({"facts": found.facts, "script": found.script}):
            text = f"its facts and script are not those that were hashed (run {found.run}): they were edited."
            yield Deviation(cell=cell.id, what="digest", text=text)
        if cell.release is None:
            continue
        wanted = as_json_data(cell.facts)
        # A fact that today's code derives and that commit's did not. That the run is of that commit is a deviation of
        # its own, which a clause must accept by name; of today's commit, an absent fact was taken out.
        if found.run in other_source:
            wanted = {name: value for name, value in wanted.items() if name in found.facts}
        if differ := _explain_differences(wanted, found.facts):
            yield Deviation(cell=cell.id, what="facts", text=f"its recorded facts are not today's: {differ}.")
        if found.script != cell.script and found.fingerprint == cell.fingerprint:  # else another plan, which is told
            text = "its recorded script is not the one that launches this cell today, though its fingerprint is."
            yield Deviation(cell=cell.id, what="script", text=text)


def _explain_differences(wanted: Mapping[str, Any], found: Mapping[str, Any]) -> str:
    names = [n for n in sorted({*wanted, *found}) if n not in wanted or n not in found or wanted[n] != found[n]]
    said = [f"{n} is {_show_fact(found, n)}, today {_show_fact(wanted, n)}" for n in names[:SHOWN]]
    return "; ".join([*said, *([f"and {len(names) - SHOWN} more"] if len(names) > SHOWN else [])])


def _show_fact(facts: Mapping[str, Any], name: str) -> str:
    return repr(facts[name])[:VALUE_CHARS] if name in facts else "absent"


def find_version_deviations(cell: ExpectedCell, row: CellRow) -> Iterator[Deviation]:
    """Find each launch whose engine has another version than the release, reports none, or ran with other pins."""
    if cell.release is None:
        return
    yield from _find_borrowed_launches(cell, row)
    for launch in row.launches:
        if launch.stub or "version" in launch.cautions:
            # told: no engine, or a server of which the user accepted that (reports.gate.accepted_identity)
            continue
        seen = _read_versions(launch, cell.release, cell.dialect)
        wrong = sorted({v for v in seen if not is_same_version(v, cell.release)})
        if wrong:
            text = f"its engine was version {', '.join(wrong)}, and {cell.release.id} is {cell.release.version}."
            yield Deviation(cell=cell.id, what="another_version", text=text)
        # A launch that failed may have died before it could tell its version.
        elif not seen and launch.outcome == "ok":
            text = f"its engine told no version that can be compared with {cell.release.version}."
            yield Deviation(cell=cell.id, what="unknown_version", of=cell.id, text=text)
        if image := _explain_image(launch, cell.release):
            yield Deviation(cell=cell.id, what="another_version", text=image)
        if unmet := sorted(_unmet_pins(launch, cell.release)):
            text = f"its release pins otherwise: {', '.join(unmet)}."
            yield Deviation(cell=cell.id, what="another_pin", of=cell.id, text=text)


def find_weights_deviations(cell: ExpectedCell, row: CellRow) -> Iterator[Deviation]:
    """Find launches that served another commit than the pinned one, and cells whose launches served several sets."""
    told = [{name: str(launch.versions.get(name) or "") for name in WEIGHTS} for launch in row.launches]
    for commit in sorted({each["weights_commit"] for each in told} - {"", cell.revision} if cell.revision else ()):
        text = f"its weights were of commit {commit[:SHORT]}, and its checkpoint is pinned to {cell.revision[:SHORT]}."
        yield Deviation(cell=cell.id, what="another_weights", text=text)
    if cell.revision and any(_tells_no_commit(launch) for launch in row.launches):
        text = f"its launch tells no commit of its weights, and its checkpoint is pinned to {cell.revision[:SHORT]}."
        yield Deviation(cell=cell.id, what="unknown_weights", of=cell.id, text=text)
    digests = sorted({each["weights_digest"] for each in told} - {""})
    if len(digests) > 1:
        shown = ", ".join(digest[:SHORT] for digest in digests)
        text = (
            f"its launches served {len(digests)} sets of weights ({shown}), so their answers are not of one checkpoint."
        )
        yield Deviation(cell=cell.id, what="another_weights", text=text)


def find_image_deviations(cells: Sequence[ExpectedCell], rows: Mapping[str, CellRow]) -> Iterator[Deviation]:
    """Find releases of which this evidence has launches from several images: a tag is whatever its host recorded."""
    of_release: dict[str, list[ExpectedCell]] = {}
    for cell in cells:
        if cell.release is not None:
            of_release.setdefault(cell.release.id, []).append(cell)
    for release, own in of_release.items():
        versions = [launch.versions for c in own for launch in rows[c.id].launches if launch.versions.get("image")]
        ids, digests = ({str(v.get(name) or "") for v in versions} for name in ("image", "image_digest"))
        # The id of one image differs between daemons' stores, and its digest between mirrors: either may speak for it.
        if len(ids) > 1 and (len(digests) > 1 or "" in digests):
            shown = ", ".join(sorted(digests - {""} or ids))
            text = f"launches of {release} were of several images ({shown}), so their answers are not of one engine."
            yield from (Deviation(cell=c.id, what="another_version", text=text) for c in own)


def _tells_no_commit(launch: Launch) -> bool:
    """Return whether an engine of ours answered with weights of an unknown commit, e.g. from a copied folder. Which
    weights another's server has is asked of its own words (reports.gate.accepted_identity)."""
    ours = launch.outcome == "ok" and not (launch.attached or launch.stub)
    return ours and not launch.versions.get("weights_commit")


def _find_borrowed_launches(cell: ExpectedCell, row: CellRow) -> Iterator[Deviation]:
    """Find runs that answered and launched nothing: another run's launch does not identify the engine that answered."""
    results = [r for t in row.tests for r in (t.attempts.standing if t.attempts else (t.result,)) if r is not None]
    green = {r.run for r in results if r.status in GREEN}
    for run in sorted(green - {launch.run for launch in row.launches}):
        text = f"run {run} recorded no launch of it, so which engine answered there is not known."
        yield Deviation(cell=cell.id, what="unknown_version", of=cell.id, text=text)


def _read_versions(launch: Launch, release: Release, dialect: str) -> list[str]:
    """Read the version that the engine reports, and that of its package; both must be the release's."""
    versions = {str(k): v for k, v in launch.versions.items() if isinstance(v, str)}
    package = canonicalize_name(Requirement(release.requirement).name) if release.requirement else ""
    installed = [v for name, v in versions.items() if canonicalize_name(name) == package]
    return [v for v in (pick_version(versions, dialect), *installed) if v]


def _explain_image(launch: Launch, release: Release) -> str:
    """Explain that an image is not the pinned one; empty where the release pins none, or no image was launched."""
    found = str(launch.versions.get("image_digest") or "")
    # endswith: the record may hold `repo@sha256:...` or the digest alone.
    if not release.image_digest or not found or found.endswith(release.image_digest):
        return ""
    return f"its image was {found[:VALUE_CHARS]}, and {release.id} is {release.image_digest[:VALUE_CHARS]}."


def _unmet_pins(launch: Launch, release: Release) -> Iterator[str]:
    pins = {canonicalize_name(name): spec for name, spec in release.pins.items()}
    for name, found in launch.versions.items():
        spec = pins.get(canonicalize_name(str(name)))
        if spec is not None and not _meets_pin(str(found), spec):
            yield f"{name}{spec}, and {str(found)[:VALUE_CHARS]} was there"


def _meets_pin(found: str, spec: str) -> bool:
    try:
        # Pins of engines name pre-releases (0.6.0rc1), which packaging leaves out unless it is told.
        return SpecifierSet(spec, prereleases=True).contains(Version(found))
    except InvalidVersion:
        return False
